"""Files of entries, JSON (lines or an array) or CSV, of any length: read one at a time, and again by byte offset."""

import codecs
import zlib
from collections.abc import Iterator
from functools import cached_property
from itertools import takewhile
from pathlib import Path
from typing import Any

from dataset_builder.sources.formats.json_array import LOOKED_AT, array_elements, is_json_array
from dataset_builder.sources.formats.lines import (
    OverlongError,
    OverlongLine,
    csv_records,
    lines_at,
    offset_lines,
    open_lines,
    size_of,
)
from fusionrs_hf.bounded_json import NotJsonError, parse_json
from fusionrs_hf.bounds import TooLarge
from fusionrs_hf.errors import InputError, shown

SUFFIXES = (".jsonl", ".ndjson", ".json", ".jsonl.gz", ".json.gz", ".csv", ".tsv")
BOM = b"\xef\xbb\xbf"
DELIMITERS = {".csv": ",", ".tsv": "\t"}
BATCH = 64  # lines read at a time
Raw = bytes | list[str] | OverlongError  # a line or element of JSON, or the fields of a CSV record


class EntryFile:
    """One such file; CSV, and TSV, by its suffix, with a header, and line breaks inside quotes.

    Text that is not UTF-8 is kept as lone surrogates (as file names are), so that whoever uses it can tell.

    Args:
        path: The file.

    Raises:
        InputError: There is no such file, or its suffix is none of `SUFFIXES`.
    """

    def __init__(self, path: Path) -> None:
        if not path.is_file():
            raise InputError(f"file {path} does not exist; give JSON Lines or CSV")
        if not path.name.lower().endswith(SUFFIXES):
            raise InputError(f"{path} is no file of entries; give one that ends in {', '.join(SUFFIXES)}")
        with open_lines(path) as file:
            try:
                head = file.read(LOOKED_AT)
            except (OSError, EOFError, zlib.error):
                head = b""  # damaged: told when it is read
        if head[:2] in (codecs.BOM_UTF16_LE, codecs.BOM_UTF16_BE):
            raise InputError(f"{path} is UTF-16 by its byte order mark; save it as UTF-8")
        self.path = path
        self.delimiter = DELIMITERS.get(path.suffix.lower())
        self.is_csv = self.delimiter is not None
        self.is_array = not self.is_csv and is_json_array(head)
        if self.is_array and path.suffix.lower() == ".gz":
            raise InputError(f"{path} is a compressed JSON array; unpack it, or write one mapping a line")

    @cached_property
    def header(self) -> list[str]:
        """Names of the columns of a CSV; raises InputError where there are none, or one stands twice."""
        _, fields = next(csv_records(self.path, delimiter=self.delimiter), (0, []))
        if isinstance(fields, OverlongError) or not fields or len(set(fields)) < len(fields):
            raise InputError(f"{self.path} needs a header of distinct column names, got {shown(fields)}")
        return fields

    def starts(self) -> Iterator[int]:
        """Yields the byte offset of every entry; JSON is not parsed.

        Raises:
            InputError: The file cannot be read, or is no CSV.
        """
        return (offset for offset, _ in self._records(None, None))

    def entries(
        self, start: int | None = None, stop: int | None = None
    ) -> Iterator[tuple[int, dict[str, Any] | ValueError]]:
        """Yields offset and entry, or the ValueError that says why the entry cannot be read.

        Args:
            start: Offset of the entry to start with; None: the first.
            stop: Offset of the entry after the last; None: to the end.

        Raises:
            InputError: The file cannot be read, or is no CSV.
        """
        for offset, raw in self._records(start, stop):
            yield offset, self._entry(raw)

    def at(self, offset: int) -> dict[str, Any]:
        """Returns the entry at an offset that `starts` or `entries` gave, an empty `TooLarge` for one too long.

        Raises:
            InputError: There is none now: the file has changed.
        """
        entry = next((entry for _, entry in self.entries(offset, offset + 1)), None)
        if isinstance(entry, OverlongError):
            return TooLarge()
        if not isinstance(entry, dict):
            raise InputError(f"{self.path} has changed since it was listed (byte {offset}); start the build anew")
        return entry

    def _records(self, start: int | None, stop: int | None) -> Iterator[tuple[int, Raw]]:
        if self.is_csv:
            records = csv_records(self.path, start or 0, stop, self.delimiter)
            if start is None and self.header:
                next(records)  # the header is no entry
            return records
        if self.is_array:
            return array_elements(self.path, start, stop)
        numbered_lines = (
            offset_lines(self.path) if start is None else self._lines_from(start, 1 if stop == start + 1 else BATCH)
        )
        numbered_lines = takewhile(lambda record: stop is None or record[0] < stop, numbered_lines)
        return ((at, line) for at, line in numbered_lines if line.removeprefix(BOM).strip())

    def _lines_from(self, start: int, count: int) -> Iterator[tuple[int, bytes]]:
        while batch := lines_at(self.path, start, count):
            for line in batch:
                yield start, line
                start += size_of(line)

    def _entry(self, raw: Raw) -> dict[str, Any] | ValueError:
        if isinstance(raw, OverlongLine | OverlongError):
            return raw if isinstance(raw, OverlongError) else OverlongError()
        if self.is_csv:
            if len(raw) == len(self.header):
                return dict(zip(self.header, raw, strict=True))
            return ValueError(f"has {len(raw)} fields, the header has {len(self.header)}: quote those with delimiters")
        try:
            entry = parse_json(raw.removeprefix(BOM).decode("utf-8", "surrogateescape"))
        except NotJsonError as error:
            return ValueError(f"is not JSON ({error})")
        return entry if isinstance(entry, dict) else ValueError(f"is no mapping but {shown(entry)}")
