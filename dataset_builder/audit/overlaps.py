"""What two sets of rows have in common, relation by relation: leaks between splits, contamination between datasets."""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from dataset_builder.audit.pairs import nearest, overlapping_pairs

IMAGE_RELATIONS = ("bytes", "rgb_phash", "ir_phash", "footprint")
RELATIONS = (*IMAGE_RELATIONS, "caption")
TURNED = ("rgb_turned", "ir_turned")  # near once flipped or turned; on request
ANY = "any"  # related in at least one way
EXAMPLES = 5


@dataclass(frozen=True, slots=True)
class Overlap:
    """How many rows of two sets are related in one way.

    Args:
        split, other_split: The two sets.
        relation: `bytes` (the same image file), `rgb_phash`, `ir_phash` (hashes within the radius), `footprint` (more
            than half of the smaller in common), `caption` (equal once normalised), `rgb_turned`, `ir_turned`; `any`.
        rows, share: Rows of the first set with a partner in the second, and their share of it.
        other_rows, other_share: The same of the second set.
        examples: A few `(sample_id, sample_id of the partner, distance in bits)`, nearest first.
    """

    split: str
    other_split: str
    relation: str
    rows: int
    share: float
    other_rows: int
    other_share: float
    examples: list[tuple[str, str, int]]


class Rows:
    """A table of keys, read as arrays.

    Args:
        table: With the schema `keys.KEYS`.
    """

    def __init__(self, table: pa.Table) -> None:
        self.table = table

    def __len__(self) -> int:
        return len(self.table)

    def of_split(self, split: str | None) -> "Rows":
        """Returns the rows of a split; of None, those that have none."""
        column = self.table["split"]
        return Rows(self.table.filter(pc.is_null(column) if split is None else pc.equal(column, split)))

    def splits(self) -> dict[str, int]:
        """Returns rows by split, largest first; those without a split are not counted."""
        counts = pc.value_counts(self.table["split"].drop_null()).to_pylist()
        return {
            one["values"]: one["counts"] for one in sorted(counts, key=lambda one: (-one["counts"], one["values"]))
        }

    def ids(self, rows: Sequence[int] | np.ndarray) -> list[str]:
        """Returns sample ids."""
        return [str(text) for text in self.table["sample_id"].take(pa.array(rows, pa.int64())).to_pylist()]

    def known(self, column: str) -> tuple[np.ndarray, np.ndarray]:
        """Returns the rows whose value is not null, and the values; of a list column, a row for each element."""
        values = self.table[column].combine_chunks()
        if pa.types.is_list(values.type):
            return pc.list_parent_indices(values).to_numpy(), pc.list_flatten(values).to_numpy()
        rows = np.flatnonzero(values.is_valid().to_numpy(zero_copy_only=False))
        return rows, values.drop_null().to_numpy(zero_copy_only=False)

    def footprints(self) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
        """Returns tiles `(n, 4)`, scenes uint64 `(n,)` (0 where none) and boxes `(n, 4)`; NaN where not known."""
        scene = self.table["scene"].fill_null(0).to_numpy()
        return self._corners("tile"), scene, self._corners("box")

    def _corners(self, column: str) -> np.ndarray:
        corners = np.full((len(self), 4), np.nan)
        values = self.table[column].combine_chunks()
        rows = np.flatnonzero(values.is_valid().to_numpy(zero_copy_only=False))
        corners[rows] = values.drop_null().flatten().to_numpy().reshape(-1, 4)
        return corners

    def by_band(self, column: str) -> dict[str, tuple[np.ndarray, np.ndarray]]:
        """Returns what `known` does, apart by `ir_band`; rows without a band are in none."""
        rows, values = self.known(column)
        bands = np.array(self.table["ir_band"].fill_null("").to_pylist(), dtype=object)[rows]
        return {band: (rows[bands == band], values[bands == band]) for band in sorted(set(bands) - {""})}


@dataclass(slots=True)
class _Match:
    """Partner (-1: none) and distance of each of ours, and which of theirs have one."""

    partner: np.ndarray
    distance: np.ndarray
    other: np.ndarray

    @classmethod
    def none(cls, ours: Rows, theirs: Rows) -> "_Match":
        return cls(np.full(len(ours), -1), np.full(len(ours), 99), np.zeros(len(theirs), dtype=bool))

    def add(self, rows: np.ndarray, partner: np.ndarray, distance: np.ndarray | int, other: np.ndarray) -> None:
        """Takes what is nearer than before; of equals the first partner."""
        distance = np.broadcast_to(distance, rows.shape)
        order = np.lexsort((partner, distance, rows))
        rows, first = np.unique(rows[order], return_index=True)
        partner, distance = partner[order][first], distance[order][first]
        nearer = distance < self.distance[rows]
        self.partner[rows[nearer]], self.distance[rows[nearer]] = partner[nearer], distance[nearer]
        self.other[other] = True


def find_overlaps(
    ours: Rows,
    theirs: Rows,
    names: tuple[str, str],
    relations: Sequence[str],
    radius: int,
    threads: int = 1,
    within_band: bool = False,
) -> list[Overlap]:
    """Compares every row of one set with every row of another.

    Args:
        ours, theirs: The sets.
        names: What they are called.
        relations: Of `RELATIONS` and `TURNED`.
        radius: Hamming radius of hashes, of 64 bits.
        threads: That compare.
        within_band: Compare infrared only where both rows have the same `ir_band`, as groups do.

    Returns:
        One overlap a relation, also where it is empty, and last the one of `any`, without examples.
    """
    overlaps, related = [], (np.zeros(len(ours), dtype=bool), np.zeros(len(theirs), dtype=bool))
    for relation in relations:
        match = _match(ours, theirs, relation, radius, threads, within_band)
        rows = np.flatnonzero(match.partner >= 0)
        shown = rows[np.argsort(match.distance[rows], kind="stable")[:EXAMPLES]]
        partners, distances = theirs.ids(match.partner[shown]), match.distance[shown].tolist()
        examples = list(zip(ours.ids(shown), partners, distances, strict=True))
        overlaps.append(_counted(names, relation, match.partner >= 0, match.other, examples))
        for whole, part in zip(related, (match.partner >= 0, match.other), strict=True):
            whole |= part
    return [*overlaps, _counted(names, ANY, *related, [])]


def _counted(
    names: tuple[str, str], relation: str, rows: np.ndarray, other: np.ndarray, examples: list[tuple[str, str, int]]
) -> Overlap:
    return Overlap(
        split=names[0],
        other_split=names[1],
        relation=relation,
        rows=int(rows.sum()),
        share=float(rows.sum() / max(len(rows), 1)),
        other_rows=int(other.sum()),
        other_share=float(other.sum() / max(len(other), 1)),
        examples=examples,
    )


def _match(ours: Rows, theirs: Rows, relation: str, radius: int, threads: int, within_band: bool) -> _Match:
    match = _Match.none(ours, theirs)
    if relation == "footprint":
        _match_footprints(match, ours, theirs)
    elif relation in ("bytes", "caption"):
        column = "captions" if relation == "caption" else "bytes"
        _match_equal(match, ours.known(column), theirs.known(column))
    elif relation == "ir_phash" and within_band:
        others = theirs.by_band("ir")
        for band, hashes in ours.by_band("ir").items():
            if band in others:
                _match_near(match, hashes, others[band], radius, threads)
    else:
        column = relation.removesuffix("_phash")
        _match_near(match, ours.known(column.removesuffix("_turned")), theirs.known(column), radius, threads)
    return match


Column = tuple[np.ndarray, np.ndarray]


def _match_near(match: _Match, ours: Column, theirs: Column, radius: int, threads: int) -> None:
    (rows, values), (other_rows, others) = ours, theirs
    partner, distance, other = nearest(values.astype(np.uint64), others.astype(np.uint64), radius, threads)
    near = partner >= 0
    match.add(rows[near], other_rows[partner[near]], distance[near], other_rows[other])


def _match_equal(match: _Match, ours: Column, theirs: Column) -> None:
    (rows, values), (other_rows, others) = ours, theirs
    order = np.argsort(others, kind="stable")
    ordered = others[order]
    at = np.searchsorted(ordered, values)
    equal = np.zeros(len(values), dtype=bool)
    inside = at < len(ordered)
    equal[inside] = ordered[at[inside]] == values[inside]
    match.add(rows[equal], other_rows[order[at[equal]]], 0, other_rows[np.isin(others, values)])


def _match_footprints(match: _Match, ours: Rows, theirs: Rows) -> None:
    parts = [np.concatenate(pair) for pair in zip(ours.footprints(), theirs.footprints(), strict=True)]
    tiles, scenes, boxes = parts
    for left, right in overlapping_pairs(tiles, frames(scenes), boxes):
        low, high = np.minimum(left, right), np.maximum(left, right)
        between = (low < len(ours)) & (high >= len(ours))
        match.add(low[between], high[between] - len(ours), 0, high[between] - len(ours))


def frames(scenes: np.ndarray) -> np.ndarray:
    """Numbers scenes from 1; 0 stays 0."""
    names, number = np.unique(np.r_[np.zeros(1, np.uint64), scenes.astype(np.uint64)], return_inverse=True)
    return number.reshape(-1)[1:]
