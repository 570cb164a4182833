"""Rows of a dataset that is there already, as the stages of a build take them: so many at a time as can be decoded."""

from collections.abc import Iterator, Sequence
from pathlib import Path

import pyarrow as pa
import pyarrow.parquet as pq

from dataset_builder.images.decoded_size import DECODED_BYTES, decoded_bytes
from dataset_builder.schema import COLUMNS, LIST_COLUMNS
from dataset_builder.shards.parquet import plan_shards
from fusionrs_hf.bounded_parquet import plain_batches

BATCH_ROWS = 64


def read_batches(path: Path, columns: Sequence[str] | None = None) -> Iterator[tuple[pa.Table, dict[str, list]]]:
    """Yields a shard's rows, some at a time, as stored and as the batch that stages read.

    Args:
        path: Of the shard.
        columns: To read; None: all. Columns of the record that are not read or not there are null in the batch.
    """
    wanted = [name for name in pq.read_schema(path).names if columns is None or name in columns]
    for arrow in plain_batches(path, None, wanted, BATCH_ROWS):
        table = pa.Table.from_batches([arrow])
        batch = {name: table[name].to_pylist() if name in wanted else [None] * len(table) for name in COLUMNS}
        batch |= {name: [values or [] for values in batch[name]] for name in LIST_COLUMNS}
        batch["_reason"] = [None if image else "ir_missing" for image in batch["ir"]]
        sizes = [decoded_bytes(*images) for images in zip(batch["rgb"], batch["ir"], strict=True)]
        for start, stop in plan_shards(sizes, DECODED_BYTES):
            yield table.slice(start, stop - start), {name: values[start:stop] for name, values in batch.items()}
