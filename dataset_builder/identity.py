"""Which build a folder holds: builds of one identity give the same bytes; one may continue or stand for another."""

import errno
import fcntl
import hashlib
import json
import logging
import os
import platform
import shutil
import zlib
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import ExitStack, contextmanager, suppress
from dataclasses import asdict
from importlib.metadata import version
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any
from uuid import uuid4

from dataset_builder.inputs import CODE, LISTING, RECIPE, changes, write_listing
from dataset_builder.recipe import BuildRecipe
from dataset_builder.shards.report import BuildReport
from dataset_builder.tombstones import check_no_removal
from fusionrs_hf.atomic import write_json
from fusionrs_hf.errors import InputError

logger = logging.getLogger(__name__)

VERSIONED = ("datasets", "numpy", "pillow", "pyarrow", "scipy", "simplemma")  # what the bytes may depend on
AFTER_READING = ("name", "description", "attribution", "groups", "splits", "max_shard_bytes")  # keys of a recipe
IDENTITY = "identity.json"
FULL = (errno.ENOSPC, errno.EDQUOT, errno.EFBIG)
CLOSED = (errno.EACCES, errno.EPERM, errno.EROFS)
THERE = (errno.EEXIST, errno.ENOTEMPTY)
NO_LOCKS = (errno.ENOLCK, errno.ENOSYS, errno.EOPNOTSUPP)  # of a file system


def identity_of(
    recipe: BuildRecipe, out: Path, readers: Sequence[Any] = (), listing: Path | None = None
) -> dict[str, Any]:
    """What the output is a function of; two builds with equal identities give the same bytes.

    Args:
        recipe: The build.
        out: Its output folder, which is no input.
        readers: The open sources of the recipe.
        listing: Where to leave the list of files, for `changes`; None: nowhere.
    """
    named = {name: value for name, value in asdict(recipe).items() if name not in ("sources", "base", "rights_policy")}
    with TemporaryDirectory(prefix="fusionrs-") as scratch:
        path = listing or Path(scratch) / LISTING
        digests = write_listing(path, recipe.sources, readers, Path(recipe.base), named, out)
    return {
        "recipe": recipe.echo(),
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
    path = out / "build_report.json"
    if not path.exists():
        return None
    check_no_removal(out)
    found = json.loads(path.read_text(encoding="utf-8"))
    _compare(found.get("identity", {}), identity, out, out / LISTING, listing)
    report = BuildReport(**found)
    missing = [name for name, file in report.files.items() if not _has_size(out / name, file["bytes"])]
    if missing:
        raise InputError(f"{out} was built, but {missing[0]} is missing or changed; delete the folder and build again")
    return report


def _has_size(path: Path, size: int) -> bool:
    return path.exists() and path.stat().st_size == size


def _compare(
    found: Mapping[str, Any], wanted: Mapping[str, Any], out: Path, before: Path | None, after: Path | None
) -> None:
    known = found.get("recipe", {})
    changed = [
        f"recipe: {key} changed{_told(_differences(known.get(key), wanted['recipe'].get(key)))}"
        for key in sorted({*known, *wanted["recipe"]})
        if known.get(key) != wanted["recipe"].get(key)
    ]
    listed = before is not None and after is not None and before.exists()
    for key, group in (("inputs", None), ("code", CODE)):
        if found.get(key) != wanted[key]:
            changed.append(f"{key} changed{_told(changes(before, after, group) if listed else [])}")
    if found.get("versions") != wanted["versions"]:
        changed.append(f"versions changed{_told(_differences(found.get('versions'), wanted['versions']))}")
    if changed:
        raise InputError(
            f"{out} holds a build that differs from the one asked for: {'; '.join(changed)}; "
            "delete it, or choose another output folder"
        )


def _told(details: Sequence[str]) -> str:
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


def start(
    out: Path,
    work: Path,
    identity: dict,
    prepare: Callable[[Path], None] = lambda folder: None,
    listing: Path | None = None,
) -> None:
    """Makes the work folder, whole at once, or finds in it the same build, unfinished.

    Processes that start at the same moment end with one folder, made by one of them. What was read is kept where the
    recipe differs in `AFTER_READING` alone and nothing is written yet.

    Args:
        out, work: Output folder, and the work folder in it.
        identity: Of the build.
        prepare: Puts what else belongs there into a new work folder; it may raise InputError.
        listing: The list of files that belongs to the identity.

    Raises:
        InputError: The folder holds another build or something else, or cannot be written.
    """
    continued = (work / IDENTITY).exists()
    try:
        if not continued:
            _begin(out, work, identity, prepare)
    except OSError as error:
        if error.errno in FULL:
            raise
        raise InputError(
            f"cannot write to {out} ({error.strerror}); give an output folder that can be made"
        ) from error
    if not (work / IDENTITY).exists():
        raise InputError(f"{work} is no work folder of a build; delete it")
    found = json.loads((work / IDENTITY).read_text(encoding="utf-8"))
    read_alike = {**found, "recipe": _of_reading(found)} == {**identity, "recipe": _of_reading(identity)}
    if read_alike and found != identity and not any((out / "data").glob("*")):
        logger.info("what was read in %s is kept; what changed in the recipe comes after it", out)
        write_json(work / IDENTITY, identity)
        return
    _compare(found, identity, out, work / LISTING, listing)
    if continued:
        logger.info("continuing the unfinished build in %s", out)


def _of_reading(identity: Mapping[str, Any]) -> dict[str, Any]:
    return {key: value for key, value in identity["recipe"].items() if key not in AFTER_READING}


def _begin(out: Path, work: Path, identity: dict, prepare: Callable[[Path], None]) -> None:
    known = out.is_dir()
    if known and (found := sorted(name for name in os.listdir(out) if not name.startswith(work.name))):
        raise InputError(f"{out} is not empty and not a build of ours ({found[0]}, ...); give a new or empty folder")
    new = work.with_name(f"{work.name}-{uuid4().hex}")
    try:
        new.mkdir(parents=True)
        prepare(new)
        write_json(new / IDENTITY, identity)
        try:
            os.rename(new, work)
        except OSError as error:
            if error.errno not in THERE:
                raise
            logger.info("another process has planned the build in %s", out)
    finally:
        shutil.rmtree(new, ignore_errors=True)
        if not known:
            with suppress(OSError):
                out.rmdir()  # if nothing is in it


@contextmanager
def stops_in_a_line(out: Path) -> Iterator[None]:
    """Turns a full disk and a folder that cannot be written into an InputError that says how to go on."""
    try:
        yield
    except OSError as error:
        if error.errno in FULL:
            remedy = f"make room for {out}"
        elif error.errno in CLOSED and Path(error.filename or out).absolute().is_relative_to(out):
            remedy = f"make {out} writable"
        else:
            raise
        raise InputError(
            f"the build in {out} stopped: {os.strerror(error.errno)}; what is finished is kept: {remedy}, then run "
            "the same command again to continue"
        ) from error


def discard(work: Path) -> None:
    """Removes a work folder, and those of plans that were killed; one that is removed in part never looks whole."""
    if work.exists():
        os.rename(work, work.with_name(f"{work.name}-{uuid4().hex}"))
    for path in work.parent.glob(f"{work.name}-*"):
        shutil.rmtree(path, ignore_errors=True)


@contextmanager
def at_work(work: Path, rank: int = 0, world_size: int = 1) -> Iterator[None]:
    """Keeps a second process from the same tasks while the block runs: one process a rank, one world size at a time.

    A lock goes with its process, however it ends. Where a file system has none, nothing is kept out.

    Raises:
        InputError: Another process is at work.
    """
    with ExitStack() as held:
        _lock(held, work / f"world-{world_size}", fcntl.LOCK_SH, f"another build of {work.parent} is running")
        os.utime(work / f"world-{world_size}")  # for `last_world_size`
        _lock(held, work / f"rank-{rank}-of-{world_size}", fcntl.LOCK_EX, f"rank {rank} is running already")
        for other in work.glob("world-*"):
            if other.name != f"world-{world_size}":
                with ExitStack() as probe:
                    size = other.name.removeprefix("world-")
                    _lock(probe, other, fcntl.LOCK_EX, f"processes with a world size of {size} are running")
        yield


def _lock(held: ExitStack, path: Path, kind: int, busy: str) -> None:
    file = held.enter_context(path.open("a+"))
    try:
        fcntl.flock(file, kind | fcntl.LOCK_NB)
    except BlockingIOError as error:
        raise InputError(f"{busy} in {path.parent.parent}; wait until it has ended, or stop it") from error
    except OSError as error:
        if error.errno not in NO_LOCKS:
            raise


def last_world_size(work: Path) -> int:
    """Returns the world size of the ranks that were started last; 1 where there were none."""
    worlds = sorted(work.glob("world-*"), key=lambda path: path.stat().st_mtime_ns)
    sizes = [int(path.name.removeprefix("world-")) for path in worlds]
    return next((size for size in reversed(sizes) if size > 1), 1)
