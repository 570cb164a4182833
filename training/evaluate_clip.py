"""Scores a dual-modal CLIP on held-out rows: all directions within each infrared band, hard gallery, control (a).

fusionrs eval clip --model runs/clip --dataset runs/dataset --output runs/clip/metrics.json
"""

import argparse
import logging
import sys
from collections.abc import Mapping, Sequence
from dataclasses import replace
from typing import Any

import numpy as np
from datasets import Dataset
from scipy import sparse

from dataset_builder.shards.limits import declared_ir_range
from fusionrs_hf.arguments import Arguments, number, path
from fusionrs_hf.configuration_fusionrs_clip import FusionRSCLIPConfig
from fusionrs_hf.encoders import Encoder, load_clip
from fusionrs_hf.errors import InputError
from fusionrs_hf.modeling_fusionrs_clip import FusionRSCLIPModel
from training.clip_arguments import IR_ORIGINS
from training.data.held_folders import adding, holding
from training.data.pairs import PairCollator, fit_clip_norm, load_pairs
from training.metrics.cross_modal_recall.cross_modal_recall import equal_id_positives, positive_ranks
from training.scoring.clip_results import ClipResults, DirectionScores, FusionChoice, SubsetScores
from training.scoring.embedded_rows import EmbeddedRows, embed_rows, image_ranks, require_groups, text_ranks
from training.scoring.hard_gallery import parse_locator, shifted_crops
from training.scoring.recall_tables import MODALITIES, choose_fusion_weight, mean_recalls, missing_modality, tables_by

logger = logging.getLogger(__name__)


def hard_ranks(encoder: Encoder, rows: Dataset, part: EmbeddedRows) -> dict[str, np.ndarray]:
    """Returns ranks of the image directions with shifted crops of the tiles in the gallery; empty without neighbours.

    Args:
        encoder: Encodes the crops.
        rows: Of one band.
        part: The same rows embedded.
    """
    positives, ranks = equal_id_positives(part.groups, part.groups), {}
    for query, gallery in (("rgb", "ir"), ("ir", "rgb")):
        crops = shifted_crops(rows[gallery][:], rows["source_locator"][:])
        if crops:
            padded = sparse.hstack([positives, sparse.csr_array((len(rows), len(crops)), dtype=bool)], format="csr")
            bands = [part.bands[0]] * len(crops)
            shifted = encoder.ir(crops, bands) if gallery == "ir" else encoder.rgb(crops)
            items = np.concatenate([part.images[gallery], shifted])
            ranks[f"{query}_to_{gallery}_hard"] = positive_ranks(part.images[query], items, padded)
    return ranks


def score_images(encoder: Encoder, rows: Dataset) -> dict[str, np.ndarray]:
    """Returns ranks `(rows,)` of RGB -> infrared and back among rows of one band, plain and with hard distractors."""
    part = embed_rows(encoder, rows, texts=False)
    return image_ranks(part) | hard_ranks(encoder, rows, part)


def score_texts(encoder: Encoder, rows: Dataset) -> dict[str, np.ndarray]:
    """Returns ranks of the four image-text directions for each kind of text, keyed `rgb_to_text/scene` and so on."""
    return text_ranks(embed_rows(encoder, rows))


def held_out(dataset: str, split: str, ir_origin: str | None = "sensor") -> dict[str, Dataset]:
    """Divides a split's evaluation representatives by band and by whether training saw their scene elsewhere.

    Returns:
        Rows by `held_out_region/<band>` and `held_out_scene/<band>`; only what has at least two rows.

    Raises:
        InputError: Rows have no `image_group_id`, or none is a representative.
    """
    require_groups(load_pairs(dataset, split, ir_origin))
    rows = load_pairs(dataset, split, ir_origin, representatives=True)
    train_scenes = {scene_of(locator) for locator in load_pairs(dataset, "train", ir_origin)["source_locator"]}
    parts: dict[str, list[int]] = {}
    for index, (locator, band) in enumerate(zip(rows["source_locator"], rows["ir_band"])):
        where = "held_out_region" if scene_of(locator) in train_scenes else "held_out_scene"
        parts.setdefault(f"{where}/{band}", []).append(index)
    return {name: rows.select(indices) for name, indices in sorted(parts.items()) if len(indices) > 1}


def scene_of(locator: str) -> str:
    """Returns the scene that a locator names, or the locator itself where it names none."""
    place = parse_locator(locator)
    return place.scene if place else locator


def evaluate(
    model: FusionRSCLIPModel,
    processor: Any,
    dataset: str,
    split: str = "test",
    texts: bool = True,
    fusion_weight: float | None = None,
    ir_origin: str | None = "sensor",
    encoder: Encoder | None = None,
) -> dict[str, SubsetScores]:
    """Scores a model on a dataset's evaluation representatives.

    Args:
        model, processor: The CLIP.
        dataset, split, ir_origin: See `held_out`.
        texts: Also the directions with captions.
        fusion_weight: Of infrared in the fused mean; None: as the model fuses.
        encoder: Of the same model, to keep what it remembers.

    Returns:
        Scores by subset.
    """
    encoder, results = encoder or Encoder.for_scores(model, processor), {}
    for name, rows in held_out(dataset, split, ir_origin).items():
        results[name] = score_rows(encoder, rows, texts, fusion_weight)
        logger.info("%s: %d queries, RGB to IR R@1 %.3f", name, len(rows), results[name].scores["rgb_to_ir"]["R@1"])
    return results


def score_rows(
    encoder: Encoder, rows: Dataset, texts: bool = True, fusion_weight: float | None = None
) -> SubsetScores:
    """Scores rows of one band among themselves; arguments as of `evaluate`."""
    part = embed_rows(encoder, rows, texts)
    ranks = image_ranks(part) | hard_ranks(encoder, rows, part)
    if not part.texts:
        return SubsetScores.of_ranks(ranks)
    part.images["fused"] = encoder.fuse(part.images["rgb"], part.images["ir"], fusion_weight)
    ranks |= text_ranks(part, MODALITIES)
    fused = {direction: values for direction, values in ranks.items() if "fused" in direction}
    return replace(
        SubsetScores.of_ranks({direction: values for direction, values in ranks.items() if direction not in fused}),
        fused=DirectionScores.of_ranks(fused),
        mean_recall=mean_recalls(part, ranks),
        missing_modality=missing_modality(ranks, list(part.texts)),
    )


def evaluate_pretrained(
    config: FusionRSCLIPConfig, processor: Any, towers: Mapping[str, Any], dataset: str
) -> dict[str, DirectionScores]:
    """Control (a): image-image ranks of the towers as loaded, by their pooled features, no projection.

    Args:
        config: Of the trained model: pooling and grid are the same.
        processor: Of the trained model.
        towers: `vision_tower` and `text_tower`, folders or Hub ids, as they were before training.
        dataset: Folder or Hub id; features are standardised by its training split.

    Returns:
        Scores by subset, image directions only; of raw and standardised features those with the higher R@1.
    """
    options = {name: getattr(config, name) for name in ("vision_pooling", "text_pooling", "grid_size")}
    model = FusionRSCLIPModel.from_towers(towers["vision_tower"], towers["text_tower"], feature_norm=True, **options)
    fit_clip_norm(model, load_pairs(dataset, "train"), PairCollator(processor))
    encoder, results = Encoder.for_scores(model, processor, pooled=True), {}
    for name, rows in held_out(dataset, "test").items():
        tried = []
        for encoder.standardise in (False, True):
            tried.append(score_images(encoder, rows))
        results[name] = DirectionScores.of_ranks(max(tried, key=lambda ranks: (ranks["rgb_to_ir"] < 1).mean()))
    return results


def choose_weight(encoder: Encoder, dataset: str, stated: float | None, ir_origin: str | None) -> FusionChoice:
    """Returns what `choose_fusion_weight` finds on the validation representatives, or a stated weight as it is."""
    if stated is not None:
        if not 0 <= stated <= 1:
            raise InputError(f"--fusion_weight must lie in [0, 1], got {stated}")
        return FusionChoice(stated, None, "command line")
    rows = load_pairs(dataset, "validation", ir_origin, representatives=True)
    return choose_fusion_weight(encoder, embed_rows(encoder, rows))


def whole_split(
    encoder: Encoder, dataset: str, split: str, weight: float | None, ir_origin: str | None
) -> EmbeddedRows:
    """Embeds all held-out rows of a split together, pairs fused by this weight."""
    part = embed_rows(encoder, load_pairs(dataset, split, ir_origin, representatives=True))
    part.images["fused"] = encoder.fuse(part.images["rgb"], part.images["ir"], weight)
    return part


def make_parser() -> argparse.ArgumentParser:
    """Builds the parser."""
    parser = Arguments(prog="fusionrs eval clip", description=__doc__.splitlines()[0])
    parser.add_argument("--model", required=True, help="folder or Hub id of a FusionRS-CLIP")
    parser.add_argument("--dataset", required=True, help="folder or Hub id of the dataset")
    parser.add_argument("--split", default="test")
    parser.add_argument("--ir_origin", choices=IR_ORIGINS, default="sensor", help="which infrared is scored")
    parser.add_argument("--fusion_weight", type=number(0, 1), help="of infrared (default: by the validation split)")
    parser.add_argument("--vision_tower", help="with --text_tower: also score these towers as loaded, control (a)")
    parser.add_argument("--text_tower")
    parser.add_argument("--output", type=path, required=True, help="metrics.json to write")
    return parser


def main(argv: Sequence[str] | None = None) -> None:
    """Scores a saved model, and the towers it started from where they are named; writes the metrics."""
    arguments = make_parser().parse_args(sys.argv[1:] if argv is None else argv)
    logging.basicConfig(level=logging.INFO, format="%(message)s")
    ir_origin = IR_ORIGINS[arguments.ir_origin]
    with holding(arguments.model, arguments.dataset, arguments.vision_tower, arguments.text_tower):
        model, processor = load_clip(arguments.model)
        processor.ir_range = processor.ir_range or declared_ir_range(arguments.dataset) or None
        encoder = Encoder.for_scores(model, processor)
        fusion = choose_weight(encoder, arguments.dataset, arguments.fusion_weight, ir_origin)
        scored = (arguments.dataset, arguments.split)
        trained = evaluate(model, processor, *scored, True, fusion.weight, ir_origin, encoder)
        part = whole_split(encoder, *scored, fusion.weight, ir_origin)
        results = ClipResults(trained, fusion, tables_by(part, by_source=False), tables_by(part, by_source=True))
        if arguments.vision_tower and arguments.text_tower:
            towers = {"vision_tower": arguments.vision_tower, "text_tower": arguments.text_tower}
            pretrained = evaluate_pretrained(model.config, processor, towers, arguments.dataset)
            results = replace(results, pretrained=pretrained)
    for name, table in results.by_band.items():
        for kind, (value, low, high) in table.mean_recall.items():
            logger.info("%s, %s: mean recall %.1f [%.1f, %.1f]", name, kind, 100 * value, 100 * low, 100 * high)
    with adding(arguments.output):
        results.save(arguments.output)


if __name__ == "__main__":
    main()
