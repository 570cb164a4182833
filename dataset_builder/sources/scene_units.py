"""Infrared of a scene in a physical unit: by which scale and offset, and whether its values can be of the unit."""

import math
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass

import numpy as np

from dataset_builder.fields import is_of
from dataset_builder.sources.raster import Raster
from dataset_builder.units import PHYSICAL, UNSCALED, check_unit, to_stored, to_uint16
from fusionrs_hf.errors import InputError

CONTRADICTING_SHARE = 0.01  # of a band's values: a glint or a fire is less
Tile = tuple[int, int, int]  # row, column, side


@dataclass(frozen=True, slots=True)
class InfraredUnit:
    """What a recipe says of the unit of a scene's infrared.

    Args:
        scene: Name of the scene, for messages.
        name: Of `schema.IR_UNITS`.
        scales: Scale and offset by band; the file's, where it names none.
        bands: Infrared bands, which are all that may be scaled.
    """

    scene: str
    name: str
    scales: Mapping[str, Sequence[float]]
    bands: Sequence[str]

    def __post_init__(self) -> None:
        """Raises InputError for scales of what is not scaled, or that are none."""
        for band, scaling in self.scales.items():
            if self.name not in PHYSICAL or band not in self.bands:
                raise InputError(
                    f"scales of scene {self.scene} names {band}, with ir_unit {self.name} and infrared of the bands "
                    f"{', '.join(self.bands)}; what is scaled is "
                    f"infrared in {' or '.join(PHYSICAL)}"
                )
            pair = isinstance(scaling, (list, tuple)) and len(scaling) == 2
            if not pair or not all(is_of(part, float) and math.isfinite(part) for part in scaling) or not scaling[0]:
                raise InputError(f"scales of {band} in scene {self.scene} must be [scale, offset], got {scaling}")

    def scaling(self, raster: Raster, band: str) -> tuple[float, float] | None:
        """Returns scale and offset of a band, the recipe's or the file's; None where values are stored as they are."""
        if self.name not in PHYSICAL:
            return None
        if band in self.scales:
            return tuple(map(float, self.scales[band]))
        return None if (scaling := raster.scaling(band)) == UNSCALED else scaling

    def stored(self, raster: Raster, band: str, values: np.ndarray) -> np.ndarray:
        """Returns values that a band's file holds as they are stored: uint16."""
        scaling = self.scaling(raster, band)
        return values.astype(np.uint16) if scaling is None else to_uint16(to_stored(values, self.name, scaling))

    def check_types(self, raster: Raster) -> None:
        """Raises InputError for a band whose values are no whole numbers of 16 bit and that nothing scales."""
        types = {band: raster.dtype(band) for band in self.bands if self.scaling(raster, band) is None}
        if wide := sorted(band for band, dtype in types.items() if dtype not in ("uint8", "uint16")):
            raise InputError(
                f"ir_unit {self.name} of scene {self.scene} keeps values as 16-bit integers, but {', '.join(wide)} is "
                f"{types[wide[0]]}; use ir_unit display with limits"
                + (", or state scales: [scale, offset] by band" if self.name in PHYSICAL else "")
            )

    def check_values(self, raster: Raster, tiles: Iterable[Tile]) -> None:
        """Raises InputError where the valid values of some tiles cannot be of the unit, if that is a physical one."""
        tiles = list(tiles) if self.name in PHYSICAL else []
        for band in self.bands if tiles else ():
            values = [np.zeros(0)]
            for tile in tiles:
                try:
                    values.append(raster.read(band, *tile)[raster.valid([band], *tile)])
                except OSError:
                    continue  # told when the tile is read
            stored = to_stored(np.concatenate(values), self.name, self.scaling(raster, band))
            remedy = f"state scales: {{{band}: [scale, offset]}}, nodata, the right ir_unit, or trust_units: true"
            check_unit(stored, self.name, CONTRADICTING_SHARE, f"{band} of scene {self.scene}", remedy)
