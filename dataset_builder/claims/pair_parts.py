"""Segments the RGB image by look and the infrared image by tone, on the working grid.

Standard library, numpy and scipy only: a metric's release copies the whole folder.

A look is a hue and a tone. Tones are the image's own, two or three that lie apart; hue is told by angle where chroma
is plain. Teal is told from green by the blue channel, which lies nearer to green than to red; haze is told from blue
as a veil that half of the image shares, up to `HAZE` grey levels, and is taken off before hues are told.
"""

from collections.abc import Iterator

import numpy as np
from scipy import ndimage

from .grounding import GRID, place_of, shape_of
from .pair_facts import HUES, TONES, Part, packed
from .pair_floors import (
    AGAINST_AUC,
    BLUE_FROM,
    BLUE_TO,
    CHROMA,
    DARK_BELOW,
    GREEN_FROM,
    HAZE,
    LEAST_SHARE,
    LEVEL_AUC,
    MOST_PARTS,
    MOST_SHARE,
    PALE_ABOVE,
    SATURATION,
    SOLID,
    TEAL_FROM,
    TINT_STEP,
    TONE_GAP,
)
from .pair_standing import Tones, change_of, compared, counted, ring_of


class Grids:
    """Both images on the working grid.

    Args:
        infrared: float32 `(GRID, GRID)`, grey levels.
        rgb: float32 `(GRID, GRID, 3)`.
    """

    def __init__(self, infrared: np.ndarray, rgb: np.ndarray) -> None:
        self.infrared, self.rgb = infrared, rgb
        self.luminance = rgb @ np.array([0.299, 0.587, 0.114], np.float32)
        self.infrared_tones, self.luminance_tones = Tones(_levels(infrared)), Tones(_levels(self.luminance))
        red, green, blue = rgb[..., 0], rgb[..., 1], rgb[..., 2]
        self.opponents = (_levels((red - blue) / 2 + 128), _levels((2 * green - red - blue) / 4 + 128))

    def parts(self) -> tuple[Part, ...]:
        """Segments of RGB look, the largest first."""
        smooth = ndimage.uniform_filter(self.rgb, (3, 3, 1))
        luminance = ndimage.uniform_filter(self.luminance, 3)
        looks = len(TONES) * hues_of(smooth) + tones_of(luminance)
        return tuple(self._part("rgb", look, mask) for look, mask in segments(looks))

    def regions(self) -> tuple[Part, ...]:
        """Dark and bright segments of the infrared that stand out from what is around them, the largest first."""
        tones = tones_of(ndimage.uniform_filter(self.infrared, 3))
        against = {TONES.index("dark"): "darker", TONES.index("pale"): "brighter"}
        regions = []
        for tone, mask in segments(tones):
            if tone in against and mask.sum() <= MOST_SHARE * mask.size:
                region = self._part("infrared", len(TONES) * HUES.index("neutral") + tone, mask)
                regions += [region] if region.infrared.against == against[tone] else []
        return tuple(regions)

    def _part(self, image: str, look: int, mask: np.ndarray) -> Part:
        hue, tone = divmod(look, len(TONES))
        rows, columns = positions = np.stack(np.nonzero(mask))
        ring = ring_of(mask)
        rgb, infrared = self.luminance_tones.standing(mask, ring), self.infrared_tones.standing(mask, ring)
        if mask.sum() > MOST_SHARE * mask.size:
            only = False
        elif image == "rgb":
            plain = rgb.against in ("darker", "brighter") or self._tint(mask, ring) > 0
            only = plain and infrared.against == "level"
        else:
            only = rgb.against == "level" and self._tint(mask, ring) < 0
        centre = (positions.mean(1) + 0.5) / GRID
        return Part(
            image=image,
            hue=HUES[hue],
            tone=TONES[tone],
            share=positions.shape[1] / mask.size,
            place=place_of(positions),
            centre=(float(centre[0]), float(centre[1])),
            box=(rows.min() / GRID, columns.min() / GRID, (rows.max() + 1) / GRID, (columns.max() + 1) / GRID),
            shape=shape_of(positions),
            mask=packed(mask),
            rgb=rgb,
            infrared=infrared,
            change=change_of(rgb, infrared),
            only=only,
        )

    def _tint(self, mask: np.ndarray, ring: np.ndarray) -> int:
        """1 where the colour of a mask stands out from its ring, -1 where it does not, 0 where noise could decide."""
        tints = [compared(counted(opponent[mask]), counted(opponent[ring])) for opponent in self.opponents]
        if any(abs(auc - 0.5) >= AGAINST_AUC - 0.5 and abs(step) >= TINT_STEP for auc, step in tints):
            return 1
        alike = [LEVEL_AUC[0] <= auc <= LEVEL_AUC[1] or abs(step) <= TINT_STEP / 4 for auc, step in tints]
        return -1 if all(alike) else 0


def _levels(values: np.ndarray) -> np.ndarray:
    return np.clip(values + 0.5, 0, 255).astype(np.uint8)


def hues_of(rgb: np.ndarray) -> np.ndarray:
    """Index into `HUES` by pixel; rgb float `(height, width, 3)`."""
    red, green, blue = rgb[..., 0], rgb[..., 1], rgb[..., 2]
    veil = np.clip(np.median(blue - np.maximum(red, green)), 0, HAZE)
    blue = blue - veil
    largest, smallest = np.maximum(np.maximum(red, green), blue), np.minimum(np.minimum(red, green), blue)
    chroma = largest - smallest
    angle = np.degrees(np.arctan2(np.sqrt(3) * (green - blue), 2 * red - green - blue)) % 360
    hue = np.searchsorted((GREEN_FROM, TEAL_FROM, BLUE_FROM, BLUE_TO, 330.0), angle, side="right")
    index = np.array([HUES.index(name) for name in ("warm", "green", "teal", "blue", "neutral", "warm")])[hue]
    plain = (chroma >= CHROMA) & (chroma >= SATURATION * largest)
    return np.where(plain, index, HUES.index("neutral"))


def tones_of(grey: np.ndarray) -> np.ndarray:
    """Index into `TONES` by pixel: the image's own two or three tones, by the means that explain its values best."""
    values = np.sort(grey, axis=None)
    means = _means(values)
    borders = [(low + high) / 2 for low, high in zip(means, means[1:])]
    names = {1: (1,), 2: (0, 2), 3: (0, 1, 2)}[len(means)]
    index = np.array(
        [
            1 if name == 0 and mean > DARK_BELOW or name == 2 and mean < PALE_ABOVE else name
            for name, mean in zip(names, means)
        ]
    )
    return index[np.searchsorted(borders, grey)]


def _means(values: np.ndarray) -> list[float]:
    """Three means of sorted values by Lloyd's rule; those nearer than `TONE_GAP` become one."""
    totals = np.concatenate(([0.0], np.cumsum(values, dtype=np.float64)))
    means = values[[values.size // 20, values.size // 2, -values.size // 20]].astype(float)
    for _ in range(12):
        cuts = np.array([0, *np.searchsorted(values, (means[1:] + means[:-1]) / 2), values.size])
        sizes, before = np.diff(cuts), means
        means = np.where(sizes > 0, np.diff(totals[cuts]) / np.maximum(sizes, 1), means)
        if np.abs(means - before).max() < 0.1:
            break
    groups = [(mean, size) for mean, size in zip(means.tolist(), sizes.tolist()) if size]
    while len(groups) > 1:
        gaps = [b[0] - a[0] for a, b in zip(groups, groups[1:])]
        at = int(np.argmin(gaps))
        if gaps[at] >= TONE_GAP:
            break
        (a, m), (b, n) = groups[at : at + 2]
        groups[at : at + 2] = [((a * m + b * n) / (m + n), m + n)]
    return [mean for mean, _ in groups]


def segments(looks: np.ndarray) -> Iterator[tuple[int, np.ndarray]]:
    """Yields look and mask of connected segments, the largest first; looks are smoothed by majority before."""
    present = np.flatnonzero(np.bincount(looks.ravel()) >= LEAST_SHARE * looks.size / 2)
    votes = np.stack([ndimage.uniform_filter((looks == look).astype(np.float32), 3) for look in present])
    looks = present[votes.argmax(0)]
    candidates = []
    for look in present:
        labels, count = ndimage.label(looks == look)
        sizes = np.bincount(labels.ravel(), minlength=count + 1)
        sizes[0] = 0
        for label in np.flatnonzero(sizes >= LEAST_SHARE * looks.size):
            candidates.append((-int(sizes[label]), int(look), labels == label))
    candidates.sort(key=lambda candidate: candidate[0])
    taken = 0
    for size, look, mask in candidates:
        core = ndimage.minimum_filter(mask.view(np.uint8), 3)
        if core.sum() >= SOLID * -size and taken < MOST_PARTS:
            taken += 1
            yield look, mask
