"""Image bytes -> arrays, once a row; what cannot be decoded as RGB beside single-channel infrared gets its reason."""

import hashlib
import io
import sys
from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
from PIL import Image, ImageOps

from dataset_builder.filters import ImageTooLarge, InfraredContradictsUnit, InfraredIsColormapped, make_rules
from dataset_builder.images.jpeg_end import is_cut_short
from dataset_builder.images.png import encode_png
from fusionrs_hf.image_depth import has_colour_above_8_bit, is_deep_colour_tiff
from fusionrs_hf.processing_fusionrs_images import (
    BROKEN,
    FORMATS,
    WIDE_MODES,
    channel_mean,
    scale_infrared,
    three_channels,
)

SUBFILE_TYPE, SUBORDINATE = 254, 0b101  # of a TIFF page: a smaller copy of the first, or its mask


WITH_ALPHA = ("RGBA", "RGBa", "LA", "La", "PA")
CONVERSIONS = {  # modes that a build stores as RGB, so that every processor takes them, with what it calls that
    **dict.fromkeys(WITH_ALPHA, "alpha_dropped"),
    **{"P": "palette", "YCbCr": "ycbcr", "RGBX": "padding_dropped"},
}


class DecodeError(ValueError):
    """An image that cannot be used; `args[0]` is the reason code."""


def sha256(data: bytes | None) -> bytes | None:
    """Returns SHA-256 of encoded image bytes, 32 bytes; None where there are none."""
    return hashlib.sha256(data).digest() if data else None


def open_image(data: bytes | None, max_pixels: int) -> Image.Image:
    """Returns the decoded, upright image (EXIF orientation applied, as `datasets` does when it decodes).

    Stricter than `fusionrs_hf.images.open_image`, which takes whatever Pillow decodes.

    Args:
        data: An encoded image file, of one of `FORMATS`.
        max_pixels: Larger images are not decoded.

    Raises:
        DecodeError: `unreadable`, `image_too_large`, `image_is_animated` (several frames or pages),
            `colour_above_8_bit` (which Pillow would cut to 8) or `truncated`.
    """
    if not data:
        raise DecodeError("unreadable")
    try:
        image = Image.open(io.BytesIO(data), formats=FORMATS)
        frames = _frames(image)
    except Image.DecompressionBombError as error:
        raise DecodeError("image_too_large") from error
    except BROKEN as error:
        raise DecodeError("colour_above_8_bit" if _is_deep_tiff(data) else "unreadable") from error
    if image.width * image.height > max_pixels:
        raise DecodeError("image_too_large")
    if frames > 1:
        raise DecodeError("image_is_animated")
    if image.mode not in WIDE_MODES and has_colour_above_8_bit(image, data):
        raise DecodeError("colour_above_8_bit")
    if _has_no_end(image.format, data):
        raise DecodeError("truncated")
    try:
        image.load()
        cut_short = image.format in ("JPEG", "MPO") and is_cut_short(data, np.asarray(image))
        ImageOps.exif_transpose(image, in_place=True)
    except BROKEN as error:
        raise DecodeError("truncated") from error
    if cut_short:
        raise DecodeError("truncated")
    return image


def _is_deep_tiff(data: bytes) -> bool:
    try:
        return is_deep_colour_tiff(data)
    except BROKEN:
        return False


def _has_no_end(kind: str | None, data: bytes) -> bool:
    """Whether the mark that ends a JPEG's scan or a PNG is missing: Pillow paints what garbage or zeros stand for."""
    if kind == "PNG":
        return b"IEND" not in data[-1000:] and b"IEND" not in data
    return kind in ("JPEG", "MPO") and data.rfind(b"\xff\xd9") < data.rfind(b"\xff\xda")


def _frames(image: Image.Image) -> int:
    """Number of frames or pages; previews beside the image (in JPEG) and its overviews (in TIFF) are none."""
    count = 1 if image.format in ("JPEG", "MPO") else getattr(image, "n_frames", 1)
    if image.format == "TIFF" and count > 1:
        frames = 0
        for page in range(count):
            image.seek(page)
            frames += page == 0 or not image.tag_v2.get(SUBFILE_TYPE, 0) & SUBORDINATE
        image.seek(0)
        return frames
    return count


def rgb_array(image: Image.Image) -> np.ndarray:
    """Returns uint8 `(height, width, 3)`; grey becomes three equal channels, which a filter then finds.

    Raises:
        DecodeError: `rgb_has_alpha` (not all opaque), or `rgb_mode_unsupported` (CMYK, which without a profile is no
            colour, 16 bit and the like).
    """
    if image.mode in WITH_ALPHA or "transparency" in image.info:
        image = image.convert("RGBA")
        if image.getextrema()[3][0] < 255:
            raise DecodeError("rgb_has_alpha")
    elif image.mode not in ("RGB", "L", "1", *CONVERSIONS):
        raise DecodeError("rgb_mode_unsupported")
    return np.asarray(image if image.mode == "RGB" else image.convert("RGB"))


def infrared_array(image: Image.Image, limits: Sequence[float] | None) -> np.ndarray:
    """Returns single-channel infrared as uint8 `(height, width)`.

    Args:
        image: Mode L, 16 bit or float, or three channels, whose mean is taken: whether they agree is for the filter
            `ir_is_colormapped` to say, which a recipe may loosen.
        limits: `(low, high)` that becomes 0 and 255, declared for the band; needed above 8 bit.

    Raises:
        DecodeError: `ir_range_missing` (above 8 bit without limits), `ir_not_finite` (NaN or infinity among the
            values) or `ir_mode_unsupported`.
    """
    if image.mode in WIDE_MODES:
        if limits is None:
            raise DecodeError("ir_range_missing")
        values = np.asarray(image)
        if image.mode == "F" and not np.isfinite(values).all():
            raise DecodeError("ir_not_finite")
        return scale_infrared(values, tuple(limits))[0]
    if image.mode == "L":
        return np.asarray(image)
    rgb = three_channels(image)
    if rgb is None:
        raise DecodeError("ir_mode_unsupported")
    return channel_mean(rgb)


class DecodeStage:
    """Batch stage: fills `_rgb`, its luminance `_grey`, `_ir`, `_rgb_sha256`, or `_reason` if one cannot be used.

    Bytes stay as they came, with one exception: three-channel infrared is stored anew as single-channel PNG. RGB in
    another form of opaque colour gets its name of `CONVERSIONS` in `_rgb_conversion`; see `store_rgb`.

    Args:
        ir_range: Limits `(low, high)` by `ir_band`, for infrared above 8 bit.
        thresholds: The recipe's `filters`; `image_too_large` and `ir_is_colormapped` are asked here, as what they find
            must not be decoded, and `ir_unit_contradicted`, of the values as they are stored.
    """

    def __init__(self, ir_range: Mapping[str, Sequence[float]], thresholds: Mapping[str, Any]) -> None:
        self.ir_range = ir_range
        self.max_pixels = min((r.max_pixels for r in make_rules(thresholds, (ImageTooLarge,))), default=sys.maxsize)
        self.rules = make_rules(thresholds, (InfraredIsColormapped,))
        self.unit_rules = make_rules(thresholds, (InfraredContradictsUnit,))

    def __call__(self, batch: dict[str, list]) -> dict[str, list]:
        """Decodes a batch; an RGB image that several rows share is decoded once. Null `ir` stays null."""
        size = len(batch["sample_id"])
        batch |= {name: [None] * size for name in ("_rgb", "_grey", "_ir", "_rgb_conversion")}
        batch["_rgb_sha256"] = [sha256((image or {}).get("bytes")) for image in batch["rgb"]]
        trusted, units = (batch.get(name) or [None] * size for name in ("_unit_trusted", "ir_unit"))
        seen = {}
        for index, digest in enumerate(batch["_rgb_sha256"]):
            try:
                if digest not in seen:
                    seen[digest] = self._rgb((batch["rgb"][index] or {}).get("bytes"))
                batch["_rgb"][index], batch["_grey"][index], batch["_rgb_conversion"][index] = seen[digest]
                if batch["ir"][index] is not None:
                    batch["_ir"][index] = self._infrared(batch, index, None if trusted[index] else units[index])
            except DecodeError as error:
                batch["_reason"][index] = error.args[0]
        return batch

    def _rgb(self, data: bytes | None) -> tuple[np.ndarray, np.ndarray, str | None]:
        """Returns the pixels, their luminance, and what they were where a processor would not take them."""
        image = open_image(data, self.max_pixels)
        rgb = rgb_array(image)
        grey = np.asarray((image if image.mode == "RGB" else Image.fromarray(rgb)).convert("L"))
        return rgb, grey, CONVERSIONS.get(image.mode)

    def _infrared(self, batch: dict[str, list], index: int, unit: str | None) -> np.ndarray:
        image = open_image(batch["ir"][index].get("bytes"), self.max_pixels)
        for rule in self.rules:
            if reason := rule.judge(image):
                raise DecodeError(reason)
        for rule in self.unit_rules:
            if reason := rule.judge(image, unit):
                raise DecodeError(reason)
        array = infrared_array(image, self.ir_range.get(batch["ir_band"][index]))
        if image.mode in ("RGB", "P"):
            batch["ir"][index] = {"bytes": encode_png(array), "path": None}
        return array


def store_rgb(batch: dict[str, list]) -> dict[str, list]:
    """Batch stage: of rows that are kept, stores RGB that came in another form as RGB, and what it was."""
    stored: dict[bytes, bytes] = {}
    for index, conversion in enumerate(batch.get("_rgb_conversion", ())):
        if conversion:
            digest = batch["_rgb_sha256"][index]
            if digest not in stored:
                stored[digest] = encode_png(batch["_rgb"][index])
            batch["rgb"][index] = {"bytes": stored[digest], "path": None}
            batch["rgb_conversion"][index], batch["_rgb_sha256"][index] = conversion, sha256(stored[digest])
    return batch
