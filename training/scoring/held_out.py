"""Rows to score, divided by band and by what the *model* was trained on: its log says which scenes these were."""

import logging
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
from datasets import Dataset
from huggingface_hub import hf_hub_download

from dataset_builder.groups.splits import representatives
from fusionrs_hf.bounded_json import read_object
from fusionrs_hf.errors import InputError
from fusionrs_hf.hub_answers import asking_hub
from training.data.dataset_contents import split_names
from training.data.pairs import load_pairs
from training.data.scenes import scene_of
from training.scoring.embedded_rows import require_groups
from training.trainers.run_log import LOG_NAME

logger = logging.getLogger(__name__)


@dataclass(frozen=True, slots=True)
class TrainedOn:
    """What a model has seen.

    Args:
        scenes: Scenes that its training rows were cut from.
        sources: `source_dataset` of its training rows.
        told_by: `model`, or `dataset`: the model does not say, and the dataset's own training split stands for it.
    """

    scenes: frozenset[str] = frozenset()
    sources: frozenset[str] = frozenset()
    told_by: str = "dataset"

    @classmethod
    def of_log(cls, log: Mapping[str, Any]) -> "TrainedOn | None":
        """Returns what a training log tells; None where it tells nothing of scenes."""
        if "scenes" not in log:
            return None
        return cls(frozenset(log["scenes"]), frozenset(log["source_datasets"]), "model")

    @classmethod
    def of_dataset(cls, dataset: str, ir_origin: str | None) -> "TrainedOn":
        """Returns what a dataset's own training split shows, nothing where it has none."""
        if "train" not in split_names(dataset):
            return cls()
        try:
            rows = load_pairs(dataset, "train", ir_origin)
        except InputError:
            return cls()  # of this origin there are none
        return cls(frozenset(map(scene_of, rows["source_locator"])), frozenset(rows["source_dataset"]))

    def place(self, locator: str, source: str, split: str) -> str:
        """Returns which part a row of a split belongs to.

        Args:
            locator, source: Its `source_locator` and `source_dataset`.
            split: That it is of.
        """
        seen = scene_of(locator) in self.scenes
        if split == "train" and (seen or source in self.sources):
            return "trained_on" if self.told_by == "model" else "train_split"
        return "held_out_region" if seen else "held_out_scene"


def training_log(model: str) -> dict[str, Any]:
    """Returns what a model's training left beside its weights; nothing where it left nothing.

    Args:
        model: Folder or Hub id.
    """
    path = Path(model) / LOG_NAME
    try:
        if not Path(model).is_dir():
            with asking_hub():
                path = Path(hf_hub_download(model, LOG_NAME))
        return read_object(path, "bring the model again")
    except (OSError, ValueError):  # not there, no network, or no JSON: a model of others
        return {}


def representative_rows(dataset: str, split: str, ir_origin: str | None) -> Dataset:
    """Returns one row a joint group and `ir_band`: those that the build marked, or, where it marked none, the first.

    Raises:
        InputError: There are no rows of this origin, or they have no groups.
    """
    rows = load_pairs(dataset, split, ir_origin)
    require_groups(rows)
    marked = np.array([bool(value) for value in rows["is_eval_representative"]])
    if not marked.any():  # of the training split, or of infrared that stands behind a sensor's
        light = rows.select_columns(["sample_id", "ir_band", "ir_origin", "image_group_id", "joint_group_id"])
        joint = [own or image for own, image in zip(light["joint_group_id"], light["image_group_id"])]
        table = pa.table({name: light[name][:] for name in ("sample_id", "ir_band", "ir_origin")})
        marked = representatives(table, pa.array(joint), ["test"] * len(rows))
    return rows.select(np.flatnonzero(marked))


def held_out(
    dataset: str, split: str, ir_origin: str | None = "sensor", trained_on: TrainedOn | None = None
) -> dict[str, Dataset]:
    """Divides a split's evaluation representatives by band and by whether training saw their scene elsewhere.

    Args:
        dataset, split: Folder or Hub id, and which of its splits.
        ir_origin: `sensor`, `translated`, or None for both.
        trained_on: By the model; None: the dataset's own training split stands for it.

    Returns:
        Rows by `held_out_region/<band>` (another part of a scene that was trained on), `held_out_scene/<band>` and, of
        the training split, `trained_on/<band>` (`train_split` where the model does not say); only what has at least
        two rows.

    Raises:
        InputError: Rows have no `image_group_id`, or nothing is left to score.
    """
    rows = representative_rows(dataset, split, ir_origin)
    trained_on = trained_on or TrainedOn.of_dataset(dataset, ir_origin)
    parts: dict[str, list[int]] = {}
    for index, (locator, source, band) in enumerate(
        zip(rows["source_locator"], rows["source_dataset"], rows["ir_band"])
    ):
        parts.setdefault(f"{trained_on.place(locator, source, split)}/{band}", []).append(index)
    found = {name: rows.select(indices) for name, indices in sorted(parts.items()) if len(indices) > 1}
    if not found:
        groups = load_pairs(dataset, split, ir_origin)["joint_group_id"][:]
        raise InputError(
            f"nothing to score: the {len(groups)} {split} rows of {dataset} form {len(set(groups))} joint groups, so "
            f"that {_numbers(parts)} stand for them, and a gallery needs two; see what joined them in its "
            "build_report.json (groups), or give another --split"
        )
    return found


def _numbers(parts: Mapping[str, Sequence[int]]) -> str:
    return ", ".join(f"{len(indices)} of {name}" for name, indices in sorted(parts.items())) or "none"
