"""M and N: a full disk, a read-only folder and a closed stderr end a verb as documented, with a way on."""

import os
import resource
import shutil
import signal
import subprocess
import sys
from collections.abc import Callable, Iterator
from functools import partial
from pathlib import Path

from tests.attacks.attack import Attack, Room, as_root_without_rights, assert_refused
from tests.attacks.kills import compared
from tests.attacks.kind_a import finished, ids_of
from tests.attacks.snapshots import difference, snapshot
from tests.attacks.stock import WRITERS

SIZES = (0, 700, 9_000, 60_000)  # bytes that a file may have: a disk that is full for what is larger
WAYS = ("same command", "fusionrs ", "make room", "make ", "give ", "writable")
IN_PLACE = ("remove", "publish")
PLACES = ("meta.json", "index.json", "adapter_config.json")  # they name their own folder


class SmallFiles:
    """No file may grow beyond a size: the verb goes on in a child, whose stderr this process passes on."""

    def __init__(self, size: int) -> None:
        self.size = size

    def __call__(self) -> None:
        reader, writer = os.pipe()
        child = os.fork()
        if child:
            os.close(writer)
            while data := os.read(reader, 65536):
                os.write(2, data)
            os._exit(os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]) & 0xFF)
        os.dup2(writer, 2)
        os.close(writer)
        os.close(reader)
        signal.signal(signal.SIGXFSZ, signal.SIG_IGN)
        resource.setrlimit(resource.RLIMIT_FSIZE, (self.size, resource.RLIM_INFINITY))


def command(room: Room, verb: str, out: Path) -> list[object]:
    if verb not in IN_PLACE:
        return WRITERS[verb](room.stock, out)
    if not out.exists():
        shutil.copytree(room.stock.base, out, symlinks=True)
    (room.path / "ids.txt").write_text("\n".join(ids_of(out)))
    option = ["--remove", room.path / "ids.txt"] if verb == "remove" else ["--publish", "full"]
    return ["build", out, *option, "--workers", 1]


def full_disk(room: Room, verb: str, size: int) -> None:
    whole = room.path / "whole" / "out"  # of the same name: a README may give it
    whole.parent.mkdir()
    done = room.run(command(room, verb, whole))
    assert done.code == 0, f"with room: {done.says()}"
    out = room.path / "out"
    arguments = command(room, verb, out)
    done = room.run(arguments, SmallFiles(size))
    if done.code != 0:
        assert_refused(done)
        line = done.error.strip().splitlines()[-1]
        assert any(way in line for way in WAYS), f"no way on is named: {line[:300]}"
        assert "Traceback" not in done.error
        done = room.run(arguments)
        assert done.code == 0, f"the same command does not go on: {done.says()}"
    change = difference(_without_places(compared(whole, verb)), _without_places(compared(out, verb)))
    assert not change, f"other bytes after going on: {change}"


def _without_places(held: dict[str, str]) -> dict[str, str]:
    """Files that name their own folder differ between two folders."""
    return {name: entry for name, entry in held.items() if name.split("/")[-1] not in PLACES}


def read_only(room: Room, verb: str, prepare: Callable[[Path], object]) -> None:
    """A folder in which nothing can be made."""
    parent = room.path / "closed"
    parent.mkdir()
    out = parent / "out"
    arguments = command(room, verb, out)
    prepare(out)
    before = snapshot(room.path)
    _close(parent)
    try:
        done = room.run(arguments, as_root_without_rights)
    finally:
        _open(parent)
    assert_refused(done)
    line = done.error.strip().splitlines()[-1]
    assert any(way in line for way in WAYS), f"no way on is named: {line[:300]}"
    assert not difference(before, snapshot(room.path))


def already_done(room: Room, verb: str) -> None:
    """A finished folder on a read-only disk: done already, nothing to do."""
    out = finished(room, verb) if verb not in IN_PLACE else None
    if verb == "publish":
        out = room.path / "out"
        arguments = command(room, verb, out)
        done = room.run(arguments)
        assert done.code == 0, done.says()
    else:
        arguments = WRITERS[verb](room.stock, out)
    before = snapshot(out)
    _close(out)
    try:
        done = room.run(arguments, as_root_without_rights)
    finally:
        _open(out)
    change = difference(before, snapshot(out))
    assert done.code == 0 or verb in ("convert", "export") and done.is_refusal(), (
        f"expected `nothing to do`, got {done.says()}"
    )
    assert not change, f"touched: {change}"


def _close(folder: Path) -> None:
    for path in (folder, *folder.rglob("*")):
        if not path.is_symlink():
            path.chmod(0o555 if path.is_dir() else 0o444)


def _open(folder: Path) -> None:
    for path in (folder, *folder.rglob("*")):
        if not path.is_symlink():
            path.chmod(0o755 if path.is_dir() else 0o644)


def closed_streams(room: Room, verb: str, closed: str) -> None:
    """The verb with streams closed: it does its work, and says so by its exit code."""
    out = room.path / "out"
    arguments = command(room, verb, out)
    script = f'exec {sys.executable} -m fusionrs_hf.cli "$@" {closed}'
    done = subprocess.run(["sh", "-c", script, "sh", *map(str, arguments)], timeout=240, stdin=subprocess.DEVNULL)
    assert done.returncode == 0, f"exit {done.returncode} with {closed}"
    whole = room.path / "whole" / "out"
    whole.parent.mkdir()
    assert room.run(command(room, verb, whole)).code == 0
    change = difference(_without_places(compared(whole, verb)), _without_places(compared(out, verb)))
    assert not change, f"other bytes with {closed}: {change}"
    inside = [path for path in out.rglob("*") if path.is_file() and b"shard/s]" in path.read_bytes()[:10_000]]
    assert not inside, f"what belongs on stderr is in {inside[0].name}"


def refusal_without_stderr(room: Room, verb: str) -> None:
    """A refusal is told by the exit code where there is no stderr."""
    out = room.path / "out"
    out.mkdir()
    (out / "thesis.txt").write_text("of the user\n")
    arguments = WRITERS[verb](room.stock, out)
    script = f'exec {sys.executable} -m fusionrs_hf.cli "$@" 2>&-'
    done = subprocess.run(["sh", "-c", script, "sh", *map(str, arguments)], timeout=240, stdin=subprocess.DEVNULL)
    assert done.returncode == 2, f"exit {done.returncode}, expected 2"
    assert os.listdir(out) == ["thesis.txt"]


STREAMS = ("2>&-", ">&- 2>&-", "<&- >&- 2>&-", "2>/dev/full")


def attacks() -> Iterator[Attack]:
    """Yields all attacks of these kinds."""
    for verb in (*WRITERS, *IN_PLACE):
        for size in SIZES:
            yield Attack(
                "M", verb, f"files of more than {size} bytes do not fit", partial(full_disk, verb=verb, size=size)
            )
        yield Attack("M", verb, "a read-only parent", partial(read_only, verb=verb, prepare=lambda out: None))
        if verb not in IN_PLACE:
            go = partial(read_only, verb=verb, prepare=lambda out: out.mkdir())
            yield Attack("M", verb, "an empty read-only folder", go)
        if verb != "remove":
            yield Attack("M", verb, "finished, on a read-only disk", partial(already_done, verb=verb))
        for closed in STREAMS if verb in ("build", "caption", "remove", "publish", "embed") else STREAMS[:1]:
            yield Attack("N", verb, f"with {closed}", partial(closed_streams, verb=verb, closed=closed))
    for verb in WRITERS:
        yield Attack("N", verb, "a refusal with 2>&-", partial(refusal_without_stderr, verb=verb))
