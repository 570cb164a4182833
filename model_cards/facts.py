"""What the cards of all models say, as typed facts. No figure is ours: each comes from a file that a run wrote.

Fields are grouped as given by the user and filled by the run; `clip.py` and `vlm.py` add what is of one model alone.
"""

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, NamedTuple


class Estimate(NamedTuple):
    """A share in [0, 1], or a difference of two, with the ends of its 95 % interval where one was computed."""

    value: float
    low: float | None = None
    high: float | None = None


@dataclass(frozen=True, slots=True)
class BaseModel:
    """A pretrained model that training started from.

    Args:
        name: What it is.
        hub_id: Its Hub repository, or None where it has none or none is stated.
        licence: Licence of its weights, or None where none is stated.
        statement: What is stated about its origin.
        demo_only: Whether it may be used in the demo only.
    """

    name: str
    hub_id: str | None = None
    licence: str | None = None
    statement: str = ""
    demo_only: bool = False


@dataclass(kw_only=True)
class ModelFacts:
    """What the cards of both models say.

    Args:
        model_id: Hub repository or folder, as the snippets load it.
        license: Licence of these weights, an identifier of the Hub. Ignored where a base model is demo-only.
        dataset_id: Hub repository of the dataset, or None while it is only a folder.
        dataset_name: Name of the dataset for readers.
        base_models: What training started from.
        recipe: Fields of the training recipe, in its order.
        bands: Infrared bands trained on.
        ir_origins: Origins of the infrared trained on: `sensor`, `translated` or both.
        seed: Of the run.
        steps, batch_size, train_rows: Optimiser steps, rows a step, rows in the training split.
        train_seconds: Wall-clock time of training.
        hardware: Processor and its count, in words.
        parameters, trainable_parameters: Of the model.
        versions: Version by package, of the run.
    """

    # given by the user
    model_id: str
    license: str = "apache-2.0"
    dataset_id: str | None = None
    dataset_name: str = "FusionRS"
    # filled by the run
    base_models: Sequence[BaseModel]
    recipe: Mapping[str, Any]
    bands: Sequence[str]
    ir_origins: Sequence[str]
    seed: int
    steps: int
    batch_size: int
    train_rows: int
    train_seconds: float
    hardware: str
    parameters: int
    trainable_parameters: int
    versions: Mapping[str, str]

    @property
    def demo_only(self) -> bool:
        """Whether the weights must not be published, for a base model must not."""
        return any(base.demo_only for base in self.base_models)


def place_name(place: str | Path) -> str:
    """Returns how a card names a folder or a repository: without the path of a machine."""
    path = Path(place)
    inside = not path.is_absolute() and ".." not in path.parts and not str(place).startswith("~")
    return str(place) if inside else path.name


def read_base_model(tower: str) -> BaseModel:
    """Describes a recipe's tower: a folder by the `origin.json` in it, anything else as a Hub repository.

    Args:
        tower: Folder or Hub id, as the recipe names it.
    """
    origin = Path(tower) / "origin.json"
    if not origin.is_file():
        return BaseModel(name=place_name(tower), hub_id=None if Path(tower).is_dir() else tower)
    stated = json.loads(origin.read_text(encoding="utf-8"))
    return BaseModel(
        name=f"{stated['model']} ({stated['package']} {stated['version']})",
        hub_id=stated["hub_id"],
        licence=stated["weights_licence"],
        statement=stated["statement"],
        demo_only=stated["demo_only"],
    )


def percent(estimate: Estimate | float, sign: bool = False) -> str:
    """Returns a share as percent with one decimal, and its interval in brackets where it has one."""
    value, low, high = estimate if isinstance(estimate, Estimate) else Estimate(estimate)
    shape = "{:+.1f}" if sign else "{:.1f}"
    interval = "" if low is None else f" [{shape.format(100 * low)}, {shape.format(100 * high)}]"
    return shape.format(100 * value) + interval
