"""Entries that stand in a Parquet file: read a row group at a time, and any again by its number."""

from collections.abc import Iterator
from functools import lru_cache
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq

from dataset_builder.sources.formats.row_groups import parquet_schema, read_span
from fusionrs_hf.errors import InputError


class ParquetEntries:
    """As `EntryFile`: what there is a byte offset is here the number of a row.

    Args:
        path: The file.

    Raises:
        InputError: It is no Parquet file.
    """

    def __init__(self, path: Path) -> None:
        parquet_schema(path)
        self.path = path

    def entries(self) -> Iterator[tuple[int, dict[str, Any]]]:
        """Yields number and entry, images left out; raises InputError where the file is damaged."""
        groups = pq.read_metadata(self.path).num_row_groups
        yield from enumerate(read_span(self.path, 0, groups, _columns(self.path)))

    def at(self, number: int) -> dict[str, Any]:
        """Returns the entry of a number; raises InputError where there is none now: the file has changed."""
        status, metadata = self.path.stat(), pq.read_metadata(self.path)
        first = 0
        for group in range(metadata.num_row_groups):
            rows = metadata.row_group(group).num_rows
            if number < first + rows:
                return _group(self.path, group, status.st_size, status.st_mtime_ns)[number - first]
            first += rows
        raise InputError(f"{self.path} has changed since it was listed (row {number}); start the build anew")


def _columns(path: Path) -> list[str]:
    return [field.name for field in pq.read_schema(path) if not _holds_bytes(field.type)]


def _holds_bytes(kind: pa.DataType) -> bool:
    if pa.types.is_struct(kind):
        return any(_holds_bytes(kind.field(number).type) for number in range(kind.num_fields))
    return pa.types.is_binary(kind) or pa.types.is_large_binary(kind)


@lru_cache(maxsize=2)
def _group(path: Path, group: int, size: int, changed: int) -> list[dict[str, Any]]:
    """The rows of a row group; those of an image stand beside each other, or nearly."""
    return list(read_span(path, group, group + 1, _columns(path)))
