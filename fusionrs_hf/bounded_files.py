"""Text and bytes of a file that somebody names: a plain file, of bounded size, in UTF-8, or an InputError."""

import codecs
import os
import stat
from collections.abc import Iterator
from os import PathLike
from pathlib import Path

from fusionrs_hf.bounds import DOCUMENT_BYTES, LINE_BYTES, LIST_BYTES, LIST_LINES
from fusionrs_hf.errors import InputError

WIDE = (codecs.BOM_UTF16_LE, codecs.BOM_UTF16_BE)


def read_bytes(path: PathLike | str, most: int = DOCUMENT_BYTES) -> bytes:
    """Returns what a file holds.

    Args:
        path: A link is followed; a pipe or device is refused, not waited for.
        most: Bytes that it may have.

    Raises:
        InputError: It is no plain file, or larger.
        OSError: It cannot be read.
    """
    _check_size(Path(path), most)
    with open(path, "rb") as file:
        data = file.read(most + 1)
    if len(data) > most:  # it grows
        raise _too_large(path, most)
    return data


def read_text(path: PathLike | str, most: int = DOCUMENT_BYTES) -> str:
    """Returns the text of a file, without a mark at its start; arguments and errors as of `read_bytes`.

    Raises:
        InputError: Besides, it is not UTF-8.
    """
    data = read_bytes(path, most)
    try:
        return data.decode("utf-8-sig")
    except UnicodeDecodeError as error:
        raise _no_text(path, data, error.start) from None


def list_lines(path: PathLike | str) -> Iterator[str]:
    """Yields the lines of a list, without line feeds and a mark at the start, one at a time.

    Args:
        path: As of `read_bytes`.

    Raises:
        InputError: It is no plain file, not UTF-8, has more than `LIST_BYTES` or `LIST_LINES`, or a line more than
            `LINE_BYTES`.
        OSError: It cannot be read.
    """
    _check_size(Path(path), LIST_BYTES)
    with open(path, "rb") as file:
        for number in range(LIST_LINES + 1):
            start, line = file.tell(), file.readline(LINE_BYTES + 1)
            if not line:
                return
            if len(line) > LINE_BYTES:
                raise InputError(f"{path}, line {number + 1} has more than {LINE_BYTES} bytes; expected a short one")
            try:
                yield line.removesuffix(b"\n").decode("utf-8" if number else "utf-8-sig")
            except UnicodeDecodeError as error:
                raise _no_text(path, line, start + error.start) from None
    raise InputError(f"{path} has more than {LIST_LINES} lines; give it in parts")


def _check_size(path: Path, most: int) -> None:
    status = os.stat(path)
    if not stat.S_ISREG(status.st_mode):
        raise InputError(f"{path} is no file but a folder, pipe or device; give a file")
    if status.st_size > most:
        raise _too_large(path, most)


def _too_large(path: PathLike | str, most: int) -> InputError:
    return InputError(f"{path} has more than {most} bytes; expected a smaller file")


def _no_text(path: PathLike | str, data: bytes, place: int) -> InputError:
    said = "UTF-16 by its byte order mark" if not place and data.startswith(WIDE) else f"not UTF-8 at byte {place}"
    return InputError(f"{path} is {said}; save it as text in UTF-8")
