"""Connected components of 64-bit hashes under a Hamming radius, exactly and without listing all near pairs.

Apart from `grouping.py`, which knows rows and relations: here are numbers only.
"""

import itertools
import math
import os
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass

import numpy as np

from dataset_builder.groups.all_pairs import PENDING, compare_all
from dataset_builder.groups.components import merge
from dataset_builder.groups.keys import HASH_BITS

CHUNK = 1 << 16  # values worked on at a time: they stay in the cache
BESIDE = 8  # how far apart in sorted order every two values are compared
CROWDED = 64  # a run of equal keys up to this long is compared pair by pair
SMALL = 1 << 20  # so few pairs are compared without a plan
SORT, PAIR, COMPARED = 40e-9, 2e-9, 0.6e-9  # seconds: a value sorted by a key, a pair in a run, a pair in a block
KEY, RUN = 3e-4, 1e-4  # seconds: a key by itself, a crowded run by itself


def near_components(hashes: np.ndarray, radius: int, threads: int | None = None) -> np.ndarray:
    """Joins hashes that a chain of steps of at most `radius` differing bits connects.

    `radius` bits touch at most `radius` of `radius + k` bands, so two near hashes agree in `k` whole bands. For every
    choice of `k` bands the hashes are sorted with these first: equal keys form runs, and a run is compared pair by
    pair, or, where it is crowded, searched anew by the bits that still vary in it. What is joined already is not
    compared again. Bits are dealt to bands so that each tells equally much.

    Args:
        hashes: uint64 `(n,)`; may repeat.
        radius: Largest number of differing bits of a step, 0 to 63.
        threads: Threads over the choices of bands; None: one a processor, at most 4. The result is the same.

    Returns:
        int32 `(n,)`: for each hash the index of one member of its component, the same for all members.
    """
    if not len(hashes):
        return np.empty(0, np.int32)
    order = np.argsort(hashes).astype(np.int32)
    values = hashes[order]
    new = np.concatenate([[True], values[1:] != values[:-1]])
    first, values = order[new], values[new]  # (distinct,), an index of each value
    labels = np.arange(len(first), dtype=np.int32)
    if radius > 0:
        with ThreadPoolExecutor(threads or min(4, os.cpu_count() or 1)) as pool:
            labels = _join(values, labels, radius, pool if len(values) > CHUNK else None)
    components = np.empty(len(hashes), dtype=np.int32)
    components[order] = first[labels][np.cumsum(new, dtype=np.int32) - 1]
    return components


@dataclass(frozen=True, slots=True)
class _Plan:
    """How a set is searched.

    Args:
        order: The bits from the highest down, as fields (shift, 1) of the values.
        bands: Fields (shift, width) of the values so ordered; what they leave over are the lowest bits.
        agree: How many bands make a key.
        scan, cost: Estimated seconds to sort by all keys; to search the set.
    """

    order: list[tuple[int, int]]
    bands: list[tuple[int, int]]
    agree: int
    scan: float
    cost: float


def _plan(values: np.ndarray, radius: int, varying: int) -> _Plan:
    """Chooses how many bands make a key, by what sorting costs and how many pairs share a key by chance.

    Args:
        values: uint64 `(n,)`, distinct.
        radius: As in `near_components`.
        varying: The bits that vary, more than `radius`.
    """
    sample = values[:: max(1, len(values) // 8192)].astype("<u8").view(np.uint8).reshape(-1, 8)
    ones = np.unpackbits(sample, axis=1, bitorder="little").mean(0)  # (64,), the lowest bit first
    entropy = -np.log2(ones**2 + (1 - ones) ** 2)  # (64,), what a bit tells: 1 if balanced, 0 if constant
    bits = sorted((bit for bit in range(HASH_BITS) if varying >> bit & 1), key=lambda bit: (-entropy[bit], bit))
    choices = []
    for agree in range(1, min(6, len(bits) - radius) + 1):
        count = math.comb(radius + agree, agree)
        keys = 2 ** (entropy.sum() * agree / (radius + agree))  # that are told apart
        scan = count * (KEY + len(values) * SORT)
        runs = len(values) ** 2 / 2 / keys * PAIR + (keys * RUN if len(values) > keys * CROWDED / 2 else 0)
        choices.append((scan + min(count * runs, len(values) ** 2 / 2 * COMPARED), scan, agree))
    cost, scan, agree = min(choices)
    dealt = [bits[band :: radius + agree] for band in range(radius + agree)]
    ends = HASH_BITS - np.cumsum([len(band) for band in dealt])
    rest = [bit for bit in range(HASH_BITS) if not varying >> bit & 1]
    order = [(bit, 1) for bit in [*itertools.chain(*dealt), *rest]]
    return _Plan(order, [(int(end), len(band)) for end, band in zip(ends, dealt, strict=True)], agree, scan, cost)


def _move(values: np.ndarray, fields: Sequence[tuple[int, int]]) -> np.ndarray:
    """Rearranges the bits of values.

    Args:
        values: uint64 `(n,)`.
        fields: `(shift, width)` of each field of a value, in the new order from the highest bit down; 64 bits in all.
    """
    moves, target = [], HASH_BITS
    for shift, width in fields:
        target -= width
        moves.append((np.uint64(shift), np.uint64((1 << width) - 1), np.uint64(target)))
    moved = np.empty_like(values)
    for start in range(0, len(values), CHUNK):
        chunk = values[start : start + CHUNK]
        out = np.zeros_like(chunk)
        for shift, mask, target in moves:
            out |= (chunk >> shift & mask) << target
        moved[start : start + CHUNK] = out
    return moved


def _join(values: np.ndarray, labels: np.ndarray, radius: int, pool: ThreadPoolExecutor | None = None) -> np.ndarray:
    """Returns the labels after joining all values, which are distinct, within the radius; labels as in `merge`."""
    outside = len(values) - int(np.bincount(labels).max())
    if not outside:
        return labels
    varying = int(np.bitwise_or.reduce(values ^ values[0]))
    if varying.bit_count() <= radius:
        return np.zeros_like(labels)
    if len(values) * outside <= SMALL:
        return compare_all(values, labels, radius)
    plan = _plan(values, radius, varying)
    if len(values) * outside * COMPARED <= plan.scan:
        return compare_all(values, labels, radius)
    dealt = _move(values, plan.order)
    order = np.argsort(dealt).astype(np.int32)
    place = np.empty_like(order)
    place[order] = np.arange(len(order), dtype=np.int32)
    search = _Search(dealt[order], place[labels[order]], radius, plan)
    run = pool.map if pool else map
    crowded = False
    for left, right, more in run(search.scan, search.keys()):
        search.labels = merge(search.labels, left, right)
        crowded |= more
    if crowded:
        outside = len(values) - int(np.bincount(search.labels).max())
        if len(values) * outside * COMPARED <= plan.cost:
            search.labels = compare_all(search.values, search.labels, radius)
        else:
            for left, right in run(search.crowds, search.keys()):
                search.labels = merge(search.labels, left, right)
    return order[search.labels][place]


@dataclass(slots=True)
class _Search:
    """The search of one set by keys made of bands.

    Args:
        values: uint64 `(n,)`, distinct, sorted, in the plan's order of bits.
        labels: Of the values, as in `merge`. Threads read whichever are newest: they only spare work.
        radius: As in `near_components`.
        plan: Of the set.
    """

    values: np.ndarray
    labels: np.ndarray
    radius: int
    plan: _Plan

    def keys(self) -> Iterator[tuple[int, ...]]:
        """Yields the choices of bands."""
        return itertools.combinations(range(len(self.plan.bands)), self.plan.agree)

    def scan(self, key: tuple[int, ...]) -> tuple[np.ndarray, np.ndarray, bool]:
        """Joins neighbours in the key's order, and all near pairs in runs that are not crowded.

        Returns:
            Edges, as two arrays of indices, and whether any run is crowded.
        """
        view = _View(self.values, self.plan, key)
        numbers = np.arange(len(self.values), dtype=np.int32)
        joined = np.zeros(len(numbers), dtype=bool)
        joined[_where(view.ordered, 1, self._near) + 1] = True
        local = np.maximum.accumulate(np.where(joined, np.int32(0), numbers))  # where the chain of neighbours starts
        starts, stops = view.crowded_runs()
        waiting = []
        for distance, at in self._near_in_runs(view, starts, stops):
            at = at[local[at] != local[at + distance]]
            waiting.append(np.stack([at, at + distance]))
            if sum(map(np.size, waiting)) > PENDING:
                local = merge(local, *np.concatenate(waiting, axis=1))
                waiting.clear()
        if waiting:
            local = merge(local, *np.concatenate(waiting, axis=1))
        members = np.flatnonzero(local != numbers)
        left, right = np.split(view.places(np.concatenate([members, local[members]])), 2)
        labels = self.labels
        apart = labels[left] != labels[right]
        return left[apart], right[apart], bool(len(starts))

    def _near(self, differing: np.ndarray) -> np.ndarray:
        return np.bitwise_count(differing) <= self.radius

    def _near_in_runs(self, view: "_View", starts: np.ndarray, stops: np.ndarray) -> Iterator[tuple[int, np.ndarray]]:
        """Yields distances, and positions in the key's order that are near the position so much further on."""
        ordered = view.ordered
        for distance in range(2, BESIDE + 1):
            yield distance, _where(ordered, distance, self._near)
        active = _where(ordered, BESIDE, view.same_key)
        if len(starts):
            active = active[active >= np.concatenate([[0], stops])[np.searchsorted(starts, active, side="right")]]
        for distance in range(BESIDE + 1, CROWDED):
            active = active[active + distance < len(ordered)]
            if not len(active):
                return
            differing = ordered[active] ^ ordered[active + distance]
            same = view.same_key(differing)
            active = active[same]
            yield distance, active[self._near(differing[same])]

    def crowds(self, key: tuple[int, ...]) -> tuple[np.ndarray, np.ndarray]:
        """Joins all near values of the key's crowded runs; returns edges as two arrays of indices."""
        view = _View(self.values, self.plan, key)
        starts, stops = view.crowded_runs()
        edges = [np.empty((2, 0), np.int32)]
        if len(starts):
            places = view.places(np.concatenate([np.arange(*run) for run in zip(starts, stops, strict=True)]))
            labels = self.labels[places]
            begins = np.concatenate([[0], np.cumsum(stops - starts)[:-1]])
            apart = np.minimum.reduceat(labels, begins) != np.maximum.reduceat(labels, begins)
            for run in np.flatnonzero(apart):
                inside = slice(begins[run], begins[run] + stops[run] - starts[run])
                _, first, member = np.unique(labels[inside], return_index=True, return_inverse=True)
                before = first[member].astype(np.int32)
                after = _join(view.ordered[starts[run] : stops[run]], before, self.radius)
                moved = np.flatnonzero(after != before)
                edges.append(np.stack([places[inside][moved], places[inside][after[moved]]]))
        left, right = np.concatenate(edges, axis=1)
        return left, right


class _View:
    """Values in the order of a key: its bands are the highest bits; equal keys lie in runs."""

    def __init__(self, values: np.ndarray, plan: _Plan, key: tuple[int, ...]) -> None:
        fields = [plan.bands[band] for band in key]
        self.shift = np.uint64(HASH_BITS - sum(width for _, width in fields))
        fields += [band for index, band in enumerate(plan.bands) if index not in key]
        fields.append((0, plan.bands[-1][0]))
        targets = HASH_BITS - np.cumsum([width for _, width in fields])
        back = sorted(zip(fields, targets.tolist(), strict=True), reverse=True)
        self.back = [(target, width) for (_, width), target in back]
        self.values, self.fields = values, fields
        self.ordered = _move(values, fields)
        self.ordered.sort()

    def same_key(self, differing: np.ndarray) -> np.ndarray:
        """Tells of pairs, given by their differing bits, whether they share the key."""
        return differing >> self.shift == 0

    def places(self, positions: np.ndarray) -> np.ndarray:
        """Returns the indices, int32, of the values at positions of this order."""
        if len(positions) * 32 > len(self.values):
            return np.argsort(_move(self.values, self.fields)).astype(np.int32)[positions]
        return np.searchsorted(self.values, _move(self.ordered[positions], self.back)).astype(np.int32)

    def crowded_runs(self) -> tuple[np.ndarray, np.ndarray]:
        """Returns where runs of more than `CROWDED` values start and stop."""
        keys = self.ordered[_where(self.ordered, CROWDED, self.same_key)] >> self.shift
        keys = keys[np.diff(keys, prepend=~keys[:1]) != 0]
        last = keys << self.shift | (np.uint64(1) << self.shift) - np.uint64(1)
        return np.searchsorted(self.ordered, keys << self.shift), np.searchsorted(self.ordered, last, side="right")


def _where(ordered: np.ndarray, distance: int, test: Callable[[np.ndarray], np.ndarray]) -> np.ndarray:
    """Returns the positions whose differing bits to the value `distance` further on pass a test."""
    positions = [np.empty(0, np.int64)]
    for start in range(0, len(ordered) - distance, CHUNK):
        far = ordered[start + distance : start + distance + CHUNK]
        positions.append(np.flatnonzero(test(ordered[start : start + len(far)] ^ far)) + start)
    return np.concatenate(positions)
