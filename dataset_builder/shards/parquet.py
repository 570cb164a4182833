"""Parquet shards that appear whole or not at all, with the same bytes for the same rows."""

import hashlib
from collections.abc import Iterator, Sequence
from contextlib import contextmanager, suppress
from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq

from fusionrs_hf.atomic import atomic_path

ROW_GROUP_ROWS = 100  # what the Hub's viewer asks for where rows hold images
DICTIONARY_BYTES = 256 * 2**20  # a group's RGB images stay one dictionary: one that several bands share is stored once


class ShardWriter:
    """Streams rows into one Parquet file with groups of `ROW_GROUP_ROWS` rows, however the tables are cut.

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
        self.rows = 0

    def write(self, table: pa.Table) -> None:
        """Adds rows; whole row groups are written, the rest waits."""
        self.waiting.append(table.cast(self.writer.schema))
        if sum(map(len, self.waiting)) >= ROW_GROUP_ROWS:
            whole = pa.concat_tables(self.waiting)
            self.rows += len(whole) - len(whole) % ROW_GROUP_ROWS
            self.writer.write_table(whole.slice(0, len(whole) - len(whole) % ROW_GROUP_ROWS), ROW_GROUP_ROWS)
            self.waiting = [whole.slice(len(whole) - len(whole) % ROW_GROUP_ROWS)]

    def close(self) -> int:
        """Writes what waits and the footer; returns the number of rows in the file."""
        rest = pa.concat_tables(self.waiting) if self.waiting else self.writer.schema.empty_table()
        if len(rest):
            self.writer.write_table(rest, ROW_GROUP_ROWS)
        self.rows += len(rest)
        self.writer.close()
        self.waiting = []
        return self.rows

    def abandon(self) -> None:
        """Lets go of a file that is not to be; what ended it is told by the caller, not what closing it says."""
        with suppress(OSError, pa.ArrowException):
            self.writer.close()
        self.writer.is_open = False  # else it is closed, in vain, once more


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
