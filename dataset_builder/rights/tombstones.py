"""Rows that are to go, and rows that went: lists of sample ids, and the `tombstones.jsonl` that a removal leaves."""

import json
from collections.abc import Iterable, Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any, TypedDict

from dataset_builder.schema import LIST_COLUMNS
from fusionrs_hf.atomic import atomic_path
from fusionrs_hf.bounded_files import list_lines
from fusionrs_hf.bounded_json import NotJsonError, parse_json
from fusionrs_hf.errors import InputError, shown
from fusionrs_hf.records import make_record

TOMBSTONES = "tombstones.jsonl"
REMOVED = "removed"  # the reason with which excluded rows leave a build
PENDING, PLAN = ".removal", "plan.json"  # folder and plan of a removal that has begun and not ended; see `takedown`
KNOWN = ("sample_id", "source_dataset", "source_locator", "rights")


class Tombstone(TypedDict):
    """What is known of a row that was removed; beside it, where it lay."""

    sample_id: str
    version: str


def read_ids(path: Path) -> dict[str, str]:
    r"""Reads sample ids with the reason that each was given, or none.

    Args:
        path: A line an id, after a tab the reason if there is one; an id that holds a tab, a line end, outer blanks or
            what cannot be typed is written as JSON writes a text, in quotes (`"a\u001b"`), as `search --json` prints
            it. Or, named `.jsonl`, an object a line with `sample_id` and, if there is one, `reason`:
            tombstones. Empty lines say nothing.

    Returns:
        Reasons by id, in the order of the file; empty where none is given.

    Raises:
        InputError: Not such a file, no id in it, or two reasons for one id.
        OSError: The file cannot be read.
    """
    reasons: dict[str, str] = {}
    for number, line in enumerate(list_lines(path), 1):
        if not line.strip():
            continue
        name, reason = _parse(line, path, number) if path.suffix == ".jsonl" else _split(line, path, number)
        if not name:
            raise InputError(f"{path}, line {number} has a reason but no sample id; expected the id before the tab")
        if reasons.setdefault(name, reason) != reason:
            raise InputError(
                f"{path} gives two reasons for {name}: {shown(reasons[name])} and {shown(reason)}; keep one"
            )
    if not reasons:
        raise InputError(f"{path} names no sample id; expected one a line")
    return reasons


def excluded_ids(path: Path | None) -> dict[str, str]:
    """Returns what `read_ids` reads of the file that a recipe's `exclude` names; none where it names none.

    Raises:
        InputError: As `read_ids`, or the file cannot be read.
    """
    try:
        return read_ids(path) if path is not None else {}
    except OSError as error:
        raise InputError(f"exclude: cannot read {path} ({error.strerror}); give a file of sample ids") from error


def _split(line: str, path: Path, number: int) -> tuple[str, str]:
    name, _, reason = line.rstrip("\r").partition("\t")
    name = name.strip()
    if name.startswith('"'):
        try:
            name = parse_json(name)
        except NotJsonError as error:
            raise InputError(
                f"{path}, line {number} starts with a quote, but is no text in JSON ({error}); write such an id "
                "as JSON does"
            ) from None
    return name, " ".join(reason.split())


def _parse(line: str, path: Path, number: int) -> tuple[str, str]:
    try:
        stone = parse_json(line)
        name, reason = stone["sample_id"], stone.get("reason") or ""
    except (InputError, KeyError, TypeError, AttributeError):
        name = reason = None
    if not isinstance(name, str) or not isinstance(reason, str):
        raise InputError(
            f"{path}, line {number} is no tombstone: expected an object with `sample_id`, got {shown(line)}"
        )
    return name, reason


def without(rows: Iterable[dict[str, Any]], ids: Mapping[str, str]) -> Iterator[dict[str, Any]]:
    """Yields the rows of a source; those that a build excludes with the reason `removed` and nothing of their content.

    Args:
        rows: As `sources.Source.read` gives them.
        ids: Excluded sample ids.
    """
    for row in rows:
        if row["sample_id"] in ids:
            row = {name: row[name] for name in KNOWN} | {name: [] for name in LIST_COLUMNS}
            row |= {"_split": None, "_reason": REMOVED}
        yield row


def read_tombstones(folder: Path) -> list[dict[str, Any]]:
    """Returns what was removed from a dataset so far, oldest first; raises InputError where the file is damaged."""
    path = folder / TOMBSTONES
    if not path.exists():
        return []
    remedy = "bring it back before rows are removed"
    stones = []
    for number, line in enumerate(list_lines(path), 1):
        try:
            stones += [make_record(Tombstone, parse_json(line), f"{path}, line {number},", remedy)] if line else []
        except NotJsonError as error:
            raise InputError(f"{path} is damaged in line {number} ({error}); {remedy}") from None
    return stones


def write_tombstones(folder: Path, stones: Sequence[dict[str, Any]]) -> None:
    """Writes all tombstones of a dataset, one a line with sorted keys, whole or not at all."""
    with atomic_path(folder / TOMBSTONES) as temporary:
        text = "".join(json.dumps(stone, sort_keys=True, ensure_ascii=False) + "\n" for stone in stones)
        temporary.write_text(text, encoding="utf-8")
