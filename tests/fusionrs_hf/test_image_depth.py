import contextlib
import io

import numpy as np
import pytest
from PIL import Image, UnidentifiedImageError

from fusionrs_hf.image_depth import has_colour_above_8_bit, is_deep_colour_tiff
from fusionrs_hf.processing_fusionrs_images import BROKEN

PIXELS = np.random.default_rng(0).integers(0, 65536, (8, 8, 3), np.uint16)


def ppm(maximum: int) -> bytes:
    values = PIXELS.astype(">u2").tobytes() if maximum > 255 else (PIXELS >> 8).astype(np.uint8).tobytes()
    return b"P6\n8 8\n%d\n" % maximum + values


def plain_ppm() -> bytes:
    return b"P3\n8 8\n65535\n" + b" ".join(b"%d" % value for value in PIXELS.ravel())


def raster(driver: str, dtype: type, **options: object) -> bytes:
    rasterio = pytest.importorskip("rasterio")
    values = np.moveaxis(PIXELS if dtype == np.uint16 else (PIXELS >> 8), -1, 0).astype(dtype)
    with rasterio.io.MemoryFile() as memory:
        with memory.open(driver=driver, width=8, height=8, count=3, dtype=dtype, **options) as file:
            file.write(values)
        return memory.read()


def eight_bit(kind: str) -> bytes:
    stream = io.BytesIO()
    Image.fromarray((PIXELS >> 8).astype(np.uint8)).save(stream, kind)
    return stream.getvalue()


def high_avif() -> bytes:
    data = bytearray(eight_bit("AVIF"))
    data[data.find(b"av1C") + 6] |= 0x40
    return bytes(data)


TIFF = {"driver": "GTiff", "photometric": "RGB"}
J2K = {"driver": "JP2OpenJPEG", "reversible": "YES", "quality": 100}
CASES = {
    "ppm of 16 bit": (lambda: ppm(65535), True),
    "ppm of 10 bit": (lambda: ppm(1023), True),
    "plain ppm of 16 bit": (plain_ppm, True),
    "ppm of 8 bit": (lambda: ppm(255), False),
    "tiff": (lambda: raster(dtype=np.uint16, **TIFF), True),
    "tiff by bands": (lambda: raster(dtype=np.uint16, interleave="band", **TIFF), True),
    "packed tiff by bands": (lambda: raster(dtype=np.uint16, interleave="band", compress="lzw", **TIFF), True),
    "tiff of 8 bit": (lambda: raster(dtype=np.uint8, interleave="band", **TIFF), False),
    "png": (lambda: raster("PNG", np.uint16), True),
    "jpeg 2000": (lambda: raster(dtype=np.uint16, **J2K), True),
    "jpeg 2000 of 8 bit": (lambda: raster(dtype=np.uint8, **J2K), False),
    "avif of 8 bit": (lambda: eight_bit("AVIF"), False),
    **{f"{kind} of 8 bit": (lambda kind=kind: eight_bit(kind), False) for kind in ("PNG", "JPEG", "WEBP", "BMP")},
}


@pytest.mark.filterwarnings("ignore::UserWarning")
@pytest.mark.parametrize("name", CASES)
def test_colour_above_8_bit_is_told_in_every_container(name):
    make, deep = CASES[name]
    data = make()
    assert has_colour_above_8_bit(Image.open(io.BytesIO(data)), data) is deep


def test_avif_tells_its_depth_in_a_flag_of_its_box():
    data = high_avif()
    image = Image.new("RGB", (8, 8))
    image.format = "AVIF"
    assert has_colour_above_8_bit(image, data) and not has_colour_above_8_bit(image, eight_bit("AVIF"))


@pytest.mark.parametrize(
    ("dtype", "deep"), [(np.uint16, True), (np.int16, True), (np.float32, True), (np.int8, False)]
)
def test_a_tiff_of_bands_that_pillow_has_no_mode_for_is_told_from_one_that_is_broken(dtype, deep):
    data = raster("GTiff", dtype)  # no photometric: bands, not colours
    with pytest.raises(UnidentifiedImageError):
        Image.open(io.BytesIO(data))
    assert is_deep_colour_tiff(data) is deep
    for broken in (data[:7], data[:20], b"no image", b"II*\0" + bytes(20)):
        with contextlib.suppress(BROKEN):
            assert not is_deep_colour_tiff(broken)
