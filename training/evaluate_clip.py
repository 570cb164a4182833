"""Scores a dual-modal CLIP on held-out rows: six directions within each infrared band, hard gallery, control (a).

fusionrs eval clip --model runs/clip --dataset runs/dataset --output runs/clip/metrics.json
"""

import argparse
import hashlib
import json
import logging
import sys
from collections.abc import Callable, Mapping, Sequence
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np
import torch
import torch.nn.functional as F
from datasets import Dataset
from PIL import Image
from scipy import sparse
from torch import Tensor
from transformers import AutoModel, AutoProcessor

import fusionrs_hf.auto  # noqa: F401 - registers the classes
from dataset_builder.hashing import caption_key
from fusionrs_hf.configuration_fusionrs_clip import FusionRSCLIPConfig
from fusionrs_hf.modeling_fusionrs_clip import FusionRSCLIPModel
from training.hard_gallery import parse_locator, shifted_crops
from training.metrics.cross_modal_recall.cross_modal_recall import equal_id_positives, positive_ranks, summarize
from training.pairs import PairCollator, fit_feature_norm, load_pairs
from training.significance import bootstrap_mean

logger = logging.getLogger(__name__)
TEXT_KINDS = {"scene": "captions", "ir_aware": "ir_captions"}


class Encoders:
    """A model's three encoders as functions from items to unit-length embeddings; no image is encoded twice.

    Rows of one tile in several bands repeat its RGB image, hence the memory.

    Args:
        model, processor: A FusionRS-CLIP and its processor.
        pooled: Images give the tower's pooled features, without projection: control (a).
        standardise: With `pooled`, by the model's `feature_norm`.
        batch_size: Items at a time.
    """

    def __init__(
        self,
        model: FusionRSCLIPModel,
        processor: Any,
        pooled: bool = False,
        standardise: bool = False,
        batch_size: int = 64,
    ) -> None:
        self.model, self.processor = model.eval(), processor
        self.pooled, self.standardise, self.batch_size = pooled, standardise, batch_size
        self.seen: dict[tuple[str, bytes], Tensor] = {}

    def rgb(self, images: Sequence[Image.Image]) -> np.ndarray:
        """Embeddings `(images, size)` of RGB images."""
        encode = self.model.get_pooled_features if self.pooled else self.model.get_rgb_features
        return self._images(images, "rgb", lambda batch: encode(self.processor(images=batch)["pixel_values"]))

    def ir(self, images: Sequence[Image.Image]) -> np.ndarray:
        """Embeddings `(images, size)` of infrared images."""
        pooled = partial(self.model.get_pooled_features, modality="ir")
        encode = pooled if self.pooled else self.model.get_ir_features
        return self._images(images, "ir", lambda batch: encode(self.processor(ir_images=batch)["ir_pixel_values"]))

    def text(self, texts: Sequence[str]) -> np.ndarray:
        """Embeddings `(texts, size)` of texts."""
        order = np.argsort([len(text) for text in texts], kind="stable")  # texts of one length need little padding
        parts = self._batches(
            [texts[i] for i in order], lambda batch: self.model.get_text_features(**self.processor(text=batch))
        )
        return _unit(parts[np.argsort(order)])

    def _images(self, images: Sequence[Image.Image], modality: str, encode: Callable[[list], Tensor]) -> np.ndarray:
        keys = [(modality, hashlib.sha256(image.tobytes()).digest()) for image in images]
        new = {key: image for key, image in zip(keys, images) if key not in self.seen}
        self.seen.update(zip(new, self._batches(list(new.values()), encode)))
        features = torch.stack([self.seen[key] for key in keys])  # (images, size)
        if self.standardise:
            features = self.model.feature_norm(features, modality)
        return _unit(features)

    @torch.inference_mode()
    def _batches(self, items: list, encode: Callable[[list], Tensor]) -> Tensor:
        starts = range(0, len(items), self.batch_size)
        return (
            torch.cat([encode(items[start : start + self.batch_size]).float() for start in starts])
            if items
            else torch.empty(0)
        )


def _unit(features: Tensor) -> np.ndarray:
    return F.normalize(features, dim=-1).numpy()


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


def held_out(dataset: str, split: str) -> dict[str, Dataset]:
    """Divides a split's evaluation representatives by band and by whether training saw their scene elsewhere.

    Returns:
        Rows by `held_out_region/<band>` and `held_out_scene/<band>`; only what has at least two rows.
    """
    train_scenes = {scene_of(locator) for locator in load_pairs(dataset, "train")["source_locator"]}
    rows = load_pairs(dataset, split, representatives=True)
    parts: dict[str, list[int]] = {}
    for index, (locator, band) in enumerate(zip(rows["source_locator"], rows["ir_band"])):
        where = "held_out_region" if scene_of(locator) in train_scenes else "held_out_scene"
        parts.setdefault(f"{where}/{band}", []).append(index)
    return {name: rows.select(indices) for name, indices in sorted(parts.items()) if len(indices) > 1}


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
    encoders = Encoders(model, processor)
    results = {}
    for name, rows in held_out(dataset, split).items():
        ranks = score_images(encoders, rows) | (score_texts(encoders, rows) if texts else {})
        results[name] = describe(ranks)
        logger.info("%s: %d queries, RGB to IR R@1 %.3f", name, len(rows), results[name]["scores"]["rgb_to_ir"]["R@1"])
    return results


def evaluate_pretrained(config: FusionRSCLIPConfig, processor: Any, towers: Mapping[str, Any], dataset: str) -> dict:
    """Control (a): image-image ranks of the towers as loaded, by their pooled features, no projection.

    Args:
        config: Of the trained model: pooling and grid are the same.
        processor: Of the trained model.
        towers: `vision_tower` and `text_tower`, folders or Hub ids, as they were before training.
        dataset: Folder or Hub id; features are standardised by its training split.

    Returns:
        As `evaluate`, image directions only; of raw and standardised features the one with the higher R@1 is kept.
    """
    options = {name: getattr(config, name) for name in ("vision_pooling", "text_pooling", "grid_size")}
    model = FusionRSCLIPModel.from_towers(towers["vision_tower"], towers["text_tower"], feature_norm=True, **options)
    fit_feature_norm(model, load_pairs(dataset, "train"), PairCollator(processor))
    encoders, results = Encoders(model, processor, pooled=True), {}
    for name, rows in held_out(dataset, "test").items():
        tried = []
        for encoders.standardise in (False, True):
            tried.append(score_images(encoders, rows))
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


def main(argv: Sequence[str] | None = None) -> None:
    """Scores a saved model, and the towers it started from where they are named; writes the metrics."""
    parser = argparse.ArgumentParser(prog="fusionrs eval clip", description=__doc__.splitlines()[0])
    parser.add_argument("--model", required=True, help="folder or Hub id of a FusionRS-CLIP")
    parser.add_argument("--dataset", required=True, help="folder or Hub id of the dataset")
    parser.add_argument("--split", default="test")
    parser.add_argument("--vision_tower", help="with --text_tower: also score these towers as loaded, control (a)")
    parser.add_argument("--text_tower")
    parser.add_argument("--output", type=Path, required=True, help="metrics.json to write")
    arguments = parser.parse_args(sys.argv[1:] if argv is None else argv)
    logging.basicConfig(level=logging.INFO, format="%(message)s")
    model, processor = AutoModel.from_pretrained(arguments.model), AutoProcessor.from_pretrained(arguments.model)
    results = {"trained": evaluate(model, processor, arguments.dataset, arguments.split)}
    if arguments.vision_tower and arguments.text_tower:
        towers = {"vision_tower": arguments.vision_tower, "text_tower": arguments.text_tower}
        results["pretrained"] = evaluate_pretrained(model.config, processor, towers, arguments.dataset)
    arguments.output.write_text(json.dumps(results, indent=1))


if __name__ == "__main__":
    main()
