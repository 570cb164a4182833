"""The one exception that means "the input is at fault": the CLI prints its sentence alone and exits with code 2."""

import difflib
from collections.abc import Sequence


class InputError(ValueError):
    """Bad input from the user: says what was given, what was expected and what to do, in one line."""


def nearest(name: str, names: Sequence[str]) -> str:
    """Returns the remedy for a wrong name: the nearest known one, or all of them."""
    close = difflib.get_close_matches(str(name), names, n=1)
    return f"did you mean {close[0]!r}?" if close else f"known are {', '.join(names)}"
