import io

import pytest
from PIL import Image

from dataset_builder.images.decoded_size import decoded_bytes


def encoded(kind, mode="RGB"):
    buffer = io.BytesIO()
    Image.new(mode, (300, 200)).save(buffer, kind)
    return {"bytes": buffer.getvalue(), "path": None}


@pytest.mark.parametrize("kind", ["PNG", "JPEG", "TIFF", "WEBP"])
def test_the_size_is_what_the_header_says(kind):
    assert decoded_bytes(encoded(kind), encoded(kind, "L")) == 2 * 4 * 300 * 200


def test_no_pixel_is_decoded():
    data = encoded("PNG")["bytes"]
    assert decoded_bytes({"bytes": data[: data.index(b"IDAT") + 8]}) == 4 * 300 * 200


@pytest.mark.parametrize("image", [None, {"bytes": None}, {"bytes": b""}, {"bytes": b"no image"}, {"path": "a.png"}])
def test_what_is_no_image_takes_nothing(image):
    assert decoded_bytes(image) == 0
