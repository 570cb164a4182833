import logging
import math

import numpy as np
import pytest
import rasterio
from rasterio.transform import from_origin

from dataset_builder.sources.raster import Raster

HEIGHT, WIDTH = 12, 20


def raster(folder, crs="EPSG:32618", left=500_000.0, top=4_000_000.0, pixel=(20.0, 10.0), shape=(HEIGHT, WIDTH)):
    """A file of two bands, `a` and `b`, whose pixels have a height and a width of their own."""
    path, (high, wide) = folder / "scene.tif", pixel
    grid = {"crs": crs, "transform": from_origin(left, top, wide, high)}
    profile = {"count": 2, "height": shape[0], "width": shape[1], "dtype": "uint16"}
    with rasterio.open(path, "w", "GTiff", **grid, **profile) as file:
        file.write(np.arange(2 * shape[0] * shape[1], dtype=np.uint16).reshape(2, *shape))
        file.scales, file.offsets = (2.0, 3.0), (-1.0, 5.0)
    return Raster(path, {"a": 1, "b": 2}, ("a", "b"))


def test_height_comes_before_width_in_pixels_and_metres(tmp_path):
    with raster(tmp_path) as scene:
        assert scene.shape == (HEIGHT, WIDTH)
        assert (scene.pixel_m, scene.gsd_m) == ((20.0, 10.0), 10.0)
        window = np.arange(240).reshape(HEIGHT, WIDTH)[2:5, 7:10]
        np.testing.assert_array_equal(scene.read("a", 2, 7, 3), window)
        np.testing.assert_array_equal(scene.read("b", 2, 7, 3), window + 240)
        assert (scene.scaling("a"), scene.scaling("b")) == ((2.0, -1.0), (3.0, 5.0))


def test_feet_are_told_in_metres(tmp_path):
    with raster(tmp_path, "EPSG:2263", 1_000_000, 200_000, (30.0, 10.0)) as scene:
        assert scene.pixel_m == pytest.approx((9.144018, 3.048006), rel=1e-6)  # US survey feet: 1200 / 3937 m
        assert scene.gsd_m == pytest.approx(3.048006, rel=1e-6)


def test_a_pixel_of_a_web_map_is_as_wide_as_its_ground(tmp_path):
    top = 6_378_137 * math.asinh(math.tan(math.radians(60)))
    with raster(tmp_path, "EPSG:3857", 1_000_000, top, (20.0, 20.0)) as scene:
        assert scene.gsd_m == pytest.approx(10.0, rel=4e-3)  # half, on a sphere
        assert scene.pixel_m[1] == pytest.approx(scene.gsd_m, rel=1e-3) and scene.pixel_m[1] <= scene.gsd_m


@pytest.mark.parametrize(
    ("top", "furthest"), [(60.0, 60.0), (-36.0, 60.0), (10.0, 14.0), (14.0, 14.0)], ids=["north", "south", "both", "b"]
)
def test_a_degree_is_that_of_a_sphere_where_the_scene_is_nearest_to_a_pole(tmp_path, top, furthest):
    with raster(tmp_path, "EPSG:4326", 10.0, top, (2.0, 1.0)) as scene:  # 24 degrees high
        degree = math.pi / 180 * 6_371_008.8
        assert scene.pixel_m == pytest.approx((2 * degree, degree * math.cos(math.radians(furthest))), rel=1e-9)
        assert scene.gsd_m is None


def test_no_pixel_is_narrower_than_at_the_pole_itself(tmp_path):
    with raster(tmp_path, "EPSG:4326", 0.0, 90.5, (1.0, 1.0)) as scene:  # a global grid, half a pixel beyond
        assert scene.pixel_m[1] == pytest.approx(0, abs=1e-6)


def test_without_a_reference_nothing_is_in_metres_or_degrees(tmp_path):
    with raster(tmp_path, None) as scene:
        assert (scene.pixel_m, scene.gsd_m, scene.footprint(0, 0, 4)) == (None, None, None)


def test_the_footprint_is_the_box_of_the_tile_s_rows_and_columns(tmp_path):
    with raster(tmp_path, "EPSG:4326", 10.0, 50.0, (0.02, 0.01)) as scene:
        west, south, east, north = scene.footprint(3, 5, 4)
    assert (west, east) == pytest.approx((10.05, 10.09))
    assert (south, north) == pytest.approx((50 - 7 * 0.02, 50 - 3 * 0.02))


@pytest.mark.parametrize(("degrees", "told"), [(22, False), (-22, False), (23, True), (-23, True)])
def test_a_map_whose_up_is_far_from_north_is_told(tmp_path, caplog, degrees, told):
    caplog.set_level(logging.INFO)
    angle, pixel = math.radians(degrees), 10_000.0
    x, y = 2e6 * math.sin(angle), -2e6 * math.cos(angle)  # polar stereographic: up is north where x is 0
    left, top = x - WIDTH / 2 * pixel, y + HEIGHT / 2 * pixel
    with raster(tmp_path, "EPSG:3413", left, top, (pixel, pixel)) as scene:
        scene.tell_north()
    assert ("off true north" in caplog.text) is told
    assert "not stored north-up" not in caplog.text


def test_a_map_around_a_pole_is_told_though_its_middle_has_no_north(tmp_path, caplog):
    with raster(tmp_path, "EPSG:3413", -100_000, 60_000, (10_000, 10_000)) as scene:
        scene.tell_north()
    assert "off true north" in caplog.text


def test_valid_is_where_all_bands_have_data_and_codes_have_none_without(tmp_path):
    path = tmp_path / "holes.tif"
    bands = np.ones((3, 8, 8), np.uint16)
    bands[0, 0, 0] = bands[1, 1, 1] = bands[2, 2, 2] = 0
    profile = {"count": 3, "height": 8, "width": 8, "dtype": "uint16", "crs": "EPSG:32618"}
    with rasterio.open(path, "w", "GTiff", transform=from_origin(500_000, 4_000_000, 10, 10), **profile) as file:
        file.write(bands)
    with Raster(path, {"a": 1, "b": 2, "code": 3}, ("a",), ("code",), nodata=0) as scene:
        holes = [np.argwhere(~scene.valid(names, 0, 0, 8)).tolist() for names in (["a"], ["a", "b"], ["a", "code"])]
    assert holes == [[[0, 0]], [[0, 0], [1, 1]], [[0, 0]]]


def test_a_file_that_tells_no_date_is_no_warning(tmp_path, caplog):
    with raster(tmp_path) as scene:
        assert scene.acquired() is None
    assert caplog.text == ""
