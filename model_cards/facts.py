"""What a card says, as typed facts. Nothing here is a figure of ours: each comes from a file that a run wrote.

Fields are grouped as given by the user, filled by the run, and constant; `render.py` turns them into Markdown.
"""

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, NamedTuple

PAPER = "arXiv 2606.17020"
DIRECTIONS = {
    "rgb_to_ir": "RGB → IR",
    "ir_to_rgb": "IR → RGB",
    "rgb_to_text": "RGB → text",
    "text_to_rgb": "text → RGB",
    "ir_to_text": "IR → text",
    "text_to_ir": "text → IR",
    "fused_to_text": "RGB + IR → text",
    "text_to_fused": "text → RGB + IR",
}
CONTROLS = {
    "pretrained": "(a) towers as loaded",
    "grayscale": "(b) trained on grayscale for IR",
    "shuffled": "(c) trained on shuffled pairs",
}


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


@dataclass(frozen=True, slots=True)
class Retrieval:
    """Recall of one direction on one part of the held-out rows, beside its controls.

    Args:
        subset: Part, `held_out_region/nir`: which rows are held out, and the infrared band.
        direction: Key of `DIRECTIONS`, with `_hard` for the gallery with distractors, or `/scene`, `/ir_aware` for the
            kind of text.
        queries: How many queries.
        recall: `R@1`, `R@5`, `R@10`, in [0, 1].
        interval: R@1 with its interval over queries.
        controls: R@1 of each control that was run, by key of `CONTROLS`, or `chance`.
        margins: R@1 minus the control's, paired over queries, by the same keys.
    """

    subset: str
    direction: str
    queries: int
    recall: Mapping[str, float]
    interval: Estimate
    controls: Mapping[str, float] = field(default_factory=dict)
    margins: Mapping[str, Estimate] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class MeanRecall:
    """The published mean recall on one part of the held-out rows: of R@1, R@5 and R@10 over several directions.

    Args:
        subset: As in `Retrieval`.
        kind: `scene` or `ir_aware`, the texts of IR -> text and back, which count beside RGB -> IR and back; or
            `rgb_ir`, these two alone.
        recall: Its value, with its interval over groups of rows that show the same thing.
    """

    subset: str
    kind: str
    recall: Estimate


@dataclass(frozen=True, slots=True)
class FactScore:
    """How often generated captions state one kind of infrared fact as measured, beside the controls.

    Args:
        kind: Kind of fact (`level`, `contrast`, `brightest`, `darkest`, `relation`), or `mean` over kinds.
        model: Share of captions that are right.
        controls: The same for each control, by its name as a reader should see it.
        margins: Model minus control, paired over pairs, by the same names.
    """

    kind: str
    model: Estimate
    controls: Mapping[str, Estimate] = field(default_factory=dict)
    margins: Mapping[str, Estimate] = field(default_factory=dict)


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


@dataclass(kw_only=True)
class ClipFacts(ModelFacts):
    """What the card of a dual-modal CLIP says.

    Args:
        projection_dim: Width of the joint space.
        image_size: Side of the input, pixels.
        vision_pooling, text_pooling: How the tokens of an image, of a text, become one vector.
        image_tower, text_tower: Kind and size, in words.
        text_tokens: Tokens that a text may have; None: not stated.
        infrared_tower: `shared`, `shared with a learned infrared tile` or `its own`.
        fusion: How an RGB and an infrared embedding become one, in words.
        contrastive_loss: `info_nce` or `sigmoid`.
        weights: Weight of each pair in the loss; a pair without weight is not there.
        group_aware: Whether rows that show or tell the same are no negatives of each other.
        retrieval: Rows of the results tables.
        mean_recall: Cells of the table of mean recall.
        scored_fusion: How the fused embeddings that were scored were made, in words; empty where none were.
        control_source: Where the controls' figures come from, in words.
    """

    projection_dim: int
    image_size: int
    vision_pooling: str
    text_pooling: str = "pooler"
    image_tower: str = "a vision transformer"
    text_tower: str = "a transformer"
    text_tokens: int | None = None
    infrared_tower: str = "shared"
    fusion: str = "the mean"
    contrastive_loss: str = "info_nce"
    weights: Mapping[str, float] = field(
        default_factory=lambda: {"RGB-text": 1.0, "infrared-text": 1.0, "RGB-infrared": 1.0}
    )
    group_aware: bool = True
    retrieval: Sequence[Retrieval] = ()
    mean_recall: Sequence[MeanRecall] = ()
    scored_fusion: str = ""
    control_source: str = ""


@dataclass(kw_only=True)
class VlmFacts(ModelFacts):
    """What the card of a two-image VLM says.

    Args:
        prompt: The question it was trained to answer.
        tokens_per_image: Image tokens that each picture takes.
        language_layers: Layers of the language model in use.
        scored_pairs: Held-out pairs that captions were scored on.
        scores: Rows of the results table; the one of kind `mean` is the headline.
        examples: Reference and generated caption of a few held-out pairs, not picked by quality.
        adapter_base: For a LoRA adapter, the repository or folder of the model it belongs on; None for a whole model.
    """

    prompt: str
    tokens_per_image: int
    language_layers: int
    scored_pairs: int
    scores: Sequence[FactScore]
    examples: Sequence[tuple[str, str]] = ()
    adapter_base: str | None = None


def read_base_model(tower: str) -> BaseModel:
    """Describes a recipe's tower: a folder by the `origin.json` in it, anything else as a Hub repository.

    Args:
        tower: Folder or Hub id, as the recipe names it.
    """
    origin = Path(tower) / "origin.json"
    if not origin.is_file():
        return BaseModel(name=tower, hub_id=None if Path(tower).is_dir() else tower)
    stated = json.loads(origin.read_text(encoding="utf-8"))
    return BaseModel(
        name=f"{stated['model']} ({stated['package']} {stated['version']})",
        hub_id=stated["hub_id"],
        licence=stated["weights_licence"],
        statement=stated["statement"],
        demo_only=stated["demo_only"],
    )


def read_retrieval(
    metrics: Mapping[str, Any],
    controls: Mapping[str, Mapping[str, Any]] | None = None,
    margins: Mapping[str, Mapping[str, Mapping[str, Sequence[float]]]] | None = None,
) -> list[Retrieval]:
    """Turns what `training.evaluate_clip` wrote into rows of the results table.

    Args:
        metrics: By subset: `queries`, `scores` (direction -> recalls), `intervals` (direction -> value, low, high);
            and in `fused`, where pairs were scored as one, the same.
        controls: The same by key of `CONTROLS`; a subset or direction a control lacks is left empty. Image-text
            directions, for which untrained projections say nothing, get `chance` as their control (a).
        margins: Paired differences of R@1 by control, subset and direction, each `(value, low, high)`.

    Returns:
        One row a subset and direction, in the order of `metrics`.
    """
    rows = []
    for subset, part in metrics.items():
        fused = part.get("fused", {"scores": {}, "intervals": {}})
        scores, intervals = ({**part[name], **fused[name]} for name in ("scores", "intervals"))
        for direction, recall in scores.items():
            known = {
                name: found["R@1"]
                for name, control in (controls or {}).items()
                if (found := control.get(subset, {}).get("scores", {}).get(direction))
            }
            if "text" in direction:
                known["chance"] = 1 / scores[_reverse(direction)]["queries"]
            apart = {
                name: Estimate(*found)
                for name, by_subset in (margins or {}).items()
                if (found := by_subset.get(subset, {}).get(direction))
            }
            interval = Estimate(*intervals[direction])
            rows.append(Retrieval(subset, direction, int(recall["queries"]), recall, interval, known, apart))
    return rows


def read_mean_recall(metrics: Mapping[str, Any]) -> list[MeanRecall]:
    """Turns what `training.evaluate_clip` wrote into the cells of the table of mean recall; none without captions."""
    return [
        MeanRecall(subset, kind, Estimate(*found))
        for subset, part in metrics.items()
        for kind, found in part.get("mean_recall", {}).items()
    ]


def _reverse(direction: str) -> str:
    pair, slash, kind = direction.partition("/")
    query, gallery = pair.split("_to_")
    return f"{gallery}_to_{query}{slash}{kind}"
