"""Files that appear whole or not at all; here, as both what a Hub user loads and the builder write them."""

import json
import os
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from fusionrs_hf.errors import InputError, shown


@contextmanager
def atomic_path(path: Path) -> Iterator[Path]:
    """Gives a hidden name beside `path`; on success the file is synced and renamed to `path`, else removed.

    The hidden name depends on `path` alone, so a killed writer's remains are overwritten by the next.

    Raises:
        InputError: As `check_replaceable`.
    """
    check_replaceable(path)
    path.parent.mkdir(parents=True, exist_ok=True)
    temporary = path.with_name(f".{path.name}.partial")
    try:
        yield temporary
        with open(temporary, "rb+") as file:
            os.fsync(file.fileno())
        os.replace(temporary, path)
    finally:
        temporary.unlink(missing_ok=True)
    folder = os.open(path.parent, os.O_RDONLY)
    try:
        os.fsync(folder)  # the rename itself
    finally:
        os.close(folder)


def check_replaceable(path: Path) -> None:
    """Refuses a name under which there is a folder, a pipe, a device or a socket: a rename would replace it.

    Raises:
        InputError: There is; a file, a link to one or to nothing, and nothing are fine.
    """
    if path.exists() and not path.is_file():
        raise InputError(f"{shown(str(path))} is there and is no file; give the name of a file to write")


def write_json(path: Path, value: Any) -> None:
    """Writes a value as JSON with sorted keys, whole or not at all."""
    with atomic_path(path) as temporary:
        temporary.write_text(json.dumps(value, indent=1, sort_keys=True, ensure_ascii=False) + "\n", encoding="utf-8")
