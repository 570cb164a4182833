"""What the CLI does with an error that nobody foresaw: one line, and a file with what is needed to mend it."""

import os
import platform
import tempfile
import traceback
from collections.abc import Sequence

from fusionrs_hf import __version__
from fusionrs_hf.errors import one_line
from fusionrs_hf.redaction import redacted_text

EXIT_UNFORESEEN = 70  # EX_SOFTWARE of sysexits.h: a fault of the program
EXIT_REFUSED = 2


def unforeseen(error: Exception, argv: Sequence[str]) -> tuple[str, int]:
    """Returns the line to print and the exit code; writes the traceback to a new file of this user's alone.

    Args:
        error: That reached the CLI. Running out of memory is no fault of the program, and gets no file.
        argv: Arguments of the command; only their verb and the names of their flags are kept: values may be secrets.
    """
    if isinstance(error, MemoryError):
        return (
            "error: memory ran out; give fewer --workers or a smaller --batch-size, or a larger machine",
            EXIT_REFUSED,
        )
    flags = [argument.split("=")[0] for argument in argv if argument.startswith("--")]
    verb = next((argument for argument in argv if not argument.startswith("-")), "")
    place = "it could not be written down"
    try:
        number, path = tempfile.mkstemp(prefix="fusionrs-report-", suffix=".txt")
        with os.fdopen(number, "w", encoding="utf-8", errors="backslashreplace") as file:
            file.write(f"fusionrs {__version__}, Python {platform.python_version()}, {platform.platform()}\n")
            file.write(f"verb: {verb[:80]!r}; flags: {' '.join(flags)[:2000]!r}\n\n")
            file.write(redacted_text("".join(traceback.format_exception(error))))
        place = f"{path} says where"
    except OSError:
        pass
    said = one_line(redacted_text(str(error)))[:200]
    kind = type(error).__name__
    return (
        f"error: a fault of fusionrs: {kind}{f': {said}' if said else ''}; {place}; please report it",
        EXIT_UNFORESEEN,
    )
