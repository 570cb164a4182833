import json
import pickle
import tracemalloc

import pytest

from dataset_builder.schema import COLUMNS
from dataset_builder.sources.corpora.skyscript import COLLECTIONS, SkyScriptSource, facts_of
from fusionrs_hf.errors import InputError
from tests.dataset_builder.made.corpora import (
    CANARY,
    SKYSCRIPT,
    UNSAFE,
    opened_files,
    picture,
    plant,
    put,
    reasons_of,
    rows_of,
    skyscript,
)


@pytest.fixture
def csv(tmp_path):
    return skyscript(tmp_path / "SkyScript")


def test_rows_are_those_of_the_csv_with_the_rights_of_their_sub_source(csv):
    rows = rows_of(SkyScriptSource(csv.parent, csv))
    assert [row["source_locator"] for row in rows] == [name for name, _, _ in SKYSCRIPT]
    assert [row["sample_id"] for row in rows] == [f"SkyScript/{name}" for name, _, _ in SKYSCRIPT]
    assert [row["captions"] for row in rows] == [list(texts) for _, *texts in SKYSCRIPT]
    assert [row["rgb"]["bytes"] for row in rows] == [picture(seed) for seed in range(3)]
    facts = [(row["rights"], row["sensor"], row["gsd_m"], row["acquired_at"]) for row in rows]
    assert facts == [
        ("skyscript/CH", "SWISSIMAGE aerial", 0.1, "2019"),
        ("skyscript/US", "NAIP aerial", None, "2021"),
        ("skyscript/S2", "Sentinel-2 MSI", 10.0, "2020"),
    ]
    assert all(set(row) == {*COLUMNS, "_split", "_reason"} for row in rows)
    assert {(row["_split"], row["_reason"], row["source_dataset"]) for row in rows} == {("train", None, "SkyScript")}


def test_the_ten_sub_sources_are_known_and_others_are_unknown():
    assert set(COLLECTIONS) == {"US", "CH", "DE", "S2", "FI", "ES", "P3", "L8", "P5", "L9"}
    for name in ("images2/a1_XX_19.jpg", "images2/a1.jpg", "a_CH_2019.jpg", "images_CH_19.jpg/a.jpg", ""):
        assert facts_of(name) == {"rights": "skyscript/unknown"}
    assert facts_of("images7/w1_L9_22.jpg")["rights"] == "skyscript/L9"


def test_caption_columns_split_and_origin_are_choices(csv):
    source = SkyScriptSource(csv.parent, csv, caption_columns="title", split="test", caption_origin="rule")
    row = rows_of(source)[0]
    assert (row["captions"], row["caption_origin"], row["_split"]) == (["a building"], ["rule"], "test")


def test_shards_together_give_what_one_pass_gives(csv):
    whole = rows_of(SkyScriptSource(csv.parent, csv))
    for size in (1, 2):
        source = SkyScriptSource(csv.parent, csv, rows_per_shard=size)
        shards = list(source.shards())
        assert len(shards) == -(-len(SKYSCRIPT) // size)
        assert json.loads(json.dumps(shards)) == [list(shard) for shard in shards]
        backwards = [list(source.read(shard)) for shard in reversed(shards)]
        assert [row for rows in reversed(backwards) for row in rows] == whole
    assert list(pickle.loads(pickle.dumps(source)).shards()) == shards


def test_names_that_lead_outside_are_rows_with_a_reason_and_nothing_outside_is_opened(tmp_path):
    root = tmp_path / "SkyScript"
    plant(root)
    names = [name for name in UNSAFE if "\ud800" not in name]
    csv = skyscript(root, [(name, "x", "y") for name in names], images=False)
    with opened_files() as opened:
        rows = rows_of(SkyScriptSource(root, csv))
    assert {row["_reason"] for row in rows} == {"unsafe_path"} and len(rows) == len(names)
    assert all(row["rgb"] == {"bytes": None, "path": None} for row in rows)
    assert {name for name in opened if str(tmp_path) in name} == {str(csv)}
    assert CANARY.decode() not in str(rows)


def test_what_cannot_be_read_is_a_row_with_its_reason(csv):
    (csv.parent / SKYSCRIPT[0][0]).unlink()
    text = csv.read_bytes() + b"only_a_name.jpg\nimages2/w7_US_21.jpg,caf\xe9,ok\ncaf\xe9_US_21.jpg,x,y\n,x,y\n"
    put(csv, text)
    rows = rows_of(SkyScriptSource(csv.parent, csv))
    assert [row["_reason"] for row in rows] == [
        *("image_missing", None, None),
        *("entry_unreadable", "caption_unreadable", "unsafe_path", "unsafe_path"),
    ]
    assert rows[4]["captions"] == ["ok"]
    assert rows[5]["source_locator"] == "caf\\udce9_US_21.jpg"
    assert all(row["source_locator"] for row in rows)
    assert reasons_of(rows)[f"{csv.name}@{text.index(b'only_a_name')}"] == "entry_unreadable"


def test_memory_does_not_grow_with_the_csv(tmp_path):
    (tmp_path / "images2").mkdir()
    path = tmp_path / "SkyScript_train.csv"
    peaks = []
    for count in (3_000, 30_000):
        lines = (f"images2/a{number}_US_21.jpg,a building of some kind,a building\n" for number in range(count))
        put(path, "filepath,title_multi_objects,title\n" + "".join(lines))
        source = SkyScriptSource(tmp_path, path, rows_per_shard=1000)
        tracemalloc.start()
        assert sum(1 for _ in source.shards()) == count // 1000
        peaks.append(tracemalloc.get_traced_memory()[1])
        tracemalloc.stop()
    assert peaks[1] < peaks[0] + 50_000


@pytest.mark.parametrize(
    ("values", "message"),
    [
        ({"path": "none"}, "folder none does not exist or is no folder; give the one that holds images2"),
        ({"captions": "none.csv"}, "caption file none.csv does not exist; give one of SkyScript's CSV files"),
        (
            {"caption_columns": ["text"]},
            "has no column text but filepath, title_multi_objects, title; set caption_col",
        ),
        ({"caption_origin": "robot"}, "caption_origin must be one of source, hand, rule, model, got 'robot'"),
        ({"split": "val"}, "split must be one of train, validation, test, got 'val'"),
        ({"rows_per_shard": 0}, "rows_per_shard must be positive, got 0"),
    ],
)
def test_values_that_cannot_be_are_told_in_one_line(csv, values, message):
    with pytest.raises(InputError, match=f"^[^\n]*{message}[^\n]*$"):
        list(SkyScriptSource(**{"path": csv.parent, "captions": csv, **values}).shards())


def test_a_csv_without_lines_is_an_error(csv):
    put(csv, "filepath,title_multi_objects,title\n")
    with pytest.raises(InputError, match="has no lines after its header"):
        list(SkyScriptSource(csv.parent, csv).shards())
