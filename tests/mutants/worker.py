"""Runs tests with and without faults, in a copy of the tree: the process at the other end of a `Lane`.

    python -m tests.mutants.worker warm|cold

Requests and answers are lines of JSON. A warm worker has imported all tests and packages, and puts a fault into a
function by giving it other code; a cold one has imported libraries only, so that its tests read the file that has the
fault. Each set of tests runs in a process forked for it.
"""

import gc
import importlib
import json
import math
import os
import resource
import signal
import sys
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from pathlib import Path
from types import CodeType, FunctionType
from typing import Any

import pytest

from tests.house import ROOT
from tests.mutants.reach import Watch, called, fast_tests, function_names

# What tests import that is not ours, once for all trials: their import takes longer than most tests.
LIBRARIES = ("torch", "transformers", "datasets", "scipy.ndimage", "scipy.stats", "pyarrow.parquet", "PIL.Image")
WALL_SECONDS = 1800.0  # for one set of tests: a fault may wait for ever
ERROR = 4  # exit code of pytest that was called wrongly, and of whatever else cannot be done
COLD = 77  # exit code of a warm worker that cannot put a fault in


def run_pytest(tests: Sequence[str], *options: str, plugins: Sequence[object] = ()) -> int:
    """Runs the fast ones of some tests in this process; returns pytest's exit code."""
    return int(pytest.main(["-q", "-m", "not slow", "-p", "no:cacheprovider", *options, *tests], plugins=[*plugins]))


def in_a_fork(work: Callable[[], int], cpu_seconds: float) -> int | None:
    """Returns the exit code of work done in a process of its own; None: it did not end.

    Args:
        work: Returns the exit code.
        cpu_seconds: Of processor time, at which it ends by SIGXCPU: a busy machine does not change what is found.
    """
    child = os.fork()
    if not child:
        code = ERROR
        try:
            os.setsid()
            resource.setrlimit(resource.RLIMIT_CPU, (math.ceil(cpu_seconds), resource.RLIM_INFINITY))
            code = work()
        finally:
            os._exit(code)
    end = time.monotonic() + WALL_SECONDS
    while time.monotonic() < end:
        done, status = os.waitpid(child, os.WNOHANG)
        if done:
            return os.waitstatus_to_exitcode(status)
        time.sleep(0.02)
    os.killpg(child, signal.SIGKILL)
    os.waitpid(child, 0)
    return None


class Functions:
    """The functions that have been imported, so that they can be given other code.

    Args:
        root: Only those whose source lies below it.
        settled: Names, as in `reach`, of functions that have been called while tests were imported: what they gave may
            be kept, so that other code would come too late.
    """

    def __init__(self, root: Path, settled: frozenset[str]) -> None:
        self.root, self.settled = root, settled
        self.found: dict[tuple[str, str, int], list[FunctionType]] = {}
        for one in gc.get_objects():
            if isinstance(one, FunctionType) and one.__code__.co_filename.startswith(str(root)):
                self.found.setdefault(_place(one.__code__), []).append(one)

    def patch(self, module: str, function: str, line: int, source: str) -> bool:
        """Gives a function the code that it has in another source of its file; returns whether that could be done.

        Args:
            module: The file, relative to `root`.
            function: Such as `Class.method`.
            line: In the body of it.
            source: Differs from the file in that function's body alone.
        """
        path = str(self.root / module)
        every = _codes(compile(source, path, "exec", dont_inherit=True))
        named = [code for code in every if code.co_qualname == function and code.co_firstlineno <= line]
        code = max(named, key=lambda code: code.co_firstlineno)  # a property and its setter share a name
        functions = self.found.get(_place(code), [])
        same = all(known.__code__.co_freevars == code.co_freevars for known in functions)
        if not functions or not same or f"{module}::{function}" in self.settled:
            return False
        for known in functions:
            known.__code__ = code
        return True


def _place(code: CodeType) -> tuple[str, str, int]:
    return code.co_filename, code.co_qualname, code.co_firstlineno


def _codes(code: CodeType) -> Iterator[CodeType]:
    for part in code.co_consts:
        if isinstance(part, CodeType):
            yield part
            yield from _codes(part)


def answer(request: Mapping[str, Any], functions: Functions | None) -> int | None:
    """Does what a request wants; returns the exit code of its tests, or `COLD`.

    Args:
        request: `tests`, their files; `cpu_seconds`; and either `log`, for a `Watch`, or `fault`, what `patch` takes.
        functions: Of a warm worker.
    """
    tests = request["tests"]

    def work() -> int:
        if "log" in request:
            return run_pytest(tests, plugins=[Watch(ROOT, Path(request["log"]))])
        if functions is not None and not functions.patch(*request["fault"]):
            return COLD
        return run_pytest(tests, "-x")

    return in_a_fork(work, request["cpu_seconds"])


def main() -> None:
    """Answers until there is nothing more to read."""
    answers = os.fdopen(os.dup(1), "w", buffering=1)
    nowhere = os.open(os.devnull, os.O_WRONLY)
    for number in (1, 2):
        os.dup2(nowhere, number)
    for name in ("tests.conftest", *LIBRARIES):
        importlib.import_module(name)
    functions = None
    if sys.argv[1] == "warm":
        with called() as codes:
            run_pytest(fast_tests(), "--collect-only")
        functions = Functions(ROOT, function_names(ROOT, codes))
    gc.freeze()
    answers.write("ready\n")
    for line in sys.stdin:
        answers.write(json.dumps(answer(json.loads(line), functions)) + "\n")


if __name__ == "__main__":
    main()
