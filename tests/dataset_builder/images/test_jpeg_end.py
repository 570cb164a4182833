"""JPEG that was cut and closed with an end mark is found; whole files, grey ones among them, are not."""

import io
import itertools

import numpy as np
import pytest
from PIL import Image
from scipy import ndimage

from dataset_builder.images.decoding import DecodeError, open_image
from dataset_builder.images.jpeg_end import is_cut_short

NOISE = ndimage.gaussian_filter(np.random.default_rng(0).standard_normal((96, 120, 3)), (3, 3, 0))
SCENE = (127 + 100 * NOISE / np.abs(NOISE).max()).astype(np.uint8)
FORMS = {
    "4:2:0": {"subsampling": 2},
    "4:2:2": {"subsampling": 1},
    "4:4:4": {"subsampling": 0},
    "optimised tables": {"optimize": True},
    "restart marks": {"restart_marker_blocks": 5},
    "restart marks by rows": {"restart_marker_rows": 1},
    "progressive": {"progressive": True},
}


def encode(array, quality=90, **options):
    buffer = io.BytesIO()
    Image.fromarray(array).save(buffer, "JPEG", quality=quality, **options)
    return buffer.getvalue()


def judged(data):
    image = Image.open(io.BytesIO(data))
    image.load()
    return is_cut_short(data, np.asarray(image))


@pytest.mark.parametrize("options", FORMS.values(), ids=FORMS)
@pytest.mark.parametrize("grey", [False, True])
def test_a_cut_file_that_is_closed_is_truncated(options, grey):
    data = encode(SCENE[..., 0] if grey else SCENE, **options)
    assert not judged(data)
    start = data.index(b"\xff\xda") + 20
    for share in (0.1, 0.3, 0.5) if "progressive" in options else (0.1, 0.3, 0.5, 0.7):
        cut = data[: start + int(share * (len(data) - start))].removesuffix(b"\xff") + b"\xff\xd9"
        with pytest.raises(DecodeError, match="truncated"):
            open_image(cut, 10**6)


@pytest.mark.parametrize("options", FORMS.values(), ids=FORMS)
@pytest.mark.parametrize("side", [(96, 120), (90, 110), (17, 33), (8, 8), (64, 9)])
def test_a_whole_file_is_none_whatever_lies_at_its_end(options, side):
    for colour, rows, quality in itertools.product(
        ((128, 128, 128), (0, 0, 0), (255, 255, 255)), (0.2, 0.6, 1), (50, 95)
    ):
        array = np.resize(SCENE, (96, 120, 3))[: side[0], : side[1]].copy()
        array[int(side[0] * (1 - rows)) :] = colour
        assert not judged(encode(array, quality, **options))
        assert not judged(encode(np.ascontiguousarray(array[..., 0]), quality, **options))


def test_a_turned_photo_and_one_with_a_thumbnail_are_judged_as_they_are_stored():
    exif = Image.Exif()
    exif[0x0112] = 6
    data = encode(SCENE, exif=exif)
    assert open_image(data, 10**6).size == (96, 120)
    with pytest.raises(DecodeError, match="truncated"):
        open_image(data[: len(data) // 2] + b"\xff\xd9", 10**6)
