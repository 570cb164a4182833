"""Parquet of unknown origin, a bounded number of decoded bytes at a time, whatever small bytes it was packed into.

Three ways lead from a few bytes to many: a page that unpacks to gigabytes, a dictionary whose one long value is named
by every row, and values that repeat the start of the one before. The first is told by the pages' headers, the second
by reading indices before values, the third by reading row by row, or not at all.
"""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.parquet as pq

from fusionrs_hf.bounds import BATCH_BYTES, IMAGE_BYTES, PAGE_BYTES, ROW_BYTES, TEXT_BYTES, TEXTS_OF_ROW
from fusionrs_hf.errors import InputError
from fusionrs_hf.parquet_pages import NoPageError, page_sizes

PREFIXED = "DELTA_BYTE_ARRAY"
PART_VALUES = 1 << 18  # of a list that are measured at a time
VALUE_BYTES = 8  # of a value that is no text and no bytes


def bounded_batches(
    path: Path, row_groups: Sequence[int] | None, columns: Sequence[str] | None, rows: int
) -> Iterator[tuple[pa.RecordBatch, np.ndarray]]:
    """Yields rows of a Parquet file, at most `rows` and about `BATCH_BYTES` of them at a time, in their order.

    Args:
        path: The file.
        row_groups: Those to read; None: all.
        columns: Top-level or nested names, as pyarrow takes them; None: all.
        rows: Most rows of a batch.

    Returns:
        Batches, and which of their rows exceed a bound, bool `(rows,)`: of these, what does is null. Of a row group
        with a page that does, that column is null in all rows.

    Raises:
        InputError: A header of a page is none.
        OSError, pa.ArrowException: The file is damaged.
    """
    with pq.ParquetFile(path, pre_buffer=False) as file:
        groups = range(file.metadata.num_row_groups) if row_groups is None else row_groups
        schema = file.schema_arrow
    asked = list(schema.names if columns is None else columns)
    for group in groups:
        plan = _careful(path, group, asked, rows)
        readable = [name for name in asked if name.split(".")[0] not in plan.unreadable]
        with pq.ParquetFile(path, pre_buffer=False, read_dictionary=plan.by_index) as file:
            for batch in file.iter_batches(plan.rows, row_groups=[group], columns=readable):
                if plan.unreadable:
                    yield from (_completed(part, large, schema, asked) for part, large in _parts(batch))
                else:
                    yield from _parts(batch)


def plain_batches(
    path: Path, row_groups: Sequence[int] | None, columns: Sequence[str] | None, rows: int
) -> Iterator[pa.RecordBatch]:
    """Yields rows as `bounded_batches` does; raises InputError where one exceeds a bound."""
    for batch, large in bounded_batches(path, row_groups, columns, rows):
        if large.any():
            raise InputError(
                f"{path} holds a row with a text of more than {TEXT_BYTES} bytes, an image of more than "
                f"{IMAGE_BYTES}, or more than {ROW_BYTES} in all; take the row out"
            )
        yield batch


@dataclass(slots=True)
class _Plan:
    """How a row group is read.

    Args:
        rows: At a time.
        by_index: Columns whose indices are read before their values.
        unreadable: Top-level columns that may unpack to more than is taken.
    """

    rows: int
    by_index: list[str] = field(default_factory=list)
    unreadable: set[str] = field(default_factory=set)


def _completed(
    batch: pa.RecordBatch, large: np.ndarray, schema: pa.Schema, asked: Sequence[str]
) -> tuple[pa.RecordBatch, np.ndarray]:
    """Returns a batch with nulls for the columns that were not read, its rows all too large."""
    names = list(dict.fromkeys(name.split(".")[0] for name in asked))
    held = dict(zip(batch.schema.names, batch.columns, strict=True))
    arrays = [held[name] if name in held else pa.nulls(len(batch), schema.field(name).type) for name in names]
    return pa.RecordBatch.from_arrays(arrays, names=names), np.ones(len(large), bool)


def _careful(path: Path, group: int, columns: Sequence[str], rows: int) -> _Plan:
    """Looks at the headers of a group's pages."""
    plan = _Plan(rows)
    with open(path, "rb") as data, pq.ParquetFile(path) as file:
        about = file.metadata.row_group(group)
        for place in range(about.num_columns):
            chunk, column = about.column(place), file.schema.column(place)
            name = chunk.path_in_schema
            if chunk.physical_type != "BYTE_ARRAY" or not _is_asked(name, columns):
                continue
            start = chunk.data_page_offset
            if chunk.has_dictionary_page and chunk.dictionary_page_offset:
                start = min(start, chunk.dictionary_page_offset)
            try:
                largest = max(page_sizes(data, start, chunk.total_compressed_size), default=0)
            except NoPageError as error:
                raise InputError(f"{path} is damaged in row group {group} ({error}); copy it anew") from None
            if largest > PAGE_BYTES:
                plan.unreadable.add(name.split(".")[0])
            if chunk.num_values * largest <= BATCH_BYTES:
                continue
            if PREFIXED in chunk.encodings:
                if column.max_repetition_level:  # one row may unpack to any size
                    plan.unreadable.add(name.split(".")[0])
                plan.rows = max(1, min(plan.rows, BATCH_BYTES // largest))
            if chunk.has_dictionary_page:
                plan.by_index.append(name)
            fitting = BATCH_BYTES * about.num_rows // max(chunk.total_uncompressed_size, 1)
            plan.rows = max(1, min(plan.rows, fitting))
    return plan


def _is_asked(name: str, columns: Sequence[str]) -> bool:
    return any(name == column or name.startswith(f"{column}.") for column in columns)


def _parts(batch: pa.RecordBatch) -> Iterator[tuple[pa.RecordBatch, np.ndarray]]:
    """Yields a batch in parts whose values fit together, its indices resolved, with what is too large taken out."""
    sizes, too_large = np.zeros(len(batch), np.int64), []
    for column in batch.columns:
        size, large = _measured(column)
        sizes += np.where(large, 0, size)
        too_large.append(large)
    whole = np.logical_or.reduce([sizes > ROW_BYTES, *too_large])
    start = 0
    while start < len(batch):
        filled = np.cumsum(np.where(sizes[start:] > ROW_BYTES, 0, sizes[start:]))
        stop = start + max(1, int(np.searchsorted(filled, BATCH_BYTES, "right")))
        large = [column[start:stop] | (sizes[start:stop] > ROW_BYTES) for column in too_large]
        yield _part(batch.slice(start, stop - start), large), whole[start:stop]  # nothing here holds on to it
        start = stop


def _part(batch: pa.RecordBatch, too_large: Sequence[np.ndarray]) -> pa.RecordBatch:
    """Returns a batch with plain values, without those that are too large."""
    if not batch.num_columns:
        return batch
    arrays = [_resolved(_without(*pair)) for pair in zip(batch.columns, too_large, strict=True)]
    kinds = [kind.with_type(array.type) for kind, array in zip(batch.schema, arrays, strict=True)]
    return pa.RecordBatch.from_arrays(arrays, schema=pa.schema(kinds, batch.schema.metadata))


def _without(column: pa.Array, large: np.ndarray) -> pa.Array:
    """Returns a column with nulls where rows are too large; the values of a dictionary are not copied."""
    if not large.any():
        return column
    if pa.types.is_dictionary(column.type):
        return pa.DictionaryArray.from_arrays(_without(column.indices, large), column.dictionary)
    if pa.types.is_struct(column.type) and column.type.num_fields:
        parts = [_without(column.field(place), large) for place in range(column.type.num_fields)]
        null = large | column.is_null().to_numpy(zero_copy_only=False)
        return pa.StructArray.from_arrays(parts, fields=list(column.type), mask=pa.array(null))
    return pc.if_else(pa.array(~large), column, pa.nulls(len(column), column.type))


def _resolved(column: pa.Array) -> pa.Array:
    """Returns a column with plain values where it holds indices into a dictionary."""
    kind = _plain_type(column.type)
    return column if kind == column.type else column.cast(kind)


def _plain_type(kind: pa.DataType) -> pa.DataType:
    if pa.types.is_dictionary(kind):
        return kind.value_type
    if pa.types.is_list(kind):
        return pa.list_(kind.value_field.with_type(_plain_type(kind.value_type)))
    if pa.types.is_struct(kind):
        return pa.struct([part.with_type(_plain_type(part.type)) for part in kind])
    return kind


def _measured(column: pa.Array) -> tuple[np.ndarray, np.ndarray]:
    """Returns the decoded bytes of each row's value, and whether one of its texts, images or lists is too large."""
    kind = column.type
    if pa.types.is_dictionary(kind):
        lengths = _lengths(column.dictionary)
        index = pc.fill_null(column.indices, 0).to_numpy(zero_copy_only=False)
        size = np.where(column.is_valid().to_numpy(zero_copy_only=False), lengths[index] if len(lengths) else 0, 0)
        return size, size > _most(kind.value_type)
    if _is_binary(kind):
        size = _lengths(column)
        return size, size > _most(kind)
    if pa.types.is_list(kind) or pa.types.is_large_list(kind) or pa.types.is_map(kind):
        offsets = column.offsets.to_numpy(zero_copy_only=False).astype(np.int64)
        values = pa.StructArray.from_arrays([column.keys, column.items], ["k", "v"]) if pa.types.is_map(kind) else None
        sums, counts = _running(column.values if values is None else values, offsets)
        is_long = np.diff(offsets) > TEXTS_OF_ROW
        return np.diff(sums), (np.diff(counts) > 0) | is_long & _is_text(kind)
    if pa.types.is_struct(kind) and kind.num_fields:
        parts = [_measured(column.field(place)) for place in range(kind.num_fields)]
        return np.sum([size for size, _ in parts], axis=0), np.logical_or.reduce([large for _, large in parts])
    return np.full(len(column), VALUE_BYTES, np.int64), np.zeros(len(column), bool)


def _running(values: pa.Array, offsets: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Returns the decoded bytes of all values before each offset, and how many of them are too large.

    A part of the values at a time: a row may hold any number of them.
    """
    sums, counts = np.zeros(len(offsets), np.int64), np.zeros(len(offsets), np.int64)
    before = np.zeros(2, np.int64)
    for start in range(offsets[0], offsets[-1], PART_VALUES):
        stop = min(start + PART_VALUES, offsets[-1])
        size, large = _measured(values.slice(start, stop - start))
        running = before[:, None] + np.pad(np.cumsum([size, large], axis=1), ((0, 0), (1, 0)))  # (2, values + 1)
        ends = (offsets >= start) & (offsets <= stop)
        sums[ends], counts[ends] = running[:, offsets[ends] - start]
        before = running[:, -1]
    return sums, counts


def _is_text(kind: pa.DataType) -> bool:
    inner = kind.value_type if not pa.types.is_map(kind) else kind.item_type
    return _is_binary(inner) or pa.types.is_dictionary(inner) or pa.types.is_nested(inner)


def _is_binary(kind: pa.DataType) -> bool:
    return any(
        test(kind)
        for test in (pa.types.is_string, pa.types.is_large_string, pa.types.is_binary, pa.types.is_large_binary)
    )


def _most(kind: pa.DataType) -> int:
    return TEXT_BYTES if pa.types.is_string(kind) or pa.types.is_large_string(kind) else IMAGE_BYTES


def _lengths(column: pa.Array) -> np.ndarray:
    return pc.fill_null(pc.binary_length(column), 0).to_numpy(zero_copy_only=False).astype(np.int64)
