"""What covers a tile, where and in what pattern, measured in bands that the row does not show, for its captions.

A rule may use no band of the row's RGB, nor its infrared band, nor a near twin of one of them; `SceneCaptionRule`
refuses such a rule.
"""

from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from scipy import ndimage

from dataset_builder.claims.grounding import CELLS

# Bands that show nearly the same: red edge 2 and 3, narrow NIR and water vapour beside NIR; the two short-wave
# infrared bands; the two thermal ones; the panchromatic band beside the visible ones.
TWINS = {
    "Sentinel-2 MSI": (("B06", "B07", "B08", "B8A", "B09"), ("B11", "B12")),
    "Landsat 7 ETM+": (("B5", "B7"), ("B1", "B2", "B3", "B8")),
    "Landsat 8 OLI/TIRS": (("B6", "B7"), ("B10", "B11"), ("B2", "B3", "B4", "B8")),
}
SMALLEST_SHARE = 0.02  # of the tile: what covers less is not told
SMALLEST_PATCH = 6  # pixels
EVEN_SHARE = 0.9  # of one cover: the tile is even
BORDERS = {
    "blocks": 0.06,
    "patchwork": 0.14,
    "mixture": 1.0,
}  # share of neighbouring pixels that differ in cover, up to


@dataclass(frozen=True, slots=True)
class SceneCaptionRule:
    """How scene captions of one scene's rows of one infrared band are made.

    Args:
        name: `<scene>/<ir_band>`.
        covers: Tried pixel by pixel, the first that fits holds: `cover` (a name), and `[low, high)` by band
            or by normalised difference `A-B`, (A - B) / (A + B); null is unbounded. The last has no condition.
        trend: `of`, a band or normalised difference that is higher where there is more of `measure` (dryness, warmth
            or growth); `least`: the range of the nine cells' means below which it is not told.
        hidden: Bands that the captions may not use: the row's RGB and infrared bands and their near twins.
    """

    name: str
    covers: Sequence[Mapping[str, Any]]
    trend: Mapping[str, Any]
    hidden: frozenset[str]

    def __post_init__(self) -> None:
        """Raises ValueError where the rule would leak the answer, as it looks at what the row shows."""
        if leaks := sorted(self.hidden.intersection(self.bands)):
            raise ValueError(f"caption rule {self.name} uses {leaks}, which the row shows or whose near twin it shows")

    @property
    def bands(self) -> list[str]:
        """Bands that the captions are made from, sorted."""
        used = [key for part in self.covers for key in part if key != "cover"]
        return sorted({band for key in [*used, self.trend["of"]] for band in key.split("-")})


def hidden_bands(sensor: str, shown: Collection[str]) -> frozenset[str]:
    """Returns the bands that a caption must not use: those that a row shows, and their near twins."""
    return frozenset(shown).union(*(group for group in TWINS[sensor] if set(group) & set(shown)))


@dataclass(frozen=True, slots=True)
class CoverFacts:
    """Where one cover lies.

    Args:
        cover: Its name.
        share: Of the tile, 0 to 1, rounded to hundredths.
        place: One of `CELLS`, `<side> half`, `north and south`, `west and east`, or `everywhere`.
        shape: `strip`, `block`, `few` or `scattered` patches.
    """

    cover: str
    share: float
    place: str
    shape: str


@dataclass(frozen=True, slots=True)
class SceneFacts:
    """What the captions of one row are written from.

    Args:
        covers: From the largest share down.
        pattern: `even` where one cover has nine tenths, else by `BORDERS`.
        trend: What changes over the tile, and the cells where it is highest and lowest; None where the tile is too
            even.
    """

    covers: Sequence[CoverFacts]
    pattern: str
    trend: tuple[str, str, str] | None


def measure_scene(rule: SceneCaptionRule, bands: Mapping[str, np.ndarray]) -> SceneFacts:
    """Measures a tile by a rule.

    Args:
        rule: What to look at.
        bands: `(side, side)` values by name, in the unit of the rule's limits; `rule.bands` are read.
    """
    layer = {key: _layer(key, bands) for part in rule.covers for key in part if key != "cover"}
    side = len(bands[rule.bands[0]])
    labels = np.full((side, side), len(rule.covers) - 1)
    for number, part in reversed(list(enumerate(rule.covers))):
        fits = np.ones((side, side), bool)
        for key, (low, high) in ((key, limits) for key, limits in part.items() if key != "cover"):
            fits &= (layer[key] >= (-np.inf if low is None else low)) & (
                layer[key] < (np.inf if high is None else high)
            )
        labels[fits] = number
    covers = [_where(part["cover"], labels == number) for number, part in enumerate(rule.covers)]
    covers = sorted((facts for facts in covers if facts and facts.share >= SMALLEST_SHARE), key=lambda f: -f.share)
    borders = np.mean([(labels[1:] != labels[:-1]).mean(), (labels[:, 1:] != labels[:, :-1]).mean()])
    pattern = "even" if covers[0].share >= EVEN_SHARE else next(name for name in BORDERS if borders <= BORDERS[name])
    cells = np.array([part.mean() for part in _thirds(_layer(rule.trend["of"], bands))])
    uneven = cells.max() - cells.min() >= rule.trend["least"]
    trend = (rule.trend["measure"], CELLS[cells.argmax()], CELLS[cells.argmin()]) if uneven else None
    return SceneFacts(tuple(covers), pattern, trend)


def _layer(key: str, bands: Mapping[str, np.ndarray]) -> np.ndarray:
    first, *second = (bands[name].astype(np.float64) for name in key.split("-"))
    return (first - second[0]) / np.maximum(first + second[0], 1e-9) if second else first


def _thirds(array: np.ndarray) -> list[np.ndarray]:
    """Cuts an array into the nine parts that `CELLS` names."""
    return [part for rows in np.array_split(array, 3) for part in np.array_split(rows, 3, axis=1)]


def _where(cover: str, mask: np.ndarray) -> CoverFacts | None:
    if not mask.any():
        return None
    patches, _ = ndimage.label(mask)
    sizes = np.bincount(patches.ravel())[1:]
    largest = patches == sizes.argmax() + 1
    lead = sizes.max() / mask.sum()
    axes = np.linalg.eigvalsh(np.cov(np.argwhere(largest).T, bias=True) + np.eye(2) / 12)  # a pixel's own extent
    if lead >= 0.6 and axes[1] >= 10 * axes[0]:
        shape = "strip"
    elif lead >= 0.75:
        shape = "block"
    else:
        shape = "few" if (sizes >= SMALLEST_PATCH).sum() <= 4 else "scattered"
    return CoverFacts(cover, round(float(mask.mean()), 2), _place(mask), shape)


def _place(mask: np.ndarray) -> str:
    total = mask.sum()
    cells = np.array([part.sum() for part in _thirds(mask)]).reshape(3, 3) / total
    rows, columns = cells.sum(1), cells.sum(0)
    if cells.max() >= 0.5:
        return CELLS[int(cells.argmax())]
    sides = {"north": rows[0], "south": rows[2], "west": columns[0], "east": columns[2]}
    side = max(sides, key=sides.__getitem__)
    if sides[side] >= 0.7:  # more than the two thirds of one that fills half of the tile
        return side
    middle = len(mask) // 2
    halves = {
        "northern": mask[:middle],
        "southern": mask[middle:],
        "western": mask[:, :middle],
        "eastern": mask[:, middle:],
    }
    half = max(halves, key=lambda name: halves[name].sum())
    if halves[half].sum() / total >= 0.75:
        return f"{half} half"
    for first, second in (("north", "south"), ("west", "east")):
        if sides[first] + sides[second] >= 0.85 and min(sides[first], sides[second]) >= 0.3:
            return f"{first} and {second}"
    return "everywhere"
