"""Verdicts on infrared beside the visible image: images of flat cells and halves, by hand."""

import numpy as np
import pytest

from dataset_builder.claims.grounding import measure
from dataset_builder.claims.image_view import View
from dataset_builder.claims.visible_verdicts import (
    judge_disagreement,
    judge_local_relation,
    judge_object_relation,
    judge_relation,
    judge_visible,
)
from tests.dataset_builder.claims.test_grounding import cells_image, gray_rgb

RIGHT, WRONG, OPEN = "supported", "contradicted", "unverifiable"
RAMP = [60, 70, 80, 90, 100, 110, 120, 130, 140]  # mean 100


def view(infrared, luminance):
    return View(measure(infrared, gray_rgb(luminance)))


@pytest.mark.parametrize(
    ("excess", "brighter", "darker"),
    [(-6, WRONG, RIGHT), (-5, OPEN, RIGHT), (-4, OPEN, OPEN), (4, OPEN, OPEN), (5, RIGHT, OPEN), (6, RIGHT, WRONG)],
)
def test_brighter_than_visible_is_the_mean_by_five_grey_levels(excess, brighter, darker):
    seen = view(cells_image([level + excess for level in RAMP]), cells_image(RAMP))
    assert judge_relation("brighter", seen) == brighter and judge_relation("darker", seen) == darker
    assert judge_relation("not brighter", seen) == darker and judge_relation("not darker", seen) == brighter


def test_the_pattern_of_the_visible_image_is_followed_or_inverted():
    same = view(cells_image(RAMP), cells_image(RAMP))
    inverted = view(200 - cells_image(RAMP), cells_image(RAMP))
    assert judge_relation("follows closely", same) == RIGHT and judge_relation("inverted", same) == WRONG
    assert judge_relation("follows closely", inverted) == WRONG and judge_relation("inverted", inverted) == RIGHT


@pytest.mark.parametrize(
    ("judge", "value"),
    [
        (judge_relation, "brighter"),
        (judge_relation, "inverted"),
        (judge_local_relation, "north brighter"),
        (judge_object_relation, "brighter"),
        (judge_disagreement, "north brighter"),
        (judge_visible, "any, any, north -> bright"),
    ],
)
def test_nothing_is_said_of_a_visible_image_that_is_not_there(judge, value):
    assert judge(value, View(measure(cells_image(RAMP)))) == OPEN


@pytest.mark.parametrize(
    ("value", "verdict"),
    [
        ("north brighter", RIGHT),
        ("north darker", WRONG),
        ("north not brighter", WRONG),
        ("north not darker", RIGHT),
        ("south brighter", WRONG),
        ("south not brighter", RIGHT),
        ("north-east brighter", RIGHT),
        ("centre darker", RIGHT),
        ("north half brighter", RIGHT),  # two thirds of it by 20, the rest by -20
        ("west brighter", WRONG),  # a third of it by 20
    ],
)
def test_a_place_is_beside_the_same_place_of_the_visible_image(value, verdict):
    seen = view(cells_image([120] * 3 + [80] * 6), cells_image([100] * 9))
    assert judge_local_relation(value, seen) == verdict


@pytest.mark.parametrize(("excess", "verdict"), [(-6, WRONG), (-5, OPEN), (4, OPEN), (5, RIGHT)])
def test_a_place_is_brighter_by_five_grey_levels(excess, verdict):
    seen = view(cells_image([100 + excess] + [100] * 8), cells_image([100] * 9))
    assert judge_local_relation("north-west brighter", seen) == verdict
    assert judge_local_relation("north-west not darker", seen) == verdict


@pytest.mark.parametrize(("rows", "verdict"), [(7, WRONG), (8, OPEN), (46, OPEN), (47, RIGHT), (48, RIGHT)])
def test_an_object_is_brighter_where_nearly_all_is_and_what_is_equal_is_not(rows, verdict):
    """Of 48 rows so many: 7/48 < .15, 8/48 > .15, 46/48 < .97, 47/48 > .97."""
    luminance = np.full((48, 48), 100, np.uint8)
    infrared = luminance.copy()
    infrared[:rows] += 1
    assert judge_object_relation("brighter", view(infrared, luminance)) == verdict
    infrared[:rows] -= 2
    assert judge_object_relation("darker", view(infrared, luminance)) == verdict


@pytest.mark.parametrize(
    ("value", "verdict"),
    [
        ("north-east brighter", RIGHT),
        ("north-east darker", WRONG),
        ("north side brighter", RIGHT),  # of its cells one is
        ("south side brighter", WRONG),  # -40/9 = -4.4 each
        ("south side darker", OPEN),  # 4.4 is no disagreement
        ("margins brighter", RIGHT),
        ("centre brighter", WRONG),
        ("north brighter", WRONG),
        ("north not brighter", OPEN),
        ("nowhere brighter", OPEN),
    ],
)
def test_a_place_disagrees_with_the_overall_relation(value, verdict):
    seen = view(cells_image([100, 100, 140] + [100] * 6), cells_image([100] * 9))
    assert judge_disagreement(value, seen) == verdict


HALVES = np.repeat([[200] * 24 + [50] * 24], 48, axis=0).astype(np.uint8)  # bright in the west, dark in the east


@pytest.mark.parametrize(
    ("value", "verdict"),
    [
        ("bright, any, anywhere -> dark", RIGHT),
        ("bright, any, anywhere -> not dark", WRONG),
        ("bright, any, anywhere -> bright", WRONG),
        ("dark, any, anywhere -> bright", RIGHT),
        ("any, any, west -> dark", RIGHT),
        ("any, any, east -> dark", WRONG),
        ("any, any, east -> white", RIGHT),
        ("any, any, west -> black", RIGHT),
        ("any, any, west -> medium", WRONG),
        ("bright, any, anywhere -> darker", RIGHT),
        ("bright, any, anywhere -> brighter", WRONG),
        ("dark, any, anywhere -> brighter", RIGHT),
        ("dark, any, anywhere -> not darker", RIGHT),
        ("dark, any, anywhere -> same", WRONG),
        ("dark, any, anywhere -> brightest", RIGHT),
        ("bright, any, anywhere -> brightest", WRONG),
        ("bright, any, anywhere -> darkest", RIGHT),
        ("any, any, anywhere -> bright", OPEN),  # there are bright pixels, it may be one of them
        ("any, any, anywhere -> medium", WRONG),  # there are none
        ("any, green, anywhere -> bright", OPEN),  # nothing is green
    ],
)
def test_a_part_of_the_visible_image_is_looked_up_in_the_infrared(value, verdict):
    infrared = np.where(HALVES == 200, 40, 240).astype(np.uint8)
    assert judge_visible(value, view(infrared, HALVES)) == verdict


@pytest.mark.parametrize(("apart", "verdict"), [(34, RIGHT), (35, RIGHT), (36, OPEN), (60, OPEN), (61, WRONG)])
def test_as_bright_as_in_the_visible_image_is_by_the_mean_distance(apart, verdict):
    assert judge_visible("bright, any, anywhere -> same", view(np.abs(HALVES - np.uint8(apart)), HALVES)) == verdict


@pytest.mark.parametrize(
    ("value", "verdict"),
    [
        ("any, green, anywhere -> dark", RIGHT),
        ("any, green, anywhere -> bright", WRONG),
        ("any, blue, anywhere -> dark", OPEN),
        ("bright, green, anywhere -> dark", RIGHT),
        ("bright, blue, anywhere -> bright", RIGHT),  # nothing is blue: of all that is bright
    ],
)
def test_a_part_that_has_a_colour_is_where_the_colour_is(value, verdict):
    rgb = np.repeat(np.full((48, 48, 1), 180, np.uint8), 3, axis=2)
    rgb[:, :16] = 20, 120, 20
    infrared = np.full((48, 48), 220, np.uint8)
    infrared[:, :16] = 30
    assert judge_visible(value, View(measure(infrared, rgb))) == verdict
