import re

import numpy as np
import pytest

from dataset_builder.captioning import CaptionStage, GroundedCaptioner
from dataset_builder.captioning.grounded import MAX_WORDS
from dataset_builder.captioning.routine import compact_caption
from dataset_builder.captioning.rules.caption_rules import first_fault, make_caption_rules
from dataset_builder.captioning.variety import distinct_n
from dataset_builder.claims import judge, measure
from dataset_builder.schema import new_row
from tests.dataset_builder.captioning.made.pairs import FORBIDDEN, facts_with, reversed_pair, row_of, write
from tests.dataset_builder.made.sample_tiles import sample_rows


def test_a_reversed_part_is_told_with_its_place_and_both_tones():
    """A square that is dark in RGB and white in the infrared, in the upper left of an even image."""
    infrared, rgb = reversed_pair()
    facts = measure(infrared, rgb)
    for seed in range(20):
        compact, fluent = write(GroundedCaptioner(seed), row_of(), facts)
        for caption in (compact, fluent):
            told = [said for said in re.split(r"[.;]", caption) if re.search(r"upper.left|top.left|north-west", said)]
            assert told and all(re.search(r"bright|white|pale|light", said) for said in told), caption
            assert not any(re.search(r"darkest|turns (?:dark|black)", said) for said in told), caption


def test_without_rgb_the_facts_of_the_image_alone_are_told():
    facts = measure(np.random.default_rng(0).integers(0, 255, (64, 64)).astype(np.uint8))
    written = GroundedCaptioner().caption([row_of("a", ["A farm."])], [facts])[0]
    assert written.ir_captions[0] == compact_caption(facts, "a farm") and written.joint_captions == []


def test_fluent_caption_keeps_the_subject_and_names_the_band_by_origin():
    facts = facts_with()
    named = {
        "nir": "near-infrared",
        "swir": "shortwave infrared",
        "mwir": "midwave infrared",
        "lwir": "thermal infrared",
    }
    for band, name in named.items():
        fluent = write(GroundedCaptioner(), row_of("a", ["An aerial image of a farm."], "sensor", band), facts)[1]
        assert "a farm" in fluent.lower() and name in fluent.lower()
        style = write(GroundedCaptioner(), row_of("a", ["An aerial image of a farm."], "translated", band), facts)[1]
        assert "infrared-style" in style.lower() and name not in style.lower()


def test_captions_depend_on_sample_and_seed_only():
    infrared, rgb = reversed_pair()
    facts = measure(infrared, rgb)
    again = [write(GroundedCaptioner(3), row_of("x"), facts) for _ in range(2)]
    assert again[0] == again[1]
    assert len({write(GroundedCaptioner(seed), row_of("x"), facts)[1] for seed in range(20)}) > 10


def test_stage_fills_rows_and_leaves_quarantined_ones():
    infrared, rgb = reversed_pair()
    rows = [new_row(sample_id=str(i), source_dataset="s", source_locator="l", rights="r", rgb={}) for i in range(3)]
    batch = {name: [row[name] for row in rows] for name in rows[0]}
    batch["_ir"] = [infrared, None, np.zeros((64, 64), np.uint8)]
    batch["_rgb"] = [rgb] * 3
    batch["_reason"] = [None, None, "ir_too_flat"]
    done = CaptionStage(GroundedCaptioner(seed=7))(batch)
    assert [len(captions) for captions in done["ir_captions"]] == [2, 0, 0]
    assert done["ir_caption_form"] == [["compact", "fluent"], None, None]
    assert len(done["joint_captions"][0]) == 1 and done["joint_captions"][1:] == [None, None]
    assert done["_facts"][0] == measure(infrared, rgb) and done["_facts"][1:] == [None, None]
    assert (done["captioner"][0], done["captioner_revision"][0], done["captioner_settings"][0]) == (
        "grounded", "4", '{"seed": 7}'
    )  # fmt: skip
    assert done["captioner"][1] is None


def test_distinct_n():
    assert distinct_n(["a b a b"], 1) == 0.5
    assert distinct_n(["a b a b"], 2) == pytest.approx(2 / 3)
    assert distinct_n([], 1) == 0.0


@pytest.mark.parametrize("every", [16, pytest.param(1, marks=pytest.mark.slow)])
def test_captions_of_the_sample_are_true_and_pass_every_rule(every):
    captioner, rules = GroundedCaptioner(), make_caption_rules()
    joint_rules = CaptionStage(captioner, rules).joint_rules
    fluent, about_parts, rejected = [], 0, 0
    rows = list(sample_rows(every))
    for row in rows:
        facts = measure(row["_ir"], row["_rgb"])
        written = captioner.caption([row], [facts])[0]
        for caption in (*written.ir_captions, *written.joint_captions):
            assert {judged.verdict for judged in judge(caption, facts)} <= {"supported", "unverifiable"}, caption
        for caption in written.ir_captions:
            assert "supported" in {judged.verdict for judged in judge(caption, facts)}, caption
            assert not FORBIDDEN.search(caption) and len(caption.split()) <= MAX_WORDS + 15, caption
            rejected += first_fault(caption, row | {"_facts": facts}, rules) is not None
        rejected += any(first_fault(text, row | {"_facts": facts}, joint_rules) for text in written.joint_captions)
        claims = [judged.claim.kind for judged in judge(written.ir_captions[1], facts)]
        about_parts += bool({"thing", "bright", "dark", "visible"} & {*claims})
        fluent.append(written.ir_captions[1])
    assert rejected <= 0.01 * len(rows)
    assert about_parts >= 0.88 * len(rows)
    assert len(set(fluent)) / len(fluent) > 0.95
