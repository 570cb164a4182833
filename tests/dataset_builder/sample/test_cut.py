import hashlib
import json
import shutil
from collections import Counter
from dataclasses import replace

import numpy as np
import pytest
import rasterio
import yaml
from datasets import load_dataset
from rasterio.transform import from_origin

from dataset_builder.sample.cut import cut, measure_limits, write_sample
from dataset_builder.sample.scenes import declared_scenes
from fusionrs_hf.errors import InputError

BANDS = {"B2": 1, "B3": 2, "B4": 3, "B5": 4, "B6": 5, "B10": 6}
DECLARED = {
    "place": "Nowhere",
    "describes": "noise and a lake",
    "unit": "digital number",
    "limits_from": "kept tiles of the training region",
    "package": "made 1.0",
    "attribution": "Made for tests",
    "notes": "Nothing of it is true.",
    "source": {
        "name": "made",
        "path": "made.tif",
        "rights": "CC0-1.0",
        "sensor": "Landsat 8 OLI/TIRS",
        "rgb": ["B4", "B3", "B2"],
        "ir": {"nir": "B5", "lwir": "B10"},
        "bands": BANDS,
        "limits": dict.fromkeys(BANDS, [0, 1000]),
        "tile_px": 64,
        "min_gap_px": 64,
        "land": {"band": "B6", "above": 100, "min_ratio": 0.5},
        "regions": [
            {"split": "train", "rows": [0, 128], "columns": [0, 256], "stride_px": 44},
            {"split": "validation", "rows": [192, 256], "columns": [0, 96]},
            {"split": "test", "rows": [192, 256], "columns": [160, 256]},
        ],
    },
    "captions": {
        "nir": {
            "covers": [{"cover": "water", "B6": [None, 100]}, {"cover": "dry"}],
            "trend": {"measure": "warmth", "of": "B10", "least": 1},
        },
        "lwir": {
            "covers": [{"cover": "green", "B6-B5": [None, 0]}, {"cover": "dry"}],
            "trend": {"measure": "dryness", "of": "B6", "least": 1},
        },
    },
}


@pytest.fixture(scope="module")
def packages(tmp_path_factory):
    """A scene of noise, half as bright in the test region, with a lake in the north-west that is dark in B6."""
    values = np.random.default_rng(0).integers(200, 1000, (6, 256, 256), dtype=np.uint16)
    values[4, :64, :64] = 50
    values[:, 192:, 160:] //= 2
    shape = {"count": 6, "height": 256, "width": 256, "dtype": "uint16", "crs": "EPSG:32616"}
    folder = tmp_path_factory.mktemp("packages")
    with rasterio.open(folder / "made.tif", "w", "GTiff", transform=from_origin(5e5, 34e5, 30, 30), **shape) as file:
        file.write(values)
    return folder


@pytest.fixture(scope="module")
def scene(packages):
    digest = hashlib.sha256((packages / "made.tif").read_bytes()).hexdigest()
    declared = packages / "scenes.yaml"
    declared.write_text(yaml.safe_dump({"scenes": [DECLARED | {"sha256": {"made.tif": digest}}]}))
    return declared_scenes(declared)[0]


@pytest.fixture(scope="module")
def written(scene, packages, tmp_path_factory):
    """Folder of a sample of that scene."""
    out = tmp_path_factory.mktemp("written")
    write_sample([(scene, scene.open(packages))], out, workers=1)
    return out


def test_usable_tiles_become_captioned_rows_and_the_others_are_counted(scene, packages):
    left = Counter()
    pairs = list(cut(scene, scene.open(packages), left))
    assert left == {("made", "little_land"): 1}  # the tile on the lake; the next, 44 pixels on, is half land
    assert Counter((row["_split"], row["ir_band"]) for row, _ in pairs) == {
        ("train", "nir"): 9,  # rows 0 and 44, columns 0, 44, 88, 132, 176, but one
        ("train", "lwir"): 9,
        ("validation", "nir"): 1,
        ("validation", "lwir"): 1,
        ("test", "nir"): 1,
        ("test", "lwir"): 1,
    }
    for row, records in pairs:
        assert [record["caption"] for record in records] == list(range(len(row["captions"])))
        bands = {"nir": ["B10", "B6"], "lwir": ["B5", "B6"]}[row["ir_band"]]
        assert all((record["sample_id"], record["bands"]) == (row["sample_id"], bands) for record in records)


def test_limits_are_percentiles_of_the_training_region_and_count_each_pixel_once(scene, packages):
    source = scene.open(packages)
    limits = measure_limits(source)
    assert set(limits) == {"B4", "B3", "B2", "B5", "B10"}
    with rasterio.open(packages / "made.tif") as file:
        region = file.read(4)[:128]
    kept = np.concatenate([region[:64, 64:].ravel(), region[64:].ravel()])  # all but the lake's tile
    assert limits["B5"] == np.percentile(kept, [1, 99]).round().astype(int).tolist()
    assert limits == measure_limits(replace(source, min_std=500))


def test_making_it_twice_gives_the_same_bytes(scene, packages, written, tmp_path):
    write_sample([(scene, scene.open(packages))], tmp_path, workers=1)
    files = sorted(path.relative_to(written) for path in written.rglob("*") if path.is_file())
    assert list(map(str, files)) == [
        "README.md",
        "caption_rules.jsonl",
        "data/test-00000-of-00001.parquet",
        "data/train-00000-of-00001.parquet",
        "data/validation-00000-of-00001.parquet",
    ]
    assert all((written / file).read_bytes() == (tmp_path / file).read_bytes() for file in files)


def test_what_is_written_is_finished_and_loads_with_its_card(written):
    loaded = load_dataset(str(written))
    assert {split: len(rows) for split, rows in loaded.items()} == {"train": 18, "validation": 2, "test": 2}
    texts = loaded["test"].select_columns(["ir_captions", "captioner", "ir_phash", "joint_group_id"])
    assert all(all(row.values()) for row in texts)
    card = (written / "README.md").read_text()
    assert "| train | 9 | 18 |" in card and "1 tiles with B6 above 100 on less than 50% (water)" in card
    assert "| made/nir | B10, B6 |" in card and "| `lwir` | B10 | 0 to 1000 | 9 | 1 | 1 |" in card
    assert f"| infrared, compact | {loaded['test'][0]['ir_captions'][0]} |" in card
    records = [json.loads(line) for line in (written / "caption_rules.jsonl").read_text().splitlines()]
    assert {record["sample_id"] for record in records} == {
        sample_id for split in loaded for sample_id in loaded[split]["sample_id"]
    }


def test_a_row_that_the_build_would_leave_out_is_an_error_and_nothing_is_written(scene, packages, tmp_path):
    flat = replace(scene, source=scene.source | {"limits": scene.source["limits"] | {"B10": [5000, 6000]}})
    with pytest.raises(InputError, match=r"of 22 rows that were cut the build kept 11 \(\{'ir_too_flat': 11\}\)"):
        write_sample([(flat, flat.open(packages))], tmp_path, workers=1)
    assert list(tmp_path.iterdir()) == []


def test_another_file_than_the_pinned_one_is_an_error(scene, packages, tmp_path):
    packages = shutil.copytree(packages, tmp_path / "packages")
    with open(packages / "made.tif", "ab") as file:
        file.write(b"x")
    with pytest.raises(
        InputError, match=r"made.tif has SHA-256 [0-9a-f]{64}, expected [0-9a-f]{64}; install made 1.0 again"
    ):
        scene.open(packages)
    (packages / "made.tif").unlink()
    with pytest.raises(InputError, match="made.tif is missing; install requirements-scenes.txt into"):
        scene.open(packages)


def test_a_declared_rule_that_leaks_is_refused(scene):
    leaking = DECLARED["captions"] | {"nir": DECLARED["captions"]["lwir"]}
    with pytest.raises(ValueError, match=r"caption rule made/nir uses \['B5'\], which the row shows"):
        _ = replace(scene, captions=leaking).rules
