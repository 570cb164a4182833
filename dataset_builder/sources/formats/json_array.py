"""A JSON file that is one array: its elements with byte offsets, found without holding the file in memory."""

import mmap
import re
from collections.abc import Iterator
from pathlib import Path

from dataset_builder.sources.formats.lines import OverlongError
from fusionrs_hf.bounds import LINE_BYTES
from fusionrs_hf.errors import InputError

BLANK = re.compile(rb"[ \t\r\n]*")
START = re.compile(rb"(?:\xef\xbb\xbf)?[ \t\r\n]*\[")
TOKEN = re.compile(rb'"(?:[^"\\]|\\.)*+"|[\[\]{},]', re.DOTALL)
LOOKED_AT = 1000  # bytes in which an array begins, blanks and mark before it


def is_json_array(head: bytes) -> bool:
    """Whether the first bytes of a file, `LOOKED_AT` of them, begin an array."""
    return START.match(head) is not None


def array_elements(path: Path, start: int | None, stop: int | None) -> Iterator[tuple[int, bytes | OverlongError]]:
    """Yields each element as it is written, with the byte at which it starts; one that is too long as the error.

    Args:
        path: A file that is not compressed.
        start: Byte at which an element starts; None: the first.
        stop: Byte at which the element after the last starts; None: to the end.

    Raises:
        InputError: The array does not end.
    """
    with path.open("rb") as file, mmap.mmap(file.fileno(), 0, access=mmap.ACCESS_READ) as data:
        at = START.match(data).end() if start is None else start
        while True:
            begin = BLANK.match(data, at).end()
            if stop is not None and begin >= stop or data[begin : begin + 1] == b"]":
                return
            end = _end(data, begin)
            if end is None:
                raise InputError(f"{path} is a JSON array whose element at byte {begin} does not end; get it again")
            yield begin, OverlongError() if end - begin > LINE_BYTES else data[begin:end].rstrip()
            if data[end : end + 1] == b"]":
                return
            at = end + 1


def _end(data: mmap.mmap, begin: int) -> int | None:
    """Returns the byte of the comma or bracket after an element; None where the file ends before."""
    depth = 0
    for token in TOKEN.finditer(data, begin):
        sign = token[0]
        if sign in b"[{":
            depth += 1
        elif depth and sign in b"]}":
            depth -= 1
        elif not depth and sign in b",]":
            return token.start()
    return None
