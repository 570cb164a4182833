"""Which build a folder holds: builds of one identity give the same bytes; one may continue or stand for another."""

import hashlib
import json
import logging
import platform
import zlib
from collections.abc import Mapping, Sequence
from importlib.metadata import version
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

from dataset_builder.building.inputs import CODE, LISTING, RECIPE, changes, write_listing
from dataset_builder.shards.report import BuildReport, build_report, check_whole
from fusionrs_hf.errors import InputError

logger = logging.getLogger(__name__)

VERSIONED = ("datasets", "numpy", "pillow", "pyarrow", "scipy", "simplemma")  # what the bytes may depend on


def identity_of(
    echo: Mapping[str, Any],
    out: Path,
    *,
    named: Mapping[str, Any] | None = None,
    sources: Sequence[Mapping[str, Any]] = (),
    base: Path = Path(),
    readers: Sequence[Any] = (),
    listing: Path | None = None,
) -> dict[str, Any]:
    """What the output is a function of; two builds with equal identities give the same bytes.

    Args:
        echo: The recipe as JSON gives it back, without absolute paths.
        out: The output folder, which is no input.
        named: Values that may name small files, which are inputs, too; see `BuildRecipe.named`.
        sources, readers: A recipe's sources, and their readers where they are open.
        base: Folder that the recipe's paths start from.
        listing: Where to leave the list of files, for `changes`; None: nowhere.
    """
    with TemporaryDirectory(prefix="fusionrs-") as scratch:
        path = listing or Path(scratch) / LISTING
        digests = write_listing(path, sources, readers, Path(base), named or {}, out)
    return {
        "recipe": dict(echo),
        "inputs": [digests[group] for group in sorted(digests) if group >= RECIPE],
        "code": digests[CODE],
        "versions": {
            **{name: version(name) for name in VERSIONED},
            "python": platform.python_version(),
            "zlib": zlib.ZLIB_RUNTIME_VERSION,  # of the PNG files that a build encodes
        },
    }


def fingerprint(identity: Mapping[str, Any]) -> str:
    """Returns SHA-256 of an identity, 64 hex digits."""
    return hashlib.sha256(json.dumps(identity, sort_keys=True).encode()).hexdigest()


def finished_report(out: Path, identity: dict, listing: Path | None = None) -> BuildReport | None:
    """Returns the report of a build that is whole and the same as wanted; raises InputError where it is another."""
    if (report := build_report(out)) is None:
        return None
    compare(report.identity, identity, out, out / LISTING, listing)
    check_whole(out, report.files, "delete the folder and build again")
    return report


def compare(
    held: Mapping[str, Any], wanted: Mapping[str, Any], out: Path, before: Path | None, after: Path | None
) -> None:
    """Raises InputError with what differs between the identity of the build that is there and the one asked for."""
    recipe = held.get("recipe", {})
    changed = [
        f"recipe: {key} changed{_bracketed(_differences(recipe.get(key), wanted['recipe'].get(key)))}"
        for key in sorted({*recipe, *wanted["recipe"]})
        if recipe.get(key) != wanted["recipe"].get(key)
    ]
    listed = before is not None and after is not None and before.exists()
    for key, group in (("inputs", None), ("code", CODE)):
        if held.get(key) != wanted[key]:
            changed.append(f"{key} changed{_bracketed(changes(before, after, group) if listed else [])}")
    if held.get("versions") != wanted["versions"]:
        changed.append(f"versions changed{_bracketed(_differences(held.get('versions'), wanted['versions']))}")
    if changed:
        raise InputError(
            f"{out} holds a build that differs from the one asked for: {'; '.join(changed)}; "
            "delete it, or choose another output folder, or give --overwrite to replace it"
        )


def _bracketed(details: Sequence[str]) -> str:
    return f" ({', '.join(details)})" if details else ""


def _differences(before: Any, now: Any, where: str = "") -> list[str]:
    """Returns what differs between two JSON values, in words, part by part."""
    if isinstance(before, list) and isinstance(now, list) and len(before) == len(now):
        before, now = ({str(place + 1): part for place, part in enumerate(value)} for value in (before, now))
    if isinstance(before, Mapping) and isinstance(now, Mapping):
        keys = [key for key in sorted({*before, *now}) if before.get(key) != now.get(key)]
        return [
            text
            for key in keys
            for text in _differences(before.get(key), now.get(key), f"{where}.{key}" if where else key)
        ]
    was, is_now = ("none" if value is None else json.dumps(value)[:60] for value in (before, now))
    return [f"{where + ' ' if where else ''}was {was}, is {is_now}"]
