"""Scores a dual-modal CLIP on held-out rows: six directions within each infrared band, hard gallery, control (a).

fusionrs eval clip --model runs/clip --dataset runs/dataset --output runs/clip/metrics.json
"""

import argparse
import json
import logging
import sys
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import torch
import torch.nn.functional as F
from datasets import Dataset
from scipy import sparse
from torch import Tensor
from transformers import AutoModel, AutoProcessor

import fusionrs_hf.auto  # noqa: F401 - registers the classes
from dataset_builder.grouping import caption_key
from fusionrs_hf.modeling_fusionrs_clip import FusionRSCLIPModel
from training.hard_gallery import parse_locator, shifted_crops
from training.metrics.cross_modal_recall.cross_modal_recall import equal_id_positives, positive_ranks, summarize
from training.pairs import load_pairs
from training.significance import bootstrap_mean

logger = logging.getLogger(__name__)
TEXT_KINDS = {"scene": "captions", "ir_aware": "ir_captions"}


@torch.inference_mode()
def embed(
    encode: Callable[[dict[str, Tensor]], Tensor],
    prepare: Callable[[list], dict],
    items: Sequence,
    batch_size: int = 128,
) -> np.ndarray:
    """Returns unit-length float32 embeddings `(items, size)` of images or texts.

    Args:
        encode: Inputs -> features `(batch, size)`.
        prepare: Items -> inputs, the processor.
        items: PIL images or strings.
        batch_size: Items at a time.
    """
    parts = [
        F.normalize(encode(prepare(list(items[start : start + batch_size]))).float(), dim=-1)
        for start in range(0, len(items), batch_size)
    ]
    return torch.cat(parts).numpy() if parts else np.zeros((0, 1), np.float32)


class Encoders:
    """The three encoders of a model and its processor as functions from items to embeddings."""

    def __init__(
        self, model: FusionRSCLIPModel, processor: Any, pooled: bool = False, standardise: bool = True
    ) -> None:
        """With `pooled`, images give the tower's pooled features as loaded: no projection; texts then have none."""
        self.model, self.processor, self.pooled = model.eval(), processor, pooled
        self.standardise = standardise and model.feature_norm is not None

    def rgb(self, images: Sequence) -> np.ndarray:
        """Embeddings of RGB images."""
        encode = self._pooled("pixel_values", "rgb") if self.pooled else lambda x: self.model.get_rgb_features(**x)
        return embed(encode, lambda batch: self.processor(images=batch), images)

    def ir(self, images: Sequence) -> np.ndarray:
        """Embeddings of infrared images."""
        encode = (
            self._pooled("ir_pixel_values", "ir")
            if self.pooled
            else lambda x: self.model.get_ir_features(x["ir_pixel_values"])
        )
        return embed(encode, lambda batch: self.processor(ir_images=batch), images)

    def text(self, texts: Sequence[str]) -> np.ndarray:
        """Embeddings of texts."""
        return embed(lambda x: self.model.get_text_features(**x), lambda batch: self.processor(text=batch), texts)

    def _pooled(self, name: str, modality: str) -> Callable[[dict[str, Tensor]], Tensor]:
        def encode(inputs: dict[str, Tensor]) -> Tensor:
            features = self.model.get_pooled_features(inputs[name])
            return self.model.feature_norm(features, modality) if self.standardise else features

        return encode


def text_positives(rows: Dataset, column: str) -> tuple[list[str], sparse.csr_array]:
    """Lists the rows' captions and which image each is a positive of.

    A caption is a positive of an image when its own row is of the same image group, or when the image has a caption
    with an equal key.

    Returns:
        Texts, and a bool sparse matrix `(rows, texts)`.
    """
    texts = [text for captions in rows[column] for text in captions]
    owner = np.repeat(np.arange(len(rows)), [len(captions) for captions in rows[column]])
    groups = np.asarray(rows["image_group_id"])
    same_group = equal_id_positives(groups, groups[owner])
    keys = np.asarray([caption_key(text) for text in texts])
    of_row = sparse.csr_array(
        (np.ones(len(texts), bool), (owner, np.arange(len(texts)))), shape=(len(rows), len(texts))
    )
    same_key = of_row @ equal_id_positives(keys, keys)
    return texts, ((same_group + same_key) > 0).tocsr()


def score_images(encoders: Encoders, rows: Dataset) -> dict[str, np.ndarray]:
    """Returns ranks `(rows,)` of RGB -> infrared and back among rows of one band, plain and with hard distractors."""
    rgb, ir = rows["rgb"][:], rows["ir"][:]
    rgb_embeds, ir_embeds = encoders.rgb(rgb), encoders.ir(ir)
    groups = np.asarray(rows["image_group_id"])
    positives = equal_id_positives(groups, groups)
    ranks = {
        "rgb_to_ir": positive_ranks(rgb_embeds, ir_embeds, positives),
        "ir_to_rgb": positive_ranks(ir_embeds, rgb_embeds, positives),
    }
    for name, queries, gallery, crops, encode in (
        ("rgb_to_ir", rgb_embeds, ir_embeds, shifted_crops(ir, rows["source_locator"]), encoders.ir),
        ("ir_to_rgb", ir_embeds, rgb_embeds, shifted_crops(rgb, rows["source_locator"]), encoders.rgb),
    ):
        if crops:
            padded = sparse.hstack([positives, sparse.csr_array((len(rows), len(crops)), dtype=bool)], format="csr")
            ranks[f"{name}_hard"] = positive_ranks(queries, np.concatenate([gallery, encode(crops)]), padded)
    return ranks


def score_texts(encoders: Encoders, rows: Dataset) -> dict[str, np.ndarray]:
    """Returns ranks of the four image-text directions for each kind of text, keyed `rgb_to_text/scene` and so on."""
    images = {"rgb": encoders.rgb(rows["rgb"][:]), "ir": encoders.ir(rows["ir"][:])}
    ranks = {}
    for kind, column in TEXT_KINDS.items():
        texts, positives = text_positives(rows, column)
        if not texts:
            continue
        text_embeds = encoders.text(texts)
        has_text = np.flatnonzero(positives.sum(1))
        for modality, embeds in images.items():
            ranks[f"{modality}_to_text/{kind}"] = positive_ranks(embeds[has_text], text_embeds, positives[has_text])
            ranks[f"text_to_{modality}/{kind}"] = positive_ranks(text_embeds, embeds, positives.T.tocsr())
    return ranks


def subsets(test: Dataset, train_scenes: set[str]) -> dict[str, Dataset]:
    """Splits held-out rows by band and by whether training saw another region of their scene.

    Returns:
        Rows by `held_out_region/<band>` and `held_out_scene/<band>`; only what is not empty, at least two rows each.
    """
    scenes = [scene_of(locator) for locator in test["source_locator"]]
    parts: dict[str, list[int]] = {}
    for index, (scene, band) in enumerate(zip(scenes, test["ir_band"])):
        where = "held_out_region" if scene in train_scenes else "held_out_scene"
        parts.setdefault(f"{where}/{band}", []).append(index)
    return {name: test.select(indices) for name, indices in sorted(parts.items()) if len(indices) > 1}


def scene_of(locator: str) -> str:
    """Returns the scene that a locator names, or the locator itself where it names none."""
    place = parse_locator(locator)
    return place.scene if place else locator


def evaluate(model: FusionRSCLIPModel, processor: Any, dataset: str, split: str = "test", texts: bool = True) -> dict:
    """Scores a model on a dataset's evaluation representatives.

    Returns:
        By subset: `queries`, `scores` (direction -> `summarize`), `intervals` of R@1 (95 % bootstrap over queries) and
        `ranks` (direction -> list, 0 is a hit at 1), from which paired tests are made.
    """
    test = load_pairs(dataset, split, representatives=True)
    train_scenes = {scene_of(locator) for locator in load_pairs(dataset, "train")["source_locator"]}
    encoders = Encoders(model, processor)
    results = {}
    for name, rows in subsets(test, train_scenes).items():
        ranks = score_images(encoders, rows) | (score_texts(encoders, rows) if texts else {})
        results[name] = describe(ranks)
        logger.info("%s: %d queries, RGB to IR R@1 %.3f", name, len(rows), results[name]["scores"]["rgb_to_ir"]["R@1"])
    return results


def evaluate_pretrained(model: FusionRSCLIPModel, processor: Any, dataset: str, split: str = "test") -> dict:
    """Control (a): image-image ranks of the towers as loaded, by pooled features, raw or standardised.

    Args:
        model: Built by `from_towers` and not trained; `feature_norm` fitted where it has one.
        processor, dataset, split: As for `evaluate`.

    Returns:
        As `evaluate`, image directions only; of raw and standardised features the one with the higher R@1 is kept.
    """
    test = load_pairs(dataset, split, representatives=True)
    train_scenes = {scene_of(locator) for locator in load_pairs(dataset, "train")["source_locator"]}
    results = {}
    for name, rows in subsets(test, train_scenes).items():
        tried = [
            score_images(Encoders(model, processor, pooled=True, standardise=flag), rows) for flag in (False, True)
        ]
        results[name] = describe(max(tried, key=lambda ranks: (ranks["rgb_to_ir"] < 1).mean()))
    return results


def describe(ranks: dict[str, np.ndarray]) -> dict:
    """Summarises ranks: scores, R@1 intervals, and the ranks themselves as lists."""
    return {
        "queries": len(ranks["rgb_to_ir"]),
        "scores": {name: summarize(values) for name, values in ranks.items()},
        "intervals": {name: list(bootstrap_mean(values < 1)) for name, values in ranks.items()},
        "ranks": {name: values.tolist() for name, values in ranks.items()},
    }


def main(argv: Sequence[str] | None = None) -> dict:
    """Scores a saved model; writes and returns the metrics."""
    parser = argparse.ArgumentParser(prog="fusionrs eval clip", description=__doc__.splitlines()[0])
    parser.add_argument("--model", required=True, help="folder or Hub id of a FusionRS-CLIP")
    parser.add_argument("--dataset", required=True, help="folder or Hub id of the dataset")
    parser.add_argument("--split", default="test")
    parser.add_argument("--output", type=Path, help="metrics.json to write")
    arguments = parser.parse_args(sys.argv[1:] if argv is None else argv)
    model, processor = AutoModel.from_pretrained(arguments.model), AutoProcessor.from_pretrained(arguments.model)
    results = evaluate(model, processor, arguments.dataset, arguments.split)
    if arguments.output:
        arguments.output.write_text(json.dumps(results, indent=1))
    return results


if __name__ == "__main__":
    main()
