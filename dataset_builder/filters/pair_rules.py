"""Rules about RGB and infrared together: do they show the same place, and does the infrared add anything?"""

from collections.abc import Mapping
from dataclasses import dataclass
from functools import lru_cache
from typing import Any, ClassVar

import numpy as np

from dataset_builder.filters.gray_gate import GRAY_R2, is_gray_curve, is_only_gray
from dataset_builder.filters.image_rules import grey_of
from dataset_builder.thresholds import threshold

SMOOTHING = np.exp(-0.5 * np.arange(5.0) ** 2)  # half a Gaussian of one pixel, cut at four
SMOOTHING = (SMOOTHING / (SMOOTHING.sum() + SMOOTHING[1:].sum())).astype(np.float32)
MARGIN = 5  # pixels on which an edge value depends: four of smoothing, one of the gradient


@dataclass(frozen=True, slots=True)
class SizesDiffer:
    """RGB and infrared have different sizes, so they are not aligned by pixel."""

    reason: ClassVar[str] = "sizes_differ"

    def __call__(self, row: Mapping[str, Any]) -> str | None:
        """Reads `_rgb` and `_ir`."""
        rgb, ir = row.get("_rgb"), row.get("_ir")
        return self.reason if rgb is not None and ir is not None and rgb.shape[:2] != ir.shape else None


@dataclass(frozen=True, slots=True)
class InfraredIsGrayOfRgb:
    """The infrared image is only the gray of the RGB image, possibly scaled or inverted; translated, by any curve."""

    reason: ClassVar[str] = "ir_is_gray_of_rgb"
    min_r2: float = threshold(GRAY_R2, "share of the infrared's variance explained by one gray")

    def __call__(self, row: Mapping[str, Any]) -> str | None:
        """Reads `_rgb`, `_ir` and `ir_origin`."""
        if not _aligned(row):
            return None
        images = (row["_ir"], row["_rgb"], self.min_r2)
        is_curve = row.get("ir_origin") == "translated" and is_gray_curve(*images)
        return self.reason if is_curve or is_only_gray(*images) else None


@dataclass(frozen=True, slots=True)
class Misaligned:
    """The edges of the infrared image fit those of the RGB image much better when shifted.

    Normalised correlation of windowed gradient images over shifts up to `max_shift`. A tile is hit only if the best
    shift is at least `min_shift`, scores `min_score` and `min_gain` above no shift (one pixel of play), and each half
    of the tile (upper, lower, left, right) finds the same shift by itself, within a pixel: meant to miss many rather
    than to hit a good pair, whose bands may well show different edges.
    """

    reason: ClassVar[str] = "rgb_ir_misaligned"
    min_shift: int = threshold(3, "pixels")
    max_shift: int = threshold(8, "pixels")
    min_score: float = threshold(0.3, "correlation, 0 to 1")
    min_gain: float = threshold(0.1, "correlation, 0 to 1")

    def __call__(self, row: Mapping[str, Any]) -> str | None:
        """Reads `_ir` and the luminance of `_rgb`; tiles narrower than six times `max_shift` are not judged."""
        if not _aligned(row) or min(row["_ir"].shape) < 6 * self.max_shift:
            return None
        ir, grey = row["_ir"], grey_of(row)
        half, across = ir.shape[0] // 2, ir.shape[1] // 2
        # Most pairs are settled by their upper half: within a pixel of it, no shift is long enough.
        upper = _best_shift(_shift_scores(_edges(ir, half), _edges(grey, half), self.max_shift))
        if max(map(abs, upper)) < self.min_shift - 1:
            return None
        a, b = _edges(ir, ir.shape[0]), _edges(grey, ir.shape[0])
        scores = _shift_scores(a, b, self.max_shift)
        best = _best_shift(scores)
        middle = slice(self.max_shift - 1, self.max_shift + 2)
        gain = scores.max() - scores[middle, middle].max()
        if max(map(abs, best)) < self.min_shift or scores.max() < self.min_score or gain < self.min_gain:
            return None
        for part in (np.s_[:half], np.s_[half:], np.s_[:, :across], np.s_[:, across:]):
            y, x = _best_shift(_shift_scores(a[part], b[part], self.max_shift))
            if max(abs(y - best[0]), abs(x - best[1])) > 1:
                return None
        return self.reason


def _aligned(row: Mapping[str, Any]) -> bool:
    rgb, ir = row.get("_rgb"), row.get("_ir")
    return rgb is not None and ir is not None and rgb.shape[:2] == ir.shape


def _edges(grey: np.ndarray, lines: int) -> np.ndarray:
    """Square root of the gradient magnitude after slight smoothing: strong edges don't dominate.

    Args:
        grey: uint8, `(h, w)`.
        lines: Only the upper `lines` are wanted.

    Returns:
        float32, `(lines, w)`.
    """
    smooth = _smooth(_smooth(grey[: lines + MARGIN].astype(np.float32)).T).T
    squared = _squared_slope(smooth)
    squared += _squared_slope(smooth.T).T
    return np.sqrt(np.sqrt(squared, out=squared), out=squared)[:lines]


def _smooth(image: np.ndarray) -> np.ndarray:
    """Gaussian of one pixel down the columns; lines beyond the border mirror those before it."""
    height = len(image)
    wide = np.concatenate([image[3::-1], image, image[:-5:-1]])
    total = wide[4 : 4 + height] * SMOOTHING[0]
    for step in range(1, 5):
        both = wide[4 - step : 4 - step + height] + wide[4 + step : 4 + step + height]
        both *= SMOOTHING[step]
        total += both
    return total


def _squared_slope(image: np.ndarray) -> np.ndarray:
    """Squared differences down the columns, per line; central ones but at the border."""
    slope = np.empty_like(image)
    np.subtract(image[2:], image[:-2], out=slope[1:-1])
    slope[1:-1] *= 0.5
    slope[0], slope[-1] = image[1] - image[0], image[-1] - image[-2]
    return np.multiply(slope, slope, out=slope)


def _shift_scores(a: np.ndarray, b: np.ndarray, reach: int) -> np.ndarray:
    """Correlation of `a` with `b` moved by up to `reach` pixels, `(2 reach + 1, 2 reach + 1)`; zeros if flat."""
    window = _window(*a.shape)
    a, b = (a - a.mean()) * window, (b - b.mean()) * window
    norm = float(np.sqrt(np.vdot(a, a) * np.vdot(b, b)))
    if norm < 1e-6:
        return np.zeros((2 * reach + 1, 2 * reach + 1), np.float32)
    from scipy import fft  # slow to import, and a process that only plans needs none

    product = fft.rfft2(a)
    product *= np.conj(fft.rfft2(b))
    near = np.arange(-reach, reach + 1)
    lines = fft.ifft(product, axis=0, overwrite_x=True)[near]  # only these are wanted across
    return fft.irfft(lines, a.shape[1], axis=1)[:, near] / norm


@lru_cache(maxsize=8)
def _window(height: int, width: int) -> np.ndarray:
    return np.outer(np.hanning(height), np.hanning(width)).astype(np.float32)


def _best_shift(scores: np.ndarray) -> tuple[int, int]:
    reach = scores.shape[0] // 2
    row, column = np.unravel_index(int(scores.argmax()), scores.shape)
    return int(row) - reach, int(column) - reach
