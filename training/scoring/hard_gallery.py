"""Hard distractors for image retrieval: crops of held-out tiles shifted by a quarter, stitched from their neighbours.

Tiles of a scene that lie on one grid without overlap touch exactly, so a shifted crop is cut from two neighbouring
tiles without the scene at hand; where a neighbour was not kept (sea, cloud), that crop is left out and counted.
"""

from collections.abc import Sequence
from typing import NamedTuple

import numpy as np
from PIL import Image

from dataset_builder.schema import LOCATOR


class Place(NamedTuple):
    """Where a tile was cut: scene, upper left corner and side in pixels."""

    scene: str
    row: int
    column: int
    size: int


def parse_locator(locator: str) -> Place | None:
    """Returns the place that a `source_locator` of the form `scene@r512c640s64` names, else None."""
    match = LOCATOR.fullmatch(locator)
    return Place(match["scene"], int(match["row"]), int(match["column"]), int(match["size"])) if match else None


def shifted_crops(images: Sequence[Image.Image], locators: Sequence[str]) -> list[Image.Image]:
    """Cuts up to four crops a tile, shifted by a quarter of its side to the north, south, west and east.

    Args:
        images: Tiles of one modality and band, any mode; those that are not `size` x `size` pixels are left out.
        locators: Their `source_locator`s.

    Returns:
        Crops of the tiles' size and mode, in the order of the tiles; a shift whose neighbour is missing gives none.
    """
    placed = {place: image for image, locator in zip(images, locators) if (place := parse_locator(locator))}
    tiles = {place: np.asarray(image) for place, image in placed.items() if image.size == (place.size, place.size)}
    crops = []
    for place, tile in tiles.items():
        quarter = place.size // 4
        for axis, direction in ((0, -1), (0, 1), (1, -1), (1, 1)):
            step = (direction * place.size, 0) if axis == 0 else (0, direction * place.size)
            neighbour = tiles.get(place._replace(row=place.row + step[0], column=place.column + step[1]))
            if neighbour is None:
                continue
            pair = (neighbour, tile) if direction < 0 else (tile, neighbour)
            start = place.size - quarter if direction < 0 else quarter
            strip = np.concatenate(pair, axis=axis)  # two tiles side by side along the axis
            crops.append(Image.fromarray(np.take(strip, range(start, start + place.size), axis=axis)))
    return crops
