import numpy as np
import pytest

from dataset_builder.claims.grounding import CELLS, measure
from dataset_builder.claims.image_view import View, place_mask, siblings, sided


@pytest.mark.parametrize(
    ("place", "rows", "columns"),
    [
        ("north", (0, 16), (0, 48)),
        ("south side", (32, 48), (0, 48)),
        ("west", (0, 48), (0, 16)),
        ("east half", (0, 48), (24, 48)),
        ("north half", (0, 24), (0, 48)),
        ("south half", (24, 48), (0, 48)),
        ("north-west", (0, 16), (0, 16)),
        ("north-east", (0, 16), (32, 48)),
        ("south-west half", (24, 48), (0, 24)),
        ("south-east", (32, 48), (32, 48)),
        ("centre", (16, 32), (16, 32)),
    ],
)
def test_a_place_is_a_third_or_half_of_the_rows_and_columns_it_names(place, rows, columns):
    expected = np.zeros((48, 48), bool)
    expected[slice(*rows), slice(*columns)] = True
    np.testing.assert_array_equal(place_mask(place), expected)


def test_margins_are_all_but_the_centre():
    np.testing.assert_array_equal(place_mask("margins"), ~place_mask("centre"))


def test_a_place_is_compared_with_those_of_its_size():
    assert siblings("north half") == ("north half", "south half")
    assert siblings("east half") == ("east half", "west half")
    assert set(siblings("west side")) == {"north side", "south side", "west side", "east side"}
    assert siblings("margins") == ("centre", "margins")
    assert siblings("north-west") == siblings("centre") == CELLS
    assert [sided(place) for place in ("north", "north-west", "centre")] == ["north side", "north-west", "centre"]


def test_a_view_holds_the_grids_that_were_measured():
    rng = np.random.default_rng(0)
    infrared, rgb = rng.integers(0, 256, (48, 48), np.uint8), np.full((48, 48, 3), 90, np.uint8)
    rgb[3, 5], rgb[40:] = (90, 200, 90), (20, 20, 20)
    view = View(measure(infrared, rgb))
    np.testing.assert_array_equal(view.grey, infrared)
    assert view.luminance[0, 0] == 90 and view.luminance[47, 0] == 20 and view.luminance[3, 5] > 90
    assert view.colours[3, 5] == 1 and view.colours[0, 0] == 0
    assert view.scale == view.facts.spread > 200
    assert View(measure(np.full((48, 48), 9, np.uint8))).scale == 12  # noise is no contrast
    assert View(measure(infrared)).luminance is None
    for value in (0, 17, 128, 255, 40.5):
        rank = ((infrared < value).sum() + (infrared == value).sum() / 2) / infrared.size
        assert view.rank(value) == pytest.approx(rank)
