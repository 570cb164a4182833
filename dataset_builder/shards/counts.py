"""What is counted of published rows: kinds, facts, and the size that each config shows."""

from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.compute as pc

from dataset_builder.schema import SPLITS, VIEWS
from dataset_builder.shards.layout import DATA_SCHEMA, split_of
from dataset_builder.shards.parquet import ROW_GROUP_ROWS
from fusionrs_hf.bounded_parquet import plain_batches

COUNTED = ("split", "ir_band", "ir_origin", "source_dataset", "rights")
FACTS = ("sensor", "translator", "captioner", "ir_unit", "gsd_m")
COUNT_SCHEMA = pa.schema(
    [
        DATA_SCHEMA.field(name)
        for name in (*COUNTED[1:], *FACTS, "acquired_at", "caption_origin", "is_eval_representative")
    ]
)


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
        """Adds rows of a split: a table, or columns as lists.

        Read are those of `COUNT_SCHEMA`, and `rgb_conversion` where there is one.
        """
        names = rows.column_names if isinstance(rows, pa.Table) else rows
        converted = rows["rgb_conversion"] if "rgb_conversion" in names else []
        converted = [name for name in (converted if isinstance(converted, list) else converted.to_pylist()) if name]
        rows = pa.table({name: rows[name] for name in COUNT_SCHEMA.names}, schema=COUNT_SCHEMA)
        counted = rows.select(COUNTED[1:]).group_by(list(COUNTED[1:])).aggregate([([], "count_all")])
        for *key, count in zip(*(column.to_pylist() for column in counted.columns), strict=True):
            self.kept[split, *key] += count
        self.representatives[split] += pc.sum(rows["is_eval_representative"]).as_py() or 0
        facts = {name: rows[name] for name in FACTS}
        dated = rows["acquired_at"].filter(pc.fill_null(pc.not_equal(rows["acquired_at"], ""), False))
        facts["acquired_year"] = pc.utf8_slice_codeunits(dated, 0, 4)
        facts["caption_origin"] = pc.list_flatten(rows["caption_origin"])
        if converted:
            self.facts.setdefault("rgb_conversion", Counter()).update(converted)
        for name, values in facts.items():
            value_counts = pc.value_counts(values.drop_null()).to_pylist()
            self.facts.setdefault(name, Counter()).update(
                {str(item["values"]): item["counts"] for item in value_counts}
            )

    def report(self) -> dict[str, Any]:
        """Returns the parts of a `BuildReport`: `rows`, `representatives` and `facts`."""
        rows = [dict(zip(COUNTED, key, strict=True), rows=count) for key, count in self.kept.items()]
        return {
            "rows": sorted(rows, key=lambda row: [str(row[name]) for name in COUNTED]),
            "representatives": dict(self.representatives),
            "facts": {name: dict(sorted(counts.items())) for name, counts in self.facts.items()},
        }

    def merge(self, report: Mapping[str, Any]) -> None:
        """Adds what another's `report` gives."""
        self.kept.update({tuple(row[name] for name in COUNTED): row["rows"] for row in report["rows"]})
        self.representatives.update(report["representatives"])
        for name, counts in report["facts"].items():
            self.facts.setdefault(name, Counter()).update(counts)


def total_counts(files: Iterable[Mapping[str, Any]]) -> Counts:
    """Sums the `counts` of written files; quarantined ones have none."""
    total = Counts(representatives=Counter(dict.fromkeys(SPLITS, 0)))
    for file in files:
        if file["counts"]:
            total.merge(file["counts"])
    return total


def new_sizes() -> dict[str, Counter]:
    """Returns `rows` and Arrow `bytes` of nothing, by config of the builder."""
    return {view.name: Counter(rows=0, bytes=0) for view in VIEWS}


def add_sizes(sizes: dict[str, Counter], table: pa.Table) -> None:
    """Adds the rows and bytes that each config shows of a table with the record's columns, or those of its time."""
    for view in VIEWS:
        shown = table.select([name for name in view.columns if name in table.column_names])
        if view.ir_origin is not None:
            shown = shown.filter(pc.fill_null(pc.equal(shown["ir_origin"], view.ir_origin), False))
        if view.needs_ir_captions:
            shown = shown.filter(pc.fill_null(pc.greater(pc.list_value_length(shown["ir_captions"]), 0), False))
        sizes[view.name].update(rows=len(shown), bytes=shown.nbytes)


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


def shard_sizes(path: Path) -> dict[str, dict[str, int]]:
    """Returns rows and Arrow bytes by config of a data file, read by row groups."""
    sizes = new_sizes()
    for batch in plain_batches(path, None, None, ROW_GROUP_ROWS):
        add_sizes(sizes, pa.Table.from_batches([batch]))
    return {name: dict(size) for name, size in sizes.items()}
