"""Image files of public benchmarks as embeddings; a file that cannot be read is counted, never replaced."""

import logging
from collections.abc import Callable, Sequence
from pathlib import Path

import numpy as np
from PIL import Image

from dataset_builder.images.decoding import DecodeError, open_image
from dataset_builder.sources.formats.paths import read_inside
from fusionrs_hf.errors import InputError
from fusionrs_hf.processing_fusionrs_images import WIDE_MODES, one_channel

logger = logging.getLogger(__name__)
MAX_PIXELS = 2**26
BATCH = 64


def read_rgb(path: Path) -> Image.Image:
    """Returns an RGB image; a grey file of an RGB benchmark becomes three equal channels.

    Raises:
        DecodeError: It cannot be decoded, is no regular file, or a link that leads out of its folder.
    """
    return open_image(_bytes_of(path), MAX_PIXELS).convert("RGB")


def read_infrared(path: Path) -> Image.Image:
    """Returns a one-channel infrared image, 8 or 16 bit; three channels that agree are one.

    Raises:
        DecodeError: As of `read_rgb`.
        InputError: It has colours, or another mode than infrared has.
    """
    image = one_channel(open_image(_bytes_of(path), MAX_PIXELS))
    if image.mode != "L" and image.mode not in WIDE_MODES:
        trait = "colours" if image.mode in ("RGB", "P") else f"mode {image.mode}"
        raise InputError(f"{path} has {trait}, expected one-channel infrared; give the grey images, not false colour")
    return image


def _bytes_of(path: Path) -> bytes:
    data, reason = read_inside(path.parent, path.name)
    if data is None:
        raise DecodeError(reason)
    return data


def embed_files(
    encode: Callable[[list[Image.Image]], np.ndarray], paths: Sequence[Path], read: Callable[[Path], Image.Image]
) -> tuple[np.ndarray, np.ndarray]:
    """Embeds files, a batch in memory at a time.

    Args:
        encode: Images -> embeddings `(images, size)`.
        paths: Files, at least one that can be read.
        read: `read_rgb` or `read_infrared`.

    Returns:
        Embeddings `(files, size)`, and bool `(files,)`: which could be read; the others' rows are zero.

    Raises:
        InputError: None can be read.
    """
    parts, readable = [], np.zeros(len(paths), bool)
    for start in range(0, len(paths), BATCH):
        images = []
        for index, path in enumerate(paths[start : start + BATCH], start):
            try:
                images.append(read(path))
                readable[index] = True
            except (DecodeError, OSError) as error:
                logger.warning("%s cannot be read (%s): counted as wrong", path, error)
        if images:
            parts.append(encode(images))
    if not parts:
        raise InputError(f"none of {len(paths)} images can be read, such as {paths[0] if paths else 'an empty list'}")
    rows = np.concatenate(parts)
    embeds = np.zeros((len(paths), rows.shape[1]), rows.dtype)
    embeds[readable] = rows
    return embeds, readable
