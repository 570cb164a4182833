"""Limits that are measured, against numpy over the tiles that are trained on."""

import io

import numpy as np
import pytest
import rasterio
from PIL import Image
from rasterio.transform import from_origin

from dataset_builder.sources import open_source
from dataset_builder.sources.scene_limits import SAMPLED_TILES, display, sampled
from fusionrs_hf.errors import InputError

BANDS = {"red": 1, "green": 2, "blue": 3, "nir": 4}


def write(path, dtype=np.uint16, held_out=0):
    """Four bands of 64 x 96 px; the last 32 columns, which are held out, are brighter by `held_out`; row 0 is 0."""
    values = np.random.default_rng(0).integers(1, 3000, (4, 64, 96)).astype(dtype)
    values[:, :, 64:] += np.array(held_out, dtype)
    values[:, 0] = 0
    grid = {"crs": "EPSG:32633", "transform": from_origin(500_000, 5_000_000, 10, 10)}
    with rasterio.open(path, "w", driver="GTiff", height=64, width=96, count=4, dtype=dtype, nodata=0, **grid) as file:
        file.write(values)
    return values


def scene(folder, **fields):
    regions = [{"rows": [0, 64], "columns": [0, 64], "split": "train"}]
    regions += [{"rows": [0, 64], "columns": [64, 96], "split": "test"}]
    given = {"kind": "scene", "path": "s.tif", "rights": "x", "tile_px": 32, "bands": BANDS, "regions": regions}
    return open_source(given | {"max_nodata_ratio": 1.0} | fields, folder)


@pytest.mark.parametrize("dtype", [np.uint16, np.int32, np.float32])
def test_limits_are_percentiles_of_the_training_regions_of_rgb_together(tmp_path, dtype):
    values = write(tmp_path / "s.tif", dtype, held_out=9000)[:, 1:, :64]  # row 0 has no data
    found = scene(tmp_path, limits="auto").limits
    low, high = np.percentile(values[:3], (1, 99))
    assert found["red"] == found["green"] == found["blue"]
    assert found["red"] == pytest.approx([low, high], abs=1)
    assert found["nir"] == pytest.approx(np.percentile(values[3], (1, 99)), abs=1) and found["nir"] != found["red"]


def test_pixels_are_those_of_the_limits_that_are_told(tmp_path):
    values = write(tmp_path / "s.tif")
    source = scene(tmp_path, limits={"red": "auto", "green": [0, 1000], "blue": [0, 1000], "nir": [0, 3000]})
    row = next(iter(source.read(source.shards()[0])))
    low, high = source.display_facts()["limits"]["red"]
    expected = np.rint(np.clip((values[0, :32, :32] - low) / (high - low), 0, 1) * 255)
    np.testing.assert_array_equal(np.asarray(Image.open(io.BytesIO(row["rgb"]["bytes"])))[..., 0], expected)
    assert source.display_facts()["limits"]["green"] == [0, 1000]


def test_a_scene_of_8_bit_needs_no_limits(tmp_path):
    write(tmp_path / "s.tif", np.uint8)
    assert scene(tmp_path, limits="auto").limits == {}


def test_what_has_no_values_cannot_be_measured(tmp_path):
    with rasterio.open(
        tmp_path / "s.tif", "w", driver="GTiff", height=64, width=96, count=4, dtype="uint16", nodata=0
    ) as file:
        file.write(np.zeros((4, 64, 96), np.uint16))
    with pytest.raises(InputError, match="cannot be measured: 0 values"):
        scene(tmp_path, limits="auto")
    with pytest.raises(InputError, match="limits of scene s must be auto"):
        scene(tmp_path, limits="best")


def test_a_tone_curve_lightens_rgb_and_leaves_infrared(tmp_path):
    values = write(tmp_path / "s.tif")
    limits = dict.fromkeys(BANDS, [0, 3000])
    curved, straight = (
        next(iter(source.read(source.shards()[0])))
        for source in (scene(tmp_path, limits=limits, rgb_gamma=2.0), scene(tmp_path, limits=limits))
    )
    assert curved["ir"] == straight["ir"]
    shown = np.asarray(Image.open(io.BytesIO(curved["rgb"]["bytes"])))[..., 1]
    np.testing.assert_array_equal(shown, np.rint(np.sqrt(values[1, :32, :32] / 3000) * 255))


def test_values_become_levels_by_hand():
    values = np.array([[np.nan, 0, 100, 150, 200, 999]])
    np.testing.assert_array_equal(display(values, (100, 200)), [[0, 0, 0, 128, 255, 255]])
    np.testing.assert_array_equal(display(values[:, 1:], (100, 200), 2.0), [[0, 0, 180, 255, 255]])
    eight = np.arange(4, dtype=np.uint8)
    assert display(eight, None) is eight


def test_the_sample_is_of_all_regions_and_the_same_again():
    starts = [(range(0, 320, 32), range(0, 320, 32)), (range(640, 960, 32), range(0, 32, 32))]
    tiles = sampled(starts, "a")
    assert len(set(tiles)) == len(tiles) == SAMPLED_TILES and tiles == sampled(starts, "a") != sampled(starts, "b")
    assert all(row % 32 == 0 and column % 32 == 0 for row, column in tiles) and max(tiles)[0] >= 640
    assert sampled([(range(0, 64, 32), range(0, 32, 32))], "a") == [(0, 0), (32, 0)]
