"""Leave-one-scene-out: which scenes there are to leave out, and the rows that tell how a model does without one."""

import numpy as np
from datasets import Dataset

from fusionrs_hf.errors import InputError, shown
from training.data.dataset_contents import split_names
from training.data.pairs import load_pairs
from training.data.scenes import scene_of
from training.scoring.held_out import representative_rows

PART = "left_out_scene"
MOST_SCENES = 20  # each costs a run more of every recipe and seed


def training_scenes(dataset: str, ir_origin: str | None) -> list[str]:
    """Returns the scenes of a dataset's training rows, sorted.

    Raises:
        InputError: There are fewer than two, or more than can be left out one by one.
    """
    scenes = sorted({scene_of(locator) for locator in load_pairs(dataset, "train", ir_origin)["source_locator"]})
    if not 1 < len(scenes) <= MOST_SCENES:
        raise InputError(
            f"--leave-out scene needs training rows of 2 to {MOST_SCENES} scenes, as their source_locator names them, "
            f"got {len(scenes)} ({shown(', '.join(scenes[:3]))}); compare by the validation split alone"
        )
    return scenes


def left_out_rows(dataset: str, split: str, ir_origin: str | None, scene: str) -> dict[str, Dataset]:
    """Returns a split's evaluation representatives of a scene by `left_out_scene/<scene>/<band>`, two or more each.

    Args:
        dataset, split, ir_origin: See `held_out`.
        scene: That a model was not trained on; nothing where the split has none of it.
    """
    if split not in split_names(dataset):
        return {}
    rows = representative_rows(dataset, split, ir_origin)
    scenes, bands = np.array([scene_of(locator) for locator in rows["source_locator"]]), np.asarray(rows["ir_band"])
    parts = {band: np.flatnonzero((scenes == scene) & (bands == band)) for band in np.unique(bands)}
    return {f"{PART}/{scene}/{band}": rows.select(found) for band, found in parts.items() if len(found) > 1}
