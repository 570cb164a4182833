"""Which build a folder holds: builds of one identity give the same bytes; one may continue or stand for another."""

import hashlib
import json
import logging
import os
import platform
from collections.abc import Iterator, Mapping
from importlib.metadata import version
from pathlib import Path
from typing import Any

from dataset_builder.card import TEMPLATE, BuildReport
from dataset_builder.recipe import BuildRecipe
from dataset_builder.shards import atomic_path
from fusionrs_hf.errors import InputError

logger = logging.getLogger(__name__)

VERSIONED = ("datasets", "numpy", "pillow", "pyarrow", "scipy", "simplemma")  # what the bytes may depend on


def identity_of(recipe: BuildRecipe, out: Path) -> dict[str, Any]:
    """What the output is a function of; two builds with equal identities give the same bytes."""
    code = hashlib.sha256()
    package = Path(__file__).parent
    scaling = package.parent / "fusionrs_hf" / "processing_fusionrs_clip.py"
    for path in [*sorted(package.rglob("*.py")), package / "lexicon.yaml", scaling, TEMPLATE]:
        code.update(path.read_bytes())
    return {
        "recipe": recipe.echo(),
        "inputs": [_listing(spec, recipe.base, out) for spec in recipe.sources],
        "code": code.hexdigest(),
        "versions": {name: version(name) for name in VERSIONED} | {"python": platform.python_version()},
    }


def _listing(spec: Mapping[str, Any], base: Path, out: Path) -> str:
    """SHA-256 over names, relative to the source's paths, and sizes of the files there."""
    digest = hashlib.sha256()
    for name in ("path", "captions"):
        root = (base / str(spec.get(name, ""))).resolve()
        if name in spec and root.exists():
            for path in _files(root, out.resolve()):
                digest.update(f"{path.relative_to(root).as_posix()}\x1f{path.stat().st_size}\n".encode())
    return digest.hexdigest()


def _files(root: Path, out: Path) -> Iterator[Path]:
    """Files at or under `root`, but no hidden ones, no byte code, and nothing of the output."""
    for path in sorted(root.rglob("*")) if root.is_dir() else [root]:
        skipped = any(part.startswith((".", "__pycache__")) for part in path.relative_to(root).parts)
        if path.is_file() and not skipped and out not in path.parents:
            yield path


def fingerprint(identity: Mapping[str, Any]) -> str:
    """Returns SHA-256 of an identity, 64 hex digits."""
    return hashlib.sha256(json.dumps(identity, sort_keys=True).encode()).hexdigest()


def finished_report(out: Path, identity: dict) -> BuildReport | None:
    """Returns the report of a build that is whole and the same as wanted; raises InputError where it is another."""
    path = out / "build_report.json"
    if not path.exists():
        return None
    found = json.loads(path.read_text(encoding="utf-8"))
    _compare(found.get("identity", {}), identity, out)
    report = BuildReport(**found)
    missing = [name for name, file in report.files.items() if not _has_size(out / name, file["bytes"])]
    if missing:
        raise InputError(f"{out} was built, but {missing[0]} is missing or changed; delete the folder and build again")
    return report


def _has_size(path: Path, size: int) -> bool:
    return path.exists() and path.stat().st_size == size


def _compare(found: Mapping[str, Any], wanted: Mapping[str, Any], out: Path) -> None:
    before = found.get("recipe", {})
    changed = [f"recipe: {key}" for key, value in wanted["recipe"].items() if before.get(key) != value]
    changed += [key for key in ("inputs", "code", "versions") if found.get(key) != wanted[key]]
    if changed:
        raise InputError(
            f"{out} holds a build that differs from the one asked for ({', '.join(changed)} changed); "
            "delete it, or choose another output folder"
        )


def start(out: Path, work: Path, identity: dict) -> None:
    """Makes the work folder, or finds in it the same build, unfinished."""
    path = work / "identity.json"
    try:
        if path.exists():
            _compare(json.loads(path.read_text(encoding="utf-8")), identity, out)
            logger.info("continuing the unfinished build in %s", out)
            return
        if out.is_dir() and (found := sorted(set(os.listdir(out)) - {".work"})):
            raise InputError(
                f"{out} is not empty and not a build of ours ({found[0]}, ...); give a new or empty folder"
            )
        work.mkdir(parents=True, exist_ok=True)
        write_json(path, identity)
    except OSError as error:
        raise InputError(
            f"cannot write to {out} ({error.strerror}); give an output folder that can be made"
        ) from error


def write_json(path: Path, value: Any) -> None:
    """Writes a value as JSON with sorted keys, whole or not at all."""
    with atomic_path(path) as temporary:
        temporary.write_text(json.dumps(value, indent=1, sort_keys=True, ensure_ascii=False) + "\n", encoding="utf-8")
