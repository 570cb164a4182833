"""Scale and offset wherever a physical unit is declared, the file's or the recipe's; contradictions are errors."""

import io

import numpy as np
import pytest
import rasterio
from PIL import Image
from rasterio.transform import from_origin

from dataset_builder.sources.scene import SceneSource
from fusionrs_hf.errors import InputError

SIDE = 32
NAMES = ("red", "green", "blue", "nir")
LIMITS = dict.fromkeys(NAMES[:3], [0, 10_000])


def write(path, bands, pixel=10.0, scaling=None, **profile):
    count, height, width = bands.shape
    shape = {"count": count, "height": height, "width": width, "dtype": bands.dtype}
    grid = {"transform": from_origin(500_000, 4_000_000, pixel, pixel), "crs": "EPSG:32618"}
    with rasterio.open(path, "w", "GTiff", **grid, **shape, **profile) as file:
        file.write(bands)
        if scaling:
            file.scales, file.offsets = [[part] * count for part in scaling]
    return path


def scene(folder, form, infrared, scaling, **changes):
    """Reads infrared from a file of its own, from one of all bands, or from one at 20 m, where values are equal."""
    colour = np.random.default_rng(0).integers(500, 5000, (3, SIDE, SIDE), dtype=np.uint16)
    if form == "one file":
        bands = np.concatenate([colour.astype(infrared.dtype), infrared[None]])
        path, places = write(folder / "scene.tif", bands), dict(zip(NAMES, (1, 2, 3, 4)))
        if scaling:
            with rasterio.open(path, "r+") as file:
                file.scales, file.offsets = [1, 1, 1, scaling[0]], [0, 0, 0, scaling[1]]
    else:
        for name, band in zip(NAMES, colour):
            write(folder / f"{name}.tif", band[None])
        stored, pixel = (infrared, 10.0) if form == "a file each" else (infrared[::2, ::2], 20.0)
        write(folder / "nir.tif", stored[None], pixel, scaling)
        path, places = folder, {name: f"{name}.tif" for name in NAMES}
    options = {"bands": places, "limits": LIMITS, "tile_px": SIDE, "rights": "x"}
    return SceneSource(path, **options | changes)


def infrared_of(source):
    (row,) = [row for shard in source.shards() for row in source.read(shard)]
    return np.asarray(Image.open(io.BytesIO(row["ir"]["bytes"])))


FORMS = ("one file", "a file each", "another grid")
CASES = [  # dtype, value, scale and offset, unit, stored: by hand
    ("uint16", 1100, (1e-4, -0.1), "reflectance_1e4", 100),
    ("uint16", 4000, (1e-4, -0.1), "reflectance_1e4", 3000),
    ("uint16", 900, (1e-4, -0.1), "reflectance_1e4", 0),  # -0.01: below what is stored
    ("uint16", 2500, (1e-4, 0.0), "reflectance_1e4", 2500),
    ("uint16", 11000, (2.75e-5, -0.2), "reflectance_1e4", 1025),  # Landsat, collection 2: .3025 - .2
    ("int16", 2500, (1e-4, 0.0), "reflectance_1e4", 2500),
    ("float32", 0.25, (1.0, 0.05), "reflectance_1e4", 3000),
    ("uint16", 44177, (0.00341802, 149.0), "kelvin_1e2", 30000),  # 150.99786954 + 149
    ("uint16", 14790, (0.02, 0.0), "kelvin_1e2", 29580),
    ("int16", -550, (0.01, 273.15), "kelvin_1e2", 26765),
    ("uint8", 200, (0.5, 200.0), "kelvin_1e2", 30000),
]


@pytest.mark.parametrize("form", FORMS)
@pytest.mark.parametrize(("dtype", "value", "scaling", "unit", "stored"), CASES)
def test_scale_and_offset_of_file_or_recipe_make_the_unit(tmp_path, form, dtype, value, scaling, unit, stored):
    infrared = np.full((SIDE, SIDE), value, dtype)
    by_file = infrared_of(scene(tmp_path, form, infrared, scaling, ir_unit=unit))
    assert by_file.dtype == np.uint16 and np.unique(by_file).tolist() == [stored]
    by_recipe = scene(tmp_path, form, infrared, None, ir_unit=unit, scales={"nir": list(scaling)})
    assert np.unique(infrared_of(by_recipe)).tolist() == [stored]
    wrong_in_file = scene(tmp_path, form, infrared, (3.0, 7.0), ir_unit=unit, scales={"nir": list(scaling)})
    assert np.unique(infrared_of(wrong_in_file)).tolist() == [stored]


@pytest.mark.parametrize("form", FORMS)
def test_numbers_without_a_unit_and_what_is_displayed_are_the_files_values(tmp_path, form):
    infrared = np.full((SIDE, SIDE), 1100, np.uint16)
    assert np.unique(infrared_of(scene(tmp_path, form, infrared, (1e-4, -0.1), ir_unit="dn"))).tolist() == [1100]
    shown = scene(tmp_path, form, infrared, (1e-4, -0.1), limits=LIMITS | {"nir": [1000, 1255]})
    assert np.unique(infrared_of(shown)).tolist() == [100]


@pytest.mark.parametrize("form", FORMS)
@pytest.mark.parametrize(
    ("value", "unit", "words"),
    [
        (2950, "kelvin_1e2", r"kelvin between 150 and 400 \(their median would be 29.5\)"),
        (44177, "kelvin_1e2", r"kelvin between 150 and 400 \(their median would be 441.8\)"),
        (30000, "reflectance_1e4", r"reflectance between -0.2 and 1.6 \(their median would be 3\)"),
    ],
)
def test_a_unit_that_the_values_contradict_is_an_error_unless_trusted(tmp_path, form, value, unit, words):
    infrared = np.full((SIDE, SIDE), value, np.uint16)
    with pytest.raises(InputError, match=f"nir of scene .* 100 % of its values are no {words}; state scales: {{nir: "):
        scene(tmp_path, form, infrared, None, ir_unit=unit).shards()
    trusted = scene(tmp_path, form, infrared, None, ir_unit=unit, trust_units=True)
    assert np.unique(infrared_of(trusted)).tolist() == [value]


def test_a_glint_and_what_has_no_data_contradict_nothing(tmp_path):
    infrared = np.full((SIDE, SIDE), 29_000, np.uint16)
    infrared[0, :2] = 60_000  # of 256 pixels with data
    infrared[8:] = 0
    assert infrared_of(scene(tmp_path, "a file each", infrared, None, ir_unit="kelvin_1e2", nodata=0)).max() == 60_000
    with pytest.raises(InputError, match="75 % of its values are no kelvin"):
        scene(tmp_path, "a file each", infrared, None, ir_unit="kelvin_1e2").shards()


@pytest.mark.parametrize(
    ("changes", "words"),
    [
        (
            {"scales": {"nir": [1, 0]}},
            "names nir, with ir_unit display and infrared of the bands nir; what is scaled is infrared in reflectance",
        ),
        ({"scales": {"red": [1, 0]}, "ir_unit": "kelvin_1e2"}, "names red, with ir_unit kelvin_1e2"),
        ({"scales": {"nir": [0, 1]}, "ir_unit": "kelvin_1e2"}, r"must be \[scale, offset\], got \[0, 1\]"),
        ({"scales": {"nir": [1]}, "ir_unit": "kelvin_1e2"}, r"must be \[scale, offset\], got \[1\]"),
        ({"scales": {"nir": 0.1}, "ir_unit": "kelvin_1e2"}, r"must be \[scale, offset\], got 0.1"),
    ],
)
def test_scales_that_cannot_be_are_told(tmp_path, changes, words):
    with pytest.raises(InputError, match=words):
        scene(tmp_path, "a file each", np.full((SIDE, SIDE), 9, np.uint16), None, **changes)


def test_floats_without_a_scale_are_asked_about(tmp_path):
    with pytest.raises(InputError, match=r"nir is float32; use ir_unit display with limits, or state scales"):
        scene(
            tmp_path, "a file each", np.full((SIDE, SIDE), 0.3, np.float32), None, ir_unit="reflectance_1e4"
        ).shards()


def test_a_hundredth_of_the_values_may_contradict_a_unit_and_no_more(tmp_path):
    infrared = np.full((SIDE, SIDE), 29_000, np.uint16)
    infrared[0, :10] = 60_000  # 0.98 % of 1024
    scene(tmp_path, "a file each", infrared, None, ir_unit="kelvin_1e2").shards()
    infrared[0, 10] = 60_000
    with pytest.raises(InputError, match="1 % of its values are no kelvin"):
        scene(tmp_path, "a file each", infrared, None, ir_unit="kelvin_1e2").shards()


@pytest.mark.parametrize("scaling", [[float("inf"), 0], [1, float("nan")], ["1", 0], [True, 0], [1, 2, 3]], ids=str)
def test_a_scale_is_two_finite_numbers(tmp_path, scaling):
    with pytest.raises(InputError, match=r"must be \[scale, offset\], got"):
        scene(
            tmp_path,
            "a file each",
            np.full((SIDE, SIDE), 9, np.uint16),
            None,
            scales={"nir": scaling},
            ir_unit="kelvin_1e2",
        )
