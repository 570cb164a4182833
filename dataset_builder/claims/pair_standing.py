"""How a mask stands in an image: among all of its tones, and against what lies around the mask.

Standard library, numpy and scipy only: a metric's release copies the whole folder.
"""

import numpy as np
from scipy import ndimage

from .pair_facts import Change, Standing
from .pair_floors import (
    AGAINST_AUC,
    AGAINST_STEP,
    BRIGHT_RANK,
    DARK_RANK,
    LEVEL_AUC,
    LEVEL_STEP,
    MEDIUM_RANK,
    RING,
    TONE_STEP,
)


class Tones:
    """All tones of one image, counted once.

    Args:
        grey: uint8, any shape.
    """

    def __init__(self, grey: np.ndarray) -> None:
        self.grey = grey
        counts = np.bincount(grey.ravel(), minlength=256)
        below = np.cumsum(counts)
        self.rank_of = (below - counts / 2) / grey.size  # of each grey level
        self.median = int(np.searchsorted(below, grey.size / 2))

    def standing(self, inside: np.ndarray, around: np.ndarray) -> Standing:
        """Measures a mask against its ring; both bool, of the image's shape."""
        return self.standing_of(counted(self.grey[inside]), counted(self.grey[around]))

    def standing_of(self, values: np.ndarray, beside: np.ndarray) -> Standing:
        """Measures grey levels of this image, `counted`, against those beside; none beside: an AUC of one half."""
        size = max(1, int(values.sum()))
        mean, rank = float(values @ _GREYS) / size, float(values @ self.rank_of) / size
        auc, step = compared(values, beside)
        return Standing(mean, rank, auc, step, self._tone(rank, mean), against(auc, step))

    def _tone(self, rank: float, mean: float) -> str | None:
        if rank <= DARK_RANK and self.median - mean >= TONE_STEP:
            return "dark"
        if rank >= BRIGHT_RANK and mean - self.median >= TONE_STEP:
            return "bright"
        return "medium" if MEDIUM_RANK[0] <= rank <= MEDIUM_RANK[1] else None


_GREYS = np.arange(256)


def counted(values: np.ndarray) -> np.ndarray:
    """Histogram of uint8 values; int `(256,)`."""
    return np.bincount(values, minlength=256)


def compared(inside: np.ndarray, around: np.ndarray) -> tuple[float, float]:
    """AUC and step of two histograms of grey levels, the first against the second."""
    size, other = int(inside.sum()), int(around.sum())
    if not size or not other:
        return 0.5, 0.0
    below = np.cumsum(around) - around / 2
    return float(inside @ below) / size / other, float(inside @ _GREYS) / size - float(around @ _GREYS) / other


def against(auc: float, step: float) -> str | None:
    """`brighter`, `darker` or `level`; None between."""
    if auc >= AGAINST_AUC and step >= AGAINST_STEP:
        return "brighter"
    if auc <= 1 - AGAINST_AUC and step <= -AGAINST_STEP:
        return "darker"
    return "level" if LEVEL_AUC[0] <= auc <= LEVEL_AUC[1] and abs(step) <= LEVEL_STEP else None


def ring_of(mask: np.ndarray) -> np.ndarray:
    """What lies around a mask of the working grid, without its immediate border."""
    near = ndimage.maximum_filter(mask.view(np.uint8), 3)
    return (ndimage.maximum_filter(near, 2 * RING + 1) > near).view(bool)


_OPPOSITE = {("dark", "bright"), ("bright", "dark"), ("darker", "brighter"), ("brighter", "darker")}


def change_of(rgb: Standing, infrared: Standing) -> Change:
    """Compares how the two images show the same mask."""
    return Change(_change(rgb.tone, infrared.tone, "medium"), _change(rgb.against, infrared.against, "level"))


def _change(rgb: str | None, infrared: str | None, nothing: str) -> str | None:
    if rgb is None or infrared is None or rgb == infrared == nothing:
        return None
    if rgb == infrared:
        return "kept"
    if (rgb, infrared) in _OPPOSITE:
        return "reversed"
    return "lost" if infrared == nothing else "gained"
