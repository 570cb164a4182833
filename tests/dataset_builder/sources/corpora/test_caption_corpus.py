import json
import pickle

import pytest

from dataset_builder.schema import COLUMNS
from dataset_builder.sources.corpora.caption_corpus import CaptionCorpusSource
from fusionrs_hf.errors import InputError
from tests.dataset_builder.made.corpora import (
    CANARY,
    UNSAFE,
    nwpu,
    opened_files,
    picture,
    plant,
    put,
    rows_of,
    rsicd,
    rsitmd,
    sentences,
    sydney,
    ucm,
)

CORPORA = {
    "RSICD": (rsicd, "RSICD_images", {"airport_1.jpg": "train", "00623.jpg": "validation"}),
    "RSITMD": (rsitmd, "images", {"boat_1.tif": "train", "park_9.tif": "test"}),
    "UCM": (ucm, "imgs", {"1.tif": "train", "2.tif": "test"}),
    "Sydney": (sydney, "imgs", {"1.tif": "validation", "613.tif": "test"}),
    "NWPU": (
        nwpu,
        "NWPU_images",
        {
            "airplane/airplane_000.jpg": "train",
            "airplane/airplane_001.jpg": "validation",
            "airport/airport_002.jpg": "test",
        },
    ),
}


def corpus(tmp_path, name, **values):
    make, folder, _ = CORPORA[name]
    file = make(tmp_path / name)
    return CaptionCorpusSource(tmp_path / name / folder, file, rights=name, source_dataset=name, **values)


def karpathy_of(tmp_path, *images):
    (tmp_path / "images").mkdir(exist_ok=True)
    file = put(tmp_path / "dataset.json", json.dumps({"images": images}))
    return CaptionCorpusSource(tmp_path / "images", file, rights="x")


def image(name, *captions, split="train"):
    return {"filename": name, "split": split, "sentences": [{"raw": text} for text in captions]}


@pytest.mark.parametrize("name", CORPORA)
def test_each_corpus_is_read_as_it_ships_with_all_five_captions(tmp_path, name):
    rows = rows_of(corpus(tmp_path, name))
    expected = CORPORA[name][2]
    assert {row["source_locator"]: row["_split"] for row in rows} == expected
    assert [row["sample_id"] for row in rows] == [f"{name}/{file}" for file in expected]
    assert [row["captions"] for row in rows] == [sentences(file.split("/")[-1]) for file in expected]
    kinds = ["TIFF" if file.endswith(".tif") else "JPEG" for file in expected]
    assert [row["rgb"]["bytes"] for row in rows] == [picture(number, kind) for number, kind in enumerate(kinds)]
    assert all(set(row) == {*COLUMNS, "_split", "_reason"} and row["_reason"] is None for row in rows)
    assert {row["rights"] for row in rows} == {name}


@pytest.mark.parametrize("name", CORPORA)
def test_shards_together_give_what_one_pass_gives(tmp_path, name):
    whole = rows_of(corpus(tmp_path, name))
    source = corpus(tmp_path, name, images_per_shard=1)
    assert len(list(source.shards())) == len(whole)
    assert rows_of(source) == whole
    assert len(pickle.dumps(source)) < 2000  # what was read does not travel to the workers
    assert rows_of(pickle.loads(pickle.dumps(source))) == whole


def test_splits_to_read_are_a_choice(tmp_path):
    rows = rows_of(corpus(tmp_path, "NWPU", splits=["validation", "test"]))
    assert [row["_split"] for row in rows] == ["validation", "test"]


def test_a_file_that_changes_is_read_anew(tmp_path):
    source = karpathy_of(tmp_path, image("a.jpg", "one"))
    assert rows_of(source)[0]["captions"] == ["one"]
    karpathy_of(tmp_path, image("a.jpg", "one", "two"))
    assert rows_of(source)[0]["captions"] == ["one", "two"]


def test_captions_are_kept_as_they_are_and_unreadable_ones_counted_out(tmp_path):
    text = " Spaces ,\ttabs\n and the same twice "
    strange = image("b.jpg", "ok", 5, "lone\ud800")
    strange["sentences"].append("not a mapping")
    source = karpathy_of(tmp_path, image("a.jpg", text, text, ""), strange)
    one, two = rows_of(source)
    assert one["captions"] == [text, text, ""] and one["_reason"] == "image_missing"
    put(tmp_path / "images" / "b.jpg", b"x")
    assert rows_of(source)[1]["_reason"] == "caption_unreadable"
    assert two["captions"] == ["ok"]


def test_bytes_that_are_no_utf8_cost_the_caption_not_the_file(tmp_path):
    source = karpathy_of(tmp_path, image("a.jpg", "caf?"), image("b.jpg", "fine"))
    put(tmp_path / "images" / "a.jpg", b"x")
    put(tmp_path / "images" / "b.jpg", b"x")
    put(source.captions, source.captions.read_bytes().replace(b"caf?", b"caf\xe9"))
    assert [(row["captions"], row["_reason"]) for row in rows_of(source)] == [
        ([], "caption_unreadable"),
        (["fine"], None),
    ]


def test_names_that_lead_outside_are_rows_with_a_reason_and_nothing_outside_is_opened(tmp_path):
    root = tmp_path / "corpus" / "images"
    plant(root)
    by_class = {"..": [{"filename": "canary.jpg", "split": "train", "raw": "x"}]}
    by_class["a"] = [{"filename": name, "split": "train", "raw": "x"} for name in UNSAFE if name[0] not in "./\\"]
    for document in ({"images": [image(name, "x") for name in UNSAFE]}, by_class):
        file = put(tmp_path / "corpus" / "dataset.json", json.dumps(document))
        with opened_files() as opened:
            rows = rows_of(CaptionCorpusSource(root, file, rights="x"))
        bad = [row for row in rows if row["_reason"] == "unsafe_path"]
        assert bad and {row["_reason"] for row in rows} <= {"unsafe_path", "image_missing"}
        assert all(row["rgb"] == {"bytes": None, "path": None} for row in rows)
        assert {name for name in opened if str(tmp_path) in name} == {str(file)}
        assert CANARY.decode() not in str(rows)
    assert len(bad) >= 4


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ('{"images": [', r"dataset.json is no JSON \(Expecting value.*\); get it again"),
        ("[1, 2]", "is of no known layout; give dataset_rsicd.json"),
        ('{"images": {}}', "is of no known layout"),
        ('{"images": []}', "lists no images"),
        ("{}", "is of no known layout"),
        ('{"images": [{"split": "train"}]}', r"image 0 of \S+ needs `filename`, got \{'split': 'train'\}"),
        (
            '{"images": [{"filename": "a", "split": "held"}]}',
            r"image 0 of \S+ needs `split` of train, restval, val, .* got 'held'",
        ),
        ('{"images": [{"filename": "a", "split": ["x"]}]}', r"needs `split` of train, restval, val"),
        ('{"images": [{"filename": "a", "split": "val"}]}', r"image 0 of \S+ needs a list `sentences`, got None"),
        ('{"a": [{"filename": "x.jpg", "split": "test"}, 7]}', r"image 1 of class 'a' in \S+ needs `filename`, got 7"),
    ],
)
def test_a_file_that_cannot_be_read_is_told_with_the_place(tmp_path, text, message):
    (tmp_path / "images").mkdir()
    file = put(tmp_path / "dataset.json", text)
    with pytest.raises(InputError, match=f"^[^\n]*{message}[^\n]*$"):
        list(CaptionCorpusSource(tmp_path / "images", file, rights="x").shards())


@pytest.mark.parametrize(
    ("values", "message"),
    [
        ({"path": "none"}, "folder none does not exist or is no folder"),
        ({"captions": "none.json"}, "caption file none.json does not exist"),
        ({"splits": ["val"]}, "splits must be of train, validation, test, got val"),
        ({"caption_origin": "robot"}, "caption_origin must be one of source, hand, rule, model, got 'robot'"),
        ({"images_per_shard": 0}, "images_per_shard must be positive, got 0"),
    ],
)
def test_values_that_cannot_be_are_told_in_one_line(tmp_path, values, message):
    file = rsicd(tmp_path)
    given = {"path": tmp_path / "RSICD_images", "captions": file, "rights": "x", **values}
    with pytest.raises(InputError, match=f"^[^\n]*{message}[^\n]*$"):
        CaptionCorpusSource(**given)
