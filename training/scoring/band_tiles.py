"""Tiles of one scene and band that translators are scored on."""

from dataclasses import dataclass, field

import numpy as np

from dataset_builder.schema import LOCATOR

BLOCK_PX = 128  # side of the blocks of neighbouring tiles that are resampled as wholes


@dataclass(slots=True)
class BandTiles:
    """The tiles of one scene that have one band.

    Args:
        rgb, infrared: uint8 `(height, width, 3)` and `(height, width)` each.
        blocks: Block of neighbours that each tile belongs to.
        valid: Pixels that count; empty: all.
        reflectance: Times 10,000, `(height, width, 3)` each; empty where it is not known.
    """

    rgb: list[np.ndarray] = field(default_factory=list)
    infrared: list[np.ndarray] = field(default_factory=list)
    blocks: list[str] = field(default_factory=list)
    valid: list[np.ndarray] = field(default_factory=list)
    reflectance: list[np.ndarray] = field(default_factory=list)


def block_of(locator: str) -> str:
    """Returns the block of neighbouring tiles that a tile lies in; a tile of no scene is a block of its own."""
    match = LOCATOR.fullmatch(locator)
    return f"{int(match['row']) // BLOCK_PX}/{int(match['column']) // BLOCK_PX}" if match else locator
