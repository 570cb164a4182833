"""How templates are read: what one names and nobody gives is an error, not nothing."""

from jinja2 import Environment, FileSystemLoader, StrictUndefined

from model_cards import TEMPLATES


def template_environment(**options: object) -> Environment:
    """Returns where the templates are found.

    Args:
        **options: More of `jinja2.Environment`; lines with blocks alone leave no line.
    """
    return Environment(loader=FileSystemLoader(TEMPLATES), undefined=StrictUndefined, trim_blocks=True, **options)
