"""How strong a statement is: words that make it absolute, words that take that back, and words that strengthen.

Standard library only: a metric's release copies the whole folder.
"""

from collections.abc import Sequence

from .kinds import Kind
from .tokens import Token, words_in
from .words import words_of

STRONG = words_of("deep deeply exceptionally extremely intensely pure very")
ABSOLUTE = words_of("""
    absolutely complete completely entirely exact exactly fully identical nil perfect perfectly pure sheer sheet
    simile single slab totally unvarying utterly wall whatsoever wholly zero
""")
HEDGES = words_of("""
    almost barely barring broad chiefly close cover dominate except faint faintly fairly few generally handful hardly
    large largely little lot low mainly many mere minimal most mostly much narrow near nearly only overall parts
    practically predominantly predominate pretty prevail quite rather relatively scarcely seems slight slightly some
    somewhat virtually weak weakly within
""")


def is_absolute(tokens: Sequence[Token]) -> bool:
    """Whether a statement of evenness is meant without exception: `completely uniform`, `not a single edge`."""
    words = words_in(tokens)
    one = any(token.kind is Kind.DISTANCE and token.text.startswith("one ") for token in tokens)
    return (one or bool(words & ABSOLUTE)) and not words & HEDGES
