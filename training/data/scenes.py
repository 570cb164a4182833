"""Which scene a row was cut from, and rows without some scenes."""

from collections.abc import Sequence

import numpy as np
from datasets import Dataset

from dataset_builder.schema import LOCATOR
from fusionrs_hf.errors import InputError, shown


def scene_of(locator: str) -> str:
    """Returns the scene that a `source_locator` such as `scene@r512c640s64` names, else the locator itself."""
    match = LOCATOR.fullmatch(locator)
    return match["scene"] if match else locator


def without_scenes(rows: Dataset, left_out: Sequence[str]) -> Dataset:
    """Returns the rows that are of none of these scenes.

    Raises:
        InputError: A scene has no row, or no row is left.
    """
    if not left_out:
        return rows
    scenes = np.array([scene_of(locator) for locator in rows["source_locator"]])
    there = sorted(set(scenes.tolist()))
    if unknown := sorted(set(left_out) - set(there)):
        raise InputError(f"leave_out_scenes has {shown(unknown[0])}, but the scenes are {shown(', '.join(there))}")
    if not set(there) - set(left_out):
        raise InputError(f"leave_out_scenes leaves no training row; leave out fewer of {shown(', '.join(there))}")
    return rows.select(np.flatnonzero(~np.isin(scenes, list(left_out))))
