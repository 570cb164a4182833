"""A fault, the tests that it is put to, and the lane in which that happens: a copy of the tree and two workers."""

import hashlib
import json
import os
import shutil
import signal
import subprocess
import sys
import tempfile
from collections.abc import Mapping, Sequence
from functools import cache
from pathlib import Path
from typing import Any, NamedTuple, Self

from tests.house import ROOT
from tests.mutants.mutations import Mutation
from tests.mutants.reach import Reached, nearest_tests, place_of, tests_that_reach
from tests.mutants.worker import COLD, ERROR

CPU_SECONDS, CPU_TIMES = 60.0, 4.0  # for one set of tests, and times what it takes: a fault may make a loop endless
WATCH_SECONDS = 1800.0
CAUGHT, SURVIVED, TIMED_OUT = "caught", "survived", "timed out"


class Trial(NamedTuple):
    """A fault of one file, and the sets of tests that it is put to, one after the other."""

    module: str
    fault: Mutation
    sets: list[list[str]]
    seconds: float  # that the tests take without a fault

    @classmethod
    def of(cls, module: str, fault: Mutation, known: Mapping[str, Reached]) -> "Trial":
        """Makes a trial with its tests, by what is known of what they reach."""
        sets = test_sets(Path(module), fault.line, known)
        return cls(module, fault, sets, sum(known[test].seconds for test in sum(sets, []) if test in known))

    @property
    def key(self) -> str:
        """Names the fault, and the file and tests as they are."""
        return _digest(repr(self.fault), *(ROOT / path for path in [self.module, *sum(self.sets, [])]))


@cache
def _content(path: Path) -> bytes:
    return path.read_bytes()


def _digest(text: str, *paths: Path) -> str:
    digest = hashlib.sha256(text.encode())
    for path in paths:
        digest.update(hashlib.sha256(_content(path)).digest())
    return digest.hexdigest()


class Lane:
    """A copy of the tree, and two workers in it that run tests; as a context manager.

    Attributes:
        tree: The copy.
    """

    def __enter__(self) -> Self:
        self.folder = tempfile.TemporaryDirectory()
        self.tree = copy_tree(Path(self.folder.name).resolve() / "tree")
        self.workers: dict[str, subprocess.Popen] = {}
        return self

    def __exit__(self, *error: object) -> None:
        for worker in self.workers.values():
            worker.stdin.close()
            worker.wait()
        self.folder.cleanup()

    def ask(self, kind: str, **request: Any) -> int | None:
        """Returns a worker's answer; it is started when it is first asked."""
        if kind not in self.workers:
            surroundings = {"PYTHONPATH": str(self.tree), "TMPDIR": self.folder.name, "PYTHONDONTWRITEBYTECODE": "1"}
            self.workers[kind] = subprocess.Popen(
                [sys.executable, "-m", "tests.mutants.worker", kind],
                cwd=self.tree,
                env=os.environ | surroundings,
                stdin=subprocess.PIPE,
                stdout=subprocess.PIPE,
                text=True,
            )
            self.workers[kind].stdout.readline()
        worker = self.workers[kind]
        worker.stdin.write(json.dumps(request) + "\n")
        worker.stdin.flush()
        return json.loads(worker.stdout.readline())

    def watch(self, tests: Sequence[str], log: Path) -> None:
        """Runs tests and writes down what they reach."""
        self.ask("warm", tests=list(tests), cpu_seconds=WATCH_SECONDS, log=str(log))

    def run(self, trial: Trial) -> str:
        """Puts one fault to its tests; returns caught, survived or timed out."""
        path = self.tree / trial.module
        source = path.read_text()
        faulty = trial.fault.applied(source)
        place = place_of(Path(trial.module), trial.fault.line)
        seconds = CPU_SECONDS + CPU_TIMES * trial.seconds
        path.write_text(faulty)  # also for what runs in processes of its own
        try:
            for tests in trial.sets:
                status = COLD
                if place is not None and place.in_body:
                    fault = [trial.module, place.function, trial.fault.line, faulty]
                    status = self.ask("warm", tests=tests, cpu_seconds=seconds, fault=fault)
                if status == COLD:
                    status = self.ask("cold", tests=tests, cpu_seconds=seconds)
                if status == ERROR:
                    raise RuntimeError(f"{tests} cannot be run")
                if status not in (0, 5):
                    return TIMED_OUT if status in (None, -signal.SIGXCPU) else CAUGHT
        finally:
            path.write_text(source)
        return SURVIVED


def record(trial: Trial, end: str) -> dict[str, Any]:
    """Returns what is written down of a trial."""
    source = (ROOT / trial.module).read_text().encode()
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


def test_sets(module: Path, line: int, known: Mapping[str, Reached]) -> list[list[str]]:
    """Returns the tests a fault in a file is put to, one set after the other.

    First the file's own tests, then all others that reach the line's function; where none is known to, those nearest
    by what they import.

    Args:
        module: The file, relative to the tree, such as `dataset_builder/groups/splits.py`.
        line: Of the fault.
        known: What tests reach, by their file.
    """
    room = Path("tests") / module.parent
    own = [
        path.as_posix()
        for path in (room / f"test_{module.stem}.py", room.parent / f"test_{room.name}.py")
        if (ROOT / path).is_file()
    ]
    others = tests_that_reach(module, line, known) or nearest_tests(module)
    return [tests for tests in (own, [path for path in others if path not in own]) if tests]
