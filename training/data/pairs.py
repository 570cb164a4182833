"""Rows of a FusionRS dataset as batches for the dual-modal CLIP: which infrared, which caption, which control."""

from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from itertools import islice
from pathlib import Path
from typing import Any

import numpy as np
import torch
from datasets import Dataset, get_dataset_split_names, load_dataset
from PIL import Image
from torch import Tensor
from torch.utils.data import Dataset as TorchDataset

from dataset_builder.groups.keys import caption_key
from dataset_builder.schema import stable_seed
from dataset_builder.shards.folder import find_shards
from fusionrs_hf.errors import InputError
from fusionrs_hf.folder_manifest import require_finished
from fusionrs_hf.modeling_fusionrs_clip import FusionRSCLIPModel
from fusionrs_hf.processing_fusionrs_images import check_infrared
from fusionrs_hf.weights import check_source, loading
from training.data.augmentation import DRAWS, PairAugmentation
from training.data.embedded_images import embedded

COLUMNS = (*("sample_id", "rgb", "ir", "ir_origin", "ir_band", "captions", "ir_captions"), "is_eval_representative")
SUBSET_SEED = 42  # of the shuffle whose prefixes are the published scales (arXiv 2606.17020)


def load_pairs(dataset: str, split: str, ir_origin: str | None = "sensor", representatives: bool = False) -> Dataset:
    """Returns a split's rows that have both images.

    Args:
        dataset: Hub id or folder that `load_dataset` reads.
        split: `train`, `validation` or `test`.
        ir_origin: Keep rows of this origin, `sensor` or `translated`; None keeps both.
        representatives: Keep evaluation representatives only (one per joint group and `ir_band`).

    Raises:
        InputError: There is no such folder, nothing is left, or the folder is not finished.
    """
    check_source(dataset)
    if Path(dataset).is_dir():
        require_finished(Path(dataset))
        if not any(name.startswith(f"{split}-") for name in find_shards(Path(dataset), COLUMNS)):
            raise InputError(f"{dataset} has no {split} split: there is no data/{split}-*.parquet in it")
    data_files = {split: f"data/{split}-*.parquet"} if Path(dataset).is_dir() else None
    with loading(dataset, "rows of a dataset"):
        rows = embedded(load_dataset(dataset, data_files=data_files, split=split))
        table = rows.select_columns(["ir_origin", "is_eval_representative"]).to_dict()
    keep = [
        index
        for index, (origin, representative) in enumerate(zip(table["ir_origin"], table["is_eval_representative"]))
        if (ir_origin is None or origin == ir_origin) and (representative or not representatives)
    ]
    if not keep:
        there = ", ".join(f"{count} {origin}" for origin, count in Counter(table["ir_origin"]).most_common()) or "none"
        raise InputError(
            f"{dataset} has no {'held-out ' if representatives else ''}{split} rows with ir_origin "
            f"{ir_origin or 'any'}; its {split} rows are {there}: take these where there is --ir_origin"
        )
    return rows.select(keep)


def has_split(dataset: str, split: str) -> bool:
    """Whether a Hub id or a folder has a split."""
    if Path(dataset).is_dir():
        return any((Path(dataset) / "data").glob(f"{split}-*.parquet"))
    check_source(dataset)
    with loading(dataset, "a dataset"):
        return split in get_dataset_split_names(dataset)


def first_rows(rows: Dataset, count: int | None) -> Dataset:
    """Returns the first rows of a fixed shuffle, so that a smaller subset is part of each larger one; None: all.

    Raises:
        InputError: There are fewer rows, or `count` is not positive.
    """
    if count is None:
        return rows
    if not 0 < count <= len(rows):
        raise InputError(f"train_rows must lie between 1 and the {len(rows)} rows there are, got {count}")
    return rows.shuffle(seed=SUBSET_SEED).select(range(count))


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
        ir_caption_probability: Share of texts that are IR-aware captions rather than scene captions, a chance where it
            is no whole number of a row's texts; a row with one kind gives that.
        ir_view: `sensor` (as stored), `grayscale` (of the RGB) or `rgb_duplicate`: controls, made here after the
            processor's checks so that no data is mislabelled.
        seed, epoch: With the row's id they decide which caption and which change of the images is drawn, and nothing
            else does: a resumed run, or one with other workers, draws the same. A row's own `epoch` goes before.
        group_aware: Rows of one image group, and equal captions, share an id; else every row is on its own, as in the
            published recipe.
        texts_per_row: Captions that each row is shown with, none twice as long as there are others; 0: images alone.
        augmentation: Changes both images of a pair; None: none. The controls are made of the RGB as stored, and then
            changed as infrared is, but for `rgb_duplicate`, which is the changed RGB.
        versions: Changes of an image group there are, each as likely as none; 0: a new one every time.
    """

    processor: Any
    ir_caption_probability: float = 0.5
    ir_view: str = "sensor"
    seed: int = 0
    epoch: int = 0
    group_aware: bool = True
    texts_per_row: int = 1
    augmentation: PairAugmentation | None = None
    versions: int = 0

    def __call__(self, rows: list[Mapping[str, Any]]) -> dict[str, Any]:
        """Returns `pixel_values`, `ir_pixel_values`, `input_ids`, `attention_mask`, `image_ids`, `caption_ids`.

        Texts of one row are next to each other: `input_ids` and `caption_ids` have `texts_per_row` entries a row.
        """
        row_captions = [self.captions(row) for row in rows]
        texts = [text for captions in row_captions for text in captions]
        images, infrared = [row["rgb"] for row in rows], [row["ir"] for row in rows]
        if self.ir_view == "grayscale":
            infrared = [image.convert("L") for image in images]
        bands = [row["ir_band"] for row in rows]
        if self.augmentation:
            if self.augmentation.radiometry:  # is of grey levels
                infrared = list(map(check_infrared, infrared, self.processor.limits(bands, len(rows))))
            changed = map(self._changed, rows, images, infrared, map("\n".join, row_captions))
            images, infrared = (list(side) for side in zip(*changed))
        if self.ir_view == "rgb_duplicate":
            batch = self.processor(images=images, text=texts or None)
            batch["ir_pixel_values"] = batch["pixel_values"].clone()
        else:
            batch = self.processor(images=images, ir_images=infrared, text=texts or None, ir_bands=bands)
        groups, keys = [row["image_group_id"] for row in rows], [caption_key(text) for text in texts]
        if not self.group_aware:
            groups = [row["sample_id"] for row in rows]
            keys = np.repeat(groups, self.texts_per_row).tolist()
        elif alone := [row["sample_id"] for row, group in zip(rows, groups) if not group]:
            raise InputError(
                f"row {alone[0]} has no image_group_id, so rows of one scene would count as negatives; build the "
                "dataset by `fusionrs build`, fill the column (a row on its own: its sample_id), or train with "
                "group_aware: false"
            )
        return {**batch, "image_ids": integer_ids(groups), "caption_ids": integer_ids(keys), "return_loss": True}

    def captions(self, row: Mapping[str, Any]) -> list[str]:
        """Returns the texts that a row is shown with, scene captions first.

        Raises:
            InputError: The row has none, or an empty one.
        """
        if not self.texts_per_row:
            return []
        scene, infrared = row["captions"], row["ir_captions"]
        if not scene and not infrared:
            raise InputError(f"row {row['sample_id']} has no caption of either kind; run the build's caption stage")
        generator = self._draw(row)
        aware = int(self.texts_per_row * self.ir_caption_probability + generator.random())
        texts = []
        for pool, count in ((scene or infrared, self.texts_per_row - aware), (infrared or scene, aware)):
            places = generator.permutation(len(pool))
            texts += [pool[places[number % len(pool)]] for number in range(count)]
        if not all(text.strip() for text in texts):
            raise InputError(f"row {row['sample_id']} has an empty caption; run the build's caption stage")
        return texts

    def _changed(
        self, row: Mapping[str, Any], rgb: Image.Image, ir: Image.Image, caption: str
    ) -> tuple[Image.Image, Image.Image]:
        generator = self._draw(row, "augmentation")
        if self.versions:
            version = int(generator.integers(self.versions + 1))
            if version == 0:
                return rgb, ir
            group = row["image_group_id"] or row["sample_id"]  # bands of a tile share its RGB
            generator = np.random.default_rng(stable_seed(self.seed, version, group, "version"))
        return self.augmentation(rgb, ir, caption, generator.random(DRAWS))

    def _draw(self, row: Mapping[str, Any], *purpose: str) -> np.random.Generator:
        return np.random.default_rng(stable_seed(self.seed, row.get("epoch", self.epoch), row["sample_id"], *purpose))


@torch.no_grad()
def pooled_features(
    model: FusionRSCLIPModel, rows: Iterable[Mapping[str, Any]], collator: PairCollator, batch_size: int = 128
) -> tuple[Tensor, Tensor]:
    """Returns the towers' features of RGB and of infrared, `(rows, image_feature_size)` each, float32.

    Args:
        model: Of the towers; it is left in evaluation mode.
        rows, collator: What is shown, and how.
        batch_size: Rows at a time.
    """
    pooled: dict[str, list[Tensor]] = {"rgb": [], "ir": []}
    inputs = {"rgb": "pixel_values", "ir": "ir_pixel_values"}
    model.eval()
    remaining = iter(rows)
    while part := list(islice(remaining, batch_size)):
        batch = collator(part)
        for modality, parts in pooled.items():
            parts.append(model.get_pooled_features(batch[inputs[modality]].to(model.device), modality).float())
    return torch.cat(pooled["rgb"]), torch.cat(pooled["ir"])


def fit_clip_norm(model: FusionRSCLIPModel, rows: Iterable[Mapping[str, Any]], collator: PairCollator) -> None:
    """Sets the model's per-modality statistics from the training rows as the collator shows them."""
    model.fit_feature_norm(*pooled_features(model, rows, collator))
