"""What an image is taken for, decided once: RGB or infrared, one channel, grey levels.

Builder, search, scores and processors all ask here. Copied to the Hub as remote code: imports numpy, Pillow and
siblings only.
"""

import logging
import struct
import zlib
from collections.abc import Sequence

import numpy as np
from PIL import Image

from .processing_fusionrs_arrays import as_picture

logger = logging.getLogger(__name__)

WIDE_MODES = ("I;16", "I;16B", "I;16L", "I;16N", "I", "F")  # one channel above 8 bit
# Translators and JPEG write infrared in three channels that differ by rounding: these are one channel.
CHANNEL_TOLERANCE = 2.0  # grey levels between channels of a pixel; beyond, the pixel is coloured
COLOURED_SHARE = 0.01  # of the pixels; beyond, the image is coloured
CLIPPED_BY_PERCENTILES = 0.05  # of one image: limits at percentiles of many images clip so much of some
_TOLD: set[tuple[float, ...]] = set()  # limits that were warned of
# What is opened, whatever its name says: no PostScript, which Pillow hands to a program, and nothing that `datasets`
# may read otherwise elsewhere.
FORMATS = ("JPEG", "PNG", "TIFF", "WEBP", "BMP", "GIF", "PPM", "JPEG2000", "AVIF")
BROKEN = (  # what Pillow's decoders raise on damaged files; whoever opens many must outlive every one of them
    *(OSError, SyntaxError, ValueError, EOFError, ArithmeticError, MemoryError, zlib.error, struct.error),
    *(TypeError, LookupError, AttributeError, RuntimeError, Image.DecompressionBombError),
)


def scale_infrared(ir: np.ndarray, limits: tuple[float, float]) -> tuple[np.ndarray, float]:
    """Scales infrared linearly between declared limits to grey levels; never by the image's own minimum and maximum.

    Args:
        ir: Any real dtype, `(height, width)`.
        limits: `(low, high)` in the image's unit; low becomes 0 and high 255, what lies beyond is clipped.

    Returns:
        uint8 `(height, width)`, and the share of pixels clipped, in [0, 1].

    Raises:
        ValueError: The limits are not increasing, the array has not two dimensions, or a value is NaN or infinite.
    """
    low, high = limits
    if not low < high:
        raise ValueError(f"ir_range must be (low, high) with low < high, got {limits}")
    if ir.ndim != 2:
        raise ValueError(f"an infrared image has two dimensions (height, width), got shape {ir.shape}")
    values = ir.astype(np.float64)
    if ir.dtype.kind == "f" and (missing := values.size - np.isfinite(values).sum()):
        raise ValueError(
            f"{missing} of {values.size} values of an infrared image are NaN or infinite; fill them first, or leave "
            "the image out: what was not measured is not dark"
        )
    clipped_ratio = float(((values < low) | (values > high)).mean())
    scaled = np.clip((values - low) / (high - low), 0.0, 1.0) * 255.0
    return np.rint(scaled).astype(np.uint8), clipped_ratio


def check_rgb(image: object) -> Image.Image:
    """Returns an image of mode RGB, refusing one without colour: converted infrared would lose its modality unseen.

    Args:
        image: PIL image of mode RGB, or an array or tensor of three channels, see `as_picture`.

    Raises:
        ValueError: It is no image, has not three channels, or three equal ones.
    """
    image = as_picture(image)
    mode = getattr(image, "mode", "one channel")
    if mode != "RGB":
        is_infrared = mode in ("L", "one channel", *WIDE_MODES)
        remedy = "infrared goes into ir_images=" if is_infrared else 'give image.convert("RGB")'
        raise ValueError(f"an RGB image has mode RGB, got mode {mode!r}; {remedy}")
    red, green, blue = np.moveaxis(np.asarray(image), -1, 0)
    if np.array_equal(red, green) and np.array_equal(green, blue):
        raise ValueError(
            "an RGB image has three equal channels: give infrared and grey images in mode L. A path, a URL and "
            'pipeline(images=[...]) convert to RGB: open the image with PIL and pass it as {"type": "image", "image": '
            "image} in messages, or in ir_images="
        )
    return image


def check_infrared(image: object, ir_range: Sequence[float] | None = None) -> Image.Image:
    """Returns an infrared image in mode L; above 8 bit it is scaled between its limits, and what that clips is logged.

    Args:
        image: PIL image of mode L or 16 bit (I;16, I, F), or an array or tensor of one channel, see `as_picture`, of
            dtype uint8 or wider.
        ir_range: `(low, high)` in the image's unit; required above 8 bit.

    Raises:
        ValueError: The image has not one channel, has more than 8 bit and no `ir_range`, or holds NaN or infinity.
            Grey kept in three channels (mode RGB) is refused, too: `image.convert("L")` says that it is infrared.
    """
    image = as_picture(image)
    mode = getattr(image, "mode", None)
    if mode == "L":
        return image
    if mode is not None and mode not in WIDE_MODES:
        remedy = ""
        if mode == "RGB":
            remedy = '; RGB goes into images=, and infrared kept in three grey channels goes in as image.convert("L")'
        raise ValueError(
            f"an image must be of mode RGB (RGB) or of one channel, mode L or I;16 (infrared), got {mode}{remedy}"
        )
    array = np.asarray(image)
    if array.dtype == np.uint8:
        return Image.fromarray(array)
    if ir_range is None:
        raise ValueError(
            f"infrared of dtype {array.dtype} needs limits: build the processor with ir_range=(low, high) in its own "
            "unit, or with a pair for each band and name ir_bands= in the call; in messages give 8 bit"
        )
    scaled, clipped_ratio = scale_infrared(array, tuple(ir_range))
    _tell_clipping(tuple(ir_range), clipped_ratio)
    return Image.fromarray(scaled)


def _tell_clipping(limits: tuple[float, ...], ratio: float) -> None:
    """Warns of the first image that limits clip by much; that of each image is for whoever looks for it."""
    is_news = ratio > CLIPPED_BY_PERCENTILES and limits not in _TOLD
    if ratio:
        level = logging.WARNING if is_news else logging.DEBUG
        logger.log(level, "ir_range %s clips %.1f %% of an infrared image", limits, 100 * ratio)
    if is_news:
        _TOLD.add(limits)


def three_channels(image: Image.Image) -> np.ndarray | None:
    """Returns uint8 `(height, width, 3)` of an image that may keep infrared in three channels; None for any other.

    Args:
        image: Mode RGB, or a palette; transparency says that it shows something else.
    """
    if image.mode not in ("RGB", "P") or "transparency" in image.info:
        return None
    return np.asarray(image.convert("RGB"))


def channel_spread(rgb: np.ndarray) -> np.ndarray:
    """Returns how far the channels of each pixel lie apart, uint8 `(height, width)` of uint8 `(height, width, 3)`."""
    red, green, blue = (rgb[..., channel] for channel in range(3))
    return np.maximum(np.maximum(red, green), blue) - np.minimum(np.minimum(red, green), blue)


def count_coloured(rgb: np.ndarray, tolerance: float = CHANNEL_TOLERANCE) -> int:
    """Returns the number of pixels of uint8 `(height, width, 3)` whose channels differ by more than the tolerance."""
    return int(np.count_nonzero(channel_spread(rgb) > min(int(tolerance), 255)))


def is_coloured(rgb: np.ndarray, tolerance: float = CHANNEL_TOLERANCE, coloured_share: float = COLOURED_SHARE) -> bool:
    """Whether more than a share of the pixels of uint8 `(height, width, 3)` have channels that disagree."""
    return count_coloured(rgb, tolerance) / rgb[..., 0].size > coloured_share


def channel_mean(rgb: np.ndarray) -> np.ndarray:
    """Returns the mean of three channels, rounded: uint8 `(height, width)` of uint8 `(height, width, 3)`."""
    values = rgb.astype(np.uint16)
    return ((values[..., 0] + values[..., 1] + values[..., 2] + 1) // 3).astype(np.uint8)


def one_channel(
    image: Image.Image, tolerance: float = CHANNEL_TOLERANCE, coloured_share: float = COLOURED_SHARE
) -> Image.Image:
    """Returns infrared that a file keeps in three channels, as translators write it, in one: their mean.

    Args:
        image: Mode RGB or palette whose channels agree; anything else is returned as it is.
        tolerance, coloured_share: See `is_coloured`.
    """
    rgb = three_channels(image)
    if rgb is None or is_coloured(rgb, tolerance, coloured_share):
        return image
    return Image.fromarray(channel_mean(rgb))
