"""Whole groups -> held-out splits of wanted sizes: a minimum of each source first, then exactly to the targets.

Apart from `splits.py` because nothing here knows of rows, ids or recipes; groups come with their sizes, in the order
of the draw. Splits are numbers: 0 train, 1 validation, 2 test, as in `schema.SPLITS`.
"""

from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass

import numpy as np

from dataset_builder.schema import HELD_OUT, SPLITS

DRAWN = tuple(map(SPLITS.index, HELD_OUT))  # 1, 2
MAX_SUM_PAIRS = 2**22  # pairs of sums that an exact search looks at, at most: a few seconds
CHUNK = 4096
UNREACHED = np.iinfo(np.int32).max

Cost = Callable[[np.ndarray, np.ndarray], np.ndarray]


@dataclass(frozen=True, slots=True)
class Contents:
    """Which sources the groups hold, an entry for each group and source.

    Args:
        group: Place of the group in the order of the draw, sorted; int64 `(entries,)`.
        source: Number of the source; int64 `(entries,)`.
        rows: Rows of that source in that group; int64 `(entries,)`.
    """

    group: np.ndarray
    source: np.ndarray
    rows: np.ndarray


def draw(
    sizes: np.ndarray, targets: Mapping[int, int], contents: Contents | None = None, needs: np.ndarray | None = None
) -> np.ndarray:
    """Draws whole groups into validation and test; the rest is train.

    Minima come first and never beyond the targets: the source with the fewest rows first, validation and test in turn.
    A source's groups are taken in this order: of that source alone, small, mostly of that source, early in the draw.
    Where that leaves it short, an exact search over its groups follows. What is then free is filled in the order of
    the draw. Where that leaves a gap, the last groups drawn are exchanged for others by subset sums: as few as give
    the exact sizes; where none do, for those nearest to the targets, above or below (of two equally near the smaller
    one), without emptying train. The nearest is proven where at most `MAX_SUM_PAIRS` pairs of sums come into question,
    beyond that for each split by itself.

    Args:
        sizes: Rows of each group, at least 1, in the order of the draw; int64 `(groups,)`.
        targets: Rows wanted in validation (1) and test (2).
        contents: For minima; None: there are none.
        needs: Rows still wanted of each source; int64 `(3, sources)`, the first line (train) is not read.

    Returns:
        int8 `(groups,)`: 0, 1 or 2.
    """
    chosen = np.zeros(len(sizes), np.int8)
    free = {split: targets[split] for split in DRAWN}
    if contents is not None:
        _meet_minima(chosen, sizes, contents, free, needs.copy())
    _fill(chosen, sizes, free)
    return chosen


def _meet_minima(
    chosen: np.ndarray, sizes: np.ndarray, contents: Contents, free: dict[int, int], needs: np.ndarray
) -> None:
    """Marks in `chosen` what gives each source its minimum, and lowers `free` and `needs` by it."""
    supply = np.bincount(contents.source, contents.rows, needs.shape[1])
    first = np.searchsorted(contents.group, np.arange(len(sizes) + 1))
    mixed = np.diff(first) > 1
    for source in np.argsort(supply, kind="stable"):
        indices = np.flatnonzero(contents.source == source)
        indices = indices[chosen[contents.group[indices]] == 0]
        groups, rows = contents.group[indices], contents.rows[indices]
        order = np.lexsort((-rows, sizes[groups], mixed[groups]))
        groups, rows = groups[order], rows[order]
        wanted = {split: int(needs[split, source]) for split in DRAWN}
        codes = _in_turn(rows, sizes[groups], free, wanted)
        if any(wanted[split] > rows[codes == split].sum() for split in DRAWN):
            exact = _at_least(rows, sizes[groups], free, wanted)
            codes = codes if exact is None else exact
        for split in DRAWN:
            for group in groups[codes == split]:
                chosen[group] = split
                free[split] -= int(sizes[group])
                entries = slice(first[group], first[group + 1])
                needs[split, contents.source[entries]] -= contents.rows[entries]


def _in_turn(rows: np.ndarray, sizes: np.ndarray, free: Mapping[int, int], wanted: Mapping[int, int]) -> np.ndarray:
    """Gives candidates to validation and test in turn until each has the rows wanted; 0: to neither."""
    codes, turn, free, wanted = np.zeros(len(rows), np.int8), DRAWN[0], dict(free), dict(wanted)
    for place, count, size in _entries(rows, sizes):
        if max(wanted.values()) <= 0:
            break
        for split in (turn, sum(DRAWN) - turn):
            if wanted[split] > 0 and size <= free[split]:
                codes[place] = split
                wanted[split] -= count
                free[split] -= size
                turn = sum(DRAWN) - split
                break
    return codes


def _entries(rows: np.ndarray, sizes: np.ndarray) -> Iterator[tuple[int, int, int]]:
    """Yields place, rows and size, as Python numbers, without a list of all."""
    for start in range(0, len(rows), CHUNK):
        stop = start + CHUNK
        yield from zip(range(start, stop), rows[start:stop].tolist(), sizes[start:stop].tolist())


def _at_least(
    rows: np.ndarray, sizes: np.ndarray, free: Mapping[int, int], wanted: Mapping[int, int]
) -> np.ndarray | None:
    """Chooses candidates so that each split has the rows wanted, with as few rows as can be; None: not found."""
    first, second = (max(wanted[split], 0) for split in DRAWN)
    enough = max(first, second)  # a group with more does no more
    caps = first + enough - 1, second + enough - 1
    if enough == 0 or not _searchable(caps):
        return None

    def cost(a: np.ndarray, b: np.ndarray) -> np.ndarray:
        return np.where((a >= first) & (b >= second), a + b, UNREACHED)

    codes = choose_sums(np.minimum(rows, enough), caps, cost)
    fits = codes is not None and all(sizes[codes == split].sum() <= free[split] for split in DRAWN)
    return codes if fits else None


def _fill(chosen: np.ndarray, sizes: np.ndarray, free: dict[int, int]) -> None:
    """Marks in `chosen` what fills the splits: test before validation, then more and more of the last ones anew."""
    loose = chosen == 0  # what minima chose stays
    for split in reversed(DRAWN):
        taken = _first_that_fit(np.flatnonzero(chosen == 0), sizes, free[split])
        chosen[taken] = split
        free[split] -= int(sizes[taken].sum())
    back, searched = 2, True
    while any(free.values()) and searched:
        filled = {split: np.flatnonzero(loose & (chosen == split)) for split in DRAWN}
        searched = _exchange(chosen, sizes, free, {split: places[-back:] for split, places in filled.items()})
        if back >= max(map(len, filled.values())):
            return
        back *= 4
    for split in DRAWN:
        if free[split]:
            _exchange(chosen, sizes, free, {split: np.flatnonzero(loose & (chosen == split))})


def _exchange(chosen: np.ndarray, sizes: np.ndarray, free: dict[int, int], undone: Mapping[int, np.ndarray]) -> bool:
    """Chooses anew, for the splits of `undone`, from those groups and train, if that is nearer; False: too large."""
    gap = sum(abs(free[split]) for split in undone)
    wanted = [free[split] + int(sizes[undone[split]].sum()) if split in undone else 0 for split in DRAWN]
    pool = np.sort(np.concatenate([np.flatnonzero(chosen == 0), *undone.values()]))
    whole = int(sizes[pool].sum())
    barred = whole if whole > sum(wanted) else -1  # would empty train
    # A sum that is further off than the gap is no gain.
    caps = tuple(min(rows + gap - 1, whole) if s in undone else 0 for s, rows in zip(DRAWN, wanted))
    if not _searchable(caps):
        return False

    def cost(a: np.ndarray, b: np.ndarray) -> np.ndarray:
        far = 2 * (abs(a - wanted[0]) + abs(b - wanted[1])) + (a + b > sum(wanted))
        return np.where(a + b == barred, UNREACHED, far)

    codes = choose_sums(sizes[pool], caps, cost)
    if codes is None:
        return True
    remainders = {split: wanted[split - 1] - int(sizes[pool[codes == split]].sum()) for split in undone}
    if sum(map(abs, remainders.values())) < gap:
        chosen[pool] = codes
        free.update(remainders)
    return True


def _searchable(caps: tuple[int, int]) -> bool:
    return (caps[0] + 1) * (caps[1] + 1) <= MAX_SUM_PAIRS


def _first_that_fit(places: np.ndarray, sizes: np.ndarray, free: int) -> np.ndarray:
    """Takes each group, in order, that still fits; returns the places taken."""
    taken = [places[:0]]
    while free > 0 and len(places := places[sizes[places] <= free]):
        total = np.cumsum(sizes[places])
        stop = int(np.searchsorted(total, free, side="right"))
        taken.append(places[:stop])
        free -= int(total[stop - 1])
        places = places[stop:]
    return np.concatenate(taken)


def choose_sums(weights: np.ndarray, caps: tuple[int, int], cost: Cost) -> np.ndarray | None:
    """Chooses two disjoint subsets whose sums cost least, exactly, by reachable pairs of sums.

    Args:
        weights: At least 1; int64 `(n,)`. Of equal ones the first are taken.
        caps: Largest sum of the first and of the second subset; time and memory grow with their product.
        cost: Takes the sums `(first, 1)` and `(1, second)`, returns int `(first, second)`; `UNREACHED` where a pair
            is out of the question.

    Returns:
        int8 `(n,)`: 1 for the first subset, 2 for the second, else 0; None where no pair in question is reachable.
    """
    values, counts = np.unique(weights[weights <= max(caps)], return_counts=True)
    costs = cost(np.arange(caps[0] + 1)[:, None], np.arange(caps[1] + 1)[None, :])
    ideal = (costs == costs.min()) & (costs < UNREACHED)
    by = np.full((caps[0] + 1, caps[1] + 1), UNREACHED, np.int32)  # index of the last value that a pair needs
    by[0, 0] = -1
    reached = by < 0
    for index, (value, count) in enumerate(zip(values.tolist(), counts.tolist())):
        if (reached & ideal).any():
            break
        for step in _bundles(value, min(count, sum(caps) // value)):
            before = reached.copy()
            if step <= caps[0]:
                reached[step:] |= before[:-step]
            if step <= caps[1]:
                reached[:, step:] |= before[:, :-step]
        by[reached & (by == UNREACHED)] = index
    costs[~reached] = UNREACHED
    best = np.unravel_index(np.argmin(costs), costs.shape)
    return _trace(weights, values, counts, by, best) if costs[best] < UNREACHED else None


def _bundles(value: int, count: int) -> Iterator[int]:
    """Bundles of `count` equal values from which any two disjoint numbers of them can be had.

    Of one size come two bundles, or three where the count is odd, so that three parts (the third is what is left over)
    can all be made even; then the same again in double units.
    """
    while count:
        here = min(count, 2 + count % 2)
        yield from [value] * here
        count, value = (count - here) // 2, 2 * value


def _trace(
    weights: np.ndarray, values: np.ndarray, counts: np.ndarray, by: np.ndarray, pair: tuple[int, int]
) -> np.ndarray:
    """Walks back from a reachable pair of sums to the weights that make it."""
    codes, (a, b) = np.zeros(len(weights), np.int8), map(int, pair)
    while a or b:
        index = by[a, b]
        value = int(values[index])
        before = by[a::-value, b::-value]  # (copies in the first, copies in the second)
        copies = np.add.outer(np.arange(before.shape[0]), np.arange(before.shape[1]))
        allowed = np.where((before < index) & (copies <= counts[index]), copies, UNREACHED)
        first, second = map(int, np.unravel_index(np.argmin(allowed), allowed.shape))
        members = np.flatnonzero(weights == value)
        codes[members[:first]], codes[members[first : first + second]] = DRAWN
        a, b = a - first * value, b - second * value
    return codes
