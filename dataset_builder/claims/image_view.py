"""An image's facts as a judge looks at them: tones by place, on the working grid."""

from functools import cached_property, lru_cache

import numpy as np

from .grounding import CELLS, GRID, InfraredFacts


class View:
    """The grids of one image, decoded when first asked for."""

    def __init__(self, facts: InfraredFacts) -> None:
        self.facts = facts
        self.scale = max(facts.spread, 12.0)
        self.verdicts: dict[tuple, str] = {}  # by what is claimed, in whatever words

    @cached_property
    def grey(self) -> np.ndarray:
        """Infrared, grey levels; float32 `(GRID, GRID)`."""
        return decoded(self.facts.grid)

    @cached_property
    def ranked(self) -> np.ndarray:
        """All values of `grey`, sorted."""
        return np.sort(self.grey, axis=None)

    @cached_property
    def ranks(self) -> np.ndarray:
        """Share of the image that is darker than each pixel, half of what is equal included; `(GRID, GRID)`."""
        counts = np.bincount(self.grey.astype(np.uint8).ravel(), minlength=256)
        return ((np.cumsum(counts) - counts / 2) / self.grey.size)[self.grey.astype(np.uint8)]

    @cached_property
    def luminance(self) -> np.ndarray | None:
        """Of the RGB image, as `grey`; None where there was none."""
        return None if self.facts.luminance_grid is None else decoded(self.facts.luminance_grid)

    @cached_property
    def colours(self) -> np.ndarray:
        """Bits of `COLOURS` by pixel; uint8 `(GRID, GRID)`."""
        return np.frombuffer(self.facts.colour_grid.encode(), np.uint8).reshape(GRID, GRID) - ord("0")

    def top(self, sign: int) -> np.ndarray:
        """Pixels of the brightest (1) or darkest (-1) three percent, and what is as extreme; bool `(GRID, GRID)`."""
        return self.grey >= quantile(self.ranked, 0.97) if sign > 0 else self.grey <= quantile(self.ranked, 0.03)

    def rank(self, value: float) -> float:
        """Share of the image that is darker, half of what is equal included."""
        below, upto = (np.searchsorted(self.ranked, value, side) for side in ("left", "right"))
        return float(below + upto) / 2 / self.ranked.size


def quantile(ordered: np.ndarray, share: float) -> float:
    """Of sorted values, interpolated: a dozen are asked of one order."""
    at = share * (ordered.size - 1)
    low = int(at)
    return float(ordered[low] + (at - low) * (ordered[min(low + 1, ordered.size - 1)] - ordered[low]))


def decoded(grid: str) -> np.ndarray:
    """A grid of the facts, grey levels; float32 `(GRID, GRID)`."""
    return np.frombuffer(bytes.fromhex(grid), np.uint8).reshape(GRID, GRID).astype(np.float32)


@lru_cache(maxsize=64)
def place_mask(place: str) -> np.ndarray:
    """Working pixels of a place; a side by its bare name (`north`) is all of it."""
    mask = np.zeros((GRID, GRID), bool)
    third = GRID // 3
    if place in ("centre", "margins"):
        mask[third:-third, third:-third] = True
        return mask if place == "centre" else ~mask
    depth = GRID // 2 if place.endswith(" half") else third
    name = place.split(" ")[0]
    rows = slice(0, depth) if "north" in name else slice(GRID - depth, GRID) if "south" in name else slice(None)
    columns = slice(0, depth) if "west" in name else slice(GRID - depth, GRID) if "east" in name else slice(None)
    mask[rows, columns] = True
    return mask


@lru_cache(maxsize=64)
def siblings(place: str) -> tuple[str, ...]:
    """Places of the same size, itself included, that it may be compared with."""
    if place.endswith(" half"):
        return (place, _flipped(place))
    if place.endswith(" side"):
        return tuple(f"{side} side" for side in ("north", "south", "west", "east"))
    return ("centre", "margins") if place == "margins" else CELLS


def _flipped(place: str) -> str:
    pairs = {"north": "south", "south": "north", "west": "east", "east": "west"}
    name, part = place.split(" ")
    return f"{pairs[name]} {part}"


def sided(place: str) -> str:
    """Returns the name of a whole side where one is named barely: `north side` for `north`."""
    return f"{place} side" if place in ("north", "south", "west", "east") else place
