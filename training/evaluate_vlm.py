"""Scores a VLM's infrared captions by the facts they state, beside a constant and with the images tampered with.

fusionrs eval vlm --model runs/vlm --dataset runs/dataset --output runs/vlm/metrics.json
"""

import argparse
import dataclasses
import logging
import sys
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np
from datasets import Dataset
from torch import Tensor
from transformers import AutoModelForImageTextToText, AutoProcessor

import fusionrs_hf.auto  # noqa: F401 - registers the classes
from dataset_builder.claims.grounding import FACT_KINDS, InfraredFacts
from fusionrs_hf.errors import InputError
from fusionrs_hf.modeling_fusionrs_vlm import FusionRSVLMForConditionalGeneration
from fusionrs_hf.processing_fusionrs_vlm import FusionRSVLMProcessor
from fusionrs_hf.prompts import FACTS_PROMPT
from training.data.fact_texts import PLACES, VALUES, fact_values, facts_sentence
from training.data.held_folders import adding, holding
from training.data.pairs import has_split, load_pairs
from training.evaluate_clip import scene_of
from training.scoring.answer_choices import choose_answers
from training.scoring.fact_groups import group_accuracies, match_choices
from training.scoring.fact_tables import (
    balanced_sample,
    best_constant,
    constant_matches,
    facts_by_condition,
    match_table,
    measured_facts,
    other_of_band,
)
from training.scoring.generation import encode_pairs, tampered, write_blind, write_under_conditions
from training.scoring.places import Following, named_cells, place_scores
from training.scoring.vlm_results import CaptionExample, Difference, FactAccuracy, VlmResults
from training.trainers.layer_memory import remember_layers

logger = logging.getLogger(__name__)

ASKED = ("own_images", "ir_shuffled", "rgb_shuffled", "ir_inverted")  # conditions under which questions are answered


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
) -> VlmResults:
    """Scores what is written of held-out pairs by fact, against constants, a blind model and tampered images.

    Args:
        model, processor: The VLM.
        dataset: Folder or Hub id; without a training split, the constant caption is chosen on the scored rows.
        split: Held-out split; its evaluation representatives with sensor infrared are drawn from.
        pairs: How many, balanced over bands; 0 for all.
        prompt: As in training.
        batch_size: Pairs generated at a time.
        seed: Of the draw and the shuffling.
        blind: The same model as it was before it saw an image, asked without images; None: not scored.
        likelihood: Score the likeliest of all answers to questions about single facts, too, and groups by them.
        where: `region`: rows of scenes that training saw elsewhere; `scene`: of scenes it did not see; or `all`.
    """
    rows = rows_where(load_pairs(dataset, split, representatives=True), dataset, where)
    rows = rows.select(balanced_sample(rows["ir_band"], pairs, seed))
    donors = other_of_band(rows["ir_band"], rows["image_group_id"], seed)
    facts = facts_by_condition(rows, processor, donors)
    own_facts, tiles = facts["own_images"], list(rows["image_group_id"])

    # Captions
    pixels, prompt_ids = encode_pairs(processor, rows, prompt)
    captions = write_under_conditions(model, processor, pixels, prompt_ids, donors, batch_size)
    if blind is not None:
        captions["blind"] = [write_blind(blind, processor, prompt)] * len(rows)
    matches = {name: match_table(texts, own_facts) for name, texts in captions.items()}
    training_facts = measured_facts(load_pairs(dataset, "train"), processor) if has_split(dataset, "train") else None
    constants = {
        "constant": best_constant(training_facts or own_facts),
        "constant_same_rows": best_constant(own_facts),
    }
    matches |= {name: constant_matches(constant, own_facts) for name, constant in constants.items()}
    measured_anew = {
        "ir_shuffled_donor": match_table(captions["ir_shuffled"], [own_facts[donor] for donor in donors]),
        "ir_inverted_measured": match_table(captions["ir_inverted"], facts["ir_inverted"]),
    }
    columns = [FACT_KINDS.index(kind) for kind in PLACES]
    cells = {name: {kind: named_cells(texts, kind) for kind in PLACES} for name, texts in captions.items()}

    # Answers
    answered = answer_questions(model, processor, pixels, donors, facts, rows, blind, seed) if likelihood else {}

    def summarised(tables: Mapping[str, np.ndarray]) -> dict[str, FactAccuracy]:
        bands, sources = np.asarray(rows["ir_band"]), np.asarray(rows["source_dataset"])
        return {name: FactAccuracy.of_matches(table, bands, sources, tiles) for name, table in tables.items()}

    own = matches["own_images"]
    return VlmResults(
        pairs=len(rows),
        seed=seed,
        prompt=prompt,
        constant_caption=constants["constant"],
        accuracy=summarised({**matches, **measured_anew}),
        differences={
            name: Difference.between(own, table, seed, tiles) for name, table in matches.items() if table is not own
        },
        examples=make_examples(rows, captions, own, own_facts, donors),
        tiles=len({*tiles}),
        places={name: place_scores(named, facts.get(name, own_facts)) for name, named in cells.items()},
        inversion=Following.of_matches(own[:, columns], measured_anew["ir_inverted_measured"][:, columns]),
        **({**answered, "likelihood": summarised(answered["likelihood"])} if answered else {}),
    )


def rows_where(rows: Dataset, dataset: str, where: str) -> Dataset:
    """Returns the rows of scenes that the training split has (`region`), or has not (`scene`), or `all`.

    Raises:
        InputError: There is none.
    """
    if where == "all":
        return rows
    seen = {scene_of(locator) for locator in load_pairs(dataset, "train")["source_locator"]}
    kept = [
        index
        for index, locator in enumerate(rows["source_locator"])
        if (scene_of(locator) in seen) == (where == "region")
    ]
    if not kept:
        raise InputError(f"{dataset} has no held-out rows of {'seen' if where == 'region' else 'unseen'} scenes")
    return rows.select(kept)


def answer_questions(
    model: FusionRSVLMForConditionalGeneration,
    processor: FusionRSVLMProcessor,
    pixels: Tensor,
    donors: np.ndarray,
    facts: Mapping[str, Sequence[InfraredFacts]],
    rows: Dataset,
    blind: FusionRSVLMForConditionalGeneration | None,
    seed: int,
) -> dict[str, Any]:
    """Returns the fields of `VlmResults` that are of likeliest answers; `likelihood` still as match tables."""
    with remember_layers(model.model.vision_tower):
        choices = {name: choose_answers(model, processor, tampered(pixels, donors, name, processor)) for name in ASKED}
    own = facts["own_images"]
    groups = group_accuracies(choices, facts, rows["image_group_id"], seed)
    if blind is not None:
        choices["blind"] = {
            kind: np.repeat(chosen, len(rows)) for kind, chosen in choose_answers(blind, processor, None).items()
        }
    named = {
        name: {kind: [VALUES[kind][place] for place in chosen[kind]] for kind in PLACES}
        for name, chosen in choices.items()
    }
    return {
        "likelihood": {name: match_choices(chosen, own) for name, chosen in choices.items()},
        "likelihood_places": {name: place_scores(cells, facts.get(name, own)) for name, cells in named.items()},
        "groups": groups,
    }


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


def main(argv: Sequence[str] | None = None) -> VlmResults:
    """Scores a saved model; writes and returns the metrics."""
    parser = argparse.ArgumentParser(prog="fusionrs eval vlm", description=__doc__.splitlines()[0])
    parser.add_argument("--model", required=True, help="folder or Hub id of a FusionRS-VLM")
    parser.add_argument("--dataset", required=True, help="folder or Hub id of the dataset")
    parser.add_argument("--split", default="test")
    parser.add_argument("--pairs", type=int, default=150, help="held-out pairs, balanced over bands; 0: all")
    parser.add_argument("--prompt", default=FACTS_PROMPT, help="one that it was trained to answer")
    parser.add_argument("--batch_size", type=int, default=50)
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--where", choices=("all", "region", "scene"), default="all", help="scenes that training saw")
    parser.add_argument("--blind", help="the model before it saw an image; default: MODEL/base where that is")
    parser.add_argument("--no-likelihood", dest="likelihood", action="store_false", help="score what is written alone")
    parser.add_argument("--output", type=Path, help="metrics.json to write")
    options = vars(parser.parse_args(sys.argv[1:] if argv is None else argv))
    name, blind, output = options.pop("model"), options.pop("blind"), options.pop("output")
    if blind is None and (Path(name) / "base" / "config.json").is_file():
        blind = str(Path(name) / "base")
    with holding(name, options["dataset"]):
        model, processor = AutoModelForImageTextToText.from_pretrained(name), AutoProcessor.from_pretrained(name)
        before = AutoModelForImageTextToText.from_pretrained(blind) if blind else None
        results = evaluate(model, processor, blind=before, **options)
    for condition, scores in results.accuracy.items():
        logger.info("%s: mean fact accuracy %.3f", condition, scores.mean)
    if output:
        with adding(output):
            results.save(output)
    return results


if __name__ == "__main__":
    main()
