"""The last part of a build: writes each planned output file, and counts what is in it.

The plans come from `merging`; outputs are written independently, row group by row group.
"""

from collections import Counter
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from itertools import pairwise
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.parquet as pq

from dataset_builder.fusionrs import FusionRS
from dataset_builder.schema import FEATURES, SPLITS
from dataset_builder.shards import file_sha256, shard_writer

DATA_SCHEMA = FEATURES.arrow_schema
# Without the features' metadata: quarantined bytes need not be images, so nothing may try to decode them.
QUARANTINE_SCHEMA = DATA_SCHEMA.append(pa.field("reason", pa.string())).remove_metadata()
WORK_SCHEMA = QUARANTINE_SCHEMA
for _name, _type in (
    ("_split", pa.string()),
    ("_force_train", pa.bool_()),
    ("_rgb_sha256", pa.binary(32)),
    ("_ir_sha256", pa.binary(32)),
    ("_caption_keys", pa.list_(pa.binary(16))),
    ("_bytes", pa.int64()),
):
    WORK_SCHEMA = WORK_SCHEMA.append(pa.field(_name, _type))
KINDS = ("kept", "left")
COUNTED = ("split", "ir_band", "ir_origin", "source_dataset", "rights")
FACTS = ("sensor", "translator", "captioner", "ir_unit", "gsd_m")
COUNT_SCHEMA = pa.schema(
    [
        DATA_SCHEMA.field(name)
        for name in (*COUNTED[1:], *FACTS, "acquired_at", "caption_origin", "is_eval_representative")
    ]
)
ADDED = ("image_group_id", "joint_group_id", "is_eval_representative", "reason")
# Where a planned row lies: `kind` is an index into KINDS, `row` counts in the file of that kind and shard.
PLAN_SCHEMA = pa.schema(
    [
        ("kind", pa.int8()),
        ("shard", pa.int32()),
        ("row", pa.int32()),
        *(QUARANTINE_SCHEMA.field(name) for name in ADDED),
    ]
)
PLAN_ROWS = 16_384  # read at a time


@dataclass
class Counts:
    """What is counted of published rows.

    Args:
        kept: Rows by (split, ir_band, ir_origin, source_dataset, rights).
        facts: Distinct values by column, counted.
        representatives: Evaluation representatives by split.
    """

    kept: Counter = field(default_factory=Counter)
    facts: dict[str, Counter] = field(default_factory=dict)
    representatives: Counter = field(default_factory=Counter)

    def add(self, split: str, rows: pa.Table | Mapping[str, list]) -> None:
        """Adds rows of a split: a table, or columns as lists, of which those of `COUNT_SCHEMA` are read."""
        rows = pa.table({name: rows[name] for name in COUNT_SCHEMA.names}, schema=COUNT_SCHEMA)
        counted = rows.select(COUNTED[1:]).group_by(list(COUNTED[1:])).aggregate([([], "count_all")])
        for *key, count in zip(*(column.to_pylist() for column in counted.columns), strict=True):
            self.kept[split, *key] += count
        self.representatives[split] += pc.sum(rows["is_eval_representative"]).as_py() or 0
        facts = {name: rows[name] for name in FACTS}
        dated = rows["acquired_at"].filter(pc.fill_null(pc.not_equal(rows["acquired_at"], ""), False))
        facts["acquired_year"] = pc.utf8_slice_codeunits(dated, 0, 4)
        facts["caption_origin"] = pc.list_flatten(rows["caption_origin"])
        for name, values in facts.items():
            found = pc.value_counts(values.drop_null()).to_pylist()
            self.facts.setdefault(name, Counter()).update({str(item["values"]): item["counts"] for item in found})

    def report(self) -> dict[str, Any]:
        """Returns the parts of a `BuildReport`: `rows`, `representatives` and `facts`."""
        rows = [dict(zip(COUNTED, key, strict=True), rows=count) for key, count in self.kept.items()]
        return {
            "rows": sorted(rows, key=lambda row: [str(row[name]) for name in COUNTED]),
            "representatives": dict(self.representatives),
            "facts": {name: dict(sorted(found.items())) for name, found in self.facts.items()},
        }

    def merge(self, report: Mapping[str, Any]) -> None:
        """Adds what another's `report` gives."""
        self.kept.update({tuple(row[name] for name in COUNTED): row["rows"] for row in report["rows"]})
        self.representatives.update(report["representatives"])
        for name, found in report["facts"].items():
            self.facts.setdefault(name, Counter()).update(found)


def total_counts(files: Iterable[Mapping[str, Any]]) -> Counts:
    """Sums the `counts` of written files; quarantined ones have none."""
    total = Counts(representatives=Counter(dict.fromkeys(SPLITS, 0)))
    for file in files:
        if file["counts"]:
            total.merge(file["counts"])
    return total


def work_file(work: Path, kind: str, shard: int) -> Path:
    """Returns where the read stage puts the rows of a shard that were `kept`, or that `left` with a reason."""
    return work / kind / f"{shard:06d}.parquet"


class FinishWorker:
    """Writes one output file by its plan.

    Returns its name, rows, bytes and SHA-256; of published ones also rows and Arrow bytes by config, and `Counts`.
    """

    def __init__(self, work: Path, out: Path) -> None:
        self.work, self.out = work, out

    def __call__(self, output: str) -> dict:
        """Copies the planned rows, bytes unchanged, in the plan's order."""
        path, published = self.out / output, output.startswith("data/")
        schema = DATA_SCHEMA if published else QUARANTINE_SCHEMA
        split, configs, counts = split_of(output), new_sizes(), Counts()
        with shard_writer(path, schema) as writer:
            for table in self._rows(output, schema):
                writer.write(table)
                if published:
                    add_sizes(configs, table)
                    counts.add(split, table)
            rows = writer.close()
        found = {"name": output, "rows": rows, "bytes": path.stat().st_size, "sha256": file_sha256(path)}
        return {**found, "configs": configs if published else {}, "counts": counts.report() if published else {}}

    def _rows(self, output: str, schema: pa.Schema) -> Iterator[pa.Table]:
        with pq.ParquetFile(self.work / "plan" / output) as file:
            for batch in file.iter_batches(batch_size=PLAN_ROWS):
                plan = pa.table(batch)
                places = np.stack([plan[name].to_numpy() for name in ("kind", "shard")])
                cuts = np.flatnonzero((places[:, 1:] != places[:, :-1]).any(0)) + 1
                for start, stop in pairwise([0, *cuts.tolist(), len(plan)]):
                    path = work_file(self.work, KINDS[places[0, start]], places[1, start])
                    yield from _planned(path, plan.slice(start, stop - start), schema)


def _planned(path: Path, plan: pa.Table, schema: pa.Schema) -> Iterator[pa.Table]:
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


def split_of(name: str) -> str:
    """Returns the split that a data file's name begins with."""
    return Path(name).name.split("-")[0]


def new_sizes() -> dict[str, Counter]:
    """Returns `rows` and Arrow `bytes` of nothing, by config of the builder."""
    return {config.name: Counter(rows=0, bytes=0) for config in FusionRS.BUILDER_CONFIGS}


def add_sizes(sizes: dict[str, Counter], table: pa.Table) -> None:
    """Adds the rows and bytes that each config shows of a table with the record's columns."""
    for config in FusionRS.BUILDER_CONFIGS:
        view = table.select(list(config.features))
        if config.ir_origin is not None:
            view = view.filter(pc.fill_null(pc.equal(view["ir_origin"], config.ir_origin), False))
        if config.needs_ir_captions:
            view = view.filter(pc.fill_null(pc.greater(pc.list_value_length(view["ir_captions"]), 0), False))
        sizes[config.name].update(rows=len(view), bytes=view.nbytes)


def sizes_by_split(files: Sequence[dict]) -> dict[str, dict[str, dict[str, int]]]:
    """Sums the `configs` of written files to `rows` and `bytes` by config and split, as a `BuildReport` has them."""
    configs: dict[str, dict] = {}
    for file in files:
        split = split_of(file["name"])
        for name, size in file["configs"].items():
            total = configs.setdefault(name, {}).setdefault(split, {"rows": 0, "bytes": 0})
            for unit in total:
                total[unit] += size[unit]
    return configs
