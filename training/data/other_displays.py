"""RGB tiles as other displays would show them: another stretch, gamma, haze, order of channels."""

from collections.abc import Sequence

import numpy as np

GROUP = 9  # neighbouring tiles that are stretched together
ENDS = (1, 99)  # percentiles of a stretch
JITTER, HAZE = 0.25, 0.2
ORDERS = ((1, 2, 0), (2, 1, 0), (1, 0, 2))  # of channels: false colour


def disturb(rgb: np.ndarray, draw: np.random.Generator, jitter: float, haze: float) -> np.ndarray:
    """Returns RGB as another stretch, gamma and haze would show it, clipped to 0 to 1; float32 `(3, height, width)`.

    Args:
        rgb: In 0 to 1.
        draw: Of what differs.
        jitter: How far the ends of the stretch move, for all channels together, and a third of it for each alone.
        haze: Share of a gray veil at most.
    """
    low, high = draw.uniform(-jitter, jitter, 2)
    low = low + draw.uniform(-jitter, jitter, (3, 1, 1)) / 3
    high = 1 + high + draw.uniform(-jitter, jitter, (3, 1, 1)) / 3
    veil = draw.uniform(0, haze)
    gamma = np.exp(draw.uniform(-jitter, jitter))
    values = np.clip((rgb - low) / np.maximum(high - low, 0.2), 0, 1) ** gamma
    return (values * (1 - veil) + veil * draw.uniform(0.5, 1)).astype(np.float32)


def stretched(tiles: Sequence[np.ndarray], draw: np.random.Generator) -> list[np.ndarray]:
    """Returns as many tiles or a few more, some neighbours at a time between their own percentiles.

    Args:
        tiles: Float32 `(3, height, width)` in 0 to 1 each, neighbours near each other.
        draw: Of the neighbours.
    """
    results = []
    for _ in range(-(-len(tiles) // GROUP)):
        first = int(draw.integers(max(1, len(tiles) - GROUP + 1)))
        group = tiles[first : first + GROUP]
        pixels = np.concatenate([tile.reshape(3, -1) for tile in group], axis=1)
        low, high = np.percentile(pixels, ENDS, axis=1)[..., None, None]  # (3, 1, 1) each
        results += [np.clip((tile - low) / np.maximum(high - low, 0.1), 0, 1).astype(np.float32) for tile in group]
    return results


def other_displays(tiles: Sequence[np.ndarray], draw: np.random.Generator) -> list[np.ndarray]:
    """Returns tiles in displays other than their own: disturbed, stretched by their neighbours, in false colour.

    Args:
        tiles: Float32 `(3, height, width)` in 0 to 1 each, neighbours near each other.
        draw: Of what differs.
    """
    disturbed = [disturb(tile, draw, JITTER, HAZE) for tile in tiles]
    false_colour = [tile[list(ORDERS[index % len(ORDERS)])] for index, tile in enumerate(tiles)]
    return disturbed + stretched(tiles, draw) + false_colour
