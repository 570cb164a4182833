"""Typed facts -> model cards: Markdown with YAML front matter, model-index included."""

from dataclasses import dataclass

import yaml
from huggingface_hub import EvalResult, ModelCard, ModelCardData

from model_cards.environment import template_environment
from model_cards.facts import ModelFacts

PAPER = "arXiv 2606.17020"
TAGS = ["remote-sensing", "infrared", "fusionrs"]


@dataclass(frozen=True, slots=True)
class Task:
    """What a kind of model is for, in the Hub's terms.

    Args:
        tag: The Hub's, of the pipeline.
        name: For readers.
        metric: Type of the metric.
    """

    tag: str
    name: str
    metric: str


def eval_result(
    facts: ModelFacts, task: Task, metric: str, share: float, part: str = "", split: str = "test", **where: str
) -> EvalResult:
    """Returns one result of a card, in percent.

    Args:
        facts: Of the model.
        task: That was scored.
        metric: Its name for readers.
        share: Its value, 1 for all.
        part: Of the dataset, for readers.
        split: Of the dataset.
        **where: More fields of `EvalResult`.
    """
    return EvalResult(
        task_type=task.tag,
        task_name=task.name,
        dataset_type=facts.dataset_id or "fusionrs",
        dataset_name=f"{facts.dataset_name}, {part}" if part else facts.dataset_name,
        dataset_split=split,
        metric_type=task.metric,
        metric_name=metric,
        metric_value=round(100 * share, 1),
        **where,
    )


def card_data(facts: ModelFacts, task: Task, tags: list[str], results: list[EvalResult]) -> ModelCardData:
    """Returns the front matter of a model's card."""
    data = ModelCardData(
        language="en",
        license="other" if facts.demo_only else facts.license,
        license_name="demo-only" if facts.demo_only else None,
        library_name="transformers",
        pipeline_tag=task.tag,
        tags=[*TAGS, *tags],
        base_model=[base.hub_id for base in facts.base_models if base.hub_id] or None,
        datasets=[facts.dataset_id] if facts.dataset_id else None,
        model_name=title(facts) if results else None,
        eval_results=results or None,
    )
    if facts.demo_only:
        data.demo_only = True
    return data


def render(template: str, facts: ModelFacts, data: ModelCardData, **tables: object) -> ModelCard:
    """Returns the card that a template makes of facts; what the template names and nobody gives is an error."""
    # Not ModelCard.from_template: it would render a fact that a template misspells as nothing.
    environment = template_environment(lstrip_blocks=True, keep_trailing_newline=True, autoescape=False)  # Markdown
    content = environment.get_template(template).render(
        facts=facts,
        card_data=data.to_yaml(),
        title=title(facts),
        paper=PAPER,
        recipe=yaml.safe_dump(dict(facts.recipe), sort_keys=False).rstrip(),
        versions=", ".join(f"{package} {version}" for package, version in facts.versions.items()),
        **tables,
    )
    return ModelCard(content)


def title(facts: ModelFacts) -> str:
    """Returns the model's name as the card tells it."""
    return facts.model_id.rstrip("/").rpartition("/")[2]
