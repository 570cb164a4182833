import io
import pickle
import subprocess
import sys

import numpy as np
import pytest
import rasterio
from PIL import Image
from rasterio.transform import from_origin

from dataset_builder.images.png import encode_png
from dataset_builder.pipeline import BuildRecipe, build
from dataset_builder.schema import COLUMNS
from dataset_builder.sources.scene import SceneSource
from dataset_builder.sources.scene_parts import Clouds, Region
from fusionrs_hf.errors import InputError
from fusionrs_hf.processing_fusionrs_images import scale_infrared

SIDE = 32  # of the scenes made here, in pixels of 10 m
BANDS = {"red": 1, "green": 2, "blue": 3, "nir": 4}
LIMITS = dict.fromkeys(BANDS, [0, 1000])


def write(path, bands, pixel=10.0, left=500_000.0, top=4_000_000.0, crs="EPSG:32618", **profile):
    """Writes `(count, height, width)` as GeoTIFF."""
    count, height, width = bands.shape
    transform = from_origin(left, top, pixel, pixel)
    shape = {"count": count, "height": height, "width": width, "dtype": bands.dtype}
    with rasterio.open(path, "w", "GTiff", crs=crs, transform=transform, **shape, **profile) as file:
        file.write(bands)
    return path


@pytest.fixture
def values():
    return np.random.default_rng(0).integers(0, 1200, (4, SIDE, SIDE), dtype=np.uint16)


@pytest.fixture
def scene(tmp_path, values):
    return write(tmp_path / "scene.tif", values)


def source_of(path, **changes):
    return SceneSource(
        **{"path": path, "rights": "CC0-1.0", "bands": BANDS, "limits": LIMITS, "tile_px": 16} | changes
    )


def rows_of(source):
    return [row for shard in source.shards() for row in source.read(shard)]


def decoded(image):
    return np.asarray(Image.open(io.BytesIO(image["bytes"])))


def test_tiles_cover_the_scene_row_by_row(scene):
    rows = rows_of(source_of(scene))
    places = ["r0c0", "r0c16", "r16c0", "r16c16"]
    assert [row["source_locator"] for row in rows] == [f"scene@{place}s16" for place in places]
    assert [row["sample_id"] for row in rows][1] == "scene/r0000c0016/nir"
    assert all(set(row) == {*COLUMNS, "_split", "_reason"} for row in rows)


def test_pixels_are_the_window_scaled_by_the_declared_limits(scene, values):
    row = rows_of(source_of(scene))[3]
    for channel in range(3):
        wanted, _ = scale_infrared(values[channel, 16:, 16:], (0, 1000))
        np.testing.assert_array_equal(decoded(row["rgb"])[..., channel], wanted)
    np.testing.assert_array_equal(decoded(row["ir"]), scale_infrared(values[3, 16:, 16:], (0, 1000))[0])
    assert (row["ir_unit"], row["ir_band"], row["ir_origin"]) == ("display", "nir", "sensor")


def test_other_units_keep_the_values_as_16_bit(scene, values):
    row = rows_of(source_of(scene, ir_unit="reflectance_1e4"))[0]
    assert Image.open(io.BytesIO(row["ir"]["bytes"])).mode == "I;16"
    np.testing.assert_array_equal(decoded(row["ir"]), values[3, :16, :16])
    assert row["ir_unit"] == "reflectance_1e4"


def test_each_infrared_band_of_a_tile_is_a_row_with_the_same_rgb_bytes(scene):
    rows = rows_of(source_of(scene, ir={"nir": "nir", "swir": "blue"}))
    assert [row["ir_band"] for row in rows[:2]] == ["nir", "swir"]
    assert rows[0]["rgb"]["bytes"] == rows[1]["rgb"]["bytes"]
    assert len(rows) == 8


def test_place_and_pixel_size_are_read_from_the_file(scene):
    row = rows_of(source_of(scene, sensor="Sentinel-2 MSI", acquired_at="2020-06-01"))[0]
    west, south, east, north = row["bbox"]  # 160 m from the corner at 75 W (the zone's middle), 4000 km north
    assert west == pytest.approx(-75, abs=1e-6) and row["gsd_m"] == 10.0
    assert (east - west) * 111_320 * np.cos(np.radians(north)) == pytest.approx(160, rel=0.01)
    assert (north - south) * 110_950 == pytest.approx(160, rel=0.01)
    assert (row["sensor"], row["acquired_at"]) == ("Sentinel-2 MSI", "2020-06-01")


def test_a_grid_in_degrees_has_no_pixel_size_unless_declared(tmp_path, values):
    path = write(tmp_path / "degrees.tif", values, pixel=0.0001, left=-112.9, top=41.0, crs="EPSG:4326")
    assert rows_of(source_of(path))[0]["gsd_m"] is None
    row = rows_of(source_of(path, gsd_m=30))[0]
    assert row["gsd_m"] == 30 and row["bbox"] == pytest.approx([-112.9, 40.9984, -112.8984, 41.0])


def test_a_file_per_band_on_another_grid_is_resampled_by_georeference(tmp_path, values):
    """A ramp along x, 20 m and offset by one fine pixel: bilinear resampling gives the ramp back, shifted rightly."""
    folder = tmp_path / "bands"
    folder.mkdir()
    for name, band in zip(("red", "green", "blue"), values[:3]):
        write(folder / f"{name}.tif", band[None])
    coarse = np.tile(np.arange(20, dtype=np.float32) * 20, (20, 1))  # value: metres from the centre of its first pixel
    write(folder / "nir.tif", coarse[None], pixel=20.0, left=500_000.0 - 10)
    files = {name: f"{name}.tif" for name in BANDS}
    limits = LIMITS | {"nir": [0, 255]}
    ir = decoded(rows_of(source_of(folder, bands=files, limits=limits, tile_px=32))[0]["ir"])
    # Fine pixel k has its centre at 10 k + 5 m, the ramp is zero at 0 m: 10 m left of the corner plus half of 20 m.
    expected = 10.0 * np.arange(SIDE) + 5
    wanted = np.tile(np.rint(np.clip(expected, 0, 255)), (SIDE, 1))
    np.testing.assert_allclose(ir, wanted, atol=0.51)


def test_regions_give_splits_and_their_own_stride(scene):
    regions = [
        {"rows": [0, 16], "columns": [0, 32], "split": "train", "stride_px": 8},
        {"rows": [16, 32], "columns": [0, 32], "split": "test"},
    ]
    rows = rows_of(source_of(scene, regions=regions))
    assert [row["_split"] for row in rows] == ["train"] * 3 + ["test"] * 2
    assert [row["source_locator"][7:-3] for row in rows] == ["0c0", "0c8", "0c16", "16c0", "16c16"]


def test_tiles_without_data_stay_as_rows_with_the_reason(tmp_path, values):
    values = values.clip(1)
    values[2, 3, 20] = 0
    rows = rows_of(source_of(write(tmp_path / "holes.tif", values), nodata=0))
    assert [row["_reason"] for row in rows] == [None, "nodata", None, None]
    assert rows[1]["rgb"]["bytes"] and rows[1]["ir"]["bytes"]
    assert all(
        row["_reason"] is None for row in rows_of(source_of(tmp_path / "holes.tif", nodata=0, max_nodata_ratio=0.1))
    )
    assert rows_of(source_of(write(tmp_path / "tagged.tif", values, nodata=0)))[1]["_reason"] == "nodata"


def test_not_a_number_is_no_data(tmp_path, values):
    values = values.astype(np.float32)
    values[3, 20, 20] = np.nan
    rows = rows_of(source_of(write(tmp_path / "floats.tif", values)))
    assert [row["_reason"] for row in rows] == [None, None, None, "nodata"]
    assert decoded(rows[3]["ir"])[4, 4] == 0


def test_what_a_band_file_does_not_cover_has_no_data(tmp_path, values):
    for name, band in zip(BANDS, values):
        write(tmp_path / f"{name}.tif", band[None, :, : 16 if name == "nir" else SIDE])
    rows = rows_of(source_of(tmp_path, bands={name: f"{name}.tif" for name in BANDS}))
    assert [row["_reason"] for row in rows] == [None, "nodata", None, "nodata"]


def test_cloudy_sea_and_flat_tiles_stay_as_rows_with_the_reason(tmp_path, values):
    quality = np.zeros((SIDE, SIDE), np.uint16)
    quality[:16, :4] = 1 << 15  # a quarter of the first tile
    quality[16:, 16:] = 1 << 3  # a bit that is not asked for
    values[3, :16, 16:] = 10  # sea
    values[:3, 16:, :16] = 500  # one colour
    path = write(tmp_path / "scene.tif", np.concatenate([values, quality[None]]))
    tests = {
        "bands": BANDS | {"quality": 5},
        "clouds": {"band": "quality", "bits": [13, 15], "max_ratio": 0.2},
        "land": {"band": "nir", "above": 100, "min_ratio": 0.5},
        "min_std": 2.0,
    }
    assert [row["_reason"] for row in rows_of(source_of(path, **tests))] == [
        "cloudy",
        "little_land",
        "tile_too_flat",
        None,
    ]
    tests["clouds"] = tests["clouds"] | {"max_ratio": 0.25}
    assert rows_of(source_of(path, **tests))[0]["_reason"] is None


def test_a_damaged_part_of_a_file_gives_rows_with_the_reason(tmp_path, values):
    path = write(tmp_path / "scene.tif", values, compress="deflate", tiled=True, blockxsize=16, blockysize=16)
    data = bytearray(path.read_bytes())
    with rasterio.open(path) as file:
        offset = int(file.get_tag_item("BLOCK_OFFSET_1_1", "TIFF", bidx=1))  # the tile at row 16, column 16
    data[offset : offset + 64] = bytes(64)
    path.write_bytes(data)
    rows = rows_of(source_of(path))
    assert [row["_reason"] for row in rows] == [None, None, None, "unreadable"]
    assert rows[3]["rgb"]["bytes"] is None and rows[3]["source_locator"] == "scene@r16c16s16"


def test_reading_twice_gives_the_same_bytes_also_after_pickling(scene):
    source = source_of(scene)
    again = pickle.loads(pickle.dumps(source))
    assert rows_of(source) == rows_of(again)


def test_png_is_lossless_for_all_three_kinds():
    rng = np.random.default_rng(1)
    for array in (
        rng.integers(0, 256, (5, 7, 3), dtype=np.uint8),
        rng.integers(0, 256, (5, 7), dtype=np.uint8),
        rng.integers(0, 65536, (5, 7), dtype=np.uint16),
    ):
        np.testing.assert_array_equal(decoded({"bytes": encode_png(array)}), array)


def test_a_two_band_geotiff_is_an_error_that_says_which_bands_are_missing(tmp_path, values):
    path = write(tmp_path / "two.tif", values[:2])
    with pytest.raises(InputError, match=r"two.tif has 2 bands \(1, 2\), but lacks blue, nir; declare in `bands`"):
        source_of(path).shards()
    with pytest.raises(InputError, match=r"has 2 bands \(1, 2\), but lacks red, green, blue, nir; declare in `bands`"):
        source_of(path, bands={}).shards()


def test_bands_go_by_the_descriptions_of_the_file(tmp_path, values):
    path = write(tmp_path / "named.tif", values)
    with rasterio.open(path, "r+") as file:
        file.descriptions = ("red", "green", "blue", "nir")
    assert len(rows_of(source_of(path, bands={}))) == 4


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"limits": {}}, r"needs limits for blue, green, nir, red \(uint16\): declare \[low, high\]"),
        ({"limits": {"red": [5, 5]}}, r"limits of red in scene scene must be \[low, high\], or auto, got \[5, 5\]"),
        ({"rgb": ["red"]}, r"must name three bands \(red, green, blue\), got \['red'\]"),
        ({"ir": {"thermal": "nir"}}, "needs bands by nir, swir, mwir, lwir, unspecified, got {'thermal': 'nir'}"),
        ({"ir_unit": "celsius"}, "ir_unit of scene scene must be one of display, dn, reflectance_1e4, kelvin_1e2"),
        ({"tile_px": 33}, "no tile of 33 px fits into .* of scene scene; give a smaller tile_px"),
        ({"tile_px": 0}, "tile_px and stride_px of scene scene must be positive"),
        ({"regions": [{"rows": [0, 40], "columns": [0, 32]}]}, "exceeds scene scene of 32 x 32 px"),
        ({"regions": [{"rows": [9, 9], "columns": [0, 32]}]}, r"rows must be \[start, stop\) with 0 <= start < stop"),
        (
            {"regions": [{"row": [0, 9], "columns": [0, 9]}]},
            "region 0 of scene scene has the unknown key 'row'; did you mean",
        ),
        (
            {"clouds": {"band": "quality", "bits": [-1]}},
            "clouds of scene scene: bits must be whole numbers of 0 to 31",
        ),
        ({"acquired_at": "June 2020"}, "scene scene: acquired_at is 'June 2020', no ISO date; give one such as"),
        ({"gsd_m": -3}, "scene scene: a gsd_m that is no number above 0"),
        ({"spatial_gap_m": -1}, "spatial_gap_m of scene scene must be metres, 0 or more, got -1"),
        ({"clouds": {"band": "quality"}}, "clouds of scene scene: bits or values of the band must say what is cloud"),
    ],
)
def test_declarations_that_cannot_be_are_told(scene, changes, message):
    with pytest.raises(InputError, match=message):
        source_of(scene, **changes).shards()


def test_regions_of_different_splits_must_keep_their_distance(scene):
    regions = [
        {"rows": [0, 16], "columns": [0, 16], "split": "train"},
        {"rows": [16, 32], "columns": [0, 16], "split": "test"},
    ]
    assert source_of(scene, regions=regions).shards() == [(0, 0), (1, 16)]
    with pytest.raises(
        InputError, match=r"have different splits and a gap of 0 px; leave at least 8 px \(min_gap_px\)"
    ):
        source_of(scene, regions=regions, min_gap_px=8)
    regions[1]["rows"] = [8, 32]
    with pytest.raises(InputError, match="a gap of -8 px; leave at least 0 px"):
        source_of(scene, regions=regions)


STRIPES = [
    {"rows": [0, 32], "columns": [0, 12], "split": "train", "stride_px": 4},
    {"rows": [0, 32], "columns": [20, 32], "split": "test"},
]


def test_tiles_near_a_region_of_another_split_leave_with_the_reason(scene):
    """Tiles of 4 px of 10 m: of train, the last pixel is 8, 12 and 16 px left of the test region, and so on."""
    rows = rows_of(source_of(scene, tile_px=4, regions=STRIPES, spatial_gap_m=130))
    reasons = {}
    for row in rows:
        place = row["source_locator"].rpartition("c")[2].partition("s")[0]
        reasons.setdefault((row["_split"], int(place)), set()).add(row["_reason"])
    assert reasons == {
        ("train", 0): {None},  # 160 m from the test region
        ("train", 4): {"split_margin"},  # 120 m
        ("train", 8): {"split_margin"},
        ("test", 20): {"split_margin"},  # 80 m from the training region
        ("test", 24): {"split_margin"},  # 120 m
        ("test", 28): {None},
    }
    assert all(row["rgb"]["bytes"] and row["ir"]["bytes"] and row["bbox"] for row in rows)
    nearest = rows_of(source_of(scene, tile_px=4, regions=STRIPES, spatial_gap_m=120))
    assert sum(row["_reason"] == "split_margin" for row in nearest) == 2 * 8  # exactly 120 m is far enough


def test_the_distance_is_that_over_ground_also_across_a_corner(scene):
    regions = [
        {"rows": [0, 8], "columns": [0, 8], "split": "train"},
        {"rows": [11, 19], "columns": [12, 20], "split": "test"},  # 30 m and 40 m: 50 m
    ]
    for gap, reason in ((50, None), (50.1, "split_margin")):
        rows = rows_of(source_of(scene, tile_px=8, regions=regions, spatial_gap_m=gap))
        assert [row["_reason"] for row in rows] == [reason] * 2


def test_no_two_tiles_of_different_splits_that_stay_are_nearer_than_the_gap(scene):
    regions = [{"rows": [0, 32], "columns": [0, 10], "split": "train"}, *STRIPES[1:]]
    regions += [{"rows": [0, 8], "columns": [10, 20], "split": "validation", "stride_px": 1}]
    rows = rows_of(source_of(scene, tile_px=2, regions=regions, spatial_gap_m=45))
    stay = [row for row in rows if row["_reason"] is None]
    assert {row["_split"] for row in stay} == {"train", "test"}  # validation lies between them, too near to both
    places = [
        (row["_split"], *map(int, row["source_locator"].partition("@r")[2].replace("s", "c").split("c")[:2]))
        for row in stay
    ]
    for split, row, column in places:
        for other, a, b in places:
            if split < other:
                assert np.hypot(max(abs(row - a) - 2, 0), max(abs(column - b) - 2, 0)) * 10 >= 45


def test_metres_in_degrees_are_those_nearest_to_the_pole(tmp_path, values):
    """At 60 degrees north, a ten-thousandth of a degree is 11.12 m high and half as wide."""
    path = write(tmp_path / "degrees.tif", values, pixel=0.0001, left=10.0, top=60.0, crs="EPSG:4326")
    regions = [STRIPES[0] | {"columns": [0, 4]}, STRIPES[1] | {"columns": [14, 18]}]  # 10 px apart: 55.6 m
    for gap, reason in ((55.5, None), (55.7, "split_margin")):
        rows = rows_of(source_of(path, tile_px=4, regions=regions, spatial_gap_m=gap))
        assert {row["_reason"] for row in rows} == {reason}


def test_a_grid_without_reference_needs_its_pixel_size_for_a_gap(tmp_path, values):
    path = write(tmp_path / "bare.tif", values, crs=None)
    with pytest.raises(
        InputError, match="spatial_gap_m of scene bare needs a grid with a reference; or declare gsd_m"
    ):
        source_of(path, tile_px=4, regions=STRIPES, spatial_gap_m=130).shards()
    rows = rows_of(source_of(path, tile_px=4, regions=STRIPES, spatial_gap_m=130, gsd_m=10))
    assert sum(row["_reason"] == "split_margin" for row in rows) == 4 * 8 and rows[0]["bbox"] is None


def test_what_is_less_than_a_tile_at_an_edge_is_in_no_tile_and_told(scene, caplog):
    caplog.set_level("INFO")
    rows = rows_of(source_of(scene, tile_px=12))
    assert [row["source_locator"] for row in rows] == [f"scene@r{r}c{c}s12" for r in (0, 12) for c in (0, 12)]
    assert "scene: the last 8 rows and 8 columns of Region(" in caplog.text


def test_classes_of_a_mask_are_cloud_and_the_mask_is_not_interpolated(tmp_path, values):
    """A Sentinel-2 scene classification of 20 m: cloud (9) beside vegetation (4); between them would be 6 and 7."""
    for name, band in zip(BANDS, values.clip(1)):
        write(tmp_path / f"{name}.tif", band[None])
    classes = np.full((SIDE // 2, SIDE // 2), 4, np.uint8)
    classes[:8, :4] = 9
    write(tmp_path / "scl.tif", classes[None], pixel=20.0)
    files = {name: f"{name}.tif" for name in (*BANDS, "scl")}
    clouds = {"band": "scl", "values": [3, 8, 9, 10]}
    for nodata in (None, 0):  # of the bands: a class of 0 is no pixel without data
        rows = rows_of(source_of(tmp_path, bands=files, clouds=clouds | {"max_ratio": 0.49}, nodata=nodata))
        assert [row["_reason"] for row in rows] == ["cloudy", None, None, None]
        rows = rows_of(source_of(tmp_path, bands=files, clouds=clouds | {"max_ratio": 0.5}, nodata=nodata))
        assert {row["_reason"] for row in rows} == {None}
    between = {"band": "scl", "values": [5, 6, 7, 8]}
    assert {row["_reason"] for row in rows_of(source_of(tmp_path, bands=files, clouds=between))} == {None}


def test_a_mask_that_does_not_cover_a_tile_says_nothing_of_its_clouds(tmp_path, values):
    for name, band in zip(BANDS, values.clip(1)):
        write(tmp_path / f"{name}.tif", band[None])
    write(tmp_path / "mask.tif", np.zeros((1, SIDE, 16), np.uint8))
    files = {name: f"{name}.tif" for name in (*BANDS, "mask")}
    rows = rows_of(source_of(tmp_path, bands=files, clouds={"band": "mask", "bits": [0]}, nodata=0))
    assert [row["_reason"] for row in rows] == [None, "nodata", None, "nodata"]


def test_the_date_is_the_declared_one_or_that_of_acquisition_and_never_that_of_the_file(scene):
    with rasterio.open(scene, "r+") as file:
        file.update_tags(TIFFTAG_DATETIME="2024:02:03 04:05:06", taken="2020:06:01 10:20:30", note="in summer")
    assert rows_of(source_of(scene))[0]["acquired_at"] is None
    assert rows_of(source_of(scene, acquired_tag="taken"))[0]["acquired_at"] == "2020-06-01 10:20:30"
    assert rows_of(source_of(scene, acquired_tag="taken", acquired_at="2020-06"))[0]["acquired_at"] == "2020-06"
    for tag, value in (("note", "'in summer'"), ("nowhere", "None")):
        with pytest.raises(InputError, match=rf"tag {tag} of \S+scene.tif holds {value}, no date; give acquired_at"):
            source_of(scene, acquired_tag=tag).shards()
    with rasterio.open(scene, "r+") as file:
        file.update_tags(ns="IMAGERY", ACQUISITIONDATETIME="2019-05-04 03:02:01")
    assert rows_of(source_of(scene))[0]["acquired_at"] == "2019-05-04 03:02:01"


def test_a_turned_grid_is_refused_and_a_quarter_turn_has_its_box_and_pixel_size(tmp_path, values):
    path, straight = write(tmp_path / "turned.tif", values), rows_of(source_of(write(tmp_path / "up.tif", values)))
    for degrees in (30, 45, 1):
        with rasterio.open(path, "r+") as file:
            file.transform = from_origin(500_000, 4_000_000, 10, 10) @ rasterio.Affine.rotation(degrees)
        with pytest.raises(InputError, match=f"turned.tif is rotated by -{degrees} degrees or sheared"):
            source_of(path).shards()
    quarter = write(tmp_path / "quarter.tif", np.rot90(values, axes=(1, 2)))
    with rasterio.open(quarter, "r+") as file:  # stored columns run south, stored rows west
        file.transform = rasterio.Affine(0, -10, 500_000 + SIDE * 10, -10, 0, 4_000_000)
    rows = rows_of(source_of(quarter, name="up"))
    assert [row["bbox"] for row in rows] == [row["bbox"] for row in straight]
    assert [row["ir"] for row in rows] == [row["ir"] for row in straight]
    assert rows[0]["gsd_m"] == 10


READ_LINES = """
import resource, sys
from dataset_builder.sources.scene import SceneSource
from dataset_builder.sources.scene_parts import Clouds, Region
bands = {"red": 1, "green": 2, "blue": 3, "nir": 4}
limits = dict.fromkeys(bands, [0, 1000])
source = SceneSource(sys.argv[1], rights="x", bands=bands, limits=limits, tile_px=256)
shards = source.shards()
first = None
for shard in shards[:: len(shards) // 3][:3]:
    assert sum(1 for _ in source.read(shard)) == 80
    first = first or resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
print(len(shards), first, resource.getrusage(resource.RUSAGE_SELF).ru_maxrss)
"""


@pytest.mark.slow
@pytest.mark.every_change
def test_a_large_scene_is_read_by_windows(tmp_path):
    """3.4 GB of pixels, sparse on disk: three lines of tiles take no more memory than one and GDAL's cache."""
    profile = {"count": 4, "height": 20480, "width": 20480, "dtype": "uint16", "tiled": True, "sparse_ok": True}
    place = {"crs": "EPSG:32618", "transform": from_origin(500_000, 4_000_000, 10, 10)}
    with rasterio.open(tmp_path / "large.tif", "w", "GTiff", BIGTIFF="YES", **profile, **place) as file:
        file.write(np.ones((4, 256, 256), np.uint16), window=rasterio.windows.Window(0, 0, 256, 256))
    run = subprocess.run(
        [sys.executable, "-c", READ_LINES, tmp_path / "large.tif"], capture_output=True, text=True, check=True
    )
    lines, first, last = map(int, run.stdout.split())
    assert lines == 80 and last - first < 300_000  # kB


def test_a_folder_needs_the_file_of_each_band(tmp_path, values):
    write(tmp_path / "red.tif", values[:1])
    with pytest.raises(
        InputError, match="is a folder: declare `bands`, the file of each band by name; it holds red.tif"
    ):
        source_of(tmp_path, bands={}).shards()
    with pytest.raises(InputError, match="has the files red.tif, but lacks green, blue, nir; declare"):
        source_of(tmp_path, bands={name: f"{name}.tif" for name in BANDS}).shards()


def test_a_file_that_is_no_raster_is_an_error(tmp_path):
    (tmp_path / "scene.tif").write_bytes(b"not a raster")
    with pytest.raises(InputError, match=r"scene.tif is not a raster that can be opened \(.*\); give a GeoTIFF"):
        source_of(tmp_path / "scene.tif").shards()


def test_without_rasterio_the_error_names_the_extra(scene, monkeypatch):
    monkeypatch.setitem(sys.modules, "rasterio", None)
    with pytest.raises(
        InputError, match=r"needs rasterio, got none; install the extra `geo`: pip install 'fusionrs-hf\[geo\]'"
    ):
        source_of(scene).shards()


def test_overlapping_tiles_may_not_be_drawn_into_splits(scene, tmp_path):
    spec = {"kind": "scene", "path": str(scene), "rights": "x", "tile_px": 16, "bands": BANDS, "limits": LIMITS}
    recipe = {"name": "x", "splits": {"by": "hash"}}
    with pytest.raises(InputError, match="overlap and their splits are drawn, .* regions with a split each"):
        build(BuildRecipe.from_mapping({**recipe, "sources": [{**spec, "stride_px": 8}]}), tmp_path / "out")
    source = source_of(scene, stride_px=8)
    assert source.shares_pixels(drawn=False) and source.shares_pixels(drawn=True)
    assert not source_of(scene).shares_pixels(drawn=True)
    region = {"rows": [0, 32], "columns": [0, 32], "split": "train", "stride_px": 8}
    inside = source_of(scene, regions=[region])
    assert inside.shares_pixels(drawn=True) and not inside.shares_pixels(drawn=False)


@pytest.mark.parametrize(("dtype", "taken"), [("uint8", True), ("uint16", True), ("int16", False), ("float32", False)])
def test_numbers_without_a_unit_are_whole_numbers_of_16_bit(tmp_path, values, dtype, taken):
    source = source_of(write(tmp_path / "scene.tif", (values % 200).astype(dtype)), ir_unit="dn")
    if taken:
        np.testing.assert_array_equal(decoded(rows_of(source)[0]["ir"]), values[3, :16, :16] % 200)
    else:
        with pytest.raises(InputError, match=f"keeps values as 16-bit integers, but nir is {dtype}; use .* limits$"):
            source.shards()


def test_eight_bit_bands_without_limits_are_shown_as_they_are(tmp_path, values):
    shown = (values % 256).astype(np.uint8)
    row = rows_of(source_of(write(tmp_path / "scene.tif", shown), limits={}))[1]
    np.testing.assert_array_equal(decoded(row["rgb"]), shown[:3, :16, 16:].transpose(1, 2, 0))
    np.testing.assert_array_equal(decoded(row["ir"]), shown[3, :16, 16:])


def test_the_gap_is_measured_in_the_file_s_pixels_and_the_column_says_the_declared_one(scene):
    options = {"tile_px": 4, "regions": STRIPES, "spatial_gap_m": 130}
    declared = rows_of(source_of(scene, gsd_m=100, **options))
    assert [row["_reason"] for row in declared] == [row["_reason"] for row in rows_of(source_of(scene, **options))]
    assert {row["gsd_m"] for row in declared} == {100}


def test_a_gap_is_kept_between_splits_only_and_only_where_it_is_asked_for(scene):
    regions = [
        {"rows": [0, 8], "columns": [0, 32], "split": "train"},
        {"rows": [8, 16], "columns": [0, 32], "split": "train"},
        {"rows": [28, 32], "columns": [0, 32], "split": "test"},
    ]
    reasons = [row["_reason"] for row in rows_of(source_of(scene, tile_px=4, regions=regions, spatial_gap_m=50))]
    assert reasons == [None] * 5 * 8
    regions[2]["rows"] = [16, 32]
    assert {row["_reason"] for row in rows_of(source_of(scene, tile_px=4, regions=regions))} == {None}


def test_pixels_that_are_higher_than_wide_are_further_apart_along_the_rows(tmp_path, values):
    path = tmp_path / "high.tif"
    with rasterio.open(write(path, values), "r+") as file:
        file.transform = from_origin(500_000, 4_000_000, 10, 30)
    for axis, metres in (("rows", 240), ("columns", 80)):
        regions = [{"rows": [0, 4], "columns": [0, 4], "split": split} for split in ("train", "test")]
        regions[1][axis] = [12, 16]  # eight pixels apart
        for gap, reason in ((metres, None), (metres + 0.1, "split_margin")):
            rows = rows_of(source_of(path, tile_px=4, regions=regions, spatial_gap_m=gap))
            assert [row["_reason"] for row in rows] == [reason] * 2, (axis, gap)


def test_what_is_left_is_told_of_rows_and_of_columns(scene, caplog):
    caplog.set_level("INFO")
    source_of(scene, tile_px=12, regions=[{"rows": [0, 30], "columns": [0, 24]}]).shards()
    assert "scene: the last 6 rows and 0 columns of Region(" in caplog.text
    caplog.clear()
    source_of(scene, tile_px=8).shards()
    assert "are in no tile" not in caplog.text


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"stride_px": -1}, "tile_px and stride_px of scene scene must be positive"),
        ({"limits": {"red": [0]}}, r"must be \[low, high\], or auto, got \[0\]"),
        ({"limits": {"red": [0, 1, 2]}}, r"must be \[low, high\], or auto, got \[0, 1, 2\]"),
        ({"formats": "GTiff"}, "must be a list of .*, got GTiff"),
        ({"formats": ["GTiff", "HDF"]}, "must be a list of .*, got HDF"),
        ({"regions": [{"rows": [0, 32], "columns": [0, 33]}]}, "exceeds scene scene of 32 x 32 px"),
        ({"regions": [{"rows": [0, 8], "columns": [-1, 8]}]}, r"columns must be \[start, stop\)"),
        ({"regions": [{"rows": [0, 8], "columns": [0, 8], "stride_px": 0}]}, "stride_px must be positive, got 0"),
        ({"regions": [{"rows": [0, 8], "columns": [0, 8], "split": "dev"}]}, "split must be one of .*, got 'dev'"),
        ({"clouds": {"band": "nir", "bits": [32]}}, r"bits must be whole numbers of 0 to 31, got \[32\]"),
        ({"clouds": {"band": "nir", "values": [65536]}}, "values must be whole numbers of 0 to 65535"),
        ({"clouds": {"band": "nir", "bits": [0], "max_ratio": 1.1}}, "max_ratio must be a share, 0 to 1, got 1.1"),
        ({"clouds": {"band": "nir", "bits": [0], "max_ratio": -0.1}}, "max_ratio must be a share, 0 to 1, got -0.1"),
        ({"spatial_gap_m": float("inf")}, "must be metres, 0 or more, got inf"),
    ],
)
def test_more_declarations_that_cannot_be_are_told(scene, changes, message):
    with pytest.raises(InputError, match=message):
        source_of(scene, **changes).shards()


def test_the_tiles_that_test_a_unit_are_spread_over_a_region(scene):
    source = source_of(scene, tile_px=4)
    wide = Region((0, 40), (0, 20))  # ten by five tiles: every third, every second
    places = list(source._spread(wide))
    assert {row for row, _, _ in places} == {0, 12, 24, 36}
    assert {column for _, column, _ in places} == {0, 8, 16}
    assert len(places) == 12 and {side for *_, side in places} == {4}
    assert len(list(source._spread(Region((0, 16), (0, 16))))) == 16


def test_the_gap_of_regions_is_that_along_the_axis_where_they_are_further_apart():
    region = Region((10, 20), (10, 20))
    others = (((24, 30), (0, 30)), ((0, 30), (25, 30)), ((0, 7), (23, 30)), ((20, 30), (20, 30)), ((12, 18), (15, 30)))
    found = [region.gap_px(Region(*other)) for other in others]
    assert found == [Region(*other).gap_px(region) for other in others] == [4, 5, 3, 0, -5]
    places = ((0, 0), (10, 6), (2, 12), (20, 4), (21, 14), (20, 23))  # of tiles of 4 px, pixels of 2 m by 5 m
    distances = [region.distance_m(*place, 4, (2.0, 5.0)) for place in places]
    assert distances == pytest.approx([np.hypot(12, 30), 0, 8, 10, 2, 15])


def test_cloud_is_any_bit_or_value_and_land_is_above_its_level():
    codes = np.array([[1, 2], [4, 8]], np.uint16)
    ratios = [
        Clouds("q", **given).ratio(codes) for given in ({"bits": [1]}, {"bits": [0, 3]}, {"bits": [1], "values": [4]})
    ]
    assert ratios == [0.25, 0.5, 0.5]
    assert Clouds("q", values=[0]).ratio(codes) == 0
    assert Clouds("q", bits=[31], max_ratio=1).ratio(np.array([[1 << 31, 1]])) == 0.5


def test_a_tile_at_a_limit_is_usable(tmp_path):
    """Of 64 pixels a quarter: without data, of land; and grey levels that stand by two from their mean."""
    bands = np.full((4, 8, 8), 100, np.uint8)
    bands[0, :, ::2], bands[1], bands[2] = 104, 50, 20  # red varies by two, the others are even
    bands[3, :2] = 150
    path = write(tmp_path / "scene.tif", bands)

    def reason(**changes):
        (row,) = rows_of(source_of(path, limits={}, tile_px=8, **changes))
        return row["_reason"]

    assert [reason(min_std=std) for std in (2.0, 2.01)] == [None, "tile_too_flat"]
    land = {"band": "nir", "above": 100}
    assert [reason(land=land | {"min_ratio": ratio}) for ratio in (0.25, 0.26)] == [None, "little_land"]
    assert reason(land=land | {"above": 150}) == "little_land"  # as bright as the level is not above it
    assert [reason(nodata=150, max_nodata_ratio=ratio) for ratio in (0.25, 0.24)] == [None, "nodata"]


def test_a_stride_of_a_region_without_a_split_overlaps_too(scene):
    region = {"rows": [0, 32], "columns": [0, 32]}
    assert source_of(scene, regions=[region | {"stride_px": 15}]).shares_pixels(drawn=False)
    assert not source_of(scene, regions=[region | {"stride_px": 16}]).shares_pixels(drawn=True)
    assert source_of(scene, regions=[region], stride_px=8).shares_pixels(drawn=False)
