"""Scores a VLM's infrared captions by the facts they state, beside a constant and with the images tampered with.

fusionrs eval vlm --model runs/vlm --dataset runs/dataset --output runs/vlm/metrics.json
"""

import argparse
import dataclasses
import json
import logging
import sys
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
import torch
from transformers import AutoModelForImageTextToText, AutoProcessor

import fusionrs_hf.auto  # noqa: F401 - registers the classes
from dataset_builder.claims.grounding import FACT_KINDS
from fusionrs_hf.modeling_fusionrs_vlm import FusionRSVLMForConditionalGeneration
from fusionrs_hf.processing_fusionrs_vlm import FusionRSVLMProcessor
from training.data.pairs import load_pairs
from training.scoring.fact_tables import (
    balanced_sample,
    best_constant,
    match_table,
    measured_facts,
    other_of_band,
    summary,
)
from training.scoring.generation import CONDITIONS, tampered, write_captions
from training.scoring.significance import paired_bootstrap
from training.trainers.frozen import remember_layers
from training.vlm_arguments import PROMPT

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
) -> dict[str, Any]:
    """Scores captions of held-out pairs by fact, against a constant caption and three controls.

    Args:
        model, processor: The VLM.
        dataset: Folder or Hub id.
        split: Held-out split; its evaluation representatives with sensor infrared are drawn from.
        pairs: How many, balanced over bands; 0 for all.
        prompt: As in training.
        batch_size: Pairs generated at a time.
        seed: Of the draw and the shuffling.

    Returns:
        `accuracy` by condition, of each kind of fact and their mean; `differences` of the mean to each control with a
        95 % paired bootstrap over pairs; `examples`: captions beside reference and facts. `ir_shuffled_donor` scores
        the captions written with another tile's infrared against that tile's own facts.
    """
    rows = load_pairs(dataset, split, representatives=True)
    rows = rows.select(balanced_sample(rows["ir_band"], pairs, seed))
    bands, facts = np.asarray(rows["ir_band"]), measured_facts(rows, processor)
    donors = other_of_band(rows["ir_band"], rows["image_group_id"], seed)
    content = [{"type": "image"}, {"type": "image"}, {"type": "text", "text": prompt}]
    text = processor.apply_chat_template([{"role": "user", "content": content}], add_generation_prompt=True)
    inputs = [processor(images=[row["rgb"], row["ir"]], text=text, return_tensors="pt") for row in rows]
    pixels = torch.stack([part["pixel_values"] for part in inputs])  # (rows, 2, 3, height, width)

    model.eval()
    with remember_layers(model.model.vision_tower):
        captions = {
            name: write_captions(
                model, processor, tampered(pixels, donors, name), inputs[0]["input_ids"], batch_size, name
            )
            for name in CONDITIONS
        }
    matches = {name: match_table(texts, facts) for name, texts in captions.items()}
    constant = best_constant(measured_facts(load_pairs(dataset, "train"), processor))
    matches["constant"] = np.array([[getattr(fact, kind) == constant[kind] for kind in FACT_KINDS] for fact in facts])
    own = matches["own_images"].mean(1)  # (rows,)
    donor_matches = match_table(captions["ir_shuffled"], [facts[donor] for donor in donors])
    return {
        "pairs": len(rows),
        "seed": seed,
        "prompt": prompt,
        "constant_caption": constant,
        "accuracy": {
            **{name: summary(table, bands) for name, table in matches.items()},
            "ir_shuffled_donor": summary(donor_matches, bands),
        },
        "differences": {
            name: paired_bootstrap(own, table.mean(1), seed=seed)._asdict()
            for name, table in matches.items()
            if name != "own_images"
        },
        "examples": [
            {
                "sample_id": row["sample_id"],
                "ir_band": row["ir_band"],
                "reference": row["ir_captions"][0] if row["ir_captions"] else None,
                "captions": {name: texts[index] for name, texts in captions.items()},
                "matches": dict(zip(FACT_KINDS, matches["own_images"][index].tolist())),
                "facts": dataclasses.asdict(facts[index]),
                "donor": rows[int(donors[index])]["sample_id"],
            }
            for index, row in enumerate(rows.remove_columns(["rgb", "ir"]))
        ],
    }


def main(argv: Sequence[str] | None = None) -> dict[str, Any]:
    """Scores a saved model; writes and returns the metrics."""
    parser = argparse.ArgumentParser(prog="fusionrs eval vlm", description=__doc__.splitlines()[0])
    parser.add_argument("--model", required=True, help="folder or Hub id of a FusionRS-VLM")
    parser.add_argument("--dataset", required=True, help="folder or Hub id of the dataset")
    parser.add_argument("--split", default="test")
    parser.add_argument("--pairs", type=int, default=150, help="held-out pairs, balanced over bands; 0: all")
    parser.add_argument("--prompt", default=PROMPT, help="as in training")
    parser.add_argument("--batch_size", type=int, default=50)
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--output", type=Path, help="metrics.json to write")
    options = vars(parser.parse_args(sys.argv[1:] if argv is None else argv))
    name, output = options.pop("model"), options.pop("output")
    model, processor = AutoModelForImageTextToText.from_pretrained(name), AutoProcessor.from_pretrained(name)
    results = evaluate(model, processor, **options)
    for condition, scores in results["accuracy"].items():
        logger.info("%s: mean fact accuracy %.3f", condition, scores["mean"])
    if output:
        output.write_text(json.dumps(results, indent=1))
    return results


if __name__ == "__main__":
    main()
