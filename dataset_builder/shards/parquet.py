"""Parquet shards that appear whole or not at all, with the same bytes for the same rows."""

import hashlib
from collections.abc import Iterator, Sequence
from contextlib import contextmanager, suppress
from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.parquet as pq

from fusionrs_hf.atomic import atomic_path

ROW_GROUP_ROWS = 100  # what the Hub's viewer asks for where rows hold images
ROW_GROUP_BYTES = 64 * 2**20  # of images, with which a group ends earlier: it is held, and read, whole
DICTIONARY_BYTES = 128 * 2**20  # a group's RGB images stay one dictionary: one that several bands share is stored once


class ShardWriter:
    """Streams rows into one Parquet file, however the tables are cut: in groups of `ROW_GROUP_ROWS` rows.

    A group whose images come to `ROW_GROUP_BYTES` ends there.

    Args:
        path: File to write, at once (`atomic_path` makes the whole atomic).
        schema: Arrow schema, with the metadata of `datasets` features where they are to travel along.
    """

    def __init__(self, path: Path, schema: pa.Schema) -> None:
        repeated = ["rgb.bytes"] if "rgb" in schema.names else []
        texts = [field.name for field in schema if pa.types.is_string(field.type)]
        self.writer = pq.ParquetWriter(
            path,
            schema,
            use_dictionary=repeated + texts,
            dictionary_pagesize_limit=DICTIONARY_BYTES,
            write_page_index=True,
            use_content_defined_chunking=True,
        )
        self.waiting: list[pa.Table] = []
        self.rows = self.waiting_rows = self.waiting_bytes = 0

    def write(self, table: pa.Table) -> None:
        """Adds rows; whole row groups are written, the rest waits."""
        table, start = table.cast(self.writer.schema), 0
        for row, size in enumerate(_image_bytes(table)):
            self.waiting_rows += 1
            self.waiting_bytes += size
            if self.waiting_rows == ROW_GROUP_ROWS or self.waiting_bytes >= ROW_GROUP_BYTES:
                self.waiting.append(table.slice(start, row + 1 - start))
                self._write_group()
                start = row + 1
        if start < len(table):
            self.waiting.append(table.slice(start))

    def _write_group(self) -> None:
        self.writer.write_table(pa.concat_tables(self.waiting), ROW_GROUP_ROWS)
        self.rows += self.waiting_rows
        self.waiting, self.waiting_rows, self.waiting_bytes = [], 0, 0

    def close(self) -> int:
        """Writes what waits and the footer; returns the number of rows in the file."""
        if self.waiting:
            self._write_group()
        self.writer.close()
        return self.rows

    def abandon(self) -> None:
        """Lets go of a file that is not to be; what ended it is told by the caller, not what closing it says."""
        with suppress(OSError, pa.ArrowException):
            self.writer.close()
        self.writer.is_open = False  # else it is closed, in vain, once more


def _image_bytes(table: pa.Table) -> list[int]:
    """Returns the bytes of each row's encoded images."""
    sizes = np.zeros(len(table), np.int64)
    for name in {"rgb", "ir"} & set(table.column_names):
        lengths = pc.binary_length(pc.struct_field(table[name], "bytes"))
        sizes += pc.fill_null(lengths, 0).to_numpy()
    return sizes.tolist()


@contextmanager
def shard_writer(path: Path, schema: pa.Schema) -> Iterator[ShardWriter]:
    """Gives a `ShardWriter` whose file appears as `path` when the block ends well, and leaves nothing otherwise."""
    with atomic_path(path) as temporary:
        writer = ShardWriter(temporary, schema)
        try:
            yield writer
            writer.close()
        except BaseException:
            writer.abandon()
            raise


def write_shard(path: Path, table: pa.Table) -> None:
    """Writes a table as one shard: atomic, page index, content-defined chunks, `ROW_GROUP_ROWS` rows a group."""
    with shard_writer(path, table.schema) as writer:
        writer.write(table)


def plan_shards(sizes: Sequence[int] | np.ndarray, max_bytes: int) -> list[tuple[int, int]]:
    """Cuts rows, in order, into shards of at most `max_bytes` (a larger row is a shard of its own).

    Args:
        sizes: Bytes of each row.
        max_bytes: Target size of a shard; columns other than images are counted only if they are in `sizes`.

    Returns:
        Half-open ranges `(start, stop)` of rows; none where there are no rows.
    """
    ends = np.cumsum(sizes, dtype=np.int64)
    ranges, start = [], 0
    while start < len(ends):
        used = ends[start - 1] if start else 0
        stop = max(int(np.searchsorted(ends, used + max_bytes, side="right")), start + 1)
        ranges.append((start, stop))
        start = stop
    return ranges


def file_sha256(path: Path) -> str:
    """Returns the SHA-256 of a file, 64 hex digits."""
    with open(path, "rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()
