"""Scores a VLM's infrared captions by the facts they state, beside a constant and with the images tampered with.

fusionrs eval vlm --model runs/vlm --dataset runs/dataset --output runs/vlm/metrics.json
"""

import dataclasses
import logging
import sys
from collections.abc import Mapping, Sequence

import numpy as np
from datasets import Dataset
from transformers import AutoModelForImageTextToText, AutoProcessor

import fusionrs_hf.auto  # noqa: F401 - registers the classes
from dataset_builder.claims.grounding import FACT_KINDS, InfraredFacts
from fusionrs_hf.arguments import Arguments, path, whole
from fusionrs_hf.modeling_fusionrs_vlm import FusionRSVLMForConditionalGeneration
from fusionrs_hf.processing_fusionrs_vlm import FusionRSVLMProcessor
from fusionrs_hf.prompts import PROMPT
from fusionrs_hf.weights import check_model, loading
from training.data.held_folders import adding, holding
from training.data.pairs import load_pairs
from training.scoring.fact_tables import (
    balanced_sample,
    best_constant,
    constant_matches,
    match_table,
    measured_facts,
    other_of_band,
)
from training.scoring.generation import encode_pairs, write_under_conditions
from training.scoring.vlm_results import CaptionExample, Difference, FactAccuracy, VlmResults

logger = logging.getLogger(__name__)


def evaluate(
    model: FusionRSVLMForConditionalGeneration,
    processor: FusionRSVLMProcessor,
    dataset: str,
    split: str = "test",
    pairs: int = 150,
    prompt: str = PROMPT,
    batch_size: int = 50,
    seed: int = 0,
) -> VlmResults:
    """Scores captions of held-out pairs by fact, against a constant caption and three controls.

    Args:
        model, processor: The VLM.
        dataset: Folder or Hub id.
        split: Held-out split; its evaluation representatives with sensor infrared are drawn from.
        pairs: How many, balanced over bands; 0 for all.
        prompt: As in training.
        batch_size: Pairs generated at a time.
        seed: Of the draw and the shuffling.
    """
    rows = load_pairs(dataset, split, representatives=True)
    rows = rows.select(balanced_sample(rows["ir_band"], pairs, seed))
    bands, facts = np.asarray(rows["ir_band"]), measured_facts(rows, processor)
    donors = other_of_band(rows["ir_band"], rows["image_group_id"], seed)
    pixels, prompt_ids = encode_pairs(processor, rows, prompt)
    captions = write_under_conditions(model, processor, pixels, prompt_ids, donors, batch_size)
    matches = {name: match_table(texts, facts) for name, texts in captions.items()}
    constant = best_constant(measured_facts(load_pairs(dataset, "train"), processor))
    matches["constant"] = constant_matches(constant, facts)
    donor_matches = match_table(captions["ir_shuffled"], [facts[donor] for donor in donors])
    own_images = matches["own_images"]
    return VlmResults(
        pairs=len(rows),
        seed=seed,
        prompt=prompt,
        constant_caption=constant,
        accuracy={
            name: FactAccuracy.of_matches(table, bands)
            for name, table in {**matches, "ir_shuffled_donor": donor_matches}.items()
        },
        differences={
            name: Difference.between(own_images, table, seed)
            for name, table in matches.items()
            if table is not own_images
        },
        examples=make_examples(rows, captions, own_images, facts, donors),
    )


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
            reference=row["ir_captions"][0] if row["ir_captions"] else None,
            captions={name: texts[index] for name, texts in captions.items()},
            matches=dict(zip(FACT_KINDS, matches[index].tolist())),
            facts=dataclasses.asdict(facts[index]),
            donor=rows[int(donors[index])]["sample_id"],
        )
        for index, row in enumerate(rows.remove_columns(["rgb", "ir"]))
    ]


def main(argv: Sequence[str] | None = None) -> VlmResults:
    """Scores a saved model; writes and returns the metrics."""
    parser = Arguments(prog="fusionrs eval vlm", description=__doc__.splitlines()[0])
    parser.add_argument("--model", required=True, help="folder or Hub id of a FusionRS-VLM")
    parser.add_argument("--dataset", required=True, help="folder or Hub id of the dataset")
    parser.add_argument("--split", default="test")
    parser.add_argument("--pairs", type=whole(), default=150, help="held-out pairs, balanced over bands; 0: all")
    parser.add_argument("--prompt", default=PROMPT, help="as in training")
    parser.add_argument("--batch_size", type=whole(1, 100_000), default=50)
    parser.add_argument("--seed", type=whole(0, 2**32 - 1), default=0)
    parser.add_argument("--output", type=path, help="metrics.json to write")
    options = vars(parser.parse_args(sys.argv[1:] if argv is None else argv))
    name, output = options.pop("model"), options.pop("output")
    with holding(name, options["dataset"]):
        with loading(name, "a two-image VLM"):
            model, processor = AutoModelForImageTextToText.from_pretrained(name), AutoProcessor.from_pretrained(name)
        check_model(model, name)
        results = evaluate(model, processor, **options)
    for condition, scores in results.accuracy.items():
        logger.info("%s: mean fact accuracy %.3f", condition, scores.mean)
    if output:
        with adding(output):
            results.save(output)
    return results


if __name__ == "__main__":
    main()
