"""Narrow bright and dark runs of one image, at one level of its pyramid.

Standard library, numpy and scipy only: a metric's release copies the whole folder.

A pixel of a run is brighter, or darker, than both of its sides two pixels away, each averaged over five pixels along
the run: one, two or three pixels wide. Four directions are tried; wider runs are found a level further down.
"""

from functools import cached_property

import numpy as np
from scipy import ndimage

from .pair_floors import LINE_CLUTTER, LINE_STEP
from .pair_standing import Tones

ALONG = ((0, 1), (1, 1), (1, 0), (1, -1))  # rows and columns of a step along a run
NORMAL = ((1, 0), (1, -1), (0, 1), (1, 1))
SIDE = 2  # pixels from a run to what it is compared with
SIGNS = {"bright": 0, "dark": 1}
_NEAR_BEST = 0.7  # of a pixel's best direction: where two runs cross, both keep theirs, and none between
_WEAK = 0.5  # of the floor: a run that is begun may go on


class Ridges:
    """Steps of every pixel to both of its sides.

    Args:
        grey: float32 `(height, width)`, grey levels.

    Attributes:
        steps: float32 `(2, 4, height, width)`: bright and dark, by direction; the smaller one of both sides.
        floor: Least mean step of a run, grey levels: absolute, or a multiple of what the image is full of.
    """

    def __init__(self, grey: np.ndarray) -> None:
        height, width = grey.shape
        self.grey = grey
        padded = np.pad(grey, 2 * SIDE, mode="edge")
        self.steps = np.empty((2, 4, height, width), np.float32)
        for number, ((down, right), (below, beside)) in enumerate(zip(ALONG, NORMAL)):
            runs = sum(_window(padded, k * down, k * right, height + 4, width + 4) for k in range(-SIDE, SIDE + 1)) / 5
            centre = _window(runs, 0, 0, height, width)
            one, other = (_window(runs, s * below, s * beside, height, width) for s in (-SIDE, SIDE))
            np.subtract(centre, np.maximum(one, other), out=self.steps[0, number])
            np.subtract(np.minimum(one, other), centre, out=self.steps[1, number])
            if number == 0:
                clutter = np.abs(centre - one)[::2, ::2]
        self.floor = max(LINE_STEP, LINE_CLUTTER * float(np.median(clutter)))

    @cached_property
    def best(self) -> np.ndarray:
        """Of all directions; `(2, height, width)`."""
        return self.steps.max(1)

    @cached_property
    def nearby(self) -> np.ndarray:
        """`best` of a pixel and its neighbours: what may be a pixel off still counts; `(2, height, width)`."""
        return ndimage.maximum_filter(self.best, (1, 3, 3))

    @cached_property
    def tones(self) -> Tones:
        """All tones of this level."""
        return Tones((self.grey + 0.5).astype(np.uint8))

    def runs(self, sign: int, least: float) -> list[tuple[np.ndarray, np.ndarray, np.ndarray]]:
        """Connected runs of ridge pixels at least `least` pixels long.

        Returns:
            Rows, columns and directions of each, one entry a pixel.
        """
        steps, best = self.steps[sign], self.best[sign]
        begun = best > _WEAK * self.floor
        present = np.zeros((5, *best.shape), bool)  # the first direction again behind the last: they are neighbours
        for number, (below, beside) in enumerate(NORMAL):
            inner = steps[number, 1:-1, 1:-1]
            height, width = inner.shape
            peak = begun[1:-1, 1:-1] & (inner >= _NEAR_BEST * best[1:-1, 1:-1]) & (inner > _WEAK * self.floor)
            for side in (-1, 1):
                peak &= inner >= steps[number, 1 + side * below :, 1 + side * beside :][:height, :width]
            present[number, 1:-1, 1:-1] = peak
        present[4] = present[0]
        labels, count = ndimage.label(present, np.ones((3, 3, 3)))
        if not count:
            return []
        joined = _joined(labels, count)
        directions, rows, columns = np.nonzero(labels[:4])
        names = joined[labels[directions, rows, columns]]
        order = np.argsort(names, kind="stable")
        starts = np.concatenate(([0], np.flatnonzero(np.diff(names[order])) + 1))
        reach = np.hypot(*(_extents(values[order], starts) for values in (rows, columns)))
        ends = np.append(starts[1:], order.size)
        runs = []
        for at in np.flatnonzero(reach >= least):
            group = order[starts[at] : ends[at]]
            runs.append(self._thinned(sign, rows[group], columns[group], directions[group]))
        return runs

    def _thinned(self, sign: int, rows: np.ndarray, columns: np.ndarray, directions: np.ndarray) -> tuple:
        """A pixel that two directions claim goes to the better one."""
        order = np.lexsort((-self.steps[sign, directions, rows, columns], columns, rows))
        rows, columns, directions = rows[order], columns[order], directions[order]
        first = np.ones(rows.size, bool)
        first[1:] = (np.diff(rows) != 0) | (np.diff(columns) != 0)
        return rows[first], columns[first], directions[first]

    def sides(self, rows: np.ndarray, columns: np.ndarray, directions: np.ndarray) -> np.ndarray:
        """Grey levels beside a run, two and three pixels away on both sides; uint8."""
        normal = np.array(NORMAL)[directions]  # (pixels, 2)
        height, width = self.grey.shape
        values = []
        for distance in (-SIDE - 1, -SIDE, SIDE, SIDE + 1):
            beside = np.stack((rows, columns), 1) + distance * normal
            inside = ((beside >= 0) & (beside < (height, width))).all(1)
            values.append(self.tones.grey[tuple(beside[inside].T)])
        return np.concatenate(values)


def _window(values: np.ndarray, down: int, right: int, height: int, width: int) -> np.ndarray:
    """The middle of an array, moved; the array is `2 * SIDE` larger than the window in both axes."""
    return values[SIDE + down : SIDE + down + height, SIDE + right : SIDE + right + width]


def _joined(labels: np.ndarray, count: int) -> np.ndarray:
    """Names the labels of the first plane as those of its copy behind the last."""
    names = np.arange(count + 1)
    twice = labels[0] > 0
    for first, last in set(zip(labels[0][twice].tolist(), labels[4][twice].tolist())):
        low, high = sorted((names[first], names[last]))
        if low != high:
            names[names == high] = low
    return names


def _extents(values: np.ndarray, starts: np.ndarray) -> np.ndarray:
    """Reach of each group of values that begins at one of these positions."""
    return np.maximum.reduceat(values, starts) - np.minimum.reduceat(values, starts) + 1
