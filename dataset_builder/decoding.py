"""Image bytes -> arrays, once a row; what cannot be decoded as RGB beside single-channel infrared gets its reason."""

import hashlib
import io
import sys
import zlib
from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
from PIL import Image, ImageOps, UnidentifiedImageError

from dataset_builder.filters import ImageTooLarge, InfraredIsColormapped, make_rules

WIDE_MODES = ("I;16", "I;16B", "I;16L", "I;16N", "I", "F")
BROKEN = (OSError, SyntaxError, ValueError, EOFError, OverflowError, zlib.error)  # what Pillow's decoders raise


class DecodeError(ValueError):
    """An image that cannot be used; `args[0]` is the reason code."""


def sha256(data: bytes | None) -> str | None:
    """Returns SHA-256 of encoded image bytes, 64 hex digits; None where there are none."""
    return hashlib.sha256(data).hexdigest() if data else None


def open_image(data: bytes | None, max_pixels: int) -> Image.Image:
    """Returns the decoded, upright image (EXIF orientation applied, as `datasets` does when it decodes).

    Args:
        data: An encoded image file.
        max_pixels: Larger images are not decoded.

    Raises:
        DecodeError: `unreadable`, `image_too_large`, `image_is_animated` or `truncated`.
    """
    if not data:
        raise DecodeError("unreadable")
    try:
        image = Image.open(io.BytesIO(data))
    except Image.DecompressionBombError as error:
        raise DecodeError("image_too_large") from error
    except (UnidentifiedImageError, *BROKEN) as error:
        raise DecodeError("unreadable") from error
    if image.width * image.height > max_pixels:
        raise DecodeError("image_too_large")
    if getattr(image, "n_frames", 1) > 1:
        raise DecodeError("image_is_animated")
    try:
        image.load()
        return ImageOps.exif_transpose(image)
    except BROKEN as error:
        raise DecodeError("truncated") from error


def rgb_array(image: Image.Image) -> np.ndarray:
    """Returns uint8 `(height, width, 3)`; grey becomes three equal channels, which a filter then finds.

    Raises:
        DecodeError: `rgb_has_alpha` (not all opaque), or `rgb_mode_unsupported` (CMYK, 16 bit and the like).
    """
    if image.mode in ("RGBA", "LA", "PA") or "transparency" in image.info:
        image = image.convert("RGBA")
        if image.getextrema()[3][0] < 255:
            raise DecodeError("rgb_has_alpha")
    elif image.mode not in ("RGB", "L", "1", "P"):
        raise DecodeError("rgb_mode_unsupported")
    return np.asarray(image.convert("RGB"))


def infrared_array(image: Image.Image, limits: Sequence[float] | None) -> np.ndarray:
    """Returns single-channel infrared as uint8 `(height, width)`.

    Args:
        image: Mode L, 16 bit or float, or three channels that agree (their mean is taken).
        limits: `(low, high)` that becomes 0 and 255, declared for the band; needed above 8 bit.

    Raises:
        DecodeError: `ir_range_missing` (above 8 bit without limits) or `ir_mode_unsupported`.
    """
    if image.mode in WIDE_MODES:
        if limits is None:
            raise DecodeError("ir_range_missing")
        from fusionrs_hf.processing_fusionrs_clip import scale_infrared  # brings torch: only where it is needed

        return scale_infrared(np.asarray(image), tuple(limits))[0]
    if image.mode == "L":
        return np.asarray(image)
    if image.mode not in ("RGB", "P"):
        raise DecodeError("ir_mode_unsupported")
    return np.rint(np.asarray(image.convert("RGB")).mean(axis=2)).astype(np.uint8)


class DecodeStage:
    """Batch stage: fills `_rgb`, `_ir`, `_rgb_sha256`, or `_reason` where an image cannot be used.

    Bytes stay as they came, with one exception: three-channel infrared is stored anew as single-channel PNG.

    Args:
        ir_range: Limits `(low, high)` by `ir_band`, for infrared above 8 bit.
        thresholds: The recipe's `filters`; `image_too_large` and `ir_is_colormapped` are asked here, as what they find
            must not be decoded.
    """

    def __init__(self, ir_range: Mapping[str, Sequence[float]], thresholds: Mapping[str, Any]) -> None:
        self.ir_range = ir_range
        self.max_pixels = min((r.max_pixels for r in make_rules(thresholds, (ImageTooLarge,))), default=sys.maxsize)
        self.rules = make_rules(thresholds, (InfraredIsColormapped,))

    def __call__(self, batch: dict[str, list]) -> dict[str, list]:
        """Decodes a batch; an RGB image that several rows share is decoded once. Null `ir` stays null."""
        size = len(batch["sample_id"])
        batch["_rgb"], batch["_ir"] = [None] * size, [None] * size
        batch["_rgb_sha256"] = [sha256((image or {}).get("bytes")) for image in batch["rgb"]]
        seen = {}
        for index, digest in enumerate(batch["_rgb_sha256"]):
            try:
                if digest not in seen:
                    seen[digest] = rgb_array(open_image((batch["rgb"][index] or {}).get("bytes"), self.max_pixels))
                batch["_rgb"][index] = seen[digest]
                if batch["ir"][index] is not None:
                    batch["_ir"][index] = self._infrared(batch, index)
            except DecodeError as error:
                batch["_reason"][index] = error.args[0]
        return batch

    def _infrared(self, batch: dict[str, list], index: int) -> np.ndarray:
        image = open_image(batch["ir"][index].get("bytes"), self.max_pixels)
        for rule in self.rules:
            if reason := rule({"ir": batch["ir"][index]}):
                raise DecodeError(reason)
        array = infrared_array(image, self.ir_range.get(batch["ir_band"][index]))
        if image.mode in ("RGB", "P"):
            buffer = io.BytesIO()
            Image.fromarray(array).save(buffer, "PNG")
            batch["ir"][index] = {"bytes": buffer.getvalue(), "path": None}
        return array
