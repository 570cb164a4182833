"""Narrow bright and dark runs of one image, at one level of its pyramid.

Standard library, numpy, scipy and Pillow only: a metric's release copies the whole folder.

A pixel of a run is brighter, or darker, than both of its sides two pixels away, each averaged over five pixels along
the run: one, two or three pixels wide. Four directions are tried; wider runs are found a level further down.
"""

from collections.abc import Iterator
from copy import copy
from dataclasses import dataclass
from functools import cached_property, lru_cache

import numpy as np
from PIL import Image
from scipy import ndimage

from .grounding import PairImages
from .pair_facts import Standing
from .pair_floors import LEAST_SIDE, LINE_CLUTTER, LINE_STEP
from .pair_standing import Tones, counted

ALONG = ((0, 1), (1, 1), (1, 0), (1, -1))  # rows and columns of a step along a run
NORMAL = ((1, 0), (1, -1), (0, 1), (1, 1))
SIDE = 2  # pixels from a run to what it is compared with
SIGNS = {"bright": 0, "dark": 1}
TANGLED = 1.8  # length of a run over its chord: from here on it is a net and no line
_NORMAL = np.array(NORMAL)
_AWAY, _NEXT = np.array([[-SIDE - 1], [-SIDE], [SIDE], [SIDE + 1]]), np.array([[-1], [1]])
_AROUND = np.array([(down, right) for down in (-1, 0, 1) for right in (-1, 0, 1)])
_SQUARE, _CUBE = np.ones((3, 3)), np.ones((3, 3, 3))
_MOSTLY = 0.7  # of the least reach: so many pixels of a run are above the floor
_NEAR_BEST = 0.7  # of a pixel's best direction: where two runs cross, both keep theirs, and none between
_WEAK = 0.6  # of the floor: a run that is begun may go on


@dataclass(frozen=True)
class Run:
    """Pixels of one run: rows, columns and directions, an entry each."""

    rows: np.ndarray
    columns: np.ndarray
    directions: np.ndarray

    @cached_property
    def length(self) -> float:
        """Along the run, pixels: where it is several pixels thick, they share a step."""
        rows, columns = self.rows - self.rows.min() + 1, self.columns - self.columns.min() + 1
        height, width = rows.max(), columns.max()
        present = np.zeros((height + 2, width + 2), np.uint8)
        present[rows, columns] = 1
        across = np.where(self.directions % 2, height > width, self.directions == 2).astype(int)  # else: down
        thickness = 1 + present[rows + 1 - across, columns + across] + present[rows - 1 + across, columns - across]
        return float((np.where(self.directions % 2, np.sqrt(2), 1) / thickness).sum())

    @property
    def tangled(self) -> bool:
        """Whether it is a net and no line."""
        most = TANGLED * self.chord
        return self.rows.size * np.sqrt(2) > most and self.length > most

    @cached_property
    def chord(self) -> float:
        """Diagonal of its bounding box, pixels."""
        return float(np.hypot(np.ptp(self.rows) + 1, np.ptp(self.columns) + 1))


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
        self.floor = max(
            LINE_STEP, LINE_CLUTTER * float(np.partition(clutter, clutter.size // 2, axis=None)[clutter.size // 2])
        )

    def fainter(self, share: float) -> "Ridges":
        """The same steps with a share of the floor."""
        other = copy(self)
        other.floor *= share
        return other

    @cached_property
    def best(self) -> np.ndarray:
        """Of all directions; `(2, height, width)`."""
        return self.steps.max(1)

    @cached_property
    def tones(self) -> Tones:
        """All tones of this level."""
        return Tones((self.grey + 0.5).astype(np.uint8))

    def runs(self, sign: int, least: float) -> Iterator[Run]:
        """Yields connected runs of ridge pixels that reach at least `least` pixels far; nets are taken apart."""
        if np.count_nonzero(self.best[sign] >= self.floor) < _MOSTLY * least:
            return
        present = self._peaks(sign)
        flat = present.any(0)
        labels, _ = ndimage.label(flat, _SQUARE)
        rows, columns = np.nonzero(flat)
        for group in self._long(sign, labels[rows, columns], rows, columns, least):
            top, left = rows[group].min(), columns[group].min()
            window = np.s_[top : rows[group].max() + 1, left : columns[group].max() + 1]
            mine = labels[window] == labels[rows[group[0]], columns[group[0]]]
            yield from self._parted(sign, present[(slice(None), *window)] & mine, top, left, least)

    def _parted(self, sign: int, present: np.ndarray, top: int, left: int, least: float) -> Iterator[Run]:
        """Runs of connected ridge pixels whose directions hang together: not those that only cross."""
        apart, parts = ndimage.label(present, _CUBE)
        directions, rows, columns = np.nonzero(apart[:4])
        names = _joined(apart, parts)[apart[directions, rows, columns]]
        rows, columns = rows + top, columns + left
        for group in self._long(sign, names, rows, columns, least):
            run = self._run(sign, rows[group], columns[group], directions[group])
            if not run.tangled:
                yield run
            else:
                yield from self._strands(sign, run, least)

    def _long(
        self, sign: int, names: np.ndarray, rows: np.ndarray, columns: np.ndarray, least: float
    ) -> Iterator[np.ndarray]:
        """Yields the positions of each name whose pixels reach far enough, mostly above the floor."""
        if not names.size:
            return
        order = np.argsort(names, kind="stable")
        starts = np.concatenate(([0], np.flatnonzero(np.diff(names[order])) + 1))
        ends = np.append(starts[1:], order.size)
        down, right = (
            np.maximum.reduceat(values[order], starts) - np.minimum.reduceat(values[order], starts) + 1
            for values in (rows, columns)
        )
        strong = np.add.reduceat((self.best[sign, rows, columns] >= self.floor)[order].astype(int), starts)
        for at in np.flatnonzero((np.hypot(down, right) >= least) & (strong >= _MOSTLY * least)):
            yield order[starts[at] : ends[at]]

    def _peaks(self, sign: int) -> np.ndarray:
        """Ridge pixels by direction; `(5, height, width)`, the first direction again behind the last: neighbours."""
        steps, best = self.steps[sign], self.best[sign]
        present = np.zeros((5, *best.shape), bool)
        height, width = best.shape[0] - 2, best.shape[1] - 2
        inner_best = best[1:-1, 1:-1] * _NEAR_BEST
        for number, (below, beside) in enumerate(NORMAL):
            inner = steps[number, 1:-1, 1:-1]
            peak = inner > _WEAK * self.floor
            peak &= inner >= inner_best
            for side in (-1, 1):
                peak &= inner >= steps[number, 1 + side * below :, 1 + side * beside :][:height, :width]
            present[number, 1:-1, 1:-1] = peak
        present[4] = present[0]
        return present

    def _run(self, sign: int, rows: np.ndarray, columns: np.ndarray, directions: np.ndarray) -> Run:
        """A pixel that two directions claim goes to the better one."""
        order = np.lexsort((-self.steps[sign, directions, rows, columns], columns, rows))
        rows, columns, directions = rows[order], columns[order], directions[order]
        first = np.ones(rows.size, bool)
        first[1:] = (np.diff(rows) != 0) | (np.diff(columns) != 0)
        return Run(rows[first], columns[first], directions[first])

    def _strands(self, sign: int, run: Run, least: float) -> Iterator[Run]:
        """Parts of a net whose directions lie next to each other."""
        top, left = run.rows.min(), run.columns.min()
        shape = np.ptp(run.rows) + 1, np.ptp(run.columns) + 1
        for number in range(4):
            mine = (run.directions == number) | (run.directions == (number + 1) % 4)
            rows, columns, directions = run.rows[mine], run.columns[mine], run.directions[mine]
            if not rows.size:
                continue
            present = np.zeros(shape, bool)
            present[rows - top, columns - left] = True
            labels, _ = ndimage.label(present, _SQUARE)
            for group in self._long(sign, labels[rows - top, columns - left], rows, columns, least):
                strand = self._run(sign, rows[group], columns[group], directions[group])
                if not strand.tangled:
                    yield strand

    def standing(self, run: Run) -> Standing:
        """How a run stands in this image, against both of its sides."""
        return self.tones.standing_of(counted(self.tones.grey[run.rows, run.columns]), counted(self.sides(run)))

    def nearby(self, run: Run) -> np.ndarray:
        """Best steps on a run, its neighbours included: what may be a pixel off still counts; `(2, pixels)`."""
        height, width = self.grey.shape
        rows = np.clip(run.rows + _AROUND[:, :1], 0, height - 1)
        columns = np.clip(run.columns + _AROUND[:, 1:], 0, width - 1)
        return self.best[:, rows, columns].max(1)

    def sides(self, run: Run) -> np.ndarray:
        """Grey levels beside a run, two and three pixels away on both sides; uint8, only those in the image."""
        return self._beside(run, _AWAY)

    def width(self, run: Run) -> float:
        """One pixel, and of the pixels on both sides as much as they are like the run; pixels, 1 to 3."""
        side = float(self.sides(run).mean())
        step = float(self.tones.grey[run.rows, run.columns].mean()) - side
        alike = (float(self._beside(run, _NEXT).mean()) - side) / (step or 1.0)
        return 1 + 2 * min(1.0, max(0.0, alike))

    def _beside(self, run: Run, distances: np.ndarray) -> np.ndarray:
        height, width = self.grey.shape
        normal = _NORMAL[run.directions]
        rows = (run.rows + distances * normal[:, 0]).ravel()
        columns = (run.columns + distances * normal[:, 1]).ravel()
        inside = (rows >= 0) & (rows < height) & (columns >= 0) & (columns < width)
        return self.tones.grey[rows[inside], columns[inside]]


def pyramid_of(grey: np.ndarray) -> list[Ridges]:
    """Ridges of an image and of its halves; uint8 `(height, width)`."""
    levels, values = [], grey.astype(np.float32)
    while min(values.shape) >= LEAST_SIDE:
        levels.append(Ridges(values))
        height, width = (side // 2 * 2 for side in values.shape)
        values = values[:height, :width].reshape(height // 2, 2, width // 2, 2).mean((1, 3))
    return levels


@lru_cache(maxsize=4)  # captions are written and judged one pair after the other
def pyramids_of(images: PairImages) -> tuple[list[Ridges], list[Ridges]]:
    """Ridges of the luminance and of the infrared."""
    infrared, rgb = images.arrays()
    return pyramid_of(np.asarray(Image.fromarray(rgb).convert("L"))), pyramid_of(infrared)


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
