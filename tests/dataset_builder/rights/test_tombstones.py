import json

import pytest

from dataset_builder.rights.tombstones import read_ids, read_tombstones, write_tombstones
from dataset_builder.schema import COLUMNS
from fusionrs_hf.errors import InputError
from tests.dataset_builder.made.rights_rows import TILES, build_rows, rows_of, write_source


def listed(folder, text, name="ids.txt"):
    (folder / name).write_bytes(text.encode() if isinstance(text, str) else text)
    return folder / name


def test_ids_are_read_with_their_reasons_in_order(tmp_path):
    path = listed(tmp_path, "\ufeffb/1\tasked by  its owner\r\n\n a 2 \nb/1\tasked by its owner\n#3\t\n")
    assert read_ids(path) == {"b/1": "asked by its owner", "a 2": "", "#3": ""}
    assert list(read_ids(path)) == ["b/1", "a 2", "#3"]


def test_tombstones_are_read_as_ids(tmp_path):
    stones = [
        {"sample_id": "a\tb", "reason": None, "version": "1.0.0"},
        {"sample_id": "c", "reason": "asked", "version": "1.0.1"},
    ]
    write_tombstones(tmp_path, stones)
    assert read_tombstones(tmp_path) == stones
    assert read_ids(tmp_path / "tombstones.jsonl") == {"a\tb": "", "c": "asked"}


@pytest.mark.parametrize(
    ("name", "text", "sentence"),
    [
        ("ids.txt", " \n\n", "names no sample id"),
        ("ids.txt", "\treason\n", "line 1 has a reason but no sample id"),
        ("ids.txt", "a\tone\na\ttwo\n", "gives two reasons for a: 'one' and 'two'"),
        ("ids.txt", b"\xff\xfea\n", "is UTF-16 by its byte order mark"),
        ("ids.txt", b"a\xff\n", "is not UTF-8"),
        ("ids.jsonl", '{"sample_id": "a"}\nb\n', "line 2 is no tombstone: expected an object"),
        ("ids.jsonl", '{"sample_id": 7}\n', "line 1 is no tombstone"),
        ("ids.jsonl", '["a"]\n', "line 1 is no tombstone"),
    ],
)
def test_a_list_that_cannot_be_is_refused(tmp_path, name, text, sentence):
    with pytest.raises(InputError, match=sentence):
        read_ids(listed(tmp_path, text, name))


def test_damaged_tombstones_stop_a_removal(tmp_path):
    (tmp_path / "tombstones.jsonl").write_text('{"sample_id"')
    with pytest.raises(InputError, match="is damaged"):
        read_tombstones(tmp_path)


def test_a_build_keeps_excluded_rows_out_without_their_content(tmp_path):
    source = write_source(tmp_path / "source", {tile: TILES[tile] for tile in (0, 6, 7)})
    listed(source, '{"sample_id": "t0/nir"}\n{"sample_id": "t0/rgb", "reason": "asked"}\n', "tombstones.jsonl")
    report = build_rows(source, tmp_path / "out", exclude="tombstones.jsonl")
    assert report.quarantine == {"removed": 2}
    assert (report.rows_read, report.rows_kept) == (9, 7)
    assert set(rows_of(tmp_path / "out")) == {
        f"t{tile}/{band}" for tile in (0, 6, 7) for band in ("nir", "lwir", "rgb")
    } - {
        "t0/nir",
        "t0/rgb",
    }
    left = rows_of(tmp_path / "out", "quarantine/*.parquet")
    assert set(left) == {"t0/nir", "t0/rgb"}
    for row in left.values():
        known = {name: value for name, value in row.items() if value not in (None, [])}
        assert set(known) == {"sample_id", "source_dataset", "source_locator", "rights", "reason"}
        assert row["reason"] == "removed"
    assert set(row) == {*COLUMNS, "reason"}


def test_another_list_is_another_build_and_a_policy_is_not(tmp_path):
    source = write_source(tmp_path / "source", {tile: TILES[tile] for tile in (0, 6)})
    listed(source, "t0/nir\n")
    listed(source, "RSICD: {images: yes}\n", "mine.yaml")
    build_rows(source, tmp_path / "out", exclude="ids.txt")
    build_rows(source, tmp_path / "out", exclude="ids.txt", rights_policy="mine.yaml")
    assert (tmp_path / "out" / "rights.yaml").read_text() == "RSICD:\n  images: true\n"
    assert (
        "rights_policy" not in json.loads((tmp_path / "out" / "build_report.json").read_text())["identity"]["recipe"]
    )
    listed(source, "t0/lwir\n")
    with pytest.raises(InputError, match="ids.txt"):
        build_rows(source, tmp_path / "out", exclude="ids.txt")


@pytest.mark.parametrize(
    ("changes", "sentence"),
    [
        ({"exclude": "none.txt"}, "exclude: cannot read .*none.txt"),
        ({"exclude": ["a"]}, "exclude must be a text or a path, got \\['a'\\]"),
        ({"rights_policy": "bad.yaml"}, "unknown key 'image'; did you mean 'images'"),
    ],
)
def test_files_that_a_recipe_names_are_checked_before_anything_is_read(tmp_path, changes, sentence):
    source = write_source(tmp_path / "source", {tile: TILES[tile] for tile in (0, 6)})
    listed(source, "CC0-1.0: {image: yes}\n", "bad.yaml")
    with pytest.raises(InputError, match=sentence):
        build_rows(source, tmp_path / "out", **changes)
    assert not (tmp_path / "out").exists()
