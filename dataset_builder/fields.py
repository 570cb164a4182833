"""The one parser of mappings, as YAML and JSON give them, into dataclasses: every key is a field, or an error."""

from collections.abc import Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import MISSING, fields, is_dataclass
from pathlib import Path
from types import UnionType
from typing import Any, TypeVar, get_args, get_origin, get_type_hints

import yaml

from fusionrs_hf.errors import InputError, nearest

KINDS = {
    str: "a text",
    int: "a whole number",
    float: "a number",
    bool: "true or false",
    Path: "a path",
    Mapping: "a mapping of names to values",
    Sequence: "a list",
}
Part = TypeVar("Part")


def read_yaml(path: Path | str, examples: str = "dataset_builder/recipes") -> Any:
    """Returns what a YAML file holds.

    Args:
        path: The file.
        examples: Where the user finds such files, for the message.

    Raises:
        InputError: It is not YAML.
        OSError: It cannot be read.
    """
    try:
        return yaml.safe_load(Path(path).read_text(encoding="utf-8"))
    except (yaml.YAMLError, UnicodeDecodeError) as error:
        raise InputError(f"{path} is not YAML ({' '.join(str(error).split())}); see {examples}") from None


def parse(part: type[Part], values: Any, where: str, *, strict: bool = False, **hidden: Any) -> Part:
    """Builds a dataclass from a mapping of its fields.

    Args:
        part: The dataclass; its `__post_init__` judges the values.
        values: By field name.
        where: What is being described, for messages.
        strict: Each value must also be of its field's kind (a whole number is a number, true and false are none), the
            values of a field that is a dataclass are parsed in turn, and null is a value; else null is the default.
        **hidden: Values of fields that the mapping may not name.

    Raises:
        InputError: An unknown key (the nearest is named), a missing one, or a value that cannot be.
    """
    values = check_keys(part, values, where, hidden)
    if not strict:
        values = without_nulls(values)
    if missing := [name for name in missing_keys(part, values) if name not in hidden]:
        raise InputError(f"{where} needs {', '.join(missing)}, got {', '.join(map(str, values)) or 'nothing'}")
    if strict:
        hints = get_type_hints(part)
        values = {name: _of_hint(value, hints[name], where, name) for name, value in values.items()}
    with placed(where):
        return part(**values, **hidden)


def check_keys(part: type, values: Any, where: str, hidden: Iterable[str] = ()) -> dict[str, Any]:
    """Returns the mapping as a dict; raises InputError where it is none, or has a key that is no field of `part`."""
    if not isinstance(values, Mapping):
        raise InputError(f"{where} must be a mapping of keys to values, got {values!r}")
    names = [item.name for item in fields(part) if item.name not in hidden]
    for key in values:
        if key not in names:
            raise InputError(f"{where} has the unknown key {key!r}; {nearest(str(key), names)}")
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


def _of_hint(value: Any, hint: Any, where: str, name: str) -> Any:
    """Returns the value of a field, a nested part built; raises InputError where it is of no kind of the hint."""
    allowed = [get_origin(kind) or kind for kind in (get_args(hint) if isinstance(hint, UnionType) else [hint])]
    nested = next(filter(is_dataclass, allowed), None)
    if nested is not None and value is not None:
        return parse(nested, value, f"{where}: {name}", strict=True)
    if not any(is_of(value, kind) for kind in allowed):
        kinds = " or ".join(dict.fromkeys(KINDS[kind] for kind in allowed if kind in KINDS))
        raise InputError(f"{where}: {name} must be {kinds}, got {value!r}")
    return value
