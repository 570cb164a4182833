"""Finds the pixels of a thing by its look in RGB, its tone and its place, on the working grid.

Standard library, numpy, scipy and Pillow only: a metric's release copies the whole folder. No mask is certain: a thing
has several, and a statement is wrong only where it is wrong of all of them.
"""

from collections.abc import Callable, Sequence
from functools import cached_property, lru_cache

import numpy as np
from PIL import Image
from scipy import ndimage

from .grounding import COLOURS, GRID, PairImages
from .image_view import View, decoded, place_mask, quantile, sided
from .kinds import WHITE
from .pair_images import pair_of_images
from .things import LOOKS, Thing

SHARES = (0.12, 0.35)  # of its region: the pixels most like the thing
EXTREME_SHARES = (0.04, 0.12)  # of what is black or white in RGB
_OF_ANY_LOOK = (("crops",), ("open",))  # a field may be dark, a plain green
_LEAST_SPREAD = 6.0  # grey levels that count as one step of a feature
_LEAST_PIXELS = 6
COLOUR_LOOKS: dict[str, dict[str, float]] = {
    "green": {"green": 1.0},
    "blue": {"blue": 1.0},
    "teal": {"teal": 1.0},
    "warm": {"warm": 1.0},
    "brown": {"warm": 1.0, "luminance": -0.4},
    "pink": {"pink": 1.0, "luminance": 0.2},
    "pale": {"luminance": 1.0},
}
_SMALL = frozenset({"spot", "speck", "dot", "clearing", "building", "house", "roof", "barn", "crust", "fleck", "mark",
                    "streak", "point", "streaks", "farmstead"})  # fmt: skip


class Sight:
    """The looks of one pair, by pixel, beside a view of its infrared.

    Args:
        view: Of the pair; the looks are those of its RGB and shared by all views of the same RGB.
    """

    def __init__(self, view: View) -> None:
        facts = view.facts
        self.view, self.looks = view, _looks(facts.images, facts.luminance_grid, facts.colour_grid)

    @property
    def rgb(self) -> np.ndarray:
        """float32 `(GRID, GRID, 3)`."""
        return self.looks.rgb

    def likeness(self, thing: Thing) -> np.ndarray | None:
        """How much each pixel looks like a thing in RGB; None where nothing tells."""
        return self.looks.likeness(thing)

    def masks(self, thing: Thing, subject: np.ndarray | None = None) -> list[np.ndarray]:
        """Candidate masks; `subject` is the thing that it lies beside."""
        return self.looks.masks(thing, subject)


class _Looks:
    """What is seen of the RGB alone: several statements are judged of one pair, and of pairs that share an RGB."""

    def __init__(self, images: PairImages, luminance: str, colours: str) -> None:
        self.images, self.luminance = images, decoded(luminance)
        self.colours = np.frombuffer(colours.encode(), np.uint8).reshape(GRID, GRID) - ord("0")
        self._masks: dict[Thing, list[np.ndarray]] = {}
        self._features: dict[str, np.ndarray] = {}

    @cached_property
    def rgb(self) -> np.ndarray:
        """float32 `(GRID, GRID, 3)`."""
        _, pixels = self.images.arrays()
        return np.asarray(Image.fromarray(pixels).resize((GRID, GRID), Image.Resampling.BOX), np.float32)

    def feature(self, name: str) -> np.ndarray:
        """Steps of a feature from its median by pixel, about -2 to 2."""
        if name not in self._features:
            self._features[name] = _steps(FEATURES[name](self))
        return self._features[name]

    def likeness(self, thing: Thing) -> np.ndarray | None:
        """How much each pixel looks like a thing in RGB; None where nothing tells."""
        weights: dict[str, float] = {}
        explicit = bool(thing.colours) or bool(thing.tones) and thing.image != "infrared"
        for look in thing.looks[:1] if thing.looks[:1] not in (("any",), ("line",)) else thing.looks[1:2]:
            for name, weight in LOOKS[look].items():
                weights[name] = weights.get(name, 0.0) + weight * (0.4 if explicit else 1.0)
        for colour in thing.colours:
            for name, weight in COLOUR_LOOKS[colour].items():
                weights[name] = weights.get(name, 0.0) + weight
        if thing.image != "infrared":
            for tone in thing.tones[:2]:
                weights["luminance"] = weights.get("luminance", 0.0) + tone / 2
                if tone > 2:
                    weights["chroma"] = weights.get("chroma", 0.0) - 0.3
        if not weights:
            return None
        score = sum(weight * self.feature(name) for name, weight in weights.items())
        return score if thing.head in _SMALL else ndimage.uniform_filter(score, 3)

    def masks(self, thing: Thing, subject: np.ndarray | None = None) -> list[np.ndarray]:
        """Candidate masks; see `Sight.masks`."""
        if subject is not None and thing.beside:
            return self._found(thing, subject)
        if thing not in self._masks:
            self._masks[thing] = self._found(thing, None)
        return self._masks[thing]

    def _found(self, thing: Thing, subject: np.ndarray | None) -> list[np.ndarray]:
        likeness = self.likeness(thing)
        found = []
        for region in regions(thing):
            region = _beside(region, thing.beside, subject)
            if likeness is None:
                found.append(region)
                continue
            ordered = np.sort(likeness[region])
            shares = EXTREME_SHARES if _is_extreme(thing) else SHARES
            found += [region & (likeness >= quantile(ordered, 1 - share)) for share in shares if ordered.size]
            if (part := self._part(likeness, region, ordered)) is not None:
                found += [part, part]  # what is segmented counts twice
            if (coloured := self._coloured(thing)) is not None:
                found.append(region & coloured)
        return [mask for mask in found if np.count_nonzero(mask) >= _LEAST_PIXELS]

    def largest_parts(self, thing: Thing) -> list[np.ndarray]:
        """The measured part that takes up most of each place of a thing that may look like anything, else none."""
        if thing.tones or thing.colours or thing.looks[:1] not in _OF_ANY_LOOK or not len(self.parts):
            return []
        return [max((mask & region for mask in self.parts), key=np.sum) for region in regions(thing)]

    @cached_property
    def parts(self) -> np.ndarray:
        """Masks of the measured parts; bool `(parts, GRID, GRID)`."""
        masks = [part.pixels for part in pair_of_images(self.images).parts]
        return np.array(masks, bool).reshape(-1, GRID, GRID)

    def _part(self, likeness: np.ndarray, region: np.ndarray, ordered: np.ndarray) -> np.ndarray | None:
        """The measured part of a region that is most like a thing, if it is more so than most of the region.

        `ordered` are the likenesses of the region, sorted.
        """
        inside = self.parts & region
        sizes, whole = (np.count_nonzero(masks, axis=(1, 2)) for masks in (inside, self.parts))
        masks = inside[sizes >= np.maximum(_LEAST_PIXELS, 0.5 * whole)]
        if not len(masks):
            return None
        likest, best = max(((float(likeness[mask].mean()), mask) for mask in masks), key=lambda entry: entry[0])
        return best if likest >= quantile(ordered, 0.8) else None

    def _coloured(self, thing: Thing) -> np.ndarray | None:
        """Pixels of its colour, by the facts of the image."""
        name = {"teal": "blue", "brown": "warm", "pink": "warm"}
        bits = [COLOURS.index(name.get(c, c)) for c in thing.colours if name.get(c, c) in COLOURS]
        if not bits or thing.tones:
            return None
        mask = (self.colours >> bits[0] & 1).astype(bool)
        return mask if mask.mean() >= 0.02 else None


_looks = lru_cache(maxsize=16)(_Looks)


def _is_extreme(thing: Thing) -> bool:
    """Whether it is black or white in RGB."""
    return thing.image == "rgb" and bool(thing.tones) and abs(thing.tones[0]) >= WHITE


def _roughness(looks: _Looks) -> np.ndarray:
    deviation = looks.luminance - ndimage.uniform_filter(looks.luminance, 3)
    return np.sqrt(ndimage.uniform_filter(deviation**2, 5))


def _channels(of: Callable[[np.ndarray, np.ndarray, np.ndarray], np.ndarray]) -> Callable[[_Looks], np.ndarray]:
    return lambda looks: of(*np.moveaxis(looks.rgb, -1, 0))


FEATURES: dict[str, Callable[[_Looks], np.ndarray]] = {
    "luminance": lambda looks: looks.luminance,
    "green": _channels(lambda red, green, blue: green - (red + blue) / 2),
    "warm": _channels(lambda red, green, blue: red - blue),
    "pink": _channels(lambda red, green, blue: red - green),
    "blue": _channels(lambda red, green, blue: blue - (red + green) / 2),
    "teal": _channels(lambda red, green, blue: np.minimum(green, blue) - red),
    "chroma": lambda looks: looks.rgb.max(-1) - looks.rgb.min(-1),
    "rough": _roughness,
}


def _steps(values: np.ndarray) -> np.ndarray:
    return np.clip((values - np.median(values)) / max(float(values.std()), _LEAST_SPREAD), -2.5, 2.5)


def regions(thing: Thing) -> list[np.ndarray]:
    """Where a thing may lie: a corner by ninth or by quadrant; everywhere where no place is named."""
    if not thing.places:
        return [np.ones((GRID, GRID), bool)]
    return places_masks(thing.places, thing.offset)


def places_masks(places: Sequence[str], offset: str = "") -> list[np.ndarray]:
    """Masks of places, all together: the strict one, then the tolerant one."""
    both = zip(*(place_masks(place, offset) for place in places))
    return [np.logical_or.reduce(masks) for masks in both]


@lru_cache(maxsize=128)
def place_masks(place: str, offset: str = "") -> tuple[np.ndarray, np.ndarray]:
    """A place and the larger one that people may mean by it: a corner's quadrant, a side's half, the inner half."""
    if offset and place == "centre":
        rows = np.arange(GRID)[:, None] + np.zeros((1, GRID), int)
        inner = place_mask("centre")
        shift = GRID // 8 * (1 if offset == "south" else -1)
        moved = np.roll(inner, shift, 0)
        half = rows >= GRID // 2 if offset == "south" else rows < GRID // 2
        columns = np.zeros((GRID, GRID), bool)
        columns[:, GRID // 5 : -GRID // 5] = True
        return moved & half, columns & half
    mask = place_mask(sided(place)) if place not in ("north", "south", "west", "east") else place_mask(_cell(place))
    if place == "centre":
        wide = np.zeros((GRID, GRID), bool)
        wide[GRID // 5 : -GRID // 5, GRID // 5 : -GRID // 5] = True
        return mask, wide
    if place == "margins" or place.endswith(" half"):
        return mask, mask
    if "-" in place:
        return mask, place_mask(f"{place} half")
    return mask, place_mask(f"{place.split(' ')[0]} half")


def _cell(place: str) -> str:
    return f"{place} side"


def _beside(region: np.ndarray, beside: str, subject: np.ndarray | None) -> np.ndarray:
    if subject is None or not beside:
        return region
    if beside in ("around", "rest"):
        near = ndimage.binary_dilation(subject, iterations=GRID // 5 if beside == "around" else GRID)
        return region & near & ~ndimage.binary_dilation(subject, iterations=1)
    rows, columns = np.nonzero(subject)
    grid = np.mgrid[0:GRID, 0:GRID]
    side = {
        "north": grid[0] < rows.mean() - 2,
        "south": grid[0] > rows.mean() + 2,
        "west": grid[1] < columns.mean() - 2,
        "east": grid[1] > columns.mean() + 2,
    }.get(beside.split("-")[0])
    return region if side is None else region & side & ~subject


def ring_of(mask: np.ndarray, width: int = 5) -> np.ndarray:
    """What lies around a mask, without its immediate border."""
    near = ndimage.binary_dilation(mask, iterations=1)
    return ndimage.binary_dilation(near, iterations=width) & ~near
