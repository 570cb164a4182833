"""Traces lines in both images of a pair and tells how each image shows them.

Standard library and numpy only: a metric's release copies the whole folder.
"""

from collections import Counter
from collections.abc import Iterator
from dataclasses import dataclass
from functools import cached_property

import numpy as np
from scipy import ndimage

from .grounding import CELLS, GRID
from .pair_facts import Line, Standing, packed
from .pair_floors import LINE_AUC, LINE_LENGTH, LINE_SEEN, LINE_STEP, LINE_UNSEEN, MOST_LINES
from .pair_ridges import SIGNS, Ridges, Run
from .pair_standing import change_of

_WINDING = 0.07  # deviation of a run from its main axis, over the distance of its ends
_CENTRES = (np.arange(GRID) + 0.5) / GRID
_BESIDE = 0.55  # AUC that a line traced in both images has at least where the other image traces it
_FAINT = 0.5  # of `LINE_STEP`: what is less than this is not seen


@dataclass(frozen=True)
class _Trace:
    image: str
    level: int
    sign: str
    run: Run
    strength: float
    shape: tuple[int, int]  # of the level

    @property
    def salience(self) -> float:
        return self.strength * (len(self.run.rows) / max(self.shape)) ** 0.5

    @cached_property
    def mask(self) -> np.ndarray:
        """The run on the working grid, without gaps whichever of both is finer."""
        rows, columns, (height, width) = self.run.rows, self.run.columns, self.shape
        mask = np.zeros(self.shape, bool)
        mask[rows, columns] = True
        gridded = mask[np.ix_((_CENTRES * height).astype(int), (_CENTRES * width).astype(int))]
        gridded[((rows + 0.5) * GRID / height).astype(int), ((columns + 0.5) * GRID / width).astype(int)] = True
        return gridded

    @cached_property
    def beside(self) -> np.ndarray:
        """The mask and a pixel around it."""
        return ndimage.maximum_filter(self.mask.view(np.uint8), 3).view(bool)

    @cached_property
    def near(self) -> np.ndarray:
        """The mask and two pixels around it."""
        return ndimage.maximum_filter(self.mask.view(np.uint8), 5).view(bool)


def lines_of(luminance: list[Ridges], infrared: list[Ridges]) -> tuple[Line, ...]:
    """Lines of both images, the most salient first; of their pyramids."""
    pyramids = {"rgb": luminance, "infrared": infrared}
    kept: list[_Trace] = []
    for image, pyramid in pyramids.items():
        mine: list[_Trace] = []
        for trace in sorted(_traces(image, pyramid), key=lambda trace: -trace.salience):
            if len(mine) == MOST_LINES:
                break
            standing = pyramid[trace.level].standing(trace.run)
            if _stands_out(standing, trace.sign) and not any(_same(trace, other) for other in mine):
                mine.append(trace)
        kept += mine
    lines: list[tuple[_Trace, dict[str, _Trace]]] = []  # each with the images that trace it
    for trace in sorted(kept, key=lambda trace: -trace.salience):
        twins = (traces for other, traces in lines if trace.image not in traces and _is_twin(trace, other))
        traces = next(twins, None)
        if traces is None:
            lines.append((trace, {trace.image: trace}))
        else:
            traces[trace.image] = trace
    return tuple(_line(trace, traces, pyramids) for trace, traces in lines)


def _traces(image: str, pyramid: list[Ridges]) -> Iterator[_Trace]:
    for level, ridges in enumerate(pyramid):
        side = max(ridges.grey.shape)
        for name, sign in SIGNS.items():
            for run in ridges.runs(sign, LINE_LENGTH * side):
                strength = float(ridges.best[sign, run.rows, run.columns].mean())
                if strength >= ridges.floor:
                    yield _Trace(image, level, name, run, strength, ridges.grey.shape)


def _stands_out(standing: Standing, tone: str, least: float = LINE_AUC) -> bool:
    return (standing.auc if tone == "bright" else 1 - standing.auc) >= least


def _same(trace: _Trace, other: _Trace) -> bool:
    return trace.sign == other.sign and float(other.near[trace.mask].mean()) >= 0.5


def _is_twin(trace: _Trace, other: _Trace) -> bool:
    return float(other.beside[trace.mask].mean()) >= 0.5


def _line(trace: _Trace, traces: dict[str, _Trace], pyramids: dict[str, list[Ridges]]) -> Line:
    run = trace.run
    shown, standing = {}, {}
    for name, pyramid in pyramids.items():
        ridges = pyramid[trace.level]
        standing[name] = ridges.standing(run)
        twin = traces.get(name)
        if twin is None:
            shown[name] = _tone(ridges, run)
        elif _stands_out(standing[name], twin.sign, _BESIDE):
            shown[name], standing[name] = twin.sign, pyramid[twin.level].standing(twin.run)
        else:  # of two lines side by side
            shown[name] = None
    size = np.array(ridges.grey.shape)
    points = np.stack((run.rows, run.columns), 1) + 0.5  # pixels
    start, end, angle, straying = _ends(points)
    cells = Counter(((points * 3 / size).astype(int) @ (3, 1)).tolist())
    middle = points[int(((points - points.mean(0)) ** 2).sum(1).argmin())]
    return Line(
        image="both" if len(traces) == 2 else trace.image,
        rgb_tone=shown["rgb"],
        infrared_tone=shown["infrared"],
        course="winding" if straying > _WINDING else _course(angle),
        angle=angle,
        start=_shares(start, size),
        end=_shares(end, size),
        centre=_shares(middle, size),
        places=tuple(CELLS[cell] for cell, _ in cells.most_common()),
        length=run.length / float(size.max()),
        width=pyramids[trace.image][trace.level].width(run) / float(size.max()),
        mask=packed(trace.mask),
        rgb=standing["rgb"],
        infrared=standing["infrared"],
        change=change_of(standing["rgb"], standing["infrared"]),
        strength=trace.strength,
    )


def _shares(point: np.ndarray, size: np.ndarray) -> tuple[float, float]:
    return float(point[0] / size[0]), float(point[1] / size[1])


def _tone(ridges: Ridges, run: Run) -> str | None:
    """How an image shows a line that was traced in the other one."""
    nearby = ridges.nearby(run)  # (2, pixels)
    seen = (nearby >= max(LINE_STEP, ridges.floor / 2)).mean(1)
    for name, sign in SIGNS.items():
        if seen[sign] >= LINE_SEEN and seen[1 - sign] <= LINE_UNSEEN:
            return name
    faint = (nearby >= _FAINT * LINE_STEP).mean(1).max()
    return "absent" if faint <= LINE_UNSEEN else None


def _ends(points: np.ndarray) -> tuple[np.ndarray, np.ndarray, float, float]:
    """Ends of a run along its main axis, the left or else the upper one first; the axis' angle; how far it strays."""
    centred = points - points.mean(0)
    moments, vectors = np.linalg.eigh(centred.T @ centred / len(centred))
    down, right = vectors[:, 1]
    angle = float(np.degrees(np.arctan2(-down, right))) % 180
    along = centred @ vectors[:, 1]
    one, other = points[int(along.argmin())], points[int(along.argmax())]
    upright = 67.5 < angle < 112.5
    if (one[0] > other[0]) if upright else (one[1] > other[1]):
        one, other = other, one
    straying = float(np.sqrt(max(0.0, moments[0] - 0.25)) / np.hypot(*(other - one)))  # a run is a pixel thick
    return one, other, angle, straying


def _course(angle: float) -> str:
    return ("across", "rising", "down", "falling", "across")[int((angle + 22.5) // 45)]
