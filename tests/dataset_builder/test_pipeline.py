import dataclasses
import hashlib
import json

import pyarrow.parquet as pq
import pytest
from datasets import load_dataset

from dataset_builder.building import reading
from dataset_builder.building.reading import add_hashes, require_infrared
from dataset_builder.pipeline import build
from dataset_builder.schema import COLUMNS, FEATURES, SPLITS
from fusionrs_hf.errors import InputError
from fusionrs_hf.folder_manifest import read_manifest
from tests.dataset_builder.made.noise_images import noise, png
from tests.dataset_builder.made.tile_repository import digests, recipe_of, write_source


@pytest.fixture(scope="module")
def source(tmp_path_factory):
    return write_source(tmp_path_factory.mktemp("source"))


def published(folder, split="*"):
    return [row for path in sorted((folder / "data").glob(f"{split}-*")) for row in pq.read_table(path).to_pylist()]


@pytest.fixture(scope="module")
def built(source, tmp_path_factory):
    out = tmp_path_factory.mktemp("built") / "dataset"
    return out, build(recipe_of(source), out, workers=1)


def test_every_row_read_is_published_or_quarantined_with_its_reason(built):
    out, report = built
    left = [row for path in sorted((out / "quarantine").glob("*.parquet")) for row in pq.read_table(path).to_pylist()]
    rows = published(out)
    # 72 sensor rows, and 36 RGB-only rows of the same tiles.
    assert len(rows) + len(left) == report.rows_read == 108
    assert report.rows_kept == len(rows)
    reasons = {reason: sum(row["reason"] == reason for row in left) for reason in report.quarantine}
    assert reasons == report.quarantine
    assert reasons["truncated"] == 1
    assert reasons["ir_too_flat"] == 1
    assert {row["sample_id"] for row in left} >= {"made/02/nir", "made/03/lwir", "made/04/lwir"}
    assert next(row for row in left if row["sample_id"] == "made/02/nir")["rgb"]["bytes"] == b"no image"


def test_published_rows_have_all_columns_and_untouched_bytes(built, source):
    out, _ = built
    given = {row["sample_id"]: row for path in (source / "data").iterdir() for row in pq.read_table(path).to_pylist()}
    sensor = [row for row in published(out) if row["ir_origin"] == "sensor"]
    assert sensor
    for row in sensor:
        assert tuple(row) == COLUMNS
        for name in ("rgb", "ir", "captions", "caption_origin", "bbox", "gsd_m"):
            assert row[name] == given[row["sample_id"]][name]
        assert len(row["rgb_phash"]) == len(row["ir_phash"]) == 16
        assert row["ir_captions"]
        assert row["captioner"] == "grounded"


def test_translated_rows_say_so(built):
    translated = [row for row in published(built[0]) if row["ir_origin"] == "translated"]
    assert translated
    assert {(row["ir_band"], row["translator"], row["ir_unit"]) for row in translated} == {
        ("nir", "radiometric", "display")
    }


def test_no_joint_group_is_in_two_splits_and_the_rows_that_would_be_left(built):
    out, report = built
    rows = {split: published(out, split) for split in SPLITS}
    groups = {split: {row["joint_group_id"] for row in rows[split]} for split in SPLITS}
    assert not groups["train"] & groups["test"]
    assert not groups["train"] & groups["validation"]
    assert not groups["validation"] & groups["test"]
    # Tile 13's lwir row shares its caption with test tile 30, and its image with the rest of tile 13.
    assert not {row["source_locator"] for row in rows["validation"]} & {"scene@r1300c0s48"}
    assert report.quarantine["split_group"] == 3


def test_bands_and_the_translation_of_a_tile_are_one_image_group(built):
    groups = {}
    for row in published(built[0]):
        groups.setdefault(row["source_locator"], set()).add(row["image_group_id"])
    assert {len(found) for found in groups.values()} == {1}


def test_one_representative_per_held_out_group_and_band_is_sensor_data(built):
    out, report = built
    for split in ("validation", "test"):
        rows = published(out, split)
        marked = [(row["joint_group_id"], row["ir_band"]) for row in rows if row["is_eval_representative"]]
        assert sorted(marked) == sorted({(row["joint_group_id"], row["ir_band"]) for row in rows})
        assert {row["ir_origin"] for row in rows if row["is_eval_representative"]} == {"sensor"}
        assert report.representatives[split] == len(marked)
    assert not any(row["is_eval_representative"] for row in published(out, "train"))


def test_shards_are_named_for_the_hub_and_load_without_more(built, tmp_path):
    out, report = built
    for split in SPLITS:
        names = sorted(path.name for path in (out / "data").glob(f"{split}-*"))
        assert names == [f"{split}-{index:05d}-of-{len(names):05d}.parquet" for index in range(len(names))]
        assert len(names) > 1
    data = load_dataset(str(out), cache_dir=str(tmp_path))
    assert {split: len(rows) for split, rows in data.items()} == {split: report.total(split=split) for split in SPLITS}
    assert data["train"].features == FEATURES
    assert data["train"][0]["ir"].mode == "L"
    for name, sizes in report.configs.items():  # `load_dataset` itself compares them with the card's dataset_info
        view = load_dataset(str(out), name, cache_dir=str(tmp_path))
        assert {split: len(rows) for split, rows in view.items()} == {split: sizes[split]["rows"] for split in SPLITS}


def test_running_twice_gives_the_same_bytes_and_nothing_else(built, source, tmp_path):
    build(recipe_of(source), tmp_path / "again", workers=1)
    assert digests(tmp_path / "again") == digests(built[0])
    assert [name for name in digests(built[0]) if "/." in name or name.startswith(".")] == [".fusionrs.json"]
    assert set(read_manifest(built[0]).files) == set(digests(built[0])) - {".fusionrs.json"}


def test_two_workers_give_the_bytes_of_one(built, source, tmp_path):
    build(recipe_of(source), tmp_path / "two", workers=2)
    assert digests(tmp_path / "two") == digests(built[0])


def test_a_finished_build_is_left_alone(built, source):
    out, report = built
    before = {path: path.stat().st_mtime_ns for path in out.rglob("*")}
    assert build(recipe_of(source), out) == report
    assert {path: path.stat().st_mtime_ns for path in out.rglob("*")} == before


def test_another_recipe_on_a_finished_build_names_what_changed(built, source):
    with pytest.raises(InputError, match="recipe: groups changed"):
        build(recipe_of(source, groups={"radius": 2}), built[0])


def test_changed_inputs_are_named(built, source, tmp_path):
    (source / "data" / "extra.txt").write_text("new")
    try:
        with pytest.raises(InputError, match="inputs changed"):
            build(recipe_of(source), built[0])
    finally:
        (source / "data" / "extra.txt").unlink()


def test_a_damaged_build_is_not_called_finished(built, source, tmp_path):
    out = tmp_path / "damaged"
    build(recipe_of(source, sources=[{"kind": "repository", "path": "."}], translate=None), out, workers=1)
    next((out / "data").glob("test-*")).write_bytes(b"")
    with pytest.raises(InputError, match="test-00000.* is missing or changed"):
        build(recipe_of(source, sources=[{"kind": "repository", "path": "."}], translate=None), out)


def test_nothing_kept_is_an_error_that_counts_the_reasons(source, tmp_path):
    recipe = recipe_of(source, sources=[{"kind": "repository", "path": ".", "drop_ir": True}], translate=None)
    with pytest.raises(InputError, match=r"none of 36 rows was kept \(.*ir_missing"):
        build(recipe, tmp_path / "none", workers=1)
    assert not (tmp_path / "none" / ".work").exists()


def test_an_output_that_cannot_be_made_or_is_not_ours_is_refused(source, tmp_path):
    (tmp_path / "file").write_text("")
    with pytest.raises(InputError, match="cannot write to .*file/dataset"):
        build(recipe_of(source), tmp_path / "file" / "dataset")
    (tmp_path / "full").mkdir()
    (tmp_path / "full" / "thesis.tex").write_text("")
    with pytest.raises(InputError, match=r"is not empty and not of `fusionrs build` \(thesis.tex"):
        build(recipe_of(source), tmp_path / "full")


@pytest.mark.parametrize(
    ("change", "sentence"),
    [
        ({"translate": {"translator": "radiometri"}}, "no translator 'radiometri'; did you mean 'radiometric'?"),
        ({"caption": {"captioner": "gpt"}}, "no captioner 'gpt'; known are grounded, endpoint, local"),
        ({"caption": {"rules": {"contradictd": False}}}, "did you mean 'contradicted'?"),
        ({"caption": {"options": {"model": "x"}}}, "takes no options, got model"),
        ({"filters": {"ir_to_flat": {}}}, "did you mean 'ir_too_flat'?"),
    ],
)
def test_unknown_parts_are_known_before_anything_is_written(source, tmp_path, change, sentence):
    with pytest.raises(InputError, match=sentence.replace("?", r"\?")):
        build(recipe_of(source, **change), tmp_path / "out")
    assert not (tmp_path / "out").exists()


def test_splits_by_hash_draw_whole_groups(source, tmp_path):
    report = build(
        recipe_of(source, splits={"by": "hash", "validation": 9, "test": 0.2}), tmp_path / "drawn", workers=1
    )
    assert report.total(split="validation") == 9
    assert "split_group" not in report.quarantine
    assert abs(report.total(split="test") - 0.2 * report.rows_kept) <= 1


def test_the_report_is_its_own_json_and_has_no_machine_in_it(built, source):
    out, report = built
    text = (out / "build_report.json").read_text()
    assert json.loads(text) == dataclasses.asdict(report)
    assert str(source) not in text
    assert str(out) not in text
    assert report.groups["largest"][0]["size"] >= 6  # tiles 13 and 30, joined by a caption
    assert report.groups["largest"][0]["merges"]["caption"] >= 1


def test_the_report_says_what_became_of_the_captions(built):
    out, report = built
    total = report.captions["total"]
    before = sum(report.quarantine[reason] for reason in ("unreadable", "truncated", "ir_too_flat"))
    assert total["rows"] == report.rows_read - before  # rows that left later were captioned, too
    assert total["captioned"] == total["rows"] and total["accepted"] == total["written"]
    assert report.captions["captioner"] == "grounded" and report.captions["variety"]["captions"] > 0
    assert "## Infrared-aware captions" in (out / "README.md").read_text()


def test_rejected_captions_leave_the_rows_and_are_told_in_the_order_of_reading(source, tmp_path):
    rules = {"ir_caption_too_short": {"min_words": 80}}  # all captions are shorter
    recipe = recipe_of(source, caption={"rules": rules})
    report = build(recipe, tmp_path / "out", workers=1)
    total, rows = report.captions["total"], published(tmp_path / "out")
    assert total["rejected"]["ir_caption_too_short"] >= total["rows"]
    assert {len(row["ir_captions"]) for row in rows} == {0}
    assert all(bool(row["captioner"]) == bool(row["ir_captions"]) for row in rows)
    lines = (tmp_path / "out" / "quarantine" / "captions.jsonl").read_text().splitlines()
    assert len(lines) == sum(total["rejected"].values()) == report.files["quarantine/captions.jsonl"]["rows"]
    assert set(json.loads(lines[0])) == {"sample_id", "source", "text", "reason", "detail"}
    order = [json.loads(line)["sample_id"] for line in lines]
    read = [
        row["sample_id"] for path in sorted((source / "data").iterdir()) for row in pq.read_table(path).to_pylist()
    ]
    sensor = [name for name in dict.fromkeys(order) if not name.endswith("/rgb")]
    assert sensor == [name for name in read if name in set(sensor)]
    assert len(set(order)) == total["rows"]
    assert build(recipe, tmp_path / "out") == report  # finished, rejected captions and all


def test_rows_that_share_an_id_are_kept_once(source, tmp_path):
    twice = recipe_of(source, sources=[{"kind": "repository", "path": "."}] * 2, translate=None)
    report = build(twice, tmp_path / "twice", workers=1)
    rows = published(tmp_path / "twice")
    assert len({row["sample_id"] for row in rows}) == len(rows)
    assert report.quarantine["duplicate_sample_id"] >= report.rows_kept


def test_rows_without_infrared_leave_with_a_reason():
    batch = require_infrared({"ir": [None, {"bytes": b"x"}, None], "_reason": [None, None, "unreadable"]})
    assert batch["_reason"] == ["ir_missing", None, "unreadable"]


def test_hashes_are_of_each_row_s_own_images():
    images = [noise(seed, 1) for seed in range(3)]
    batch = {"_grey": [images[0]] * 2 + [images[1]], "_rgb_sha256": ["a", "a", "b"], "_ir": images}
    done = add_hashes({**batch, "ir": [png(image) for image in images]})
    assert done["rgb_phash"] == [done["ir_phash"][0]] * 2 + [done["ir_phash"][1]]
    assert done["_ir_sha256"][2] == hashlib.sha256(png(images[2])["bytes"]).digest()


def test_an_output_inside_its_own_source_is_no_changed_input(source, tmp_path):
    (tmp_path / "data").mkdir()
    shard = next((source / "data").glob("test-*"))
    (tmp_path / "data" / shard.name).write_bytes(shard.read_bytes())
    recipe = recipe_of(tmp_path, sources=[{"kind": "repository", "path": "."}], translate=None)
    assert build(recipe, tmp_path / "out", workers=1) == build(recipe, tmp_path / "out", workers=1)


def test_listed_rows_and_their_groups_go_to_train_or_nowhere(source, tmp_path):
    listed, out = tmp_path / "seen.txt", tmp_path / "out"
    listed.write_text("made/30/nir\nmade/02/nir\n")
    recipe = recipe_of(source, splits={"force_train": str(listed)})
    report = build(recipe, out, workers=1)
    # The joint group of tiles 13 and 30 is held out by its source: three rows of each leave. Tile 2 is in train.
    assert report.quarantine["split_forced_train"] == 6
    assert "split_group" not in report.quarantine
    assert report.split_report["forced"] == {"rows": 1, "groups": 1, "group_rows": 6}  # made/02/nir is unreadable
    assert report.identity["recipe"]["splits"]["force_train"] == "seen.txt"
    listed.write_text("made/31/nir\n")
    with pytest.raises(InputError, match="inputs changed"):
        build(recipe, out)
    with pytest.raises(InputError, match="force_train none.txt cannot be read"):
        build(recipe_of(source, splits={"force_train": "none.txt"}), tmp_path / "none")
    assert not (tmp_path / "none").exists()


def test_batches_end_at_64_rows_or_64_megabytes_of_images():
    small, large = (
        {"rgb": {"bytes": b"x" * 1000}, "ir": None},
        {"rgb": {"bytes": bytes(40 << 20)}, "ir": {"bytes": b""}},
    )
    assert [len(chunk) for chunk in reading._chunks(iter([small] * 130))] == [64, 64, 2]
    assert [len(chunk) for chunk in reading._chunks(iter([large] * 5))] == [2, 2, 1]
    assert list(reading._chunks(iter([]))) == []
