"""Text files of any length, plain or gzip, line by line with byte offsets: a shard starts in the middle."""

import csv
import gzip
import os
import zlib
from collections.abc import Iterator
from functools import lru_cache
from pathlib import Path
from typing import BinaryIO

from fusionrs_hf.errors import InputError

MAX_LINE = 1 << 20  # bytes; the longest caption that anyone wrote is far from it
DAMAGED = (EOFError, gzip.BadGzipFile, zlib.error)


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
        InputError: A damaged file, or a line that is too long to be one.
    """
    status = path.stat()
    file = _kept_open(path, status.st_size, status.st_mtime_ns, os.getpid())
    try:
        file.seek(offset)
        return [line for line, _ in zip(lines(file, path), range(count))]
    except DAMAGED as error:
        raise InputError(f"{path} is damaged ({error}); get it again") from error


def lines(file: BinaryIO, path: Path) -> Iterator[bytes]:
    """Yields the lines of a file from where it stands, line feeds included; memory does not grow with the file.

    Raises:
        InputError: A line is longer than `MAX_LINE`.
    """
    while line := file.readline(MAX_LINE):
        if len(line) == MAX_LINE and not line.endswith(b"\n"):
            raise InputError(f"{path} has a line of more than {MAX_LINE} bytes; give a text file of lines")
        yield line


def offset_lines(path: Path) -> Iterator[tuple[int, bytes]]:
    """Yields every line of a file, plain or gzip, with the byte at which it starts.

    Raises:
        InputError: The file cannot be read, is damaged, or has a line that is too long to be one.
    """
    offset = 0
    try:
        with open_lines(path) as file:
            for line in lines(file, path):
                yield offset, line
                offset += len(line)
    except DAMAGED as error:
        raise InputError(f"{path} is damaged after byte {offset} of what it holds ({error}); get it again") from error
    except OSError as error:
        raise InputError(f"{path} cannot be read ({error.strerror or error}); check the path") from error


def csv_records(path: Path, start: int = 0, stop: int | None = None) -> Iterator[tuple[int, list[str]]]:
    """Yields the records of a CSV file, header first, with the byte at which each starts; none for empty lines.

    A record may run over several lines in quotes. Bytes that are no UTF-8 come as `surrogateescape` decodes them.

    Args:
        path: The file, UTF-8 with or without a mark at its start.
        start: Byte at which a record starts.
        stop: Byte at which the record after the last starts; None: to the end.

    Raises:
        InputError: The file cannot be read, or a quote is never closed.
    """
    taken = start
    with path.open("rb") as file:
        file.seek(start)

        def text() -> Iterator[str]:
            nonlocal taken
            for line in lines(file, path):
                mark = 3 if taken == 0 and line.startswith(b"\xef\xbb\xbf") else 0
                taken += len(line)
                yield line[mark:].decode("utf-8", "surrogateescape")

        begin = start
        try:
            for record in csv.reader(text(), strict=True):
                if record:
                    yield begin, record
                begin = taken
                if stop is not None and begin >= stop:
                    return
        except csv.Error as error:
            raise InputError(
                f"{path} has a record at byte {begin} that is no CSV ({error}); look for a quote that is not closed"
            ) from error
