"""The folder that a build works in: begun whole, continued, locked, discarded."""

import errno
import fcntl
import json
import logging
import os
import shutil
from collections.abc import Callable, Iterator, Mapping
from contextlib import ExitStack, contextmanager, suppress
from pathlib import Path
from typing import Any
from uuid import uuid4

from dataset_builder.building.identity import compare
from dataset_builder.building.inputs import LISTING
from fusionrs_hf.atomic import write_json
from fusionrs_hf.errors import InputError

logger = logging.getLogger(__name__)

AFTER_READING = ("name", "description", "attribution", "groups", "splits", "max_shard_bytes")  # keys of a recipe
IDENTITY = "identity.json"
FULL = (errno.ENOSPC, errno.EDQUOT, errno.EFBIG)
CLOSED = (errno.EACCES, errno.EPERM, errno.EROFS)
THERE = (errno.EEXIST, errno.ENOTEMPTY)
NO_LOCKS = (errno.ENOLCK, errno.ENOSYS, errno.EOPNOTSUPP)  # of a file system


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
    record = json.loads((work / IDENTITY).read_text(encoding="utf-8"))
    read_alike = {**record, "recipe": _of_reading(record)} == {**identity, "recipe": _of_reading(identity)}
    if read_alike and record != identity and not any((out / "data").glob("*")):
        logger.info("what was read in %s is kept; what changed in the recipe comes after it", out)
        write_json(work / IDENTITY, identity)
        return
    compare(record, identity, out, work / LISTING, listing)
    if continued:
        logger.info("continuing the unfinished build in %s", out)


def _of_reading(identity: Mapping[str, Any]) -> dict[str, Any]:
    return {key: value for key, value in identity["recipe"].items() if key not in AFTER_READING}


def _begin(out: Path, work: Path, identity: dict, prepare: Callable[[Path], None]) -> None:
    existed = out.is_dir()
    if existed and (entries := sorted(name for name in os.listdir(out) if not name.startswith(work.name))):
        raise InputError(f"{out} is not empty and not a build of ours ({entries[0]}, ...); give a new or empty folder")
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
        if not existed:
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
