import ast
import json

import pytest

from tests.house import ROOT, source_files
from tests.mutants import __main__ as mutants
from tests.mutants import trials
from tests.mutants.mutations import mutations


def faulty(source):
    return {(fault.kind, fault.applied(source)) for fault in mutations(source)}


@pytest.mark.parametrize(
    ("source", "faults"),
    [
        ("a < b", {("comparison", "(a <= b)")}),
        ("x = a and b", {("condition dropped", "x = a"), ("condition dropped", "x = b"), ("and, or", "x = (a or b)")}),
        ("x = not a", {("sign", "x = a")}),
        (
            "x = 2 * (a + b)",
            {("off by one", "x = 3 * (a + b)"), ("operator", "x = (2 / (a + b))"), ("operator", "x = 2 * ((a - b))")},
        ),
        (
            "x = a.mean(axis=0)",
            {("opposite", "x = a.sum(axis=0)"), ("axis", "x = a.mean(axis=1)"), ("off by one", "x = a.mean(axis=1)")},
        ),
        ("x = F.normalize(v)", {("call lost", "x = v")}),
        ("a.add(b)", {("statement skipped", "pass")}),
        ("height, width = size", {("swapped", "width, height = size")}),
        ("if a:\n    return", {("guard lost", "pass")}),
        ("x = b if a else c", {("branch", "x = b"), ("branch", "x = c")}),
    ],
)
def test_each_kind_of_fault_is_put_where_it_belongs(source, faults):
    assert faulty(source) == faults


@pytest.mark.parametrize(
    "source",
    [
        '"""A page of 3 words."""',
        "x: int | None",
        "raise ValueError(f'{a + 1} is too many')",
        "logger.info('%d rows', rows + 1)",
        "x = 'a' + b",
        "def f(x: tuple[int, 3]) -> 'y < 2':\n    ...",
    ],
)
def test_what_decides_nothing_has_no_fault(source):
    assert faulty(source) == set()


def test_bytes_and_not_letters_are_counted():
    assert faulty("x = 'µ', 1") == {("off by one", "x = 'µ', 2")}


def test_every_fault_of_the_packages_is_source_again_and_differs():
    path = next(path for path in source_files() if path.name == "splits.py")
    source = path.read_text()
    found = mutations(source)
    assert len(found) > 100
    whole = ast.dump(ast.parse(source))
    for fault in found:
        assert ast.dump(ast.parse(fault.applied(source))) != whole, fault


def test_equivalent_faults_are_told_apart_by_the_text_of_their_line(tmp_path, monkeypatch):
    fault = {"module": "a.py", "kind": "off by one", "was": "1", "is": "2"}
    (tmp_path / "equivalent.jsonl").write_text(json.dumps({**fault, "text": "x = 1", "why": "x is not read"}))
    monkeypatch.setattr(mutants, "EQUIVALENT", tmp_path / "equivalent.jsonl")
    ends = {"x = 1": trials.SURVIVED, "y = 1": trials.SURVIVED, "z = 1": trials.CAUGHT, "w = 1": trials.TIMED_OUT}
    records = [{**fault, "text": text, "line": line, "end": end} for line, (text, end) in enumerate(ends.items(), 1)]
    found = mutants.summary(records, seed=3)
    assert (found["tried"], found["caught"], found["modules"]) == (3, 2, {"a.py": {"tried": 3, "caught": 2}})
    assert [survivor["text"] for survivor in found["survivors"]] == ["y = 1"]
    assert [(one["line"], one["why"]) for one in found["equivalent"]] == [(1, "x is not read")]


def test_what_is_listed_as_equivalent_is_still_in_its_file():
    for module, text, was, _ in mutants.equivalents():
        lines = [line.strip() for line in (ROOT / module).read_text().splitlines()]
        assert text in lines and was.partition("\n")[0] in text, (module, text)
