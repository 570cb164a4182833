import io

import numpy as np
import pytest
from PIL import Image

from dataset_builder.images.png import encode_png
from tests.dataset_builder.made.sample_tiles import sample_rows


def decoded(data):
    image = Image.open(io.BytesIO(data))
    image.load()
    return image


@pytest.mark.parametrize("shape", [(1, 1), (1, 300), (300, 1), (33, 57), (256, 256), (40, 30, 3), (1, 1, 3)])
@pytest.mark.parametrize("kind", ["noise", "ramp", "flat"])
def test_every_pixel_comes_back(shape, kind):
    count = int(np.prod(shape))
    pixels = {
        "noise": np.random.default_rng(0).integers(0, 256, count),
        "ramp": np.cumsum(np.random.default_rng(1).integers(-3, 4, count)),
        "flat": np.full(count, 255),
    }[kind]
    image = pixels.astype(np.uint8).reshape(shape)
    found = decoded(encode_png(image))
    assert found.mode == ("RGB" if len(shape) == 3 else "L")
    np.testing.assert_array_equal(np.asarray(found), image)


def test_sixteen_bit_and_views_come_back():
    wide = np.random.default_rng(0).integers(0, 65_536, (33, 17)).astype(np.uint16)
    for image in (wide, wide[::-1, ::2], wide.astype(">u2")):
        found = decoded(encode_png(image))
        assert found.mode == "I;16"
        np.testing.assert_array_equal(np.asarray(found), image)


def test_tiles_take_no_more_bytes_than_with_pillow_and_flat_ones_next_to_none():
    ours = theirs = 0
    for row in sample_rows(40):
        for image in (row["_rgb"], row["_ir"]):
            buffer = io.BytesIO()
            Image.fromarray(image).save(buffer, "PNG", optimize=True)
            ours, theirs = ours + len(encode_png(image)), theirs + len(buffer.getvalue())
    assert ours < 1.01 * theirs
    assert len(encode_png(np.zeros((256, 256), np.uint8))) < 500


@pytest.mark.parametrize(
    "array",
    [np.zeros((4, 4), np.float32), np.zeros((4, 4, 4), np.uint8), np.zeros((0, 4), np.uint8), np.zeros(4, "u1")],
)
def test_other_arrays_are_refused(array):
    with pytest.raises(ValueError, match="expected uint8"):
        encode_png(array)
