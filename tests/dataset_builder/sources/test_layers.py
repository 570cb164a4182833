"""What says that pixels have no data adds up, on any grid, and never enters an interpolation."""

import itertools

import numpy as np
import pytest
import rasterio
from rasterio.enums import ColorInterp
from rasterio.transform import from_origin

from dataset_builder.sources.layers import MendedLayer, WarpedLayer
from dataset_builder.sources.raster import Raster

SIDE = 32  # of the grid, pixels of 10 m
GROUND = 100  # what all valid pixels hold
POISON = {"uint8": 255, "uint16": 65535, "int16": -32768, "float32": -9999.0}
RECIPE = {"uint8": 7, "uint16": 7, "int16": 7, "float32": 7.0}
SIGNALS = ("file", "recipe", "mask", "alpha")
GRIDS = {  # pixel in metres, left, top, system of the band; the grid's own is 10, 500_000, 4_000_000, EPSG:32618
    "own": (10, 500_000, 4_000_000, "EPSG:32618"),
    "coarse": (20, 500_000, 4_000_000, "EPSG:32618"),
    "fine": (5, 500_000, 4_000_000, "EPSG:32618"),
    "shifted": (20, 499_990, 4_000_010, "EPSG:32618"),
    "other zone": (20, None, None, "EPSG:32617"),
}


def write(path, bands, grid, nodata=None, mask=None, alpha=None):
    pixel, left, top, crs = grid
    if left is None:
        (x0, y0, x1, y1) = rasterio.warp.transform_bounds("EPSG:32618", crs, 500_000, 3_999_680, 500_320, 4_000_000)
        left, top = x0 - 100, y1 + 100
    count, height, width = bands.shape
    profile = {"count": count, "height": height, "width": width, "dtype": bands.dtype, "nodata": nodata, "crs": crs}
    with rasterio.open(path, "w", "GTiff", transform=from_origin(left, top, pixel, pixel), **profile) as file:
        if alpha is not None:  # before the pixels: GDAL writes down then what is which
            kinds = ["alpha" if band == alpha else "gray" for band in range(1, count + 1)]
            file.colorinterp = [ColorInterp[kind] for kind in kinds]
        file.write(bands)
        if mask is not None:
            file.write_mask(mask)
    return path


def band_file(path, grid, dtype, signals, alpha_at=2):
    """Writes a band whose western strips are each ruled out by one signal, poison under it; returns their width."""
    pixel, left, top, crs = GRIDS[grid]
    side = int(np.ceil((SIDE * 10 + 300) / pixel)) if left is None else int(np.ceil((SIDE * 10 + 20) / pixel))
    values = np.full((side, side), GROUND, dtype)
    strip = side // 2 // max(len(signals), 1)
    edges = {signal: slice(number * strip, (number + 1) * strip) for number, signal in enumerate(signals)}
    mask = alpha = None
    for signal, columns in edges.items():
        values[:, columns] = RECIPE[dtype] if signal == "recipe" else POISON[dtype]
        covered = np.full((side, side), 255 if dtype == "uint8" else 200, dtype)
        covered[:, columns] = 0
        mask = (covered > 0).astype(np.uint8) * 255 if signal == "mask" else mask
        alpha = covered if signal == "alpha" else alpha
    bands = [values] if alpha is None else [values, alpha] if alpha_at == 2 else [alpha, values]
    nodata = POISON[dtype] if "file" in signals else None
    write(path, np.stack(bands), GRIDS[grid], nodata, mask, None if alpha is None else alpha_at)
    return strip * len(signals)  # stored columns without data


def opened(folder, band, signals, dtype):
    write(folder / "grid.tif", np.full((1, SIDE, SIDE), 50, np.uint8), GRIDS["own"])
    places = {"grid": "grid.tif", "band": band}
    return Raster(folder, places, list(places), nodata=RECIPE[dtype] if "recipe" in signals else None)


COMBINATIONS = [signals for count in (0, 1, 2, 4) for signals in itertools.combinations(SIGNALS, count)]


@pytest.mark.parametrize("dtype", POISON)
@pytest.mark.parametrize("grid", GRIDS)
def test_signals_add_up_and_what_they_rule_out_is_not_interpolated(tmp_path, grid, dtype):
    for signals in COMBINATIONS:
        lost = band_file(tmp_path / "band.tif", grid, dtype, signals)
        pixel, left, top, _ = GRIDS[grid]
        with opened(tmp_path, "band.tif", signals, dtype) as raster:
            values = raster.read("band", 0, 0, SIDE)
            valid = raster.valid(["band"], 0, 0, SIDE)
            assert np.abs(values[valid] - GROUND).max() < 1e-9, signals  # GDAL 3.9 sums weights that round
            if left is not None:  # a pixel has data where the stored pixel under its centre has
                centres = 500_000 + 10 * np.arange(SIDE) + 5
                stored = (centres - left) // pixel
                on_edge = (centres - left) % pixel == 0  # a finer file: half of what is averaged is ruled out
                wanted = np.tile(stored >= lost, (SIDE, 1))
                np.testing.assert_array_equal(valid[:, ~on_edge], wanted[:, ~on_edge], err_msg=str(signals))
            else:
                assert valid[:, -1].all() and (not signals or not valid[:, 0].any())
            # The same, tile by tile: no seam where one ends.
            for row, column in ((0, 16), (16, 0)):
                here = (slice(row, row + 16), slice(column, column + 16))
                np.testing.assert_array_equal(raster.valid(["band"], row, column, 16), valid[here])
                np.testing.assert_array_equal(
                    raster.read("band", row, column, 16)[valid[here]], values[here][valid[here]]
                )


@pytest.mark.parametrize("at", [1, 2])
def test_an_alpha_band_rules_out_wherever_it_stands(tmp_path, at):
    lost = band_file(tmp_path / "band.tif", "own", "uint8", ("alpha",), alpha_at=at)
    write(tmp_path / "grid.tif", np.full((1, 34, 34), 50, np.uint8), GRIDS["own"])
    with Raster(tmp_path / "band.tif", {"band": 3 - at}, ["band"]) as raster:
        assert raster.valid(["band"], 0, 0, SIDE)[0].tolist() == [column >= lost for column in range(SIDE)]


@pytest.mark.parametrize("signals", [("file", "recipe"), ("mask", "alpha")])
def test_a_mended_band_is_interpolated_as_gdal_does_away_from_what_is_ruled_out(tmp_path, signals):
    """A texture: where one signal alone would do, both ways give the same numbers."""
    rng = np.random.default_rng(0)
    coarse = rng.integers(1000, 3000, (1, 20, 20), dtype=np.uint16)
    coarse[:, :, :4] = 65535
    write(tmp_path / "one.tif", coarse, GRIDS["coarse"], nodata=65535)
    coarse[:, :, 2:4] = 7
    write(tmp_path / "two.tif", coarse, GRIDS["coarse"], nodata=65535)
    write(tmp_path / "grid.tif", np.full((1, SIDE, SIDE), 50, np.uint8), GRIDS["own"])
    places = {"grid": "grid.tif", "one": "one.tif", "two": "two.tif"}
    with Raster(tmp_path, places, places) as raster:
        one, where = raster.read("one", 0, 0, SIDE), raster.valid(["one"], 0, 0, SIDE)
        assert isinstance(raster.layers["one"], WarpedLayer)
    with Raster(tmp_path, places, places, nodata=7) as raster:
        two, valid = raster.read("two", 0, 0, SIDE), raster.valid(["two"], 0, 0, SIDE)
        assert isinstance(raster.layers["two"], MendedLayer)
    np.testing.assert_array_equal(valid, where)
    np.testing.assert_array_equal(two[valid], one[valid])
    assert where[0].tolist() == [column >= 8 for column in range(SIDE)]


def test_floats_that_are_no_numbers_do_not_spread(tmp_path):
    coarse = np.full((1, 20, 20), 3.5, np.float32)
    coarse[0, 4, 4] = np.nan
    write(tmp_path / "band.tif", coarse, GRIDS["coarse"])
    with opened(tmp_path, "band.tif", (), "float32") as raster:
        values, valid = raster.read("band", 0, 0, SIDE), raster.valid(["band"], 0, 0, SIDE)
    assert np.argwhere(~valid).tolist() == [[8, 8], [8, 9], [9, 8], [9, 9]]
    assert (values[valid] == 3.5).all()
