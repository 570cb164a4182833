"""A full disk, and a folder that cannot be written, end a verb with one line that says how to go on."""

import errno
import os
import shutil
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

from fusionrs_hf.errors import InputError

FULL = (errno.ENOSPC, errno.EDQUOT, errno.EFBIG)
CLOSED = (errno.EACCES, errno.EPERM, errno.EROFS)
CARRIED = (*FULL, *CLOSED)  # numbers that libraries put into the text of an error of their own
TORCH = ("PytorchStreamWriter", "unexpected pos", "basic_ios::clear", "iostream error")  # torch names no reason
BESIDE = ".fusionrs-"  # begins the names of folders that are made beside the one to write, and moved in
LITTLE = 2**20  # bytes that are left where a disk counts as full


@contextmanager
def stops_in_a_line(
    folder: Path, verb: str, how_to_go_on: Callable[[], str] = lambda: "run the same command again"
) -> Iterator[None]:
    """Turns what a full disk or a closed folder raises, in Python or in a library's own error, into an InputError.

    Args:
        folder: That the verb writes; what fails elsewhere passes, but for a full disk.
        verb: Such as `export`.
        how_to_go_on: Returns what to do, or what happens, once there is room.
    """
    try:
        yield
    except InputError:
        raise
    except Exception as error:
        number = _number_of(error, folder)
        if number in FULL:
            first = f"make room for {folder}"
        elif number in CLOSED and _is_at(error, folder):
            first = f"make {folder} writable"
        else:
            raise
        raise InputError(
            f"`fusionrs {verb}` stopped in {folder}: {os.strerror(number)}; {first}, then {how_to_go_on()}"
        ) from error


def _number_of(error: Exception, folder: Path) -> int | None:
    if isinstance(error, OSError):
        return error.errno
    text = str(error)
    for number in CARRIED:  # safetensors, tokenizers: "... (os error 28)"
        if f"os error {number})" in text or os.strerror(number) in text:
            return number
    if any(part in text for part in TORCH):
        place = next(path for path in (folder, *folder.absolute().parents) if path.is_dir())
        return errno.ENOSPC if shutil.disk_usage(place).free < LITTLE else errno.EFBIG
    return None


def _is_at(error: Exception, folder: Path) -> bool:
    """Whether an error is of a folder, a place below, one it is to be made in, or what is made beside it at first."""
    name = getattr(error, "filename", None)
    if name is None or not isinstance(name, str | os.PathLike):
        return True
    place, home = Path(name).absolute(), folder.absolute()
    beside = any(part.startswith(BESIDE) for part in place.parts)
    return beside or place.is_relative_to(home) or home.is_relative_to(place)
