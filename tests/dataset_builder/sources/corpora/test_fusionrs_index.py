import gzip
import json
import logging
import pickle
import tracemalloc

import pytest

from dataset_builder.schema import COLUMNS
from dataset_builder.sources.corpora.fusionrs_index import FusionRSIndexSource
from dataset_builder.sources.corpora.index_records import RIGHTS, SCHEMAS
from fusionrs_hf.errors import InputError
from tests.dataset_builder.made.corpora import (
    CANARY,
    UNSAFE,
    index_row,
    nwpu,
    opened_files,
    picture,
    plant,
    put,
    rows_of,
    rsicd,
    sentences,
    skyscript,
    write_index,
)

NAME = "fusionrs_public_index_v3_rc4_20260727.jsonl.gz"


@pytest.fixture
def local(tmp_path):
    """Local copies of three sources, and the rows of an index that names them and one source more."""
    rsicd(tmp_path / "RSICD")
    nwpu(tmp_path / "NWPU-Captions")
    skyscript(tmp_path / "SkyScript")
    rows = [
        index_row("RSICD", 1, "RSICD_images/airport_1.jpg"),
        index_row("SkyScript", 2, "images2/w7_US_21.jpg", split="val"),
        index_row("RS5M", 3, "images/laion2b_3.jpg"),
        index_row("NWPU", 4, "NWPU_images/airport/airport_002.jpg", split="test"),
        index_row("RSICD", 5, "RSICD_images/gone.jpg"),
    ]
    write_index(tmp_path / NAME, rows)
    return tmp_path, rows


def source_of(folder, name=NAME, **values):
    roots = {"RSICD": "RSICD", "SkyScript": "SkyScript", "NWPU": "NWPU-Captions"}
    return FusionRSIndexSource(**{"path": name, "roots": roots, "base": folder, **values})


def test_rows_of_the_public_index_are_joined_to_local_copies(local):
    folder, given = local
    rows = rows_of(source_of(folder))
    assert [row["sample_id"] for row in rows] == [row["sample_id"] for row in given]
    assert [row["source_locator"] for row in rows] == [row["source_locator"] for row in given]
    assert [row["_split"] for row in rows] == ["train", "validation", "train", "test", "train"]
    assert [row["_reason"] for row in rows] == [None, None, "source_not_local", None, "image_missing"]
    assert [row["rgb"]["bytes"] for row in rows] == [picture(0), picture(1), None, picture(2), None]
    assert [row["rights"] for row in rows] == ["RSICD", "skyscript/US", "RS5M", "RS5M", "RSICD"]  # the row's code wins
    assert (rows[1]["sensor"], rows[1]["acquired_at"]) == ("NAIP aerial", "2021")
    assert all(set(row) == {*COLUMNS, "_split", "_reason", "_force_train"} for row in rows)
    assert all(row["captions"] == [] and row["joint_group_id"] is None and row["ir"] is None for row in rows)


def test_rows_without_a_root_are_counted_before_the_build(local, caplog):
    folder, _ = local
    with caplog.at_level(logging.WARNING):
        list(source_of(folder, roots={"RSICD": "RSICD"}).shards())
    assert "`source_not_local`: 1 of NWPU, 1 of RS5M, 1 of SkyScript" in caplog.text
    assert [row["_reason"] for row in rows_of(source_of(folder, roots={}))] == ["source_not_local"] * 5


@pytest.mark.parametrize("suffix", ["", ".gz"])
def test_the_full_index_has_a_caption_a_row_and_rights_by_its_source(local, suffix):
    folder, _ = local
    rows = [
        index_row("SkyScript", 1, "images2/a198234555_CH_19.jpg", public=False),
        index_row(
            "NWPU", 2, "NWPU_images/x.jpg", public=False, class_name="airport", caption=None, caption_usable=False
        ),
    ]
    write_index(folder / f"full.jsonl{suffix}", rows)
    one, two = rows_of(source_of(folder, f"full.jsonl{suffix}"))
    assert (one["captions"], one["caption_origin"]) == (["the caption of SkyScript_00001"], ["source"])
    assert (one["rights"], two["rights"], two["captions"]) == ("skyscript/CH", "NWPU", [])


def test_rows_that_were_trained_on_before_are_forced_into_train(local):
    folder, _ = local
    rows = [
        index_row("RSICD", 1, "a.jpg", vlm_train_identity=True),
        index_row("RSICD", 2, "a.jpg", prior_reused_protected=True),
        index_row("RSICD", 3, "a.jpg"),
        index_row("RSICD", 4, "a.jpg", public=False, vlm_train_used=True),
    ]
    write_index(folder / "a.jsonl", rows)
    assert [row["_force_train"] for row in rows_of(source_of(folder, "a.jsonl"))] == [True, True, False, True]


def test_all_five_captions_are_joined_from_local_files(local):
    folder, _ = local
    put(folder / "mine.jsonl", '{"sample_id": "RS5M_00003", "caption": "mine"}\n')
    put(folder / "RS5M" / "images" / "laion2b_3.jpg", b"x")
    captions = {
        "RSICD": {"kind": "caption_corpus", "captions": "RSICD/dataset_rsicd.json"},
        "NWPU": {"kind": "caption_corpus", "captions": "NWPU-Captions/dataset_nwpu.json"},
        "SkyScript": {
            "kind": "skyscript",
            "captions": "SkyScript/SkyScript_train_top30pct_filtered_by_CLIP_openai.csv",
        },
        "RS5M": {"kind": "entries", "captions": "mine.jsonl"},
    }
    roots = {"RSICD": "RSICD", "SkyScript": "SkyScript", "NWPU": "NWPU-Captions", "RS5M": "RS5M"}
    expected = [
        sentences("airport_1.jpg"),
        ['a road named "Main St", paved', "a road"],
        ["mine"],
        sentences("airport_002.jpg"),
        [],
    ]
    for size in (1, 2, 500):
        source = source_of(folder, captions=captions, roots=roots, rows_per_shard=size)
        assert [row["captions"] for row in rows_of(source)] == expected
        shards = list(source.shards())
        assert json.loads(json.dumps(shards))[0][:3] == list(shards[0][:3])
        assert rows_of(pickle.loads(pickle.dumps(source))) == rows_of(source)


def test_a_caption_of_another_image_with_the_same_name_is_not_taken(local):
    folder, _ = local
    put(
        folder / "x.jsonl",
        '{"file": "b/1.jpg", "captions": ["of b"]}\n{"file": "a/1.jpg", "captions": ["of a", "too"]}\n',
    )
    put(folder / "RSICD" / "top" / "a" / "1.jpg", b"x")
    write_index(folder / "a.jsonl", [index_row("RSICD", 1, "top/a/1.jpg"), index_row("RSICD", 2, "top/c/1.jpg")])
    captions = {"RSICD": {"kind": "entries", "captions": "x.jsonl", "key": "file"}}
    one, two = rows_of(source_of(folder, "a.jsonl", captions=captions))
    assert (one["captions"], two["captions"]) == (["of a", "too"], [])


def test_a_row_that_no_local_file_knows_keeps_the_indexs_caption(local):
    folder, _ = local
    rows = [index_row("RSICD", 1, "RSICD_images/gone.jpg", public=False)]
    rows += [index_row("RSICD", 2, "RSICD_images/airport_1.jpg", public=False)]
    write_index(folder / "a.jsonl", rows)
    captions = {"RSICD": {"kind": "caption_corpus", "captions": "RSICD/dataset_rsicd.json"}}
    one, two = rows_of(source_of(folder, "a.jsonl", captions=captions))
    assert one["captions"] == ["the caption of RSICD_00001"]
    assert two["captions"] == sentences("airport_1.jpg")


def test_infrared_made_by_translation_is_joined_where_it_lies(local):
    folder, _ = local
    put(folder / "DiffV2IR" / "RSICD" / "RSICD_00001.png", picture(9, "PNG"))
    source = source_of(folder, ir_root="DiffV2IR", ir_band="lwir", translator_revision="177d0399")
    rows = rows_of(source)
    assert rows[0]["ir"] == {"bytes": picture(9, "PNG"), "path": "RSICD/RSICD_00001.png"}
    known = [rows[0][name] for name in ("ir_origin", "ir_band", "ir_unit", "translator", "translator_revision")]
    assert known == ["translated", "lwir", "display", "DiffV2IR", "177d0399"]
    assert all(row["ir"] is None and row["translator"] is None for row in rows[1:])
    assert [row["_reason"] for row in rows[:2]] == [None, None]


def test_folders_that_a_root_lacks_are_skipped(local):
    folder, _ = local
    source = source_of(folder, roots={"RSICD": "RSICD/RSICD_images"}, skip_folders={"RSICD": 1})
    assert rows_of(source)[0]["rgb"]["bytes"] == picture(0)
    source = source_of(folder, roots={"RSICD": "RSICD/RSICD_images"}, skip_folders={"RSICD": 2})
    assert rows_of(source)[0]["_reason"] == "image_missing"


def test_splits_to_read_are_a_choice(local):
    folder, _ = local
    rows = rows_of(source_of(folder, splits=["validation", "test"]))
    assert [row["sample_id"] for row in rows] == ["SkyScript_00002", "NWPU_00004"]


@pytest.mark.parametrize("suffix", ["", ".gz"])
def test_shards_together_give_what_one_pass_gives_in_any_order(local, suffix):
    folder, given = local
    write_index(folder / f"a.jsonl{suffix}", given * 7)
    whole = rows_of(source_of(folder, f"a.jsonl{suffix}"))
    assert len(whole) == 35
    for size in (1, 8, 35):
        source = source_of(folder, f"a.jsonl{suffix}", rows_per_shard=size)
        shards = list(source.shards())
        assert len(shards) == -(-35 // size)
        backwards = [list(source.read(shard)) for shard in reversed(shards)]
        assert [row for rows in reversed(backwards) for row in rows] == whole
        readers = [source.read(shard) for shard in shards]  # taken turn about, on one open file
        turns = [[next(reader) for reader in readers], *([row] for reader in readers for row in reader)]
        key = [row["sample_id"] for row in whole]
        assert sorted(row["sample_id"] for rows in turns for row in rows) == sorted(key)


def test_names_that_lead_outside_are_rows_with_a_reason_and_nothing_outside_is_opened(tmp_path):
    root = tmp_path / "RSICD"
    plant(root)
    names = [name for name in UNSAFE if "\ud800" not in name]
    rows = [index_row("RSICD", number, name) for number, name in enumerate(names)]
    rows += [index_row("RSICD", 50 + number, "RSICD_images/ok.jpg") for number in range(len(names))]
    put(root / "RSICD_images" / "ok.jpg", b"x")
    for row, name in zip(rows[len(names) :], names, strict=True):
        row["translation"] = {**row["translation"], "output_key": name}
    path = write_index(tmp_path / "index" / "a.jsonl", rows)
    with opened_files() as opened:
        found = rows_of(FusionRSIndexSource(path, {"RSICD": root}, ir_root=root))
    assert [row["_reason"] for row in found] == ["unsafe_path"] * len(rows)
    ours = {name for name in opened if str(tmp_path) in name}
    assert ours == {str(path), str(root / "RSICD_images" / "ok.jpg")}
    assert CANARY.decode() not in str(found)
    skipping = rows_of(FusionRSIndexSource(path, {"RSICD": root}, skip_folders={"RSICD": 1}))
    assert {row["_reason"] for row in skipping} == {"unsafe_path", "image_missing"}
    assert CANARY.decode() not in str(skipping)


def test_text_that_is_no_utf8_costs_the_caption_not_the_build(local):
    folder, _ = local
    rows = [index_row("RSICD", 1, "RSICD_images/airport_1.jpg", public=False, caption="caf?")]
    path = write_index(folder / "a.jsonl", rows)
    put(path, path.read_bytes().replace(b"caf?", b"caf\xe9"))
    put(folder / "b.jsonl", path.read_bytes().replace(b"caf\xe9", b"lone \\ud800"))
    for name in ("a.jsonl", "b.jsonl"):
        [row] = rows_of(source_of(folder, name))
        assert (row["captions"], row["_reason"]) == ([], "caption_unreadable")


def without(row, name):
    return {key: value for key, value in row.items() if key != name}


GOOD, FULL = index_row("RSICD", 1, "a.jpg"), index_row("RSICD", 1, "a.jpg", public=False)


@pytest.mark.parametrize(
    ("row", "message"),
    [
        (
            {**GOOD, "schema_version": "fusionrs-index-v2"},
            "the schema_version 'fusionrs-index-v2', but fusionrs-index-v1 and",
        ),
        (["no", "mapping"], "the schema_version None"),
        (without(GOOD, "source_rights_code"), "lacks source_rights_code; get the index again"),
        (without(FULL, "caption"), "lacks caption"),
        ({**GOOD, "caption": "leaked"}, "fields that its schema has not: 'caption'; remove them"),
        ({**GOOD, "sample_id": 7}, "sample_id 7; it must be text that is not empty"),
        ({**GOOD, "source_locator": ""}, "source_locator ''; it must be text that is not empty"),
        ({**GOOD, "is_eval_representative": 1}, "is_eval_representative 1; it must be true or false"),
        ({**GOOD, "translation": None}, "translation None; it must be a mapping"),
        ({**GOOD, "translation": {"model": "DiffV2IR", "redistribution": "x"}}, "translation lacks output_key"),
        ({**FULL, "caption": 5}, "caption 5; it must be text or null"),
        ({**GOOD, "source_dataset": "UCM"}, "the source_dataset 'UCM'; it must be one of NWPU, RS5M, RSICD"),
        ({**GOOD, "split": "validation"}, "the split 'validation'; it must be one of train, val, test"),
    ],
)
def test_a_line_that_is_no_record_is_named_with_its_field_before_anything_is_built(local, row, message):
    folder, given = local
    write_index(folder / "a.jsonl", [*given, row])
    with pytest.raises(InputError, match=rf"^line 6 of \S+a.jsonl[^\n]* {message}[^\n]*$"):
        list(source_of(folder, "a.jsonl").shards())


def test_lines_that_are_no_json_and_cut_files_are_told(local):
    folder, _ = local
    put(folder / "a.jsonl", json.dumps(GOOD) + '\n{"sample_id": \n')
    with pytest.raises(InputError, match=r"line 2 of \S+a.jsonl is no JSON \("):
        list(source_of(folder, "a.jsonl").shards())
    put(folder / "b.jsonl.gz", gzip.compress((json.dumps(GOOD) + "\n").encode() * 50)[:-20])
    with pytest.raises(InputError, match=r"b.jsonl.gz is damaged after byte .*; get it again"):
        list(source_of(folder, "b.jsonl.gz").shards())
    put(folder / "c.jsonl", "\n\n")
    with pytest.raises(InputError, match="has no rows"):
        list(source_of(folder, "c.jsonl").shards())


def test_every_rights_code_of_the_public_index_is_in_the_shipped_policy():
    from dataset_builder.rights.table import read_policy

    known = {code.casefold() for code in read_policy().entries}
    assert len(RIGHTS) == 14 and {code.casefold() for code in RIGHTS.values()} <= known
    assert "skyscript/unknown" not in known
    assert [len(fields) for fields in SCHEMAS.values()] == [19, 16]


def test_memory_hardly_grows_with_the_index(tmp_path):
    peaks = []
    for count in (1_000, 5_000):
        path = write_index(tmp_path / f"{count}.jsonl.gz", (index_row("RS5M", n, f"{n}.jpg") for n in range(count)))
        source = FusionRSIndexSource(path, rows_per_shard=100)
        tracemalloc.start()
        assert sum(1 for _ in source.shards()) == count // 100
        peaks.append(tracemalloc.get_traced_memory()[1])
        tracemalloc.stop()
    assert peaks[1] < peaks[0] + 4_000 * 60  # bytes a row: no record, of over 200, is held


@pytest.mark.parametrize(
    ("values", "message"),
    [
        ({"path": "none.gz"}, r"index \S+none.gz does not exist"),
        ({"roots": {"UCM": "x"}}, r"roots must map sources \(NWPU, RS5M, RSICD, RSITMD, SkyScript\) to values"),
        ({"roots": {"RSICD": "none"}}, r"folder \S+none of RSICD does not exist or is no folder; leave out"),
        ({"ir_root": "none"}, r"folder \S+none of ir_root does not exist"),
        ({"captions": {"RS5M": {}}}, r"captions and skip_folders name RS5M, which has no root; add it to roots"),
        (
            {"captions": {"RSICD": {"kind": "corpus"}}},
            r"captions of RSICD needs `kind` of caption_corpus.* got 'corpus'",
        ),
        ({"captions": {"RSICD": {"kind": "entries", "captions": "x.jsonl"}}}, r"x.jsonl does not exist"),
        ({"captions": {"RSICD": {"kind": "entries", "captions": "x.jsonl.gz"}}}, r"x.jsonl.gz; unpack it"),
        ({"captions": {"RSICD": {"kind": "entries", "file": "x"}}}, r"captions of RSICD has the unknown key 'file'"),
        ({"skip_folders": {"RSICD": -1}}, r"skip_folders must count folders"),
        ({"ir_band": "uv"}, r"ir_band must be one of nir"),
        ({"splits": ["val"]}, r"splits must be of train, validation, test, got val"),
        ({"rows_per_shard": 0}, r"rows_per_shard must be positive, got 0"),
    ],
)
def test_values_that_cannot_be_are_told_in_one_line(local, values, message):
    with pytest.raises(InputError, match=f"^[^\n]*{message}[^\n]*$"):
        source_of(local[0], **values)
