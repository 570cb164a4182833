"""The shipped sample as it lies in the repository: counts, regions, images and captions."""

import hashlib
import io
import itertools
import json
import re
from collections import Counter, defaultdict
from dataclasses import replace
from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from datasets import load_dataset
from PIL import Image

from dataset_builder.captioning.scene_captions import write_captions
from dataset_builder.captioning.scene_facts import CoverFacts, SceneFacts
from dataset_builder.groups.keys import caption_key
from dataset_builder.pipeline import build
from dataset_builder.recipe import load_recipe
from dataset_builder.sample.scenes import declared_scenes
from dataset_builder.schema import FEATURES, IMAGE_COLUMNS, LOCATOR, SPLITS
from dataset_builder.shards.layout import DATA_SCHEMA
from dataset_builder.shards.parquet import write_shard
from fusionrs_hf.processing_fusionrs_images import scale_infrared

SAMPLE = Path(__file__).parents[3] / "dataset_builder" / "sample"
FIXTURE = Path(__file__).parents[2] / "data" / "ir16"
HELD_OUT_REGIONS = ("s2_virginia", "l7_saltlake")  # the third scene is held out as a whole
EVERY = 200  # rows of which one is built again
TOLD_OF_GROUPS = ("image_group_id", "joint_group_id", "is_eval_representative")
FINISHED = (*TOLD_OF_GROUPS, "ir_captions", "ir_caption_form", "joint_captions", "rgb_phash", "ir_phash")
FINISHED = (*FINISHED, "captioner", "captioner_revision", "captioner_settings")
CUT = (
    *("sample_id", "source_dataset", "source_locator", "rights", "ir_origin", "ir_band", "ir_unit", "captions"),
    *("caption_origin", "sensor", "acquired_at", "gsd_m", "bbox"),
)
CUT_SHA256 = {  # of the rows as they were cut, before a build first finished them
    "train": "d527d9c328902c105a685af560f9a57e65e1fc87acdf99a5ef4bde09836643bd",
    "validation": "6745aaaa83ffa0ebbc4e7f19096aa526fc4084762a8b1530dc49c906b82730f1",
    "test": "717df5dedc45379fe6cb7528e7f17f92e54ceb9becaca808a6febc8bf2869bf5",
}
BANDS = {  # by scene: the visible bands, and the infrared band of each kind
    "s2_virginia": ({"B02", "B03", "B04"}, {"nir": "B08", "swir": "B11"}),
    "l7_saltlake": ({"B1", "B2", "B3"}, {"nir": "B4", "swir": "B5", "lwir": "B6"}),
    "l8_alabama": ({"B2", "B3", "B4"}, {"nir": "B5", "swir": "B6", "lwir": "B10"}),
}
NEAR_TWINS = {  # bands that a caption must not use where a row shows the key's band
    ("s2_virginia", "B08"): {"B06", "B07", "B8A", "B09"},
    ("s2_virginia", "B11"): {"B12"},
    ("l7_saltlake", "B5"): {"B7"},
    ("l8_alabama", "B6"): {"B7"},
    ("l8_alabama", "B10"): {"B11"},
}


@pytest.fixture(scope="module")
def rows():
    """All rows by split."""
    tables = {split: pq.read_table(next((SAMPLE / "data").glob(f"{split}-*"))) for split in SPLITS}
    return {split: table.to_pylist() for split, table in tables.items()}


@pytest.fixture(scope="module")
def everything(rows):
    return [row | {"_split": split} for split in SPLITS for row in rows[split]]


@pytest.fixture(scope="module")
def records():
    """Records of `caption_rules.jsonl` by sample id and number of the caption."""
    lines = (SAMPLE / "caption_rules.jsonl").read_text().splitlines()
    parsed = [json.loads(line) for line in lines]
    found = {(record["sample_id"], record["caption"]): record for record in parsed}
    assert len(found) == len(parsed)
    return found


def without_groups(row):
    """A group is named after one of its rows, which a part of the rows may lack."""
    return {name: value for name, value in row.items() if name not in TOLD_OF_GROUPS}


def digest_of_cut(rows):
    """SHA-256 of the pixels and of all that was known before infrared and joint captions."""
    digest = hashlib.sha256()
    for row in rows:
        for name in IMAGE_COLUMNS:
            digest.update(np.asarray(image_of(row, name)).tobytes())
        digest.update(json.dumps([row[name] for name in CUT]).encode())
    return digest.hexdigest()


def image_of(row, name):
    return Image.open(io.BytesIO(row[name]["bytes"]))


def place_of(row):
    found = LOCATOR.fullmatch(row["source_locator"])
    return found["scene"], int(found["row"]), int(found["column"]), int(found["size"])


def test_there_are_enough_tiles_of_every_split(rows):
    tiles = {split: {row["source_locator"] for row in found} for split, found in rows.items()}
    assert len(tiles["train"]) >= 900 and len(tiles["validation"]) >= 100
    held_out = Counter(place.split("@")[0] for place in tiles["test"])
    assert sum(held_out[name] for name in HELD_OUT_REGIONS) >= 280
    assert held_out["l8_alabama"] == 26
    assert sum(path.stat().st_size for path in SAMPLE.rglob("*.parquet")) <= 30e6


def test_every_band_of_a_sensor_is_a_row_of_every_tile(everything):
    found = defaultdict(list)
    for row in everything:
        found[row["source_locator"]].append(row["ir_band"])
    assert all(kinds == list(BANDS[place.split("@")[0]][1]) for place, kinds in found.items())
    assert len({row["sample_id"] for row in everything}) == len(everything)


def test_regions_of_the_splits_lie_64_pixels_apart_and_the_third_scene_is_test_only(everything):
    corners = defaultdict(lambda: defaultdict(set))
    for row in everything:
        scene, top, left, size = place_of(row)
        corners[scene][row["_split"]].add((top, left, size))
    assert set(corners["l8_alabama"]) == {"test"}
    for scene in HELD_OUT_REGIONS:
        assert set(corners[scene]) == set(SPLITS)
        for one, other in itertools.combinations(SPLITS, 2):
            a, b = (np.array(sorted(corners[scene][split])) for split in (one, other))
            between = (
                np.abs(a[:, None, :2] - b[None, :, :2]).max(-1) - 64
            )  # along the axis where they are further apart
            assert between.min() >= 64, (scene, one, other)


def test_training_tiles_overlap_by_a_third_at_most_and_the_others_never(everything):
    corners = defaultdict(set)
    for row in everything:
        scene, top, left, _ = place_of(row)
        corners[scene, row["_split"]].add((top, left))
    for (_, split), found in corners.items():
        found = np.array(sorted(found))
        apart = np.abs(found[:, None] - found[None])  # (tiles, tiles, 2)
        shared = np.clip(64 - apart, 0, None).prod(-1) / 64**2
        np.fill_diagonal(shared, 0)
        assert shared.max() <= (1 / 3 if split == "train" else 0)


def test_held_out_tiles_lie_on_one_grid_so_that_neighbours_join(everything):
    for scene in declared_scenes():
        for region in scene.source["regions"]:
            if region["split"] == "train":
                continue
            own = [
                row for row in everything if row["source_dataset"] == scene.name and row["_split"] == region["split"]
            ]
            offsets = {
                ((top - region["rows"][0]) % 64, (left - region["columns"][0]) % 64)
                for _, top, left, _ in map(place_of, own)
            }
            assert offsets == {(0, 0)}


def test_no_group_is_in_two_splits_and_at_least_250_queries_of_nir_and_of_swir_are_left(everything):
    splits = defaultdict(set)
    for row in everything:
        splits[row["joint_group_id"]].add(row["_split"])
    assert all(len(own) == 1 for own in splits.values())
    for kind in ("nir", "swir"):
        own = {
            row["joint_group_id"]
            for row in everything
            if row["_split"] == "test" and row["ir_band"] == kind and row["source_dataset"] in HELD_OUT_REGIONS
        }
        assert len(own) >= 250


def test_load_dataset_reads_it_as_it_lies():
    loaded = load_dataset(str(SAMPLE))
    assert list(loaded) == list(SPLITS)
    assert loaded["test"].features == FEATURES
    first = loaded["test"][0]
    assert (first["rgb"].mode, first["ir"].mode, first["rgb"].size) == ("RGB", "L", (64, 64))


def test_images_are_png_of_one_size_with_colour_and_detail(everything):
    bad = []
    for row in everything:
        rgb, ir = image_of(row, "rgb"), image_of(row, "ir")
        assert (rgb.format, ir.format, rgb.mode, ir.mode, rgb.size, ir.size) == (
            "PNG",
            "PNG",
            "RGB",
            "L",
            (64, 64),
            (64, 64),
        )
        if (
            np.asarray(rgb).std((0, 1)).max() < 4
            or np.asarray(ir).std() < 2
            or (np.asarray(rgb) == 0).all(-1).mean() > 0.5
        ):
            bad.append(row["sample_id"])
    assert len(bad) <= 0.02 * len(everything), bad


def test_the_rows_of_a_tile_share_their_rgb_bytes(everything):
    images = defaultdict(set)
    for row in everything:
        images[row["source_locator"]].add(row["rgb"]["bytes"])
    assert {len(found) for found in images.values()} == {1}


def test_rgb_is_stored_once_though_several_rows_hold_it():
    for path in (SAMPLE / "data").glob("*.parquet"):
        distinct = {row["bytes"] for row in pq.read_table(path, columns=["rgb"])["rgb"].to_pylist()}
        file = pq.ParquetFile(path)
        columns = [
            file.metadata.row_group(group).column(n)
            for group in range(file.num_row_groups)
            for n in range(file.metadata.num_columns)
        ]
        stored = sum(column.total_uncompressed_size for column in columns if column.path_in_schema == "rgb.bytes")
        assert stored < 1.1 * sum(map(len, distinct))


def test_rows_say_where_they_come_from_and_nothing_that_is_not_known(everything):
    for row in everything:
        assert row["rights"] in ("CC0-1.0", "public-domain") and row["sensor"] and row["gsd_m"] in (10.0, 30.0)
        assert row["acquired_at"] is None and row["translator"] is None
        assert (row["ir_origin"], row["ir_unit"]) == ("sensor", "display")
        west, south, east, north = row["bbox"]
        assert 0 < east - west < 0.03 and 0 < north - south < 0.03


def test_the_build_that_finished_it_left_what_was_cut_as_it_was(rows):
    assert {split: digest_of_cut(found) for split, found in rows.items()} == CUT_SHA256


def test_the_rows_are_finished(everything):
    for row in everything:
        assert row["ir_captions"] and len(row["ir_caption_form"]) == len(row["ir_captions"])
        assert set(row["ir_caption_form"]) <= {"compact", "fluent"} and row["captioner"] == "grounded"
        assert row["image_group_id"] and row["joint_group_id"] and row["is_eval_representative"] is not None
    assert sum(bool(row["joint_captions"]) for row in everything) > 0.95 * len(everything)
    marked = Counter((row["joint_group_id"], row["ir_band"]) for row in everything if row["is_eval_representative"])
    held_out = {(row["joint_group_id"], row["ir_band"]) for row in everything if row["_split"] != "train"}
    assert set(marked) == held_out and set(marked.values()) == {1}


def test_captions_and_hashes_are_those_that_this_code_writes(rows, tmp_path):
    """Who changes the captioner or a hash makes the sample anew."""
    some = {split: found[::EVERY] for split, found in rows.items()}
    for split, found in some.items():
        table = pa.Table.from_pylist([row | dict.fromkeys(FINISHED) for row in found], schema=DATA_SCHEMA)
        write_shard(tmp_path / "cut" / "data" / f"{split}-00000-of-00001.parquet", table)
    build(replace(load_recipe(SAMPLE / "recipe.yaml"), base=tmp_path / "cut"), tmp_path / "built", workers=1)
    for split, found in some.items():
        again = pq.read_table(tmp_path / "built" / "data" / f"{split}-00000-of-00001.parquet").to_pylist()
        assert [without_groups(row) for row in again] == [without_groups(row) for row in found]


@pytest.mark.slow
def test_its_build_gives_it_again_to_the_byte(tmp_path):
    build(load_recipe(SAMPLE / "recipe.yaml"), tmp_path)
    files = sorted(path.name for path in (SAMPLE / "data").iterdir())
    assert files == sorted(path.name for path in (tmp_path / "data").iterdir())
    assert all((tmp_path / "data" / name).read_bytes() == (SAMPLE / "data" / name).read_bytes() for name in files)


def test_every_caption_has_a_record_of_bands_that_its_row_does_not_show(everything, records):
    left = dict(records)
    for row in everything:
        assert row["caption_origin"] == ["rule"] * len(row["captions"]) and len(row["captions"]) in (1, 2)
        scene, kind = row["source_dataset"], row["ir_band"]
        visible, infrared = BANDS[scene]
        shown = visible | {infrared[kind]} | NEAR_TWINS.get((scene, infrared[kind]), set())
        for number in range(len(row["captions"])):
            record = left.pop((row["sample_id"], number))
            assert record["bands"] and not shown & set(record["bands"])
    assert not left


def test_the_rules_that_are_declared_use_the_bands_that_are_recorded(everything, records):
    rules = {rule.name: rule for scene in declared_scenes() for rule in scene.rules.values()}
    for record in records.values():
        rule = rules[record["rule"]]
        assert record["bands"] == rule.bands
        assert record["rule"] == f"{record['sample_id'].split('/')[0]}/{record['sample_id'].split('/')[2]}"
        assert {cover["cover"] for cover in record["inputs"]["covers"]} <= {part["cover"] for part in rule.covers}


def test_captions_are_written_from_the_recorded_facts_alone(everything, records):
    for row in everything:
        given = records[row["sample_id"], 0]["inputs"]
        covers = tuple(CoverFacts(**cover) for cover in given["covers"])
        facts = SceneFacts(covers, given["pattern"], tuple(given["trend"]) if given["trend"] else None)
        assert write_captions(facts, row["sample_id"]) == row["captions"]


def test_captions_are_short_and_nearly_all_distinct(rows):
    for split, found in rows.items():
        for kind in ("nir", "swir", "lwir"):
            captions = [row["captions"] for row in found if row["ir_band"] == kind]
            for texts in zip(*captions, strict=True):
                words = [len(text.split()) for text in texts]
                assert min(words) >= 12 and max(words) <= 30
                assert len({caption_key(text) for text in texts}) >= 0.97 * len(texts), (split, kind)


def test_captions_do_not_name_the_infrared(everything):
    pattern = re.compile(r"\b(infrared|near-infrared|nir|swir|thermal|band|tile|image)s?\b", re.IGNORECASE)
    assert not [text for row in everything for text in row["captions"] if pattern.search(text)]


def test_the_card_tells_the_counted_rows(rows, everything):
    card = (SAMPLE / "README.md").read_text()
    for split, found in rows.items():
        tiles = len({row["source_locator"] for row in found})
        assert f"| {split} | {tiles} | {len(found)} |" in card
    counts = Counter((row["source_dataset"], row["ir_band"], row["_split"]) for row in everything)
    for scene in declared_scenes():
        assert f"## {scene.name}: {scene.place}" in card and scene.attribution in card
        for kind, band in scene.source["ir"].items():
            low, high = scene.source["limits"][band]
            numbers = " | ".join(str(counts[scene.name, kind, split]) for split in SPLITS)
            assert f"| `{kind}` | {band} | {low} to {high} | {numbers} |" in card


def test_the_16_bit_fixture_scaled_by_its_limits_is_the_infrared_of_the_sample(everything):
    shipped = {row["sample_id"]: row for row in everything}
    tiles = json.loads((FIXTURE / "tiles.json").read_text())
    assert {(tile["ir_band"], tile["ir_unit"]) for tile in tiles} == {
        ("nir", "reflectance_1e4"),
        ("swir", "reflectance_1e4"),
        ("lwir", "dn"),
    }
    for tile in tiles:
        raw = Image.open(FIXTURE / tile["ir"])
        assert raw.mode == "I;16" and np.asarray(raw).max() > 255
        scaled, _ = scale_infrared(np.asarray(raw), tuple(tile["limits"]))
        np.testing.assert_array_equal(scaled, np.asarray(image_of(shipped[tile["sample_id"]], "ir")))
        assert (FIXTURE / tile["rgb"]).read_bytes() == shipped[tile["sample_id"]]["rgb"]["bytes"]
