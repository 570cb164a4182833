"""The data's journey from a source to Parquet on the Hub, one file a verb.

Importing this package imports nothing else: the names below are imported from their modules when they are first asked
for.
"""

from importlib import import_module
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from dataset_builder.audit.verb import audit_dataset
    from dataset_builder.fusionrs import FusionRS
    from dataset_builder.pipeline import build
    from dataset_builder.publish.copies import publish_dataset
    from dataset_builder.recaption import caption_dataset
    from dataset_builder.recipe import load_recipe
    from dataset_builder.search.retrieval import search_index

__all__ = [
    "FusionRS",
    "audit_dataset",
    "build",
    "caption_dataset",
    "load_recipe",
    "publish_dataset",
    "search_index",
]
_OWNERS = {
    "FusionRS": "fusionrs",
    "audit_dataset": "audit.verb",
    "build": "pipeline",
    "caption_dataset": "recaption",
    "load_recipe": "recipe",
    "publish_dataset": "publish.copies",
    "search_index": "search.retrieval",
}


def __getattr__(name: str) -> object:
    """Imports a public name from where it stands (PEP 562)."""
    if name not in _OWNERS:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    return getattr(import_module(f"{__name__}.{_OWNERS[name]}"), name)


def __dir__() -> list[str]:
    """Names that are asked for, with those that are there."""
    return sorted({*globals(), *__all__})
