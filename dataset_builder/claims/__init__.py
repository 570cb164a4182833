"""Reads what a caption claims of an image and judges it by what is measured there; the folder travels whole."""

from .grounding import measure
from .judging import judge
from .reading import read_claims

__all__ = ["judge", "measure", "read_claims"]
