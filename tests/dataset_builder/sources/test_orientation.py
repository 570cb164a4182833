"""Whatever way a raster is stored, its tiles are north-up; what no flip or quarter turn mends is refused."""

import itertools
from contextlib import nullcontext

import numpy as np
import pytest
import rasterio
from rasterio import Affine
from rasterio.transform import from_origin

from dataset_builder.sources.raster import Raster
from fusionrs_hf.errors import InputError

HEIGHT, WIDTH = 24, 40  # of the north-up grid
PLACE = {"EPSG:32618": from_origin(500_000, 4_000_000, 10, 10), "EPSG:4326": from_origin(-75.3, 40.1, 0.0003, 0.0003)}
STORED = list(itertools.product((False, True), repeat=3))  # transposed, rows reversed, columns reversed


def stored(values, transform, transposed, rows, columns):
    """The same ground stored otherwise: values and the transform that belongs to them."""
    if rows:
        values, transform = values[..., ::-1, :], transform @ Affine(1, 0, 0, 0, -1, values.shape[-2])
    if columns:
        values, transform = values[..., ::-1], transform @ Affine(-1, 0, values.shape[-1], 0, 1, 0)
    if transposed:
        values, transform = np.swapaxes(values, -2, -1), transform @ Affine(0, 1, 0, 1, 0, 0)
    return values, transform


def write(path, values, transform, crs="EPSG:32618", **profile):
    count, height, width = values.shape
    shape = {"count": count, "height": height, "width": width, "dtype": values.dtype}
    with rasterio.open(path, "w", "GTiff", transform=transform, crs=crs, **shape, **profile) as file:
        file.write(values)
    return path


@pytest.fixture
def ground():
    return np.random.default_rng(0).integers(1, 255, (2, HEIGHT, WIDTH), dtype=np.uint8)


@pytest.mark.parametrize("crs", PLACE)
@pytest.mark.parametrize("how", STORED)
def test_every_flip_and_quarter_turn_reads_as_the_north_up_grid(tmp_path, ground, how, crs):
    plain = Raster(write(tmp_path / "up.tif", ground, PLACE[crs], crs), {}, ["1", "2"])
    ground[0, 3, 5] = 0
    with (
        plain,
        Raster(write(tmp_path / "x.tif", *stored(ground, PLACE[crs], *how), crs, nodata=0), {}, ["1", "2"]) as raster,
    ):
        assert raster.shape == (HEIGHT, WIDTH)
        assert raster.grid["transform"].almost_equals(PLACE[crs], 1e-9)
        for row, column in ((0, 0), (0, 32), (16, 0), (16, 32), (7, 11)):
            window = (slice(row, row + 8), slice(column, column + 8))
            np.testing.assert_array_equal(raster.read("1", row, column, 8), ground[0][window])
            np.testing.assert_array_equal(raster.valid(["1", "2"], row, column, 8), ground[0][window] != 0)
            assert raster.footprint(row, column, 8) == pytest.approx(plain.footprint(row, column, 8), abs=2e-6)
        assert raster.pixel_m == pytest.approx(plain.pixel_m)


@pytest.mark.parametrize(
    ("first", "second"), [*itertools.product(STORED[:1], STORED), *itertools.product(STORED, STORED[:1])]
)
def test_bands_that_are_stored_otherwise_meet_without_resampling(tmp_path, ground, first, second):
    write(tmp_path / "a.tif", *stored(ground[:1], PLACE["EPSG:4326"], *first), "EPSG:4326")
    write(tmp_path / "b.tif", *stored(ground[1:], PLACE["EPSG:4326"], *second), "EPSG:4326")
    with Raster(tmp_path, {"a": "a.tif", "b": "b.tif"}, ["a", "b"]) as raster:
        np.testing.assert_array_equal(raster.read("a", 2, 3, 20), ground[0, 2:22, 3:23])
        np.testing.assert_array_equal(raster.read("b", 2, 3, 20), ground[1, 2:22, 3:23])


@pytest.mark.parametrize("how", STORED)
def test_a_coarser_band_that_is_stored_otherwise_is_put_north_up_too(tmp_path, ground, how):
    """Each 20 m pixel repeated: the centres of both grids' blocks agree, so the mean of a block is its pixel."""
    coarse = np.tile(np.arange(20, dtype=np.float32) * 10, (12, 1)) + np.arange(12, dtype=np.float32)[:, None]
    write(tmp_path / "a.tif", ground[:1], PLACE["EPSG:32618"])
    write(tmp_path / "b.tif", *stored(coarse[None], from_origin(500_000, 4_000_000, 20, 20), *how))
    with Raster(tmp_path, {"a": "a.tif", "b": "b.tif"}, ["a", "b"]) as raster:
        values = raster.read("b", 2, 2, 20)
    np.testing.assert_allclose(values.reshape(10, 2, 10, 2).mean((1, 3)), coarse[1:11, 1:11], atol=1e-3)


@pytest.mark.parametrize(
    "turn", [Affine.rotation(30), Affine.rotation(-1), Affine.rotation(45), Affine.shear(10), Affine.shear(0, 5)]
)
def test_what_is_rotated_or_sheared_is_refused_by_name(tmp_path, ground, turn):
    path = write(tmp_path / "turned.tif", ground, PLACE["EPSG:32618"] @ turn)
    with pytest.raises(InputError, match=r"turned.tif is rotated by \S+ degrees or sheared .* warp it north-up first"):
        Raster(path, {}, ["1"])


def test_a_rotated_band_beside_a_north_up_grid_is_resampled(tmp_path):
    write(tmp_path / "a.tif", np.full((1, 24, 24), 9, np.uint8), PLACE["EPSG:32618"])
    place = Affine.translation(499_800, 4_000_100) @ Affine.rotation(-30) @ Affine.scale(10, -10)
    write(tmp_path / "b.tif", np.full((1, 90, 90), 77, np.uint8), place)
    with Raster(tmp_path, {"a": "a.tif", "b": "b.tif"}, ["a", "b"]) as raster:
        assert (raster.read("b", 4, 4, 8)[raster.valid(["b"], 4, 4, 8)] == 77).all()
        assert raster.valid(["b"], 4, 4, 8).any()


def test_rounding_in_the_transform_is_no_rotation(tmp_path, ground):
    path = write(tmp_path / "x.tif", ground, PLACE["EPSG:32618"] @ Affine.rotation(1e-9))
    with Raster(path, {}, ["1"]) as raster:
        np.testing.assert_array_equal(raster.read("1", 0, 0, 16), ground[0, :16, :16])


def test_a_raster_without_a_grid_stays_as_it_is_and_one_with_control_points_is_refused(tmp_path, ground):
    with Raster(write(tmp_path / "plain.tif", ground, None, None), {}, ["1"]) as raster:
        np.testing.assert_array_equal(raster.read("1", 0, 0, 16), ground[0, :16, :16])
        assert raster.footprint(0, 0, 16) is None
    points = [rasterio.control.GroundControlPoint(row, 0, 500_000 + row, 4_000_000) for row in (0, 8, 16, 23)]
    with rasterio.open(tmp_path / "plain.tif", "r+") as file:
        file.gcps = points, rasterio.CRS.from_epsg(32618)
    with pytest.raises(InputError, match="plain.tif is placed by ground control points, not by a grid"):
        Raster(tmp_path / "plain.tif", {}, ["1"])


HERE = {"crs": "EPSG:32633", "transform": from_origin(500_000, 5_000_000, 10, 10)}  # 15 E, 45.15 N


@pytest.mark.parametrize(
    ("first", "other", "words"),
    [
        (HERE, {}, "band.tif .16 x 16 px. has no reference by which it and .*first.tif"),
        ({}, HERE, "first.tif .16 x 16 px. has no reference by which it and .*band.tif"),
        (HERE, HERE | {"crs": None}, "band.tif .16 x 16 px. has no reference"),
        ({}, {"size": 8}, "band.tif .8 x 8 px. has no reference"),
        (HERE, HERE | {"transform": from_origin(500_160, 5_000_000, 10, 10)}, "band.tif shows another place"),
        (HERE, {"crs": "EPSG:4326", "transform": from_origin(15, -45, 1e-4, 1e-4)}, "band.tif shows another place"),
        ({"crs": "EPSG:4326", "transform": from_origin(16, 45.153, 1e-4, 1e-4)}, HERE, "in the map of .*band.tif"),
        (HERE, {"crs": "EPSG:4326", "transform": from_origin(375, 45.1535, 1e-4, 1e-4)}, None),
        ({"crs": "EPSG:4326", "transform": from_origin(375, 45.1535, 1e-4, 1e-4)}, HERE, None),
        ({"crs": "EPSG:4326", "transform": from_origin(375, 45, 1e-4, 1e-4)},
         {"crs": "EPSG:4269", "transform": from_origin(15, 45, 2e-4, 2e-4)}, None),
        (HERE, HERE | {"transform": Affine(10, 0, 500_080, 0, 10, 4_999_840)}, None),  # south-up, half beside it
        (HERE | {"transform": Affine(10, 0, 500_000, 0, 10, 4_999_840)}, HERE | {"size": 8}, None),
    ],
)  # fmt: skip
def test_a_band_that_cannot_be_laid_on_the_others_is_an_error_by_name(tmp_path, first, other, words):
    for name, grid in (("first", first), ("band", other)):
        side, placed = grid.get("size", 16), {key: value for key, value in grid.items() if key != "size" and value}
        with rasterio.open(
            tmp_path / f"{name}.tif", "w", "GTiff", count=1, height=side, width=side, dtype="uint8", **placed
        ) as file:
            file.write(np.full((1, side, side), 7, np.uint8))
    raster = Raster(tmp_path, {"red": "first.tif", "nir": "band.tif"}, ("red", "nir"))
    with raster as scene, pytest.raises(InputError, match=words) if words else nullcontext():
        assert scene.read("nir", 0, 0, 4).shape == (4, 4)
