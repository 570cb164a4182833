"""Texts and tables as Markdown shows them, whatever they hold."""

import re
from collections.abc import Sequence

# Control characters, marks that turn the direction of text after them, lone surrogates: nothing a reader should meet.
UNSEEN = re.compile(
    "[\x00-\x08\x0b\x0c\x0e-\x1f\x7f-\x9f\u061c\u200e\u200f\u2028-\u202e\u2060-\u206f"
    "\ufeff\ufff9-\ufffb\ud800-\udfff\U000e0000-\U000e007f]"
)
# An underscore within a word is no emphasis; `://`, `www.` and `@` would become links.
_MARKDOWN = re.compile(r"([\\`*|\[\]<>~$&@]|(?<![^\W_])_|_(?![^\W_])|:(?=//)|(?<=www)\.)", re.IGNORECASE)
_PIPE = re.compile(r"(?<!\\)((?:\\\\)*)\|")  # one that no backslash escapes


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
