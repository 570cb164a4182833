"""Scores a VLM's infrared captions by the facts they state, beside a constant and with the images tampered with.

fusionrs eval vlm --model runs/vlm --dataset runs/dataset --output runs/vlm/metrics.json
"""

import argparse
import dataclasses
import json
import logging
import math
import sys
from collections import Counter
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
import torch
from datasets import Dataset
from torch import Tensor
from tqdm.auto import tqdm
from transformers import AutoModelForImageTextToText, AutoProcessor

import fusionrs_hf.auto  # noqa: F401 - registers the classes
from dataset_builder.claims.grounding import FACT_KINDS, InfraredFacts, measure
from dataset_builder.claims.judge import fact_matches
from fusionrs_hf.modeling_fusionrs_vlm import FusionRSVLMForConditionalGeneration
from fusionrs_hf.processing_fusionrs_images import check_infrared
from fusionrs_hf.processing_fusionrs_vlm import FusionRSVLMProcessor
from training.frozen import remember_layers
from training.pairs import load_pairs
from training.significance import bootstrap_mean, paired_bootstrap
from training.train_vlm import PROMPT

logger = logging.getLogger(__name__)
CONDITIONS = ("own_images", "ir_shuffled", "ir_blanked", "rgb_shuffled")


def balanced_sample(bands: Sequence[str], count: int, seed: int) -> list[int]:
    """Draws row indices, as many of each band as there are, up to an equal share.

    Args:
        bands: `ir_band` of each row.
        count: Rows wanted in all; 0 for all rows.
        seed: Of the draw.

    Returns:
        Sorted indices. A band with too few rows leaves its share to the others.
    """
    generator = np.random.default_rng(seed)
    members = [generator.permutation(np.flatnonzero(np.asarray(bands) == band)) for band in sorted(set(bands))]
    chosen: list[int] = []
    wanted = count or len(bands)
    for index, band_rows in enumerate(sorted(members, key=len)):  # the smallest band first
        share = math.ceil((wanted - len(chosen)) / (len(members) - index))
        chosen.extend(band_rows[:share].tolist())
    return sorted(chosen)


def measured_facts(rows: Dataset, processor: FusionRSVLMProcessor) -> list[InfraredFacts]:
    """Measures each row's infrared and its relation to the RGB; deeper than 8 bit is scaled as the processor does."""
    return [
        measure(
            np.asarray(check_infrared(row["ir"], processor.limits(row["ir_band"]))),
            np.asarray(row["rgb"].convert("RGB")),
        )
        for row in rows
    ]


def other_of_band(bands: Sequence[str], image_groups: Sequence[str], seed: int) -> np.ndarray:
    """Returns for each row another row of its band that shows another tile, `(rows,)`; itself if there is none."""
    bands, groups = np.asarray(bands), np.asarray(image_groups)
    donors = np.arange(len(bands))
    generator = np.random.default_rng(seed)
    for index in range(len(bands)):
        others = np.flatnonzero((bands == bands[index]) & (groups != groups[index]))
        if len(others):
            donors[index] = generator.choice(others)
    return donors


def tampered(pixels: Tensor, donors: np.ndarray, condition: str) -> Tensor:
    """Applies a control to pixels, after the processor, so that no image is mislabelled.

    Args:
        pixels: `(rows, 2, 3, height, width)`, RGB then infrared.
        donors: Row from which each row's shuffled image comes, `(rows,)`.
        condition: One of `CONDITIONS`; blanked is zero, the mean grey of the processor's normalisation.
    """
    pixels = pixels.clone()
    if condition == "ir_shuffled":
        pixels[:, 1] = pixels[donors, 1]
    elif condition == "rgb_shuffled":
        pixels[:, 0] = pixels[donors, 0]
    elif condition == "ir_blanked":
        pixels[:, 1] = 0
    return pixels


@torch.inference_mode()
def write_captions(
    model: FusionRSVLMForConditionalGeneration,
    processor: FusionRSVLMProcessor,
    pixels: Tensor,
    prompt_ids: Tensor,
    batch_size: int,
    name: str,
) -> list[str]:
    """Generates greedily.

    Args:
        model, processor: The VLM.
        pixels: `(rows, 2, 3, height, width)`.
        prompt_ids: The prompt with both images' tokens, `(1, length)`, equal for all rows.
        batch_size: Rows at a time.
        name: Of the progress bar.
    """
    captions: list[str] = []
    for start in tqdm(range(0, len(pixels), batch_size), desc=name):
        batch = pixels[start : start + batch_size].flatten(0, 1).to(model.device)  # (2 * batch, 3, height, width)
        ids = prompt_ids.to(model.device).expand(len(batch) // 2, -1)
        written = model.generate(
            input_ids=ids,
            attention_mask=torch.ones_like(ids),
            pixel_values=batch,
            max_new_tokens=64,
            do_sample=False,
        )
        captions += processor.batch_decode(written[:, ids.shape[1] :], skip_special_tokens=True)
    return captions


def match_table(captions: Sequence[str], facts: Sequence[InfraredFacts]) -> np.ndarray:
    """Returns bool `(rows, len(FACT_KINDS))`: which facts each caption states as measured."""
    return np.array([list(fact_matches(text, fact).values()) for text, fact in zip(captions, facts)])


def best_constant(training_facts: Sequence[InfraredFacts]) -> dict[str, str]:
    """Returns the most frequent measured value of each fact: what the best constant caption says."""
    values = {kind: [getattr(fact, kind) for fact in training_facts] for kind in FACT_KINDS}
    return {kind: Counter(value for value in found if value).most_common(1)[0][0] for kind, found in values.items()}


def summary(matches: np.ndarray, bands: np.ndarray) -> dict[str, Any]:
    """Summarises a match table: accuracy by kind, their mean with its 95 % interval, and the mean of each band."""
    return {
        **dict(zip(FACT_KINDS, matches.mean(0).tolist())),
        "mean": float(matches.mean()),
        "interval": list(bootstrap_mean(matches.mean(1)))[1:],
        "by_band": {band: float(matches[bands == band].mean()) for band in np.unique(bands).tolist()},
    }


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
