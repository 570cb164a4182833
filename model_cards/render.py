"""Typed facts -> model cards: Markdown with YAML front matter, model-index included."""

import json
import re
from collections.abc import Sequence
from itertools import groupby
from pathlib import Path

import yaml
from huggingface_hub import EvalResult, ModelCard, ModelCardData
from jinja2 import Environment, FileSystemLoader, StrictUndefined

from model_cards.facts import CONTROLS, DIRECTIONS, PAPER, ClipFacts, Estimate, ModelFacts, Retrieval, VlmFacts

SUBSETS = {"held_out_region": "held-out region", "held_out_scene": "held-out scene"}
BANDS = {"nir": "near infrared", "swir": "shortwave infrared", "mwir": "midwave infrared", "lwir": "thermal infrared"}
MEAN_RECALLS = {"scene": "scene captions", "ir_aware": "IR-aware captions", "rgb_ir": "RGB ↔ IR alone"}
TEXT_KINDS = {"scene": "scene captions", "ir_aware": "IR-aware captions"}
TAGS = ["remote-sensing", "infrared", "fusionrs"]
# Control characters, marks that turn the direction of text after them, lone surrogates: nothing a reader should meet.
UNSEEN = re.compile(
    "[\x00-\x08\x0b\x0c\x0e-\x1f\x7f-\x9f\u061c\u200e\u200f\u2028-\u202e\u2066-\u2069\ufeff\ud800-\udfff]"
)
# An underscore within a word is no emphasis; `://`, `www.` and `@` would become links.
_MARKDOWN = re.compile(r"([\\`*|\[\]<>~$&@]|(?<![^\W_])_|_(?![^\W_])|:(?=//)|(?<=www)\.)", re.IGNORECASE)
_PIPE = re.compile(r"(?<!\\)((?:\\\\)*)\|")  # one that no backslash escapes


def render_clip_card(facts: ClipFacts) -> ModelCard:
    """Returns the card of a dual-modal CLIP; `str(card)` is the README, `card.push_to_hub(id)` publishes it."""
    data = _card_data(facts, "feature-extraction", ["clip", "retrieval"], _retrieval_results(facts))
    tables = [
        {"title": subset_title(subset), "markdown": _retrieval_table(list(rows))}
        for subset, rows in groupby(facts.retrieval, key=lambda row: row.subset)
    ]
    return _render("clip_card.md", facts, data, tables=tables, mean_recall=_mean_recall_table(facts))


def render_vlm_card(facts: VlmFacts) -> ModelCard:
    """Returns the card of a two-image VLM, whole or adapter."""
    data = _card_data(facts, "image-text-to-text", ["vision-language"], _fact_results(facts))
    if facts.adapter_base:
        data.library_name, data.base_model = "peft", facts.adapter_base
    return _render(
        "vlm_card.md",
        facts,
        data,
        prompt=json.dumps(facts.prompt, ensure_ascii=False),
        table=_fact_table(facts),
        examples=_example_table(facts) if facts.examples else "",
    )


def markdown_table(header: Sequence[str], rows: Sequence[Sequence[str]], numbers_from: int | None = None) -> str:
    """Returns a Markdown table; pipes and line breaks in cells are made harmless.

    Args:
        header, rows: Markdown of the cells; texts of unknown origin go through `markdown_text` before.
        numbers_from: First column that is set flush right.
    """
    first = len(header) if numbers_from is None else numbers_from
    rule = ["---"] * first + ["---:"] * (len(header) - first)
    lines = [[markdown_cell(cell) for cell in row] for row in [header, *rows]]
    return "\n".join(f"| {' | '.join(cells)} |" for cells in [lines[0], rule, *lines[1:]])


def markdown_cell(text: str) -> str:
    """Returns Markdown as one cell of a table: one line, every pipe escaped; markup and HTML are left as they are."""
    return _PIPE.sub(r"\1\\|", " ".join(str(text).split()))


def visible(text: str, limit: int | None = None) -> str:
    """Returns a text of unknown origin as one line: white space folded, what is unseen as U+FFFD, cut to `limit`."""
    text = UNSEEN.sub("\ufffd", " ".join(str(text).split()))
    return text if limit is None or len(text) <= limit else text[: limit - 1] + "…"


def markdown_text(text: str, limit: int | None = None) -> str:
    """Returns a text of unknown origin as Markdown that shows it as it is: no markup, no HTML, no link, no new cell.

    For use within a line or a cell: a marker at the start of a line (`-`, `1.`) is left as it is.
    """
    return _MARKDOWN.sub(r"\\\1", visible(text, limit))


def percent(estimate: Estimate | float, sign: bool = False) -> str:
    """Returns a share as percent with one decimal, and its interval in brackets where it has one."""
    value, low, high = estimate if isinstance(estimate, Estimate) else Estimate(estimate)
    shape = "{:+.1f}" if sign else "{:.1f}"
    interval = "" if low is None else f" [{shape.format(100 * low)}, {shape.format(100 * high)}]"
    return shape.format(100 * value) + interval


def direction_title(direction: str) -> str:
    """Returns a retrieval direction as a reader should see it: `rgb_to_text/scene` as `RGB → text, scene captions`."""
    pair, _, kind = direction.partition("/")
    title = DIRECTIONS[pair.removesuffix("_hard")]
    return title + (", hard gallery" if pair.endswith("_hard") else "") + (f", {TEXT_KINDS[kind]}" if kind else "")


def subset_title(subset: str) -> str:
    """Returns a part of the held-out rows as a reader should see it: `held_out_region/nir` spelt out."""
    where, _, band = subset.partition("/")
    return f"{SUBSETS.get(where, where)}, {BANDS.get(band, 'infrared')}".capitalize()


def _retrieval_table(rows: Sequence[Retrieval]) -> str:
    known = {name for row in rows for name in row.controls}
    named = [name for name in CONTROLS if name in known or (name == "pretrained" and "chance" in known)]
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


def _mean_recall_table(facts: ClipFacts) -> str:
    found = {(cell.subset, cell.kind): cell.recall for cell in facts.mean_recall}
    kinds = [kind for kind in MEAN_RECALLS if any(kind == known for _, known in found)]
    body = [
        [subset_title(subset), *(percent(found[subset, kind]) if (subset, kind) in found else "" for kind in kinds)]
        for subset in dict.fromkeys(subset for subset, _ in found)
    ]
    return markdown_table(["mean recall", *(MEAN_RECALLS[kind] for kind in kinds)], body, 1) if body else ""


def _control_cell(row: Retrieval, name: str) -> str:
    if name == "pretrained" and "chance" in row.controls:
        return f"chance {percent(row.controls['chance'])}"
    if name not in row.controls:
        return "not run"
    lead = f" ({percent(row.margins[name], sign=True)})" if name in row.margins else ""
    return percent(row.controls[name]) + lead


def _fact_table(facts: VlmFacts) -> str:
    named = list(dict.fromkeys(name for score in facts.scores for name in score.controls))
    body = []
    for score in facts.scores:
        cells = [score.kind, percent(score.model)]
        for name in named:
            lead = f" ({percent(score.margins[name], sign=True)})" if name in score.margins else ""
            cells.append(percent(score.controls[name]) + lead if name in score.controls else "not run")
        body.append(cells)
    return markdown_table(["fact", "this model", *named], body, numbers_from=1)


def _example_table(facts: VlmFacts) -> str:
    rows = [[markdown_text(text) for text in pair] for pair in facts.examples]
    return markdown_table(["written from measurement", "generated"], rows)


def _retrieval_results(facts: ClipFacts) -> list[EvalResult]:
    named = [(row.subset, f"{direction_title(row.direction)} R@1", row.recall["R@1"]) for row in facts.retrieval]
    named += [
        (cell.subset, f"Mean recall, {MEAN_RECALLS[cell.kind]}", cell.recall.value) for cell in facts.mean_recall
    ]
    return [
        EvalResult(
            task_type="feature-extraction",
            task_name="Cross-modal retrieval",
            dataset_type=facts.dataset_id or "fusionrs",
            dataset_name=f"{facts.dataset_name}, {subset_title(subset).lower()}",
            dataset_config=subset.replace("/", "-"),
            dataset_split="test",
            metric_type="recall",
            metric_name=name,
            metric_value=round(100 * value, 1),
        )
        for subset, name, value in named
    ]


def _fact_results(facts: VlmFacts) -> list[EvalResult]:
    return [
        EvalResult(
            task_type="image-text-to-text",
            task_name="Infrared captioning",
            dataset_type=facts.dataset_id or "fusionrs",
            dataset_name=facts.dataset_name,
            dataset_split="test",
            metric_type="accuracy",
            metric_name=f"Infrared fact accuracy, {score.kind}",
            metric_value=round(100 * score.model.value, 1),
        )
        for score in facts.scores
    ]


def _card_data(facts: ModelFacts, task: str, tags: list[str], results: list[EvalResult]) -> ModelCardData:
    data = ModelCardData(
        language="en",
        license="other" if facts.demo_only else facts.license,
        license_name="demo-only" if facts.demo_only else None,
        library_name="transformers",
        pipeline_tag=task,
        tags=[*TAGS, *tags],
        base_model=[base.hub_id for base in facts.base_models if base.hub_id] or None,
        datasets=[facts.dataset_id] if facts.dataset_id else None,
        model_name=_title(facts) if results else None,
        eval_results=results or None,
    )
    if facts.demo_only:
        data.demo_only = True
    return data


def _render(template: str, facts: ModelFacts, data: ModelCardData, **tables: object) -> ModelCard:
    # Not ModelCard.from_template: it would render a fact that a template misspells as nothing.
    environment = Environment(
        loader=FileSystemLoader(Path(__file__).parent / "templates"),
        undefined=StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
        keep_trailing_newline=True,
        autoescape=False,  # Markdown
    )
    content = environment.get_template(template).render(
        facts=facts,
        card_data=data.to_yaml(),
        title=_title(facts),
        paper=PAPER,
        recipe=yaml.safe_dump(dict(facts.recipe), sort_keys=False).rstrip(),
        versions=", ".join(f"{package} {version}" for package, version in facts.versions.items()),
        **tables,
    )
    return ModelCard(content)


def _title(facts: ModelFacts) -> str:
    return facts.model_id.rstrip("/").rpartition("/")[2]
