import dataclasses
import re
from collections import Counter

import numpy as np
import pytest

from dataset_builder.captioning import CaptionStage, GroundedCaptioner
from dataset_builder.captioning.grounded import MAX_WORDS, compact_caption, scene_subject
from dataset_builder.captioning.variety import distinct_n
from dataset_builder.claims.grounding import CELLS, CONTRASTS, LEVELS, RELATIONS, TEXTURES, InfraredFacts, measure
from dataset_builder.claims.judging import fact_matches, judge
from dataset_builder.schema import new_row
from tests.dataset_builder.made.sample_tiles import sample_rows

FORBIDDEN = re.compile(
    r"\b(?:hot|warm\w*|cold|cool\w*|heat\w*|temperature\w*|emissiv\w+|reflectiv\w+|material\w*|metal\w*|"
    r"red|green|blue|yellow|brown|orange|purple|pink|colou?r\w*)\b",
    re.IGNORECASE,
)


def write(captioner, row, facts):
    return captioner.caption([row], [facts])[0].ir_captions


def facts_with(**changes) -> InfraredFacts:
    """Facts whose numbers fit any changed class well enough to be judged by class alone."""
    generator = np.random.default_rng(0)
    infrared = generator.integers(0, 255, (48, 48)).astype(np.uint8)
    return dataclasses.replace(measure(infrared, np.zeros((48, 48, 3), np.uint8)), **changes)


def row_of(sample_id="a", captions=(), origin="sensor", band="nir"):
    return {"sample_id": sample_id, "captions": list(captions), "ir_origin": origin, "ir_band": band}


def test_compact_caption_has_one_form():
    facts = facts_with(level="bright", contrast="low", brightest="north-west", darkest="south", relation="darker")
    expected = "Infrared: bright, low contrast, brightest north-west, darkest south, darker than visible."
    assert compact_caption(facts) == expected
    assert compact_caption(facts, "a farm") == expected[:-1] + "; a farm."
    flat = facts_with(level="very dark", contrast="very low", brightest=None, darkest=None, relation=None)
    assert compact_caption(flat) == "Infrared: very dark, very low contrast."


def test_every_class_is_written_so_that_it_is_read_back():
    """Both captions, all classes, all frames: each fact is matched, and no frame says anything beside."""
    subjects = [[], ["A satellite image of a farm with two barns."], ["Mixed farmland and small woods."]]
    frames = Counter()
    for draw in range(1500):
        generator = np.random.default_rng(draw)
        pick = generator.choice
        brightest, darkest = pick(CELLS, 2, replace=False)
        facts = facts_with(
            level=str(pick(LEVELS)),
            contrast=str(pick(CONTRASTS)),
            texture=str(pick(TEXTURES)),
            relation=str(pick(RELATIONS)),
            brightest=str(brightest),
            darkest=str(darkest),
            disagreement=str(pick(CELLS)),
            disagreement_sign=str(pick(["brighter", "darker"])),
            small_bright_targets=int(pick([0, 3])),
        )
        row = row_of(
            f"tile/{draw}", subjects[draw % 3], str(pick(["sensor", "translated"])), str(pick(["nir", "lwir"]))
        )
        for caption in write(GroundedCaptioner(seed=draw % 5), row, facts):
            assert all(fact_matches(caption, facts).values()), caption
            expected = {
                getattr(facts, kind) for kind in ("level", "contrast", "texture", "relation", "brightest", "darkest")
            }
            expected |= {f"{facts.disagreement} {facts.disagreement_sign}", "present"}
            assert {judged.claim.value for judged in judge(caption, facts)} <= expected, caption
            assert len(caption.split()) <= MAX_WORDS and not FORBIDDEN.search(caption), caption
        frames[re.sub("|".join(CELLS), "#", caption)] += 1
    assert len(frames) > 1000


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
    facts = facts_with()
    again = [write(GroundedCaptioner(3), row_of("x"), facts) for _ in range(2)]
    assert again[0] == again[1]
    assert len({write(GroundedCaptioner(seed), row_of("x"), facts)[1] for seed in range(20)}) > 10
    assert len({write(GroundedCaptioner(seed), row_of("x"), facts)[0] for seed in range(20)}) == 1


@pytest.mark.parametrize(
    ("caption", "subject"),
    [
        ("An aerial image of a farm with two barns.", "a farm and two barns"),
        ("Many cars are parked in a lot.", "many cars"),
        ("There is a river between two meadows", "a river and two meadows"),
        ("Farmland and woods, seen from above", "farmland and woods"),
        (
            "A patchwork of woodland, dry land and water, driest in the north.",
            "a patchwork of woodland, dry land and water",
        ),
        ("Mostly warm open ground, with shaded slopes", "mostly open ground"),
        ("A mosaic of mildly warm open ground, cool open ground and water", "a mosaic of open ground and water"),
        ("New York harbour near the bridge", "New York harbour and the bridge"),
        ("Dense forest next to a lake", "dense forest and a lake"),
        ("A bright old roof in the north", "an old roof"),
        ("Dense Green Park", None),
        ("Red Square at noon", None),
        ("{subject} <script>alert(1)</script>", None),
        ("one two three four five six seven eight nine ten eleven twelve thirteen", None),
        ("", None),
    ],
)
def test_scene_subject(caption, subject):
    assert scene_subject(caption) == subject


def test_stage_fills_rows_and_leaves_quarantined_ones():
    generator = np.random.default_rng(0)
    rows = [new_row(sample_id=str(i), source_dataset="s", source_locator="l", rights="r", rgb={}) for i in range(3)]
    batch = {name: [row[name] for row in rows] for name in rows[0]}
    batch["_ir"] = [generator.integers(0, 255, (64, 64)).astype(np.uint8), None, np.zeros((64, 64), np.uint8)]
    batch["_rgb"] = [generator.integers(0, 255, (64, 64, 3)).astype(np.uint8)] * 3
    batch["_reason"] = [None, None, "ir_too_flat"]
    done = CaptionStage(GroundedCaptioner(seed=7))(batch)
    assert [len(captions) for captions in done["ir_captions"]] == [2, 0, 0]
    assert done["_facts"][0] == measure(batch["_ir"][0], batch["_rgb"][0]) and done["_facts"][1:] == [None, None]
    assert (done["captioner"][0], done["captioner_revision"][0], done["captioner_settings"][0]) == (
        "grounded", "2", '{"seed": 7}'
    )  # fmt: skip
    assert done["captioner"][1] is None


def test_distinct_n():
    assert distinct_n(["a b a b"], 1) == 0.5
    assert distinct_n(["a b a b"], 2) == pytest.approx(2 / 3)
    assert distinct_n([], 1) == 0.0


@pytest.mark.parametrize("every", [8, pytest.param(1, marks=pytest.mark.slow)])
def test_captions_of_the_sample_are_true_and_read_back(every):
    captioner = GroundedCaptioner()
    fluent = []
    for row in sample_rows(every):
        facts = measure(row["_ir"], row["_rgb"])
        captions = write(captioner, row, facts)
        for caption in captions:
            assert {judged.verdict for judged in judge(caption, facts)} == {"supported"}, caption
            missed = {kind for kind, hit in fact_matches(caption, facts).items() if not hit}
            assert missed == {kind for kind in ("brightest", "darkest") if getattr(facts, kind) is None}, caption
            assert not FORBIDDEN.search(caption)
        fluent.append(captions[1])
    assert len(set(fluent)) / len(fluent) > 0.95
