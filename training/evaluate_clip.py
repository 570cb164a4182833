"""Scores a dual-modal CLIP on held-out rows: all directions within each infrared band, hard gallery, control (a).

    fusionrs eval clip --model runs/clip --dataset runs/dataset --output runs/clip/metrics.json

Any subset of splits will do, with captions or without; what was held out is told by what the model was trained on.
"""

import argparse
import logging
import sys
from collections.abc import Mapping, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
from datasets import Dataset
from scipy import sparse

from dataset_builder.shards.limits import declared_ir_range, parse_limits, reading_limits
from fusionrs_hf.arguments import Arguments, file_to_write, number
from fusionrs_hf.configuration_fusionrs_clip import FusionRSCLIPConfig
from fusionrs_hf.encoders import Encoder, load_clip
from fusionrs_hf.errors import InputError
from fusionrs_hf.modeling_fusionrs_clip import FusionRSCLIPModel
from training.clip_arguments import IR_ORIGIN_SCORED, IR_ORIGINS
from training.data.dataset_contents import chosen_origin, origin_counts, scored_split, split_names
from training.data.held_folders import adding, holding
from training.data.pairs import PairCollator, fit_clip_norm, load_pairs
from training.metrics.cross_modal_recall.cross_modal_recall import equal_id_positives, positive_ranks
from training.release.refresh import refresh_beside
from training.scoring.clip_results import ClipResults, DirectionScores, FusionChoice, SubsetScores
from training.scoring.embedded_rows import EmbeddedRows, embed_rows, image_ranks, text_ranks
from training.scoring.hard_gallery import shifted_crops
from training.scoring.held_out import TrainedOn, held_out, representative_rows, training_log
from training.scoring.recall_tables import (
    MODALITIES,
    chances_of,
    choose_fusion_weight,
    mean_recalls,
    missing_modality,
    tables_by,
)
from training.scoring.score_lines import score_lines

logger = logging.getLogger(__name__)


def hard_ranks(encoder: Encoder, rows: Dataset, part: EmbeddedRows) -> tuple[dict[str, np.ndarray], int]:
    """Returns ranks of the image directions with shifted crops of the tiles in the gallery, and how many crops.

    Empty without neighbours.

    Args:
        encoder: Encodes the crops.
        rows: Of one band.
        part: The same rows embedded.
    """
    positives, ranks, count = equal_id_positives(part.groups, part.groups), {}, 0
    for query, gallery in (("rgb", "ir"), ("ir", "rgb")):
        crops = shifted_crops(rows[gallery][:], rows["source_locator"][:])
        if crops:
            count = len(crops)
            padded = sparse.hstack([positives, sparse.csr_array((len(rows), len(crops)), dtype=bool)], format="csr")
            bands = [part.bands[0]] * len(crops)
            shifted = encoder.ir(crops, bands) if gallery == "ir" else encoder.rgb(crops)
            items = np.concatenate([part.images[gallery], shifted])
            ranks[f"{query}_to_{gallery}_hard"] = positive_ranks(part.images[query], items, padded)
    return ranks, count


def score_images(encoder: Encoder, rows: Dataset) -> dict[str, np.ndarray]:
    """Returns ranks `(rows,)` of RGB -> infrared and back among rows of one band, plain and with hard distractors."""
    part = embed_rows(encoder, rows, texts=False)
    return image_ranks(part) | hard_ranks(encoder, rows, part)[0]


def score_texts(encoder: Encoder, rows: Dataset) -> dict[str, np.ndarray]:
    """Returns ranks of the four image-text directions for each kind of text, keyed `rgb_to_text/scene` and so on."""
    return text_ranks(embed_rows(encoder, rows))


def evaluate(
    model: FusionRSCLIPModel,
    processor: Any,
    dataset: str,
    split: str = "test",
    texts: bool = True,
    fusion_weight: float | None = None,
    ir_origin: str | None = "sensor",
    encoder: Encoder | None = None,
    trained_on: TrainedOn | None = None,
) -> dict[str, SubsetScores]:
    """Scores a model on a dataset's evaluation representatives.

    Args:
        model, processor: The CLIP.
        dataset, split, ir_origin, trained_on: See `held_out`.
        texts: Also the directions with captions, where there are some.
        fusion_weight: Of infrared in the fused mean; None: as the model fuses.
        encoder: Of the same model, to keep what it remembers.

    Returns:
        Scores by subset.
    """
    encoder = encoder or Encoder.for_scores(model, processor)
    parts = held_out(dataset, split, ir_origin, trained_on)
    return {name: score_rows(encoder, rows, texts, fusion_weight) for name, rows in parts.items()}


def score_rows(
    encoder: Encoder, rows: Dataset, texts: bool = True, fusion_weight: float | None = None
) -> SubsetScores:
    """Scores rows of one band among themselves; arguments as of `evaluate`."""
    part = embed_rows(encoder, rows, texts)
    hard, crops = hard_ranks(encoder, rows, part)
    ranks = image_ranks(part) | hard
    if not part.texts:
        scores = replace(SubsetScores.of_ranks(ranks), chance=chances_of(part, ranks, crops))
        return replace(scores, mean_recall=mean_recalls(part, ranks)) if texts else scores
    part.images["fused"] = encoder.fuse(part.images["rgb"], part.images["ir"], fusion_weight)
    ranks |= text_ranks(part, MODALITIES)
    fused = {direction: values for direction, values in ranks.items() if "fused" in direction}
    return replace(
        SubsetScores.of_ranks({direction: values for direction, values in ranks.items() if direction not in fused}),
        fused=DirectionScores.of_ranks(fused),
        mean_recall=mean_recalls(part, ranks),
        missing_modality=missing_modality(ranks, list(part.texts)),
        chance=chances_of(part, ranks, crops),
    )


def evaluate_pretrained(
    config: FusionRSCLIPConfig,
    processor: Any,
    towers: Mapping[str, Any],
    dataset: str,
    split: str = "test",
    ir_origin: str | None = "sensor",
    trained_on: TrainedOn | None = None,
) -> dict[str, DirectionScores]:
    """Control (a): the towers as loaded, by their pooled features, no projection; a CLIP by its own embeddings.

    Args:
        config: Of the trained model: pooling and grid are the same.
        processor: Of the trained model.
        towers: `vision_tower` and `text_tower`, or `clip`, folders or Hub ids, as they were before training.
        dataset, split, ir_origin, trained_on: See `held_out`. Features are standardised by the training split, where
            there is one.

    Returns:
        Scores by subset: of towers image directions only, of raw and standardised features those with the higher R@1.
    """
    parts = held_out(dataset, split, ir_origin, trained_on)
    if "clip" in towers:
        clip, theirs = load_clip(str(towers["clip"]))
        theirs.ir_range = processor.ir_range
        encoder = Encoder.for_scores(clip, theirs)
        return {name: _plain_scores(encoder, rows) for name, rows in parts.items()}
    options = {name: getattr(config, name) for name in ("vision_pooling", "text_pooling", "grid_size")}
    model = FusionRSCLIPModel.from_towers(towers["vision_tower"], towers["text_tower"], feature_norm=True, **options)
    standards = [False]
    if origin_counts(dataset, "train")[ir_origin] or (ir_origin is None and "train" in split_names(dataset)):
        fit_clip_norm(model, load_pairs(dataset, "train", ir_origin), PairCollator(processor, texts_per_row=0))
        standards.append(True)
    encoder, results = Encoder.for_scores(model, processor, pooled=True), {}
    for name, rows in parts.items():
        tried = []
        for encoder.standardise in standards:
            tried.append(score_images(encoder, rows))
        results[name] = DirectionScores.of_ranks(max(tried, key=lambda ranks: (ranks["rgb_to_ir"] < 1).mean()))
    return results


def _plain_scores(encoder: Encoder, rows: Dataset) -> DirectionScores:
    part = embed_rows(encoder, rows)
    return DirectionScores.of_ranks(image_ranks(part) | hard_ranks(encoder, rows, part)[0] | text_ranks(part))


def choose_weight(
    encoder: Encoder, dataset: str, stated: float | None, ir_origin: str | None, scored: str = "test"
) -> FusionChoice:
    """Returns a stated weight as it is, else what `choose_fusion_weight` finds on the validation representatives.

    Where there are none, or they are what is scored, it is the model's own.
    """
    if stated is not None:
        if not 0 <= stated <= 1:
            raise InputError(f"--fusion_weight must lie in [0, 1], got {stated}")
        return FusionChoice(stated, None, "command line")
    counts = origin_counts(dataset, "validation") if "validation" in split_names(dataset) else {}
    if scored == "validation" or not (sum(counts.values()) if ir_origin is None else counts.get(ir_origin)):
        return FusionChoice(None, None, "model")
    return choose_fusion_weight(encoder, embed_rows(encoder, representative_rows(dataset, "validation", ir_origin)))


def whole_split(
    encoder: Encoder, dataset: str, split: str, weight: float | None, ir_origin: str | None
) -> EmbeddedRows:
    """Embeds all held-out rows of a split together, pairs fused by this weight."""
    part = embed_rows(encoder, representative_rows(dataset, split, ir_origin))
    part.images["fused"] = encoder.fuse(part.images["rgb"], part.images["ir"], weight)
    return part


def start_of(log: Mapping[str, Any], vision_tower: str | None, text_tower: str | None) -> dict[str, str]:
    """Returns what a model was as loaded: the towers named, else those of its log if they are here; else nothing."""
    if bool(vision_tower) != bool(text_tower):
        raise InputError("--vision_tower and --text_tower go together, to score both as loaded; give both or neither")
    if vision_tower and text_tower:
        return {"vision_tower": vision_tower, "text_tower": text_tower}
    recipe = log.get("recipe", {})
    named = {name: recipe[name] for name in ("clip", "vision_tower", "text_tower") if recipe.get(name)}
    if named and all(Path(place).is_dir() for place in named.values()):
        return named
    where = f"{' and '.join(named.values())} of its log {'is' if len(named) == 1 else 'are'} not here" if named else ""
    logger.info(
        "the towers as loaded, control (a), are left out (%s); --vision_tower and --text_tower name them",
        where or "the model has no log that names them",
    )
    return {}


def make_parser() -> argparse.ArgumentParser:
    """Builds the parser."""
    parser = Arguments(prog="fusionrs eval clip", description=__doc__.splitlines()[0])
    add = parser.add_argument
    add("--model", required=True, help="folder or Hub id of a FusionRS-CLIP or a plain CLIP")
    add("--dataset", required=True, help="folder or Hub id of the dataset; any subset of splits, captions or none")
    add("--split", help="which split (default: test, else validation, else train)")
    add("--ir_origin", choices=IR_ORIGINS, default="auto", help=IR_ORIGIN_SCORED)
    add(
        "--ir_range",
        action="append",
        default=[],
        metavar="BAND=LOW,HIGH",
        help="limits of a band's infrared above 8 bit (default: the model's, else those the dataset declares)",
    )
    add(
        "--fusion_weight",
        type=number(0, 1),
        help="of infrared (default: chosen on the validation split, else the model's)",
    )
    add(
        "--vision_tower",
        help="with --text_tower: score these towers as loaded, control (a) (default: what the model's log names)",
    )
    add("--text_tower")
    add(
        "--output",
        type=file_to_write,
        help="metrics.json to write, with all that is printed and the rank of each query",
    )
    return parser


def main(argv: Sequence[str] | None = None) -> None:
    """Scores a saved model, and what it started from; prints the scores and writes the metrics."""
    arguments = make_parser().parse_args(sys.argv[1:] if argv is None else argv)
    logging.basicConfig(level=logging.INFO, format="%(message)s")
    log, dataset = training_log(arguments.model), arguments.dataset
    towers = start_of(log, arguments.vision_tower, arguments.text_tower)
    with holding(arguments.model, dataset, *towers.values()):
        split = scored_split(dataset, arguments.split)
        ir_origin = chosen_origin(dataset, arguments.ir_origin, split)
        trained_on = TrainedOn.of_log(log)
        if trained_on is None:
            logger.info("the model does not say which scenes it was trained on: %s's training split counts", dataset)
        model, processor = load_clip(arguments.model)
        asked = dict(map(parse_limits, arguments.ir_range))
        processor.ir_range = reading_limits(asked, processor.ir_range, declared_ir_range(dataset))
        encoder = Encoder.for_scores(model, processor)
        fusion = choose_weight(encoder, dataset, arguments.fusion_weight, ir_origin, split)
        scored = (dataset, split)
        trained = evaluate(model, processor, *scored, True, fusion.weight, ir_origin, encoder, trained_on)
        part = whole_split(encoder, *scored, fusion.weight, ir_origin)
        results = ClipResults(trained, fusion, tables_by(part, by_source=False), tables_by(part, by_source=True))
        if towers:
            controls = evaluate_pretrained(model.config, processor, towers, *scored, ir_origin, trained_on)
            results = replace(results, pretrained=controls)
    sys.stdout.write("\n".join(score_lines(results)) + "\n")
    if arguments.output is not None:
        with adding(arguments.output):
            results.save(arguments.output)
        refresh_beside(arguments.output)


if __name__ == "__main__":
    main()
