"""Which rows belong together, by an audit's own means: every pair of hashes compared, boxes swept, labels joined.

Apart from what a build uses for the same questions, and with no code in common: block by block, exclusive or and a bit
count for each of the n (n - 1) / 2 pairs, so its cost is known before it starts and no index can miss a pair.
"""

import threading
from collections.abc import Callable, Iterable, Iterator
from concurrent.futures import ThreadPoolExecutor

import numpy as np

STRIP, BLOCK = 64, 8192  # hashes compared at once: a block of distances stays in the processor's cache
WAITING_EDGES = 1 << 18
BOX_SHARE = 0.52  # of the smaller box in degrees, to be exceeded: a half, and what rounding adds to it
FAR = np.iinfo(np.int64).max


class Components:
    """Labels of connected components, refined as edges come in; equal labels, equal component.

    Args:
        count: Number of nodes.
    """

    def __init__(self, count: int) -> None:
        self.label = np.arange(count, dtype=np.int64)

    def join(self, left: np.ndarray, right: np.ndarray) -> None:
        """Adds edges, given by their two ends; a node's label becomes the smallest node of its component."""
        label = self.label
        while len(left):
            left_label, right_label = label[left], label[right]
            apart = left_label != right_label
            left, right, left_label, right_label = left[apart], right[apart], left_label[apart], right_label[apart]
            np.minimum.at(label, np.maximum(left_label, right_label), np.minimum(left_label, right_label))
            while not np.array_equal(jumped := label[label], label):
                label[:] = jumped

    def join_equal(self, rows: np.ndarray, values: np.ndarray) -> None:
        """Joins the rows that have a value in common."""
        order = np.argsort(values, kind="stable")
        same = values[order][1:] == values[order][:-1]
        self.join(rows[order][:-1][same], rows[order][1:][same])

    def copy(self) -> "Components":
        """Returns components that can be joined further without changing these."""
        other = Components(0)
        other.label = self.label.copy()
        return other


def join_near(components: Components, rows: np.ndarray, hashes: np.ndarray, radius: int, threads: int = 1) -> int:
    """Joins the rows whose hashes differ in at most `radius` bits; returns how many pairs of hashes were compared.

    Args:
        components: What they are joined in.
        rows, hashes: Nodes and uint64 hashes `(n,)`.
        radius: Of 64 bits.
        threads: That compare.
    """
    values, first = np.unique(hashes, return_index=True)
    components.join_equal(rows, hashes)
    node, waiting, lock = rows[first], [], threading.Lock()

    def flush() -> None:
        if waiting:
            components.join(*np.concatenate(waiting, axis=1))
            waiting.clear()

    def keep(left: np.ndarray, right: np.ndarray, distance: np.ndarray) -> None:
        left, right = node[left], node[right]
        # A label names a node of the same component at any moment: what is equal now needs no edge.
        new = components.label[left] != components.label[right]
        if new.any():
            with lock:
                waiting.append(np.stack([left[new], right[new]]))
                if sum(edges.shape[1] for edges in waiting) > WAITING_EDGES:
                    flush()

    _compare(values, None, radius, keep, threads)
    flush()
    return len(values) * (len(values) - 1) // 2


def nearest(
    ours: np.ndarray, theirs: np.ndarray, radius: int, threads: int = 1
) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Finds the nearest of their hashes for each of ours, within a radius; every pair is compared.

    Args:
        ours, theirs: uint64 `(n,)` and `(m,)`.
        radius: Of 64 bits.
        threads: That compare.

    Returns:
        Partner `(n,)`, an index of `theirs` or -1 (the first of those equally near), distance in bits `(n,)` (-1 where
        none), and whether any of ours is near each of theirs, bool `(m,)`.
    """
    values, back = np.unique(ours, return_inverse=True)
    others, first, other_back = np.unique(theirs, return_index=True, return_inverse=True)
    best, seen, lock = np.full(len(values), FAR), np.zeros(len(others), dtype=bool), threading.Lock()

    def keep(left: np.ndarray, right: np.ndarray, distance: np.ndarray) -> None:
        with lock:
            np.minimum.at(best, left, (distance.astype(np.int64) << 40) | first[right])
            seen[right] = True

    _compare(values, others, radius, keep, threads)
    best = best[back.reshape(-1)]
    hits = best != FAR
    partner = np.where(hits, best & ((1 << 40) - 1), -1)
    return partner, np.where(hits, best >> 40, -1), seen[other_back.reshape(-1)]


def _compare(left: np.ndarray, right: np.ndarray | None, radius: int, keep: Callable[..., None], threads: int) -> None:
    """Gives `keep` the index pairs, with their distances, that lie within the radius; without `right`, of one set."""
    other = left if right is None else right

    def strip(start: int) -> None:
        rows = left[start : start + STRIP, None]
        for low in range(0 if right is not None else start, len(other), BLOCK):
            distance = np.bitwise_count(rows ^ other[None, low : low + BLOCK])
            at = np.flatnonzero(distance <= radius)
            if not len(at):
                continue
            row, column = np.divmod(at, distance.shape[1])
            near, row, column = distance.ravel()[at], row + start, column + low
            once = row < column if right is None else slice(None)
            keep(row[once], column[once], near[once])

    starts = range(0, len(left), STRIP)
    if threads <= 1:
        for start in starts:
            strip(start)
        return
    with ThreadPoolExecutor(threads) as pool:  # numpy lets the others run while it compares
        for _ in pool.map(strip, starts):
            pass


def overlapping_pairs(
    tiles: np.ndarray, frame: np.ndarray, boxes: np.ndarray
) -> Iterator[tuple[np.ndarray, np.ndarray]]:
    """Yields pairs of rows whose footprints share more than half of the smaller one's area.

    Args:
        tiles: Pixels of the scene's grid `(n, 4)`: left, top, right, bottom; NaN where no scene is known.
        frame: Integer `(n,)`: which scene; 0 where none is known. Tiles of one scene are compared by pixels alone.
        boxes: WGS 84 `(n, 4)`: west, south, east, north; NaN where not known; east below west: across 180 degrees.
            They are rounded and reach around what is turned, so of them more than `BOX_SHARE` must be shared.
    """
    scene_rows = np.flatnonzero(frame != 0)
    for left, right in _sweep(tiles[scene_rows], frame[scene_rows], 0.5):
        yield scene_rows[left], scene_rows[right]
    rows = np.arange(len(boxes))
    boxes = boxes.copy()
    boxes[:, 2] += 360.0 * (boxes[:, 2] < boxes[:, 0])
    beyond = np.flatnonzero(boxes[:, 2] > 180)  # seen from the other side as well
    rows, boxes = np.r_[rows, beyond], np.r_[boxes, boxes[beyond] - [360.0, 0.0, 360.0, 0.0]]
    for left, right in _sweep(boxes, np.zeros(len(boxes), dtype=np.int64), BOX_SHARE):
        left, right = rows[left], rows[right]
        other = (frame[left] != frame[right]) | (frame[left] == 0)
        yield left[other], right[other]


def _sweep(boxes: np.ndarray, frame: np.ndarray, share: float) -> Iterator[tuple[np.ndarray, np.ndarray]]:
    """Moves along x: a box is compared with those of its frame that begin before it ends. Empty boxes meet none."""
    used = np.flatnonzero((boxes[:, 2] > boxes[:, 0]) & (boxes[:, 3] > boxes[:, 1]))
    used = used[np.lexsort((boxes[used, 0], frame[used]))]
    x0, y0, x1, y1 = boxes[used].T
    area = (x1 - x0) * (y1 - y0)
    end = np.empty(len(used), dtype=np.int64)
    for start, stop in _runs(frame[used]):
        end[start:stop] = start + np.searchsorted(x0[start:stop], x1[start:stop])
    left, step = np.arange(len(used)), 1
    while len(left := left[left + step < end[left]]):
        right = left + step
        wide = np.minimum(x1[left], x1[right]) - x0[right]
        high = np.minimum(y1[left], y1[right]) - np.maximum(y0[left], y0[right])
        shared = (high > 0) & (wide * high > share * np.minimum(area[left], area[right]))
        if shared.any():
            yield used[left[shared]], used[right[shared]]
        step += 1


def _runs(ordered: np.ndarray) -> Iterable[tuple[int, int]]:
    edges = np.flatnonzero(np.r_[True, ordered[1:] != ordered[:-1], True]) if len(ordered) else np.zeros(1, int)
    return zip(edges[:-1].tolist(), edges[1:].tolist())
