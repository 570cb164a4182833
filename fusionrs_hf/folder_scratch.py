"""Where a verb prepares what then appears in its folder whole: inside that folder, cleared by whoever writes next."""

import shutil
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from fusionrs_hf.errors import InputError

SCRATCH = ".fusionrs-scratch"


@contextmanager
def scratch(folder: Path) -> Iterator[Path]:
    """An empty folder in one that is held for writing, for `OutputFolder.move_in`; removed afterwards.

    What a process that was killed has left there goes first: only one process at a time holds the folder.

    Raises:
        InputError: A link or a file is in its place.
    """
    place = folder / SCRATCH
    if place.is_symlink() or place.is_file():
        raise InputError(f"{place} is in the way, expected a folder that fusionrs makes and removes; move it away")
    shutil.rmtree(place, ignore_errors=True)
    place.mkdir()
    try:
        yield place
    finally:
        shutil.rmtree(place, ignore_errors=True)


def is_scratch(name: str) -> bool:
    """Whether a file's name, relative to its folder, is of what a killed process left half prepared."""
    return name.startswith(f"{SCRATCH}/")
