import itertools
from collections import Counter

import pytest

from dataset_builder.sources.scene_grid import Grid
from fusionrs_hf.errors import InputError


def test_cells_have_a_gap_between_them_and_each_split_its_share():
    regions = Grid(validation=0.2, test=0.1, cell_px=128, margin_px=32).regions((640, 640), 64, "scene")
    assert Counter(region.split for region in regions) == {"train": 11, "validation": 3, "test": 2}  # of 4 x 4
    assert {region.rows for region in regions} == {(start, start + 128) for start in (0, 160, 320, 480)}
    assert all(a.gap_px(b) >= 32 for a, b in itertools.combinations(regions, 2))


def test_the_draw_is_the_scene_s_and_the_seed_s():
    grid = [Grid(seed=seed).regions((2000, 2000), 64, name) for seed, name in ((0, "a"), (0, "a"), (1, "a"), (0, "b"))]
    splits = [[region.split for region in regions] for regions in grid]
    assert splits[0] == splits[1] and splits[0] != splits[2] and splits[0] != splits[3]


def test_cells_follow_the_scene_s_size_where_none_is_given():
    regions = Grid().regions((1000, 2000), 64, "scene")
    assert {region.rows for region in regions} == {(0, 320), (352, 672), (704, 1000)}  # (2000 / 5 - 32) in tiles of 64
    assert {region.split for region in regions} == {"train", "validation", "test"}


@pytest.mark.parametrize("shape", [(64, 64), (64, 200)])
def test_a_scene_too_small_for_a_cell_of_each_split_is_refused(shape):
    with pytest.raises(InputError, match="cells of 64 px, which is not enough for train and test and validation"):
        Grid().regions(shape, 64, "scene")


@pytest.mark.parametrize("wrong", [{"test": -0.1}, {"validation": 0.5, "test": 0.5}, {"cell_px": 0}, {"seed": True}])
def test_values_that_cannot_be_are_refused(wrong):
    with pytest.raises(ValueError, match="must be"):
        Grid(**wrong)
