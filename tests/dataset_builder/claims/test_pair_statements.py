"""What may be claimed of made pairs, and what other pairs say of it."""

from dataclasses import replace

import numpy as np
import pytest

from dataset_builder.claims.pair_statements import KINDS, fits, statements_of, verdict
from tests.dataset_builder.claims.test_pair_images import FIELD, facts_of, flat, scene


def claims(facts) -> set[tuple[str, str]]:
    return {(statement.kind, statement.value) for statement in statements_of(facts)}


def test_a_scene_gives_statements_of_lines_parts_regions_and_edges():
    told = claims(facts_of(*scene()))
    assert ("line changes", "bright to dark") in told and ("line in infrared", "dark") in told
    assert ("part changes", "reversed") in told  # the woods
    assert {("part against ring", "darker"), ("part against ring", "brighter")} <= told
    assert ("part among tones", "dark") in told and ("region in infrared", "dark") in told
    assert ("edges", "many shared") in told


def test_statements_are_ordered_by_kind_and_salience():
    statements = statements_of(facts_of(*scene()))
    order = [(KINDS.index(statement.kind), -statement.salience) for statement in statements]
    assert order == sorted(order) and all(0 <= statement.salience <= 1 for statement in statements)


def test_another_infrared_does_not_bear_them_out():
    infrared, rgb = scene()
    statements = statements_of(facts_of(infrared, rgb))
    negative = facts_of((255 - infrared).astype(np.uint8), rgb)
    empty = facts_of(np.full((64, 64), 120, np.uint8), rgb)
    tones = [statement for statement in statements if statement.kind not in ("edges", "part changes tone")]
    assert {verdict(statement, negative) for statement in tones} <= {"contradicted", "unverifiable"}
    assert not any(verdict(statement, empty) == "supported" for statement in statements)
    ring = next(statement for statement in statements if statement.kind == "part against ring")
    assert verdict(ring, negative) == verdict(ring, empty) == "contradicted"


def test_another_rgb_leaves_their_subjects_unfound():
    infrared, rgb = scene()
    elsewhere = facts_of(infrared, np.ascontiguousarray(rgb[::-1, ::-1]))
    parts = [s for s in statements_of(facts_of(infrared, rgb)) if s.kind == "part against ring"]
    assert parts and all(verdict(statement, elsewhere) == "unverifiable" for statement in parts)


def test_what_one_image_alone_shows_is_contradicted_where_both_show_it():
    infrared, rgb = np.full((64, 64), 120, np.uint8), flat(FIELD)
    infrared[6:24, 38:58], infrared[40:42, 4:60] = 220, 20
    facts = facts_of(infrared, rgb)
    assert {("part in infrared only", "pale"), ("line in infrared only", "dark")} <= claims(facts)
    rgb[40:42, 4:60] = 20
    line = next(s for s in statements_of(facts) if s.kind == "line in infrared only")
    assert verdict(line, facts) == "supported" and verdict(line, facts_of(infrared, rgb)) == "contradicted"


def test_what_noise_could_turn_is_not_claimed():
    rgb = flat(FIELD)
    rgb[20:44, 20:44] = 200
    faint = np.full((64, 64), 120, np.uint8)
    faint[20:44, 20:44] = 129  # it is brighter, but by less than is claimed
    facts = facts_of(faint, rgb)
    part = next(part for part in facts.parts if part.share < 0.3)
    assert part.infrared.against == "brighter"
    assert not any(s.kind == "part against ring" and s.subject == part for s in statements_of(facts))


@pytest.mark.parametrize(
    ("changes", "fitting"),
    [
        ({}, True),
        ({"tone": "pale"}, False),  # the pond is dark
        ({"tone": "medium"}, True),
        ({"hue": "green"}, False),
        ({"hue": "neutral"}, True),  # nearly black: it hardly has a hue
        ({"hue": "neutral", "tone": "medium"}, False),
        ({"place": "north-west"}, True),  # its centre is where it was
        ({"centre": (0.1, 0.1)}, True),  # it is named as it was
        ({"place": "north-west", "centre": (0.1, 0.1)}, False),
    ],
)
def test_a_part_answers_to_the_description_of_another(changes, fitting):
    teal = next(part for part in facts_of(*scene()).parts if part.hue == "teal")
    pond = replace(teal, tone="dark")
    assert fits(pond, replace(pond, **changes)) == fits(replace(pond, **changes), pond) == fitting


def test_parts_of_much_the_same_size_fit_and_two_without_a_hue_by_their_tone():
    pond = next(part for part in facts_of(*scene()).parts if part.hue == "teal")
    shares = [fits(pond, replace(pond, share=factor * pond.share)) for factor in (0.1, 0.6, 1, 1.6, 10)]
    assert shares == [False, True, True, True, False]
    grey = replace(pond, hue="neutral", tone="medium")
    assert fits(grey, grey) and not fits(grey, replace(grey, tone="dark"))
