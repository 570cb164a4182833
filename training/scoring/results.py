"""What every evaluation leaves: frozen dataclasses that are written as JSON and read back, key by key."""

import json
from collections.abc import Mapping
from dataclasses import MISSING, dataclass, fields
from pathlib import Path
from types import UnionType
from typing import Any, Self, get_args, get_origin, get_type_hints

from fusionrs_hf.bounded_json import read_object
from fusionrs_hf.errors import InputError, shown

METRICS_NAME = "metrics.json"


@dataclass(frozen=True)
class Result:
    """A result whose fields are the keys of its JSON, in their order; a field that is None by default is left out."""

    def as_dict(self) -> dict[str, Any]:
        """Returns what JSON can hold: mappings, lists, texts and numbers."""
        values = {field: getattr(self, field.name) for field in fields(self)}
        return {
            field.name: _plain(value)
            for field, value in values.items()
            if not (value is None and field.default is None)
        }

    @classmethod
    def from_json(cls, content: Mapping[str, Any]) -> Self:
        """Reads what `as_dict` returned, from JSON or not.

        Raises:
            InputError: A key is unknown, or one is missing.
        """
        needed = {field.name for field in fields(cls) if field.default is MISSING}
        check_keys(cls, content, {field.name for field in fields(cls)}, needed)
        kinds = get_type_hints(cls)
        return cls(**{name: _typed(kinds[name], value) for name, value in content.items()})

    def save(self, path: Path) -> None:
        """Writes the file that `load` reads."""
        path.write_text(json.dumps(self.as_dict(), indent=1))

    @classmethod
    def load(cls, path: Path) -> Self | None:
        """Returns the result in a file, None where there is none yet.

        Raises:
            InputError: As `from_json`.
        """
        try:
            return cls.from_json(read_object(path, "evaluate again")) if path.is_file() else None
        except (TypeError, ValueError, LookupError, AttributeError) as error:
            raise InputError(f"{path} holds no results of this version ({error}); evaluate again") from error


def check_keys(kind: type, content: Mapping[str, Any], possible: set[str], needed: set[str]) -> None:
    """Refuses a mapping that is none of a kind's.

    Raises:
        InputError: A key is not possible, or a needed one is missing.
    """
    if unknown := sorted(map(str, content.keys() - possible)):
        raise InputError(
            f"{kind.__name__} has no key {shown(unknown[0])}, expected of {sorted(possible)}; evaluate again"
        )
    if missing := sorted(needed - content.keys()):
        raise InputError(f"{kind.__name__} needs the key {shown(missing[0])}, got {sorted(content)}; evaluate again")


def _plain(value: Any) -> Any:
    if isinstance(value, Result):
        return value.as_dict()
    if isinstance(value, Mapping):
        return {name: _plain(item) for name, item in value.items()}
    return [_plain(item) for item in value] if isinstance(value, list | tuple) else value


def _typed(kind: Any, value: Any) -> Any:
    """Returns a value of JSON as a field's type has it."""
    if isinstance(kind, UnionType):  # X | None
        return None if value is None else _typed(get_args(kind)[0], value)
    if get_origin(kind) is dict:
        key, item = get_args(kind)
        return {key(name): _typed(item, part) for name, part in value.items()}
    if get_origin(kind) is list:
        return [_typed(get_args(kind)[0], item) for item in value]
    if get_origin(kind) is tuple:
        return tuple(value)
    if isinstance(kind, type) and issubclass(kind, Result):
        return kind.from_json(value)
    return kind(*value) if isinstance(kind, type) and issubclass(kind, tuple) else value  # a NamedTuple is a list
