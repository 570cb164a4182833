"""Which tests reach which functions, measured once: a fault is put to those tests only that can notice it.

Functions are named as `module.py::Class.method`, tests by their file. What runs in a process of its own (a worker, a
command) is not seen, nor what an import runs.
"""

import ast
import hashlib
import json
import sys
import threading
import time
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from functools import cache
from pathlib import Path
from types import CodeType, FrameType
from typing import NamedTuple

import pytest

from tests.house import PACKAGES, ROOT, Graph, import_graph, imported_names, module_name, syntax_tree

NEAREST = 8  # test files, where it is not known which reach a function


class Reached(NamedTuple):
    """What the fast tests of one file have called, and the seconds that it took while it was watched."""

    seconds: float
    functions: frozenset[str]


@contextmanager
def called() -> Iterator[dict[int, CodeType]]:
    """While in the context, notes the code of every Python function that is called, by its identity."""
    codes: dict[int, CodeType] = {}  # a hash of a code object would be computed anew each time

    def note(frame: FrameType, event: str, value: object) -> None:
        codes.setdefault(id(frame.f_code), frame.f_code)

    threading.settrace(note)
    sys.settrace(note)
    try:
        yield codes
    finally:
        sys.settrace(None)
        threading.settrace(None)


def function_names(tree: Path, codes: Mapping[int, CodeType]) -> frozenset[str]:
    """Returns the names of those functions whose source lies in a package of a tree."""
    names = set()
    for code in codes.values():
        path = Path(code.co_filename)
        if path.is_relative_to(tree) and path.relative_to(tree).parts[0] in PACKAGES:
            names.add(f"{path.relative_to(tree).as_posix()}::{code.co_qualname.partition('.<locals>')[0]}")
    return frozenset(names)


class Watch:
    """A plugin of pytest that writes a line for every test file as it ends: its hash, seconds and functions.

    Args:
        tree: Copy of the tree in which the tests run.
        log: Lines are added to it.
    """

    def __init__(self, tree: Path, log: Path) -> None:
        self.tree, self.log = tree, log
        self.path: Path | None = None
        self.codes: dict[int, CodeType] = {}
        self.seconds = 0.0

    @pytest.hookimpl(wrapper=True)
    def pytest_runtest_protocol(self, item: pytest.Item) -> Iterator[None]:
        """Watches a test with its fixtures."""
        if item.path != self.path:
            self.write()
            self.path, self.codes, self.seconds = item.path, {}, 0.0
        started = time.monotonic()
        with called() as codes:
            try:
                return (yield)
            finally:
                self.codes |= codes
                self.seconds += time.monotonic() - started

    def pytest_sessionfinish(self) -> None:
        """Writes the last file's line."""
        self.write()

    def write(self) -> None:
        """Writes what is known of the file whose tests have ended."""
        if self.path is None:
            return
        line = {"test": self.path.relative_to(self.tree).as_posix(), "hash": content_hash(self.path)}
        line |= {"seconds": round(self.seconds, 2), "functions": sorted(function_names(self.tree, self.codes))}
        with self.log.open("ab", buffering=0) as file:  # in one piece: several processes write
            file.write(json.dumps(line).encode() + b"\n")


def content_hash(path: Path) -> str:
    """Returns a hash of a file's bytes."""
    return hashlib.sha256(path.read_bytes()).hexdigest()


def read_reach(log: Path) -> dict[str, Reached]:
    """Returns what is known of the test files that are still as they were, by their names."""
    found = {}
    for line in map(json.loads, log.read_text().splitlines() if log.exists() else ()):
        path = ROOT / line["test"]
        if path.is_file() and content_hash(path) == line["hash"]:
            found[line["test"]] = Reached(line["seconds"], frozenset(line["functions"]))
    return found


def fast_tests() -> list[str]:
    """Returns the names of all test files of the packages' rooms."""
    rooms = (ROOT / "tests" / package for package in PACKAGES)
    return sorted(path.relative_to(ROOT).as_posix() for room in rooms for path in room.rglob("test_*.py"))


class Place(NamedTuple):
    """The function or method that a line stands in, as `Class.method`, and whether in its body, below its head."""

    function: str
    in_body: bool


def place_of(module: Path, line: int) -> Place | None:
    """Returns the function that a line of a file stands in; None: in none."""
    names, body = [], syntax_tree(ROOT / module).body
    while True:
        kinds = (ast.ClassDef, ast.FunctionDef, ast.AsyncFunctionDef)
        inside = [node for node in body if isinstance(node, kinds) and node.lineno <= line <= node.end_lineno]
        if not inside:
            return None
        names.append(inside[0].name)
        body = inside[0].body
        if not isinstance(inside[0], ast.ClassDef):
            return Place(".".join(names), inside[0].lineno < body[0].lineno <= line)


def tests_that_reach(module: Path, line: int, known: Mapping[str, Reached]) -> list[str]:
    """Returns the test files that call what a line stands in, the quickest first.

    A line outside of functions is read by whoever calls any function of its file.
    """
    place = place_of(module, line)
    start = f"{module.as_posix()}::{place.function if place else ''}"
    reaching = [
        test
        for test, reached in known.items()
        if (start in reached.functions if place else any(name.startswith(start) for name in reached.functions))
    ]
    return sorted(reaching, key=lambda test: (known[test].seconds, test))


def nearest_tests(module: Path) -> list[str]:
    """Returns the test files that import a file, or else what imports it, and so on: `NEAREST`, its room's first."""
    graph, tests = _imports(ROOT)
    room = f"tests/{module.parent.as_posix()}/"
    level = seen = {module_name(ROOT / module, ROOT)}
    while level:
        if found := [test for test, names in tests.items() if names & level]:
            return sorted(found, key=lambda test: (not test.startswith(room), test))[:NEAREST]
        level = {name for name, targets in graph.items() if targets & level} - seen
        seen = seen | level
    return []


@cache
def _imports(root: Path) -> tuple[Graph, Graph]:
    """What the packages' files import of each other, and the test files of them."""
    tests = {}
    for test in fast_tests():
        names = imported_names(root / test, root)
        tests[test] = {name for name, _ in names} | {f"{name}.{item}" for name, item in names}
    return import_graph(root), tests
