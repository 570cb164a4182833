"""Image files: their names below a folder in a fixed order, and the columns they become."""

import logging
import os
from collections import Counter
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from dataset_builder.sources.formats.paths import printable, read_inside
from fusionrs_hf.errors import InputError

logger = logging.getLogger(__name__)

# What is listed as an image; what it holds is told from its content, by whoever decodes it.
IMAGE_SUFFIXES = (
    *(".png", ".jpg", ".jpeg", ".jfif", ".webp", ".tif", ".tiff", ".bmp", ".gif"),
    *(".jp2", ".avif", ".heic", ".svg"),
)


HIDDEN = "with a dot in front"


def walk(root: Path, below: str = "", left_out: Counter | None = None) -> Iterator[str]:
    """Yields the files of a folder and its subfolders as `/`-separated names below `root`, in the order of the names.

    One folder's names are held at a time. Names that start with a dot are left out, as `imagefolder` leaves them out
    (`.git`, `.DS_Store`, `._photo.jpg`); a link to a folder is not followed, and told.

    Args:
        root: Where names start.
        below: Folder in `root`, without a slash at its end, that is walked; without it, all of `root`.
        left_out: Counts the names with a dot in front, under `HIDDEN`.

    Raises:
        InputError: A folder cannot be listed.
    """
    names = _listed(root / below)
    shown = [name for name in names if not name.startswith(".")]
    if left_out is not None and len(shown) < len(names):
        left_out[HIDDEN] += len(names) - len(shown)
    for name in sorted(shown):
        name = f"{below}/{name}" if below else name
        if name.endswith("/"):
            yield from walk(root, name[:-1], left_out)
        else:
            yield name


def _listed(folder: Path) -> list[str]:
    try:
        with os.scandir(folder) as entries:
            names = [_listed_name(entry) for entry in entries]
    except OSError as error:
        raise InputError(f"folder {folder} cannot be listed ({error.strerror}); make it readable") from error
    return [name for name in names if name]


def _listed_name(entry: os.DirEntry) -> str | None:
    """Returns an entry's name, a folder's with a slash; None for what is no file: pipes, devices, links to folders."""
    if entry.is_dir(follow_symlinks=False):
        return entry.name + "/"  # so that "a/x" stands where it would among whole names
    if not entry.is_symlink():
        return entry.name if entry.is_file() else None
    try:
        if entry.is_dir():
            logger.warning("%s is a link to a folder and is not followed; copy the folder", entry.path)
            return None
    except OSError:  # a link to itself: like one that leads nowhere, it is set aside when it is read
        pass
    return entry.name


def is_image_name(name: str) -> bool:
    """Tells whether a name ends as those of images do, in upper or lower case."""
    return name.lower().endswith(IMAGE_SUFFIXES)


def read_image(root: Path, name: str) -> tuple[dict[str, Any], str | None]:
    """Reads an image file as it is; whether it can be decoded is not asked.

    Args:
        root: Folder that nothing may leave.
        name: Below `root`; comes from data and is not trusted.

    Returns:
        `{"bytes", "path"}`, and None or the reason why there are no bytes, as of `paths.read_inside`.
    """
    data, reason = read_inside(root, name)
    return {"bytes": data, "path": printable(name)}, reason
