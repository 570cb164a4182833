"""Units and limits of stored infrared: a file's values -> stored ones, and whether values can be of a unit."""

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from dataset_builder.schema import IR_BANDS
from fusionrs_hf.errors import InputError, shown
from fusionrs_hf.records import fits

UNSCALED = (1.0, 0.0)


@dataclass(frozen=True, slots=True)
class Unit:
    """A quantity and how it is stored.

    Args:
        name: Of the quantity, for messages.
        steps: Stored whole numbers for one of the quantity.
        low, high: What is measured on Earth lies between; in the quantity.
    """

    name: str
    steps: float
    low: float
    high: float


PHYSICAL = {
    "reflectance_1e4": Unit("reflectance", 1e4, -0.2, 1.6),
    "kelvin_1e2": Unit("kelvin", 1e2, 150.0, 400.0),
}


def to_stored(values: np.ndarray, unit: str, scaling: tuple[float, float] | None) -> np.ndarray:
    """Returns values as they are stored in a physical unit, not yet whole numbers: float64.

    Args:
        values: As a file holds them.
        unit: Of `PHYSICAL`.
        scaling: Scale and offset: a value times scale, plus offset, is the quantity. None: they are stored values.
    """
    values = values.astype(np.float64)
    return values if scaling is None else (values * scaling[0] + scaling[1]) * PHYSICAL[unit].steps


def to_uint16(stored: np.ndarray) -> np.ndarray:
    """Returns stored values as uint16: rounded, what is below 0 (noise about zero) or above 65535 at these."""
    return np.clip(np.rint(np.nan_to_num(stored)), 0, 65535).astype(np.uint16)


def outside_share(stored: np.ndarray, unit: str | None) -> float:
    """Returns the share of stored values that no quantity of a unit has; 0 where the unit is none of `PHYSICAL`.

    Args:
        stored: Values with data, any shape.
        unit: Of `schema.IR_UNITS`.
    """
    if unit not in PHYSICAL or not stored.size:
        return 0.0
    kind = PHYSICAL[unit]
    return float(((stored < kind.low * kind.steps) | (stored > kind.high * kind.steps)).mean())


def is_scaled_otherwise(unit: str, scale: float, offset: float) -> bool:
    """Whether a file's own scale and offset say that its values are not those of a physical unit as it is stored."""
    if (scale, offset) == UNSCALED:
        return False
    return not (
        math.isclose(scale * PHYSICAL[unit].steps, 1, rel_tol=1e-6) and abs(offset * PHYSICAL[unit].steps) < 0.5
    )


def check_unit(stored: np.ndarray, unit: str, max_share: float, where: str, remedy: str) -> None:
    """Raises InputError where more than `max_share` of values cannot be of the unit that is declared for them."""
    share = outside_share(stored, unit)
    if share > max_share:
        kind = PHYSICAL[unit]
        raise InputError(
            f"{where} is declared as {unit}, but {100 * share:.0f} % of its values are no {kind.name} between "
            f"{kind.low:g} and {kind.high:g} (their median would be {np.median(stored) / kind.steps:.4g}); {remedy}"
        )


def check_ir_range(ir_range: Any) -> None:
    """Raises ValueError unless it maps bands of infrared to finite limits `[low, high]`."""
    if not isinstance(ir_range, Mapping):
        raise ValueError(f"ir_range must be a mapping of names to values, got {shown(ir_range)}")
    for band, limits in ir_range.items():
        is_pair = fits(limits, Sequence[float], finite=True) and len(limits) == 2
        if band not in IR_BANDS or not is_pair or not limits[0] < limits[1]:
            raise ValueError(
                f"ir_range must map a band of {list(IR_BANDS)} to [low, high], got {shown(band)}: {shown(limits)}"
            )
