import importlib.util
import signal
import sys
from pathlib import Path

import pytest

from tests.mutants import reach, trials, worker
from tests.mutants.mutations import Mutation

SOURCE = """
LIMIT = 3

class Box:
    def size(self):
        return [x + 1 for x in range(LIMIT)]

def outer():
    def inner():
        return 1
    return inner()

def other():
    return LIMIT
"""


@pytest.fixture
def tree(tmp_path, monkeypatch):
    (tmp_path / "training").mkdir()
    (tmp_path / "training" / "__init__.py").touch()
    (tmp_path / "training" / "boxes.py").write_text(SOURCE)
    for module in (reach, trials):
        monkeypatch.setattr(module, "ROOT", tmp_path)
    return tmp_path


@pytest.mark.parametrize(
    ("line", "place"),
    [
        (2, None),
        (4, None),
        (5, ("Box.size", False)),
        (6, ("Box.size", True)),
        (10, ("outer", True)),
        (14, ("other", True)),
    ],
)
def test_a_line_stands_in_the_head_or_the_body_of_a_function_or_method_or_in_none(tree, line, place):
    assert reach.place_of(Path("training/boxes.py"), line) == place


@pytest.mark.parametrize(
    ("line", "tests"), [(2, ["quick", "slower"]), (6, ["quick", "slower"]), (9, ["slower"]), (14, [])]
)
def test_the_tests_of_a_line_are_those_that_call_its_function_the_quickest_first(tree, line, tests):
    size, outer = "training/boxes.py::Box.size", "training/boxes.py::outer"
    known = {
        "slower": reach.Reached(2.0, frozenset({size, outer})),
        "quick": reach.Reached(1.0, frozenset({size})),
        "none": reach.Reached(0.1, frozenset({"training/boxes_too.py::other"})),
    }
    assert reach.tests_that_reach(Path("training/boxes.py"), line, known) == tests


def test_a_fault_meets_its_own_tests_and_then_those_that_reach_it_or_are_nearest(tree):
    (tree / "training" / "lids.py").write_text("from training.boxes import outer\n")
    texts = {"test_boxes": "", "test_lids": "from training.lids import outer\n", "data/test_rows": "import numpy\n"}
    for name, text in texts.items():
        path = tree / "tests" / "training" / f"{name}.py"
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(text)
    own, lids, rows = (f"tests/training/{name}.py" for name in texts)
    known = {rows: reach.Reached(1.0, frozenset({"training/boxes.py::outer"}))}
    assert trials.test_sets(Path("training/boxes.py"), 9, known) == [[own], [rows]]
    assert trials.test_sets(Path("training/boxes.py"), 14, known) == [[own], [lids]]  # it imports what imports it


def run_in(tree, *plugins):
    """Runs the tests in `test_boxes.py` of a tree, where `training` is that tree's; returns the exit code."""

    def work():
        for name in [name for name in sys.modules if name.split(".")[0] == "training"]:
            del sys.modules[name]
        sys.path.insert(0, str(tree))
        return worker.run_pytest([str(tree / "test_boxes.py")], plugins=plugins)

    return worker.in_a_fork(work, 60)


def test_a_watch_sees_what_the_tests_of_a_file_call(tree):
    (tree / "test_boxes.py").write_text(
        "import pytest\n"
        "from training import boxes\n"
        "@pytest.fixture(scope='module')\n"
        "def made():\n"
        "    return boxes.outer()\n"
        "def test_one(made):\n"
        "    assert len(boxes.Box().size()) == 3\n"
    )
    assert run_in(tree, reach.Watch(tree, tree / "reach.jsonl")) == 0
    (found,) = reach.read_reach(tree / "reach.jsonl").items()
    assert found[0] == "test_boxes.py"
    assert found[1].functions == {"training/boxes.py::Box.size", "training/boxes.py::outer"}
    (tree / "test_boxes.py").write_text("")
    assert reach.read_reach(tree / "reach.jsonl") == {}  # it has changed


@pytest.fixture
def boxes(tree):
    spec = importlib.util.spec_from_file_location("boxes", tree / "training" / "boxes.py")
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


def test_a_fault_in_a_body_is_put_into_the_functions_that_are_there(tree, boxes):
    functions, box = worker.Functions(tree, frozenset({"training/boxes.py::other"})), boxes.Box()
    assert functions.patch("training/boxes.py", "Box.size", 6, SOURCE.replace("x + 1", "x + 5"))
    assert box.size() == [5, 6, 7]
    assert functions.patch("training/boxes.py", "outer", 10, SOURCE.replace("return 1", "return 2"))
    assert boxes.outer() == 2
    assert not functions.patch("training/boxes.py", "other", 14, SOURCE.replace("return LIMIT", "return -LIMIT"))
    assert boxes.other() == 3  # what it gave when tests were imported may have been kept


def test_processor_time_ends_what_has_no_end():
    def forever():
        while True:
            pass

    assert worker.in_a_fork(forever, 0.5) == -signal.SIGXCPU


@pytest.mark.slow
def test_a_lane_tells_faults_that_tests_notice_from_others():
    """In a function's body, by a worker that has imported it, and in a constant, by one that reads the file."""
    module, tests = "dataset_builder/groups/splits.py", [["tests/dataset_builder/groups/test_splits.py"]]
    source = (trials.ROOT / module).read_text()

    def fault(was, text):
        start = source.index(was)
        return Mutation("", source[:start].count("\n") + 1, start, start + len(was), text)

    in_body = [fault(was, text) for was, text in ((" < 0:", " > 0:"), (" < 0:", "  < 0:"))]
    constant = [fault(was, text) for was, text in (('SPLITS.index("train")', "9"), ("2**18", "2**19"))]
    with trials.Lane() as lane:
        for noticed, harmless in (in_body, constant):
            assert lane.run(trials.Trial(module, noticed, tests, 5.0)) == trials.CAUGHT
            assert lane.run(trials.Trial(module, harmless, tests, 5.0)) == trials.SURVIVED
        assert (lane.tree / module).read_text() == source and set(lane.workers) == {"warm", "cold"}
