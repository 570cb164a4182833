"""Work files of all read shards -> groups and splits, and a plan for each file that is to be written.

Light columns only, as Arrow and numpy arrays: a few hundred bytes a row, whatever the images and captions weigh.
"""

from collections import Counter
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.parquet as pq

from dataset_builder.building.work_files import KINDS, PLAN_ROWS, PLAN_SCHEMA, WORK_SCHEMA, work_file
from dataset_builder.groups.grouping import Groups, group
from dataset_builder.groups.splits import REASONS, assign_splits, representatives
from dataset_builder.recipe import BuildRecipe
from dataset_builder.rights.tombstones import read_ids
from dataset_builder.schema import SPLITS
from dataset_builder.shards.parquet import plan_shards
from fusionrs_hf.atomic import atomic_path
from fusionrs_hf.errors import InputError

KEPT, LEFT = range(len(KINDS))
SPLITTING = ("sample_id", "source_dataset", "ir_band", "ir_origin", "_split", "_force_train")
JOINING = {
    "bytes": ("_rgb_sha256", "_ir_sha256"),
    "rgb_phash": ("rgb_phash",),
    "ir_phash": ("ir_phash",),
    "footprint": ("bbox", "source_locator", "gsd_m"),
    "caption": ("_caption_keys",),
}
DUPLICATE = "duplicate_sample_id"
SHOWN = 3


@dataclass
class Merged:
    """Outcome of the merge.

    Args:
        groups: Numbers of `image_groups` and `joint_groups`, and the `largest` ten components; of the kept rows and of
            those that left for their group.
        splits: What `splits.Assigned` reports.
        kept: Rows that are published.
        reasons: Rows that left in the merge, by reason.
        outputs: Names of the files to write, relative to the output folder.
    """

    groups: dict[str, Any]
    splits: dict[str, Any]
    kept: int
    reasons: Counter
    outputs: list[str] = field(default_factory=list)


@dataclass(slots=True)
class _Entries:
    """Rows to plan, in their order, as arrays: where each lies, its place among the grouped rows (-1: none), bytes."""

    kind: np.ndarray
    shard: np.ndarray
    row: np.ndarray
    index: np.ndarray
    size: np.ndarray
    reason: pa.Array


def merge(
    work: Path, shards: int, recipe: BuildRecipe, claim: Callable[[Sequence[str]], None] = lambda outputs: None
) -> Merged:
    """Groups and splits all rows that the read stage kept, and writes one plan per output file to `work/plan`.

    Of rows that share a `sample_id` the first is kept, in the order of the shards.

    Args:
        work: Folder with `kept/` and `left/`, one Parquet file a read shard.
        shards: Number of read shards.
        recipe: Its `groups`, `splits` and `max_shard_bytes` are followed.
        claim: Called with the names of output files before their plans are written.

    Raises:
        InputError: `force_train` names rows that there are not.
    """
    kept = _Kept(work, shards, [name for relation in recipe.groups.relations for name in JOINING[relation]])
    listed = _listed(kept, work, shards, recipe)
    groups = group(kept, recipe.groups.radius, recipe.groups.relations)
    rows = pa.table({name: kept[name] for name in SPLITTING})
    flags = pc.or_(pc.fill_null(rows["_force_train"], False), pa.array(listed))
    rows = rows.set_column(rows.column_names.index("_force_train"), "_force_train", flags)
    assigned = assign_splits(rows, groups, recipe.splits)
    marked = pa.array(representatives(rows, groups.joint, assigned.split))
    reasons = Counter({DUPLICATE: int((~kept.first).sum()), **assigned.report["left"]})
    merged = Merged(_counted(groups), assigned.report, int((assigned.split >= 0).sum()), +reasons)
    sizes = kept.column("_bytes").to_numpy()
    at = np.flatnonzero(kept.first).astype(np.int32)  # place in the work files, of the rows that go on
    for number, split in enumerate(SPLITS):
        index = np.flatnonzero(assigned.split == number).astype(np.int32)
        entries = _entries(at[index], index, pa.nulls(len(index), pa.string()), kept.starts, sizes)
        merged.outputs += _plan(work, f"data/{split}", entries, groups, marked, recipe.max_shard_bytes, claim)
    leaving = _leaving(work, shards, kept, sizes, at, assigned.split)
    merged.outputs += _plan(work, "quarantine/rows", leaving, groups, marked, recipe.max_shard_bytes, claim)
    kept.path.unlink()
    return merged


def forced_ids(recipe: BuildRecipe) -> list[str]:
    """Returns the sample ids that the recipe's `force_train` names; raises InputError where it cannot be read."""
    name = recipe.splits.force_train
    if name is None:
        return []
    try:
        return list(read_ids(recipe.base / name))
    except OSError as error:
        raise InputError(
            f"splits: force_train {name} cannot be read ({error.strerror}); give a file of ids"
        ) from error


class _Kept:
    """Light columns of the kept rows but repeated ids, as a table gives them, each mapped when it is asked for.

    The work files' many small row groups are read once, into one file that memory need not hold.

    Attributes:
        path: That file.
        starts: Where each shard's rows start, with repeated ones; int64 `(shards + 1,)`.
        first: Whether a row is the first of its id; bool, with repeated ones.
    """

    def __init__(self, work: Path, shards: int, joining: Sequence[str]) -> None:
        self.path, self.names = work / "light.arrow", [*SPLITTING, *joining, "_bytes"]
        schema, counts = pa.schema([WORK_SCHEMA.field(name) for name in self.names]), []
        with pa.OSFile(str(self.path), "wb") as sink, pa.ipc.new_file(sink, schema) as writer:
            for shard in range(shards):
                with pq.ParquetFile(work_file(work, KINDS[KEPT], shard)) as file:
                    table = file.read(columns=self.names, use_threads=False).combine_chunks()
                writer.write_table(table.select(self.names).cast(schema))
                counts.append(len(table))
        self.starts = np.cumsum([0, *counts])
        self.first = _first_of_each(self.column("sample_id"))
        self.repeats = not self.first.all()

    def column(self, name: str) -> pa.ChunkedArray:
        """Returns a column with the repeated rows."""
        with pa.memory_map(str(self.path)) as source, pa.ipc.open_file(source) as reader:
            return reader.read_all()[name]

    def __len__(self) -> int:
        return int(self.first.sum())

    def __getitem__(self, name: str) -> pa.ChunkedArray:
        column = self.column(name)
        return column.filter(pa.array(self.first)) if self.repeats else column


def _first_of_each(ids: pa.ChunkedArray) -> np.ndarray:
    """Marks the first row of each id; bool `(rows,)`."""
    marked = np.zeros(len(ids), bool)
    if len(ids):
        encoded = ids.dictionary_encode().combine_chunks()
        codes = encoded.indices.to_numpy()
        first = np.empty(len(encoded.dictionary), np.int32)
        first[codes[::-1]] = np.arange(len(codes), dtype=np.int32)[::-1]  # what is assigned last stays
        marked[first] = True
    return marked


def _listed(kept: _Kept, work: Path, shards: int, recipe: BuildRecipe) -> np.ndarray:
    """Marks the rows that the recipe's `force_train` names; bool `(rows,)`."""
    ids = forced_ids(recipe)
    if not ids:
        return np.zeros(len(kept), bool)
    names = kept["sample_id"]
    listed = pc.is_in(names, pa.array(ids, pa.string()))
    unknown = set(ids) - set(names.filter(listed).to_pylist())
    for shard in range(shards if unknown else 0):
        unknown.difference_update(_read_left(work, shard, "sample_id")["sample_id"].to_pylist())
    if unknown:
        examples = ", ".join(sorted(unknown)[:SHOWN]) + (", ..." if len(unknown) > SHOWN else "")
        raise InputError(
            f"splits: force_train {recipe.splits.force_train} names {len(unknown)} of {len(ids)} sample ids that no "
            f"source has ({examples}); mend the list, or take them out"
        )
    return listed.to_numpy()


def _read_left(work: Path, shard: int, *names: str) -> pa.Table:
    with pq.ParquetFile(work_file(work, KINDS[LEFT], shard)) as file:
        return file.read(columns=list(names), use_threads=False)


def _counted(groups: Groups) -> dict[str, Any]:
    image, joint = (int(np.count_nonzero(np.bincount(labels))) for labels in (groups.image, groups.joint))
    return {"image_groups": image, "joint_groups": joint, "largest": groups.components}


def _entries(place: np.ndarray, index: np.ndarray, reason: pa.Array, starts: np.ndarray, size: np.ndarray) -> _Entries:
    """Entries of kept rows, by their place in the work files."""
    shard = np.searchsorted(starts, place, side="right") - 1
    row = place - starts[shard]
    return _Entries(np.full(len(place), KEPT, np.int8), shard, row, index, size[place], reason)


def _leaving(work: Path, shards: int, kept: _Kept, sizes: np.ndarray, at: np.ndarray, split: np.ndarray) -> _Entries:
    """Entries of all rows that left: in the read stage, for their id, or for their group; shard by shard."""
    tables = [_read_left(work, shard, "_bytes", "reason") for shard in range(shards)]
    left, lengths = pa.concat_tables(tables), [len(table) for table in tables]
    before = _Entries(
        kind=np.full(len(left), LEFT, np.int8),
        shard=np.repeat(np.arange(shards), lengths),
        row=np.concatenate([np.arange(0), *map(np.arange, lengths)]),
        index=np.full(len(left), -1),
        size=left["_bytes"].to_numpy(),
        reason=left["reason"].combine_chunks(),
    )
    repeated = np.flatnonzero(~kept.first)
    reasons = pa.array([DUPLICATE] * len(repeated), pa.string())
    twice = _entries(repeated, np.full(len(repeated), -1), reasons, kept.starts, sizes)
    leavers = np.flatnonzero(split < 0)
    reasons = pa.array([REASONS[code] for code in split[leavers].tolist()], pa.string())
    others = _entries(at[leavers], leavers, reasons, kept.starts, sizes)
    parts = {
        name: np.concatenate([getattr(part, name) for part in (before, twice, others)])
        for name in ("kind", "shard", "row", "index", "size")
    }
    order = np.lexsort((parts["row"], parts["kind"], parts["shard"]))
    reason = pa.concat_arrays([part.reason for part in (before, twice, others)])
    return _Entries(**{name: values[order] for name, values in parts.items()}, reason=reason.take(pa.array(order)))


def _plan(
    work: Path,
    name: str,
    entries: _Entries,
    groups: Groups,
    marked: pa.Array,
    max_bytes: int,
    claim: Callable[[Sequence[str]], None],
) -> list[str]:
    """Cuts rows into output files `name-00000-of-000NN.parquet`, a plan each: where a row lies and what it gets."""
    ranges = plan_shards(entries.size, max_bytes)
    outputs = [f"{name}-{number:05d}-of-{len(ranges):05d}.parquet" for number in range(len(ranges))]
    claim(outputs)
    for output, (start, stop) in zip(outputs, ranges, strict=True):
        with (
            atomic_path(work / "plan" / output) as temporary,
            pq.ParquetWriter(temporary, PLAN_SCHEMA) as writer,
        ):
            for first in range(start, stop, PLAN_ROWS):
                part = slice(first, min(first + PLAN_ROWS, stop))
                writer.write_table(_plan_table(entries, part, groups, marked))
    return outputs


def _plan_table(entries: _Entries, part: slice, groups: Groups, marked: pa.Array) -> pa.Table:
    index = pa.array(entries.index[part], mask=entries.index[part] < 0)
    values = {
        "kind": entries.kind[part],
        "shard": entries.shard[part],
        "row": entries.row[part],
        "image_group_id": groups.image_group_id.take(index),
        "joint_group_id": groups.joint_group_id.take(index),
        "is_eval_representative": marked.take(index),
        "reason": entries.reason[part],
    }
    return pa.table(values, schema=PLAN_SCHEMA)
