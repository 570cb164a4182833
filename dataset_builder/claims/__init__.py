"""Reads what a caption claims of an image and judges it by what is measured there; the folder travels whole.

The names are imported when they are asked for: who judges now and then does not carry the whole grammar.
"""

from importlib import import_module
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from .grounding import measure
    from .judging import judge
    from .reading import read_claims

__all__ = ["judge", "measure", "read_claims"]

_OWNERS = {"judge": "judging", "measure": "grounding", "read_claims": "reading"}


def __getattr__(name: str) -> Any:
    if name not in _OWNERS:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    return getattr(import_module(f".{_OWNERS[name]}", __name__), name)
