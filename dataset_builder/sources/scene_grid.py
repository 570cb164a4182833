"""Splits of a scene without regions of one's own: cells of a grid, some of them held out, with a gap between."""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from dataset_builder.schema import stable_seed
from dataset_builder.sources.scene_parts import Region
from fusionrs_hf.errors import InputError, shown

CELLS = 5  # along the longer side, where the tiles are small enough


@dataclass(frozen=True, slots=True)
class Grid:
    """Cuts a scene into square cells with a gap between them, and draws a split for each.

    Args:
        validation, test: Share of the cells; each that is above 0 gets one cell at least.
        cell_px: Side of a cell; None: a fifth of the scene's longer side, in whole tiles, at least one.
        margin_px: Pixels between cells, which are in no tile; None: half a tile.
        seed: Of the draw.
    """

    validation: float = 0.15
    test: float = 0.15
    cell_px: int | None = None
    margin_px: int | None = None
    seed: int = 0

    def __post_init__(self) -> None:
        """Raises ValueError for shares, sizes or a seed that cannot be."""
        if min(self.validation, self.test) < 0 or self.validation + self.test >= 1:
            raise ValueError(
                f"validation and test must be shares that leave some to train, got {self.validation} and {self.test}"
            )
        for name, least in (("cell_px", 1), ("margin_px", 0), ("seed", 0)):
            value = getattr(self, name)
            if value is not None and (not isinstance(value, int) or isinstance(value, bool) or value < least):
                raise ValueError(f"{name} must be a whole number of at least {least}, got {shown(value)}")

    def regions(self, shape: tuple[int, int], tile_px: int, scene: str) -> list[Region]:
        """Returns the cells, row by row, each with its split.

        Args:
            shape: Height and width of the scene.
            tile_px: Side of a tile.
            scene: Its name, which with the seed decides the draw.

        Raises:
            InputError: There are too few cells for a cell of each split.
        """
        margin = tile_px // 2 if self.margin_px is None else self.margin_px
        cell = self.cell_px or max(tile_px, (max(shape) // CELLS - margin) // tile_px * tile_px)
        axes = [_cells(length, cell, margin, tile_px) for length in shape]
        places = [(rows, columns) for rows in axes[0] for columns in axes[1]]
        wanted = {"test": self.test, "validation": self.validation}
        counts = {split: max(1, round(share * len(places))) for split, share in wanted.items() if share}
        if sum(counts.values()) >= len(places):
            raise InputError(
                f"grid of scene {scene} has {len(places)} cells of {cell} px, which is not enough for train and "
                f"{' and '.join(counts)}; give a smaller cell_px, or tile_px ({tile_px})"
            )
        order = np.random.default_rng(stable_seed("grid", self.seed, scene)).permutation(len(places))
        splits = ["train"] * len(places)
        for split, count in counts.items():
            for place in order[:count]:
                splits[place] = split
            order = order[count:]
        return [Region(rows, columns, split) for (rows, columns), split in zip(places, splits, strict=True)]


def _cells(length: int, cell: int, margin: int, tile_px: int) -> Sequence[tuple[int, int]]:
    """Returns start and stop of the cells along an axis; what is left at its end is a cell if a tile fits."""
    cells = [(start, min(start + cell, length)) for start in range(0, length, cell + margin)]
    return [(start, stop) for start, stop in cells if stop - start >= tile_px]
