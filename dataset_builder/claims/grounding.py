"""What an infrared image measurably shows.

Standard library, numpy, scipy and PIL only and no sibling modules: a metric's release copies this file beside itself.

North means the top of the array. All figures but the small bright targets are taken on a 48 x 48 area-averaged copy:
they keep their values under JPEG compression and resizing.
"""

import bisect
from collections.abc import Sequence
from dataclasses import dataclass, field

import numpy as np
from PIL import Image
from scipy import ndimage

CELLS = ("north-west", "north", "north-east", "west", "centre", "east", "south-west", "south", "south-east")
LEVELS = ("very dark", "dark", "medium", "bright", "very bright")
CONTRASTS = ("very low", "low", "moderate", "high", "very high")
TEXTURES = ("smooth", "moderately textured", "strongly textured")
RELATIONS = ("brighter", "darker", "different", "follows")
FACT_KINDS = ("level", "contrast", "brightest", "darkest", "relation")

# Borders between classes, chosen for balance on training tiles of three sensors and rounded.
LEVEL_BORDERS = (80.0, 115.0, 145.0, 185.0)  # of the mean, grey levels
CONTRAST_BORDERS = (50.0, 90.0, 130.0, 170.0)  # of the 95th minus the 5th percentile, grey levels
TEXTURE_BORDERS = (4.0, 7.0)  # of the median 3 x 3 standard deviation, grey levels
RELATION_DIFFERENCE = 75.0  # mean infrared minus mean luminance, grey levels
RELATION_CORRELATION = 0.6  # Pearson, over the working grid
BRIGHT_PIXEL, DARK_PIXEL = 170, 85  # grey levels: the upper and the lower third of the scale
DISAGREEMENT = 15.0  # grey levels, after each image's own mean is taken off
REGION_SPREADS, REGION_DEPARTURE = 0.6, 10.0  # standard deviations; grey levels
REGION_SHARE = 0.02  # of the area
REGION_REACH = 0.8  # of a side: from here on a region reaches along it
ELONGATED = 2.5  # ratio of the axes of the ellipse with the same second moments
FILLED = 0.75  # area over that ellipse's: below, the outline is irregular

GRID = 48  # divisible by three: nine cells of 16 x 16
LARGEST_SIDE = 256  # pixels: larger pairs are kept at this side, where a line of one pixel may be lost
COLOURS = ("green", "blue", "warm")
PLAIN_COLOUR, FAINT_COLOUR = 20.0, 4.0  # how far a colour's channels exceed the others, grey levels
_LEAST_SPREAD = 12.0  # grey levels: below it, noise would count as grain
_FLAT = 1.0  # grey levels of standard deviation below which a correlation means nothing


@dataclass(frozen=True, slots=True)
class Region:
    """A connected bright or dark region of the infrared image.

    Attributes:
        place: The cell of `CELLS` that its centroid lies in; `north side` and so on when it reaches along most of that
            side; `across` when it reaches along both axes, or along one through the middle.
        share: Of the image's area, 0 to 1.
        shape: `compact`, `elongated` or `irregular`, by second moments.
        mean: Grey level, 0 to 255.
    """

    place: str
    share: float
    shape: str
    mean: float


@dataclass(frozen=True, slots=True)
class PairImages:
    """Both images as text, so that they compare, hash, and travel as the other facts do.

    Attributes:
        infrared: Pixels, row by row, a character of Latin-1 each; the longer side is at most `LARGEST_SIDE`.
        rgb: The same, three characters a pixel.
        size: Width and height of both, pixels.
    """

    infrared: str
    rgb: str
    size: tuple[int, int]

    @classmethod
    def of(cls, ir: np.ndarray, rgb: np.ndarray) -> "PairImages":
        """Brings both to the size of the larger one, as `measure` takes them."""
        height, width = max(ir.shape, rgb.shape[:2])
        scale = min(1.0, LARGEST_SIDE / max(height, width))
        size = max(1, round(width * scale)), max(1, round(height * scale))
        return cls(_resized(ir, size), _resized(rgb, size), size)

    def arrays(self) -> tuple[np.ndarray, np.ndarray]:
        """Infrared and RGB, uint8 `(height, width)` and `(height, width, 3)`."""
        width, height = self.size
        infrared, rgb = (np.frombuffer(text.encode("latin-1"), np.uint8) for text in (self.infrared, self.rgb))
        return infrared.reshape(height, width), rgb.reshape(height, width, 3)


def _resized(image: np.ndarray, size: tuple[int, int]) -> str:
    resized = Image.fromarray(image).resize(size, Image.Resampling.BILINEAR)  # of this size already: a copy
    return resized.tobytes().decode("latin-1")


@dataclass(frozen=True, slots=True)
class InfraredFacts:
    """Measured facts of one infrared image and of its pair. Intensities are grey levels, 0 to 255.

    Attributes:
        mean, level: Mean, and its class of `LEVELS`.
        spread, contrast: 95th minus 5th percentile, and its class of `CONTRASTS`.
        cell_means: Mean of each cell of the 3 x 3 grid, in the order of `CELLS`.
        cell_highs, cell_lows: 95th and 5th percentile of each cell.
        brightest, darkest: Cell with the highest and lowest mean; None when all cells agree within one grey level.
        brightest_margin, darkest_margin: Distance of that cell's mean to the runner-up's.
        bright_share, dark_share: Share of the area above `BRIGHT_PIXEL` and below `DARK_PIXEL`, 0 to 1.
        roughness, texture: Median of the standard deviation in 3 x 3 windows of the working grid, so that the borders
            of a few large regions don't count, and its class of `TEXTURES`.
        grain: How textured it looks: roughness squared over spread, since the same roughness shows more where tones
            hardly differ.
        sharpness: How abrupt its edges are: the 95th percentile of the gradient, per working pixel, over the spread.
        median: Of the working grid.
        edge_share: Share of the area whose gradient exceeds 20 grey levels a working pixel, 0 to 1.
        bright_regions, dark_regions: At most three connected regions that depart from the mean by `REGION_SPREADS`
            standard deviations, and by `REGION_DEPARTURE`; the largest first, none below `REGION_SHARE`.
        small_bright_targets: Bright spots at most a twelfth of the side wide that stand out from a quiet background.
        grid: The working grid, row by row, two hexadecimal digits a grey level: what claims about any place are
            judged by.
        difference: Mean infrared minus mean RGB luminance; None without RGB, as are the three below.
        correlation: Pearson correlation with luminance; 1 if both are flat, 0 if only one is.
        relation: `brighter` or `darker` than the visible image by `RELATION_DIFFERENCE`; if the levels are nearer,
            the pattern `follows` the visible one or is `different`, by `RELATION_CORRELATION`.
        cell_differences: Infrared minus luminance by cell, each image's own mean taken off first: what the overall
            level does not explain.
        disagreement, disagreement_sign: Cell where that is largest and `brighter` or `darker` for the infrared; None
            below `DISAGREEMENT`.
        luminance_grid: As `grid`, of the luminance.
        colour_grid: One digit a working pixel, the sum of 1 for green, 2 for blue or teal and 4 for red to yellow: by
            at least `PLAIN_COLOUR`, or `FAINT_COLOUR` in the 15 % of the image that are most so.
    """

    mean: float
    level: str
    spread: float
    contrast: str
    cell_means: tuple[float, ...]
    cell_highs: tuple[float, ...]
    cell_lows: tuple[float, ...]
    brightest: str | None
    brightest_margin: float
    darkest: str | None
    darkest_margin: float
    bright_share: float
    dark_share: float
    roughness: float
    texture: str
    grain: float
    sharpness: float
    median: float
    edge_share: float
    bright_regions: tuple[Region, ...]
    dark_regions: tuple[Region, ...]
    small_bright_targets: int
    grid: str
    difference: float | None = None
    correlation: float | None = None
    relation: str | None = None
    cell_differences: tuple[float, ...] | None = None
    disagreement: str | None = None
    disagreement_sign: str | None = None
    luminance_grid: str | None = None
    colour_grid: str | None = None
    images: PairImages | None = field(default=None, repr=False)


def measure(ir: np.ndarray, rgb: np.ndarray | None = None) -> InfraredFacts:
    """Measures one infrared image, and its relation to the RGB image of the same place if given.

    Args:
        ir: uint8 `(height, width)`, any size from 3 x 3; deeper data is scaled by declared limits before.
        rgb: uint8 `(height, width, 3)`; its size may differ. Luminance is ITU-R BT.601.

    Raises:
        ValueError: An array has another shape or type.
    """
    if ir.dtype != np.uint8 or ir.ndim != 2 or min(ir.shape) < 3:
        raise ValueError(f"ir must be uint8 (height, width) of at least 3 x 3, got {ir.dtype} {ir.shape}")
    grey = _reduced(Image.fromarray(ir))
    levels = np.sort(grey, axis=None)
    low, high = levels[round(0.05 * (levels.size - 1))], levels[round(0.95 * (levels.size - 1))]
    blocks = np.sort(_cells(grey), axis=1)
    cells = blocks.mean(1)
    order = np.argsort(cells, kind="stable")
    distinct = cells[order[-1]] - cells[order[0]] >= 1
    roughness, steps = _roughness(grey), np.hypot(*np.gradient(grey)).ravel()
    mean, median, spread = float(grey.mean()), float(levels[levels.size // 2]), float(high - low)
    return InfraredFacts(
        mean=mean,
        level=_class(mean, LEVEL_BORDERS, LEVELS),
        spread=spread,
        contrast=_class(spread, CONTRAST_BORDERS, CONTRASTS),
        cell_means=tuple(cells.tolist()),
        cell_highs=tuple(blocks[:, round(0.95 * (blocks.shape[1] - 1))].tolist()),
        cell_lows=tuple(blocks[:, round(0.05 * (blocks.shape[1] - 1))].tolist()),
        brightest=CELLS[order[-1]] if distinct else None,
        brightest_margin=float(cells[order[-1]] - cells[order[-2]]),
        darkest=CELLS[order[0]] if distinct else None,
        darkest_margin=float(cells[order[1]] - cells[order[0]]),
        bright_share=float((grey > BRIGHT_PIXEL).mean()),
        dark_share=float((grey < DARK_PIXEL).mean()),
        roughness=roughness,
        texture=_class(roughness, TEXTURE_BORDERS, TEXTURES),
        grain=roughness**2 / max(spread, _LEAST_SPREAD),
        sharpness=float(np.partition(steps, round(0.95 * steps.size))[round(0.95 * steps.size)])
        / max(spread, _LEAST_SPREAD),
        median=median,
        edge_share=float((steps > 20).mean()),
        bright_regions=_regions(grey, 1),
        dark_regions=_regions(grey, -1),
        small_bright_targets=_small_bright_targets(ir),
        grid=_hexadecimal(grey),
        **({} if rgb is None else _compared(grey, rgb) | {"images": PairImages.of(ir, rgb)}),
    )


def _compared(grey: np.ndarray, rgb: np.ndarray) -> dict[str, object]:
    if rgb.dtype != np.uint8 or rgb.ndim != 3 or rgb.shape[2] != 3:
        raise ValueError(f"rgb must be uint8 (height, width, 3), got {rgb.dtype} {rgb.shape}")
    luminance = _reduced(Image.fromarray(rgb).convert("L"))
    a, b = grey - grey.mean(), luminance - luminance.mean()
    flat = (float(a.std()) < _FLAT, float(b.std()) < _FLAT)
    correlation = float(all(flat)) if any(flat) else float((a * b).mean() / (a.std() * b.std()))
    difference = float(grey.mean() - luminance.mean())
    if abs(difference) >= RELATION_DIFFERENCE:
        relation = "brighter" if difference > 0 else "darker"
    else:
        relation = "follows" if correlation >= RELATION_CORRELATION else "different"
    cells = (_cells(a) - _cells(b)).mean(1)
    most = int(np.argmax(np.abs(cells)))
    apart = abs(cells[most]) >= DISAGREEMENT
    return {
        "difference": difference,
        "correlation": correlation,
        "relation": relation,
        "cell_differences": tuple(cells.tolist()),
        "disagreement": CELLS[most] if apart else None,
        "disagreement_sign": ("brighter" if cells[most] > 0 else "darker") if apart else None,
        "luminance_grid": _hexadecimal(luminance),
        "colour_grid": _colours(rgb),
    }


def _hexadecimal(grey: np.ndarray) -> str:
    return (grey + 0.5).astype(np.uint8).tobytes().hex()


def _colours(rgb: np.ndarray) -> str:
    small = Image.fromarray(rgb).resize((GRID, GRID), Image.Resampling.BOX)
    red, green, blue = np.asarray(small, dtype=np.float32).reshape(-1, 3).T
    total = np.zeros(red.size, np.uint8)
    for bit, index in enumerate(
        (np.minimum(green - red, green - blue), np.minimum(blue - red, blue - green + 8), red - blue)
    ):
        among = np.partition(index, round(0.85 * index.size))[round(0.85 * index.size)]
        total |= (index >= min(PLAIN_COLOUR, max(FAINT_COLOUR, among))).astype(np.uint8) << bit
    return (total + ord("0")).tobytes().decode()


def _reduced(image: Image.Image) -> np.ndarray:
    return np.asarray(image.resize((GRID, GRID), Image.Resampling.BOX), dtype=np.float32)


def _cells(grey: np.ndarray) -> np.ndarray:
    side = GRID // 3
    return grey.reshape(3, side, 3, side).swapaxes(1, 2).reshape(9, side * side)


def _roughness(grey: np.ndarray) -> float:
    mean = ndimage.uniform_filter(grey, 3)
    variance = ndimage.uniform_filter(grey * grey, 3) - mean * mean
    return float(np.sqrt(max(0.0, np.partition(variance, variance.size // 2, axis=None)[variance.size // 2])))


def _regions(grey: np.ndarray, sign: int) -> tuple[Region, ...]:
    departure = sign * (grey - grey.mean())
    labels, _ = ndimage.label(departure > max(REGION_DEPARTURE, REGION_SPREADS * float(departure.std())))
    sizes = np.bincount(labels.ravel())
    order = [int(label) for label in np.argsort(-sizes[1:], kind="stable")[:3] + 1]
    return tuple(
        _region_of(grey, np.nonzero(labels == label)) for label in order if sizes[label] >= REGION_SHARE * grey.size
    )


def _region_of(grey: np.ndarray, pixels: tuple[np.ndarray, np.ndarray]) -> Region:
    positions = np.stack(pixels)
    share = positions.shape[1] / grey.size
    return Region(place_of(positions), share, shape_of(positions), float(grey[pixels].mean()))


def place_of(positions: np.ndarray) -> str:
    """Names the place of pixels of the working grid, as `Region.place` says; rows and columns, `(2, pixels)`."""
    row, column = (int(position * 3 // GRID) for position in positions.mean(1))
    down, along = (np.ptp(positions, axis=1) + 1) / GRID >= REGION_REACH
    if (down and along) or (down and column == 1) or (along and row == 1):
        return "across"
    if down or along:
        return f"{('north', 'south')[row // 2] if along else ('west', 'east')[column // 2]} side"
    return CELLS[3 * row + column]


def shape_of(positions: np.ndarray) -> str:
    """Names the shape of pixels of the working grid, as `Region.shape` says; rows and columns, `(2, pixels)`."""
    centred = positions - positions.mean(1, keepdims=True)
    (down, both), (_, along) = centred @ centred.T / (positions.shape[1] - 1)  # covariance
    apart = np.hypot(down - along, 2 * both)
    minor, major = (max((down + along + sign * apart) / 2, 1 / 12) ** 0.5 for sign in (-1, 1))  # a pixel has a width
    filled = positions.shape[1] / (4 * np.pi * minor * major)
    return "elongated" if major / minor >= ELONGATED else "compact" if filled >= FILLED else "irregular"


def _small_bright_targets(ir: np.ndarray) -> int:
    """Counts the blobs that a grey opening removes: 40 levels, and ten times the clutter, above their surround."""
    scale = 128 / max(ir.shape)
    if scale < 1:
        size = (max(1, round(ir.shape[1] * scale)), max(1, round(ir.shape[0] * scale)))
        ir = np.asarray(Image.fromarray(ir).resize(size, Image.Resampling.BOX))
    window = max(3, max(ir.shape) // 12 | 1)
    above = ir - ndimage.grey_opening(ir, window)  # an opening never exceeds the image: no wrap-around
    labels, _ = ndimage.label(above >= max(40.0, 10 * float(above.mean())), np.ones((3, 3)))
    return sum(max(s.stop - s.start for s in blob) <= window for blob in ndimage.find_objects(labels))


def _class(value: float, borders: Sequence[float], names: Sequence[str]) -> str:
    return names[bisect.bisect_right(borders, value)]
