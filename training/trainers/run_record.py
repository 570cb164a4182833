"""What a training is: its recipe, and the files that it reads; what differs between two, and when one may go on."""

import dataclasses
import hashlib
import json
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import httpx2
from huggingface_hub import HfApi
from transformers import TrainingArguments

from dataset_builder.shards.parquet import file_sha256
from fusionrs_hf.atomic import write_json
from fusionrs_hf.errors import InputError
from fusionrs_hf.hub_answers import asking_hub
from fusionrs_hf.records import read_record
from training.run_arguments import HANDLING
from training.trainers.run_log import base_models

RECORD = ".training.json"
FORMAT = 1
REMEDY = "add --overwrite to start anew, or give another output_dir"
# Fields that name folders.
PLACES = ("dataset", "clip", "vision_tower", "text_tower", "clip_model", "language_model", "translator")
COMPONENT = "translator"  # folder of a pipeline's model
MODEL_FILES = ("*.safetensors", "*.bin", "*.json", "*.txt", "*.model", "*.jinja")  # what `from_pretrained` reads
TOLD_LATER = ("training_log.json", "metrics.json", "origin.json")  # in a model's folder, and no part of the model
# Fields of the Trainer that say where and what it reports, or how fast it reads: they change no weight.
ELSEWHERE = ("_", "output", "logging", "log_", "report", "run_name", "hub", "push", "local", "disable_tqdm")
ELSEWHERE += ("dataloader_num_workers", "dataloader_prefetch", "dataloader_pin", "project", "trackio")
STEADY = ("constant", "constant_with_warmup", "inverse_sqrt")  # schedules that do not ask where training ends


@dataclasses.dataclass(frozen=True, slots=True)
class RunRecord:
    """What decides the weights of a training.

    Args:
        recipe: Our fields, those of the Trainer that differ from their defaults, and the number of processes.
        inputs: What the folders or repositories that it reads hold: a hash by the name of the field.
        goal: `max_steps` or `num_train_epochs`, whichever ends it.
    """

    recipe: dict[str, Any]
    inputs: dict[str, str]
    goal: dict[str, float]
    format: int = FORMAT

    def save(self, folder: Path) -> None:
        """Writes the record into the folder of the run, whole or not at all."""
        write_json(folder / RECORD, dataclasses.asdict(self))

    @classmethod
    def load(cls, folder: Path) -> "RunRecord":
        """Returns the record of the run in a folder.

        Raises:
            InputError: There is none, or none of this version's.
        """
        try:
            record = read_record(folder / RECORD, cls, REMEDY)
        except FileNotFoundError:
            record = None
        if record is None or record.format != FORMAT:
            raise InputError(f"{folder / RECORD} does not say which training is in the folder; {REMEDY}")
        return record

    def differences(self, other: "RunRecord") -> list[str]:
        """Returns what an other run has that this has not, a phrase each, without the goal."""
        names = sorted({*self.recipe, *other.recipe})
        return [phrase for name in names if (phrase := self._difference(other, name))]

    def _difference(self, other: "RunRecord", name: str) -> str | None:
        values = [record.recipe.get(name, "the default") for record in (self, other)]
        hashes = [record.inputs.get(name) for record in (self, other)]
        if None not in hashes:  # a folder that was moved is the same
            return None if hashes[0] == hashes[1] else f"{name} holds other files"
        return None if values[0] == values[1] else f"{name} is {_short(values[0])} there and {_short(values[1])} here"

    def goal_difference(self, other: "RunRecord") -> str | None:
        """Returns how an other run's end differs from this one's, in words; None where it does not."""
        if self.goal == other.goal:
            return None
        there, here = (", ".join(f"{name} {value:g}" for name, value in run.goal.items()) for run in (self, other))
        return f"{there} there and {here} here"

    def leads_to(self, other: "RunRecord") -> bool:
        """Whether an other run passes through this one's end: a higher goal by a schedule that does not ask for it."""
        schedule = other.recipe.get("lr_scheduler_type", "linear")
        share = 0 < float(other.recipe.get("warmup_steps", 0) or 0) < 1  # of all steps
        higher = self.goal.keys() == other.goal.keys() and all(
            self.goal[name] < other.goal[name] for name in self.goal
        )
        return higher and schedule in STEADY and not share and not other.recipe.get("warmup_ratio")


def record_run(arguments: Any, training: TrainingArguments, splits: Sequence[str]) -> RunRecord:
    """Returns the record of what is about to be trained.

    Args:
        arguments: The recipe's own dataclass.
        training: The Trainer's.
        splits: Of the dataset, that are read.

    Raises:
        InputError: A model that it starts from tells of its origin what is none of ours: no log could be written.
    """
    own = {name: value for name, value in dataclasses.asdict(arguments).items() if name not in HANDLING}
    recipe = json.loads(json.dumps({**_chosen(training), **own, "processes": training.world_size}, default=_plain))
    goal = "max_steps" if training.max_steps > 0 else "num_train_epochs"
    for name in ("max_steps", "num_train_epochs"):
        recipe.pop(name, None)
    places = {name: str(own[name]) for name in PLACES if own.get(name)}
    for name, place in places.items():
        if name != "dataset":
            base_models(place)
    inputs = {name: _contents(place, name, splits) for name, place in places.items()}
    return RunRecord(
        recipe, {name: value for name, value in inputs.items() if value}, {goal: float(getattr(training, goal))}
    )


def _chosen(training: TrainingArguments) -> dict[str, Any]:
    left_out = ELSEWHERE if training.load_best_model_at_end else (*ELSEWHERE, "save")  # what is saved can be the best
    return {
        field.name: value
        for field in dataclasses.fields(training)
        if not field.name.startswith(left_out) and (value := getattr(training, field.name)) != field.default
    }


def _contents(place: str, name: str, splits: Sequence[str]) -> str | None:
    """Returns a hash of what is read from a folder, or the commit of a repository; None where it cannot be asked."""
    folder = Path(place)
    if not folder.is_dir():
        try:
            with asking_hub():
                return (HfApi().dataset_info if name == "dataset" else HfApi().model_info)(place).sha
        except (OSError, ValueError, httpx2.HTTPError):
            return None
    if name == "dataset":
        files = [path for split in splits for path in sorted((folder / "data").glob(f"{split}-*.parquet"))]
    else:
        places = (folder, folder / COMPONENT)
        matches = {path for place in places for pattern in MODEL_FILES for path in place.glob(pattern)}
        files = sorted(path for path in matches if path.name not in TOLD_LATER and not path.name.startswith("."))
    running = hashlib.sha256()
    for path in files:
        running.update(f"{path.name} {file_sha256(path)}\n".encode())
    return running.hexdigest()


def _plain(value: Any) -> Any:
    if isinstance(value, Mapping):
        return dict(value)
    return getattr(value, "value", None) or str(value)


def _short(value: Any) -> str:
    text = str(value)
    return text if len(text) <= 60 else f"{text[:57]}..."
