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

from dataset_builder.schema import LOCATOR
from fusionrs_hf.bounded_files import read_text
from fusionrs_hf.bounded_json import read_object
from fusionrs_hf.bounded_yaml import front_matter
from fusionrs_hf.errors import InputError
from fusionrs_hf.records import make_record
from fusionrs_hf.redaction import redacted
from model_cards.facts import BaseModel, place_name, read_base_model
from training.run_arguments import HANDLING

LOG_NAME = "training_log.json"
REMEDY = "bring the model again"
PACKAGES = ("torch", "transformers", "datasets", "accelerate", "peft", "trl", "safetensors")


def write_run_log(
    trainer: Trainer,
    folder: Path,
    arguments: Any,
    rows: Dataset,
    towers: Sequence[str],
    seconds: float,
    settled: Mapping[str, Any] | None = None,
) -> None:
    """Writes the log of a finished training into its folder; only the first of several processes writes.

    Args:
        trainer: After `train()`.
        folder: Of the saved model.
        arguments: The recipe's own dataclass.
        rows: Training rows.
        towers: Folders or Hub ids that training started from.
        seconds: Wall-clock time of training.
        settled: Fields of the recipe that the model it started from has settled, whatever the recipe says.
    """
    if not trainer.is_world_process_zero():
        return
    named = dict(trainer.model.named_parameters())
    saved = [parameter for name, parameter in named.items() if ".lora_" not in name]  # adapters are merged
    log = {
        "recipe": _recipe(arguments, trainer.args) | dict(settled or {}),
        "dataset": describe_dataset(arguments.dataset),
        "seed": trainer.args.seed,
        "steps": trainer.state.global_step,
        "batch_size": trainer.args.train_batch_size
        * trainer.args.world_size
        * trainer.args.gradient_accumulation_steps,
        "train_rows": len(rows),
        "bands": sorted(set(rows["ir_band"])),
        "ir_origins": sorted(set(rows["ir_origin"])),
        "rights": sorted(set(rows["rights"]) - {None}) if "rights" in rows.column_names else [],
        **_seen(rows, towers),
        "train_seconds": round(seconds, 1),
        "hardware": describe_hardware(),
        "parameters": sum(parameter.numel() for parameter in saved),
        "trainable_parameters": sum(value.numel() for value in named.values() if value.requires_grad),
        "versions": {name: version(name) for name in PACKAGES},
        "base_models": [dataclasses.asdict(model) for tower in towers for model in base_models(tower)],
        "history": trainer.state.log_history,
    }
    (folder / LOG_NAME).write_text(json.dumps(log, indent=1, default=str))


def _seen(rows: Dataset, towers: Sequence[str]) -> dict[str, list[str]]:
    """Returns the scenes and sources that a model has been trained on, with those of what it started from.

    Nothing where the rows do not tell them.
    """
    if not {"source_locator", "source_dataset"} <= set(rows.column_names):
        return {}
    places = (LOCATOR.fullmatch(locator) for locator in set(rows["source_locator"]))
    seen = {"scenes": {place["scene"] for place in places if place}, "source_datasets": set(rows["source_dataset"])}
    logs = (Path(tower) / LOG_NAME for tower in towers)
    for log in (read_object(path, REMEDY) for path in logs if path.is_file()):
        for name, values in seen.items():
            values.update(log.get(name, ()))
    return {name: sorted(values) for name, values in seen.items()}


def read_run_log(folder: Path) -> dict[str, Any]:
    """Returns the log of the run that left this folder."""
    return read_object(folder / LOG_NAME, "train again")


def base_models(tower: str) -> list[BaseModel]:
    """Returns what a tower is made of: itself, and where we trained it what it started from.

    Raises:
        InputError: Its log or its origin is none of ours.
    """
    path = Path(tower) / LOG_NAME
    if not path.is_file():
        try:
            return [read_base_model(str(tower))]
        except (ValueError, TypeError, LookupError, RecursionError) as error:
            raise InputError(
                f"{Path(tower) / 'origin.json'} is none of ours ({error}); convert the weights again"
            ) from None
    log = read_object(path, REMEDY)
    told = log.get("base_models")
    former = [
        make_record(BaseModel, model, f"a base model in {path}", REMEDY)
        for model in (told if isinstance(told, list) else [told])
    ]
    card = Path(tower) / "README.md"
    licence = front_matter(read_text(card), str(card)).get("license") if card.is_file() else None
    dataset, recipe, steps = (log.get(name) for name in ("dataset", "recipe", "steps"))
    if not isinstance(dataset, dict | None) or not isinstance(recipe, dict) or not isinstance(steps, int):
        raise InputError(f"{path} is not the log of a run; {REMEDY}")
    name = (dataset or {}).get("name") or place_name(str(recipe.get("dataset", "data of its own")))
    itself = BaseModel(
        name=place_name(tower),
        licence=licence if isinstance(licence, str) and licence != "other" else None,
        statement=f"Trained by fusionrs-hf on {name}, {steps:,} steps; it started from what follows.",
        demo_only=any(model.demo_only for model in former),
    )
    return [itself, *former]


def describe_dataset(dataset: str) -> dict[str, Any]:
    """Returns `name` of a dataset as its card or report gives it, and `hub_id`, None for a folder."""
    folder = Path(dataset)
    if not folder.is_dir():
        return {"name": str(dataset), "hub_id": str(dataset)}
    for name, key in (("build_report.json", "name"), ("README.md", "pretty_name")):
        path = folder / name
        if path.is_file():
            is_json = path.suffix == ".json"
            found = read_object(path, "build it again") if is_json else front_matter(read_text(path), str(path))
            if found.get(key):
                return {"name": str(found[key]), "hub_id": None}
    return {"name": place_name(dataset), "hub_id": None}


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
    own = {name: value for name, value in dataclasses.asdict(arguments).items() if name not in HANDLING}
    both = {**own, **{name: getattr(value, "value", value) for name, value in shown.items()}}
    return redacted({name: _portable(value) for name, value in both.items()})


def _portable(value: Any) -> Any:
    """A value of a recipe, without paths of this machine in it."""
    if isinstance(value, Mapping):
        return {name: _portable(part) for name, part in value.items()}
    if isinstance(value, list | tuple):
        return [_portable(part) for part in value]
    if isinstance(value, Path) or (isinstance(value, str) and value.startswith(("/", "~", "../"))):
        return place_name(value)
    return value
