"""Joint groups -> train, validation, test, by whole groups; and one evaluation representative per group and band."""

import hashlib
import logging
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from dataset_builder.groups.grouping import Groups, large_components
from dataset_builder.groups.quotas import DRAWN, Contents, draw
from dataset_builder.schema import HELD_OUT, SPLITS
from fusionrs_hf.errors import InputError, shown

logger = logging.getLogger(__name__)

TRAIN = SPLITS.index("train")
SPLIT_GROUP, SPLIT_FORCED_TRAIN = -1, -2
REASONS = {SPLIT_GROUP: "split_group", SPLIT_FORCED_TRAIN: "split_forced_train"}
NAMES_AT_ONCE = 2**18


@dataclass(frozen=True, slots=True)
class SplitPolicy:
    """How rows come into splits.

    Args:
        by: `source`: where the source's regions or files prescribe a split (`_split`), it holds, and joint groups of
            which no row has one are drawn as by `hash`; `hash`: every joint group is drawn, whatever the source says.
        validation, test: Target of each drawn split: a share below 1 of the rows whose group has no prescribed split,
            or a number of rows.
        salt: Changes the draw; the same salt gives the same splits.
        min_per_source: Rows that each source shall have in validation and in test, prescribed ones included, as far
            as the targets have room; a source that comes short is reported.
        force_train: File of sample ids, relative to the recipe, as `tombstones.read_ids` reads it: these rows, and
            with them their joint groups, may be in train only. Rows may also come so from their source.
    """

    by: str = "source"
    validation: float = 0.05
    test: float = 0.05
    salt: str = "fusionrs"
    min_per_source: int = 0
    force_train: str | Path | None = None

    def __post_init__(self) -> None:
        """Raises ValueError where the policy cannot be followed."""
        if self.by not in ("source", "hash"):
            raise ValueError(f"splits must be by 'source' or 'hash', got {shown(self.by)}")
        if min(self.validation, self.test) < 0:
            raise ValueError(f"split targets must not be negative, got {self.validation} and {self.test}")
        if max(self.validation, self.test) < 1 <= self.validation + self.test:
            raise ValueError(f"validation and test must leave rows to train, got {self.validation + self.test}")
        least = self.min_per_source
        if not isinstance(least, int) or isinstance(least, bool) or least < 0:
            raise ValueError(f"min_per_source must be a whole number of rows of at least 0, got {shown(least)}")
        if not isinstance(self.force_train, (str, Path, type(None))):
            raise ValueError(f"force_train must be the path of a file of sample ids, got {shown(self.force_train)}")

    def target(self, split: str, rows: int) -> int:
        """Returns the number of rows wanted for a held-out split when `rows` are drawn."""
        wanted = getattr(self, split)
        return int(wanted) if wanted >= 1 else round(wanted * rows)


@dataclass(frozen=True, slots=True)
class Assigned:
    """Outcome of `assign_splits`.

    Args:
        split: Of each row, in their order: index into `schema.SPLITS`, or a key of `REASONS` where the row leaves;
            int8 `(rows,)`.
        report: JSON-able: `targets` by held-out split (`wanted`, `rows` and their `difference`, of drawn rows);
            `sources`, rows by source and split; `min_per_source` and the (source, split) `below_minimum`; `forced`
            (`rows` flagged, their `groups`, and `group_rows` in these); `left`, rows by reason; `large_components`,
            those over `grouping.LARGE_SHARE` of the rows.
    """

    split: np.ndarray
    report: dict[str, Any] = field(default_factory=dict)


def assign_splits(rows: pa.Table, groups: Groups, policy: SplitPolicy) -> Assigned:
    """Gives every row its split; no joint group ends in two. Does not depend on the order of the rows.

    A group with rows that must be in train goes there whole. Otherwise one with prescribed splits keeps test before
    validation before train. Rows whose prescribed split is another than their group's leave. The other groups are
    drawn by `quotas.draw`, in the order of a salted 64-bit hash of their ids. (The published protocol draws from all
    groups, and takes groups of the original split first; its tie-break is a salted SHA-256.)

    Args:
        rows: `source_dataset`; `_split`, the split that the source prescribes or null; `_force_train`, bool or null.
        groups: Of these rows.
        policy: How to split.

    Raises:
        InputError: The targets leave no row to train.
        ValueError: A prescribed split is none of `schema.SPLITS`.
    """
    columns = _read(rows, groups, policy)
    sizes = np.bincount(columns.joint)
    chosen = np.full(len(sizes), -1, np.int8)
    for split in range(len(SPLITS)):  # the last one wins: test
        chosen[columns.joint[columns.prescribed == split]] = split
    targets = {split: policy.target(SPLITS[split], int(sizes[chosen < 0].sum())) for split in DRAWN}
    forced = np.zeros(len(sizes), bool)
    forced[columns.joint[columns.flagged]] = True
    chosen[forced] = TRAIN
    drawn = np.flatnonzero((chosen < 0) & (sizes > 0))
    chosen[drawn] = TRAIN
    if any(targets.values()):
        if sizes[chosen == TRAIN].sum() == sizes[drawn].sum():  # nothing trains but what is drawn
            _check_targets(targets, int(sizes[drawn].sum()))
        drawn = drawn[np.argsort(_salted(_ids(groups, drawn), policy.salt), kind="stable")]
        chosen[drawn] = -1
        minima = _minima(columns, drawn, chosen, policy.min_per_source) if policy.min_per_source else ()
        chosen[drawn] = draw(sizes[drawn], targets, *minima)
    split = chosen[columns.joint]
    leavers = (columns.prescribed >= 0) & (columns.prescribed != split)
    split[leavers] = np.where(forced[columns.joint[leavers]], SPLIT_FORCED_TRAIN, SPLIT_GROUP)
    flags = {"rows": columns.flagged.sum(), "groups": forced.sum(), "group_rows": sizes[forced].sum()}
    report = {
        "targets": _reached(targets, sizes[drawn], chosen[drawn]),
        **_by_source(columns, split, policy.min_per_source, targets),
        "forced": {name: int(number) for name, number in flags.items()},
        "left": {name: int((split == code).sum()) for code, name in REASONS.items()},
        "large_components": large_components(groups.components),
    }
    _warn(report)
    return Assigned(split, report)


@dataclass(frozen=True, slots=True)
class _Rows:
    """What the assignment reads of the rows, as arrays `(rows,)`; sources as numbers of their sorted `names`."""

    joint: np.ndarray
    prescribed: np.ndarray  # -1: not
    flagged: np.ndarray
    source: np.ndarray
    names: list[str]


def _read(rows: pa.Table, groups: Groups, policy: SplitPolicy) -> _Rows:
    prescribed = _codes(rows["_split"]) if policy.by == "source" else np.full(len(rows), -1, np.int8)
    flagged = pc.fill_null(rows["_force_train"].cast(pa.bool_()), False).to_numpy()
    names = sorted(rows["source_dataset"].unique().to_pylist(), key=str)
    source = pc.index_in(rows["source_dataset"], pa.array(names, pa.string())).to_numpy()
    return _Rows(groups.joint, prescribed, flagged, source, list(map(str, names)))


def _codes(splits: pa.ChunkedArray) -> np.ndarray:
    """Returns int8 indices into `SPLITS`, -1 where null."""
    codes = pc.index_in(splits.cast(pa.string()), pa.array(SPLITS))
    if codes.null_count != splits.null_count:
        unknown = sorted(set(splits.unique().to_pylist()) - {*SPLITS, None})
        raise ValueError(f"prescribed splits must be of {list(SPLITS)}, got {unknown}")
    return pc.fill_null(codes, -1).cast(pa.int8()).to_numpy()


def _ids(groups: Groups, drawn: np.ndarray) -> pa.Array:
    member = np.zeros(int(groups.joint.max()) + 1, np.int64)
    member[groups.joint] = np.arange(len(groups.joint))  # a row of each group
    return groups.joint_group_id.take(pa.array(member[drawn]))


def _salted(ids: pa.Array, salt: str) -> np.ndarray:
    """Returns a 64-bit hash of each id: a polynomial in its bytes modulo 2^64 by two salted numbers, stirred.

    All ids a column of bytes at a time: a million take 2.4 s, where SHA-256 of each takes 13.9 s on the same core.
    """
    start, factor = np.frombuffer(hashlib.sha256(salt.encode()).digest(), "<u8")[:2]
    width = pc.max(pc.binary_length(ids)).as_py() or 1
    keys = np.full(len(ids), start, np.uint64)
    for first in range(0, len(ids), NAMES_AT_ONCE):
        block = keys[first : first + NAMES_AT_ONCE]
        names = np.array(ids.slice(first, NAMES_AT_ONCE).cast(pa.binary()).to_pylist(), dtype=f"S{width}")
        for column in names.view(np.uint8).reshape(len(names), width).T:
            block *= factor | np.uint64(1)
            block += column
        for shift, stir in ((30, 0xBF58476D1CE4E5B9), (27, 0x94D049BB133111EB), (31, 1)):  # Steele et al. 2014
            block ^= block >> np.uint64(shift)
            block *= np.uint64(stir)
    return keys


def _minima(columns: _Rows, drawn: np.ndarray, chosen: np.ndarray, least: int) -> tuple[Contents, np.ndarray]:
    """Returns what `quotas.draw` needs for minima: which sources are in the drawn groups, and what they still want."""
    count = len(columns.names)
    needs = np.full((len(SPLITS), count), least, np.int64)
    for split in DRAWN:
        stay = (chosen[columns.joint] == split) & ((columns.prescribed == split) | (columns.prescribed < 0))
        needs[split] -= np.bincount(columns.source[stay], minlength=count)
    place = np.full(len(chosen), -1, np.int64)
    place[drawn] = np.arange(len(drawn))
    keys = place[columns.joint] * count + columns.source
    keys, rows = np.unique(keys[keys >= 0], return_counts=True)
    return Contents(*np.divmod(keys, count), rows), needs


def _check_targets(targets: Mapping[int, int], rows: int) -> None:
    if sum(targets.values()) >= rows > 0:
        wanted = ", ".join(f"{SPLITS[split]} {count}" for split, count in targets.items())
        raise InputError(
            f"splits: {wanted} leave no row to train, as {rows} rows are drawn; give fewer, or shares below 1 "
            "(what was read is kept)"
        )


def _reached(targets: Mapping[int, int], sizes: np.ndarray, chosen: np.ndarray) -> dict[str, dict[str, int]]:
    reached = {split: int(sizes[chosen == split].sum()) for split in DRAWN}
    return {
        SPLITS[split]: {"wanted": wanted, "rows": reached[split], "difference": reached[split] - wanted}
        for split, wanted in targets.items()
    }


def _by_source(columns: _Rows, split: np.ndarray, least: int, targets: Mapping[int, int]) -> dict[str, Any]:
    """Counts rows by source and split, and names the sources that come short in a split that there is to be."""
    counts = [np.bincount(columns.source[split == code], minlength=len(columns.names)) for code in range(len(SPLITS))]
    sources = {name: dict(zip(SPLITS, map(int, rows), strict=True)) for name, rows in zip(columns.names, zip(*counts))}
    asked = asked_splits(sources, {SPLITS[code]: wanted for code, wanted in targets.items()})
    return {"sources": sources, "min_per_source": least, "below_minimum": below_minimum(sources, asked, least)}


def asked_splits(sources: Mapping[str, Mapping[str, int]], wanted: Mapping[str, int]) -> list[str]:
    """Returns the held-out splits that there are to be: wanted, or prescribed for some row.

    Args:
        sources: Rows by source and split.
        wanted: Target of each held-out split in rows.
    """
    return [split for split in HELD_OUT if wanted[split] or any(rows[split] for rows in sources.values())]


def below_minimum(sources: Mapping[str, Mapping[str, int]], asked: Sequence[str], least: int) -> list[dict[str, Any]]:
    """Returns `source`, `split` and `rows` where a source has fewer rows in an asked split than each shall have.

    Args:
        sources: Rows by source and split.
        asked: Of `asked_splits`.
        least: Rows that each source shall have in each.
    """
    return [
        {"source": name, "split": split, "rows": rows[split]}
        for name, rows in sources.items()
        for split in asked
        if rows[split] < least
    ]


def _warn(report: Mapping[str, Any]) -> None:
    for shortfall in report["below_minimum"]:
        logger.warning(
            "%s has %d rows in %s, below min_per_source: %d",
            *(shortfall[key] for key in ("source", "rows", "split")),
            report["min_per_source"],
        )
    for name, target in report["targets"].items():
        if target["difference"]:
            logger.warning("whole groups give %s %d rows, not %d", name, target["rows"], target["wanted"])
    for component in report["large_components"][:1]:
        logger.warning(
            "the largest joint group holds %d rows (%.1f %%), joined most by %s, with %s: it moves as one; see "
            "`groups.relations` and `groups.radius` of the recipe",
            *(component["size"], 100 * component["share"], component["relation"], component["sample_id"]),
        )


def representatives(
    rows: pa.Table | Mapping[str, Sequence], joint: np.ndarray | pa.Array | Sequence, split: np.ndarray | Sequence
) -> np.ndarray:
    """Marks one row per joint group and `ir_band` of the held-out splits: sensor before translated, then by sample id.

    For any rows: a whole dataset, or all rows of a few groups.

    Args:
        rows: `sample_id`, `ir_band`, `ir_origin`.
        joint: Joint group of each row: labels or ids.
        split: Of each row: a name or null, or, as in `Assigned`, an int8 index into `schema.SPLITS`. Rows of train,
            or without a split, are never marked.

    Returns:
        bool `(rows,)`.
    """
    codes = split if isinstance(split, np.ndarray) and split.dtype == np.int8 else _codes(_column(split))
    held_out = np.flatnonzero(np.isin(codes, DRAWN))
    names = ("sample_id", "ir_band", "ir_origin")
    table = pa.table({"joint": joint, **{name: rows[name] for name in names}}).take(held_out)
    keys = {name: table[name].combine_chunks().dictionary_encode("encode").indices for name in ("joint", "ir_band")}
    translated = pc.fill_null(pc.not_equal(table["ir_origin"], "sensor"), True)
    order = pc.sort_indices(
        pa.table({**keys, "translated": translated, "sample_id": table["sample_id"]}),
        sort_keys=[(name, "ascending") for name in (*keys, "translated", "sample_id")],
    ).to_numpy()
    group, band = (keys[name].to_numpy()[order] for name in keys)
    first = np.r_[True, (group[1:] != group[:-1]) | (band[1:] != band[:-1])][: len(order)]
    marked = np.zeros(len(codes), bool)
    marked[held_out[order[first]]] = True
    return marked


def _column(values: pa.ChunkedArray | pa.Array | np.ndarray | Sequence) -> pa.ChunkedArray:
    return pa.table({"values": values})["values"]
