"""The set of statements about things: how its tiles are drawn, how it is joined, and how it is scored."""

import json
from collections import Counter

import numpy as np
import pytest

from fusionrs_hf.errors import InputError
from tests.benchmarks.grounded_claims import score, things, tiles

INDEX = tiles.read_index()
SAMPLE_TILES = [tile for tile in INDEX.values() if tile["source"] == "sample"]
OPEN = next(tile for tile in SAMPLE_TILES if tile["part"] == "open")
SEALED = [tile for tile in SAMPLE_TILES if tile["part"] == "sealed"][:2]


def written(tile: dict, statement: str, truth: bool, **changes: object) -> dict:
    line = {"tile": tile["tile"], "writer": tile["annotator"], "kind": "part", "statement": statement, "truth": truth}
    return line | changes


@pytest.fixture
def annotations(tmp_path):
    """Three statements; each writer's truth comes first in the file."""
    path = tmp_path / "written.jsonl"
    rows = [
        written(OPEN, "The infrared image is bright.", True),
        written(SEALED[0], "The infrared image is very dark.", False),
        written(SEALED[1], "The dark road crosses a pale field.", True, kind="line"),
    ]
    things.write_lines(path, rows)
    return path


def test_the_committed_index_is_what_the_seed_draws():
    assert tiles.draw() == list(INDEX.values())


def test_no_tile_shows_a_place_of_another_set_or_of_another_tile():
    rows = [json.loads(x) for name in tiles.PLAIN_SETS for x in (tiles.HERE / f"{name}.jsonl").open()]
    places = [tiles.place_of(tile["sample_id"]) for tile in SAMPLE_TILES]
    assert len(places) == len(set(places)) == 60 + 80
    assert not set(places) & {tiles.place_of(row["sample_id"]) for row in rows}


def test_every_scene_is_in_both_parts_and_both_halves():
    parts = Counter((tile["scene"], tile["part"]) for tile in INDEX.values())
    assert (parts["spyndex", "open"], parts["satsense", "sealed"]) == (4, 3)
    assert sum(count for (_, part), count in parts.items() if part == "open") == 20
    assert Counter(tile["annotator"] for tile in INDEX.values()) == {"A": 40, "B": 40, "C": 40, "D": 40}


def test_the_second_draw_practises_on_training_tiles_and_is_sealed_on_test_tiles():
    second = [tile for tile in INDEX.values() if tile["tile"].startswith("u")]
    assert Counter((tile["split"], tile["part"]) for tile in second) == {
        ("train", "practice"): 40,
        ("test", "sealed_second"): 40,
    }


def test_a_sheet_shows_rgb_left_and_infrared_right_at_seven_times():
    pair = tiles.read_pairs([OPEN], None)[OPEN["tile"]]
    infrared, rgb = np.zeros_like(pair[0]), np.full_like(pair[1], 255)
    page = np.asarray(tiles.sheet("t01", (infrared, rgb)))
    assert page.shape == (tiles.SIDE + tiles.CAPTION, 2 * tiles.SIDE + tiles.GAP, 3)
    assert page[: tiles.SIDE, : tiles.SIDE + tiles.GAP].min() == 255
    assert page[: tiles.SIDE, tiles.SIDE + tiles.GAP :].max() == 0


def test_a_packages_scene_is_displayed_by_percentiles_of_its_valid_pixels(tmp_path):
    bands = np.stack([np.arange(400).reshape(20, 20)] * 4)
    bands[:, 0, 0] = 9999
    (tmp_path / "scene.json").write_text(json.dumps(bands.tolist()))
    digest = tiles.file_sha256(tmp_path / "scene.json")
    scene = tiles.PackageScene("made", "scene.json", digest, tiles.read_nested_list, (0, 0), 10, 2, 9999)
    shown = scene.open(tmp_path)
    # 1 to 399 are valid: their 1st and 99th percentile are 4.98 and 395.02
    assert (scene.limits(bands[0]), shown.dtype) == ((5, 395), np.uint8)
    assert (shown[0, 0, 5], shown[0, 10, 0], shown[0, 19, 15]) == (0, 128, 255)
    assert scene.places() == [(0, 0), (0, 10), (10, 0), (10, 10)]
    (tmp_path / "scene.json").write_text("[]")
    with pytest.raises(InputError, match=r"has SHA-256 .*, expected .*install made again"):
        scene.open(tmp_path)


def test_tiles_of_packages_ask_for_their_folder():
    with pytest.raises(InputError, match="tiles of spyndex need --packages"):
        tiles.read_pairs([tile for tile in INDEX.values() if tile["scene"] == "spyndex"], None)


def test_the_second_reader_sees_neither_truth_nor_kind_nor_writer(annotations):
    rows = things.read_statements([annotations], INDEX)
    shown = things.blind(rows)
    assert {tuple(row) for row in shown} == {("id", "tile", "statement")}
    assert sorted(row["id"] for row in shown) == sorted(row["id"] for row in rows)


def test_ids_tell_nothing_of_the_order_of_writing(tmp_path):
    lines = [written(OPEN, f"Statement {number}.", number < 3) for number in range(6)]
    ids = []
    for order in (lines, lines[::-1]):
        things.write_lines(tmp_path / "a.jsonl", order)
        ids.append({row["statement"]: row["id"] for row in things.read_statements([tmp_path / "a.jsonl"], INDEX)})
    assert ids[0] == ids[1]
    assert [ids[0][line["statement"]] for line in lines] != sorted(ids[0].values())


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"tile": "t99"}, "tile 't99', expected one of"),
        ({"writer": "C"}, "by writer 'C' about"),
        ({"kind": "tone"}, "kind 'tone', expected one of part, line"),
        ({"truth": "false"}, "truth 'false', expected true or false"),
        ({"statement": " "}, "no text in `statement`"),
        ({"note": "?"}, "expected exactly the fields"),
    ],
)
def test_a_bad_line_is_named(tmp_path, changes, message):
    things.write_lines(tmp_path / "a.jsonl", [written(OPEN, "A road.", True) | changes])
    with pytest.raises(InputError, match=f"a.jsonl, line 1 .*{message}"):
        things.read_statements([tmp_path / "a.jsonl"], INDEX)


def test_a_statement_without_second_reading_is_named(annotations):
    rows = things.read_statements([annotations], INDEX)
    with pytest.raises(InputError, match="3 statements have no second reading"):
        things.join(rows, {}, INDEX)


def join(annotations, tmp_path, readings):
    rows = things.read_statements([annotations], INDEX)
    truths = [{"id": row["id"], "truth": readings.get(row["tile"], row["truth"])} for row in rows]
    things.write_lines(tmp_path / "second.jsonl", truths)
    with pytest.raises(SystemExit) as left:
        names = ["--annotations", str(annotations), "--second", str(tmp_path / "second.jsonl")]
        things.main(["join", *names, "--out", str(tmp_path)])
    assert left.value.code == 0


def test_parts_share_no_tile_and_disputed_ones_are_not_scored(annotations, tmp_path):
    join(annotations, tmp_path, {SEALED[1]["tile"]: None})
    parts = {part: [json.loads(x) for x in (tmp_path / f"things_{part}.jsonl").open()] for part in ("open", "sealed")}
    assert [row["tile"] for row in parts["open"]] == [OPEN["tile"]]
    assert {row["tile"] for row in parts["sealed"]} == {tile["tile"] for tile in SEALED}
    result = score.score_things("things_sealed", None, tmp_path)
    assert (result["statements"], result["disputed"], result["claims"]) == (2, 1, 1)


def test_scores_come_by_scene_and_with_intervals(annotations, tmp_path, monkeypatch):
    answers = {
        "The infrared image is bright.": "supported",
        "The infrared image is very dark.": "contradicted",
        "The dark road crosses a pale field.": "contradicted",
    }
    monkeypatch.setattr(score, "verdict", lambda text, facts: answers[text])
    join(annotations, tmp_path, {})
    result = score.score_things("things_sealed", None, tmp_path)
    # Wilson for 1 of 2: centre .5, half width z / sqrt(2 + z^2) / 2 = .405
    assert result["precision"] == {"hits": 1, "of": 2, "share": 0.5, "interval": [0.0945, 0.9055]}
    assert result["recall"]["share"] == 1.0
    assert result["abstained_true"]["hits"] == result["abstained_false"]["hits"] == 0
    assert set(result["by_scene"]) == {tile["scene"] for tile in SEALED}
    opened = score.score_things("things_open", None, tmp_path)
    assert (opened["confusion"]["true"]["supported"], opened["errors"]) == (1, [])


def test_of_sealed_statements_only_figures_come_out(annotations, tmp_path, monkeypatch, capsys):
    monkeypatch.setattr(score, "verdict", lambda text, facts: "contradicted")
    join(annotations, tmp_path, {})
    for module, name in ((score, "HERE"), (score, "RESULTS")):
        monkeypatch.setattr(module, name, tmp_path)
    capsys.readouterr()
    score.main(["things_sealed"])
    shown = capsys.readouterr()
    said = shown.out + shown.err + (tmp_path / "grounded_claims_things_sealed.json").read_text()
    for row in map(json.loads, (tmp_path / "things_sealed.jsonl").open()):
        assert row["statement"] not in said
        assert row["id"] not in said
    assert "precision: 0.500" in said
    score.main(["things_open"])
    assert "The infrared image is bright." in capsys.readouterr().out


def test_true_sentences_are_counted_by_verdict_and_by_reason():
    """A colour word is rejected rightly, a guess wrongly; figures name no sentence."""
    infrared = np.full((48, 48), 30, np.uint8)
    facts = {"t01": score.measure(infrared, np.full((48, 48, 3), 40, np.uint8))}
    texts = [
        "The infrared image is very dark.",
        "The infrared image is very bright.",
        "The dark green woods stay dark in the infrared.",
        "A dark patch might be a pond.",
    ]
    rows = [{"tile": "t01", "sentence": text} for text in texts]
    result = score.sentences_report(rows, facts, {"t01": "nir"})
    assert result["contradicted"]["hits"] == 1 and result["contradicted"]["of"] == 4
    assert result["rejected_wrongly"]["hits"] == 1
    assert result["reasons"] == {"hedging": 1, "rgb_color": 1}
    assert not any(text in json.dumps(result) for text in texts)
