"""How much of anything from outside is taken, in one table: sizes as they are once decoded, checked while reading.

What exceeds a bound of a row is a quarantined row; what exceeds a bound of a file that a person wrote is one line.
Nothing here says what is sensible, which the filters of a build do, but what memory is spent on. `BOUNDS` is the table
with its words; `python -m fusionrs_hf.bounds` prints it.
"""

import sys
from typing import NamedTuple

MEGA = 1_000_000

# One image, one text, one row, one answer.
IMAGE_BYTES = 100 * MEGA
TEXT_BYTES = 1 * MEGA
ROW_BYTES = 200 * MEGA
TEXTS_OF_ROW = 10_000
ANSWER_BYTES = 4 * MEGA
# Tables and archives.
LINE_BYTES = 1 << 20
FIELDS_OF_RECORD = 10_000
PAGE_BYTES = 160 * MEGA
BATCH_BYTES = 64 * MEGA
MEMBERS_OF_SAMPLE = 1_000
MEMBERS_OF_ARCHIVE = 20 * MEGA
# Files that a person or a verb wrote.
DOCUMENT_BYTES = 1 * MEGA
LIST_BYTES = 100 * MEGA
LIST_LINES = 500_000
REPORT_BYTES = 64 * MEGA
JSON_NODES = 3 * MEGA
YAML_NODES = 30_000
YAML_ALIASES = 1_000
DEPTH = 32
DIGITS = 300
PATH_CHARACTERS = 4_096
# Weights.
TENSORS = 100_000
VOCABULARY_BYTES = 64 * MEGA
# What is told.
SHOWN_CHARACTERS = 80
MESSAGE_CHARACTERS = 2_000


class Bound(NamedTuple):
    """One line of the table.

    Args:
        name: Of the constant.
        value: Of the constant.
        of: What is counted.
        beyond: What becomes of that which exceeds it.
    """

    name: str
    value: int
    of: str
    beyond: str


def _bound(name: str, of: str, beyond: str) -> Bound:
    return Bound(name, globals()[name], of, beyond)


ROW = "a quarantined row"
LINE = "one line, exit code 2"
BOUNDS = (
    _bound("IMAGE_BYTES", "bytes of an encoded image, unpacked; its pixels are bounded by `image_too_large`", ROW),
    _bound("TEXT_BYTES", "bytes of UTF-8 of one caption, name or other text of a row", ROW),
    _bound("ROW_BYTES", "bytes of all that a row holds", ROW),
    _bound("TEXTS_OF_ROW", "texts in one cell, nested or not", ROW),
    _bound("ANSWER_BYTES", "bytes of a model's answer, unpacked", "a row without caption, `bad_answer`"),
    _bound("LINE_BYTES", "bytes of a line of JSON, or of a record of CSV", ROW),
    _bound("FIELDS_OF_RECORD", "fields of a record of CSV", ROW),
    _bound("PAGE_BYTES", "bytes of a page of Parquet, unpacked", "quarantined rows; elsewhere one line"),
    _bound("BATCH_BYTES", "bytes of Parquet that are decoded at a time", "fewer rows at a time"),
    _bound("MEMBERS_OF_SAMPLE", "members of an archive that share a key", ROW),
    _bound("MEMBERS_OF_ARCHIVE", "members of an archive", "a quarantined row for what follows"),
    _bound("DOCUMENT_BYTES", "bytes of a recipe, policy, card or table that a person writes", LINE),
    _bound("LIST_BYTES", "bytes of a list of ids or of removed rows", LINE),
    _bound("LIST_LINES", "lines of such a list", LINE),
    _bound("REPORT_BYTES", "bytes of JSON that a verb wrote", LINE),
    _bound("JSON_NODES", "values of a JSON text", LINE),
    _bound("YAML_NODES", "values of a YAML file, aliases followed", LINE),
    _bound("YAML_ALIASES", "aliases of a YAML file", LINE),
    _bound("DEPTH", "levels of YAML or JSON", LINE),
    _bound("DIGITS", "characters of a number", LINE),
    _bound("PATH_CHARACTERS", "characters of a path", LINE),
    _bound("TENSORS", "tensors of a checkpoint", LINE),
    _bound("VOCABULARY_BYTES", "bytes of a tokenizer's vocabulary, unpacked", LINE),
    _bound("SHOWN_CHARACTERS", "characters of a value that a message repeats", "cut, with its length"),
    _bound("MESSAGE_CHARACTERS", "characters of a message", "cut in its middle"),
)


class TooLarge(dict):
    """A row, by the names of its columns, of which something exceeds a bound; what does is None or left out."""


def table() -> str:
    """Returns the table as Markdown."""
    rows = [f"| `{bound.name}` | {bound.value:,} | {bound.of} | {bound.beyond} |" for bound in BOUNDS]
    return "\n".join(["| bound | value | counts | beyond it |", "|---|---:|---|---|", *rows])


if __name__ == "__main__":
    sys.stdout.write(table() + "\n")
