"""What is measured of an RGB-infrared pair: parts and lines, how each stands in both images, what only one shows.

Standard library and numpy only: a metric's release copies the whole folder. `pair_images` measures them.

Positions are shares of the image, 0 to 1, from its top left corner: `(row, column)`. Ranks count all tones of an
image: 0 its darkest, 1 its brightest. Thresholds are in `pair_floors`.
"""

from dataclasses import dataclass

import numpy as np

from .grounding import GRID

HUES = ("green", "teal", "blue", "warm", "neutral")  # warm: red, brown, orange to yellow, as bare ground
TONES = ("dark", "medium", "pale")
CHANGES = ("kept", "lost", "gained", "reversed")
COURSES = ("across", "down", "falling", "rising", "winding")  # falling: from the upper left to the lower right


@dataclass(frozen=True, slots=True)
class Standing:
    """How a part or a line stands in one image.

    Attributes:
        mean: Grey level of its pixels, 0 to 255; luminance for RGB.
        rank: Mean rank of its pixels among all tones, 0 to 1.
        auc: Chance that a pixel of it is brighter than a pixel of the ring around it, 0 to 1; ties count half.
        step: Its mean minus the ring's, grey levels.
        tone: `dark` or `bright` where its rank is in the lower or upper part of all tones, `medium` between; None
            where noise could decide.
        against: `darker` or `brighter` than its ring, or `level` where it does not stand out; None where noise could
            decide.
    """

    mean: float
    rank: float
    auc: float
    step: float
    tone: str | None
    against: str | None


@dataclass(frozen=True, slots=True)
class Change:
    """How what stands out in one image stands in the other; each of `CHANGES`, or None where nothing may be claimed.

    `kept` on the same side in both images; `reversed` on opposite sides; `lost` in the infrared; `gained` in it.

    Attributes:
        tone: Of the rank among all tones.
        ring: Against the ring around it. Much more specific to a pair than the change of rank.
    """

    tone: str | None
    ring: str | None


@dataclass(frozen=True, slots=True)
class Part:
    """A connected segment of one look.

    Attributes:
        image: `rgb` for a segment of RGB appearance, `infrared` for one of infrared tone.
        hue: Of `HUES`; `neutral` in the infrared.
        tone: Of `TONES`, relative to the image and, for dark and pale, absolute; in the infrared `dark` or `pale`.
        share: Of the area, 0 to 1.
        place: As `grounding.Region.place`: one of `CELLS`, a side (`east side`), or `across`.
        centre: Position of its centroid.
        box: Top, left, bottom, right, as shares.
        shape: `compact`, `elongated` or `irregular`.
        mask: `GRID` x `GRID` bits, row by row; see `pixels`.
        rgb, infrared: How it stands in both.
        change: Between them, RGB first.
        only: True where the other image does not show it: neither by tone nor, in RGB, by colour.
    """

    image: str
    hue: str
    tone: str
    share: float
    place: str
    centre: tuple[float, float]
    box: tuple[float, float, float, float]
    shape: str
    mask: bytes
    rgb: Standing
    infrared: Standing
    change: Change
    only: bool

    @property
    def appearance(self) -> str:
        """`dark green`, `teal`, `pale`, `warm`: what an eye would call it; a neutral part by its tone alone."""
        if self.hue == "neutral":
            return "grey" if self.tone == "medium" else self.tone
        return self.hue if self.tone == "medium" else f"{self.tone} {self.hue}"

    @property
    def pixels(self) -> np.ndarray:
        """Bool `(GRID, GRID)`."""
        return unpacked(self.mask)


@dataclass(frozen=True, slots=True)
class Line:
    """Something narrow and long: a road, a stream, a border; traced at full resolution.

    Attributes:
        image: Where it was traced: `rgb`, `infrared` or `both`.
        rgb_tone, infrared_tone: `bright` or `dark` against both of its sides, `absent` where the image shows nothing
            there; None where noise could decide.
        course: Of `COURSES`.
        angle: Of its main axis, degrees: 0 from left to right, 90 from bottom to top; 0 to 180.
        start, end: Positions of its ends, the left one first, or the upper one of a line that runs down.
        centre: Position of the middle of its trace.
        places: Cells of `CELLS` that it passes, most of it first.
        length: Along its trace, in longer sides of the image.
        width: In longer sides of the image.
        mask: `GRID` x `GRID` bits, row by row; see `pixels`.
        rgb, infrared: How it stands in both, at full resolution, beside what lies along both of its sides.
        change: Between them, RGB first.
        strength: Smaller one of its steps to both sides where it is seen best, grey levels.
    """

    image: str
    rgb_tone: str | None
    infrared_tone: str | None
    course: str
    angle: float
    start: tuple[float, float]
    end: tuple[float, float]
    centre: tuple[float, float]
    places: tuple[str, ...]
    length: float
    width: float
    mask: bytes
    rgb: Standing
    infrared: Standing
    change: Change
    strength: float

    @property
    def only(self) -> str | None:
        """The image that alone shows it, `rgb` or `infrared`."""
        if self.rgb_tone == "absent":
            return "infrared"
        return "rgb" if self.infrared_tone == "absent" else None

    @property
    def pixels(self) -> np.ndarray:
        """Bool `(GRID, GRID)`."""
        return unpacked(self.mask)


@dataclass(frozen=True, slots=True)
class Edges:
    """Edges of both images on the working grid, and how many of them the other image has, too.

    Attributes:
        rgb_share, infrared_share: Of the area that is an edge, 0 to 1.
        rgb_shared: Share of the RGB's edges, by colour or luminance, that the infrared has at that place.
        infrared_shared: Share of the infrared's edges that the RGB has at that place.
        rgb_chance, infrared_chance: The same, had the other image's edges been strewn at random.
    """

    rgb_share: float
    infrared_share: float
    rgb_shared: float
    infrared_shared: float
    rgb_chance: float
    infrared_chance: float


@dataclass(frozen=True, slots=True)
class PairFacts:
    """Facts of a pair, lazily measured: `pair_images.pair_of(measure(infrared, rgb))`.

    Attributes:
        parts: Segments of RGB appearance, the largest first.
        regions: Segments of infrared tone, the largest first.
        lines: Of both images, the most salient first.
        edges: Shared and unshared edges.
    """

    parts: tuple[Part, ...]
    regions: tuple[Part, ...]
    lines: tuple[Line, ...]
    edges: Edges

    @property
    def infrared_only(self) -> tuple[Part | Line, ...]:
        """Regions and lines that the RGB does not show."""
        lines = [line for line in self.lines if line.only == "infrared"]
        return (*(region for region in self.regions if region.only), *lines)

    @property
    def rgb_only(self) -> tuple[Part | Line, ...]:
        """Parts and lines that the infrared does not show."""
        return (*(part for part in self.parts if part.only), *(line for line in self.lines if line.only == "rgb"))


def packed(mask: np.ndarray) -> bytes:
    """Bits of a bool `(GRID, GRID)`."""
    return np.packbits(mask).tobytes()


def unpacked(mask: bytes) -> np.ndarray:
    """Bool `(GRID, GRID)` of `packed` bits."""
    return np.unpackbits(np.frombuffer(mask, np.uint8)).reshape(GRID, GRID).astype(bool)
