"""One entry of a recipe for many scenes or dates: a pattern of paths, or a table, over fields that all share."""

import json
import re
from collections.abc import Iterator, Mapping, Sequence
from glob import glob, has_magic
from pathlib import Path
from typing import Any

from dataset_builder.sources.formats.caption_files import entry_file
from fusionrs_hf.errors import InputError, shown

TABLE = "table"
FIELD = re.compile(r"\{([a-z_]+)\}")
MANY = ("scene",)  # kinds of which each file or folder is a source of its own


def expanded(sources: Sequence[Any], base: Path) -> list[Any]:
    """Returns a recipe's sources with each entry for many scenes in place of what it stands for.

        - {kind: scene, path: "scenes/*.tif", rights: CC0-1.0, limits: auto}
        - {kind: scene, path: "{sensor}/{name}_{acquired_at}", ...}     what stands in braces becomes that field
        - {kind: scene, table: scenes.csv, ...}                         a column `path`, others are fields

    Scenes come in the order of their paths, or of the table. A field of a row, or in braces, goes before the entry's.
    Names, the stems of the paths where nothing else tells, must differ.

    Args:
        sources: As YAML gives them; what is no mapping is left to be refused.
        base: Folder that paths start from.

    Raises:
        InputError: Nothing fits a pattern, a table has no paths, or two scenes have one name.
    """
    found = []
    for spec in sources:
        many = list(_scenes(spec, base)) if isinstance(spec, Mapping) and spec.get("kind") in MANY else [spec]
        if len(many) > 1:
            _check_names(many)
        found += many
    return found


def _scenes(spec: Mapping[str, Any], base: Path) -> Iterator[Any]:
    path = str(spec.get("path", ""))
    if TABLE in spec:
        if path:
            raise InputError(f"a scene takes path or table, got both: {path} and {spec[TABLE]}")
        yield from _of_table({key: value for key, value in spec.items() if key != TABLE}, base / str(spec[TABLE]))
    elif (has_magic(path) or FIELD.search(path)) and not (base / path).exists():
        yield from _of_pattern(spec, path, base)
    else:
        yield spec


def _of_pattern(spec: Mapping[str, Any], path: str, base: Path) -> Iterator[dict[str, Any]]:
    parts = FIELD.split(path)  # text and field in turn
    wildcards = "".join(part if not index % 2 else "*" for index, part in enumerate(parts))
    names = sorted(glob(wildcards, root_dir=base))
    if not names:
        raise InputError(
            f"no file or folder below {base} fits the pattern {shown(path)} of a scene; give one that does"
        )
    reading = "".join(_as_regex(part) if not index % 2 else f"(?P<{part}>[^/]+)" for index, part in enumerate(parts))
    for name in names:
        match = re.fullmatch(reading, name)
        if match:
            yield {**spec, **match.groupdict(), "path": name}


def _as_regex(text: str) -> str:
    return re.escape(text).replace(r"\*\*", ".*").replace(r"\*", "[^/]*").replace(r"\?", "[^/]")


def _of_table(spec: Mapping[str, Any], file: Path) -> Iterator[dict[str, Any]]:
    for number, (_, entry) in enumerate(entry_file(file).entries(), 1):
        if isinstance(entry, ValueError) or not entry.get("path"):
            raise InputError(f"row {number} of {file} names no path of a scene: {str(entry)[:100]}")
        row = {key: _value(value) for key, value in entry.items() if value not in (None, "")}
        yield {**spec, **row, "path": str(file.parent / entry["path"])}


def _value(value: Any) -> Any:
    """Returns a cell as JSON reads it, so that numbers and lists are such; anything else, as dates, stays text."""
    if not isinstance(value, str):
        return value
    try:
        read = json.loads(value)
    except (ValueError, RecursionError):
        return value
    return read if isinstance(read, (int, float, list, dict)) else value


def _check_names(many: Sequence[Mapping[str, Any]]) -> None:
    places: dict[str, str] = {}
    for spec in many:
        name = str(spec.get("name") or Path(spec["path"]).stem)
        other = places.setdefault(name, spec["path"])
        if other != spec["path"]:
            raise InputError(
                f"scenes {other} and {spec['path']} are both named {name}; tell them apart by {{name}} in the path, "
                "or a column `name` in a table"
            )
