import numpy as np
import torch

from dataset_builder.claims.grounding import CONTRASTS
from fusionrs_hf.prompts import FACTS_PROMPT, QUESTIONS
from tests.made import tiny, tiny_vlm
from training.data.fact_texts import facts_sentence
from training.scoring.answer_choices import (
    _parts,
    answer_ids,
    choose_answers,
    choose_in_sentences,
    continuation_costs,
    prompt_ids,
)
from training.scoring.generation import encode_pairs

ANSWERS = ["high", "very high", "low"]
QUESTION = "contrast brightest"


def pixels_of(processor, rows):
    pairs = [
        processor(images=[tiny.rgb_image(i), tiny.ir_image(i)], text="<image><image>", return_tensors="pt")
        for i in range(rows)
    ]
    return torch.stack([pair["pixel_values"] for pair in pairs])


def test_costs_equal_those_of_whole_sequences_read_one_by_one():
    model, processor = tiny_vlm.vlm_model(), tiny_vlm.vlm_processor()
    pixels = pixels_of(processor, 3)
    prompt = prompt_ids(processor, QUESTION)
    rows, seen = prompt.expand(3, -1), torch.ones_like(prompt).expand(3, -1)
    costs = continuation_costs(model, pixels, rows, seen, *answer_ids(processor, QUESTION, ANSWERS, 2), batch_size=2)
    for row in range(3):
        for column, answer in enumerate(ANSWERS):
            words = processor.tokenizer(f"{answer}<|im_end|>", return_tensors="pt")["input_ids"]
            whole = torch.cat([prompt, words], dim=1)
            with torch.no_grad():
                scores = model(input_ids=whole, pixel_values=pixels[row]).logits.log_softmax(-1)[0]
            begin = prompt.shape[1]
            expected = -sum(scores[begin - 1 + place, word] for place, word in enumerate(words[0]))
            assert np.isclose(costs[row, column], expected.item(), atol=1e-3)


def test_prompts_are_those_that_the_processor_writes():
    processor = tiny_vlm.vlm_processor()
    rows = [{"rgb": tiny.rgb_image(0), "ir": tiny.ir_image(0)}]
    assert torch.equal(prompt_ids(processor, QUESTION), encode_pairs(processor, rows, QUESTION)[1])
    assert not (prompt_ids(processor, QUESTION, images=0) == processor.image_token_id).any()


def test_answers_end_with_the_turn_so_that_none_begins_another():
    ids, mask = answer_ids(tiny_vlm.vlm_processor(), QUESTION, ["high", "high high"], 2)
    end = tiny_vlm.tokenizer().convert_tokens_to_ids("<|im_end|>")
    assert (ids == end).sum(1).tolist() == [1, 1] and mask.sum(1).tolist() == [2, 3]


def test_every_question_is_answered_for_every_row_and_once_without_images():
    model, processor = tiny_vlm.vlm_model(), tiny_vlm.vlm_processor()
    seen = choose_answers(model, processor, pixels_of(processor, 2))
    blind = choose_answers(model, processor, None)
    assert list(seen) == list(QUESTIONS)
    assert all(places.shape == (2,) for places in seen.values())
    assert all(places.shape == (1,) for places in blind.values())


def test_padding_before_a_row_changes_no_cost():
    model, processor = tiny_vlm.vlm_model(), tiny_vlm.vlm_processor()
    pixels, prompt = pixels_of(processor, 1), prompt_ids(processor, QUESTION)
    ends = answer_ids(processor, QUESTION, ANSWERS, 2)
    plain = continuation_costs(model, pixels, prompt, torch.ones_like(prompt), *ends, batch_size=1)
    wider = torch.nn.functional.pad(prompt, (3, 0))
    seen = torch.nn.functional.pad(torch.ones_like(prompt), (3, 0))
    assert np.allclose(continuation_costs(model, pixels, wider, seen, *ends, batch_size=1), plain, atol=1e-3)


def test_a_value_is_chosen_at_its_place_after_what_was_written_before():
    model, processor = tiny_vlm.vlm_model(), tiny_vlm.vlm_processor()
    pixels = pixels_of(processor, 2)
    written = [
        {"level": "dark", "contrast": "low", "brightest": "north", "darkest": None, "relation": None},
        dict.fromkeys(("level", "contrast", "brightest", "darkest", "relation")),
    ]
    chosen = choose_in_sentences(model, processor, pixels, written)
    prompt = prompt_ids(processor, FACTS_PROMPT)
    costs = []
    for value in CONTRASTS:
        text = f"Infrared: dark, {value} contrast,"
        words = processor.tokenizer(text, return_tensors="pt")["input_ids"]
        with torch.no_grad():
            whole = torch.cat([prompt, words], dim=1)
            scores = model(input_ids=whole, pixel_values=pixels[0]).logits.log_softmax(-1)[0]
        begin = prompt.shape[1]
        costs.append(-sum(scores[begin - 1 + place, word] for place, word in enumerate(words[0])).item())
    assert chosen["contrast"][0] == int(np.argmin(costs))
    assert all(len(places) == 2 for places in chosen.values())


def test_a_value_ends_as_the_sentence_goes_on_after_it_and_the_last_with_the_sentence():
    values = {"level": "dark", "contrast": "low", "brightest": "north", "darkest": "south", "relation": "darker"}
    parts = [_parts({kind: value}) for kind, value in values.items()]
    assert "Infrared:" + "".join(parts) == facts_sentence(values) and parts[-1].endswith(".")
