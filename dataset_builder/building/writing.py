"""The last part of a build: writes each planned output file, and counts what is in it.

The plans come from `merging`; outputs are written independently, row group by row group.
"""

from collections.abc import Iterator, Mapping, Sequence
from itertools import pairwise
from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq

from dataset_builder.building.work_files import ADDED, KINDS, PLAN_ROWS, work_file
from dataset_builder.shards.counts import Counts, add_sizes, new_sizes
from dataset_builder.shards.layout import DATA_SCHEMA, QUARANTINE_SCHEMA, split_of
from dataset_builder.shards.limits import with_limits
from dataset_builder.shards.parquet import file_sha256, shard_writer


class WriteWorker:
    """Writes one output file by its plan; a published one tells the limits `ir_range`, where there are some.

    Returns its name, rows, bytes and SHA-256; of published ones also rows and Arrow bytes by config, and `Counts`.
    """

    def __init__(self, work: Path, out: Path, ir_range: Mapping[str, Sequence[float]] | None = None) -> None:
        self.work, self.out, self.ir_range = work, out, ir_range or {}

    def __call__(self, output: str) -> dict:
        """Copies the planned rows, bytes unchanged, in the plan's order."""
        path, published = self.out / output, output.startswith("data/")
        schema = with_limits(DATA_SCHEMA, self.ir_range) if published else QUARANTINE_SCHEMA
        split, configs, counts = split_of(output), new_sizes(), Counts()
        with shard_writer(path, schema) as writer:
            for table in self._rows(output, schema):
                writer.write(table)
                if published:
                    add_sizes(configs, table)
                    counts.add(split, table)
            rows = writer.close()
        written = {"name": output, "rows": rows, "bytes": path.stat().st_size, "sha256": file_sha256(path)}
        return {**written, "configs": configs if published else {}, "counts": counts.report() if published else {}}

    def _rows(self, output: str, schema: pa.Schema) -> Iterator[pa.Table]:
        with pq.ParquetFile(self.work / "plan" / output) as file:
            for batch in file.iter_batches(batch_size=PLAN_ROWS):
                plan = pa.table(batch)
                places = np.stack([plan[name].to_numpy() for name in ("kind", "shard")])
                cuts = np.flatnonzero((places[:, 1:] != places[:, :-1]).any(0)) + 1
                for start, stop in pairwise([0, *cuts.tolist(), len(plan)]):
                    path = work_file(self.work, KINDS[places[0, start]], places[1, start])
                    yield from _planned_rows(path, plan.slice(start, stop - start), schema)


def _planned_rows(path: Path, plan: pa.Table, schema: pa.Schema) -> Iterator[pa.Table]:
    """Yields the planned rows of one work file, a table for each of its row groups that has some."""
    wanted = plan["row"].to_numpy()
    with pq.ParquetFile(path) as file:
        ends = np.cumsum([file.metadata.row_group(index).num_rows for index in range(file.num_row_groups)])
        for index in np.unique(np.searchsorted(ends, wanted, side="right")).tolist():
            first = ends[index - 1] if index else 0
            start, stop = np.searchsorted(wanted, [first, ends[index]])
            table = file.read_row_group(index, [name for name in schema.names if name not in ADDED])
            if stop - start < len(table):
                table = table.take(pa.array(wanted[start:stop] - first))
            added = plan.slice(start, stop - start)
            yield pa.table([(added if name in ADDED else table)[name] for name in schema.names], schema=schema)
