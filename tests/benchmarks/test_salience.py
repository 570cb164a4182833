"""What the eye sees first, matched blind: ids that tell nothing, answers that fit, figures by revision."""

import json

import pytest

from fusionrs_hf.errors import InputError
from tests.benchmarks.grounded_claims import salience
from tests.benchmarks.grounded_claims.things import write_lines

LOOKS = salience.first_looks()
TILE = next(iter(LOOKS))


def caption(revision, text):
    return {"tile": TILE, "scene": "made", "revision": revision, "caption": text}


@pytest.fixture
def both(tmp_path):
    """Captions of one tile by two revisions, a file each."""
    for revision, text in (("1", "It is dark."), ("2", "The river turns black.")):
        write_lines(tmp_path / f"{revision}.jsonl", [caption(revision, text)])
    return [tmp_path / "1.jsonl", tmp_path / "2.jsonl"]


def test_ids_do_not_tell_whose_caption_it_is(both):
    forward, backward = salience.with_ids(both), salience.with_ids(both[::-1])
    assert forward == backward and list(forward) == [f"{TILE}-a", f"{TILE}-b"]
    assert {tuple(row) for row in salience.blind(forward)} == {("id", "tile", "first_looks", "caption")}


def test_answers_are_joined_and_those_that_do_not_fit_are_named(both, tmp_path):
    rows, matched = salience.with_ids(both), tmp_path / "matched.jsonl"
    told = [False] * len(LOOKS[TILE])
    answers = [{"id": name, "told": told, "statements": 2, "false": 0} for name in rows]
    write_lines(matched, answers)
    assert [row["statements"] for row in salience.join(rows, matched)] == [2, 2]
    write_lines(matched, answers[:1])
    with pytest.raises(InputError, match=f"no answer to {TILE}-b"):
        salience.join(rows, matched)
    write_lines(matched, [answers[0] | {"told": [*told, True]}, answers[1]])
    with pytest.raises(InputError, match="line 1 does not fit"):
        salience.join(rows, matched)


def test_figures_are_shares_by_revision():
    rows = [
        {"revision": "1", "told": [True, False], "statements": 4, "false": 1},
        {"revision": "1", "told": [False, True], "statements": 4, "false": 0},
        {"revision": "2", "told": [False, False], "statements": 1, "false": 0},
    ]
    found = salience.figures(rows)
    assert (found["1"]["tells_the_first_look"]["share"], found["1"]["tells_a_look"]["share"]) == (0.5, 1.0)
    assert (found["1"]["looks_told_a_statement"], found["1"]["false_statements"]["share"]) == (0.25, 0.125)
    assert found["2"]["tells_a_look"]["hits"] == 0 and found["2"]["statements_a_caption"] == 1.0


def test_the_committed_figures_are_those_of_the_committed_answers():
    rows = [json.loads(line) for line in salience.FILE.read_text().splitlines()]
    committed = json.loads((salience.RESULTS / "caption_salience.json").read_text())
    assert json.loads(json.dumps(salience.figures(rows))) == committed["revisions"]
