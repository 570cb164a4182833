"""Traces lines in both images of a pair and tells how each image shows them.

Standard library and numpy only: a metric's release copies the whole folder.
"""

from collections import Counter
from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np

from .extents import CELLS, GRID
from .pair_facts import Line, packed
from .pair_floors import LEAST_SIDE, LINE_LENGTH, LINE_SEEN, LINE_STEP, LINE_UNSEEN, MOST_LINES
from .pair_ridges import SIGNS, Ridges
from .pair_standing import change_of

_WINDING = 1.3  # length of the trace over the distance of its ends
_TANGLED = 2.2  # the same: from here on it is a net and no line
_FAINT = 0.5  # of `LINE_STEP`: what is less than this is not seen


@dataclass(frozen=True, slots=True)
class _Trace:
    image: str
    level: int
    sign: str
    rows: np.ndarray
    columns: np.ndarray
    directions: np.ndarray
    strength: float
    cells: frozenset[int]  # of the working grid

    @property
    def salience(self) -> float:
        return self.strength * len(self.cells) ** 0.5


def lines_of(infrared: np.ndarray, luminance: np.ndarray) -> tuple[Line, ...]:
    """Lines of both images, the most salient first; uint8 images of one size."""
    pyramids = {"rgb": _pyramid(luminance), "infrared": _pyramid(infrared)}
    lines: list[Line] = []
    for image, pyramid in pyramids.items():
        traces = sorted(_traces(image, pyramid), key=lambda trace: (-trace.salience, min(trace.cells)))
        kept: list[_Trace] = []
        for trace in traces:
            if len(kept) < MOST_LINES and not any(_same(trace, other) for other in kept):
                kept.append(trace)
        lines += [_line(trace, pyramids, kept) for trace in kept]
    return _merged(lines)


def _pyramid(grey: np.ndarray) -> list[Ridges]:
    levels, values = [], grey.astype(np.float32)
    while min(values.shape) >= LEAST_SIDE:
        levels.append(Ridges(values))
        height, width = (side // 2 * 2 for side in values.shape)
        values = values[:height, :width].reshape(height // 2, 2, width // 2, 2).mean((1, 3))
    return levels


def _traces(image: str, pyramid: list[Ridges]) -> Iterator[_Trace]:
    for level, ridges in enumerate(pyramid):
        side = max(ridges.grey.shape)
        for name, sign in SIGNS.items():
            for rows, columns, directions in ridges.runs(sign, LINE_LENGTH * side):
                strength = float(ridges.best[sign, rows, columns].mean())
                chord = np.hypot(np.ptp(rows) + 1, np.ptp(columns) + 1)
                if strength >= ridges.floor and rows.size <= _TANGLED * chord:
                    yield _Trace(
                        image, level, name, rows, columns, directions, strength, _cells(ridges, rows, columns)
                    )


def _cells(ridges: Ridges, rows: np.ndarray, columns: np.ndarray) -> frozenset[int]:
    height, width = ridges.grey.shape
    down = ((rows + 0.5) * GRID / height).astype(int)
    right = ((columns + 0.5) * GRID / width).astype(int)
    return frozenset((down * GRID + right).tolist())


def _same(trace: _Trace, other: _Trace) -> bool:
    if trace.sign != other.sign:
        return False
    near = {cell + step for cell in other.cells for step in _NEIGHBOURS}
    return len(trace.cells & near) >= len(trace.cells) / 2


_NEIGHBOURS = [GRID * down + right for down in (-2, -1, 0, 1, 2) for right in (-2, -1, 0, 1, 2)]


def _line(trace: _Trace, pyramids: dict[str, list[Ridges]], _kept: list[_Trace]) -> Line:
    pixels = trace.rows, trace.columns
    shown, standing = {}, {}
    for image, pyramid in pyramids.items():
        ridges = pyramid[trace.level]
        shown[image] = trace.sign if image == trace.image else _tone(ridges, *pixels)
        values = np.bincount(ridges.tones.grey[pixels], minlength=256)
        beside = np.bincount(ridges.sides(*pixels, trace.directions), minlength=256)
        standing[image] = ridges.tones.standing_of(values, beside)
    height, width = pyramids["rgb"][trace.level].grey.shape
    positions = (np.stack(pixels, 1) + 0.5) / (height, width)
    start, end, angle = _ends(positions * (height, width) / max(height, width))
    start, end = (tuple((point * max(height, width) / (height, width)).tolist()) for point in (start, end))
    steps = positions * (height, width) / max(height, width)
    chord = float(np.hypot(*(np.subtract(end, start) * (height, width) / max(height, width))))
    length = trace.rows.size / max(height, width) * _stretch(trace.directions)
    mask = np.zeros(GRID * GRID, bool)
    mask[list(trace.cells)] = True
    places = Counter(CELLS[3 * int(row * 3) + int(column * 3)] for row, column in positions.tolist())
    middle = positions[int(np.argmin(((steps - steps.mean(0)) ** 2).sum(1)))]
    width_here = 2 / max(height, width)
    return Line(
        image=trace.image,
        rgb_tone=shown["rgb"],
        infrared_tone=shown["infrared"],
        course="winding" if length > _WINDING * chord else _course(angle),
        angle=angle,
        start=start,
        end=end,
        centre=(float(middle[0]), float(middle[1])),
        places=tuple(place for place, _ in places.most_common()),
        length=length,
        width=width_here,
        mask=packed(mask),
        rgb=standing["rgb"],
        infrared=standing["infrared"],
        change=change_of(standing["rgb"], standing["infrared"]),
        strength=trace.strength,
    )


def _tone(ridges: Ridges, rows: np.ndarray, columns: np.ndarray) -> str | None:
    """How an image shows a line that was traced in the other one."""
    nearby = ridges.nearby[:, rows, columns]  # (2, pixels)
    seen = (nearby >= max(LINE_STEP, ridges.floor / 2)).mean(1)
    for name, sign in SIGNS.items():
        if seen[sign] >= LINE_SEEN and seen[1 - sign] <= LINE_UNSEEN:
            return name
    faint = (nearby >= _FAINT * LINE_STEP).mean(1).max()
    return "absent" if faint <= LINE_UNSEEN else None


def _stretch(directions: np.ndarray) -> float:
    """Mean length of a step along the run, pixels: a diagonal one is longer."""
    return float(np.where(directions % 2, np.sqrt(2), 1.0).mean())


def _ends(points: np.ndarray) -> tuple[np.ndarray, np.ndarray, float]:
    """The ends of a run along its main axis, the left one first or else the upper one, and the axis' angle."""
    centred = points - points.mean(0)
    _, vectors = np.linalg.eigh(centred.T @ centred)
    down, right = vectors[:, 1]
    angle = float(np.degrees(np.arctan2(-down, right))) % 180
    along = centred @ vectors[:, 1]
    one, other = points[int(along.argmin())], points[int(along.argmax())]
    upright = 67.5 < angle < 112.5
    if (one[0] > other[0]) if upright else (one[1] > other[1]):
        one, other = other, one
    return one, other, angle


def _course(angle: float) -> str:
    return ("across", "rising", "down", "falling", "across")[int((angle + 22.5) // 45)]


def _merged(lines: list[Line]) -> tuple[Line, ...]:
    """A line that both images trace becomes one, as the image has it where it is stronger."""
    merged: list[Line] = []
    for line in sorted(lines, key=lambda line: (-line.strength * line.length**0.5, line.mask)):
        twin = next(
            (at for at, other in enumerate(merged) if other.image != line.image and _overlap(line, other)), None
        )
        if twin is None:
            merged.append(line)
        else:
            from dataclasses import replace

            merged[twin] = replace(merged[twin], image="both")
    return tuple(merged)


def _overlap(line: Line, other: Line) -> bool:
    from scipy import ndimage

    near = ndimage.maximum_filter(other.pixels.view(np.uint8), 5).astype(bool)
    return float(near[line.pixels].mean()) >= 0.5
