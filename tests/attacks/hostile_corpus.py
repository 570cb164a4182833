"""D, H and I: files that are not what their names say, over every verb that opens images or rasters, under strace.

Nothing that such a file names may be reached: no process, no socket but of this machine's own kind, no file outside.
"""

import os
import socket
import sys
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from functools import partial
from pathlib import Path

from tests.attacks import hostile_inputs, traced
from tests.attacks.attack import Attack, Room
from tests.attacks.hostile_inputs import Corpus
from tests.attacks.stock import ROOT

SYSTEM = (
    *{sys.prefix, sys.base_prefix, sys.exec_prefix, str(Path(sys.prefix).resolve())},
    *(str(ROOT), "/usr", "/lib", "/lib64", "/etc", "/sys", "/proc/", "/dev/null", "/dev/urandom", "/dev/random"),
    *("/dev/shm", "pipe:", "socket:", "anon_inode:", "/memfd:"),
)
NEVER = ("/proc/self/mem", "/dev/zero", "/dev/tty", "/dev/full")


@contextmanager
def listening() -> Iterator[tuple[int, list]]:
    """Yields a port on this machine, and the list of who called."""
    callers = []
    with socket.create_server(("127.0.0.1", 0)) as server:

        def accept() -> None:
            while True:
                try:
                    connection, address = server.accept()
                except OSError:
                    return
                callers.append(address)
                connection.close()

        threading.Thread(target=accept, daemon=True).start()
        yield server.getsockname()[1], callers
        server.shutdown(socket.SHUT_RDWR)


def caged(room: Room, commands: Callable[[Corpus], list[list[object]]]) -> None:
    """Runs the commands under strace; asserts that nothing was reached, and that none hangs."""
    if reason := traced.missing():
        raise AssertionError(f"cannot be shown: {reason}")
    with listening() as (port, callers):
        corpus = Corpus(room, port)
        traces = traced.trace(commands(corpus), room.path)
    faults = [f"somebody called: {callers[:2]}"] if callers else []
    if (corpus.outside / "ran").exists():
        faults.append("code was run")
    allowed = (
        *SYSTEM,
        str(room.path),
        str(room.stock.home),
        str(room.path.parent / "tmp"),
        str(room.path.parent / "hf"),
    )
    for one in traces:
        shown = " ".join(one.arguments[:3])[-120:] if one.arguments[0] != "python" else "predict"
        outside = sorted(
            name
            for name in one.files
            if name in NEVER
            or name.startswith(f"{corpus.outside}/")
            or not name.startswith((*allowed, "/tmp/fusionrs-", str(room.path.parent / "mpl")))
        )
        if one.arguments[0] == "search":  # what the user named, a link as well
            outside = [name for name in outside if name != os.path.realpath(one.arguments[3])]
        for what, held in (("process", one.processes), ("socket", one.sockets), ("file", outside)):
            faults += [f"{shown}: {what} {held[0]}"] if held else []
        if one.code is None:
            faults.append(f"{shown}: hangs")
        elif "Traceback" in one.error:
            faults.append(f"{shown}: {one.error.strip().splitlines()[-1][:200]}")
    assert not faults, f"{len(faults)} faults of {len(traces)} commands: " + "; ".join(faults[:6])


ALL_FORMATS = ("GTiff", "JP2OpenJPEG", "netCDF", "VRT")
OVER: dict[tuple[str, str], Callable[[Corpus], list[list[object]]]] = {
    ("build", "folder"): hostile_inputs.build_folder,
    ("build", "pairs"): hostile_inputs.build_pairs,
    ("build", "table"): hostile_inputs.build_table,
    ("build", "webdataset"): hostile_inputs.build_webdataset,
    ("build", "repository"): hostile_inputs.build_repository,
    ("build", "scenes"): partial(hostile_inputs.build_scenes, formats=None),
    ("build", "scenes of all formats"): partial(hostile_inputs.build_scenes, formats=ALL_FORMATS),
    ("embed", "scenes"): hostile_inputs.embed_scenes,
    ("embed", "rows"): hostile_inputs.embed_rows,
    ("audit", "rows and folders"): hostile_inputs.audit,
    ("caption", "rows"): hostile_inputs.caption,
    ("eval clip", "rows and folders"): hostile_inputs.score,
    ("train clip", "rows"): partial(hostile_inputs.train, verb="train clip"),
    ("train vlm", "rows"): partial(hostile_inputs.train, verb="train vlm"),
    ("search", "query files"): hostile_inputs.search,
    ("predict", "files"): hostile_inputs.predict,
}


def attacks() -> Iterator[Attack]:
    """Yields one attack for each verb and kind of input."""
    for (verb, name), commands in OVER.items():
        yield Attack("D, H, I", verb, f"a hostile corpus: {name}", partial(caged, commands=commands))
