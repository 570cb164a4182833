import itertools

import numpy as np
import pytest

from dataset_builder.claims.pair_facts import Standing
from dataset_builder.claims.pair_standing import Tones, against, change_of, compared, counted, ring_of


def test_auc_and_step_are_those_of_all_pairs_of_pixels_ties_counting_half():
    rng = np.random.default_rng(0)
    inside, around = rng.integers(90, 130, 40, np.uint8), rng.integers(80, 120, 70, np.uint8)
    wins = [float(a > b) + (a == b) / 2 for a, b in itertools.product(inside.tolist(), around.tolist())]
    auc, step = compared(counted(inside), counted(around))
    assert auc == pytest.approx(np.mean(wins)) and step == pytest.approx(inside.mean() - around.mean())
    nothing = counted(inside[:0])
    assert compared(counted(inside), nothing) == compared(nothing, counted(around)) == (0.5, 0.0)
    assert compared(counted(inside), counted(inside)) == pytest.approx((0.5, 0))


def test_a_rank_is_the_share_of_all_pixels_below_with_half_of_the_equal_ones():
    tones = Tones(np.array([[0, 0, 10, 20, 200]], np.uint8))
    assert [tones.rank_of[grey] for grey in (0, 10, 20, 200)] == pytest.approx([0.2, 0.5, 0.7, 0.9])
    assert tones.median == 10
    found = tones.standing_of(counted(np.array([0, 20], np.uint8)), counted(np.array([10], np.uint8)))
    assert (found.mean, found.rank, found.auc, found.step) == pytest.approx((10, 0.45, 0.5, 0))


def uniform():
    """Every grey level once: a level's rank is (level + 0.5) / 256, the median 127."""
    return Tones(np.arange(256, dtype=np.uint8))


@pytest.mark.parametrize(
    ("level", "tone"),
    [
        (76, "dark"),
        (77, None),
        (101, None),
        (102, "medium"),
        (153, "medium"),
        (154, None),
        (178, None),
        (179, "bright"),
    ],
)
def test_tones_are_ranks_among_all_pixels(level, tone):
    values = counted(np.array([level], np.uint8))
    assert uniform().standing_of(values, values).tone == tone


@pytest.mark.parametrize(("step", "tones"), [(8, ("dark", "bright")), (7, (None, None))])
def test_a_dark_or_bright_tone_is_eight_levels_from_the_median(step, tones):
    grey = np.full(100, 100, np.uint8)
    grey[:10], grey[10:20] = 100 - step, 100 + step
    image = Tones(grey)
    found = [image.standing_of(counted(grey[part]), counted(grey)).tone for part in (np.s_[:10], np.s_[10:20])]
    assert tuple(found) == tones


@pytest.mark.parametrize(
    ("auc", "step", "expected"),
    [
        (0.75, 8, "brighter"),
        (0.749, 8, None),
        (0.75, 7.9, None),
        (0.25, -8, "darker"),
        (0.251, -8, None),
        (0.25, -7.9, None),
        (0.62, 6, "level"),
        (0.38, -6, "level"),
        (0.621, 6, None),
        (0.379, 0, None),
        (0.5, 6.1, None),
        (0.5, -6.1, None),
        (0.8, -9, None),  # brighter by pairs, darker by the mean
    ],
)
def test_what_stands_out_does_so_by_pairs_and_by_the_mean(auc, step, expected):
    assert against(auc, step) == expected


def test_the_ring_is_five_pixels_wide_and_leaves_out_the_border():
    mask = np.zeros((48, 48), bool)
    mask[20:23, 10:12] = True
    expected = np.zeros((48, 48), bool)
    expected[14:29, 4:18] = True  # six pixels to each side
    expected[19:24, 9:13] = False  # but the first
    np.testing.assert_array_equal(ring_of(mask), expected)
    assert not (ring_of(mask) & mask).any()


@pytest.mark.parametrize(
    ("rgb", "infrared", "change"),
    [
        ("darker", "darker", "kept"),
        ("darker", "brighter", "reversed"),
        ("brighter", "darker", "reversed"),
        ("darker", "level", "lost"),
        ("level", "brighter", "gained"),
        ("level", "level", None),
        (None, "darker", None),
        ("darker", None, None),
    ],
)
def test_a_change_tells_how_what_stands_out_in_one_image_stands_in_the_other(rgb, infrared, change):
    tones = {"darker": "dark", "brighter": "bright", "level": "medium", None: None}
    one, other = (Standing(0, 0, 0, 0, tones[name], name) for name in (rgb, infrared))
    assert (change_of(one, other).tone, change_of(one, other).ring) == (change, change)
