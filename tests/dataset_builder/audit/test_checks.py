import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from dataset_builder.audit.checks import check_files, check_groups, check_representatives, check_rows, find_components
from dataset_builder.audit.keys import KEYS
from dataset_builder.audit.overlaps import Rows


def rows_of(**columns):
    """Rows `a`, `b`, `c`, ... with the given columns of `keys.KEYS`; all else is null, and without a fault."""
    count = len(next(iter(columns.values())))
    given = {"sample_id": [chr(ord("a") + at) for at in range(count)], "split": ["train"] * count}
    given |= {"faults": [[]] * count, **columns}
    return Rows(pa.Table.from_pylist([dict(zip(given, row)) for row in zip(*given.values())], schema=KEYS))


def by_name(checks):
    return {check.name: check for check in checks}


def told(check):
    return check.status, check.found, check.of, check.examples, check.note


def test_files_that_are_not_stated_or_stated_otherwise_are_named(tmp_path):
    (tmp_path / "data").mkdir()
    for name, rows in (("a", 3), ("b", 1), ("d", 2)):
        pq.write_table(pa.table({"x": range(rows)}), tmp_path / f"data/{name}.parquet")
    stated = {"data/a.parquet": 3, "data/b.parquet": 2, "data/c.parquet": 4, "quarantine/rows.parquet": 9}
    built = {"files": {name: {"rows": rows} for name, rows in stated.items()}}
    assert told(check_files(tmp_path, built)) == (
        "failed",
        3,
        4,
        [
            "data/b.parquet: 1 where 2 is stated, in rows",
            "data/c.parquet: no file where 4 is stated, in rows",
            "data/d.parquet: 2 where none is stated, in rows",
        ],
        "",
    )
    assert told(check_files(tmp_path, None)) == ("skipped", 0, 0, [], "there is no build_report.json")
    assert check_files(tmp_path, {}).found == 3
    same = {"files": {f"data/{name}.parquet": {"rows": rows} for name, rows in (("a", 3), ("b", 1), ("d", 2))}}
    assert told(check_files(tmp_path, same)) == ("passed", 0, 3, [], "")


def test_a_fault_belongs_to_its_check_and_what_is_only_noted_fails_none():
    found = by_name(check_rows(rows_of(faults=[["rgb_missing", "bbox"], ["ir_range"], [], ["ir_missing"]]), False))
    assert told(found["images"]) == (
        "failed", 2, 4, ["a: rgb_missing", "d: ir_missing"], "1 rgb_missing, 1 ir_missing"
    )  # fmt: skip
    assert told(found["hashes"]) == ("passed", 0, 4, [], "1 ir_range")
    assert told(found["footprints"]) == ("failed", 1, 4, ["a: bbox"], "1 bbox")
    assert {check.status for name, check in found.items() if name not in ("images", "footprints")} == {"passed"}
    many = by_name(check_rows(rows_of(faults=[["sizes"]] * 7), False))["image_sizes"]
    assert (many.found, many.examples) == (7, [f"{name}: sizes" for name in "abcde"])


def test_images_may_be_withheld_from_a_copy_and_from_nothing_else():
    one, all_of_them = [["rgb_withheld"], []], [["rgb_withheld"]] * 2
    assert told(by_name(check_rows(rows_of(faults=one), True))["images"]) == ("passed", 0, 2, [], "1 rgb_withheld")
    kept = by_name(check_rows(rows_of(faults=one), False))["images"]
    assert (kept.status, kept.examples) == ("failed", ["a: rgb_withheld"])
    copy, build = (by_name(check_rows(rows_of(faults=all_of_them), withheld)) for withheld in (True, False))
    images = ("images", "image_modes", "image_sizes", "hashes")
    assert {copy[name].status for name in images} == {"skipped"} and copy["captions"].status == "passed"
    assert [build[name].status for name in images] == ["failed", "passed", "passed", "passed"]


def test_hashes_that_nobody_stored_are_no_fault_and_one_that_is_missing_is():
    both, one = [["rgb_unhashed"]] * 2, [["rgb_unhashed"], []]
    hashes = [by_name(check_rows(rows_of(faults=faults), False))["hashes"] for faults in (both, one)]
    assert [(check.status, check.found) for check in hashes] == [("skipped", 0), ("failed", 1)]


def test_ids_are_unique_and_in_one_split_and_splits_are_known():
    rows = rows_of(
        sample_id=["a", "a", "b", "b", None, "c"],
        split=["train", "train", "train", "test", "dev", "test"],
        faults=[[], [], [], [], ["sample_id"], []],
    )
    found = by_name(check_rows(rows, False))
    assert (found["sample_ids"].found, found["sample_ids"].examples) == (3, ["row 4", "a", "b"])
    assert told(found["ids_in_one_split"]) == ("failed", 1, 6, ["b"], "")
    assert told(found["split_names"]) == ("failed", 1, 3, ["dev"], "")


def test_components_follow_the_relations_that_are_asked_for():
    rows = rows_of(
        bytes=[[1], [1, 2], [3], [4], [5], [6], [7]],
        rgb=[0, 2**40 - 1, 0b1111, 0b11111, 2**63, 2**62, None],
        ir=[1, 2**50, 2**30, 1, 1, None, None],
        ir_band=["nir", "nir", "swir", "swir", "nir", None, None],
        captions=[[], [], [], [8], [], [8, 9], [9]],
        scene=[None, None, 1, None, None, None, 1],
        tile=[None, None, [0, 0, 10, 10], None, None, None, [0, 4, 10, 14]],
    )

    def labels(*relations, radius=4):
        image, joint, pairs = find_components(rows, relations, radius, 1)
        return image.tolist(), joint.tolist(), pairs

    nothing = list(range(7))
    assert labels() == (nothing, nothing, 0)
    assert labels("bytes") == ([0, 0, 2, 3, 4, 5, 6],) * 2 + (0,)
    assert labels("rgb_phash") == ([0, 1, 0, 0, 0, 0, 6],) * 2 + (15,)  # chains of up to four bits; six hashes
    assert labels("rgb_phash", radius=0) == (nothing, nothing, 15)
    assert labels("ir_phash", radius=0) == ([0, 1, 2, 3, 0, 5, 6],) * 2 + (2,)  # two nir hashes, two swir
    assert labels("footprint") == ([0, 1, 2, 3, 4, 5, 2],) * 2 + (0,)
    assert labels("caption") == (nothing, [0, 1, 2, 3, 4, 3, 3], 0)
    image, joint, pairs = labels("bytes", "ir_phash", "caption", radius=0)
    assert (image, joint, pairs) == ([0, 0, 2, 3, 0, 5, 6], [0, 0, 2, 3, 0, 3, 3], 2)


def groups(split, stored, components, complete=True, image_stored=None):
    rows = rows_of(split=split, joint_group=stored, image_group=stored if image_stored is None else image_stored)
    labels = None if components is None else (np.array(components), np.array(components))
    return by_name(check_groups(rows, labels, "too many", complete))


def test_groups_that_are_their_components_pass():
    found = groups(["train", "train", "test", None], [7, 7, 8, None], [0, 0, 2, 3])
    assert {name: (check.status, check.of) for name, check in found.items()} == {
        "groups_in_one_split": ("passed", 2),
        "image_groups": ("passed", 2),
        "joint_groups": ("passed", 2),
        "components_in_one_split": ("passed", 2),
    }


def test_a_component_in_two_groups_and_a_group_of_two_components_are_told():
    split = ["train"] * 5
    apart = groups(split, [7, 7, 8, 9, 9], [0, 0, 0, 3, 3])["joint_groups"]
    assert told(apart) == ("failed", 1, 3, ["a and c"], "1 components in several groups")
    merged = groups(split, [7, 7, 7, 9, 9], [0, 0, 2, 3, 4])["joint_groups"]
    assert told(merged) == ("failed", 2, 2, ["a and c", "d and e"], "2 groups of several components")
    left = groups(split, [7, 7, 7, 9, 9], [0, 0, 2, 3, 4], complete=False)["joint_groups"]
    assert told(left) == (
        "passed", 0, 2, [], "rows that left are not there: a group may be wider than its component"
    )  # fmt: skip
    assert groups(split, [7, 7, 8, 9, 9], [0, 0, 0, 3, 3], complete=False)["joint_groups"].status == "failed"
    without = groups(split, [7, None, 8, 9, 9], [0, 0, 2, 3, 3])["joint_groups"]
    assert without.status == "passed"  # a row that is in no group is in no wrong one


def test_what_is_in_two_splits_is_told_by_groups_and_by_components():
    found = groups(["train", "test", None, "test"], [7, 7, 8, 8], [0, 1, 2, 3])
    assert told(found["groups_in_one_split"]) == ("failed", 1, 2, ["a and b"], "")
    assert found["components_in_one_split"].status == "passed"
    found = groups(["train", "test", "test", None], [6, 7, 8, 9], [0, 1, 0, 1])
    assert told(found["components_in_one_split"]) == ("failed", 1, 2, ["a and c"], "")
    assert found["groups_in_one_split"].status == "passed"


def test_groups_that_are_not_stored_or_not_sought_are_not_judged():
    found = groups(["train", "test"], [None, None], [0, 0])
    assert [(found[name].status, found[name].note) for name in ("groups_in_one_split", "joint_groups")] == [
        ("skipped", "joint groups are not stored"),
        ("skipped", "no joint_group_id is stored"),
    ]
    assert found["components_in_one_split"].status == "failed"
    found = groups(["train", "test"], [7, 8], None)
    assert [check.status for check in found.values()] == ["passed", "skipped", "skipped", "skipped"]
    assert found["image_groups"].note == "too many" and found["components_in_one_split"].note.startswith("too many; ")
    found = groups(["train", "test"], [7, 8], [0, 1], image_stored=[None, None])
    assert [check.status for check in found.values()] == ["passed", "skipped", "passed", "passed"]


@pytest.mark.parametrize(
    ("marked", "wrong"),
    [
        ([None, True, None, True, True], []),
        ([True, True, False, True, True], ["a: in train"]),
        ([None, True, True, True, True], ["b's group and band: 2"]),
        ([None, True, None, False, True], ["d's group and band: 0"]),
    ],
)
def test_each_held_out_group_and_band_has_one_representative(marked, wrong):
    columns = {
        "split": ["train", "test", "test", "test", "validation"],
        "joint_group": [7, 8, 8, 8, 9],
        "ir_band": ["nir", "nir", "nir", "swir", None],
        "representative": marked,
    }
    status = "failed" if wrong else "passed"
    assert told(check_representatives(rows_of(**columns), None)) == (status, len(wrong), 3, wrong, "")
    components = np.array([0, 1, 1, 1, 4])
    ungrouped = rows_of(**columns | {"joint_group": [None] * 5})
    assert told(check_representatives(ungrouped, components))[:4] == (status, len(wrong), 3, wrong)
    assert check_representatives(ungrouped, None).status == "skipped"
    elsewhere = np.arange(5)  # stored groups hold, not components
    assert told(check_representatives(rows_of(**columns), elsewhere))[:4] == (status, len(wrong), 3, wrong)
    assert check_representatives(rows_of(**columns | {"representative": [None] * 5}), None).status == "skipped"


@pytest.mark.parametrize("stored", [[8, 8], [8, 8, None]])
def test_stored_groups_hold_where_there_are_any(stored):
    """Components, by which each row is one of its own, are for a dataset that stores no groups."""
    splits = ["test", "test", "train"][: len(stored)]
    marked = [True, None, None][: len(stored)]
    columns = {"split": splits, "joint_group": stored, "ir_band": ["nir"] * len(stored), "representative": marked}
    components = np.arange(len(stored))
    assert told(check_representatives(rows_of(**columns), components)) == ("passed", 0, 1, [], "")
    without = rows_of(**columns | {"joint_group": [None] * len(stored)})
    assert check_representatives(without, components).examples == ["b's group and band: 0"]
