"""The one parser of mappings, as YAML and JSON give them, into dataclasses: every key is a field, or an error."""

from collections.abc import Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import MISSING, fields, is_dataclass
from pathlib import Path
from types import UnionType
from typing import Any, TypeVar, get_args, get_origin, get_type_hints

from fusionrs_hf.errors import InputError, nearest, shown
from fusionrs_hf.records import fits

KINDS = {
    str: "a text",
    int: "a whole number",
    float: "a number",
    bool: "true or false",
    Path: "a path",
    Mapping: "a mapping of names to values",
    Sequence: "a list",
}
PARTS = {
    str: "texts",
    int: "whole numbers",
    float: "numbers",
    bool: "true or false",
    Mapping: "mappings",
    Sequence: "lists",
}
ANY_NUMBER = "any number"  # in the metadata of a field whose numbers need not be finite
Part = TypeVar("Part")


def parse(part: type[Part], values: Any, where: str, *, strict: bool = False, **hidden: Any) -> Part:
    """Builds a dataclass from a mapping of its fields.

    Args:
        part: The dataclass; its `__post_init__` judges the values.
        values: By field name.
        where: What is being described, for messages.
        strict: The values of a field that is a dataclass are parsed in turn, and null is a value; else null is the
            default.
        **hidden: Values of fields that the mapping may not name.

    Raises:
        InputError: An unknown key (the nearest is named), a missing one, or a value that cannot be: one of another
            kind than its field, down to the parts of lists and mappings (a whole number is a number, true and false
            are none; numbers are finite unless the field's metadata says `ANY_NUMBER`).
    """
    values = check_keys(part, values, where, hidden)
    if not strict:
        values = without_nulls(values)
    if missing := [name for name in missing_keys(part, values) if name not in hidden]:
        raise InputError(f"{where} needs {', '.join(missing)}, got {', '.join(map(str, values)) or 'nothing'}")
    hints = get_type_hints(part)
    finite = {item.name: not item.metadata.get(ANY_NUMBER) for item in fields(part)}
    for name, value in values.items():
        values[name] = _of_hint(value, hints[name], f"{where}: {name}", strict, finite[name])
    with placed(where):
        return part(**values, **hidden)


def check_keys(part: type, values: Any, where: str, hidden: Iterable[str] = ()) -> dict[str, Any]:
    """Returns the mapping as a dict; raises InputError where it is none, or has a key that is no field of `part`."""
    if not isinstance(values, Mapping):
        raise InputError(f"{where} must be a mapping of keys to values, got {shown(values)}")
    names = [item.name for item in fields(part) if item.name not in hidden]
    for key in values:
        if key not in names:
            raise InputError(f"{where} has the unknown key {shown(key)}; {nearest(str(key), names)}")
    return dict(values)


def missing_keys(part: type, values: Mapping[str, Any]) -> list[str]:
    """Returns the fields without a default that the values do not name."""
    needed = [item.name for item in fields(part) if item.default is MISSING and item.default_factory is MISSING]
    return [name for name in needed if name not in values]


def without_nulls(values: Any) -> Any:
    """Returns a mapping without the keys whose value is null; anything else as it is."""
    if not isinstance(values, Mapping):
        return values
    return {key: value for key, value in values.items() if value is not None}


@contextmanager
def placed(where: str) -> Iterator[None]:
    """Puts `where` before what a dataclass says of its values; an InputError has named its place itself."""
    try:
        yield
    except InputError:
        raise
    except (TypeError, ValueError, AttributeError) as error:
        raise InputError(f"{where}: {error}") from error


def is_of(value: Any, kind: type) -> bool:
    """Tells whether a value is of one of `KINDS`, or of another class: numbers are no truth values, texts no lists."""
    if kind in (int, float):
        return isinstance(value, (int, kind)) and not isinstance(value, bool)
    if kind is Sequence:
        return isinstance(value, (list, tuple))
    return isinstance(value, kind)


def _of_hint(value: Any, hint: Any, where: str, strict: bool, finite: bool) -> Any:
    """Returns a field's value, a nested part built if `strict`; raises InputError where it is of no such kind."""
    hints = get_args(hint) if isinstance(hint, UnionType) else [hint]
    allowed = [get_origin(kind) or kind for kind in hints]
    nested = next(filter(is_dataclass, allowed), None)
    if strict and nested is not None and value is not None:
        return parse(nested, value, where, strict=True)
    if not fits(value, hint, finite):
        deep = [_described(kind) for kind in hints if get_args(kind) and is_of(value, get_origin(kind))]
        kinds = deep or [KINDS[kind] for kind in allowed if kind in KINDS]
        raise InputError(f"{where} must be {' or '.join(dict.fromkeys(kinds))}, got {shown(value)}")
    return value


def _described(hint: Any) -> str:
    """Returns the kind of a list or mapping with that of its parts, in words."""
    kinds = get_args(get_args(hint)[-1]) if isinstance(get_args(hint)[-1], UnionType) else get_args(hint)[-1:]
    parts = [PARTS[get_origin(kind) or kind] for kind in kinds if (get_origin(kind) or kind) in PARTS]
    words = " or ".join(dict.fromkeys(parts)) or "values"
    return f"a list of {words}" if get_origin(hint) is Sequence else f"a mapping of names to {words}"
