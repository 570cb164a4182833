"""Command lines: a parser whose refusals are one line, and the kinds of value that flags take, checked at once."""

import argparse
import math
import sys
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import NoReturn

from fusionrs_hf.atomic import check_replaceable
from fusionrs_hf.bounds import DIGITS, PATH_CHARACTERS
from fusionrs_hf.errors import InputError, shown

MOST = 2**31 - 1  # what the libraries beneath take for a count


class Arguments(argparse.ArgumentParser):
    """A parser that raises for what it does not take, where argparse would print its whole usage and end."""

    def error(self, message: str) -> NoReturn:
        """Raises InputError with argparse's sentence."""
        raise InputError(f"{message}; see `{self.prog} --help`")

    def parse_known_args(
        self, args: Sequence[str] | None = None, namespace: argparse.Namespace | None = None
    ) -> tuple[argparse.Namespace, list[str]]:
        """As argparse, but that words of an option may be joined by either `-` or `_`: verbs differ in this."""
        given = sys.argv[1:] if args is None else args
        return super().parse_known_args([self._spelled(argument) for argument in given], namespace)

    def _spelled(self, argument: str) -> str:
        name, equals, value = argument.partition("=")
        others = ("--" + name[2:].replace(*pair) for pair in (("-", "_"), ("_", "-")))
        if not name.startswith("--") or name in self._option_string_actions:
            return argument
        return next((other + equals + value for other in others if other in self._option_string_actions), argument)


def whole(low: int = 0, high: int = MOST) -> Callable[[str], int]:
    """Returns what reads a whole number from `low` to `high`."""

    def read(text: str) -> int:
        try:
            value = int(text) if len(text) <= DIGITS else None
        except ValueError:
            value = None
        if value is None or not low <= value <= high:
            raise argparse.ArgumentTypeError(f"must be a whole number from {low} to {high}, got {shown(text)}")
        return value

    return read


def number(low: float = -math.inf, high: float = math.inf) -> Callable[[str], float]:
    """Returns what reads a finite number from `low` to `high`."""

    def read(text: str) -> float:
        try:
            value = float(text) if len(text) <= DIGITS else math.nan
        except ValueError:
            value = math.nan
        if not (math.isfinite(value) and low <= value <= high):
            raise argparse.ArgumentTypeError(f"must be a number from {low:g} to {high:g}, got {shown(text)}")
        return value

    return read


def path(text: str) -> Path:
    """Reads a path: not empty, and no longer than a system takes."""
    if not text or "\0" in text or len(text) > PATH_CHARACTERS:
        raise argparse.ArgumentTypeError(f"must be a path, got {shown(text)}")
    return Path(text)


def file_to_write(text: str) -> Path:
    """Reads the path of a file to write: none that is there as anything else, such as a folder, a pipe or a device."""
    found = path(text)
    try:
        check_replaceable(found)
    except (InputError, OSError) as error:
        raise argparse.ArgumentTypeError(str(error)) from None
    return found


def device(text: str) -> str:
    """Reads a device that torch names and this machine has; imports torch."""
    import torch

    try:
        found = torch.device(text)
        torch.empty(0, device=found)
    except Exception as error:  # noqa: BLE001 - each backend raises its own
        reason = str(error).split("\n")[0]
        raise argparse.ArgumentTypeError(
            f"must be a device that is here, such as cpu or cuda:0, got {shown(text)} ({reason[:120]})"
        ) from None
    if found.type == "meta":
        raise argparse.ArgumentTypeError("must be a device that computes, such as cpu or cuda:0, got 'meta'")
    return text
