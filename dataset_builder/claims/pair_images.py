"""The facts of a pair, measured when somebody asks for them.

Standard library, numpy and Pillow only: a metric's release copies the whole folder.
"""

from functools import lru_cache

import numpy as np
from PIL import Image

from .grounding import GRID, InfraredFacts, PairImages
from .pair_edges import edges_of
from .pair_facts import PairFacts
from .pair_lines import lines_of
from .pair_parts import Grids
from .pair_ridges import pyramids_of


def pair_of(facts: InfraredFacts) -> PairFacts | None:
    """Parts, lines and edges of both images of `measure(infrared, rgb)`; None where there was no RGB."""
    return None if facts.images is None else pair_of_images(facts.images)


def measure_pair(images: PairImages) -> PairFacts:
    """Measures a pair anew; see `pair_of`."""
    infrared, rgb = images.arrays()
    grids = Grids(_gridded(infrared), _gridded(rgb))
    return PairFacts(
        parts=grids.parts(),
        regions=grids.regions(),
        lines=lines_of(*pyramids_of(images)),
        edges=edges_of(grids.infrared, grids.rgb),
    )


pair_of_images = lru_cache(maxsize=256)(measure_pair)  # each caption that is written or judged of a pair asks for it


def _gridded(image: np.ndarray) -> np.ndarray:
    return np.asarray(Image.fromarray(image).resize((GRID, GRID), Image.Resampling.BOX), dtype=np.float32)
