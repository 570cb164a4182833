"""The folder that a build or captioning works in, `.work` of its output: begun whole, continued, shared by ranks.

Each of its files is listed in the manifest of the output folder before it is written, and goes when all is done.
"""

import fcntl
import logging
import time
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from contextlib import ExitStack, contextmanager, suppress
from pathlib import Path
from typing import Any

from dataset_builder.building.identity import compare
from dataset_builder.building.inputs import LISTING
from dataset_builder.building.work_files import KINDS, work_file
from dataset_builder.engine.tasks import result_file
from dataset_builder.shards.lines import rejected_file
from dataset_builder.shards.report import former_manifest
from dataset_builder.shards.report_parts import Identity
from fusionrs_hf.atomic import atomic_path, write_json
from fusionrs_hf.bounded_files import read_text
from fusionrs_hf.bounds import DIGITS
from fusionrs_hf.errors import InputError
from fusionrs_hf.folder_lock import NO_LOCKS, FolderInUseError
from fusionrs_hf.output_folder import OutputFolder, joining, writing
from fusionrs_hf.records import read_record

logger = logging.getLogger(__name__)

WORK = ".work"
AFTER_READING = ("name", "description", "attribution", "groups", "splits", "max_shard_bytes")  # keys of a recipe
IDENTITY, TASKS, WORLD, LIGHT = "identity.json", "tasks.jsonl", "world", "light.arrow"
PATIENCE_S, PAUSE_S = 2.0, 0.05  # of a rank, while another that began at the same moment leaves its plan


def start(
    output: OutputFolder | Path,
    identity: dict,
    prepare: Callable[[Path], Iterable[str]] = lambda work: (),
    listing: Path | None = None,
    files: Sequence[str] = (),
) -> None:
    """Makes the work folder, whole at once, or finds in it the same build, unfinished.

    What was read is kept where the recipe differs in `AFTER_READING` alone and nothing is written yet.

    Args:
        output: The output folder, held alone; where it is held together with others, its path: then it is compared.
        identity: Of the build.
        prepare: Puts what else belongs there into a new work folder, and returns the names that will be written in it;
            it may raise InputError, and then nothing is left.
        listing: The list of files that belongs to the identity.
        files: Names in the work folder that `prepare` writes.

    Raises:
        InputError: The folder holds another build.
    """
    if isinstance(output, Path):
        compare(_record(output), identity, output, output / WORK / LISTING, listing)
        return
    work = output.path / WORK
    if output.has(f"{WORK}/{IDENTITY}"):
        _continue(output, identity, listing)
        return
    output.discard()  # of a plan that was not ended
    try:
        output.claim(f"{WORK}/{name}" for name in (IDENTITY, *files))
        work.mkdir(exist_ok=True)
        output.claim(f"{WORK}/{name}" for name in prepare(work))
        write_json(work / IDENTITY, identity)  # last: it says that the plan is whole
    except InputError:
        output.discard()
        raise


def _continue(output: OutputFolder, identity: dict, listing: Path | None) -> None:
    out, work = output.path, output.path / WORK
    record = _record(out)
    read_alike = {**record, "recipe": _of_reading(record)} == {**identity, "recipe": _of_reading(identity)}
    if read_alike and record != identity and not any((out / name).exists() for name in output.listed("data")):
        logger.info("what was read in %s is kept; what changed in the recipe comes after it", out)
        output.delete(
            name for below in ("data", "quarantine", f"{WORK}/plan", f"{WORK}/write") for name in output.listed(below)
        )
        write_json(work / IDENTITY, identity)
        return
    compare(record, identity, out, work / LISTING, listing)
    logger.info("continuing the unfinished build in %s", out)


def _record(out: Path) -> dict[str, Any]:
    return read_record(out / WORK / IDENTITY, Identity, "give --overwrite to start anew")


def _of_reading(identity: Mapping[str, Any]) -> dict[str, Any]:
    return {key: value for key, value in identity["recipe"].items() if key not in AFTER_READING}


def is_begun(output: OutputFolder, identity: Mapping[str, Any]) -> bool:
    """Returns whether an output folder holds the work of this identity, unfinished."""
    return output.has(f"{WORK}/{IDENTITY}") and _record(output.path) == identity


def read_files(shards: int) -> Iterator[str]:
    """Yields the names, in the work folder, of all that reading some shards writes there."""
    for index in range(shards):
        yield from (work_file(Path(), kind, index).as_posix() for kind in KINDS)
        yield rejected_file(Path(), f"{index:06d}").as_posix()
        yield f"read/{result_file(index)}"


@contextmanager
def at_work(
    out: Path, begin: Callable[[OutputFolder | None], None], rank: int | None = None, world_size: int | None = None
) -> Iterator[OutputFolder | None]:
    """Holds an output folder while a build works in it: alone, or as one of several ranks of one world.

    A rank holds the folder alone until the plan is there, then together with the others.

    Args:
        out: Output folder.
        begin: Makes the work folder, or finds what is to be continued, as `start` does; called with None where another
            rank has: then it only compares.
        rank, world_size: Of this process; None: it works alone.

    Yields:
        The folder to write; None to a rank that found the plan of another.

    Raises:
        InputError: A process is at work that this one may not join.
    """
    with ExitStack() as lock:
        if rank is None:
            output = lock.enter_context(writing(out, "build", former=former_manifest))
            begin(output)
        else:
            output = _enter(lock, out, begin, world_size)
            if output is None or not output.manifest.finished:
                _take_rank(lock, out, rank)
        yield output


def _enter(
    lock: ExitStack, out: Path, begin: Callable[[OutputFolder | None], None], world_size: int
) -> OutputFolder | None:
    """Lets a rank in: alone it plans and lets others in; beside others it waits for their plan."""
    deadline, waiting = time.monotonic() + PATIENCE_S, False
    while True:
        with ExitStack() as attempt, suppress(FolderInUseError):
            output = attempt.enter_context(writing(out, "build", former=former_manifest))
            begin(output)
            if not output.manifest.finished:
                _make_world(output, world_size)
                output.share()
            lock.enter_context(attempt.pop_all())
            return output
        try:
            with ExitStack() as attempt:
                attempt.enter_context(joining(out, "build"))
                if is_planned := (out / WORK / IDENTITY).exists():
                    begin(None)
                    _check_world(out, world_size)
                    lock.enter_context(attempt.pop_all())
                    return None
        except FolderInUseError:
            is_planned = (out / WORK / IDENTITY).exists()
            if is_planned and time.monotonic() > deadline:  # who plans lets others in at once
                raise
        if not waiting:
            logger.info("waiting for another process, which plans the build in %s", out)
        waiting = True
        time.sleep(PAUSE_S)


def _make_world(output: OutputFolder, size: int) -> None:
    path = output.path / WORK / WORLD
    if last_world_size(path.parent) != size or not path.exists():
        output.claim(f"{WORK}/{name}" for name in (WORLD, *map("rank-{}".format, range(size))))
        with atomic_path(path) as temporary:
            temporary.write_text(str(size))


def _check_world(out: Path, size: int) -> None:
    if (running := last_world_size(out / WORK)) != size:
        raise InputError(
            f"processes with a world size of {running} are running in {out}; wait until they have ended, or stop them"
        )


def _take_rank(lock: ExitStack, out: Path, rank: int) -> None:
    file = lock.enter_context((out / WORK / f"rank-{rank}").open("a+"))
    try:
        fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError as error:
        raise InputError(f"rank {rank} is running already in {out}; wait until it has ended, or stop it") from error
    except OSError as error:
        if error.errno not in NO_LOCKS:
            raise


def last_world_size(work: Path) -> int:
    """Returns the world size of the ranks that were started last; 1 where there were none."""
    path = work / WORLD
    if not path.exists():
        return 1
    try:
        return int(read_text(path, DIGITS))
    except ValueError as error:
        raise InputError(f"{path} holds no number of ranks ({error}); give --overwrite to start anew") from None
