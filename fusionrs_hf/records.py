"""Dataclasses from the JSON that a verb left: every field of its kind, down to the last, or an InputError."""

import math
from collections.abc import Mapping, Sequence
from dataclasses import MISSING, fields, is_dataclass
from os import PathLike
from types import NoneType, UnionType
from typing import Any, TypeVar, Union, get_args, get_origin, get_type_hints, is_typeddict

from fusionrs_hf.bounded_json import read_object
from fusionrs_hf.errors import InputError, shown

Record = TypeVar("Record")
MOST = 2**63  # what columns and counters hold


def fits(value: Any, hint: Any, finite: bool = False) -> bool:
    """Tells whether a value, as JSON and YAML give it, is what a type hint says; truth values are no numbers.

    Args:
        value: Of any kind.
        hint: `Any`, a class, a union, `list[X]`, `tuple[X, ...]`, `Sequence[X]`, `dict[K, V]`, `Mapping[K, V]`, a
            dataclass or a TypedDict (as an object of its fields).
        finite: Whether numbers must be finite.
    """
    origin, arguments = get_origin(hint) or hint, get_args(hint)
    if hint is Any:
        return True
    if origin in (Union, UnionType):
        return any(fits(value, part, finite) for part in arguments)
    if origin in (None, NoneType):
        return value is None
    if origin in (int, float):
        is_number = isinstance(value, (int, origin)) and not isinstance(value, bool)
        return is_number and (abs(value) < MOST if isinstance(value, int) else not finite or math.isfinite(value))
    if is_typeddict(origin) or (is_dataclass(origin) and isinstance(value, Mapping)):
        return isinstance(value, Mapping) and not _misfits(value, origin, finite)
    if origin in (list, tuple, Sequence):
        kinds = arguments[:1] or (Any,)
        return isinstance(value, (list, tuple)) and all(fits(part, kinds[0], finite) for part in value)
    if origin in (dict, Mapping):
        key, kind = arguments or (Any, Any)
        return isinstance(value, Mapping) and all(
            fits(name, key) and fits(part, kind, finite) for name, part in value.items()
        )
    return not isinstance(origin, type) or isinstance(value, origin)


def _misfits(values: Mapping[str, Any], kind: type, finite: bool = False) -> list[str]:
    """Returns what is wrong with an object of fields, a phrase each."""
    hints = get_type_hints(kind)
    needed = kind.__required_keys__ if is_typeddict(kind) else _needed(kind)
    wrong = [f"{shown(name)} is unknown" for name in values if name not in hints and not is_typeddict(kind)]
    wrong += [f"{name} is missing" for name in sorted(needed - values.keys())]
    return wrong + [
        f"{name} is {shown(values[name])}"
        for name, hint in hints.items()
        if name in values and not fits(values[name], hint, finite)
    ]


def _needed(kind: type) -> set[str]:
    return {item.name for item in fields(kind) if item.default is MISSING and item.default_factory is MISSING}


def make_record(kind: type[Record], values: Mapping[str, Any], where: str, remedy: str) -> Record:
    """Builds a dataclass from an object of its fields.

    Args:
        kind: The dataclass.
        values: By field name.
        where: What holds them, for messages.
        remedy: What to do where they are none, for messages.

    Raises:
        InputError: A field is missing, unknown, or of another kind; or the dataclass refuses the values.
    """
    if not isinstance(values, Mapping):
        raise InputError(f"{where} is {shown(values)}, expected an object of names and values; {remedy}")
    if wrong := _misfits(values, kind):
        raise InputError(f"{where} is none of this version: {'; '.join(wrong[:3])}; {remedy}")
    try:
        return kind(**values)
    except (TypeError, ValueError, LookupError) as error:
        raise InputError(f"{where} is none of this version: {error}; {remedy}") from None


def read_record(path: PathLike | str, kind: type[Record], remedy: str) -> Record:
    """Reads a dataclass from a JSON file; arguments and errors as of `make_record` and `read_json`."""
    return make_record(kind, read_object(path, remedy), str(path), remedy)
