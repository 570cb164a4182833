"""Rules about one image: what it claims to be before it is decoded, and what its pixels show.

Most images are nowhere near a threshold, and a few lines of them prove it. Where a rule stops there, its answer is the
one that all pixels would give.
"""

import io
import re
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, ClassVar

import numpy as np
from PIL import Image

from dataset_builder.thresholds import threshold
from dataset_builder.units import PHYSICAL, is_scaled_otherwise, outside_share
from fusionrs_hf.processing_fusionrs_images import (
    CHANNEL_TOLERANCE,
    COLOURED_SHARE,
    FORMATS,
    WIDE_MODES,
    channel_spread,
    count_coloured,
    is_coloured,
)

GDAL_METADATA = 42112  # number of the TIFF tag
ROLE = re.compile(r'<Item [^<>]{0,200}role="(scale|offset)"[^<>]{0,200}>([^<>]{1,40})</Item>')
COLOUR_MODES = ("RGB", "RGBA", "P", "PA", "CMYK", "YCbCr")


@dataclass(frozen=True, slots=True)
class ImageTooLarge:
    """An encoded image claims more pixels than any honest tile (a decompression bomb); reads headers only."""

    reason: ClassVar[str] = "image_too_large"
    max_pixels: int = threshold(17_000_000, "pixels")  # 4096 x 4096 passes

    def __call__(self, row: Mapping[str, Any]) -> str | None:
        """Looks at `rgb` and `ir` as encoded."""
        encoded = [row[name]["bytes"] for name in ("rgb", "ir") if row.get(name) and row[name].get("bytes")]
        return self.reason if any(_pixels(data) > self.max_pixels for data in encoded) else None


def _pixels(encoded: bytes) -> float:
    try:
        with Image.open(io.BytesIO(encoded), formats=FORMATS) as image:
            return image.width * image.height
    except Image.DecompressionBombError:
        return float("inf")
    except OSError:
        return 0  # not an image at all: decoding has called it unreadable


@dataclass(frozen=True, slots=True)
class InfraredIsColormapped:
    """The encoded infrared image has colours: a false-colour rendering, whose grey values mean nothing."""

    reason: ClassVar[str] = "ir_is_colormapped"
    max_difference: float = threshold(CHANNEL_TOLERANCE, "grey levels between channels of a pixel")
    max_share: float = threshold(COLOURED_SHARE, "share of the pixels above that")

    def __call__(self, row: Mapping[str, Any]) -> str | None:
        """Reads `ir` as encoded; decodes only what has colour channels or a palette."""
        encoded = (row.get("ir") or {}).get("bytes")
        if encoded is None:
            return None
        try:
            with Image.open(io.BytesIO(encoded), formats=FORMATS) as image:
                return self.judge(image)
        except OSError:
            return None  # not an image, or cut short: decoding has called it unreadable

    def judge(self, image: Image.Image) -> str | None:
        """Judges an opened image of any mode."""
        if image.mode not in COLOUR_MODES:
            return None
        rgb = np.asarray(image.convert("RGB"))
        return self.reason if is_coloured(rgb, self.max_difference, self.max_share) else None


@dataclass(frozen=True, slots=True)
class InfraredContradictsUnit:
    """Most values of the infrared cannot be of the physical unit that is declared for it: 3 K, a reflectance of 5.

    Nor can those of a GeoTIFF whose own scale and offset make another quantity of them.
    """

    reason: ClassVar[str] = "ir_unit_contradicted"
    max_share: float = threshold(0.5, "share of the pixels")

    def __call__(self, row: Mapping[str, Any]) -> str | None:
        """Reads `ir` as encoded, and `ir_unit`; decodes only what has a physical unit."""
        encoded = (row.get("ir") or {}).get("bytes")
        if encoded is None or row.get("ir_unit") not in PHYSICAL:
            return None
        try:
            with Image.open(io.BytesIO(encoded), formats=FORMATS) as image:
                return self.judge(image, row["ir_unit"])
        except OSError:
            return None  # not an image, or cut short: decoding has called it unreadable

    def judge(self, image: Image.Image, unit: str | None) -> str | None:
        """Judges an opened image; one with colours has no unit."""
        if unit not in PHYSICAL or image.mode not in ("L", *WIDE_MODES):
            return None
        own = declared_scaling(image)
        otherwise = own is not None and is_scaled_otherwise(unit, *own)
        return self.reason if otherwise or outside_share(np.asarray(image), unit) > self.max_share else None


def declared_scaling(image: Image.Image) -> tuple[float, float] | None:
    """Returns scale and offset that a GeoTIFF of one band declares, as GDAL writes them; None where it has neither."""
    text = image.tag_v2.get(GDAL_METADATA) if image.format == "TIFF" else None
    roles = dict(ROLE.findall(text)) if isinstance(text, str) else {}
    try:
        return (float(roles.get("scale", 1)), float(roles.get("offset", 0))) if roles else None
    except ValueError:
        return None


@dataclass(frozen=True, slots=True)
class ImageTooSmall:
    """A side of the RGB or infrared image is shorter than what any tower reads."""

    reason: ClassVar[str] = "image_too_small"
    min_side: int = threshold(32, "pixels")

    def __call__(self, row: Mapping[str, Any]) -> str | None:
        """Reads `_rgb` and `_ir`."""
        sides = [min(row[name].shape[:2]) for name in ("_rgb", "_ir") if row.get(name) is not None]
        return self.reason if sides and min(sides) < self.min_side else None


@dataclass(frozen=True, slots=True)
class RgbTooFlat:
    """The RGB image is nearly one colour: open water, cloud, an empty frame."""

    reason: ClassVar[str] = "rgb_too_flat"
    min_std: float = threshold(2.0, "grey levels of 255, largest of the channels")

    def __call__(self, row: Mapping[str, Any]) -> str | None:
        """Reads `_rgb`."""
        rgb = row.get("_rgb")
        flat = rgb is not None and all(_is_flat(rgb[..., channel], self.min_std) for channel in (1, 0, 2))
        return self.reason if flat else None


@dataclass(frozen=True, slots=True)
class InfraredTooFlat:
    """The infrared image is nearly uniform: a failed translation, saturation, open water."""

    reason: ClassVar[str] = "ir_too_flat"
    min_std: float = threshold(2.0, "grey levels of 255")

    def __call__(self, row: Mapping[str, Any]) -> str | None:
        """Reads `_ir`."""
        ir = row.get("_ir")
        return self.reason if ir is not None and _is_flat(ir, self.min_std) else None


def _is_flat(channel: np.ndarray, min_std: float) -> bool:
    """Whether the standard deviation of `(h, w)` is below `min_std`.

    A part's squared deviations from its own mean are no more than those from the mean of all: a bound from below.
    """
    part = channel[::16]
    if part.var() * part.size > 1.001 * min_std**2 * channel.size:
        return False
    return bool(channel.std() < min_std)


@dataclass(frozen=True, slots=True)
class RgbIsGray:
    """The RGB image has no colour: its channels agree nearly everywhere, as in a panchromatic or mislabelled image."""

    reason: ClassVar[str] = "rgb_is_gray"
    max_difference: float = threshold(CHANNEL_TOLERANCE, "grey levels between channels of a pixel")
    min_share: float = threshold(1 - COLOURED_SHARE, "share of the pixels")

    def __call__(self, row: Mapping[str, Any]) -> str | None:
        """Reads `_rgb`."""
        rgb = row.get("_rgb")
        if rgb is None:
            return None
        pixels = rgb.shape[0] * rgb.shape[1]
        gray = all(
            (pixels - count_coloured(part, self.max_difference)) / pixels >= self.min_share for part in (rgb[::8], rgb)
        )
        return self.reason if gray else None


@dataclass(frozen=True, slots=True)
class TooMuchNodata:
    """Too much of the tile is empty: zero in all RGB channels and, where a sensor has seen it, in the infrared."""

    reason: ClassVar[str] = "too_much_nodata"
    max_share: float = threshold(0.5, "share of the pixels")

    def __call__(self, row: Mapping[str, Any]) -> str | None:
        """Reads `_rgb`, and `_ir` where `ir_origin` does not say that it was translated from that RGB."""
        rgb, ir = row.get("_rgb"), None if row.get("ir_origin") == "translated" else row.get("_ir")
        if rgb is None or rgb.size - np.count_nonzero(rgb) <= self.max_share * rgb.size:
            return None  # an empty pixel has three zeros
        empty = (rgb == 0).all(-1)
        if ir is not None and ir.shape == empty.shape:
            empty &= ir == 0
        return self.reason if empty.mean() > self.max_share else None


def grey_of(row: Mapping[str, Any]) -> np.ndarray | None:
    """Returns the luminance of `_rgb` by Pillow's `L`, uint8 `(h, w)`, which decoding leaves in `_grey`."""
    if row.get("_grey") is not None or row.get("_rgb") is None:
        return row.get("_grey")
    return np.asarray(Image.fromarray(row["_rgb"]).convert("L"))


@dataclass(frozen=True, slots=True)
class RgbIsClouded:
    """Most of the RGB image is bright, colourless and smooth, as cloud is, with little ground between.

    For images that come without a quality band; meant to miss many rather than to hit a salt flat, a beach or a roof.
    A cloud that the display stretch leaves gray is missed, snow and fog are hit.
    """

    reason: ClassVar[str] = "rgb_is_clouded"
    min_level: int = threshold(200, "grey levels of 255, of a pixel's darkest channel")
    max_difference: int = threshold(30, "grey levels between channels of a pixel")
    max_step: int = threshold(12, "grey levels to the next pixel, across and down")
    max_share: float = threshold(0.7, "share of the pixels")

    def __call__(self, row: Mapping[str, Any]) -> str | None:
        """Reads `_rgb` and its luminance."""
        grey = grey_of(row)
        if grey is None or np.count_nonzero(grey >= self.min_level) <= self.max_share * grey.size:
            return None  # luminance is never below the darkest channel
        rgb, level = row["_rgb"], grey.astype(np.int16)
        cloud = (rgb.min(-1) >= self.min_level) & (channel_spread(rgb) <= self.max_difference)
        cloud[:, :-1] &= np.abs(np.diff(level, axis=1)) <= self.max_step
        cloud[:-1] &= np.abs(np.diff(level, axis=0)) <= self.max_step
        return self.reason if cloud.mean() > self.max_share else None
