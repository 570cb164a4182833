"""Short runs of the VLM that differ in one thing, trained and asked in this process; for benchmarks of several."""

import json
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import torch
from datasets import Dataset

from fusionrs_hf.modeling_fusionrs_vlm import FusionRSVLMForConditionalGeneration
from fusionrs_hf.processing_fusionrs_vlm import FusionRSVLMProcessor
from training import train_vlm
from training.evaluate_vlm import load_vlm
from training.journey import has_fast_bf16
from training.recipe import read_recipe
from training.scoring.generation import encode_pairs, write_blind, write_captions
from training.trainers.layer_memory import remember_layers

BATCH = 50
SCALED = ("questions_after", "joint_after", "eval_steps", "save_steps")  # with the steps of the last stage


def of_steps(recipe: str, max_steps: int) -> dict[str, Any]:
    """Returns the fields with which a recipe takes so many steps in its last stage; none where these are its own."""
    fields = read_recipe(Path(recipe))
    if max_steps == fields["max_steps"]:
        return {}
    schedule = fields["lr_scheduler_kwargs"]
    part = max_steps / fields["max_steps"]
    scaled = {name: max(1, round(part * fields[name])) for name in SCALED if name in fields}
    decay = {"num_decay_steps": round(part * schedule["num_decay_steps"])}
    return {**scaled, "max_steps": max_steps, "lr_scheduler_kwargs": json.dumps(schedule | decay)}


def train_variant(recipe: str, options: Mapping[str, Any], seed: int, demo: Path, folder: Path) -> None:
    """Trains a recipe with some fields changed, in one process, or goes on with it.

    Args:
        recipe: YAML of `train vlm`.
        options: Its fields that differ.
        seed: Of the run.
        demo: Of the demo: its dataset, CLIP and language model.
        folder: Of the run.
    """
    fields = {"dataset": demo / "dataset", "clip_model": demo / "clip", "language_model": demo / "weights/language"}
    fields |= {"output_dir": folder, "seed": seed, "bf16": has_fast_bf16(), **options}
    train_vlm.main(
        ["--config", recipe, *(str(part) for name, value in fields.items() for part in (f"--{name}", value))]
    )


def answers(folder: Path, rows: Dataset, images: Sequence[str], prompts: Mapping[str, int]) -> dict[str, list[str]]:
    """Returns what a trained run writes of each row to each prompt.

    Args:
        folder: Of the run.
        rows: To be asked about.
        images: Which are shown, `rgb` before `ir`; none: one answer for all rows.
        prompts: The longest answer to each, in tokens.
    """
    model, processor = load_vlm(str(folder))
    with torch.autocast("cpu", torch.bfloat16, enabled=has_fast_bf16()), remember_layers(model.model.vision_tower):
        return {
            prompt: _written(model, processor, rows, images, prompt, longest) for prompt, longest in prompts.items()
        }


def _written(
    model: FusionRSVLMForConditionalGeneration,
    processor: FusionRSVLMProcessor,
    rows: Dataset,
    images: Sequence[str],
    prompt: str,
    longest: int,
) -> list[str]:
    if not images:
        return [write_blind(model, processor, prompt, longest)] * len(rows)
    model.eval()
    pixels, ids = encode_pairs(processor, rows, prompt, images)
    return write_captions(model, processor, pixels, ids, BATCH, prompt, longest=longest)
