import numpy as np
import pytest

from dataset_builder.splits import SplitPolicy, assign_splits, representatives


def assign(prescribed, groups, **policy):
    return assign_splits({"_split": prescribed}, groups, SplitPolicy(**policy))


def test_prescribed_splits_hold():
    splits, reasons = assign(["train", "test", "validation"], ["a", "b", "c"])
    assert splits == ["train", "test", "validation"]
    assert reasons == [None] * 3


@pytest.mark.parametrize(
    ("regions", "kept"),
    [(("train", "test"), "test"), (("validation", "train"), "validation"), (("test", "validation"), "test")],
)
def test_a_group_in_two_regions_keeps_the_more_held_out_one(regions, kept):
    splits, reasons = assign(list(regions), ["a", "a"])
    assert splits == [kept if region == kept else None for region in regions]
    assert reasons == [None if region == kept else "split_group" for region in regions]


def test_rows_without_a_region_follow_their_group():
    assert assign([None, "test", None], ["a", "a", "b"], validation=0, test=0)[0] == ["test", "test", "train"]


def test_drawn_splits_hold_whole_groups_and_hit_their_targets():
    groups = [f"g{index // 3}" for index in range(300)] + [f"single{index}" for index in range(100)]
    splits, reasons = assign([None] * 400, groups, by="hash", validation=0.1, test=50)
    assert set(reasons) == {None}
    assert splits.count("test") == 50
    assert splits.count("validation") == 40
    for name in set(groups):
        assert len({split for split, own in zip(splits, groups) if own == name}) == 1


def test_by_hash_ignores_prescribed_splits():
    splits, reasons = assign(["test"] * 10, [f"g{i}" for i in range(10)], by="hash", validation=0, test=0)
    assert splits == ["train"] * 10
    assert reasons == [None] * 10


def test_a_group_larger_than_the_target_stays_in_train():
    assert assign([None] * 10, ["big"] * 9 + ["small"], by="hash", validation=0, test=2)[0] == ["train"] * 9 + ["test"]


def test_the_draw_depends_on_the_salt_and_not_on_row_order():
    groups = [f"g{index}" for index in range(200)]
    order = np.random.default_rng(0).permutation(200)
    first = assign([None] * 200, groups, by="hash")[0]
    again = assign([None] * 200, [groups[i] for i in order], by="hash")[0]
    assert [first[i] for i in order] == again
    assert assign([None] * 200, groups, by="hash", salt="other")[0] != first


@pytest.mark.parametrize(
    ("fields", "message"),
    [
        ({"by": "random"}, "by 'source' or 'hash', got 'random'"),
        ({"test": -1}, "must not be negative"),
        ({"validation": 0.5, "test": 0.5}, "leave rows to train, got 1.0"),
    ],
)
def test_impossible_policies_are_refused(fields, message):
    with pytest.raises(ValueError, match=message):
        SplitPolicy(**fields)


def test_representatives_are_one_per_held_out_group_and_band_sensor_first():
    columns = {
        "sample_id": ["a", "b", "c", "d", "e", "f"],
        "ir_band": ["nir", "nir", "lwir", "nir", "nir", "nir"],
        "ir_origin": ["translated", "sensor", "sensor", "sensor", "translated", "sensor"],
    }
    groups = ["x", "x", "x", "x", "y", "z"]
    splits = ["test", "test", "test", "test", "validation", "train"]
    assert representatives(columns, groups, splits) == [False, True, True, False, True, False]
    splits[1] = None  # left the dataset: the next sensor row stands in
    assert representatives(columns, groups, splits) == [False, False, True, True, True, False]
