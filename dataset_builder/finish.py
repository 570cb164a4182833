"""The second half of a build: joins the read shards' rows into groups and splits, and writes what is published.

The merge reads light columns only and leaves one plan file per output; outputs are then written independently.
"""

from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from itertools import groupby
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.parquet as pq

from dataset_builder.fusionrs import FusionRS
from dataset_builder.grouping import Groups, group
from dataset_builder.recipe import BuildRecipe
from dataset_builder.schema import FEATURES, IMAGE_COLUMNS, SPLITS
from dataset_builder.shards import ROW_GROUP_ROWS, file_sha256, plan_shards, shard_writer, write_shard
from dataset_builder.splits import assign_splits, representatives

DATA_SCHEMA = FEATURES.arrow_schema
# Without the features' metadata: quarantined bytes need not be images, so nothing may try to decode them.
QUARANTINE_SCHEMA = DATA_SCHEMA.append(pa.field("reason", pa.string())).remove_metadata()
WORK_SCHEMA = QUARANTINE_SCHEMA
for _name, _type in (
    ("_split", pa.string()),
    ("_rgb_sha256", pa.string()),
    ("_ir_sha256", pa.string()),
    ("_bytes", pa.int64()),
):
    WORK_SCHEMA = WORK_SCHEMA.append(pa.field(_name, _type))
LIGHT = [name for name in WORK_SCHEMA.names if name not in IMAGE_COLUMNS]
COUNTED = ("split", "ir_band", "ir_origin", "source_dataset", "rights")
FACTS = ("sensor", "translator", "captioner", "ir_unit", "gsd_m")
ADDED = ("image_group_id", "joint_group_id", "is_eval_representative", "reason")


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

    def add(self, split: str, rows: dict[str, list]) -> None:
        """Adds rows of a split, given as columns; `COUNTED`, `FACTS` and those named here are read."""
        self.kept.update((split, *key) for key in zip(*(rows[name] for name in COUNTED[1:]), strict=True))
        self.representatives[split] += sum(map(bool, rows["is_eval_representative"]))
        for name in FACTS:
            self.facts.setdefault(name, Counter()).update(str(value) for value in rows[name] if value is not None)
        self.facts.setdefault("acquired_year", Counter()).update(date[:4] for date in rows["acquired_at"] if date)
        origins = self.facts.setdefault("caption_origin", Counter())
        origins.update(origin for row in rows["caption_origin"] for origin in row or [])

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


@dataclass
class Merged:
    """Outcome of the merge.

    Args:
        groups: Of the kept rows and of those that left for their group.
        outputs: Names of the files to write, relative to the output folder.
        counts: Of the kept rows.
        reasons: Rows that left in the merge, by reason.
    """

    groups: Groups
    outputs: list[str]
    counts: Counts = field(default_factory=Counts)
    reasons: Counter = field(default_factory=Counter)


def merge(work: Path, shards: int, recipe: BuildRecipe) -> Merged:
    """Groups and splits all rows that the read stage kept, and writes one plan per output file to `work/plan`.

    Args:
        work: Folder with `kept/` and `left/`, one Parquet file a read shard.
        shards: Number of read shards.
        recipe: Its `groups`, `splits` and `max_shard_bytes` are followed.
    """
    columns = {name: [] for name in [*LIGHT, "at"]}
    for shard in range(shards):
        table = pq.read_table(work_file(work, "kept", shard), columns=LIGHT)
        for name in LIGHT:
            columns[name].extend(table[name].to_pylist())
        columns["at"].extend(("kept", shard, row) for row in range(len(table)))
    unique, repeated = _by_first_id(columns["sample_id"])
    rows = {name: [values[index] for index in unique] for name, values in columns.items()}
    groups = group(rows, recipe.groups.radius, recipe.groups.relations)
    splits, rows["reason"] = assign_splits(rows, groups.joint_group_id, recipe.splits)
    rows["image_group_id"], rows["joint_group_id"] = groups.image_group_id, groups.joint_group_id
    rows["is_eval_representative"] = representatives(rows, groups.joint_group_id, splits)
    merged = Merged(groups, [])
    for split in SPLITS:
        chosen = [index for index, own in enumerate(splits) if own == split]
        _plan(work, merged, f"data/{split}", _take(rows, chosen), recipe.max_shard_bytes)
        merged.counts.add(split, _take(rows, chosen))
    left = {name: [columns[name][index] for index in repeated] for name in ("at", "_bytes")}
    left |= {name: [None] * len(repeated) for name in ADDED} | {"reason": ["duplicate_sample_id"] * len(repeated)}
    leavers = _take(rows, [index for index, own in enumerate(splits) if own is None])
    merged.reasons = Counter(left["reason"] + leavers["reason"])
    before = _left_before(work, shards)
    gone = {name: before[name] + left[name] + leavers[name] for name in before}
    order = sorted(range(len(gone["at"])), key=lambda index: (gone["at"][index][1:], gone["at"][index][0]))
    _plan(work, merged, "quarantine/rows", _take(gone, order), recipe.max_shard_bytes)
    return merged


def work_file(work: Path, kind: str, shard: int) -> Path:
    """Returns where the read stage puts the rows of a shard that were `kept`, or that `left` with a reason."""
    return work / kind / f"{shard:06d}.parquet"


def _by_first_id(ids: Sequence[str]) -> tuple[list[int], list[int]]:
    first = {}
    for index, name in enumerate(ids):
        first.setdefault(name, index)
    unique = list(first.values())
    return unique, sorted(set(range(len(ids))) - set(unique))


def _take(columns: dict[str, list], rows: Sequence[int]) -> dict[str, list]:
    return {name: [values[row] for row in rows] for name, values in columns.items()}


def _left_before(work: Path, shards: int) -> dict[str, list]:
    columns = {name: [] for name in ("at", "_bytes", *ADDED)}
    for shard in range(shards):
        table = pq.read_table(work_file(work, "left", shard), columns=["_bytes", *ADDED])
        columns["at"].extend(("left", shard, row) for row in range(len(table)))
        for name in table.column_names:
            columns[name].extend(table[name].to_pylist())
    return columns


def _plan(work: Path, merged: Merged, name: str, rows: dict[str, list], max_bytes: int) -> None:
    """Cuts rows into output files `name-00000-of-000NN.parquet`, a plan each: where a row lies and what it gets."""
    ranges = plan_shards(rows["_bytes"], max_bytes)
    for number, (start, stop) in enumerate(ranges):
        kind, shard, row = zip(*rows["at"][start:stop], strict=True)
        values = {"kind": kind, "shard": shard, "row": row, **{name: rows[name][start:stop] for name in ADDED}}
        schema = pa.schema([("kind", pa.string()), ("shard", pa.int32()), ("row", pa.int32())])
        for column in ADDED:
            schema = schema.append(QUARANTINE_SCHEMA.field(column))
        output = f"{name}-{number:05d}-of-{len(ranges):05d}.parquet"
        write_shard(work / "plan" / output, pa.table(values, schema=schema))
        merged.outputs.append(output)


class FinishWorker:
    """Writes one output file by its plan; returns rows, bytes, SHA-256, and rows and Arrow bytes by config."""

    def __init__(self, work: Path, out: Path) -> None:
        self.work, self.out = work, out

    def __call__(self, output: str) -> dict:
        """Copies the planned rows, bytes unchanged, in the plan's order."""
        published = output.startswith("data/")
        schema = DATA_SCHEMA if published else QUARANTINE_SCHEMA
        configs = new_sizes()
        with shard_writer(self.out / output, schema) as writer:
            for table in self._rows(output):
                writer.write(table.select(schema.names))
                if published:
                    add_sizes(configs, table.select(schema.names))
            rows = writer.close()
        path = self.out / output
        found = {"name": output, "rows": rows, "bytes": path.stat().st_size, "sha256": file_sha256(path)}
        return {**found, "configs": configs if published else {}}

    def _rows(self, output: str) -> Iterator[pa.Table]:
        plan = pq.read_table(self.work / "plan" / output).to_pylist()
        for (kind, shard), planned in groupby(plan, key=lambda item: (item["kind"], item["shard"])):
            waiting = {item["row"]: item for item in planned}
            with pq.ParquetFile(work_file(self.work, kind, shard)) as file:
                start = 0
                for batch in file.iter_batches(batch_size=ROW_GROUP_ROWS):
                    chosen = [row for row in range(start, start + len(batch)) if row in waiting]
                    table = pa.Table.from_batches([batch]).take([row - start for row in chosen])
                    start += len(batch)
                    for name in ADDED:
                        values = pa.array([waiting[row][name] for row in chosen], table.schema.field(name).type)
                        table = table.set_column(table.schema.get_field_index(name), table.schema.field(name), values)
                    yield table


def new_sizes() -> dict[str, Counter]:
    """Returns `rows` and Arrow `bytes` of nothing, by config of the builder."""
    return {config.name: Counter(rows=0, bytes=0) for config in FusionRS.BUILDER_CONFIGS}


def add_sizes(sizes: dict[str, Counter], table: pa.Table) -> None:
    """Adds the rows and bytes that each config shows of a table with the record's columns."""
    for config in FusionRS.BUILDER_CONFIGS:
        mask = pc.is_valid(table["sample_id"])
        if config.ir_origin is not None:
            mask = pc.and_(mask, pc.fill_null(pc.equal(table["ir_origin"], config.ir_origin), False))
        if config.needs_ir_captions:
            mask = pc.and_(mask, pc.fill_null(pc.greater(pc.list_value_length(table["ir_captions"]), 0), False))
        view = table.filter(mask).select(list(config.features))
        sizes[config.name].update(rows=len(view), bytes=view.nbytes)


def sizes_by_split(files: Sequence[dict]) -> dict[str, dict[str, dict[str, int]]]:
    """Sums the `configs` of written files to `rows` and `bytes` by config and split, as a `BuildReport` has them."""
    configs: dict[str, dict] = {}
    for file in files:
        split = Path(file["name"]).name.split("-")[0]
        for name, size in file["configs"].items():
            total = configs.setdefault(name, {}).setdefault(split, {"rows": 0, "bytes": 0})
            for unit in total:
                total[unit] += size[unit]
    return configs
