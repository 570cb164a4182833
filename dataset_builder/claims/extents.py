"""Where something lies on the working grid and what shape it has, in the words that facts use.

Standard library and numpy only: a metric's release copies the whole folder.
"""

import numpy as np

CELLS = ("north-west", "north", "north-east", "west", "centre", "east", "south-west", "south", "south-east")
GRID = 48  # divisible by three: nine cells of 16 x 16
REGION_REACH = 0.8  # of a side: from here on a region reaches along it
ELONGATED = 2.5  # ratio of the axes of the ellipse with the same second moments
FILLED = 0.75  # area over that ellipse's: below, the outline is irregular


def place_of(positions: np.ndarray) -> str:
    """Names the place of pixels of the working grid.

    Args:
        positions: Rows and columns, `(2, pixels)`.

    Returns:
        The cell of `CELLS` that their centroid lies in; `north side` and so on when they reach along most of that
        side; `across` when they reach along both axes, or along one through the middle.
    """
    row, column = (int(position * 3 // GRID) for position in positions.mean(1))
    down, along = (np.ptp(positions, axis=1) + 1) / GRID >= REGION_REACH
    if (down and along) or (down and column == 1) or (along and row == 1):
        return "across"
    if down or along:
        return f"{('north', 'south')[row // 2] if along else ('west', 'east')[column // 2]} side"
    return CELLS[3 * row + column]


def shape_of(positions: np.ndarray) -> str:
    """`compact`, `elongated` or `irregular`, by second moments; positions as for `place_of`."""
    minor, major = np.sqrt(np.maximum(np.linalg.eigvalsh(np.cov(positions)), 1 / 12))  # a pixel has a width
    filled = positions.shape[1] / (4 * np.pi * minor * major)
    return "elongated" if major / minor >= ELONGATED else "compact" if filled >= FILLED else "irregular"
