"""Image files of a user -> what the processors take."""

import io
import os
from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
from PIL import EpsImagePlugin, Image, ImageOps

from fusionrs_hf.bounded_files import read_bytes
from fusionrs_hf.bounds import IMAGE_BYTES
from fusionrs_hf.errors import InputError
from fusionrs_hf.image_depth import has_colour_above_8_bit
from fusionrs_hf.processing_fusionrs_images import FORMATS, WIDE_MODES, check_infrared, one_channel, scale_infrared

Limits = Sequence[float] | Mapping[str, Sequence[float]] | None


def open_image(file: Any) -> Image.Image:
    """Returns the decoded, upright image of a path or file, a palette without transparency as RGB; raises `BROKEN`.

    A path of what is no file (a pipe, a device, a folder) is refused by an InputError: it may never end; so is colour
    above 8 bit, of which Pillow would read 8. For images
    that somebody chose to look at, of one of `FORMATS`. What enters a dataset is opened by
    `dataset_builder.images.decoding.open_image`, which also refuses animations and files cut short.
    """
    is_path = isinstance(file, (str, os.PathLike))
    data = read_bytes(file, IMAGE_BYTES) if is_path else file.read()
    with Image.open(io.BytesIO(data), formats=FORMATS) as opened:
        if opened.mode not in WIDE_MODES and has_colour_above_8_bit(opened, data):
            where = file if is_path else "an image"
            raise InputError(f"{where} has colour above 8 bit, which would be cut; save it with 8 bit a channel")
        opened.load()
        image = ImageOps.exif_transpose(opened)
    return image.convert("RGB") if image.mode == "P" and "transparency" not in image.info else image


def refuse_programs() -> None:
    """Keeps Pillow from starting Ghostscript in this process, also where `datasets` opens images of any format."""
    EpsImagePlugin.gs_binary = False


def readable_infrared(image: Image.Image, ir_range: Limits, band: str | None) -> tuple[Image.Image, float | None]:
    """Returns infrared in mode L by the processor's own scaling, and the share of pixels clipped (None for 8 bit).

    Args:
        image: Mode L, above 8 bit, or three channels that agree, see `one_channel`.
        ir_range: Limits `[low, high]`, or by `ir_band`.
        band: `ir_band` of the image.

    Raises:
        InputError: Above 8 bit without limits.
        ValueError: The image has not one channel.
    """
    if image.mode not in WIDE_MODES:
        return check_infrared(one_channel(image)), None
    limits = ir_range.get(band) if isinstance(ir_range, Mapping) else ir_range
    if limits is None:
        raise InputError(
            f"infrared of band {band} has more than 8 bit and no limits (known: {ir_range or 'none'}); give them in "
            f"its unit: --ir-range {band or 'nir'}=0,10000"
        )
    grey, clipped_ratio = scale_infrared(np.asarray(image), tuple(limits))
    return Image.fromarray(grey), clipped_ratio
