"""Which edges of the two images lie in the same places.

Standard library, numpy and scipy only: a metric's release copies the whole folder.
"""

import numpy as np
from scipy import ndimage

from .pair_facts import Edges
from .pair_floors import EDGE_SPREAD, EDGE_STEP


def edges_of(infrared: np.ndarray, rgb: np.ndarray) -> Edges:
    """Compares edges on the working grid; one of the other image within a pixel is shared.

    Args:
        infrared: float32 `(GRID, GRID)`, grey levels.
        rgb: float32 `(GRID, GRID, 3)`; an edge of any channel is one.
    """
    ir_edges = _edges(infrared[..., None])
    rgb_edges = _edges(rgb)
    near_ir, near_rgb = (ndimage.maximum_filter(edges.view(np.uint8), 3).view(bool) for edges in (ir_edges, rgb_edges))
    return Edges(
        rgb_share=float(rgb_edges.mean()),
        infrared_share=float(ir_edges.mean()),
        rgb_shared=_share(near_ir, rgb_edges),
        infrared_shared=_share(near_rgb, ir_edges),
        rgb_chance=float(near_ir.mean()),
        infrared_chance=float(near_rgb.mean()),
    )


def _share(near: np.ndarray, edges: np.ndarray) -> float:
    return float(near[edges].mean()) if edges.any() else 0.0


def _edges(channels: np.ndarray) -> np.ndarray:
    down, across = np.gradient(channels, axis=(0, 1))
    steps = np.hypot(down, across).max(-1)
    ordered = np.sort(channels.reshape(-1, channels.shape[-1]), axis=0)
    last = len(ordered) - 1
    spread = float((ordered[round(0.95 * last)] - ordered[round(0.05 * last)]).max())
    return steps >= max(EDGE_STEP, EDGE_SPREAD * spread)
