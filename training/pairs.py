"""Rows of a FusionRS dataset as batches for the dual-modal CLIP: which infrared, which caption, which control."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import torch
from datasets import Dataset, load_dataset
from torch import Tensor
from torch.utils.data import Dataset as TorchDataset

from dataset_builder.hashing import caption_key
from dataset_builder.schema import stable_seed
from fusionrs_hf.errors import InputError
from fusionrs_hf.modeling_fusionrs_clip import FusionRSCLIPModel

IR_VIEWS = ("sensor", "grayscale", "rgb_duplicate", "shuffled")


def load_pairs(dataset: str, split: str, ir_origin: str | None = "sensor", representatives: bool = False) -> Dataset:
    """Returns a split's rows that have both images.

    Args:
        dataset: Hub id or folder that `load_dataset` reads.
        split: `train`, `validation` or `test`.
        ir_origin: Keep rows of this origin, `sensor` or `translated`; None keeps both.
        representatives: Keep evaluation representatives only (one per joint group and `ir_band`).

    Raises:
        InputError: Nothing is left.
    """
    data_files = {split: f"data/{split}-*.parquet"} if Path(dataset).is_dir() else None
    rows = load_dataset(dataset, data_files=data_files, split=split)
    table = rows.select_columns(["ir_origin", "is_eval_representative"]).to_dict()
    keep = [
        index
        for index, (origin, representative) in enumerate(zip(table["ir_origin"], table["is_eval_representative"]))
        if (ir_origin is None or origin == ir_origin) and (representative or not representatives)
    ]
    if not keep:
        raise InputError(
            f"{dataset} has no {split} rows with ir_origin={ir_origin} and representatives={representatives}"
        )
    return rows.select(keep)


def integer_ids(values: Sequence[str]) -> torch.Tensor:
    """Returns int64 ids `(len(values),)` that are equal where the strings are, in this process and in any other."""
    return torch.tensor([stable_seed(value) for value in values], dtype=torch.int64)


def donors_within(kinds: Sequence[str], seed: int) -> np.ndarray:
    """Returns for each row another row of its kind, `(rows,)`: a random cycle, so that no row keeps its own."""
    kinds = np.asarray(kinds)
    donors = np.arange(len(kinds))
    generator = np.random.default_rng(seed)
    for kind in np.unique(kinds):
        members = generator.permutation(np.flatnonzero(kinds == kind))
        donors[members] = np.roll(members, 1)
    return donors


class ShuffledInfrared(TorchDataset):
    """The same rows with each one's infrared taken from another row of its band: control (c) of the experiments."""

    def __init__(self, rows: Dataset, seed: int) -> None:
        self.rows = rows
        self.donor = donors_within(rows["ir_band"], seed)

    def __len__(self) -> int:
        return len(self.rows)

    def __getitem__(self, index: int) -> dict[str, Any]:
        return {**self.rows[int(index)], "ir": self.rows[int(self.donor[index])]["ir"]}


@dataclass(slots=True)
class PairCollator:
    """Rows -> inputs of `FusionRSCLIPModel` with ids of what is no negative, and `return_loss`.

    Args:
        processor: `FusionRSCLIPProcessor`.
        ir_caption_probability: Chance that a row's text is one of its IR-aware captions rather than a scene caption; a
            row with one kind gives that.
        ir_view: `sensor` (as stored), `grayscale` (of the RGB) or `rgb_duplicate`: controls, made here after the
            processor's checks so that no data is mislabelled.
        seed, epoch: With the row's id they decide which caption is drawn, and nothing else does: a resumed run, or one
            with other workers, draws the same.
    """

    processor: Any
    ir_caption_probability: float = 0.5
    ir_view: str = "sensor"
    seed: int = 0
    epoch: int = 0

    def __call__(self, rows: list[Mapping[str, Any]]) -> dict[str, Any]:
        """Returns `pixel_values`, `ir_pixel_values`, `input_ids`, `attention_mask`, `image_ids`, `caption_ids`."""
        texts = [self._caption(row) for row in rows]
        images = [row["rgb"] for row in rows]
        if self.ir_view == "rgb_duplicate":
            batch = self.processor(images=images, text=texts)
            batch["ir_pixel_values"] = batch["pixel_values"].clone()
        else:
            infrared = (
                [image.convert("L") for image in images]
                if self.ir_view == "grayscale"
                else [row["ir"] for row in rows]
            )
            batch = self.processor(images=images, ir_images=infrared, text=texts)
        return {
            **batch,
            "image_ids": integer_ids([row["image_group_id"] for row in rows]),
            "caption_ids": integer_ids([caption_key(text) for text in texts]),
            "return_loss": True,
        }

    def _caption(self, row: Mapping[str, Any]) -> str:
        scene, infrared = row["captions"], row["ir_captions"]
        if not scene and not infrared:
            raise InputError(f"row {row['sample_id']} has no caption of either kind; run the build's caption stage")
        draw = np.random.default_rng(stable_seed(self.seed, self.epoch, row["sample_id"])).random(2)
        pool = infrared if infrared and (draw[0] < self.ir_caption_probability or not scene) else scene
        return pool[int(draw[1] * len(pool))]


@torch.no_grad()
def fit_feature_norm(model: FusionRSCLIPModel, rows: Dataset, collator: PairCollator, batch_size: int = 128) -> None:
    """Sets the model's per-modality statistics from the training rows as the collator shows them."""
    pooled: dict[str, list[Tensor]] = {"rgb": [], "ir": []}
    inputs = {"rgb": "pixel_values", "ir": "ir_pixel_values"}
    model.eval()
    for start in range(0, len(rows), batch_size):
        batch = collator([rows[index] for index in range(start, min(start + batch_size, len(rows)))])
        for modality, parts in pooled.items():
            parts.append(model.get_pooled_features(batch[inputs[modality]].to(model.device), modality).float())
    model.fit_feature_norm(torch.cat(pooled["rgb"]), torch.cat(pooled["ir"]))
