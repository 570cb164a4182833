"""Text files of any length, plain or gzip, line by line with byte offsets: a shard starts in the middle."""

import csv
import gzip
import os
import zlib
from collections.abc import Iterator
from functools import lru_cache
from pathlib import Path
from typing import BinaryIO

from fusionrs_hf.bounds import FIELDS_OF_RECORD, LINE_BYTES
from fusionrs_hf.errors import InputError

START_BYTES = 100  # that are kept of a line that is too long
csv.field_size_limit(LINE_BYTES)
DAMAGED = (EOFError, gzip.BadGzipFile, zlib.error)


class OverlongLine(bytes):
    """The first bytes of a line that is longer than `LINE_BYTES`.

    Attributes:
        size: Bytes of the whole line, its end included.
        leaves_quotes: Whether it holds an odd number of quotes: what is quoted after it was not before.
    """

    size: int
    leaves_quotes: bool


class OverlongError(ValueError):
    """Why an entry is not read: it is longer than a line may be."""

    def __init__(self) -> None:
        super().__init__(f"has a line or a field of more than {LINE_BYTES} bytes")


def size_of(line: bytes) -> int:
    """Returns the bytes that a line takes in its file."""
    return line.size if isinstance(line, OverlongLine) else len(line)


def open_lines(path: Path) -> BinaryIO:
    """Opens a file for reading bytes; one that ends in `.gz` is decompressed, also by offsets of what it holds."""
    return gzip.open(path, "rb") if path.suffix == ".gz" else path.open("rb")


@lru_cache(maxsize=4)
def _kept_open(path: Path, size: int, changed: int, process: int) -> BinaryIO:
    """An open file a process, since a position in gzip is reached only by decompressing all before it."""
    return open_lines(path)


def lines_at(path: Path, offset: int, count: int) -> list[bytes]:
    """Returns `count` lines (fewer at the end), line feeds included.

    The file stays open, so a worker that takes shards in their order decompresses a gzip file once.

    Args:
        path: Plain or gzip.
        offset: Byte of the decompressed file at which the first line starts.
        count: Lines to read.

    Raises:
        InputError: A damaged file.
    """
    status = path.stat()
    file = _kept_open(path, status.st_size, status.st_mtime_ns, os.getpid())
    try:
        file.seek(offset)
        return [line for line, _ in zip(lines(file), range(count))]
    except DAMAGED as error:
        raise InputError(f"{path} is damaged ({error}); get it again") from error


def lines(file: BinaryIO) -> Iterator[bytes]:
    """Yields the lines of a file from where it stands, line feeds included; memory does not grow with the file.

    A line of more than `LINE_BYTES` comes as an `OverlongLine`.
    """
    while line := file.readline(LINE_BYTES + 1):
        if len(line) > LINE_BYTES:
            start, size, quotes = line[:START_BYTES], len(line), line.count(b'"')
            while line and not line.endswith(b"\n"):
                line = file.readline(LINE_BYTES)
                size, quotes = size + len(line), quotes + line.count(b'"')
            line = OverlongLine(start)
            line.size, line.leaves_quotes = size, bool(quotes % 2)
        yield line


def offset_lines(path: Path) -> Iterator[tuple[int, bytes]]:
    """Yields every line of a file, plain or gzip, with the byte at which it starts.

    Raises:
        InputError: The file cannot be read, or is damaged.
    """
    offset = 0
    try:
        with open_lines(path) as file:
            for line in lines(file):
                yield offset, line
                offset += size_of(line)
    except DAMAGED as error:
        raise InputError(f"{path} is damaged after byte {offset} of what it holds ({error}); get it again") from error
    except OSError as error:
        raise InputError(f"{path} cannot be read ({error.strerror or error}); check the path") from error


def csv_records(
    path: Path, start: int = 0, stop: int | None = None, delimiter: str = ","
) -> Iterator[tuple[int, list[str] | OverlongError]]:
    """Yields the records of a CSV file, header first, with the byte at which each starts; none for empty lines.

    One with a line or field of more than `LINE_BYTES`, or more than `FIELDS_OF_RECORD`, comes as the error. A
    record may run over several lines in quotes. Bytes that are no UTF-8 come as `surrogateescape` decodes them.

    Args:
        path: The file, UTF-8 with or without a mark at its start.
        start: Byte at which a record starts.
        stop: Byte at which the record after the last starts; None: to the end.
        delimiter: Between fields.

    Raises:
        InputError: The file cannot be read, or a quote is never closed.
    """
    taken, overlong = start, False
    with path.open("rb") as file:
        file.seek(start)

        def text() -> Iterator[str]:
            nonlocal taken, overlong
            for line in lines(file):
                mark = 3 if taken == 0 and line.startswith(b"\xef\xbb\xbf") else 0
                taken += size_of(line)
                overlong |= isinstance(line, OverlongLine)
                if isinstance(line, OverlongLine):
                    line, mark = b'"\n' if line.leaves_quotes else b"\n", 0
                yield line[mark:].decode("utf-8", "surrogateescape")

        begin = start
        reader = csv.reader(text(), strict=True, delimiter=delimiter)
        while stop is None or begin < stop:
            line = reader.line_num
            try:
                if (record := next(reader, None)) is None:
                    return
                overlong |= len(record) > FIELDS_OF_RECORD
            except csv.Error as error:
                if "field limit" not in str(error) or reader.line_num > line + 1:
                    raise InputError(
                        f"{path} has a record at byte {begin} that is no CSV ({error}); look for a quote that is not "
                        "closed, or for lines that end in CR alone"
                    ) from error
                overlong = True
            if overlong or record:
                yield begin, OverlongError() if overlong else record
            begin, overlong = taken, False
