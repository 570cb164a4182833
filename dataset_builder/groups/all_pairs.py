"""Joins hashes by comparing all with each other, block by block: for `near_hashes`, where no plan is cheaper."""

from collections.abc import Iterator

import numpy as np

from dataset_builder.groups.components import merge

BLOCK = 512  # values compared with all others at a time
PAIRS = 1 << 18  # pairs compared at a time
PENDING = 1 << 20  # edges gathered before they are merged


def compare_all(values: np.ndarray, labels: np.ndarray, radius: int) -> np.ndarray:
    """Returns the labels after joining all values within the radius.

    A block's values meet the largest component first, each until it is near one of it; those that are near none meet
    all values that are still to come. So of every near pair that is not joined otherwise, the value whose turn comes
    first has met the other.

    Args:
        values: uint64 `(n,)`, distinct.
        labels: Of the values, as in `merge`; what they join already is not compared again.
        radius: Largest number of differing bits.
    """
    done = np.zeros(len(values), dtype=bool)
    while True:
        main = labels == np.bincount(labels).argmax()
        ahead = np.flatnonzero(~(main | done))
        if not len(ahead):
            return labels
        alone, pairs = _meet_one(values, ahead[:BLOCK], np.flatnonzero(main), radius)
        labels = merge(labels, *pairs)
        for left, right in _meet_all(values, alone, ahead, radius):
            labels = merge(labels, left, right)
        done[alone] = True


def _meet_one(values: np.ndarray, rows: np.ndarray, others: np.ndarray, radius: int) -> tuple[np.ndarray, np.ndarray]:
    """Returns the rows that are near none of the others, and an edge `(2, edges)` for each row that is near one."""
    edges = [np.empty((2, 0), np.int64)]
    start = 0
    while start < len(others) and len(rows):
        chunk = others[start : start + PAIRS // len(rows)]
        near = np.bitwise_count(values[rows][:, None] ^ values[chunk]) <= radius  # (rows, chunk)
        met = near.any(1)
        edges.append(np.stack([rows[met], chunk[near[met].argmax(1)]]))
        rows = rows[~met]
        start += len(chunk)
    return rows, np.concatenate(edges, axis=1)


def _meet_all(
    values: np.ndarray, rows: np.ndarray, others: np.ndarray, radius: int
) -> Iterator[tuple[np.ndarray, np.ndarray]]:
    """Yields the edges between rows and others, as two arrays, about `PENDING` at a time."""
    left, right = [], []
    for start in range(0, len(others) if len(rows) else 0, PAIRS // max(1, len(rows))):
        chunk = others[start : start + PAIRS // len(rows)]
        row, column = np.nonzero(np.bitwise_count(values[rows][:, None] ^ values[chunk]) <= radius)
        left.append(rows[row])
        right.append(chunk[column])
        if sum(map(len, left)) > PENDING:
            yield np.concatenate(left), np.concatenate(right)
            left, right = [], []
    if left:
        yield np.concatenate(left), np.concatenate(right)
