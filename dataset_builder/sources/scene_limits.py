"""Values of a scene -> grey levels of its images: by declared limits, or by percentiles of what is trained on."""

import logging
from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np

from dataset_builder.schema import stable_seed
from dataset_builder.sources.raster import Raster
from fusionrs_hf.errors import InputError, shown

logger = logging.getLogger(__name__)

AUTO = "auto"
PERCENTILES = (1.0, 99.0)
SAMPLED_TILES = 64
LEAST_VALUES = 100
Limits = Mapping[str, Sequence[float] | str]


def check_limits(limits: Limits | str, scene: str) -> None:
    """Raises InputError for limits that are neither `auto` nor `[low, high]` by band."""
    if limits == AUTO:
        return
    if not isinstance(limits, Mapping):
        raise InputError(f"limits of scene {scene} must be auto, or [low, high] or auto by band, got {shown(limits)}")
    for band, pair in limits.items():
        if pair == AUTO:
            continue
        if isinstance(pair, str) or not isinstance(pair, Sequence) or len(pair) != 2 or not pair[0] < pair[1]:
            raise InputError(f"limits of {band} in scene {scene} must be [low, high], or auto, got {pair}")


def display(values: np.ndarray, limits: Sequence[float] | None, gamma: float = 1.0) -> np.ndarray:
    """Scales values to uint8 linearly, as `scale_infrared` does, then by a tone curve.

    Args:
        values: Of a band; not a number is no data, and takes the lower limit.
        limits: What becomes 0 and 255; None: the values are uint8 already.
        gamma: Of the tone curve: a share of the range becomes the share to the power of 1 / gamma.
    """
    if limits is None and gamma == 1.0:
        return values
    low, high = limits or (0, 255)
    values = np.nan_to_num(values, nan=low).astype(np.float64)
    return np.rint(np.clip((values - low) / (high - low), 0, 1) ** (1 / gamma) * 255).astype(np.uint8)


def settled_limits(scene: Any, raster: Raster, starts: Sequence[Sequence[range]]) -> dict[str, Sequence[float]]:
    """Returns the limits of a scene with numbers for those that are `auto`, and says in the log what they became.

    Args:
        scene: A `SceneSource` whose limits are `auto`, for all bands that are shown above 8 bit, or for some.
        raster: Its files.
        starts: First rows and first columns of the tiles of each region that is trained on.
    """
    every = scene.limits == AUTO
    declared = {} if every else {name: pair for name, pair in scene.limits.items() if pair != AUTO}
    infrared = [[name] for name in dict.fromkeys(scene.ir.values())] if scene.ir_unit == "display" else []
    groups = [
        [band for band in bands if (raster.dtype(band) != "uint8" if every else scene.limits.get(band) == AUTO)]
        for bands in (list(scene.rgb), *infrared)
    ]
    tiles = sampled(starts, scene.name)
    found = measured(raster, [bands for bands in groups if bands], tiles, scene.tile_px, scene.name)
    told = ", ".join(f"{band} {pair}" for band, pair in found.items()) or "none are needed"
    logger.info("%s: limits by %d tiles of what is trained on: %s", scene.name, len(tiles), told)
    return declared | found


def sampled(starts: Sequence[tuple[Sequence[int], Sequence[int]]], scene: str) -> list[tuple[int, int]]:
    """Draws at most `SAMPLED_TILES` tiles, each as likely as any other; the same for the same scene.

    Args:
        starts: First rows and first columns of the tiles of each region.
        scene: Its name, which seeds the draw.

    Returns:
        First row and column of each, in the order of the regions.
    """
    ends = np.cumsum([len(rows) * len(columns) for rows, columns in starts])
    total = int(ends[-1]) if len(ends) else 0
    generator = np.random.default_rng(stable_seed("limits", scene))
    chosen = np.sort(generator.choice(total, min(total, SAMPLED_TILES), replace=False)) if total else []
    tiles = []
    for number in chosen:
        region = int(np.searchsorted(ends, number, "right"))
        rows, columns = starts[region]
        row, column = divmod(int(number - (ends[region - 1] if region else 0)), len(columns))
        tiles.append((rows[row], columns[column]))
    return tiles


def measured(
    raster: Raster, groups: Sequence[Sequence[str]], tiles: Sequence[tuple[int, int]], side: int, scene: str
) -> dict[str, list[float]]:
    """Returns limits by band: the 1st and 99th percentile of the values with data in some tiles.

    Args:
        raster: The scene.
        groups: Bands that share limits, so that the colours of RGB stay what they are.
        tiles: First row and column of each.
        side: Of a tile, in pixels.
        scene: Its name, for messages.

    Raises:
        InputError: There are hardly any values, or they are all one.
    """
    limits = {}
    for bands in groups:
        parts = [np.zeros(0)]
        for band in bands:
            for row, column in tiles:
                try:
                    parts.append(raster.read(band, row, column, side)[raster.valid([band], row, column, side)])
                except OSError:
                    continue  # told when the tile is read
        values = np.concatenate(parts)
        low, high = np.percentile(values, PERCENTILES) if len(values) >= LEAST_VALUES else (0.0, 0.0)
        if not low < high:
            raise InputError(
                f"limits of {', '.join(bands)} in scene {scene} cannot be measured: {len(values)} values with data in "
                f"{len(tiles)} tiles lie between {low:g} and {high:g}; declare [low, high]"
            )
        whole = all(np.dtype(raster.dtype(band)).kind in "ui" for band in bands)
        pair = [float(np.floor(low)), float(np.ceil(high))] if whole else [float(f"{end:.5g}") for end in (low, high)]
        limits |= dict.fromkeys(bands, pair)
    return limits
