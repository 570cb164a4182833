"""The two images of a pair, kept until somebody asks what can be said of them together.

Standard library, numpy, scipy and Pillow only: a metric's release copies the whole folder.
"""

from dataclasses import dataclass
from functools import cached_property

import numpy as np
from PIL import Image

from .extents import GRID
from .pair_edges import edges_of
from .pair_facts import PairFacts
from .pair_lines import lines_of
from .pair_parts import Grids

LARGEST_SIDE = 256  # pixels: larger images are reduced to this side, and a line of one pixel in them is lost


@dataclass(frozen=True)
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
    def of(cls, infrared: np.ndarray, rgb: np.ndarray) -> "PairImages":
        """Brings both to the size of the larger one; uint8 `(height, width)` and `(height, width, 3)`."""
        larger = infrared if infrared.size >= rgb.size // 3 else rgb
        height, width = larger.shape[:2]
        scale = min(1.0, LARGEST_SIDE / max(height, width))
        size = max(1, round(width * scale)), max(1, round(height * scale))
        return cls(_resized(infrared, size), _resized(rgb, size), size)

    @cached_property
    def facts(self) -> PairFacts:
        """Measured when first asked for."""
        width, height = self.size
        infrared = np.frombuffer(self.infrared.encode("latin-1"), np.uint8).reshape(height, width)
        rgb = np.frombuffer(self.rgb.encode("latin-1"), np.uint8).reshape(height, width, 3)
        luminance = np.asarray(Image.fromarray(rgb).convert("L"))
        grids = Grids(_gridded(infrared), _gridded(rgb))
        return PairFacts(
            parts=grids.parts(),
            regions=grids.regions(),
            lines=lines_of(infrared, luminance),
            edges=edges_of(grids.infrared, grids.rgb),
        )


def _resized(image: np.ndarray, size: tuple[int, int]) -> str:
    if (image.shape[1], image.shape[0]) != size:
        image = np.asarray(Image.fromarray(image).resize(size, Image.Resampling.BILINEAR))
    return image.tobytes().decode("latin-1")


def _gridded(image: np.ndarray) -> np.ndarray:
    return np.asarray(Image.fromarray(image).resize((GRID, GRID), Image.Resampling.BOX), dtype=np.float32)
