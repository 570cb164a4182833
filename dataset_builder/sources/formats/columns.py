"""Columns of any table -> columns of the record: which is which, and values checked and cast."""

import math
from collections.abc import Callable, Mapping, Sequence
from typing import Any

import pyarrow as pa

from dataset_builder.schema import CHOICES
from dataset_builder.sources.formats.facts import FACTS, words
from dataset_builder.sources.formats.paths import printable
from fusionrs_hf.errors import InputError, nearest, shown


def identifier(value: Any) -> str:
    """Returns an id as text; a whole number becomes its digits. Raises ValueError for anything else, or `""`."""
    text = str(value) if isinstance(value, int) and not isinstance(value, bool) else words(value)
    if not text:
        raise ValueError("an id is empty")
    return text


def box(value: Any) -> list[float]:
    """Returns west, south, east, north in degrees; raises ValueError where it is no such box."""
    edges = [float(degrees) for degrees in value] if isinstance(value, Sequence) and not isinstance(value, str) else []
    if len(edges) != 4 or not all(map(math.isfinite, edges)) or edges[1] > edges[3]:
        raise ValueError(f"bbox is {shown(value)}, no list of west, south, east, north")
    return edges


def _choice(name: str) -> Callable[[Any], str]:
    def check(value: Any) -> str:
        if value not in CHOICES[name]:
            raise ValueError(f"{name} is {shown(value)}, none of {CHOICES[name]}")
        return value

    return check


# Columns of the record that hold one value, each with what checks and casts it.
SINGLE: dict[str, Callable[[Any], Any]] = {
    **{"sample_id": identifier, "source_locator": identifier, "source_dataset": words, "rights": words},
    **{name: _choice(name) for name in CHOICES},
    **{**FACTS, "bbox": box, "split": identifier},
}
IMAGES = ("rgb", "ir")
TEXTS = ("captions", "ir_captions")
ACCEPTED = (*IMAGES, *TEXTS, *SINGLE)


def checked_map(columns: Mapping[str, Any], where: str) -> dict[str, tuple[str, ...]]:
    """Returns a recipe's column map with the names of their columns as tuples; for `captions` there may be several.

    Raises:
        InputError: A column of ours is none that can be mapped, or theirs is no name.
    """
    column_map = {}
    for ours, theirs in columns.items():
        if ours not in ACCEPTED:
            raise InputError(f"{where} maps the unknown column {shown(ours)}; {nearest(str(ours), ACCEPTED)}")
        names = (theirs,) if isinstance(theirs, str) else tuple(theirs) if isinstance(theirs, (list, tuple)) else ()
        if not names or not all(isinstance(name, str) and name for name in names):
            raise InputError(f"{where} maps {ours} to {shown(theirs)}; give the name of a column, or a list of names")
        if len(names) > 1 and ours not in TEXTS:
            raise InputError(f"{where} maps {ours} to {len(names)} columns; only {' and '.join(TEXTS)} take several")
        column_map[ours] = names
    if "rgb" not in column_map:
        raise InputError(f"{where} does not map rgb; name the column of the RGB images, such as rgb: image")
    return column_map


def check_names(columns: Mapping[str, Sequence[str]], schema: pa.Schema, where: str) -> None:
    """Raises InputError where a mapped column is not in a table; the nearest one is named.

    Args:
        columns: Of `checked_map`.
        schema: Of the table. A dot in a name leads into a struct, or into structs of a list.
        where: The table, for messages.
    """
    for ours, names in columns.items():
        for name in names:
            if name in schema.names:
                continue
            kind: Any = pa.struct(list(schema))
            for part in name.split("."):
                while pa.types.is_list(kind) or pa.types.is_large_list(kind):
                    kind = kind.value_type
                fields = [kind.field(number).name for number in range(kind.num_fields)]
                if part not in fields:
                    raise InputError(f"{where} has no column {shown(name)} for {ours}; {nearest(part, fields)}")
                kind = kind.field(part).type


def pick(row: Mapping[str, Any], name: str) -> Any:
    """Returns the value of a column; a dot leads into mappings, and into each of a list of mappings."""
    return row[name] if name in row else _inner(row, name.split("."))


def _inner(value: Any, parts: Sequence[str]) -> Any:
    if not parts or value is None:
        return value
    if isinstance(value, (list, tuple)):
        return [_inner(item, parts) for item in value]
    return _inner(value.get(parts[0]), parts[1:]) if isinstance(value, Mapping) else {}  # {}: nothing that can be read


def single_values(row: Mapping[str, Any], columns: Mapping[str, Sequence[str]]) -> tuple[dict[str, Any], str | None]:
    """Returns the mapped columns of one value, those that are known, and None or `value_invalid`: one cannot be.

    Args:
        row: Of the table.
        columns: Of `checked_map`.
    """
    values, reason = {}, None
    for ours in (name for name in columns if name in SINGLE):
        value = pick(row, columns[ours][0])
        if value is None or value == "":
            continue
        try:
            values[ours] = SINGLE[ours](value)
        except (ValueError, TypeError):
            reason = "value_invalid"
    return values, reason


def stored_path(value: Any) -> str | None:
    """Returns the path beside an image's bytes as it can be stored; None where it is no text."""
    return printable(value) if isinstance(value, str) else None
