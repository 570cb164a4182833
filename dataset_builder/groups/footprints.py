"""Connected components of footprints that share more than half of the smaller one, without comparing all with all.

Apart from `grouping.py`, which knows rows and relations: here are numbers only. Tiles of one scene are measured on its
grid, exactly. Boxes in degrees reach around tiles whose map is not north-up, and are rounded: they are cut back to
the size of their tiles first (`ground_boxes`), and must share more than `BOX_SHARE`, so that tiles that share a half
by construction join none.
"""

import itertools
import math
from collections.abc import Iterator

import numpy as np

from dataset_builder.groups.components import merge

ODD = np.uint64(0x9E3779B97F4A7C15)  # the golden ratio's bits: spreads nearby numbers over all 64
PENDING = 1 << 20  # pairs compared at a time
TILE_SHARE, BOX_SHARE = 0.5, 0.52  # of the smaller footprint, to be exceeded
DEGREE_M = math.radians(1) * 6_371_008.8  # of a meridian, mean radius
DIAGONAL = math.sqrt(0.5)  # side of a square over that of the box around it, at most turned


def footprint_components(scenes: np.ndarray, tiles: np.ndarray, boxes: np.ndarray) -> np.ndarray:
    """Joins rows whose footprints share more than half of the smaller one's area.

    Rows of one scene are compared by their tiles alone, others by their boxes.

    Args:
        scenes: Integers `(n,)`, which scene a row is of; -1 where none is known.
        tiles: `(n, 4)`, pixels of the scene's grid: left, top, right, bottom; NaN where not known.
        boxes: `(n, 4)`, degrees of WGS 84: west, south, east, north; NaN where not known. East below west: across
            the 180th meridian. Footprints without an area join none.

    Returns:
        int32 `(n,)`: for each row one member of its component, the same for all members.
    """
    labels, rows = np.arange(len(scenes), dtype=np.int32), np.arange(len(scenes), dtype=np.int32)
    boxes = boxes + np.where(boxes[:, 2:3] < boxes[:, :1], [0.0, 0.0, 360.0, 0.0], 0.0)
    beyond = np.flatnonzero(boxes[:, 2] > 180)  # seen from the other side as well
    boxes = np.concatenate([boxes, boxes[beyond] - [360.0, 0.0, 360.0, 0.0]])
    for left, right in _links(rows[scenes >= 0], scenes[scenes >= 0], tiles[scenes >= 0], same_scene=True):
        labels = merge(labels, left, right)
    rows = np.concatenate([rows, rows[beyond]])
    for left, right in _links(rows, scenes[rows], boxes, same_scene=False):
        labels = merge(labels, left, right)
    return labels


def ground_boxes(boxes: np.ndarray, sides_m: np.ndarray) -> np.ndarray:
    """Cuts boxes in degrees back to squares about the same centres, as large as the tiles that they reach around.

    The box around a square that is turned by an angle is up to 1.41 times as wide, so that boxes of neighbours share
    more than the tiles. Of the squares those of tiles that share a half share at most a half, whatever the angle.

    Args:
        boxes: `(n, 4)`, degrees: west, south, east, north; NaN where not known.
        sides_m: `(n,)`, side of a tile on its map in metres; NaN where not known: its box stays.

    Returns:
        `(n, 4)`; no side is cut by more than a turn explains, and a box around a pole stays.
    """
    width = boxes[:, 2] - boxes[:, 0] + np.where(boxes[:, 2] < boxes[:, 0], 360.0, 0.0)
    height = boxes[:, 3] - boxes[:, 1]
    middle = np.stack([boxes[:, 0] + width / 2, (boxes[:, 1] + boxes[:, 3]) / 2])
    metres = np.stack([width * np.cos(np.radians(middle[1])), height]) * DEGREE_M
    with np.errstate(divide="ignore", invalid="ignore"):
        kept = np.clip(sides_m / metres, DIAGONAL, 1.0)
    half = np.where(np.isfinite(kept), kept, 1.0) * np.stack([width, height]) / 2
    square = np.concatenate([middle - half, middle + half]).T
    turned = np.isfinite(kept).all(0) & (kept < 1).any(0) & (width < 180)
    return np.where(turned[:, None], square, boxes)


def _links(
    rows: np.ndarray, scenes: np.ndarray, corners: np.ndarray, same_scene: bool
) -> Iterator[tuple[np.ndarray, np.ndarray]]:
    """Yields edges between rows, equal footprints taken together first.

    Args:
        rows, scenes: Integers `(n,)`.
        corners: `(n, 4)`: x0, y0, x1, y1.
        same_scene: Compare footprints of one scene, or only those not known to be of one.
    """
    used = np.flatnonzero(np.isfinite(corners).all(1) & (corners[:, 2:] > corners[:, :2]).all(1))
    if not len(used):
        return
    columns = [corners[used, side].view(np.uint64) for side in range(4)]
    used = used[np.argsort(_mixed([*columns, scenes[used] if same_scene else np.zeros(1, int)]))]
    rows, scenes, corners = rows[used], scenes[used], corners[used]
    equal = (corners[1:] == corners[:-1]).all(1)
    if same_scene:
        equal &= scenes[1:] == scenes[:-1]
    first = np.flatnonzero(np.concatenate([[True], ~equal]))
    scene = np.minimum.reduceat(scenes, first)
    scene[scene != np.maximum.reduceat(scenes, first)] = -1  # rows of several scenes: of one with none
    labels = _overlapping(scene, corners[first], same_scene)
    moved = np.flatnonzero(labels != np.arange(len(labels)))
    yield rows[first[moved]], rows[first[labels[moved]]]
    # Equal footprints of one scene are joined here only if they overlap one of another scene.
    whole = same_scene | (scene < 0) | (np.bincount(labels)[labels] > 1)
    chained = np.flatnonzero(equal & whole[np.cumsum(~equal)])
    yield rows[chained], rows[chained + 1]


def _overlapping(scenes: np.ndarray, corners: np.ndarray, same_scene: bool) -> np.ndarray:
    """Returns the components of distinct footprints as labels, see `merge`.

    More than half in common means that the smaller one's centre lies inside the larger one. So for every size, within
    a factor of two, centres are sorted into cells of that size, and a footprint is compared with those in its cells.
    """
    sizes = corners[:, 2:] - corners[:, :2]
    side, area, centres = sizes.max(1), sizes.prod(1), (corners[:, :2] + corners[:, 2:]) / 2
    frames = scenes if same_scene else np.zeros_like(scenes)
    scale = np.ceil(np.log2(side * 1.001))
    labels = np.arange(len(scenes), dtype=np.int32)
    for level in np.unique(scale):
        larger = np.flatnonzero(scale == level)
        smaller = np.flatnonzero(area <= area[larger].max())
        keys = _mixed([*np.floor(centres[smaller] / 2**level).astype(np.int64).T, frames[smaller]])
        order = np.argsort(keys)
        smaller, keys = smaller[order], keys[order]
        margin = side[larger, None] * 1e-6  # rounding
        first = np.floor((corners[larger, :2] - margin) / 2**level).astype(np.int64)
        last = np.floor((corners[larger, 2:] + margin) / 2**level).astype(np.int64)
        for step in itertools.product((0, 1), repeat=2):
            inside = (first + step <= last).all(1)
            wanted = _mixed([*(first[inside] + step).T, frames[larger[inside]]])
            order = np.argsort(wanted)
            begin, end = (np.searchsorted(keys, wanted[order], side=edge) for edge in ("left", "right"))
            for at, place in _expand(begin, end):
                left, right = larger[inside][order[at]], smaller[place]
                met = labels[left] != labels[right]
                left, right = left[met], right[met]
                high, low = np.minimum(corners[left], corners[right])[:, 2:], np.maximum(corners[left], corners[right])
                least = (TILE_SHARE if same_scene else BOX_SHARE) * np.minimum(area[left], area[right])
                shared = np.clip(high - low[:, :2], 0, None).prod(1) > least
                shared &= ((scenes[left] == scenes[right]) & (scenes[left] >= 0)) == same_scene
                labels = merge(labels, left[shared], right[shared])
    return labels


def _mixed(columns: list[np.ndarray]) -> np.ndarray:
    """Returns one uint64 key for each row of integer columns; rows that differ may share a key."""
    key = np.zeros(1, np.uint64)
    for column in columns:
        key = (key ^ column.astype(np.int64).view(np.uint64)) * ODD
        key ^= key >> np.uint64(29)
    return key


def _expand(begin: np.ndarray, end: np.ndarray) -> Iterator[tuple[np.ndarray, np.ndarray]]:
    """Yields index and member of the ranges `begin[i]` to `end[i]`, about `PENDING` members at a time."""
    total = np.concatenate([[0], np.cumsum(end - begin)])
    for goal in range(0, int(total[-1]), PENDING):
        start, stop = np.searchsorted(total[:-1], [goal, goal + PENDING])
        counts = (end - begin)[start:stop]
        index = np.repeat(np.arange(start, stop), counts)
        yield index, np.arange(len(index)) + np.repeat(begin[start:stop] - (total[start:stop] - total[start]), counts)
