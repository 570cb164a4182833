import dataclasses
import json

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from dataset_builder.audit.report import audit_table
from dataset_builder.audit.verb import audit_dataset
from dataset_builder.pipeline import BuildRecipe, build
from fusionrs_hf.atomic import write_json
from fusionrs_hf.errors import InputError
from fusionrs_hf.folder_manifest import MANIFEST, Manifest
from tests.dataset_builder.made.planted import (
    FAR,
    NEAR,
    base,
    colour,
    encoded,
    make_row,
    mirrored,
    noise,
    write_dataset,
)

GROUPS = {"radius": 4, "relations": ["bytes", "rgb_phash", "ir_phash", "footprint", "caption"]}


def check(report, name):
    return next(one for one in report.checks if one.name == name)


def run(folder, *others, **options):
    return audit_dataset(folder, others, workers=1, **options)


def leaks(report):
    return {
        (one.split, one.other_split, one.relation): (one.rows, one.other_rows)
        for one in report.leaks
        if one.relation != "any"
    }


def test_a_sound_dataset_is_clean(tmp_path):
    report = run(write_dataset(tmp_path / "set", base(), groups=GROUPS), report=tmp_path / "report.json")
    assert report.clean and not report.leaking and not report.leaks
    assert {one.status for one in report.checks} == {"passed"}
    assert report.rows == {"test": 3, "train": 3, "validation": 3}
    assert json.loads((tmp_path / "report.json").read_text()) == json.loads(json.dumps(report.as_dict()))


@pytest.mark.parametrize(
    ("train", "test", "relation"),
    [
        ({"rgb": mirrored(0)}, {"rgb": mirrored(NEAR)}, "rgb_phash"),
        ({"rgb": mirrored(0)}, {"rgb": mirrored(FAR)}, None),
        ({"ir": mirrored(0)}, {"ir": mirrored(NEAR)}, "ir_phash"),
        ({"ir": mirrored(0)}, {"ir": mirrored(FAR)}, None),
        ({"ir": mirrored(0)}, {"ir": mirrored(0), "ir_band": "swir"}, "bytes"),
        ({"ir": mirrored(0)}, {"ir": mirrored(NEAR), "ir_band": "swir"}, None),  # hashes join within a band
        ({"captions": ["A road."]}, {"captions": ["x", "a ROAD"]}, "caption"),
        ({"captions": ["A road."]}, {"captions": ["a roads"]}, None),
        ({"captions": ["a"]}, {"captions": ["a"], "caption_origin": ["rule"]}, None),  # templates join nobody
        ({"captions": ["!"]}, {"captions": ["?"]}, None),  # nothing is left of them
        ({"source_locator": "s@r0c0s128"}, {"source_locator": "s@r0c60s128"}, "footprint"),
        ({"source_locator": "s@r0c0s128"}, {"source_locator": "s@r0c64s128"}, None),  # exactly half
        ({"bbox": [0.0, 0.0, 1.0, 1.0]}, {"bbox": [0.4, 0.0, 1.4, 1.0]}, "footprint"),
    ],
)
def test_what_crosses_two_splits_is_a_leak(tmp_path, train, test, relation):
    rows = base(make_row("train/planted", **train), make_row("test/planted", **test))
    report = run(write_dataset(tmp_path / "set", rows, groups=GROUPS))
    assert report.leaking is (relation is not None) and report.clean is (relation is None)
    found = {name: count for name, count in leaks(report).items() if name[2] == relation}
    assert found == ({("train", "test", relation): (1, 1)} if relation else {})
    assert [(one.rows, one.other_rows) for one in report.leaks if one.relation == "any"] == list(found.values())
    crossing = check(report, "components_in_one_split")
    assert (crossing.found, crossing.status) == ((1, "failed") if relation else (0, "passed"))
    if relation:
        assert report.leaks[0].examples[0][:2] == ("train/planted", "test/planted")
        assert sorted(crossing.examples[0].split(" and ")) == ["test/planted", "train/planted"]


def test_a_leak_through_bytes_is_told_by_hash_as_well(tmp_path):
    rows = base(make_row("train/p", rgb=noise(5)), make_row("validation/p", rgb=noise(5)))
    report = run(write_dataset(tmp_path / "set", rows))
    pair = ("validation", "train")
    assert leaks(report) == {(*pair, "bytes"): (1, 1), (*pair, "rgb_phash"): (1, 1)}


def test_the_radius_can_be_widened_and_only_relations_of_the_build_leak(tmp_path):
    rows = base(make_row("train/p", rgb=mirrored(0)), make_row("test/p", rgb=mirrored(FAR), captions=["a"]))
    rows += [make_row("train/q", captions=["a"])]
    folder = write_dataset(tmp_path / "set", rows, groups=GROUPS | {"relations": ["bytes", "rgb_phash"]})
    assert run(folder).clean
    wide = run(folder, radius=5)
    assert [one.relation for one in wide.leaks] == ["rgb_phash", "any"] and wide.leaks[0].examples[0][2] == 5
    assert check(wide, "image_groups").status == "passed"  # groups are judged by the radius of their build


def test_without_all_pairs_leaks_are_found_and_groups_are_not_judged(tmp_path):
    rows = base(make_row("train/p", ir=mirrored(0)), make_row("test/p", ir=mirrored(NEAR)))
    report = run(write_dataset(tmp_path / "set", rows), full=False)
    assert list(leaks(report)) == [("train", "test", "ir_phash")]
    assert {check(report, name).status for name in ("image_groups", "joint_groups")} == {"skipped"}


def test_a_group_that_is_no_component_is_found_both_ways(tmp_path):
    near = [make_row("train/p", rgb=mirrored(0)), make_row("train/q", rgb=mirrored(NEAR))]
    apart = run(write_dataset(tmp_path / "apart", base(*near), groups=GROUPS))
    assert apart.failed == ["image_groups", "joint_groups"] and not apart.leaking
    assert check(apart, "image_groups").examples == ["train/p and train/q"]
    rows = base()
    rows[1]["joint_group_id"] = rows[0]["joint_group_id"]
    merged = run(write_dataset(tmp_path / "merged", rows, groups=GROUPS))
    assert merged.failed == ["joint_groups"]
    assert "1 groups of several components" in check(merged, "joint_groups").note
    # Where rows may be gone that had joined it, a group may be wider; a component never.
    (tmp_path / "merged/tombstones.jsonl").write_text("{}\n")
    assert run(tmp_path / "merged").clean


def test_rows_in_quarantine_still_join(tmp_path):
    names = {"image_group_id": "image-group:x", "joint_group_id": "joint-group:x"}
    rows = [make_row(f"train/{at}", ir=mirrored(bits), **names) for at, bits in (("p", 0), ("q", 0b11111111))]
    folder = write_dataset(tmp_path / "set", base(*rows), groups=GROUPS)
    assert run(folder).failed == ["image_groups", "joint_groups"]
    between = make_row("train/between", ir=mirrored(NEAR), **names)
    (folder / "quarantine").mkdir()
    left = make_row("train/broken") | {"rgb": {"bytes": b"", "path": None}, "joint_group_id": None}
    pq.write_table(pa.Table.from_pylist([between, left]), folder / "quarantine/rows-00000-of-00001.parquet")
    report = run(folder)
    assert report.clean and report.rows["train"] == 5


def test_a_stored_group_in_two_splits_leaks(tmp_path):
    rows = base()
    rows[0]["joint_group_id"] = rows[-1]["joint_group_id"]
    report = run(write_dataset(tmp_path / "set", rows, groups=GROUPS))
    assert report.leaking and check(report, "groups_in_one_split").found == 1


@pytest.mark.parametrize(
    ("changes", "example"),
    [
        ({"test/0": False}, "test/0's group and band: 0"),
        ({"train/1": True}, "train/1: in train"),
        ({"validation/1": True, "validation/2": True}, "validation/1's group and band: 2"),
    ],
)
def test_exactly_one_representative(tmp_path, changes, example):
    rows = {row["sample_id"]: row for row in base()}
    for name in (name for name in changes if name.startswith("validation")):
        rows[name] |= {"rgb": encoded(colour(noise(8))), "image_group_id": "i", "joint_group_id": "j"}
    for name, marked in changes.items():
        rows[name]["is_eval_representative"] = marked
    report = run(write_dataset(tmp_path / "set", list(rows.values())))
    assert check(report, "representatives").examples == [example]
    assert "representatives" in report.failed and not report.leaking


def damaged(**known):
    return [make_row("train/x") | known]


@pytest.mark.parametrize(
    ("rows", "name", "example"),
    [
        (damaged(rgb={"bytes": b"no image", "path": None}), "images", "train/x: rgb_undecodable"),
        (damaged(ir={"bytes": encoded(noise(1))["bytes"][:200], "path": None}), "images", "train/x: ir_undecodable"),
        (damaged(rgb=None, rgb_phash=None), "images", "train/x: rgb_missing"),
        (damaged(ir=encoded(colour(noise(1)))), "image_modes", "train/x: ir_mode"),
        (damaged(rgb=encoded(noise(1))), "image_modes", "train/x: rgb_mode"),
        (damaged(ir=encoded(noise(1).astype(np.uint16))), "image_modes", "train/x: ir_depth"),
        (damaged(ir=encoded(noise(1)[:, :31])), "image_sizes", "train/x: sizes"),
        (damaged(rgb_phash="0123456789abcdef"), "hashes", "train/x: rgb_phash"),
        (damaged(ir_phash=None), "hashes", "train/x: ir_unhashed"),
        (damaged(ir_phash="no hash"), "hashes", "train/x: ir_phash"),
        (damaged(captions=["a", "b"], caption_origin=["source"]), "captions", "train/x: captions"),
        (damaged(captions=["a"], caption_origin=["guess"]), "captions", "train/x: captions"),
        (damaged(bbox=[0.0, 1.0, 1.0, 0.0]), "footprints", "train/x: bbox"),
        ([make_row("train/0", rgb=noise(3), ir=noise(4))], "sample_ids", "train/0"),
        ([make_row("dev/x")], "split_names", "dev"),
    ],
)
def test_a_fault_of_a_row_is_counted_and_named(tmp_path, rows, name, example):
    report = run(write_dataset(tmp_path / "set", base(*rows)))
    assert name in report.failed and not report.leaking
    assert (check(report, name).found, check(report, name).examples) == (1, [example])


def test_a_row_without_an_id_is_found(tmp_path):
    report = run(write_dataset(tmp_path / "set", base(*damaged(sample_id=None))))
    assert check(report, "sample_ids").examples == ["row 6"]  # of the files in order: three of test come first


def test_an_id_in_two_splits_leaks(tmp_path):
    folder = write_dataset(tmp_path / "set", base())
    row = make_row("train/0", rgb=noise(3), ir=noise(4), joint_group_id="j", image_group_id="i")
    table = pa.Table.from_pylist([row], schema=pq.read_schema(folder / "data/train-00000-of-00001.parquet"))
    pq.write_table(table, folder / "data/test-00001-of-00002.parquet")
    report = run(folder)
    assert report.leaking and check(report, "ids_in_one_split").examples == ["train/0"]


def test_sixteen_bit_infrared_is_hashed_between_the_limits_of_the_build(tmp_path):
    deep = noise(1).astype(np.uint16) * 100 + 2000  # between its limits: noise(1)
    row = make_row("train/x", ir=noise(1)) | {"ir": encoded(deep), "ir_unit": "reflectance_1e4"}
    limits = {"nir": [2000, 2000 + 255 * 100]}
    assert run(write_dataset(tmp_path / "with", base(row), groups=GROUPS, ir_range=limits)).clean
    without = run(write_dataset(tmp_path / "without", base(row)))
    assert without.clean and check(without, "hashes").note == "1 ir_range"


def test_files_are_compared_with_the_build_report(tmp_path):
    folder = write_dataset(tmp_path / "set", base(), groups=GROUPS)
    (folder / "data/test-00000-of-00001.parquet").unlink()
    assert "no file where 3" in check(run(folder), "files").examples[0]


def test_an_index_without_images_is_audited_by_its_hashes(tmp_path):
    rows = base(make_row("train/p", rgb=mirrored(0)), make_row("test/p", rgb=mirrored(NEAR)))
    rows = [row | {"rgb": None, "ir": None} for row in rows]
    report = run(write_dataset(tmp_path / "set", rows))
    assert list(leaks(report)) == [("train", "test", "rgb_phash")]
    assert check(report, "images").note == "no images are stored"
    built = run(write_dataset(tmp_path / "built", rows, groups=GROUPS))  # a build keeps its images
    assert check(built, "images").found == 22
    copy = write_dataset(tmp_path / "copy", rows, groups=GROUPS)
    report = json.loads((copy / "build_report.json").read_text())
    write_json(
        copy / "build_report.json", report | {"rights": {"withheld": 22}}
    )  # of a redacted copy they may be gone
    assert check(run(copy), "images").note == "no images are stored"


def test_damaged_parquet_is_named(tmp_path):
    folder = write_dataset(tmp_path / "set", base())
    path = folder / "data/test-00000-of-00001.parquet"
    data = bytearray(path.read_bytes())
    data[4:1000] = b"\xff" * 996
    path.write_bytes(data)
    with pytest.raises(InputError, match="test-00000-of-00001.parquet is damaged in row group 0"):
        run(folder)


@pytest.mark.slow
@pytest.mark.every_change
def test_a_real_build_passes_every_check(tmp_path):
    sources = [{"kind": "repository", "path": "dataset_builder/sample", "drop_ir": drop} for drop in (False, True)]
    recipe = {"name": "real", "sources": sources, "translate": {"band": "nir"}}
    build(BuildRecipe.from_mapping(recipe), tmp_path / "set", workers=2)
    report = audit_dataset(tmp_path / "set", workers=2)
    assert report.clean and {one.status for one in report.checks} == {"passed"}, audit_table(report)


@pytest.mark.slow
@pytest.mark.every_change
def test_the_shipped_sample_leaks_nothing_and_processes_change_nothing():
    found = [audit_dataset("dataset_builder/sample", workers=workers) for workers in (1, 2)]
    assert found[0].clean and found[0].rows == {"train": 2453, "test": 780, "validation": 269}
    assert dataclasses.asdict(found[0]) == dataclasses.asdict(found[1])


def test_an_unfinished_build_is_not_audited(tmp_path):
    folder = write_dataset(tmp_path / "set", base(), groups=GROUPS)
    write_json(folder / MANIFEST, dataclasses.asdict(Manifest("build", "fusionrs build r.yaml set")))
    with pytest.raises(InputError, match="is not finished: .*finish it with: fusionrs build r.yaml set"):
        audit_dataset(folder)
    with pytest.raises(InputError, match="is not finished: .*finish it with: fusionrs build r.yaml set"):
        audit_dataset(write_dataset(tmp_path / "other", base(), groups=GROUPS), [folder])
