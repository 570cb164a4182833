import itertools

import pytest

from dataset_builder.claims.grounding import LEVEL_BORDERS, LEVELS
from dataset_builder.claims.zones import (
    CONTRAST_WORDS,
    CORRELATION_WORDS,
    EDGE_WORDS,
    GRAIN_WORDS,
    LEVEL_WORDS,
    ROUGHNESS_WORDS,
    SHARE_WORDS,
    SHARPNESS_WORDS,
    classed,
    least,
    most,
    reversed_verdict,
    step,
    zone,
)

RIGHT, WRONG, OPEN = "supported", "contradicted", "unverifiable"


@pytest.mark.parametrize(
    ("value", "verdict"),
    [(9, WRONG), (10, WRONG), (10.1, OPEN), (19.9, OPEN), (20, RIGHT), (30, RIGHT), (30.1, OPEN), (40, WRONG)],
)
def test_a_zone_is_right_between_its_inner_borders_and_wrong_from_the_outer_ones_on(value, verdict):
    assert zone(value, (10, 20, 30, 40)) == verdict


@pytest.mark.parametrize(("value", "verdict"), [(0.9, WRONG), (1, OPEN), (1.9, OPEN), (2, RIGHT), (3, RIGHT)])
def test_a_step_is_wrong_below_its_first_border_and_right_from_the_second_on(value, verdict):
    assert step(value, (1, 2)) == verdict


def test_a_value_is_of_the_class_between_two_borders():
    for value, name in ((79.9, "very dark"), (80, "dark"), (114.9, "dark"), (145, "bright"), (185, "very bright")):
        assert [classed(level, LEVELS, value, LEVEL_BORDERS) for level in LEVELS] == [name == own for own in LEVELS]
    assert not classed("not dark", LEVELS, 200, LEVEL_BORDERS)


def test_verdicts_are_joined_by_the_worst_the_best_and_turned_round():
    order = (WRONG, OPEN, RIGHT)
    for one, other in itertools.product(order, repeat=2):
        ranks = order.index(one), order.index(other)
        assert (least(one, other), most(one, other)) == (order[min(ranks)], order[max(ranks)])
    assert [reversed_verdict(verdict) for verdict in order] == [RIGHT, OPEN, WRONG]


@pytest.mark.parametrize(
    "words",
    [
        *(LEVEL_WORDS, CONTRAST_WORDS, GRAIN_WORDS, ROUGHNESS_WORDS, SHARPNESS_WORDS, EDGE_WORDS, SHARE_WORDS),
        CORRELATION_WORDS,
    ],
)
def test_every_zone_lies_within_its_outer_borders(words):
    for wrong_below, right_from, right_to, wrong_above in words.values():
        assert wrong_below <= right_from < right_to <= wrong_above


def test_a_stronger_word_asks_for_more_and_a_denial_leaves_out_what_is_denied():
    for weak, strong in (("dark", "very dark"), ("low", "very low"), ("very low", "none")):
        words = LEVEL_WORDS if weak in LEVEL_WORDS else CONTRAST_WORDS
        assert words[strong][2] < words[weak][2] and words[strong][3] < words[weak][3]
    for weak, strong in (("bright", "very bright"), ("high", "very high")):
        words = LEVEL_WORDS if weak in LEVEL_WORDS else CONTRAST_WORDS
        assert words[strong][0] > words[weak][0] and words[strong][1] > words[weak][1]
    for tone, clear in (("dark", 160), ("bright", 90)):
        denied = zone(clear, LEVEL_WORDS[f"not {tone}"])
        assert (zone(clear, LEVEL_WORDS[tone]), denied) == (WRONG, RIGHT)
    assert CORRELATION_WORDS["follows closely"][0] > CORRELATION_WORDS["follows"][0]
