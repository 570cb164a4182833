"""How large encoded images become, told before they are decoded: a batch of them is decoded whole."""

import io
from collections.abc import Mapping
from typing import Any

from PIL import Image

from fusionrs_hf.processing_fusionrs_images import BROKEN, FORMATS

BYTES_A_PIXEL = 4  # RGB beside its luminance
DECODED_BYTES = 128 * 2**20  # that the images of a batch may become


def decoded_bytes(*images: Mapping[str, Any] | None) -> int:
    """Returns about how many bytes encoded images, `{"bytes", ...}`, become together; their headers alone are read."""
    return sum(BYTES_A_PIXEL * _pixels(image["bytes"]) for image in images if image and image.get("bytes"))


def _pixels(data: bytes) -> int:
    try:
        with Image.open(io.BytesIO(data), formats=FORMATS) as opened:
            return opened.width * opened.height
    except (Image.DecompressionBombError, *BROKEN):
        return 0  # it stays as it is
