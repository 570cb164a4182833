"""Parquet files read by row groups: what the units of reading are, and their rows."""

from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq

from fusionrs_hf.bounded_parquet import bounded_batches
from fusionrs_hf.bounds import TooLarge
from fusionrs_hf.errors import InputError

BATCH_ROWS = 100


def parquet_schema(file: Path) -> pa.Schema:
    """Returns the Arrow schema of a Parquet file; raises InputError where it is none."""
    try:
        return pq.read_schema(file)
    except (OSError, pa.ArrowException, UnicodeDecodeError) as error:
        raise InputError(f"{file} is no Parquet that can be read ({_line(error)}); copy it anew") from error


def row_group_spans(file: Path, groups: int) -> Iterator[tuple[int, int, int]]:
    """Yields (first row group, the one after the last, number of the first row); reads the footer only.

    Args:
        file: A Parquet file.
        groups: Row groups a span.

    Raises:
        InputError: It is no Parquet file.
    """
    parquet_schema(file)
    metadata, row = pq.read_metadata(file), 0
    for start in range(0, metadata.num_row_groups, groups):
        stop = min(start + groups, metadata.num_row_groups)
        yield start, stop, row
        row += sum(metadata.row_group(group).num_rows for group in range(start, stop))


def read_span(file: Path, start: int, stop: int, columns: Sequence[str]) -> Iterator[dict[str, Any]]:
    """Yields the rows of some row groups, a batch in memory at a time; one that exceeds a bound as `TooLarge`.

    Args:
        file: A Parquet file.
        start, stop: First row group and the one after the last.
        columns: Top-level columns to read.

    Raises:
        InputError: The file is damaged there.
    """
    try:
        for batch, too_large in bounded_batches(file, range(start, stop), columns, BATCH_ROWS):
            rows = batch.to_pylist()
            del batch  # its images are held once
            yield from (TooLarge(row) if large else row for row, large in zip(rows, too_large.tolist(), strict=True))
    except MemoryError:
        raise
    except (OSError, pa.ArrowException, UnicodeDecodeError) as error:
        raise InputError(
            f"{file} is damaged in row groups {start} to {stop - 1} ({_line(error)}); copy it anew"
        ) from error


def _line(error: Exception) -> str:
    return " ".join(str(error).split())
