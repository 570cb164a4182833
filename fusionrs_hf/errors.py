"""The one exception that means "the input is at fault", and how its sentence shows what was given.

The CLI prints the sentence alone and exits with code 2. It is one line of printable characters of bounded length,
whatever it is made from: values go through `shown`, and the whole through `one_line`.
"""

import difflib
import reprlib
from collections.abc import Sequence
from typing import Any

from fusionrs_hf.bounds import MESSAGE_CHARACTERS, SHOWN_CHARACTERS

DIGITS_SHOWN = 40  # longer whole numbers are told by their length: writing them out takes the square of it


class InputError(ValueError):
    """Bad input from the user: says what was given, what was expected and what to do, in one line."""

    def __init__(self, message: object = "") -> None:
        super().__init__(one_line(str(message)))


class _Shortened(reprlib.Repr):
    """The standard library's short `repr`, which looks at the first parts of a value alone."""

    def __init__(self) -> None:
        super().__init__()
        self.maxstring = self.maxother = SHOWN_CHARACTERS

    def repr_int(self, value: int, level: int) -> str:
        digits = value.bit_length() * 30103 // 100_000
        return repr(value) if digits < DIGITS_SHOWN else f"a number of about {digits} digits"

    def repr_str(self, value: str, level: int) -> str:
        return repr(value) if len(value) <= SHOWN_CHARACTERS else _cut(value)

    def repr_bytes(self, value: bytes, level: int) -> str:
        return repr(value) if len(value) <= SHOWN_CHARACTERS else _cut(value)

    def repr_instance(self, value: Any, level: int) -> str:
        try:
            return super().repr_instance(value, level)
        except Exception:  # noqa: BLE001 - a value that cannot even be shown must not hide why it is refused
            return f"a {type(value).__name__}"


def _cut(value: str | bytes) -> str:
    return f"{value[: SHOWN_CHARACTERS - 1]!r}... ({len(value)} in all)"


_SHORTENED = _Shortened()


def shown(value: Any) -> str:
    r"""Returns a value as a message repeats it: as `repr`, of bounded length and cost, nothing unprintable in it.

    >>> shown("a\x1b[2J"), shown([1] * 100)
    ("'a\\x1b[2J'", '[1, 1, 1, 1, 1, 1, ...]')
    """
    text = escaped(_SHORTENED.repr(value))
    return text if len(text) <= 3 * SHOWN_CHARACTERS else f"{text[: 3 * SHOWN_CHARACTERS]}..."


def escaped(text: str) -> str:
    r"""Returns a text without what a terminal would obey: every unprintable character as Python escapes it.

    That is control and format characters (those that turn the direction of writing among them), surrogates, and all
    blanks but the space.
    """
    if text.isprintable():
        return text
    return "".join(c if c.isprintable() else c.encode("unicode_escape").decode() for c in text)


def one_line(text: str) -> str:
    """Returns a text as one line for a terminal: white space folded, `escaped`, cut in its middle where it is long."""
    if len(text) > MESSAGE_CHARACTERS:
        half = MESSAGE_CHARACTERS // 2
        text = f"{text[:half]} ... {text[-half:]}"
    return escaped(" ".join(text.split()))


def nearest(name: str, names: Sequence[str]) -> str:
    """Returns the remedy for a wrong name: the nearest known one, or all of them."""
    close = difflib.get_close_matches(str(name)[:SHOWN_CHARACTERS], names, n=1)
    return f"did you mean {close[0]!r}?" if close else f"known are {', '.join(names)}"
