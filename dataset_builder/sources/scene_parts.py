"""What a recipe says of a scene beside its bands: regions with their splits, and what is land and cloud."""

import math
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from dataset_builder.schema import SPLITS
from fusionrs_hf.errors import shown


@dataclass(frozen=True, slots=True)
class Region:
    """A rectangle of the scene, in pixels of its grid: first row or column and the one after the last.

    Args:
        rows, columns: `[start, stop)`.
        split: Split of its tiles; None: decided later.
        stride_px: Distance between tiles; None: that of the scene.
    """

    rows: Sequence[int]
    columns: Sequence[int]
    split: str | None = None
    stride_px: int | None = None

    def __post_init__(self) -> None:
        """Raises ValueError for a rectangle, stride or split that cannot be."""
        for name in ("rows", "columns"):
            start, stop = pair = tuple(getattr(self, name))
            if not 0 <= start < stop:
                raise ValueError(f"{name} must be [start, stop) with 0 <= start < stop, got {list(pair)}")
            object.__setattr__(self, name, pair)
        if self.split not in (None, *SPLITS):
            raise ValueError(f"split must be one of {', '.join(SPLITS)}, got {shown(self.split)}")
        if self.stride_px is not None and self.stride_px < 1:
            raise ValueError(f"stride_px must be positive, got {self.stride_px}")

    def gap_px(self, other: "Region") -> int:
        """Pixels between two regions, along the axis where they are further apart; negative if they overlap."""
        pairs = ((self.rows, other.rows), (self.columns, other.columns))
        return max(max(a[0], b[0]) - min(a[1], b[1]) for a, b in pairs)

    def distance_m(self, row: int, column: int, side: int, pixel_m: tuple[float, float]) -> float:
        """Returns the metres between a tile and this region, 0 where they touch or overlap.

        Args:
            row, column: First pixel of the tile.
            side: Of the tile, in pixels.
            pixel_m: Height and width of a pixel.
        """
        gaps = [
            max(start - (first + side), first - stop, 0) * size
            for first, (start, stop), size in zip((row, column), (self.rows, self.columns), pixel_m, strict=True)
        ]
        return math.hypot(*gaps)


@dataclass(frozen=True, slots=True)
class Land:
    """Tells land from water by one band: a pixel above `above`; at least `min_ratio` of a tile must be land."""

    band: str
    above: float
    min_ratio: float = 0.25


@dataclass(frozen=True, slots=True)
class Clouds:
    """Reads a quality band: a pixel with any of `bits` set, or one of `values`, is cloud.

    Args:
        band: Name of the band; it is never interpolated.
        bits: Numbers of bits, from 0, such as 3 and 4 of Landsat's QA_PIXEL (cloud, its shadow).
        values: Classes, such as 3, 8, 9 and 10 of Sentinel-2's SCL (shadow, cloud twice, cirrus); 0 there is no data.
        max_ratio: Largest share of a tile that may be cloud.
    """

    band: str
    bits: Sequence[int] = ()
    values: Sequence[int] = ()
    max_ratio: float = 0.0

    def __post_init__(self) -> None:
        """Raises ValueError where nothing would be cloud, or numbers that cannot be."""
        for name, most in (("bits", 31), ("values", 65535)):
            numbers = getattr(self, name)
            if not all(isinstance(number, int) and 0 <= number <= most for number in numbers):
                raise ValueError(f"{name} must be whole numbers of 0 to {most}, got {list(numbers)}")
            object.__setattr__(self, name, tuple(numbers))
        if not (self.bits or self.values):
            raise ValueError("bits or values of the band must say what is cloud, got neither")
        if not 0 <= self.max_ratio <= 1:
            raise ValueError(f"max_ratio must be a share, 0 to 1, got {self.max_ratio}")

    def ratio(self, codes: np.ndarray) -> float:
        """Returns the share of a tile's pixels that are cloud; `codes` is the band, whole numbers."""
        bits = sum(1 << bit for bit in self.bits)
        return float((((codes.astype(np.int64) & bits) > 0) | np.isin(codes, self.values)).mean())
