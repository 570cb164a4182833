from collections import Counter

import numpy as np
import pytest
from PIL import Image

from dataset_builder.claims.grounding import CELLS
from fusionrs_hf.errors import InputError
from fusionrs_hf.prompts import FACTS_PROMPT, JOINT_PROMPT, PROMPT, QUESTIONS
from tests.made import tiny, tiny_vlm
from tests.training.made.captioned_rows import CAPTIONS, make_rows
from training.data.conversations import Lessons, fact_examples
from training.data.fact_features import measure_row
from training.data.fact_texts import VALUES, count_values, fact_values, facts_sentence

ALL = {"facts": 1, "questions": 1, "captions": 1, "joint": 1}
EVEN = {kind: Counter(values) for kind, values in VALUES.items()}


def lessons(**changes):
    shares = {name: changes.pop(name, 0) for name in ALL}
    return Lessons(shares, EVEN, tiny_vlm.vlm_processor(), **changes)


def exchange(example):
    return example["prompt"][0]["content"], example["completion"][0]["content"]


def test_each_lesson_has_its_prompt_and_its_answer():
    row = make_rows(2, joint_captions=["a joint caption"])[0]
    values = fact_values(measure_row(row, tiny_vlm.vlm_processor()))
    assert exchange(lessons(facts=1)(row, 0)) == (FACTS_PROMPT, facts_sentence(values))
    assert exchange(lessons(captions=1)(row, 0)) == (PROMPT, CAPTIONS[0])
    assert exchange(lessons(joint=1)(row, 0)) == (JOINT_PROMPT, "a joint caption")
    kinds = {prompt: kind for kind, prompt in QUESTIONS.items()}
    for place in range(20):
        prompt, answer = exchange(lessons(questions=1)(row, place))
        assert answer.split()[0] == (values[kinds[prompt]] or "").split()[0] or kinds[prompt] == "relation"


def test_a_row_without_captions_gives_its_facts():
    row = make_rows(2, ir_captions=[])[0]
    assert exchange(lessons(captions=1)(row, 0))[0] == FACTS_PROMPT
    assert exchange(lessons(joint=1)(row, 0))[0] == FACTS_PROMPT


def test_questions_come_after_their_place_and_facts_until_then():
    row = make_rows(2)[0]
    late = lessons(questions=1, questions_after=3)
    asked = [exchange(late(row, place))[0] for place in range(6)]
    assert asked[:3] == [FACTS_PROMPT] * 3 and all(prompt in QUESTIONS.values() for prompt in asked[3:])


def test_shares_are_kept_over_a_course_and_a_place_decides_its_example():
    rows = make_rows(8)
    course = lessons(facts=3, captions=1, seed=4).course(rows, 400)
    prompts = Counter(exchange(course[place])[0] for place in range(400))
    assert prompts[FACTS_PROMPT] == pytest.approx(300, abs=40) and prompts[PROMPT] == 400 - prompts[FACTS_PROMPT]
    again = lessons(facts=3, captions=1, seed=4).course(rows, 100)
    assert [exchange(again[place]) for place in range(20)] == [exchange(course[place]) for place in range(20)]


def test_facts_stand_in_for_joint_captions_until_their_time_has_come():
    row = {**make_rows(2)[0], "joint_captions": ["A field, bright in both."]}
    told = [exchange(lessons(joint=1, joint_after=5)(row, place)) for place in range(10)]
    assert [prompt for prompt, _ in told] == [FACTS_PROMPT] * 5 + [JOINT_PROMPT] * 5


def test_a_course_passes_over_all_rows_before_it_shows_one_again():
    rows = make_rows(6)
    course = lessons(facts=1).course(rows, 12)
    shown = [np.asarray(course[place]["images"][1]).tobytes() for place in range(12)]
    assert len({*shown[:6]}) == len({*shown[6:]}) == 6 and shown[:6] != shown[6:]


def test_places_of_a_stream_count_over_all_processes():
    rows = make_rows(4)
    every = lessons(facts=1, captions=1, questions=1)
    streamed = [exchange(example) for example in every.stream(rows, 1, 2).take(4)]
    assert streamed == [exchange(every(rows[number], 2 * number + 1)) for number in range(4)]


def test_infrared_above_8_bit_is_scaled_by_the_processors_limits():
    deep = Image.fromarray(np.asarray(tiny.ir_image(1), dtype=np.uint16) * 100)
    row = {**make_rows(2)[0], "ir": deep}
    processor = tiny_vlm.vlm_processor(ir_range={"nir": [0, 25500]})
    example = Lessons({**ALL, "captions": 0, "joint": 0}, EVEN, processor)(row, 0)
    assert example["images"][1].mode == "L"
    assert np.abs(np.asarray(example["images"][1], float) - np.asarray(tiny.ir_image(1))).max() <= 1


def test_without_images_the_texts_are_the_same():
    rows, processor = make_rows(2), tiny_vlm.vlm_processor()
    seen, blind = fact_examples(rows, processor)[0], fact_examples(rows, processor, images=())[0]
    assert exchange(seen) == exchange(blind)
    assert [image.mode for image in seen["images"]] == ["RGB", "L"] and blind["images"] == []
    alone = [fact_examples(rows, processor, images=(name,))[0] for name in ("rgb", "ir")]
    assert [[image.mode for image in example["images"]] for example in alone] == [["RGB"], ["L"]]
    assert exchange(alone[0]) == exchange(alone[1]) == exchange(seen)


def test_shares_that_add_up_to_nothing_are_refused():
    with pytest.raises(InputError, match="shares of lessons"):
        lessons()


def test_questions_about_places_are_answered_by_a_place_alone():
    row = make_rows(2)[0]
    for place in range(30):
        prompt, answer = exchange(lessons(questions=1)(row, place))
        if prompt in (QUESTIONS["brightest"], QUESTIONS["darkest"]):
            assert answer in CELLS


def test_counts_are_of_the_values_that_were_measured():
    rows = [fact_values(measure_row(row, tiny_vlm.vlm_processor())) for row in make_rows(4)]
    assert sum(count_values(rows)["level"].values()) == 4
