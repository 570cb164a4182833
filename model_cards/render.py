"""Typed facts -> model cards: Markdown with YAML front matter, model-index included."""

import yaml
from huggingface_hub import EvalResult, ModelCard, ModelCardData
from jinja2 import Environment, FileSystemLoader, StrictUndefined

from model_cards import TEMPLATES
from model_cards.facts import ModelFacts

PAPER = "arXiv 2606.17020"
TAGS = ["remote-sensing", "infrared", "fusionrs"]


def card_data(facts: ModelFacts, task: str, tags: list[str], results: list[EvalResult]) -> ModelCardData:
    """Returns the front matter of a model's card."""
    data = ModelCardData(
        language="en",
        license="other" if facts.demo_only else facts.license,
        license_name="demo-only" if facts.demo_only else None,
        library_name="transformers",
        pipeline_tag=task,
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
    environment = Environment(
        loader=FileSystemLoader(TEMPLATES),
        undefined=StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
        keep_trailing_newline=True,
        autoescape=False,  # Markdown
    )
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
