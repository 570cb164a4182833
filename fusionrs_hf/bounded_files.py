"""Text and bytes of a file that somebody names: a plain file, of bounded size, in UTF-8, or an InputError."""

import codecs
import stat
from os import PathLike
from pathlib import Path

from fusionrs_hf.bounds import DOCUMENT_BYTES
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
    path = Path(path)
    if not stat.S_ISREG(path.stat().st_mode):
        raise InputError(f"{path} is no file but a folder, pipe or device; give a file")
    with path.open("rb") as file:
        data = file.read(most + 1)
    if len(data) > most:
        raise InputError(f"{path} has more than {most} bytes; expected a smaller file")
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
        said = "UTF-16 by its byte order mark" if data.startswith(WIDE) else f"not UTF-8 at byte {error.start}"
        raise InputError(f"{path} is {said}; save it as text in UTF-8") from None
