import hashlib
import logging

import numpy as np
import pyarrow as pa
import pytest

from dataset_builder.groups import splits
from dataset_builder.groups.grouping import Groups
from dataset_builder.groups.splits import (
    REASONS,
    SplitPolicy,
    asked_splits,
    assign_splits,
    below_minimum,
    representatives,
)
from dataset_builder.schema import SPLITS
from fusionrs_hf.errors import InputError


def groups_of(names, components=()):
    """Groups as `group` gives them: labels in the order of the rows, ids that the members alone decide."""
    ids = pa.array([f"joint-group:{hashlib.sha256(name.encode()).hexdigest()[:24]}" for name in names], pa.string())
    labels = ids.dictionary_encode().indices.to_numpy()
    return Groups(image=labels, joint=labels, image_group_id=ids, joint_group_id=ids, components=list(components))


def assign(prescribed, groups, sources=None, forced=None, components=(), **policy):
    rows = {
        "_split": pa.array(prescribed, pa.string()),
        "_force_train": pa.array(forced or [None] * len(groups), pa.bool_()),
        "source_dataset": pa.array(sources or ["made"] * len(groups), pa.string()),
    }
    return assign_splits(pa.table(rows), groups_of(groups, components), SplitPolicy(**policy))


def named(assigned):
    """Splits of the rows by name; of those that left the reason, in brackets."""
    return [SPLITS[code] if code >= 0 else f"({REASONS[code]})" for code in assigned.split.tolist()]


def test_prescribed_splits_hold():
    assert named(assign(["train", "test", "validation"], ["a", "b", "c"])) == ["train", "test", "validation"]


@pytest.mark.parametrize(
    ("regions", "kept"),
    [(("train", "test"), "test"), (("validation", "train"), "validation"), (("test", "validation"), "test")],
)
def test_a_group_in_two_regions_keeps_the_more_held_out_one(regions, kept):
    found = assign(list(regions), ["a", "a"])
    assert named(found) == [kept if region == kept else "(split_group)" for region in regions]
    assert found.report["left"] == {"split_group": 1, "split_forced_train": 0}


def test_rows_without_a_region_follow_their_group():
    assert named(assign([None, "test", None], ["a", "a", "b"], validation=0, test=0)) == ["test", "test", "train"]


def test_drawn_splits_hold_whole_groups_and_hit_their_targets():
    groups = [f"g{index // 3}" for index in range(300)] + [f"single{index}" for index in range(100)]
    found = assign([None] * 400, groups, by="hash", validation=0.1, test=50)
    splits = named(found)
    assert (splits.count("test"), splits.count("validation")) == (50, 40)
    for name in set(groups):
        assert len({split for split, own in zip(splits, groups) if own == name}) == 1
    assert found.report["targets"] == {
        "validation": {"wanted": 40, "rows": 40, "difference": 0},
        "test": {"wanted": 50, "rows": 50, "difference": 0},
    }
    assert found.report["sources"] == {"made": {"train": 310, "validation": 40, "test": 50}}


def test_a_target_that_whole_groups_cannot_give_is_reported(caplog):
    with caplog.at_level(logging.WARNING):
        found = assign([None] * 40, [f"g{index // 4}" for index in range(40)], by="hash", validation=0, test=9)
    assert found.report["targets"]["test"] == {"wanted": 9, "rows": 8, "difference": -1}
    assert "whole groups give test 8 rows, not 9" in caplog.text


def test_shares_are_of_the_rows_without_a_prescribed_split():
    found = assign(["test"] * 60 + [None] * 40, [str(index) for index in range(100)], validation=0.25, test=0.05)
    assert [named(found).count(split) for split in SPLITS] == [28, 10, 62]


def test_by_hash_ignores_prescribed_splits():
    found = assign(["test"] * 10, [f"g{i}" for i in range(10)], by="hash", validation=0, test=0)
    assert named(found) == ["train"] * 10


def test_a_group_larger_than_the_target_stays_in_train():
    found = assign([None] * 10, ["big"] * 9 + ["small"], by="hash", validation=0, test=2)
    assert named(found) == ["train"] * 9 + ["test"]


def test_a_forced_row_takes_its_group_to_train():
    found = assign([None] * 4, ["a", "a", "b", "c"], forced=[None, True, False, None], by="hash", test=2, validation=0)
    assert named(found) == ["train", "train", "test", "test"]
    assert found.report["forced"] == {"rows": 1, "groups": 1, "group_rows": 2}


def test_rows_prescribed_to_be_held_out_leave_a_forced_group():
    found = assign(
        ["test", "train", None, "validation", "test"], ["a"] * 4 + ["b"], forced=[None, None, True, None, None]
    )
    assert named(found) == ["(split_forced_train)", "train", "train", "(split_forced_train)", "test"]
    assert found.report["left"] == {"split_group": 0, "split_forced_train": 2}
    assert named(assign(["test"], ["a"], forced=[True])) == ["(split_forced_train)"]
    assert named(assign(["test"], ["a"], forced=[True], by="hash")) == ["train"]


def test_minima_count_what_is_prescribed_and_come_before_the_rest():
    sources = ["much"] * 200 + ["little"] * 12
    prescribed = [None] * 200 + ["test"] * 4 + [None] * 8
    found = assign(prescribed, [str(index) for index in range(212)], sources, validation=10, test=10, min_per_source=5)
    assert found.report["sources"]["little"] == {"train": 2, "validation": 5, "test": 5}
    assert found.report["below_minimum"] == []
    assert [target["difference"] for target in found.report["targets"].values()] == [0, 0]


def test_a_source_below_its_minimum_is_named(caplog):
    sources = ["much"] * 50 + ["little"] * 3
    with caplog.at_level(logging.WARNING):
        found = assign(
            [None] * 53, [str(i) for i in range(53)], sources, by="hash", validation=9, test=9, min_per_source=2
        )
    assert found.report["below_minimum"] == [{"source": "little", "split": "test", "rows": 1}]
    assert "little has 1 rows in test, below min_per_source: 2" in caplog.text


def test_a_large_component_is_a_warning(caplog):
    large = {"size": 3, "share": 0.03, "relation": "rgb_phash", "merges": {"rgb_phash": 2}, "sample_id": "a0"}
    small = {**large, "size": 1, "share": 0.01}
    with caplog.at_level(logging.WARNING):
        found = assign([None], ["a"], components=[large, small])
    assert found.report["large_components"] == [large]
    assert "the largest joint group holds 3 rows (3.0 %), joined most by rgb_phash, with a0" in caplog.text


def random_rows(rng, count=400):
    groups = [f"g{number}" for number in rng.integers(0, count // 2, count)]
    sources = rng.choice(["a", "b", "c"], count, p=[0.7, 0.25, 0.05]).tolist()
    prescribed = rng.choice([None, "train", "validation", "test"], count, p=[0.85, 0.05, 0.05, 0.05]).tolist()
    return prescribed, groups, sources, (rng.random(count) < 0.02).tolist()


@pytest.mark.parametrize("by", ["source", "hash"])
def test_no_group_is_in_two_splits_whatever_else_is_asked(by):
    for seed in range(20):
        prescribed, groups, sources, forced = random_rows(np.random.default_rng(seed))
        found = assign(
            prescribed, groups, sources, forced, by=by, validation=0.1, test=37, min_per_source=6, salt=str(seed)
        )
        splits = {}
        for split, group, row_forced in zip(named(found), groups, forced):
            if not split.startswith("("):
                assert splits.setdefault(group, split) == split
                assert split == "train" or not row_forced
        assert found.report["targets"]["test"] == {"wanted": 37, "rows": 37, "difference": 0}
        assert sum(found.report["left"].values()) == (found.split < 0).sum()
        assert sum(sum(rows.values()) for rows in found.report["sources"].values()) == (found.split >= 0).sum()
        short = {(item["source"], item["split"]) for item in found.report["below_minimum"]}
        for source, rows in found.report["sources"].items():
            for split in ("validation", "test"):
                assert (rows[split] < 6) == ((source, split) in short)


def test_the_draw_depends_on_the_salt_and_not_on_row_order():
    rows = random_rows(np.random.default_rng(0))
    order = np.random.default_rng(1).permutation(400)
    policy = {"validation": 0.1, "test": 0.2, "min_per_source": 5}
    first = assign(*rows, **policy)
    again = assign(*([column[i] for i in order] for column in rows), **policy)
    assert again.split.tolist() == first.split[order].tolist()
    assert again.report == first.report
    assert assign(*rows, salt="other", **policy).split.tolist() != first.split.tolist()


def test_every_group_is_as_likely_to_be_held_out_under_some_salt():
    names = [str(index) for index in range(40)]
    found = [assign([None] * 40, names, by="hash", validation=0, test=10, salt=str(salt)).split for salt in range(400)]
    held_out = (np.stack(found) == SPLITS.index("test")).mean(axis=0)
    assert abs(held_out - 0.25).max() < 0.1  # 4.6 standard deviations of a mean of 400


def test_no_rows_have_no_splits():
    found = assign([], [], validation=0.5, test=0.1)
    assert len(found.split) == 0
    assert len(representatives({name: [] for name in ("sample_id", "ir_band", "ir_origin")}, [], found.split)) == 0


def test_a_split_that_there_is_not_is_refused():
    with pytest.raises(ValueError, match=r"must be of \['train', 'validation', 'test'\], got \['dev'\]"):
        assign(["dev", "test"], ["a", "b"])


@pytest.mark.parametrize(
    ("fields", "message"),
    [
        ({"by": "random"}, "by 'source' or 'hash', got 'random'"),
        ({"test": -1}, "must not be negative"),
        ({"validation": 0.5, "test": 0.5}, "leave rows to train, got 1.0"),
        ({"min_per_source": -1}, "whole number of rows of at least 0, got -1"),
        ({"min_per_source": 0.5}, "got 0.5"),
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
    assert representatives(columns, groups, splits).tolist() == [False, True, True, False, True, False]
    splits[1] = None  # left the dataset: the next sensor row stands in
    assert representatives(columns, groups, splits).tolist() == [False, False, True, True, True, False]


def test_representatives_are_the_same_for_a_few_groups_as_for_all():
    rng = np.random.default_rng(0)
    count = 300
    joint = rng.integers(0, 60, count)
    splits = rng.integers(-2, 3, 60).astype(np.int8)[joint]
    rows = pa.table(
        {
            "sample_id": [f"s{number:03d}" for number in rng.permutation(count)],
            "ir_band": rng.choice(["nir", "swir", None], count).tolist(),
            "ir_origin": rng.choice(["sensor", "translated"], count).tolist(),
        }
    )
    marked = representatives(rows, joint, splits)
    best = {}
    for index, row in enumerate(rows.to_pylist()):  # the slow way
        if splits[index] in (1, 2):
            rank = (row["ir_origin"] != "sensor", row["sample_id"], index)
            key = (joint[index], row["ir_band"])
            best[key] = min(best.get(key, rank), rank)
    assert np.flatnonzero(marked).tolist() == sorted(rank[2] for rank in best.values())
    few = np.flatnonzero(joint < 7)
    names = [SPLITS[code] if code >= 0 else None for code in splits[few]]
    ids = pa.array([f"joint-group:{label}" for label in joint[few]])
    assert representatives(rows.take(few), ids, names).tolist() == marked[few].tolist()


def test_targets_that_leave_nothing_to_train_are_refused():
    with pytest.raises(InputError, match="validation 1000, test 2 leave no row to train, as 44 rows are drawn"):
        assign([None] * 44, [str(index) for index in range(44)], by="hash", validation=1000, test=2)
    alone = assign([None] * 4, list("abcd"), forced=[True, None, None, None], by="hash", validation=2, test=1)
    assert named(alone).count("train") == 1  # the forced row trains, so the others may all be held out


def test_a_target_below_one_is_a_share_and_from_one_on_a_number_of_rows():
    policy = SplitPolicy(validation=0.25, test=1)
    assert (policy.target("validation", 40), policy.target("test", 40)) == (10, 1)
    assert SplitPolicy(validation=5, test=0.5).target("test", 8) == 4  # one of each is no contradiction
    assert SplitPolicy(validation=0.5, test=0.49).target("validation", 10) == 5
    for fields, message in (
        ({"validation": -0.1}, "must not be negative, got -0.1 and 0.05"),
        ({"min_per_source": True}, "got True"),
        ({"force_train": 3}, "path of a file of sample ids, got 3"),
    ):
        with pytest.raises(ValueError, match=message):
            SplitPolicy(**fields)


def test_rows_that_leave_do_not_count_towards_a_minimum_and_rows_that_follow_do():
    much = [f"much{number}" for number in range(300)]
    prescribed = [None] * 300 + ["test", "validation", "validation", "validation"] + ["validation", None]
    groups = [*much, *["x"] * 4, *["y"] * 2, *[f"little{number}" for number in range(20)]]
    sources = ["much"] * 300 + ["little"] * 26
    found = assign([*prescribed, *[None] * 20], groups, sources, validation=9, test=9, min_per_source=4)
    # Of x one row stays, in test, and three leave: three are drawn. Of y both stay in validation: two are drawn.
    assert found.report["sources"]["little"] == {"train": 15, "validation": 4, "test": 4}
    assert found.report["left"] == {"split_group": 3, "split_forced_train": 0}


def test_targets_of_all_rows_that_are_drawn_leave_nothing_to_train_unless_others_train():
    names = [str(index) for index in range(44)]
    with pytest.raises(InputError, match="validation 20, test 24 leave no row to train, as 44 rows are drawn"):
        assign([None] * 44, names, by="hash", validation=20, test=24)
    assert named(assign([None] * 44, names, by="hash", validation=20, test=23)).count("train") == 1
    assert named(assign([None, None, "train"], list("abc"), validation=1, test=1))[2] == "train"
    nothing_drawn = assign(["test", "validation"], ["a", "b"], validation=3, test=3)
    assert named(nothing_drawn) == ["test", "validation"]
    assert nothing_drawn.report["targets"]["test"] == {"wanted": 3, "rows": 0, "difference": -3}


def test_a_share_counts_the_rows_that_must_train_too():
    found = assign(
        [None] * 100, [str(index) for index in range(100)], forced=[True] * 50 + [None] * 50, validation=0, test=0.1
    )
    assert found.report["targets"]["test"] == {"wanted": 10, "rows": 10, "difference": 0}
    assert found.report["forced"] == {"rows": 50, "groups": 50, "group_rows": 50}


def test_infrared_of_unknown_origin_represents_only_where_no_sensor_s_does():
    columns = {"sample_id": ["a", "b", "c"], "ir_band": ["nir"] * 3, "ir_origin": [None, "sensor", None]}
    assert representatives(columns, ["x", "x", "y"], ["test"] * 3).tolist() == [False, True, True]
    named_splits = np.array(["test", "validation", "train"], dtype=object)
    assert representatives(columns, ["x", "y", "z"], named_splits).tolist() == [True, True, False]


def salted_slowly(name, width, salt):
    """The documented hash in Python's whole numbers: a polynomial in the bytes, then SplitMix64's last steps."""
    start, factor = (int(number) for number in np.frombuffer(hashlib.sha256(salt.encode()).digest(), "<u8")[:2])
    key = start
    for byte in name.encode().ljust(width, b"\0"):
        key = (key * (factor | 1) + byte) % 2**64
    for shift, stir in ((30, 0xBF58476D1CE4E5B9), (27, 0x94D049BB133111EB), (31, 1)):
        key = (key ^ key >> shift) * stir % 2**64
    return key


@pytest.mark.parametrize("names", [["joint-group:0a", "b", "joint-group:ff", "", "µ"], [""]])
def test_the_hash_that_orders_the_draw_is_the_documented_one(names, monkeypatch):
    monkeypatch.setattr(splits, "NAMES_AT_ONCE", 2)
    width = max(1, *(len(name.encode()) for name in [*names, ""]))
    found = splits._salted(pa.array(names), "some salt")
    assert found.tolist() == [salted_slowly(name, width, "some salt") for name in names]


def test_a_split_is_asked_for_where_it_is_wanted_or_there_and_a_source_short_below_the_least():
    sources = {"a": {"train": 9, "validation": 0, "test": 3}, "b": {"train": 9, "validation": 0, "test": 2}}
    nobody = {"validation": 0, "test": 0}
    assert asked_splits(sources, nobody) == ["test"]
    assert asked_splits(sources, {**nobody, "validation": 1}) == ["validation", "test"]
    assert asked_splits({"a": sources["a"] | {"test": 0}}, nobody) == []
    assert below_minimum(sources, ["test"], 3) == [{"source": "b", "split": "test", "rows": 2}]
    assert below_minimum(sources, [], 3) == []


def test_targets_that_are_met_are_no_warning(caplog):
    with caplog.at_level(logging.WARNING):
        assign([None] * 20, [str(index) for index in range(20)], by="hash", validation=2, test=3, min_per_source=2)
    assert caplog.text == ""


def test_rows_that_are_prescribed_to_train_count_in_no_share():
    found = assign(["train"] * 60 + [None] * 40, [str(index) for index in range(100)], validation=0.25, test=0.05)
    assert [target["wanted"] for target in found.report["targets"].values()] == [10, 2]


def test_of_several_large_components_the_largest_is_told(caplog):
    large = {"size": 9, "share": 0.09, "relation": "bytes", "merges": {"bytes": 8}, "sample_id": "a0"}
    with caplog.at_level(logging.WARNING):
        found = assign([None], ["a"], components=[large, {**large, "size": 8, "share": 0.08, "sample_id": "b0"}])
    assert len(found.report["large_components"]) == 2
    assert "with a0" in caplog.text and "b0" not in caplog.text
