"""The card of a dual-modal CLIP: its facts, and how they are told."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from itertools import groupby

from huggingface_hub import EvalResult, ModelCard

from model_cards.bands import BAND_NAMES
from model_cards.facts import Estimate, ModelFacts, percent
from model_cards.markdown import markdown_table
from model_cards.render import Task, card_data, eval_result, render

TASK = Task("feature-extraction", "Cross-modal retrieval", "recall")

# Keys of results, as a reader should see them
SUBSETS = {
    "held_out_region": "held-out region",
    "held_out_scene": "held-out scene",
    "trained_on": "rows that were trained on",
    "train_split": "training split",
}
MEAN_RECALLS = {"scene": "scene captions", "ir_aware": "IR-aware captions", "rgb_ir": "RGB ↔ IR alone"}
MEAN_RECALLS |= {"rgb_scene": "RGB ↔ scene captions alone"}
TEXT_KINDS = {"scene": "scene captions", "ir_aware": "IR-aware captions"}
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
        kind: `scene` or `ir_aware`, the texts of IR -> text and back, which count beside RGB -> IR and back;
            `rgb_ir`, these two alone, or `rgb_scene`, RGB -> text and back alone.
        recall: Its value, with its interval over groups of rows that show the same thing.
    """

    subset: str
    kind: str
    recall: Estimate


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


def render_clip_card(facts: ClipFacts) -> ModelCard:
    """Returns the card of a dual-modal CLIP; `str(card)` is the README, `card.push_to_hub(id)` publishes it."""
    data = card_data(facts, TASK, ["clip", "retrieval"], _retrieval_results(facts))
    tables = [
        {"title": subset_title(subset), "markdown": _retrieval_table(list(rows))}
        for subset, rows in groupby(facts.retrieval, key=lambda row: row.subset)
    ]
    return render("clip_card.md", facts, data, tables=tables, mean_recall=_mean_recall_table(facts))


def direction_title(direction: str) -> str:
    """Returns a retrieval direction as a reader should see it: `rgb_to_text/scene` as `RGB → text, scene captions`."""
    pair, _, kind = direction.partition("/")
    title = DIRECTIONS[pair.removesuffix("_hard")]
    return title + (", hard gallery" if pair.endswith("_hard") else "") + (f", {TEXT_KINDS[kind]}" if kind else "")


def subset_title(subset: str) -> str:
    """Returns a part of the held-out rows as a reader should see it: `held_out_region/nir` spelt out."""
    where, _, band = subset.partition("/")
    return f"{SUBSETS.get(where, where)}, {BAND_NAMES.get(band, 'infrared')}".capitalize()


def _retrieval_table(rows: Sequence[Retrieval]) -> str:
    scored = {name for row in rows for name in row.controls}
    named = [name for name in CONTROLS if name in scored or (name == "pretrained" and "chance" in scored)]
    header = ["direction", "queries", "R@1", "R@5", "R@10", *(CONTROLS[name] for name in named)]
    body = [
        [
            direction_title(row.direction),
            str(row.queries),
            percent(row.interval),
            percent(row.recall["R@5"]),
            percent(row.recall["R@10"]),
            *(_control_cell(row, name) for name in named),
        ]
        for row in rows
    ]
    return markdown_table(header, body, numbers_from=1)


def _control_cell(row: Retrieval, name: str) -> str:
    if name == "pretrained" and "chance" in row.controls:
        return f"chance {percent(row.controls['chance'])}"
    if name not in row.controls:
        return "not run"
    lead = f" ({percent(row.margins[name], sign=True)})" if name in row.margins else ""
    return percent(row.controls[name]) + lead


def _mean_recall_table(facts: ClipFacts) -> str:
    cells = {(cell.subset, cell.kind): cell.recall for cell in facts.mean_recall}
    kinds = [kind for kind in MEAN_RECALLS if any(kind == of_cell for _, of_cell in cells)]
    body = [
        [subset_title(subset), *(percent(cells[subset, kind]) if (subset, kind) in cells else "" for kind in kinds)]
        for subset in dict.fromkeys(subset for subset, _ in cells)
    ]
    return markdown_table(["mean recall", *(MEAN_RECALLS[kind] for kind in kinds)], body, 1) if body else ""


def _retrieval_results(facts: ClipFacts) -> list[EvalResult]:
    named = [(row.subset, f"{direction_title(row.direction)} R@1", row.recall["R@1"]) for row in facts.retrieval]
    named += [
        (cell.subset, f"Mean recall, {MEAN_RECALLS[cell.kind]}", cell.recall.value) for cell in facts.mean_recall
    ]
    return [
        eval_result(facts, TASK, name, value, subset_title(subset).lower(), dataset_config=subset.replace("/", "-"))
        for subset, name, value in named
    ]
