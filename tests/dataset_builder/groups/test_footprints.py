import itertools

import numpy as np
import pytest

from dataset_builder.groups import footprints
from dataset_builder.groups.footprints import footprint_components

NOWHERE = [np.nan] * 4


def shares(one, other):
    """Whether two rectangles have more than half of the smaller one in common."""
    sides = np.minimum(one[2:], other[2:]) - np.maximum(one[:2], other[:2])
    smaller = min((box[2:] - box[:2]).prod() for box in (one, other))
    real = all((box[2:] > box[:2]).all() for box in (one, other))
    return bool(real and (sides > 0).all() and sides.prod() > smaller / 2)


def on_both_sides(box):
    """A box of degrees as it is, and seen from the other side of the 180th meridian."""
    box = box + (np.array([0, 0, 360, 0]) if box[2] < box[0] else 0)
    return [box, box - np.array([360, 0, 360, 0])]


def by_brute_force(scenes, tiles, boxes):
    labels = np.arange(len(scenes))
    for one, other in itertools.combinations(range(len(scenes)), 2):
        if scenes[one] == scenes[other] >= 0:
            near = shares(tiles[one], tiles[other])
        else:
            near = any(
                shares(*pair) for pair in itertools.product(on_both_sides(boxes[one]), on_both_sides(boxes[other]))
            )
        if near:
            labels[labels == labels[other]] = labels[one]
    return labels


def assert_same_partition(found, expected):
    assert len({*zip(found.tolist(), expected.tolist())}) == len(set(found.tolist())) == len(set(expected.tolist()))


@pytest.mark.parametrize(("seed", "pending"), [(0, 3), (1, 3), (2, 1 << 20), (3, 1 << 20)])
def test_components_are_those_of_a_brute_force(seed, pending, monkeypatch):
    monkeypatch.setattr(footprints, "PENDING", pending)
    rng = np.random.default_rng(seed)
    count = 70
    low = rng.integers(0, 30, (count, 2))
    tiles = np.c_[low, low + rng.choice([0, 2, 3, 6, 12], (count, 2))].astype(float)
    west = rng.integers(-180, 180, count) if seed % 2 else rng.integers(160, 180, count)
    south = rng.integers(-20, 20, count)
    east = west + rng.integers(1, 15, count)
    boxes = np.c_[west, south, np.where(east > 180, east - 360, east), south + rng.integers(1, 15, count)].astype(
        float
    )
    scenes = rng.integers(-1, 3, count)
    tiles[scenes < 0], boxes[rng.random(count) < 0.2] = np.nan, np.nan
    copies = rng.integers(0, count, 24)  # equal footprints, some of another scene
    tiles, boxes, scenes = (np.concatenate([part, part[copies]]) for part in (tiles, boxes, scenes))
    scenes[-12:] = rng.integers(-1, 3, 12)
    tiles[scenes < 0] = np.nan
    found = footprint_components(scenes, tiles, boxes)
    assert found.dtype == np.int32
    np.testing.assert_array_equal(found[found], found)
    assert_same_partition(found, by_brute_force(scenes, tiles, boxes))
    assert 10 < len(set(found.tolist())) < count


@pytest.mark.parametrize(
    ("scenes", "tiles", "boxes", "joined"),
    [
        ((0, 0), ([0, 0, 10, 10], [0, 5, 10, 15]), (NOWHERE, NOWHERE), False),  # exactly half
        ((0, 0), ([0, 0, 10, 10], [0, 4.9, 10, 14.9]), (NOWHERE, NOWHERE), True),
        ((0, 1), ([0, 0, 10, 10], [0, 0, 10, 10]), (NOWHERE, NOWHERE), False),  # pixels of two scenes
        ((0, 0), ([0, 0, 10, 10], [20, 0, 30, 10]), ([0, 0, 1, 1], [0, 0, 1, 1]), False),  # by their tiles alone
        ((0, 1), ([0, 0, 10, 10], [20, 0, 30, 10]), ([0, 0, 1, 1], [0, 0, 1, 1]), True),
        ((-1, -1), (NOWHERE, NOWHERE), ([0, 0, 1, 1], [0, 0, 1, 1]), True),
        ((-1, -1), (NOWHERE, NOWHERE), ([179, 0, -179, 2], [-180, 0, -179, 2]), True),
        ((-1, -1), (NOWHERE, NOWHERE), ([179, 0, -179, 2], [178, 0, 179, 2]), False),
        ((-1, -1), (NOWHERE, NOWHERE), ([0, 0, 0, 2], [0, 0, 0, 2]), False),  # no area
        ((-1, -1), (NOWHERE, NOWHERE), ([0, 0, 100, 100], [40, 40, 41, 41]), True),  # the smaller one counts
    ],
)
def test_two_footprints_join_by_more_than_half_of_the_smaller(scenes, tiles, boxes, joined):
    for order in ([0, 1], [1, 0]):
        given = (np.array(values, kind)[order] for values, kind in ((scenes, int), (tiles, float), (boxes, float)))
        assert (len(set(footprint_components(*given).tolist())) == 1) == joined


def test_no_rows_have_no_components():
    none = np.empty((0, 4))
    assert footprint_components(np.empty(0, int), none, none).shape == (0,)
