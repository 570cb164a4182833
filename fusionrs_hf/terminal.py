"""Standard streams of the CLI: nothing passes that a terminal would obey; what stderr has no room for is dropped."""

import io
import logging
import os
import sys
from contextlib import suppress

from fusionrs_hf.errors import escaped
from fusionrs_hf.redaction import redacted_text

KEPT = "\n\t"
MOVES = ("\r", "\x1b[A")  # of progress bars: to the start of the line, and one line up


def harmless(text: str, kept: tuple[str, ...] = ()) -> str:
    r"""Returns a text of any lines as a terminal may show it: line ends and tabs stay, all else is `escaped`.

    Args:
        text: Of unknown origin.
        kept: Further sequences that stay.
    """
    if text.isprintable():
        return text
    for mark in (*KEPT, *kept):
        if mark in text:
            return mark.join(harmless(part, kept) for part in text.split(mark))
    return escaped(text)


class ResultStream(io.TextIOWrapper):
    """Standard output: tables hold names and captions of whoever made a dataset."""

    def write(self, text: str) -> int:
        """Writes a text, harmless; returns its length."""
        super().write(harmless(text))
        return len(text)


class ProgressStream(io.TextIOWrapper):
    """Standard error, for progress and messages: what it has no room for is dropped, and stops no verb."""

    def write(self, text: str) -> int:
        """Writes a text, harmless, as far as it goes; returns its length."""
        with suppress(OSError):
            super().write(harmless(text, MOVES))
        return len(text)

    def flush(self) -> None:
        """Writes what is buffered as far as it goes."""
        with suppress(OSError):
            super().flush()


class HarmlessFormatter(logging.Formatter):
    """Log lines name files of others, and may hold secrets."""

    def format(self, record: logging.LogRecord) -> str:
        """Returns the record's line, harmless and redacted."""
        return harmless(redacted_text(super().format(record)))


def open_closed_streams() -> None:
    """Opens standard input, output and error on the null device where they came closed, and makes them harmless.

    Whatever file were opened first would take a closed one's number, and everything printed would go into it; a
    process that is started gets the open ones.
    """
    for number in range(3):
        try:
            os.fstat(number)
        except OSError:
            os.set_inheritable(os.open(os.devnull, os.O_RDWR), True)  # takes the lowest number that is free: this
    for name, mode in (("stdin", "r"), ("stdout", "w"), ("stderr", "w")):
        if getattr(sys, name) is None:
            setattr(sys, name, open(os.devnull, mode, encoding="utf-8"))  # noqa: SIM115 - as long as the process
    for name, kind in (("stdout", ResultStream), ("stderr", ProgressStream)):
        stream = getattr(sys, name)
        if stream is getattr(sys, f"__{name}__") and not isinstance(stream, kind):
            by_line, encoding = stream.line_buffering, stream.encoding
            made = kind(stream.detach(), encoding, "backslashreplace", line_buffering=by_line or name == "stderr")
            setattr(sys, name, made)


def log_to_stderr() -> None:
    """Sends log lines to standard error, their text alone."""
    handler = logging.StreamHandler()
    handler.setFormatter(HarmlessFormatter("%(message)s"))
    logging.basicConfig(level=logging.INFO, handlers=[handler])


def print_outcome(line: str) -> None:
    """Prints the line with which a verb ends, harmless and redacted."""
    with suppress(OSError):  # a full disk behind stderr changes no exit code
        print(harmless(redacted_text(line)), file=sys.stderr)  # noqa: T201


def give_up_output() -> None:
    """Lets nothing be written at exit that cannot be written now, which would change the exit code."""
    for stream in (sys.stdout, sys.stderr):
        try:
            stream.flush()
        except OSError:
            os.dup2(os.open(os.devnull, os.O_WRONLY), stream.fileno())
