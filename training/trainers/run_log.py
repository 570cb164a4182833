"""What a finished run says of itself, in `training_log.json` beside the weights: cards are written from it."""

import dataclasses
import json
import os
import platform
from collections.abc import Mapping, Sequence
from importlib.metadata import version
from pathlib import Path
from typing import Any

import torch
from datasets import Dataset
from transformers import Trainer

from fusionrs_hf.bounded_json import read_object
from fusionrs_hf.errors import InputError
from fusionrs_hf.records import make_record
from model_cards.facts import BaseModel, read_base_model

LOG_NAME = "training_log.json"
PACKAGES = ("torch", "transformers", "datasets", "accelerate", "peft", "trl", "safetensors")


def write_run_log(
    trainer: Trainer, folder: Path, arguments: Any, rows: Dataset, towers: Sequence[str], seconds: float
) -> None:
    """Writes the log of a finished training into its folder; only the first of several processes writes.

    Args:
        trainer: After `train()`.
        folder: Of the saved model.
        arguments: The recipe's own dataclass.
        rows: Training rows.
        towers: Folders or Hub ids that training started from.
        seconds: Wall-clock time of training.
    """
    if not trainer.is_world_process_zero():
        return
    named = dict(trainer.model.named_parameters())
    saved = [parameter for name, parameter in named.items() if ".lora_" not in name]  # adapters are merged
    log = {
        "recipe": _recipe(arguments, trainer.args),
        "seed": trainer.args.seed,
        "steps": trainer.state.global_step,
        "batch_size": trainer.args.train_batch_size
        * trainer.args.world_size
        * trainer.args.gradient_accumulation_steps,
        "train_rows": len(rows),
        "bands": sorted(set(rows["ir_band"])),
        "ir_origins": sorted(set(rows["ir_origin"])),
        "train_seconds": round(seconds, 1),
        "hardware": describe_hardware(),
        "parameters": sum(parameter.numel() for parameter in saved),
        "trainable_parameters": sum(value.numel() for value in named.values() if value.requires_grad),
        "versions": {name: version(name) for name in PACKAGES},
        "base_models": [dataclasses.asdict(model) for tower in towers for model in base_models(tower)],
        "history": trainer.state.log_history,
    }
    (folder / LOG_NAME).write_text(json.dumps(log, indent=1, default=str))


def read_run_log(folder: Path) -> dict[str, Any]:
    """Returns the log of the run that left this folder."""
    return read_object(folder / LOG_NAME, "train again")


def base_models(tower: str) -> list[BaseModel]:
    """Returns what a tower is made of: a model we trained names what it started from, anything else is itself."""
    log = Path(tower) / LOG_NAME
    if log.is_file():
        told = read_object(log, "bring the model again").get("base_models")
        models = told if isinstance(told, list) else [told]
        return [make_record(BaseModel, model, f"a base model in {log}", "bring the model again") for model in models]
    try:
        return [read_base_model(str(tower))]
    except (ValueError, TypeError, LookupError, RecursionError) as error:
        raise InputError(
            f"{Path(tower) / 'origin.json'} is none of ours ({error}); convert the weights again"
        ) from None


def describe_hardware() -> str:
    """Returns processor or GPU and count, in words, without naming the machine."""
    if torch.cuda.is_available():
        return f"{torch.cuda.device_count()} x {torch.cuda.get_device_name()}"
    return f"{os.cpu_count()} {platform.machine()} processors, no GPU"


def _recipe(arguments: Any, training: Any) -> Mapping[str, Any]:
    """Our fields, and of the trainer's those that differ from their defaults and are no path or switch of output."""
    kind = type(training)
    defaults = {field.name: field.default for field in dataclasses.fields(kind)}
    shown = {
        name: getattr(training, name)
        for name in defaults
        if isinstance(getattr(training, name), (int, float, str, bool))
        and getattr(training, name) != defaults[name]
        and not name.startswith(("output", "logging", "save", "hub", "report", "local", "run", "push"))
    }
    own = {name: value for name, value in dataclasses.asdict(arguments).items() if name != "overwrite"}
    return {**own, **{name: getattr(value, "value", value) for name, value in shown.items()}}
