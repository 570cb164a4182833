"""Which rows a place to embed stands for."""

import logging

import numpy as np
import pytest
import rasterio

from dataset_builder.search.rows import Rows, describe_rows


def write_scene(path, descriptions=()):
    bands = np.random.default_rng(0).integers(0, 256, (6, 32, 32), dtype=np.uint8)
    with rasterio.open(path, "w", driver="GTiff", width=32, height=32, count=6, dtype="uint8") as file:
        file.write(bands)
        for number, name in enumerate(descriptions, 1):
            file.set_band_description(number, name)


NAMED = ("blue", "green", "red", "nir", "swir1", "lwir11")


@pytest.mark.parametrize(
    ("described", "scene", "bands"),
    [
        (True, {}, {"nir", "swir", "lwir"}),
        (False, {"bands": {name: number for number, name in enumerate(NAMED, 1)}}, {"nir", "swir", "lwir"}),
        (False, {"bands": {"red": 3, "green": 2, "blue": 1, "lwir": 6}}, {"lwir"}),
        (True, {"ir": {"swir": "swir1"}}, {"swir"}),
        (False, {"bands": {"r": 3, "g": 2, "b": 1, "x": 6}, "rgb": ["r", "g", "b"], "ir": {"lwir": "x"}}, {"lwir"}),
    ],
)
def test_a_scene_gives_rows_of_every_infrared_band_that_it_is_told_of(tmp_path, described, scene, bands):
    write_scene(tmp_path / "scene.tif", NAMED if described else ())
    rows = Rows(describe_rows(str(tmp_path / "scene.tif"), ("train",), {"tile_px": 32, **scene}))
    read = [row for number in range(len(rows.shards)) for row in rows.read(number)]
    assert {row["ir_band"] for row in read} == bands and len(read) == len(bands)


@pytest.mark.parametrize("count", [3, 4, 6])
def test_bands_that_nobody_describes_are_taken_as_inspect_takes_them_and_deep_ones_get_limits(tmp_path, caplog, count):
    caplog.set_level(logging.INFO)
    bands = np.random.default_rng(0).integers(1000, 3000, (count, 64, 64), dtype=np.uint16)
    with rasterio.open(
        tmp_path / "s.tif", "w", driver="GTiff", width=64, height=64, count=count, dtype="uint16"
    ) as file:
        file.write(bands)
    (spec,) = (place := describe_rows(str(tmp_path / "s.tif"), ("train",), {"tile_px": 64}))["sources"]
    named = ("red", "green", "blue", "nir")[: min(count, 4)]
    assert spec["bands"] == {name: number for number, name in enumerate(named, 1)}
    assert "not described, taken in the order red, green, blue" in caplog.text and "--option bands=" in caplog.text
    low, high = np.percentile(bands[:3], (1, 99))
    assert spec["limits"]["red"] == pytest.approx([low, high], abs=1)
    if count > 3:
        (row,) = Rows(place).read(0)
        assert row["ir_band"] == "nir"
    assert describe_rows(str(tmp_path / "s.tif"), ("train",), {"limits": {"red": [0, 1]}})["sources"][0]["limits"] == {
        "red": [0, 1]
    }
