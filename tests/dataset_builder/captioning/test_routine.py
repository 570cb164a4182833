import random
import re
from collections import Counter

import numpy as np

from dataset_builder.captioning.routine import (
    MAX_WORDS,
    compact_caption,
    extreme_sentence,
    routine_caption,
    texture_sentence,
)
from dataset_builder.captioning.subjects import scene_subject
from dataset_builder.claims.grounding import CELLS, CONTRASTS, LEVELS, RELATIONS, TEXTURES
from dataset_builder.claims.judging import fact_matches, judge
from tests.dataset_builder.captioning.made.pairs import FORBIDDEN, facts_with, row_of


def _routine(row, facts, draw):
    subject = scene_subject(row["captions"][0]) if row["captions"] else None
    band = "near-infrared" if row["ir_origin"] == "sensor" else "infrared-style"
    return routine_caption(subject, band, facts, random.Random(draw))


def test_compact_caption_has_one_form():
    facts = facts_with(level="bright", contrast="low", brightest="north-west", darkest="south", relation="darker")
    expected = "Infrared: bright, low contrast, brightest north-west, darkest south, darker than visible."
    assert compact_caption(facts) == expected
    assert compact_caption(facts, "a farm") == expected[:-1] + "; a farm."
    flat = facts_with(level="very dark", contrast="very low", brightest=None, darkest=None, relation=None)
    assert compact_caption(flat) == "Infrared: very dark, very low contrast."


def test_every_class_is_written_so_that_it_is_read_back():
    """All classes, all frames: each fact is matched, and no frame says anything beside."""
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
        for caption in (_routine(row, facts, draw),):
            assert all(fact_matches(caption, facts).values()), caption
            expected = {
                getattr(facts, kind) for kind in ("level", "contrast", "texture", "relation", "brightest", "darkest")
            }
            expected |= {f"{facts.disagreement} {facts.disagreement_sign}", "present"}
            assert {judged.claim.value for judged in judge(caption, facts)} <= expected, caption
            assert len(caption.split()) <= MAX_WORDS and not FORBIDDEN.search(caption), caption
        frames[re.sub("|".join(CELLS), "#", caption)] += 1
    assert len(frames) > 1000


def test_of_two_extremes_the_plainer_one_is_told_first_and_none_twice():
    cells = (100.0, 130.0, 100.0, 100.0, 100.0, 60.0, 100.0, 100.0, 100.0)
    facts = facts_with(brightest="north", darkest="east", median=100.0, cell_means=cells)
    text, name = extreme_sentence(facts, set(), random.Random(0))
    assert name == "darkest" and "darkest" in text
    assert extreme_sentence(facts, {"darkest"}, random.Random(0))[1] == "brightest"
    assert extreme_sentence(facts, {"darkest", "brightest"}, random.Random(0)) == ("", "")
    even = facts_with(brightest="north", darkest="east", median=100.0, cell_means=(100.0,) * 8 + (105.0,))
    assert extreme_sentence(even, set(), random.Random(0)) == ("", "")


def test_texture_is_told_as_it_is_measured():
    for texture in TEXTURES:
        text = texture_sentence(facts_with(texture=texture), random.Random(0))
        assert [judged.claim.value for judged in judge(text, facts_with(texture=texture))] == [texture]
