"""JSON of unknown origin: of bounded depth and digits, or an InputError."""

import json
from os import PathLike
from typing import Any

from fusionrs_hf.bounded_files import read_text
from fusionrs_hf.bounds import DEPTH, DIGITS, JSON_NODES, REPORT_BYTES
from fusionrs_hf.errors import InputError, shown


class NotJsonError(InputError):
    """The text is no JSON that is taken; its sentence starts with what is wrong."""


def _whole(digits: str) -> int:
    if len(digits) > DIGITS:
        raise ValueError(f"a number of {len(digits)} digits")
    return int(digits)


def parse_json(text: str) -> Any:
    """Returns what a JSON text holds; may hold lone surrogates, which whoever uses a text has to see to.

    Raises:
        NotJsonError: It is no JSON, or exceeds a bound.
    """
    if text.count(",") + text.count("[") + text.count("{") > JSON_NODES:
        raise NotJsonError(f"more than {JSON_NODES} values")
    try:
        value = json.loads(text, parse_int=_whole)
    except RecursionError:
        raise NotJsonError(f"more than {DEPTH} levels") from None
    except ValueError as error:
        raise NotJsonError(str(error)) from None
    if text.count("[") + text.count("{") > DEPTH and _is_deep(value):
        raise NotJsonError(f"more than {DEPTH} levels")
    return value


def parse_json_field(name: str, text: str) -> Any:
    """Returns what a field of a recipe holds that is given as JSON; raises InputError that names it."""
    try:
        return parse_json(text)
    except NotJsonError as error:
        raise InputError(f"{name} must be JSON, got {shown(text)} ({error})") from None


def _is_deep(value: Any) -> bool:
    level = [value]
    for _ in range(DEPTH):
        level = [part for parts in level if isinstance(parts, (list, dict)) for part in _parts(parts)]
    return any(isinstance(part, (list, dict)) for part in level)


def _parts(value: list | dict) -> Any:
    return value if isinstance(value, list) else value.values()


def read_json(path: PathLike | str, remedy: str, most: int = REPORT_BYTES) -> Any:
    """Returns what a JSON file holds, texts that UTF-8 can hold.

    Args:
        path: The file.
        remedy: What to do where it is none, for messages.
        most: Bytes that it may have.

    Raises:
        InputError: It is no such file.
        OSError: It cannot be read.
    """
    text = read_text(path, most)
    try:
        value = parse_json(text)
        if "\\ud" in text or "\\uD" in text:
            json.dumps(value, ensure_ascii=False).encode()
    except NotJsonError as error:
        raise InputError(f"{path} is not the JSON that is expected ({error}); {remedy}") from None
    except UnicodeEncodeError:
        raise InputError(f"{path} holds texts that are none (lone surrogates); {remedy}") from None
    return value


def read_object(path: PathLike | str, remedy: str, most: int = REPORT_BYTES) -> dict[str, Any]:
    """Returns a JSON file's object; arguments and errors as of `read_json`; raises InputError for anything else."""
    value = read_json(path, remedy, most)
    if not isinstance(value, dict):
        raise InputError(f"{path} holds {shown(value)}, expected an object of names and values; {remedy}")
    return value
