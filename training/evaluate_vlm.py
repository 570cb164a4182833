"""Scores a VLM's infrared captions by the facts they state, beside a constant and with the images tampered with.

fusionrs eval vlm --model runs/vlm --dataset runs/dataset --output runs/vlm/metrics.json
"""

import argparse
import dataclasses
import logging
import sys
from collections import Counter
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import torch
from datasets import Dataset
from torch import Tensor
from transformers import AutoModelForImageTextToText, AutoProcessor

import fusionrs_hf.auto  # noqa: F401 - registers the classes
from dataset_builder.claims.grounding import FACT_KINDS, InfraredFacts
from dataset_builder.shards.limits import declared_ir_range, reading_limits
from fusionrs_hf.arguments import Arguments, file_to_write, whole
from fusionrs_hf.errors import InputError
from fusionrs_hf.modeling_fusionrs_vlm import FusionRSVLMForConditionalGeneration
from fusionrs_hf.processing_fusionrs_vlm import FusionRSVLMProcessor
from fusionrs_hf.prompts import FACTS_PROMPT
from fusionrs_hf.weights import check_model, check_source, loading
from training.clip_arguments import IR_ORIGIN_SCORED, IR_ORIGINS
from training.data.dataset_contents import chosen_origin, origin_counts, scored_split
from training.data.fact_texts import fact_values, facts_sentence
from training.data.held_folders import adding, holding
from training.data.pairs import has_split, load_pairs
from training.data.scenes import scene_of
from training.release.refresh import refresh_beside
from training.scoring.answer_choices import Choices, choose_answers, choose_in_sentences
from training.scoring.fact_groups import chosen_values, group_accuracies, match_choices, written_choices
from training.scoring.fact_tables import (
    balanced_sample,
    best_constant,
    constant_matches,
    facts_by_condition,
    match_table,
    measured_facts,
    other_of_band,
    written_values,
)
from training.scoring.generation import encode_pairs, tampered, write_blind, write_under_conditions
from training.scoring.held_out import TrainedOn, representative_rows
from training.scoring.places import Following, place_scores
from training.scoring.vlm_results import CaptionExample, Difference, FactAccuracy, VlmResults
from training.trainers.layer_memory import remember_layers

logger = logging.getLogger(__name__)

ASKED = ("own_images", "ir_shuffled", "rgb_shuffled", "ir_inverted")  # conditions under which questions are answered
IN_SENTENCES = ("own_images", "ir_shuffled")  # and of these, those whose sentences are scored value by value


def evaluate(
    model: FusionRSVLMForConditionalGeneration,
    processor: FusionRSVLMProcessor,
    dataset: str,
    split: str = "test",
    pairs: int = 150,
    prompt: str = FACTS_PROMPT,
    batch_size: int = 50,
    seed: int = 0,
    blind: FusionRSVLMForConditionalGeneration | None = None,
    likelihood: bool = True,
    where: str = "all",
    ir_origin: str | None = "sensor",
) -> VlmResults:
    """Scores what is written of held-out pairs by fact, against constants, a blind model and tampered images.

    Args:
        model, processor: The VLM.
        dataset: Folder or Hub id; without a training split, the constant caption is chosen on the scored rows.
        split: Of which evaluation representatives are drawn.
        pairs: How many, balanced over bands; 0 for all.
        prompt: As in training.
        batch_size: Pairs generated at a time.
        seed: Of the draw and the shuffling.
        blind: The same model as it was before it saw an image, asked without images; None: not scored.
        likelihood: Score the likeliest of all values and answers, too, not only what is written.
        where: `region`: rows of scenes that training saw elsewhere; `scene`: of scenes it did not see; or `all`.
        ir_origin: Of the rows, `sensor` or `translated`; None: both.
    """
    rows = rows_where(representative_rows(dataset, split, ir_origin), dataset, where, ir_origin)
    rows = rows.select(balanced_sample(rows["ir_band"], pairs, seed))
    donors = other_of_band(rows["ir_band"], rows["image_group_id"], seed)
    facts = facts_by_condition(rows, processor, donors)
    own_facts, tiles = facts["own_images"], list(rows["image_group_id"])

    pixels, prompt_ids = encode_pairs(processor, rows, prompt)
    captions = write_under_conditions(model, processor, pixels, prompt_ids, donors, batch_size)
    if blind is not None:
        captions["blind"] = [write_blind(blind, processor, prompt)] * len(rows)
    written = {name: written_values(texts) for name, texts in captions.items()}

    constant = best_constant(training_facts(dataset, ir_origin, processor) or own_facts)
    matches, matches_anew = match_tables(captions, facts, donors, constant)
    own = matches["own_images"]
    answers = likeliest(model, processor, pixels, donors, written, blind) if likelihood else {}
    return VlmResults(
        pairs=len(rows),
        seed=seed,
        prompt=prompt,
        constant_caption=constant,
        accuracy=summarised(matches | matches_anew, rows),
        differences={
            name: Difference.between(own, other, seed, tiles) for name, other in matches.items() if other is not own
        },
        examples=make_examples(rows, captions, own, own_facts, donors),
        tiles=len({*tiles}),
        places={name: place_scores(values, facts.get(name, own_facts)) for name, values in written.items()},
        inversion=Following.of_matches(own, matches_anew["ir_inverted_measured"]),
        groups=group_accuracies({name: written_choices(written[name]) for name in facts}, facts, tiles, seed),
        **(likeliest_scores(answers, facts, rows, seed) if answers else {}),
    )


def training_facts(dataset: str, ir_origin: str | None, processor: FusionRSVLMProcessor) -> list[InfraredFacts]:
    """Returns what is measured of the training rows of an origin; nothing where there are none."""
    counts = origin_counts(dataset, "train") if has_split(dataset, "train") else Counter()
    if not (counts.total() if ir_origin is None else counts[ir_origin]):
        return []
    return measured_facts(load_pairs(dataset, "train", ir_origin), processor)


def match_tables(
    captions: Mapping[str, Sequence[str]],
    facts: Mapping[str, Sequence[InfraredFacts]],
    donors: np.ndarray,
    constant: Mapping[str, str],
) -> tuple[dict[str, np.ndarray], dict[str, np.ndarray]]:
    """Returns which facts captions state as measured, bool `(rows, kinds)` by condition.

    Returns:
        Against the facts of each row's own images, constants among them; and of changed infrared, against what is
        measured on that.
    """
    own = facts["own_images"]
    matches = {name: match_table(texts, own) for name, texts in captions.items()}
    matches["constant"] = constant_matches(constant, own)
    matches["constant_same_rows"] = constant_matches(best_constant(own), own)
    return matches, {
        "ir_shuffled_donor": match_table(captions["ir_shuffled"], [own[donor] for donor in donors]),
        "ir_inverted_measured": match_table(captions["ir_inverted"], facts["ir_inverted"]),
    }


def summarised(tables: Mapping[str, np.ndarray], rows: Dataset) -> dict[str, FactAccuracy]:
    """Returns the accuracy of match tables, bool `(rows, kinds)`, by condition."""
    bands, sources = np.asarray(rows["ir_band"]), np.asarray(rows["source_dataset"])
    tiles = list(rows["image_group_id"])
    return {name: FactAccuracy.of_matches(table, bands, sources, tiles) for name, table in tables.items()}


def likeliest_scores(
    answers: Mapping[str, Mapping[str, Choices]],
    facts: Mapping[str, Sequence[InfraredFacts]],
    rows: Dataset,
    seed: int,
) -> dict[str, Any]:
    """Returns the fields of `VlmResults` that are of `likeliest`."""
    own = facts["own_images"]
    sentences, questions = answers["likelihood"], answers["questions"]
    return {
        "likelihood": summarised({name: match_choices(chosen, own) for name, chosen in sentences.items()}, rows),
        "likelihood_places": {
            name: place_scores(chosen_values(chosen), facts.get(name, own)) for name, chosen in sentences.items()
        },
        "questions": summarised({name: match_choices(chosen, own) for name, chosen in questions.items()}, rows),
        "question_groups": group_accuracies(questions, facts, rows["image_group_id"], seed),
    }


def rows_where(rows: Dataset, dataset: str, where: str, ir_origin: str | None) -> Dataset:
    """Returns the rows of scenes that the training split has (`region`), or has not (`scene`), or `all`.

    Raises:
        InputError: There is none.
    """
    if where == "all":
        return rows
    seen = TrainedOn.of_dataset(dataset, ir_origin).scenes
    kept = [
        index
        for index, locator in enumerate(rows["source_locator"])
        if (scene_of(locator) in seen) == (where == "region")
    ]
    if not kept:
        raise InputError(f"{dataset} has no held-out rows of {'seen' if where == 'region' else 'unseen'} scenes")
    return rows.select(kept)


def likeliest(
    model: FusionRSVLMForConditionalGeneration,
    processor: FusionRSVLMProcessor,
    pixels: Tensor,
    donors: np.ndarray,
    written: Mapping[str, list[dict[str, str | None]]],
    blind: FusionRSVLMForConditionalGeneration | None,
) -> dict[str, dict[str, Choices]]:
    """Returns the likeliest values in sentences (`likelihood`) and answers to questions (`questions`), by condition.

    Args:
        model, processor, pixels, donors: As of `write_under_conditions`.
        written: Values in what was written, by condition, `blind` among them.
        blind: As of `evaluate`.
    """
    answers: dict[str, dict[str, Choices]] = {"likelihood": {}, "questions": {}}
    with remember_layers(model.model.vision_tower):
        for name in ASKED:
            shown = tampered(pixels, donors, name, processor)
            answers["questions"][name] = choose_answers(model, processor, shown)
            if name in IN_SENTENCES:
                answers["likelihood"][name] = choose_in_sentences(model, processor, shown, written[name])
    if blind is not None:
        alone = {
            "questions": choose_answers(blind, processor, None),
            "likelihood": choose_in_sentences(blind, processor, None, written["blind"][:1]),
        }
        for way, chosen in alone.items():
            answers[way]["blind"] = {kind: np.repeat(place, len(pixels)) for kind, place in chosen.items()}
    return answers


def make_examples(
    rows: Dataset,
    captions: Mapping[str, Sequence[str]],
    matches: np.ndarray,
    facts: Sequence[InfraredFacts],
    donors: np.ndarray,
) -> list[CaptionExample]:
    """Puts each scored pair's captions beside its reference and facts; all arguments row by row."""
    return [
        CaptionExample(
            sample_id=row["sample_id"],
            ir_band=row["ir_band"],
            reference=facts_sentence(fact_values(facts[index])),
            captions={name: texts[index] for name, texts in captions.items()},
            matches=dict(zip(FACT_KINDS, matches[index].tolist())),
            facts=dataclasses.asdict(facts[index]),
            donor=rows[int(donors[index])]["sample_id"],
        )
        for index, row in enumerate(rows.remove_columns(["rgb", "ir"]))
    ]


def load_vlm(name: str) -> tuple[FusionRSVLMForConditionalGeneration, FusionRSVLMProcessor]:
    """Loads a two-image VLM and its processor; raises InputError where they are broken, or not there."""
    check_source(name)
    with loading(name, "a two-image VLM"):
        model, processor = AutoModelForImageTextToText.from_pretrained(name), AutoProcessor.from_pretrained(name)
    check_model(model, name)
    return model, processor


def make_parser() -> argparse.ArgumentParser:
    """Builds the parser."""
    parser = Arguments(prog="fusionrs eval vlm", description=__doc__.splitlines()[0])
    parser.add_argument("--model", required=True, help="folder or Hub id of a FusionRS-VLM")
    parser.add_argument("--dataset", required=True, help="folder or Hub id of the dataset")
    parser.add_argument("--split", help="which split (default: test, else validation, else train)")
    parser.add_argument("--ir_origin", choices=IR_ORIGINS, default="auto", help=IR_ORIGIN_SCORED)
    parser.add_argument("--pairs", type=whole(), default=150, help="held-out pairs, balanced over bands; 0: all")
    parser.add_argument("--prompt", default=FACTS_PROMPT, help="one that it was trained to answer")
    parser.add_argument("--batch_size", type=whole(1, 100_000), default=50)
    parser.add_argument("--seed", type=whole(0, 2**32 - 1), default=0)
    parser.add_argument("--where", choices=("all", "region", "scene"), default="all", help="scenes that training saw")
    parser.add_argument("--blind", help="the model before it saw an image; default: MODEL/base where that is")
    parser.add_argument("--no-likelihood", dest="likelihood", action="store_false", help="score what is written alone")
    parser.add_argument(
        "--bf16", action="store_true", help="multiply in bfloat16: three times as fast where it is fast"
    )
    parser.add_argument("--output", type=file_to_write, help="metrics.json to write")
    return parser


def main(argv: Sequence[str] | None = None) -> VlmResults:
    """Scores a saved model; writes and returns the metrics."""
    options = vars(make_parser().parse_args(sys.argv[1:] if argv is None else argv))
    name, blind, output, bf16 = (options.pop(key) for key in ("model", "blind", "output", "bf16"))
    if blind is None and (Path(name) / "base" / "config.json").is_file():
        blind = str(Path(name) / "base")
    with holding(name, options["dataset"]):
        dataset, split = options["dataset"], scored_split(options["dataset"], options["split"])
        options |= {"split": split, "ir_origin": chosen_origin(dataset, options["ir_origin"], split)}
        model, processor = load_vlm(name)
        processor.ir_range = reading_limits({}, processor.ir_range, declared_ir_range(dataset))
        before = load_vlm(blind)[0] if blind else None
        with torch.autocast(model.device.type, torch.bfloat16, enabled=bf16):
            results = evaluate(model, processor, blind=before, **options)
    for condition, scores in results.accuracy.items():
        logger.info("%s: mean fact accuracy %.3f", condition, scores.mean)
    if output:
        with adding(output):
            results.save(output)
        refresh_beside(output)
    return results


if __name__ == "__main__":
    main()
