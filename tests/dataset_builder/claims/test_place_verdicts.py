import numpy as np
import pytest

from dataset_builder.claims.grounding import measure
from dataset_builder.claims.image_view import View
from dataset_builder.claims.place_verdicts import (
    judge_bright,
    judge_brightest,
    judge_compare,
    judge_dark,
    judge_darkest,
)
from tests.dataset_builder.claims.test_grounding import cells_image

RIGHT, WRONG, OPEN = "supported", "contradicted", "unverifiable"


def both_ways(bright, dark, value, image):
    """The verdict on brightness, which must be that on darkness of the inverted image."""
    verdict = bright(value, View(measure(image)))
    assert dark(value, View(measure(255 - image))) == verdict
    return verdict


@pytest.mark.parametrize(
    ("place", "verdict"),
    [
        ("east", RIGHT),
        ("east side", RIGHT),
        ("east half", RIGHT),
        ("north-east", OPEN),  # in the half of the corner lies half of the brightest
        ("west", WRONG),
        ("centre", WRONG),
        ("south-west", WRONG),
        ("west half", WRONG),
    ],
)
def test_the_brightest_place_is_the_measured_cell_and_what_holds_it(place, verdict):
    image = cells_image([100, 100, 100, 100, 100, 220, 100, 100, 100])
    assert both_ways(judge_brightest, judge_darkest, place, image) == verdict


def test_of_a_flat_image_no_place_is_the_brightest():
    flat = np.full((48, 48), 100, np.uint8)
    assert both_ways(judge_brightest, judge_darkest, "north", flat) == OPEN


def test_a_place_that_is_as_bright_as_the_first_is_right_where_it_holds_some_of_the_extremes():
    image = cells_image([160, 100, 100, 100, 100, 100, 100, 100, 161])
    assert both_ways(judge_brightest, judge_darkest, "north-west", image) == OPEN  # none of the brightest pixels
    image[:16, :16] = 158
    image[2:7, 2:10] = 170  # a seventh of the brightest; the mean stays a level behind, of a spread of 61
    assert both_ways(judge_brightest, judge_darkest, "north-west", image) == RIGHT
    image[:16, :16] = 157
    assert both_ways(judge_brightest, judge_darkest, "north-west", image) == WRONG


@pytest.mark.parametrize(
    ("value", "verdict"),
    [
        ("north-west", RIGHT),
        ("south-east", WRONG),
        ("no: south-east", RIGHT),
        ("no: north-west", WRONG),
        ("all: north-west", RIGHT),
        ("all: south-east", WRONG),
        ("line: north-west", OPEN),  # its course may be wrong
        ("line: south-east", WRONG),
        ("north half", RIGHT),
    ],
)
def test_a_bright_place_is_where_it_is(value, verdict):
    image = cells_image([200, 90, 90, 90, 90, 90, 90, 90, 60])
    assert both_ways(judge_bright, judge_dark, value, image) == verdict


@pytest.mark.parametrize(("level", "verdict"), [(164, WRONG), (165, OPEN), (189, OPEN), (190, RIGHT), (230, RIGHT)])
def test_white_is_nearly_white(level, verdict):
    image = cells_image([level, 90, 90, 90, 90, 90, 90, 90, 90])
    assert judge_bright("white: north-west", View(measure(image))) == verdict


@pytest.mark.parametrize(("level", "verdict"), [(65, WRONG), (64, OPEN), (53, OPEN), (52, RIGHT), (10, RIGHT)])
def test_black_is_nearly_black(level, verdict):
    image = cells_image([level, 190, 190, 190, 190, 190, 190, 190, 190])
    assert judge_dark("black: north-west", View(measure(image))) == verdict


@pytest.mark.parametrize(("rows", "verdict"), [(10, RIGHT), (9, OPEN), (7, OPEN), (6, WRONG)])
def test_all_of_a_place_is_white_from_six_tenths_of_its_pixels_on(rows, verdict):
    image = np.full((48, 48), 60, np.uint8)
    image[:rows, :16] = 230  # of 16 rows
    assert judge_bright("all: white: north-west", View(measure(image))) == verdict


@pytest.mark.parametrize(("difference", "verdict"), [(4, RIGHT), (3, RIGHT), (2, OPEN), (-2, OPEN), (-4, WRONG)])
def test_two_places_are_compared_by_their_means_in_shares_of_the_spread(difference, verdict):
    image = cells_image([120, 120, 120] + [120 - 100, 120, 120 + 0] + [120 - difference] * 3)
    image[16:32, 32:] = 20 + 100  # the spread is 100: from the dark cell to the others
    view = View(measure(image))
    assert view.scale == pytest.approx(100, abs=4)
    assert judge_compare("north > south", view) == verdict
    turned = {RIGHT: WRONG, WRONG: RIGHT, OPEN: OPEN}[verdict]
    assert judge_compare("south > north", view) == turned or abs(difference) == 3


def test_of_a_contrasting_image_a_place_must_stand_out_by_a_tenth_of_the_spread():
    image = cells_image([100, 100, 113, 100, 0, 100, 100, 100, 230])  # eight above the mean, of a spread of 230
    assert both_ways(judge_bright, judge_dark, "north-east", image) == OPEN  # brighter than five sixths of the image
    image = cells_image([100, 100, 113, 100, 90, 100, 100, 100, 110])
    assert both_ways(judge_bright, judge_dark, "north-east", image) == RIGHT
