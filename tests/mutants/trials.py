"""One fault against the tests: in a copy of the tree, in a process of its own that others' faults cannot reach."""

import contextlib
import hashlib
import importlib
import io
import os
import shutil
import signal
import subprocess
import sys
import tempfile
import time
from collections.abc import Sequence
from functools import cache
from pathlib import Path
from typing import Any, NamedTuple

from tests.house import PACKAGES, ROOT
from tests.mutants.mutations import Mutation

# What tests import that is not ours, once for all trials of a process: their import takes longer than most tests.
LIBRARIES = (
    "torch",
    "transformers",
    "datasets",
    "numpy",
    "scipy.ndimage",
    "scipy.stats",
    "pyarrow.parquet",
    "PIL.Image",
)
SECONDS = 400.0  # for one set of tests: a fault may make a loop endless
CAUGHT, SURVIVED, TIMED_OUT = "caught", "survived", "timed out"


class Trial(NamedTuple):
    """A fault of one file."""

    module: str
    fault: Mutation

    @property
    def key(self) -> str:
        """Names the fault, and the file and tests as they are."""
        sets = test_sets(Path(self.module))
        return _digest(repr(self.fault), *(ROOT / path for path in [self.module, *sum(sets, [])]))


@cache
def _content(path: Path) -> bytes:
    return path.read_bytes()


def _digest(text: str, *paths: Path) -> str:
    digest = hashlib.sha256(text.encode())
    for path in paths:
        digest.update(hashlib.sha256(_content(path)).digest())
    return digest.hexdigest()


def try_one(trial: Trial) -> dict[str, Any]:
    """Puts one fault to its tests, in a copy of the tree."""
    module, end = Path(trial.module), SURVIVED
    with tempfile.TemporaryDirectory() as folder:
        tree = copy_tree(Path(folder) / "tree")
        for tests in test_sets(module):
            end = tried(tree, module, trial.fault, tests)
            if end != SURVIVED:
                break
    source = (ROOT / module).read_text().encode()
    return {
        "key": trial.key,
        "module": trial.module,
        "line": trial.fault.line,
        "kind": trial.fault.kind,
        "text": source.splitlines()[trial.fault.line - 1].decode().strip(),
        "was": source[trial.fault.start : trial.fault.stop].decode()[:200],
        "is": trial.fault.text[:200],
        "end": end,
    }


def copy_tree(folder: Path) -> Path:
    """Copies the tree's files, committed or not, without those that git ignores, to a folder; returns it."""
    listed = subprocess.run(
        ["git", "ls-files", "-co", "--exclude-standard"], cwd=ROOT, check=True, capture_output=True, text=True
    )
    for name in listed.stdout.splitlines():
        if (ROOT / name).is_file():
            (folder / name).parent.mkdir(parents=True, exist_ok=True)
            shutil.copy2(ROOT / name, folder / name)
    return folder


def load_libraries() -> None:
    """Imports what is not ours, so that the processes of the trials find it imported, in the surroundings of tests."""
    for name in ("tests.conftest", *LIBRARIES):
        importlib.import_module(name)


def test_sets(module: Path) -> list[list[str]]:
    """Returns the tests a fault in a file is put to, one set after the other: its own tests, then those of its room.

    Args:
        module: The file, relative to the tree, such as `dataset_builder/groups/splits.py`.
    """
    room = Path("tests") / module.parent
    own = [
        path
        for path in (room / f"test_{module.stem}.py", room.parent / f"test_{room.name}.py")
        if (ROOT / path).is_file()
    ]
    sets = [[str(path)] for path in own]
    others = [path.relative_to(ROOT) for path in sorted((ROOT / room).rglob("test_*.py"))]
    sets.append([str(path) for path in others if path not in own])
    return [tests for tests in sets if tests]


def tried(tree: Path, module: Path, fault: Mutation, tests: Sequence[str]) -> str:
    """Runs tests with a fault in place and puts the file back; returns caught, survived or timed out."""
    path = tree / module
    source = path.read_text()
    path.write_text(fault.applied(source))
    try:
        return _run(tree, tests)
    finally:
        path.write_text(source)


def _run(tree: Path, tests: Sequence[str]) -> str:
    child = os.fork()
    if not child:
        code = 3
        try:
            os.setsid()
            code = _pytest(tree, tests)
        finally:
            os._exit(code)
    end = time.monotonic() + SECONDS
    while time.monotonic() < end:
        done, status = os.waitpid(child, os.WNOHANG)
        if done:
            return SURVIVED if os.waitstatus_to_exitcode(status) in (0, 5) else CAUGHT
        time.sleep(0.05)
    os.killpg(child, signal.SIGKILL)
    os.waitpid(child, 0)
    return TIMED_OUT


def _pytest(tree: Path, tests: Sequence[str]) -> int:
    """Runs the fast ones of some tests in this process, in the copy; returns pytest's exit code."""
    os.chdir(tree)
    os.environ |= {"PYTHONPATH": str(tree), "TMPDIR": str(tree.parent)}
    tempfile.tempdir = None
    sys.path[:] = [str(tree), *(path for path in sys.path if Path(path or ".").resolve() != ROOT)]
    for name in [name for name in sys.modules if name.split(".")[0] in ("tests", *PACKAGES)]:
        del sys.modules[name]
    sys.dont_write_bytecode = True  # two versions of a file within a second would look the same
    import pytest

    with contextlib.redirect_stdout(io.StringIO()), contextlib.redirect_stderr(io.StringIO()):
        return int(pytest.main(["-x", "-q", "-m", "not slow", "-p", "no:cacheprovider", *tests]))
