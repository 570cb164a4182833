import io

import numpy as np
import pytest
import rasterio
from PIL import Image, TiffImagePlugin

from dataset_builder.images.decoding import (
    DecodeError,
    DecodeStage,
    infrared_array,
    open_image,
    rgb_array,
    sha256,
    store_rgb,
)
from fusionrs_hf.processing_fusionrs_images import check_rgb
from tests.fusionrs_hf.test_image_depth import raster

NOISE = np.random.default_rng(0).integers(0, 256, (40, 60, 3), dtype=np.uint8)
GREY = NOISE[..., 0]


def encode(image, kind="PNG", **options):
    buffer = io.BytesIO()
    (image if isinstance(image, Image.Image) else Image.fromarray(image)).save(buffer, kind, **options)
    return buffer.getvalue()


def batch(pairs, band="lwir"):
    """Columns of a batch from pairs of encoded images, None where there is none."""
    as_column = lambda data: None if data is None else {"bytes": data, "path": None}  # noqa: E731
    return {
        "sample_id": [f"s{index}" for index in range(len(pairs))],
        "rgb": [as_column(rgb) for rgb, _ in pairs],
        "ir": [as_column(ir) for _, ir in pairs],
        "ir_band": [band] * len(pairs),
        "_reason": [None] * len(pairs),
    }


def reason_of(rgb=None, ir=None, thresholds=(), ir_range=()):
    stage = DecodeStage(dict(ir_range), dict(thresholds))
    return stage(batch([(encode(NOISE) if rgb is None else rgb, ir)]))["_reason"][0]


def animated():
    frames = [Image.fromarray(NOISE), Image.fromarray(255 - NOISE)]
    return encode(frames[0], "GIF", save_all=True, append_images=frames[1:])


@pytest.mark.parametrize(
    ("data", "reason"),
    [
        (b"", "unreadable"),
        (b"<svg xmlns='http://www.w3.org/2000/svg'/>", "unreadable"),
        (encode(NOISE)[:20], "unreadable"),
        (encode(NOISE)[:-2000], "truncated"),
        (encode(NOISE, "JPEG")[:-500], "truncated"),
        (encode(Image.fromarray(NOISE).convert("CMYK"), "JPEG"), "rgb_mode_unsupported"),
        (encode(GREY.astype(np.uint16) * 200), "rgb_mode_unsupported"),
        (encode(np.dstack([NOISE, GREY])), "rgb_has_alpha"),
        (encode(np.dstack([NOISE, np.full_like(GREY, 255)])), None),  # opaque
        (encode(Image.fromarray(NOISE).quantize(16)), None),
        (animated(), "image_is_animated"),
        (encode(GREY), None),  # the filter `rgb_is_gray` judges
    ],
)
def test_rgb_that_cannot_be_used_gets_its_reason(data, reason):
    assert reason_of(rgb=data) == reason


def test_a_tiff_of_deep_bands_is_called_so_and_not_unreadable():
    deep = raster("GTiff", np.uint16)
    assert reason_of(rgb=deep) == reason_of(ir=deep) == "colour_above_8_bit"
    assert reason_of(rgb=deep[:100]) == "unreadable"


@pytest.mark.parametrize("cut", range(30, 6000, 600))
def test_a_jpeg_or_png_cut_anywhere_never_raises_nor_passes(cut):
    for kind in ("PNG", "JPEG"):
        data = encode(NOISE, kind, **({"quality": 100} if kind == "JPEG" else {}))
        assert reason_of(rgb=data[:cut]) in ("unreadable", "truncated")


def test_size_is_judged_before_pixels_are_decoded():
    thresholds = {"image_too_large": {"max_pixels": 60 * 40 - 1}}
    assert reason_of(thresholds=thresholds) == "image_too_large"
    assert reason_of(thresholds={"image_too_large": {"max_pixels": 60 * 40}}) is None
    header = encode(NOISE)[:60]  # a PNG that says 60 x 40 and holds next to nothing
    assert reason_of(rgb=header, thresholds=thresholds) == "image_too_large"
    assert reason_of(rgb=header) == "truncated"


def test_a_decompression_bomb_is_too_large():
    header = bytearray(encode(NOISE))
    header[16:24] = (40_000).to_bytes(4, "big") * 2
    header[29:33] = __import__("zlib").crc32(header[12:29]).to_bytes(4, "big")
    assert reason_of(rgb=bytes(header)) == "image_too_large"


def test_exif_orientation_is_applied_as_datasets_does():
    exif = Image.Exif()
    exif[0x0112] = 6  # quarter turn
    assert rgb_array(open_image(encode(NOISE, "PNG", exif=exif), 10**6)).shape == (60, 40, 3)


def test_equal_channels_become_one_channel_and_are_stored_so():
    stacked = np.dstack([GREY] * 3)
    nearly = stacked.copy()
    nearly[..., 2] = np.clip(nearly[..., 2], 0, 253) + 1  # one or two levels off
    done = DecodeStage({}, {})(batch([(encode(NOISE), encode(stacked)), (encode(NOISE), encode(nearly))]))
    assert done["_reason"] == [None, None]
    np.testing.assert_array_equal(done["_ir"][0], GREY)
    assert np.abs(done["_ir"][1].astype(int) - GREY).max() <= 1
    stored = Image.open(io.BytesIO(done["ir"][0]["bytes"]))
    assert stored.mode == "L"
    np.testing.assert_array_equal(np.asarray(stored), GREY)


def test_false_colour_is_refused_unless_the_recipe_says_otherwise():
    assert reason_of(ir=encode(NOISE)) == "ir_is_colormapped"
    assert reason_of(ir=encode(NOISE), thresholds={"ir_is_colormapped": False}) is None


def test_sixteen_bit_needs_the_limits_of_its_band():
    wide = encode(GREY.astype(np.uint16) * 100)
    assert reason_of(ir=wide) == "ir_range_missing"
    assert reason_of(ir=wide, ir_range={"nir": (0, 25_500)}) == "ir_range_missing"
    given = batch([(encode(NOISE), wide)])
    done = DecodeStage({"lwir": (0, 25_500)}, {})(given)
    np.testing.assert_array_equal(done["_ir"][0], GREY)  # 25,500 becomes 255
    assert done["ir"][0]["bytes"] == wide  # stored as it came


@pytest.mark.parametrize(
    ("value", "unit", "reason"),
    [
        (29_000, "kelvin_1e2", None),
        (15_000, "kelvin_1e2", None),
        (40_000, "kelvin_1e2", None),
        (2_900, "kelvin_1e2", "ir_unit_contradicted"),
        (44_000, "kelvin_1e2", "ir_unit_contradicted"),
        (16_000, "reflectance_1e4", None),
        (16_001, "reflectance_1e4", "ir_unit_contradicted"),
        (50_000, "dn", None),
    ],
)
def test_values_that_cannot_be_of_their_unit_leave(value, unit, reason):
    noise = np.where(GREY < 100, 1, value).astype(np.uint16)  # two fifths are at most what is wrong
    stored = encode(np.full_like(noise, value) if reason else noise)
    for trusted, told in ((None, reason), (True, None)):
        rows = batch([(encode(NOISE), stored)]) | {"ir_unit": [unit], "_unit_trusted": [trusted]}
        assert DecodeStage({"lwir": [0, 65535]}, {})(rows)["_reason"] == [told]
    rows = batch([(encode(NOISE), stored)]) | {"ir_unit": [unit]}
    assert DecodeStage({"lwir": [0, 65535]}, {"ir_unit_contradicted": False})(rows)["_reason"] == [None]


@pytest.mark.parametrize(
    ("scale", "offset", "unit", "reason"),
    [
        (0.01, 0.0, "kelvin_1e2", None),
        (1.0, 0.0, "kelvin_1e2", None),  # what writers leave there that mean nothing
        (0.01, 273.15, "kelvin_1e2", "ir_unit_contradicted"),
        (0.02, 0.0, "kelvin_1e2", "ir_unit_contradicted"),
        (1e-4, 0.0, "reflectance_1e4", None),
        (1e-4, -0.1, "reflectance_1e4", "ir_unit_contradicted"),
        (0.02, 5.0, "dn", None),
    ],
)
def test_a_scale_of_the_file_that_makes_another_quantity_of_its_values_contradicts_the_unit(
    scale, offset, unit, reason
):
    value = 29_000 if unit == "kelvin_1e2" else 3_000
    with rasterio.io.MemoryFile() as memory:
        with memory.open(driver="GTiff", width=60, height=40, count=1, dtype="uint16") as file:
            file.write(np.full((1, 40, 60), value, np.uint16))
            file.scales, file.offsets = (scale,), (offset,)
        rows = batch([(encode(NOISE), memory.read())]) | {"ir_unit": [unit]}
    assert DecodeStage({"lwir": [0, 65535]}, {})(rows)["_reason"] == [reason]


def test_infrared_of_other_modes_is_refused():
    with pytest.raises(DecodeError, match="ir_mode_unsupported"):
        infrared_array(Image.fromarray(np.dstack([NOISE, GREY])), None)


def test_rows_without_infrared_stay_without_and_bytes_are_untouched():
    rgb = encode(NOISE, "JPEG")
    done = DecodeStage({}, {})(batch([(rgb, None)]))
    assert done["_ir"] == [None]
    assert done["ir"] == [None]
    assert done["rgb"][0]["bytes"] == rgb
    assert done["_rgb"][0].shape == (40, 60, 3)


@pytest.mark.parametrize("mode", ["RGB", "P", "RGBA", "L"])
def test_the_luminance_is_that_of_the_rgb_whatever_its_mode(mode):
    image = Image.fromarray(NOISE).convert(mode)
    done = DecodeStage({}, {})(batch([(encode(image), None)]))
    np.testing.assert_array_equal(done["_grey"][0], np.asarray(Image.fromarray(done["_rgb"][0]).convert("L")))


def ycbcr(array):
    return Image.fromarray(array).convert("YCbCr")


OPAQUE = np.dstack([NOISE, np.full_like(GREY, 255)])
FORMS = {  # container, image, what it is called: by hand
    "RGBA in PNG": ("PNG", Image.fromarray(OPAQUE), "alpha_dropped"),
    "RGBA in TIFF": ("TIFF", Image.fromarray(OPAQUE), "alpha_dropped"),
    "RGBA in JPEG 2000": ("JPEG2000", Image.fromarray(OPAQUE), "alpha_dropped"),
    "RGB in WebP": ("WEBP", Image.fromarray(NOISE), None),
    "palette in PNG": ("PNG", Image.fromarray(NOISE).quantize(64), "palette"),
    "palette in GIF": ("GIF", Image.fromarray(NOISE).quantize(64), "palette"),
    "palette in TIFF": ("TIFF", Image.fromarray(NOISE).quantize(64), "palette"),
    "palette in BMP": ("BMP", Image.fromarray(NOISE).quantize(64), "palette"),
    "YCbCr in TIFF": ("TIFF", ycbcr(NOISE), None),  # which Pillow opens as RGB
    "YCbCr in JPEG": ("JPEG", ycbcr(NOISE), None),
    "RGB in PNG": ("PNG", Image.fromarray(NOISE), None),
}


OPTIONS = {"RGB in WebP": {"lossless": True}, "YCbCr in TIFF": {"compression": "jpeg"}}


@pytest.mark.parametrize("name", FORMS)
def test_every_opaque_form_of_colour_is_stored_as_rgb_that_processors_take(name):
    kind, image, conversion = FORMS[name]
    data = encode(image, kind, **OPTIONS.get(name, {}))
    wanted = np.asarray(Image.open(io.BytesIO(data)).convert("RGB"))
    rows = batch([(data, None), (data, None)]) | {"rgb_conversion": [None, None]}
    rows = store_rgb(DecodeStage({}, {})(rows))
    assert rows["_reason"] == [None, None] and rows["rgb_conversion"] == [conversion] * 2
    for column, digest in zip(rows["rgb"], rows["_rgb_sha256"], strict=True):
        stored = Image.open(io.BytesIO(column["bytes"]))
        assert stored.mode == "RGB" and check_rgb(stored) is stored and digest == sha256(column["bytes"])
        np.testing.assert_array_equal(np.asarray(stored), wanted)
        assert (column["bytes"] == data) == (conversion is None)


@pytest.mark.parametrize("mode", ["CMYK", "LAB", "HSV"])
def test_forms_that_no_decoder_turns_into_the_same_colours_leave(mode):
    image = Image.fromarray(NOISE)
    image = image.convert("CMYK") if mode == "CMYK" else Image.frombytes(mode, image.size, image.tobytes())
    with pytest.raises(DecodeError, match="rgb_mode_unsupported"):
        rgb_array(image)


def test_postscript_is_never_given_to_a_program(monkeypatch):
    monkeypatch.setattr("PIL.EpsImagePlugin.Ghostscript", lambda *given: pytest.fail("a program was called"))
    assert reason_of(rgb=encode(NOISE, "EPS")) == "unreadable"


def test_values_that_are_no_numbers_are_refused():
    values = GREY.astype(np.float32)
    limits = {"lwir": (0, 255)}
    assert reason_of(ir=encode(values, "TIFF"), ir_range=limits) is None
    for value in (np.nan, np.inf):
        values[3, 4] = value
        assert reason_of(ir=encode(values, "TIFF"), ir_range=limits) == "ir_not_finite"


def test_a_shared_rgb_image_is_decoded_once():
    shared = encode(NOISE)
    done = DecodeStage({}, {})(batch([(shared, encode(GREY)), (shared, encode(255 - GREY))]))
    assert done["_rgb"][0] is done["_rgb"][1]
    assert done["_rgb_sha256"][0] == done["_rgb_sha256"][1]


def tiff(*pages):
    """Returns a TIFF of (image, NewSubfileType) pages."""
    buffer = io.BytesIO()
    with TiffImagePlugin.AppendingTiffWriter(buffer, True) as writer:
        for image, kind in pages:
            image.save(writer, "TIFF", tiffinfo={254: kind})
            writer.newFrame()
    return buffer.getvalue()


def test_overviews_and_masks_beside_a_page_are_no_further_pages():
    page, overview = (Image.fromarray(np.full((side, side, 3), side, np.uint8)) for side in (32, 16))
    mask = Image.fromarray(np.full((32, 32), 255, np.uint8))
    for others in ([(overview, 1)], [(overview, 1), (mask, 4)], [(mask, 4), (mask, 5)]):
        found = open_image(tiff((page, 0), *others), 10**6)
        assert found.size == (32, 32) and np.array_equal(np.asarray(found), np.asarray(page))
    assert open_image(tiff((page, 1)), 10**6).size == (32, 32)  # the first is what there is
    for others in ([(page, 0)], [(page, 2)], [(overview, 1), (page, 0)]):
        with pytest.raises(DecodeError, match="image_is_animated"):
            open_image(tiff((page, 0), *others), 10**6)
