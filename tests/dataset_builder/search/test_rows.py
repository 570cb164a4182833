"""Which rows a place to embed stands for."""

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
