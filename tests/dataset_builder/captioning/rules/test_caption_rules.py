import json
from collections import Counter
from dataclasses import fields
from pathlib import Path

import numpy as np
import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st

from dataset_builder.captioning.rules.caption_rules import (
    CAPTION_RULES,
    Contradicted,
    Fault,
    NearCopy,
    ObjectMissing,
    first_fault,
    make_caption_rules,
)
from dataset_builder.captioning.rules.lexicon import implied, lexicon, objects
from dataset_builder.captioning.rules.overclaims import OVERCLAIM_RULES
from dataset_builder.claims.grounding import measure
from fusionrs_hf.errors import InputError

PATH = Path(__file__).with_name("caption_rule_cases.jsonl")
CASES = [json.loads(line) for line in PATH.read_text(encoding="utf-8").splitlines()]
ROW = {"ir_origin": "translated", "ir_band": "nir", "ir_unit": "display"}
KNOWN = [
    "no",
    "not",
    "hot",
    "Red",
    "Square",
    "thermal",
    "image",
    ",",
    ".",
    "heat",
    "the",
    "is",
    "rather than",
    "or",
    "nor",
]
KNOWN += ["temperature", "(river)", "\u00b0C", "-", "'", "warm", "cannot be inferred", "might be", "ships", "absent"]
CLASSES = """
    airplane, airport, beach, bridge, chaparral, church, cloud, desert, farmland, forest, freeway, golf course,
    harbor, intersection, island, lake, meadow, mountain, overpass, palace, railway, railway station, river,
    runway, ship, snowberg, stadium, terrace, storage tank, tennis court, thermal power station, wetland,
    basketball court, baseball diamond, parking lot, roundabout, ground track field, mobile home park, sea ice,
    dense residential, industrial area, commercial area, square, viaduct, pond, port, school, resort, park, bare
    land, playground, pasture, highway, permanent crop, solar panel, oil well, cemetery, crosswalk, swimming pool,
    nursing home, shipping yard, wastewater treatment plant, car, person, bicycle, vehicle
"""
SCENE = "A river runs between green fields and a small village."


def reason(text, row, rules=None):
    fault = first_fault(text, ROW | row, make_caption_rules() if rules is None else rules)
    return fault and fault.reason


@pytest.mark.parametrize("case", CASES, ids=lambda case: case["why"])
def test_the_first_reason_of_each_edge_case_is_as_expected(case):
    assert reason(case["text"], case) == case["reason"], case["why"]


def test_edge_cases_are_many_distinct_and_cover_every_rule_from_both_sides():
    assert len(CASES) >= 220
    assert len({json.dumps({**case, "why": ""}) for case in CASES}) == len(CASES)
    counts = Counter(case["reason"] for case in CASES)
    rules = {rule.reason for rule in CAPTION_RULES} - {"contradicted"}  # that one is judged on images, see below
    assert set(counts) == rules | {None}
    assert all(counts[rule.reason] >= 8 for rule in OVERCLAIM_RULES)
    assert counts[None] >= len(CASES) / 3


def test_every_physical_group_is_excused_by_calibration_but_colour():
    by_group = {rule.reason: rule for rule in OVERCLAIM_RULES}
    calibrated = {"ir_origin": "sensor", "ir_band": "mwir", "ir_unit": "kelvin_1e2"}
    for case in CASES:
        if rule := by_group.get(case["reason"]):
            hit = rule()(case["text"], case | calibrated)
            assert (hit is not None) == (case["reason"] == "rgb_color"), case["text"]


def test_a_fault_names_the_words_that_broke_the_rule():
    def detail(text):
        return first_fault(text, ROW | {"captions": [SCENE]}, make_caption_rules()).detail

    assert detail("The warm village is bright, the river colder.") == "warm, colder"
    assert detail("A ship lies on the dark river near a lighthouse.") == "ship, lighthouse"
    assert detail("The image is bright and smooth.") == "river, fields, village"
    assert detail("The river is dark and the village might be bright.") == "might be"
    assert detail("Dark river.") == "2 words"
    assert detail("The dark river\u200b by the village.") == "character U+200B"


def test_contradicted_claims_are_named_and_facts_are_needed():
    dark = measure(np.full((64, 64), 30, np.uint8))
    rules = make_caption_rules()
    row = ROW | {"captions": [SCENE], "_facts": dark}
    wrong = "The image is very bright. A river passes a village."
    assert first_fault("The image is very dark. A river passes a village.", row, rules) is None
    fault = first_fault(wrong, row, rules)
    assert fault.reason == "contradicted" and "bright" in fault.detail
    assert first_fault(wrong, row | {"_facts": None}, rules) is None
    assert Contradicted(max_contradicted=1)(wrong, row) is None


def test_rows_without_scene_captions_are_judged_by_their_words_alone():
    for captions in ([], [None], [""], None):
        assert reason("A bright ship on dark water.", {"captions": captions}) is None
        assert reason("A warm ship on dark water.", {"captions": captions}) == "temperature"


def test_thresholds_of_a_recipe_change_what_is_rejected():
    row = {"captions": [SCENE]}
    lenient = make_caption_rules({"object_invented": {"max_invented": 1}, "object_missing": {"min_kept": 0}})
    assert reason("A bright ship.", row, make_caption_rules({"ir_caption_too_short": False})) == "object_invented"
    assert reason("A bright ship on something dark.", row, lenient) is None
    strict = make_caption_rules({"object_missing": {"min_kept": 0.5}, "no_infrared_cue": {"min_cues": 2}})
    assert reason("The river is dark and smooth.", row, strict) == "object_missing"
    assert reason("The river is dark near the village.", row, strict) == "no_infrared_cue"
    assert reason("The river is dark and smooth near the village.", row, strict) is None
    assert NearCopy(max_copied=1.0)("A dark river runs between fields.", row) is None
    assert NearCopy(max_copied=1.0)(SCENE, row) == SCENE


def test_rules_keep_their_order_and_recipes_switch_them_off():
    assert [type(rule) for rule in make_caption_rules()] == list(CAPTION_RULES)
    assert make_caption_rules({"heat": None, "refusal": True}) == make_caption_rules()
    rules = make_caption_rules({"heat": False})
    assert "heat" not in {rule.reason for rule in rules} and len(rules) == len(CAPTION_RULES) - 1


@pytest.mark.parametrize(
    ("thresholds", "message"),
    [
        ({"caption_to_short": False}, "unknown caption rule 'caption_to_short'; did you mean 'ir_caption_too_short'"),
        (
            {"caption_too_short": False},
            "unknown caption rule 'caption_too_short'; did you mean 'ir_caption_too_short'",
        ),
        ({"near_copy": {"max_copid": 1}}, "unknown threshold 'max_copid' of caption rule near_copy"),
        ({"ir_caption_too_short": {"min_words": 2.5}}, "expected a whole number"),
        ({"near_copy": {"max_copied": -1}}, "at least zero"),
        ({"heat": {"words": 3}}, "it has none"),
        ({"heat": "off"}, "expected false or a mapping"),
        (["heat"], "expected a mapping of names"),
    ],
)
def test_recipe_mistakes_are_named(thresholds, message):
    with pytest.raises(InputError, match=message):
        make_caption_rules(thresholds)


def test_every_rule_has_a_reason_of_its_own_and_thresholds_with_units():
    assert len({rule.reason for rule in CAPTION_RULES}) == len(CAPTION_RULES)
    for rule in CAPTION_RULES:
        assert rule.reason.replace("_", "").isalpha() and rule.reason.islower() and rule.__doc__
        assert all(item.metadata["unit"] for item in fields(rule))


@settings(max_examples=150, deadline=None)
@given(text=st.text(max_size=200), scenes=st.lists(st.text(max_size=80), max_size=3))
@example(text="\u0130\u00df \ufb01eld \u00bd hot", scenes=["\u0130"])
@example(text="\ud800 red", scenes=[""])
def test_no_text_crashes_a_rule(text, scenes):
    for rule in make_caption_rules():
        found = rule(text, ROW | {"captions": scenes})
        assert found is None or isinstance(found, str)


@settings(max_examples=150, deadline=None)
@given(st.data())
def test_no_mixture_of_the_words_that_rules_know_crashes_a_rule(data):
    text = " ".join(data.draw(st.lists(st.sampled_from(KNOWN), max_size=40)))
    fault = first_fault(text, ROW | {"captions": [SCENE, "Red Square"]}, make_caption_rules())
    assert fault is None or isinstance(fault, Fault)


@pytest.mark.parametrize(
    "piece", ["lack of ", "no ", "no a, or ", "bright, ", "R ", "emit a ", "( ", "a- ", "Aa ", "<a "]
)
def test_an_endless_repetition_is_rejected_and_no_rule_loses_itself_in_it(piece):
    text = piece * (20_000 // len(piece))
    assert {rule.reason for rule in make_caption_rules() if rule(text, {"captions": [SCENE]})} >= {
        "ir_caption_too_long"
    }


def test_lexicon_is_consistent_and_covers_the_classes_of_the_usual_datasets():
    known = lexicon()
    assert len(known.senses) >= 450
    assert all(phrase == phrase.lower() and len(phrase.split()) <= 4 for phrase in known.senses)
    assert known.anywhere <= set(known.closure) and known.loose <= set(known.senses)
    missing = [name for name in CLASSES.split(",") if not objects(name)]
    assert not missing


def test_naming_a_thing_implies_broader_words_and_fixed_parts_but_nothing_that_moves():
    assert {"building", "structure", "roof"} <= implied(objects("a house"))
    assert {"water", "shore"} <= implied(objects("rivers"))
    assert not {"car", "ship", "aircraft"} & implied(objects("a harbour, an airport and a parking lot by the road"))


def test_half_of_the_objects_are_kept_and_all_of_one_or_two():
    rules = [ObjectMissing()]
    two = {"captions": ["A road beside a river."]}
    four = {"captions": ["A road beside a river, with houses and an orchard."]}
    assert first_fault("The river is dark.", two, rules).detail == "road"
    assert first_fault("The river and the road are dark.", two, rules) is None
    assert first_fault("The river is dark.", four, rules).reason == "object_missing"
    assert first_fault("The river and the road are dark.", four, rules) is None
    assert first_fault("The river is dark.", two, [ObjectMissing(all_of=0)]) is None
