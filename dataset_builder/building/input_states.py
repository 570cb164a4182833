"""Tells input files that change between a build's plan and the end of its reading, with what each held then and now.

A build's fingerprint describes the files as they were planned. When a build begins, each of its input files is hashed
once into the work folder; when all is read, those whose size, times or inode are others are hashed again. A file that
was written anew with the same bytes, or copied to another machine before the build was continued, is no change. What
a link leads to outside of its source's folder is no input, and never opened here.
"""

import gzip
import hashlib
import json
import logging
import os
from collections.abc import Callable, Iterable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from functools import lru_cache
from itertools import islice
from pathlib import Path
from typing import NamedTuple

from dataset_builder.building.inputs import CODE, Entry, listed
from dataset_builder.sources.formats.paths import printable
from fusionrs_hf.errors import InputError

logger = logging.getLogger(__name__)

STATES = "input_states.txt.gz"
ABSENT = "-"  # hash and signature of what cannot be read
THREADS, BATCH = 4, 256  # files that are hashed side by side, and looked at together
SHOWN = 3  # files in a message
CHUNK = 1 << 20  # bytes read at a time
HEX = 16  # digits of a hash in a message

File = tuple[Entry, Path, str]  # root, and name below it
Files = Callable[[], Iterable[File]]  # as of `inputs.entries`


class State(NamedTuple):
    """One input file: its place in a listing, what tells cheaply that it was written, and SHA-256 of its bytes."""

    place: tuple
    name: str
    signature: str
    sha256: str


def write_states(path: Path, listing: Path, files: Files) -> None:
    """Hashes the input files of a build, its code among them, into a compressed file of lines; memory does not grow.

    Args:
        path: File to write; it stays in the work folder and is no part of the dataset.
        listing: Of the build, as `inputs.write_listing` made it: what its identity says of the inputs.
        files: The entries of the same listing with their paths.

    Raises:
        InputError: A file is another than the listing says.
    """
    planned = listed(listing)
    with gzip.open(path, "wt", compresslevel=1, encoding="utf-8") as out, ThreadPoolExecutor(THREADS) as pool:
        inputs = iter(files())
        while chunk := list(islice(inputs, BATCH)):
            signatures = [_signature(root / name) for _, root, name in chunk]  # before the bytes: a later write shows
            digests = pool.map(_sha256, *zip(*((root, name) for _, root, name in chunk)))
            for (entry, *_), signature, digest in zip(chunk, signatures, digests, strict=True):
                if entry != next(planned, None):
                    raise _unplanned(entry)
                line = [entry.group, entry.root, entry.path, signature, digest]
                out.write(json.dumps(line, separators=(",", ":")) + "\n")
    if missing := next(planned, None):
        raise _unplanned(missing)


def _unplanned(entry: Entry) -> InputError:
    return InputError(
        f"input {printable(entry.path)} changed while the build was planned; leave the inputs alone and run the same "
        "command again"
    )


@contextmanager
def unchanged(path: Path, files: Files, drop: Callable[[], None]) -> Iterator[None]:
    """Holds what is read in the block against the states that were written when the build began.

    Args:
        path: Of `write_states`; where there is none, an older version began the build and nothing is compared.
        files: As of `write_states`, listed anew when the block has ended, well or by an InputError.
        drop: Forgets what was read, so that the same command reads anew.

    Raises:
        InputError: Files changed, with what they held and hold.
    """
    try:
        yield
    except InputError as error:  # such as an entry that is no longer where it was
        _compare(path, files, drop, error)
        raise
    _compare(path, files, drop, None)


def _compare(path: Path, files: Files, drop: Callable[[], None], cause: InputError | None) -> None:
    if not path.exists():
        return
    count, examples = 0, []
    for name, before, now in _changes(path, files):
        count += 1
        if len(examples) < SHOWN:
            examples.append(f"{printable(name)} (sha256 {_short(before)} when planned, {_short(now)} now)")
    if count:
        drop()
        more = ", ..." if count > SHOWN else ""
        raise InputError(
            f"{count} input file{'s' if count > 1 else ''} changed while the build was reading: "
            f"{', '.join(examples)}{more}; nothing read is kept: leave the inputs alone and run the same command again"
        ) from cause


def _short(digest: str) -> str:
    return "none: not there" if digest == ABSENT else digest[:HEX]


def _changes(path: Path, files: Files) -> Iterator[tuple[str, str, str]]:
    """Yields name, hash before and hash now of the files that hold something else, or are there no more.

    Files that were added since are not read, and not looked at.
    """
    now = iter(files())
    current = next(now, None)
    for state in _states(path):
        while current is not None and current[0].place < state.place:
            current = next(now, None)
        there = current is not None and current[0].place == state.place
        signature = _signature(current[1] / current[2]) if there else ABSENT
        if signature == state.signature:
            continue
        digest = _sha256(*current[1:]) if there else ABSENT
        if digest != state.sha256:
            yield state.name, state.sha256, digest
        elif digest != ABSENT and state.place[0] != CODE:  # code lies elsewhere where a build is continued elsewhere
            logger.warning("%s was written while the build was reading; it holds the same bytes", state.name)


def _states(path: Path) -> Iterator[State]:
    with gzip.open(path, "rt", encoding="utf-8") as lines:
        for line in lines:
            group, root, name, signature, digest = json.loads(line)
            yield State(Entry(group, root, "", name).place, name, signature, digest)


def _signature(file: Path) -> str:
    try:
        status = os.stat(file)
    except OSError:
        return ABSENT
    return f"{status.st_size} {status.st_mtime_ns} {status.st_ctime_ns} {status.st_ino}"


def _sha256(root: Path, name: str) -> str:
    path = os.path.join(root, name) if name else os.fspath(root)
    if name and not _is_below(path, root):
        return ABSENT
    try:
        digest = hashlib.sha256()
        with open(path, "rb", buffering=0) as opened:
            while data := opened.read(CHUNK):
                digest.update(data)
        return digest.hexdigest()
    except OSError:
        return ABSENT


def _is_below(path: str, root: Path) -> bool:
    """Tells whether no link leads from a root to elsewhere."""
    real = os.path.realpath(path) if os.path.islink(path) else _real_folder(os.path.dirname(path))
    return os.path.join(real, "").startswith(os.path.join(_real_folder(os.fspath(root)), ""))


@lru_cache(maxsize=1024)
def _real_folder(folder: str) -> str:
    return os.path.realpath(folder)
