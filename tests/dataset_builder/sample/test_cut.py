import hashlib
import json
from collections import Counter
from dataclasses import replace

import numpy as np
import pyarrow.parquet as pq
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
        "tile_px": 16,
        "min_gap_px": 16,
        "land": {"band": "B6", "above": 100, "min_ratio": 0.5},
        "regions": [
            {"split": "train", "rows": [0, 32], "columns": [0, 64], "stride_px": 11},
            {"split": "validation", "rows": [48, 64], "columns": [0, 24]},
            {"split": "test", "rows": [48, 64], "columns": [40, 64]},
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


@pytest.fixture
def packages(tmp_path):
    """A scene of noise up to 1000, with a lake in the north-west that is dark in B6, and 5000 in the test region."""
    values = np.random.default_rng(0).integers(200, 1000, (6, 64, 64), dtype=np.uint16)
    values[4, :16, :16] = 50
    values[:, 48:, 40:] = 5000
    shape = {"count": 6, "height": 64, "width": 64, "dtype": "uint16", "crs": "EPSG:32616"}
    with rasterio.open(tmp_path / "made.tif", "w", "GTiff", transform=from_origin(5e5, 34e5, 30, 30), **shape) as file:
        file.write(values)
    return tmp_path


@pytest.fixture
def scene(packages):
    digest = hashlib.sha256((packages / "made.tif").read_bytes()).hexdigest()
    declared = packages / "scenes.yaml"
    declared.write_text(yaml.safe_dump({"scenes": [DECLARED | {"sha256": {"made.tif": digest}}]}))
    return declared_scenes(declared)[0]


def test_usable_tiles_become_captioned_rows_and_the_others_are_counted(scene, packages):
    left = Counter()
    pairs = list(cut(scene, scene.open(packages), left))
    assert left == {("made", "little_land"): 1}  # the tile on the lake; the next, 11 pixels on, is half land
    assert Counter((row["_split"], row["ir_band"]) for row, _ in pairs) == {
        ("train", "nir"): 9,  # rows 0 and 11, columns 0, 11, 22, 33, 44, but one
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
        region = file.read(4)[:32]
    kept = np.concatenate([region[:16, 16:].ravel(), region[16:].ravel()])  # all but the lake's tile
    assert limits["B5"] == np.percentile(kept, [1, 99]).round().astype(int).tolist()
    assert limits == measure_limits(replace(source, min_std=500))


def test_cutting_twice_gives_the_same_bytes(scene, packages, tmp_path):
    scenes = [(scene, scene.open(packages))]
    for name in ("one", "two"):
        write_sample(scenes, tmp_path / name)
    files = sorted(path.relative_to(tmp_path / "one") for path in (tmp_path / "one").rglob("*") if path.is_file())
    assert list(map(str, files)) == [
        "README.md",
        "caption_rules.jsonl",
        "data/test-00000-of-00001.parquet",
        "data/train-00000-of-00001.parquet",
        "data/validation-00000-of-00001.parquet",
    ]
    assert all((tmp_path / "one" / file).read_bytes() == (tmp_path / "two" / file).read_bytes() for file in files)


def test_what_is_written_loads_with_its_card(scene, packages, tmp_path):
    write_sample([(scene, scene.open(packages))], tmp_path / "out")
    loaded = load_dataset(str(tmp_path / "out"))
    assert {split: len(rows) for split, rows in loaded.items()} == {"train": 18, "validation": 2, "test": 2}
    card = (tmp_path / "out" / "README.md").read_text()
    assert "| train | 9 | 18 |" in card and "1 tiles with B6 above 100 on less than 50% (water)" in card
    assert "| made/nir | B10, B6 |" in card and "| `lwir` | B10 | 0 to 1000 | 9 | 1 | 1 |" in card
    records = [json.loads(line) for line in (tmp_path / "out" / "caption_rules.jsonl").read_text().splitlines()]
    assert {record["sample_id"] for record in records} == {
        sample_id for split in loaded for sample_id in loaded[split]["sample_id"]
    }
    assert pq.read_metadata(tmp_path / "out" / "data" / "train-00000-of-00001.parquet").num_rows == 18


def test_another_file_than_the_pinned_one_is_an_error(scene, packages):
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
