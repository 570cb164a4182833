"""The card of a two-image VLM: its facts, and how they are told."""

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field

from huggingface_hub import EvalResult, ModelCard

from model_cards.facts import Estimate, ModelFacts, percent
from model_cards.markdown import markdown_table, markdown_text
from model_cards.render import Task, card_data, eval_result, render

TASK = Task("image-text-to-text", "Infrared captioning", "accuracy")


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
class VlmFacts(ModelFacts):
    """What the card of a two-image VLM says.

    Args:
        prompt: One that it was trained to answer.
        tokens_per_image: Image tokens that each picture takes.
        language_layers: Layers of the language model in use.
        scored_pairs: Held-out pairs that captions were scored on.
        scores: Rows of the results table; the one of kind `mean` is the headline.
        examples: Reference and generated caption of a few held-out pairs, not picked by quality.
        shown: Which images training showed, of `rgb` and `ir`.
        adapter_base: For a LoRA adapter, the repository or folder of the model it belongs on; None for a whole model.
    """

    prompt: str
    tokens_per_image: int
    language_layers: int
    scored_pairs: int
    scores: Sequence[FactScore]
    examples: Sequence[tuple[str, str]] = ()
    shown: Sequence[str] = ("rgb", "ir")
    adapter_base: str | None = None


def render_vlm_card(facts: VlmFacts) -> ModelCard:
    """Returns the card of a two-image VLM, whole or adapter."""
    data = card_data(facts, TASK, ["vision-language"], _fact_results(facts))
    if facts.adapter_base:
        data.library_name, data.base_model = "peft", facts.adapter_base
    return render(
        "vlm_card.md",
        facts,
        data,
        prompt=json.dumps(facts.prompt, ensure_ascii=False),
        table=_fact_table(facts),
        examples=_example_table(facts) if facts.examples else "",
    )


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


def _fact_results(facts: VlmFacts) -> list[EvalResult]:
    return [
        eval_result(facts, TASK, f"Infrared fact accuracy, {score.kind}", score.model.value) for score in facts.scores
    ]
