import numpy as np
import pytest

from dataset_builder.claims.grounding import measure
from dataset_builder.claims.image_view import View, place_mask
from dataset_builder.claims.thing_masks import FEATURES, Sight, _beside, place_masks, places_masks, ring_of
from dataset_builder.claims.thing_places import concentrated
from dataset_builder.claims.things import Thing

RIGHT, WRONG, OPEN = "supported", "contradicted", "unverifiable"


def sight_of(colour):
    """A grey image whose upper third has a colour, and the same of the infrared."""
    rgb = np.full((48, 48, 3), 110, np.uint8)
    rgb[:16] = colour
    return Sight(View(measure(np.full((48, 48), 90, np.uint8), rgb)))


@pytest.mark.parametrize(
    ("colour", "high", "low"),
    [
        ((110, 160, 110), {"green", "chroma", "luminance"}, {"pink"}),
        ((170, 110, 60), {"warm", "chroma", "pink"}, {"blue", "teal"}),
        ((60, 110, 180), {"blue", "chroma"}, {"warm", "pink", "luminance"}),
        ((60, 130, 130), {"teal", "chroma"}, {"warm", "pink"}),
        ((200, 200, 200), {"luminance"}, set()),
    ],
)
def test_features_rise_and_fall_with_the_colour(colour, high, low):
    looks = sight_of(colour).looks
    features = {name: looks.feature(name) for name in FEATURES}
    steps = {name: float(feature[8, 24] - feature[40, 24]) for name, feature in features.items()}
    assert all(steps[name] > 0.9 for name in high), steps
    assert all(steps[name] < -0.9 for name in low), steps
    assert all(np.abs(feature).max() <= 2.5 for feature in features.values())
    assert features["rough"][16, 24] > features["rough"][40, 24]  # only the border is rough


def test_a_thing_is_found_by_its_look_where_no_part_is_measured():
    rgb = np.random.default_rng(0).integers(0, 256, (48, 48, 3), np.uint8)
    sight = Sight(View(measure(rgb[..., 0].copy(), rgb)))
    assert sight.looks.parts.shape == (0, 48, 48)  # noise has none
    masks = sight.masks(Thing(colours=("green",), places=("centre",)))
    assert masks and all(mask.any() and not mask[:8].any() for mask in masks)


def test_the_rgb_is_seen_on_the_working_grid():
    rgb = np.random.default_rng(0).integers(0, 256, (96, 96, 3), np.uint8)
    found = Sight(View(measure(rgb[..., 0].copy(), rgb))).rgb
    by_hand = rgb.reshape(48, 2, 48, 2, 3).astype(float).mean((1, 3))
    assert found.shape == (48, 48, 3) and np.abs(found - by_hand).max() <= 1  # rounded down each axis


def test_a_place_has_a_strict_mask_inside_of_a_tolerant_one():
    for place in ("north", "north side", "south-east", "centre", "west half", "margins"):
        strict, tolerant = place_masks(place)
        assert strict.any() and (tolerant | strict).sum() == tolerant.sum() >= strict.sum(), place
    np.testing.assert_array_equal(place_masks("south-east")[0], place_mask("south-east"))
    both = places_masks(["north-west", "south-east"])
    for mask, one, other in zip(both, place_masks("north-west"), place_masks("south-east"), strict=True):
        np.testing.assert_array_equal(mask, one | other)


def test_what_is_concentrated_lies_there_more_than_elsewhere():
    likeness = np.zeros((48, 48))
    likeness[:16, :16] = 1  # a ninth of the image, of the 15 % that are taken
    found = [concentrated(likeness, [place], "") for place in ("north-west", "north side", "south-east", "south side")]
    assert found == [RIGHT, RIGHT, WRONG, WRONG]
    assert concentrated(np.zeros((48, 48)), ["north-west"], "") == OPEN  # nothing is more like it than all else


SUBJECT = np.zeros((48, 48), bool)
SUBJECT[20:28, 20:28] = True  # its middle lies at 23.5
EVERYWHERE = np.ones((48, 48), bool)


@pytest.mark.parametrize(
    ("beside", "inside", "outside"),
    [
        # Within a fifth of the grid, 9 pixels, but not next to it.
        ("around", [(18, 24), (11, 24), (24, 36), (28 + 1, 24)], [(19, 24), (10, 24), (24, 37), (24, 24), (0, 0)]),
        ("rest", [(18, 24), (10, 24), (0, 0), (47, 47)], [(19, 24), (24, 28), (24, 24)]),
        ("north", [(21, 0), (21, 47), (0, 24)], [(22, 0), (21, 24), (47, 24)]),
        ("south", [(26, 0), (47, 24)], [(25, 0), (26, 24), (0, 24)]),
        ("west", [(0, 21), (47, 0)], [(0, 22), (24, 21), (24, 47)]),
        ("east", [(0, 26), (47, 47)], [(0, 25), (24, 26), (24, 0)]),
        ("south-west", [(26, 0), (47, 47)], [(25, 0)]),  # by its first part
        ("", [(24, 24), (0, 0)], []),
        ("somewhere", [(24, 24), (0, 0)], []),
    ],
)
def test_beside_a_subject_is_where_its_side_or_its_surroundings_are(beside, inside, outside):
    found = _beside(EVERYWHERE, beside, SUBJECT)
    assert [place for place in inside if not found[place]] == [] and [place for place in outside if found[place]] == []
    half = EVERYWHERE.copy()
    half[:, :24] = False
    assert np.array_equal(_beside(half, beside, SUBJECT), found & half)
    assert np.array_equal(_beside(half, beside, None), half)


def test_a_ring_leaves_out_the_border_and_is_as_wide_as_asked():
    """City-block distances 2 to 6, and 2 to 4."""
    ring, narrow = ring_of(SUBJECT), ring_of(SUBJECT, 3)
    assert [bool(ring[row, 24]) for row in (13, 14, 18, 19, 20)] == [False, True, True, False, False]
    assert [bool(narrow[row, 24]) for row in (15, 16, 18, 19)] == [False, True, True, False]
