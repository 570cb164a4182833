import datetime
import io
import json
import os
import pickle
import tracemalloc
import unicodedata

import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from PIL import Image

from dataset_builder.images.decoding import DecodeStage
from dataset_builder.schema import COLUMNS
from dataset_builder.sources.folder import FolderSource
from fusionrs_hf.errors import InputError


def encoded(value, size=(8, 8), kind="PNG"):
    buffer = io.BytesIO()
    Image.new("RGB", size, (value, 0, 0)).save(buffer, kind)
    return buffer.getvalue()


@pytest.fixture
def folder(tmp_path):
    root = tmp_path / "photos"
    (root / "test").mkdir(parents=True)
    (root / "b.png").write_bytes(encoded(2, (30, 20)))
    (root / "a.JPG").write_bytes(encoded(1, kind="JPEG"))
    (root / "test" / "c.png").write_bytes(encoded(3))
    return root


def rows_of(source):
    return [row for shard in source.shards() for row in source.read(shard)]


def test_images_of_any_size_are_passed_on_byte_for_byte_in_the_order_of_their_names(folder):
    rows = rows_of(FolderSource(folder, rights="CC0-1.0"))
    assert [row["source_locator"] for row in rows] == ["a.JPG", "b.png", "test/c.png"]
    assert [row["rgb"]["bytes"] for row in rows] == [(folder / row["source_locator"]).read_bytes() for row in rows]
    assert all(set(row) == {*COLUMNS, "_split", "_reason"} and row["ir"] is None for row in rows)
    assert {row["source_dataset"] for row in rows} == {"photos"}


def test_a_folder_named_after_a_split_prescribes_it(folder):
    assert [row["_split"] for row in rows_of(FolderSource(folder, rights="x"))] == [None, None, "test"]


def test_shards_hold_a_fixed_number_of_images_and_all_of_them(folder):
    shards = list(FolderSource(folder, rights="x", images_per_shard=2).shards())
    assert shards == [(("a.JPG", ()), ("b.png", ())), (("test/c.png", ()),)]


def test_any_cut_into_shards_gives_the_same_rows_also_after_pickling_and_json(folder):
    lines = [{"file_name": name, "text": name} for name in ("test/c.png", "a.JPG", "b.png", "a.JPG")]
    (folder / "metadata.jsonl").write_text("\n".join(map(json.dumps, lines)))
    whole = rows_of(FolderSource(folder, rights="x"))
    assert [row["captions"] for row in whole] == [["a.JPG", "a.JPG"], ["b.png"], ["test/c.png"]]
    cut = FolderSource(folder, rights="x", images_per_shard=1)
    shards = json.loads(json.dumps(list(cut.shards())))
    assert len(shards) == 3
    assert [row for shard in shards for row in pickle.loads(pickle.dumps(cut)).read(shard)] == whole


def test_json_lines_give_captions_and_what_they_know_of_the_image(folder):
    lines = [
        {"file_name": "b.png", "captions": ["a field", "a green field"], "sensor": "UAV", "gsd_m": 0.5},
        {"file_name": "./test/c.png", "text": "a road"},
    ]
    (folder / "metadata.jsonl").write_text("\n".join(map(json.dumps, lines)) + "\n")
    _, b, c = rows_of(FolderSource(folder, rights="x", caption_origin="hand"))
    assert b["captions"] == ["a field", "a green field"] and b["caption_origin"] == ["hand", "hand"]
    assert (b["sensor"], b["gsd_m"]) == ("UAV", 0.5)
    assert c["captions"] == ["a road"]


def test_csv_lines_of_one_image_add_up(folder):
    (folder.parent / "words.csv").write_text('file_name,caption,gsd_m\nb.png,"a field, green",2\nb.png,a barn,\n')
    source = FolderSource("photos", rights="x", captions="words.csv", base=folder.parent)
    row = rows_of(source)[1]
    assert (row["captions"], row["gsd_m"], row["caption_origin"]) == (
        ["a field, green", "a barn"],
        2.0,
        ["source"] * 2,
    )


def reasons_after_decoding(source):
    rows = rows_of(source)
    batch = {name: [row[name] for row in rows] for name in ("sample_id", "rgb", "ir", "ir_band", "_reason")}
    reasons = DecodeStage({}, {})(batch)["_reason"]
    return dict(zip([row["source_locator"] for row in rows], reasons, strict=True))


def test_corrupt_images_are_rows_with_their_bytes_and_are_found_when_decoded(folder):
    (folder / "d.png").write_bytes(b"not an image")
    whole = encoded(9, (64, 64))
    (folder / "e.png").write_bytes(whole[: len(whole) // 2])
    (folder / "f.png").write_bytes(b"")
    (folder / "g.jpg").write_bytes(encoded(4, kind="PNG"))  # what a file holds is read, not its name
    source = FolderSource(folder, rights="x")
    assert reasons_after_decoding(source) == {
        "a.JPG": None,
        "b.png": None,
        "d.png": "unreadable",
        "e.png": "truncated",
        "f.png": "unreadable",
        "g.jpg": None,
        "test/c.png": None,
    }
    assert rows_of(source)[2]["rgb"] == {"bytes": b"not an image", "path": "d.png"}


def test_a_decompression_bomb_is_a_row_with_a_reason(folder, monkeypatch):
    monkeypatch.setattr(Image, "MAX_IMAGE_PIXELS", 100)  # Pillow raises above twice that
    reasons = reasons_after_decoding(FolderSource(folder, rights="x"))
    assert reasons == {"a.JPG": None, "b.png": "image_too_large", "test/c.png": None}


def test_caption_files_of_subfolders_name_images_from_where_they_lie(folder):
    """The layout of `imagefolder`: a metadata file in each split's folder."""
    (folder / "train" / "deep").mkdir(parents=True)
    (folder / "train" / "deep" / "d.png").write_bytes(encoded(5))
    (folder / "train" / "metadata.csv").write_text("file_name,text\ndeep/d.png,a farm\n")
    (folder / "test" / "metadata.jsonl").write_text('{"file_name": "c.png", "text": "a lake"}\n')
    (folder / "metadata.jsonl").write_text('{"file_name": "test/c.png", "text": "a pond"}\n')
    rows = {row["source_locator"]: row for row in rows_of(FolderSource(folder, rights="x"))}
    assert rows["train/deep/d.png"]["captions"] == ["a farm"] and rows["train/deep/d.png"]["_split"] == "train"
    assert rows["test/c.png"]["captions"] == ["a pond", "a lake"]
    (folder / "metadata.csv").write_text("file_name,text\nb.png,a barn\n")
    with pytest.raises(InputError, match=r"photos holds metadata.jsonl and metadata.csv; keep one or name it in"):
        rows_of(FolderSource(folder, rights="x"))


def test_csv_captions_hold_line_breaks_commas_and_quotes(folder):
    text = 'file_name,caption\nb.png,"a ""field"",\nof grass\n"\n\ntest/c.png,a road\na.JPG,"x\n\ny"\n'
    (folder / "metadata.csv").write_bytes(b"\xef\xbb\xbf" + text.replace("\n", "\r\n").encode())
    a, b, c = rows_of(FolderSource(folder, rights="x", images_per_shard=1))
    assert b["captions"] == ['a "field",\r\nof grass\r\n']
    assert c["captions"] == ["a road"] and a["captions"] == ["x\r\n\r\ny"]


def test_json_captions_hold_what_only_looks_like_a_line_break(folder):
    caption = "a field\u2028of\x0bgrass"
    entry = json.dumps({"file_name": "b.png", "text": caption}, ensure_ascii=False)
    (folder / "metadata.jsonl").write_text(f"\n{entry}\n\n", encoding="utf-8")
    assert rows_of(FolderSource(folder, rights="x"))[1]["captions"] == [caption]


def test_captions_that_are_no_text_give_the_reason_and_keep_the_others(folder):
    (folder / "metadata.jsonl").write_bytes(
        b'{"file_name": "a.JPG", "captions": ["a barn", 5, null]}\n'
        b'{"file_name": "b.png", "caption": "caf\xe9"}\n'
        b'{"file_name": "test/c.png", "caption": "half \\ud83d of a pair"}\n'
    )
    rows = rows_of(FolderSource(folder, rights="x"))
    assert [row["captions"] for row in rows] == [["a barn"], [], []]
    assert [row["_reason"] for row in rows] == ["caption_unreadable"] * 3


def test_names_that_lead_out_are_rows_with_the_reason_and_nothing_is_read(folder):
    secret = folder.parent / "secret.png"
    secret.write_bytes(encoded(7))
    (folder / "link.png").symlink_to(secret)
    (folder / "inner.png").symlink_to(folder / "b.png")
    names = ["../secret.png", str(secret), "x\0.png", "C:\\secret.png", "\ud800.png"]
    lines = [{"file_name": name, "text": "x"} for name in names]
    (folder / "metadata.jsonl").write_text("\n".join(map(json.dumps, lines)))
    rows = {row["source_locator"]: row for row in rows_of(FolderSource(folder, rights="x"))}
    unsafe = ["../secret.png", str(secret), "x\0.png", "C:/secret.png", "\\ud800.png", "link.png"]
    assert [rows.pop(name)["_reason"] for name in unsafe] == ["unsafe_path"] * len(unsafe)
    assert {name: row["_reason"] for name, row in rows.items()} == dict.fromkeys(
        ["a.JPG", "b.png", "inner.png", "test/c.png"]
    )
    assert rows["inner.png"]["rgb"]["bytes"] == rows["b.png"]["rgb"]["bytes"]


def test_a_file_name_that_is_not_utf_8_is_a_row_with_the_reason(folder):
    with open(os.fsencode(folder) + b"/caf\xe9.png", "wb") as file:
        file.write(encoded(7))
    row = rows_of(FolderSource(folder, rights="x"))[2]
    assert (row["sample_id"], row["_reason"]) == ("photos/caf\\udce9.png", "unsafe_path")
    assert row["rgb"]["bytes"] is None


def test_a_named_file_is_read_whatever_its_suffix_and_others_are_counted_in_the_log(folder, caplog):
    (folder / "tile.0001").write_bytes(encoded(8))
    (folder / "notes.txt").write_text("x")
    (folder / ".hidden.png").write_text("x")
    (folder / "metadata.jsonl").write_text('{"file_name": "tile.0001", "text": "a field"}')
    rows = rows_of(FolderSource(folder, rights="x"))
    assert [row["source_locator"] for row in rows] == ["a.JPG", "b.png", "test/c.png", "tile.0001"]
    assert rows[-1]["captions"] == ["a field"] and rows[-1]["rgb"]["bytes"] == encoded(8)
    assert "no images by their suffix and not read: 1 .txt\n" in caplog.text


def test_names_are_in_the_order_of_whole_names(tmp_path):
    names = ["a/x.png", "a-b/x.png", "a.png", "a/b/x.png", "b.png", "a0.png"]
    for name in names:
        (tmp_path / name).parent.mkdir(parents=True, exist_ok=True)
        (tmp_path / name).write_bytes(encoded(1))
    assert [row["source_locator"] for row in rows_of(FolderSource(tmp_path, rights="x"))] == sorted(names)


def test_a_link_to_a_folder_is_not_followed_and_told(folder, caplog):
    (folder / "loop").symlink_to(folder)
    assert len(rows_of(FolderSource(folder, rights="x"))) == 3
    assert "loop is a link to a folder and is not followed; copy the folder" in caplog.text


def test_links_to_nowhere_and_to_themselves_are_rows_with_the_reason(folder, tmp_path):
    (folder / "gone.png").symlink_to("nowhere.png")
    (folder / "self.png").symlink_to("self.png")
    rows = {row["source_locator"]: row["_reason"] for row in rows_of(FolderSource(folder, rights="x"))}
    assert {name: rows.pop(name) for name in ("gone.png", "self.png")} == dict.fromkeys(
        ("gone.png", "self.png"), "image_missing"
    )
    assert set(rows.values()) == {None}


def test_listing_holds_no_captions(folder):
    """5,000 entries of 1 kB: their index takes 17 bytes each, sorting and digests for a while some more."""
    lines = (json.dumps({"file_name": "b.png", "text": f"{number:01000d}"}) + "\n" for number in range(5000))
    (folder / "metadata.jsonl").write_text("".join(lines))
    source = FolderSource(folder, rights="x")
    tracemalloc.start()
    shards = list(source.shards())
    peak = tracemalloc.get_traced_memory()[1]
    tracemalloc.stop()
    assert len(shards[0][1][1]) == 5000 and peak < 2_000_000
    assert rows_of(source)[1]["captions"][4999] == f"{4999:01000d}"


@pytest.mark.parametrize("per_group", [1, 2, 100])
def test_parquet_captions_are_read_as_imagefolder_reads_them(folder, per_group):
    columns = {
        "file_name": ["test/c.png", "b.png", "b.png", "a.JPG"],
        "caption": ["a lake", "a barn", "a farm", None],
        "image": [{"bytes": b"x", "path": None}] * 4,
        "gsd_m": [None, 0.5, 0.5, 2.0],
        "acquired_at": [None, None, datetime.date(2020, 6, 1), None],
    }
    pq.write_table(pa.table(columns), folder / "metadata.parquet", row_group_size=per_group)
    rows = {row["source_locator"]: row for row in rows_of(FolderSource(folder, rights="x", images_per_shard=1))}
    assert {name: row["captions"] for name, row in rows.items()} == {
        "a.JPG": [],
        "b.png": ["a barn", "a farm"],
        "test/c.png": ["a lake"],
    }
    assert (rows["b.png"]["gsd_m"], rows["b.png"]["acquired_at"]) == (0.5, "2020-06-01")


def test_each_form_of_metadata_gives_the_same_rows_and_two_in_one_folder_are_an_error(folder):
    table = pa.table({"file_name": ["b.png"], "text": ["a barn"]})
    written = []
    for name, write in {
        "metadata.csv": lambda path: path.write_text("file_name,text\nb.png,a barn\n"),
        "metadata.jsonl": lambda path: path.write_text('{"file_name": "b.png", "text": "a barn"}\n'),
        "metadata.parquet": lambda path: pq.write_table(table, path),
    }.items():
        write(folder / name)
        written.append([row["captions"] for row in rows_of(FolderSource(folder, rights="x"))])
        (folder / name).unlink()
    assert written == [[[], ["a barn"], []]] * 3
    (folder / "metadata.csv").write_text("file_name,text\nb.png,a barn\n")
    pq.write_table(table, folder / "metadata.parquet")
    with pytest.raises(InputError, match=r"photos holds metadata.csv and metadata.parquet; keep one"):
        rows_of(FolderSource(folder, rights="x"))


@pytest.mark.parametrize("form", ["NFC", "NFD"])
def test_captions_find_images_whose_names_are_in_another_normal_form(folder, form):
    name = {key: unicodedata.normalize(key, "Köln-é.png") for key in ("NFC", "NFD")}
    other = "NFD" if form == "NFC" else "NFC"
    (folder / name[form]).write_bytes(encoded(5))
    (folder / "metadata.jsonl").write_text(json.dumps({"file_name": name[other], "text": "a town"}))
    (row,) = [row for row in rows_of(FolderSource(folder, rights="x")) if row["captions"]]
    assert row["captions"] == ["a town"] and row["source_locator"] == name[form] and row["_reason"] is None


def test_an_entry_belongs_to_the_file_of_its_own_normal_form_where_both_are_there(folder):
    names = [unicodedata.normalize(form, "Köln-é.png") for form in ("NFC", "NFD")]
    for index, name in enumerate(names):
        (folder / name).write_bytes(encoded(5 + index))
    (folder / "metadata.jsonl").write_text(json.dumps({"file_name": names[0], "text": "a town"}))
    said = {row["source_locator"]: row["captions"] for row in rows_of(FolderSource(folder, rights="x"))}
    assert said[names[0]] == ["a town"] and said[names[1]] == []


def test_a_name_that_differs_in_its_case_alone_is_told_so(folder):
    (folder / "d.JPG").write_bytes(encoded(9, kind="JPEG"))
    (folder / "metadata.csv").write_text("file_name,text\nd.jpg,a barn\n")
    with pytest.raises(InputError, match=r"such as d.jpg \(there is d.JPG: upper and lower case differ\); add"):
        rows_of(FolderSource(folder, rights="x"))


def test_metadata_in_utf_16_is_told(folder):
    (folder / "metadata.csv").write_text("file_name,text\nb.png,a barn\n", encoding="utf-16")
    with pytest.raises(InputError, match="metadata.csv is UTF-16 by its byte order mark; save it as UTF-8"):
        rows_of(FolderSource(folder, rights="x"))


def test_names_with_a_dot_in_front_are_counted(folder, caplog):
    caplog.set_level("INFO")
    for name in ("._a.JPG", ".DS_Store", "test/._c.png"):
        (folder / name).write_bytes(b"x")
    assert len(rows_of(FolderSource(folder, rights="x"))) == 3
    assert "3 names in" in caplog.text and "that start with a dot are left out" in caplog.text


@pytest.mark.parametrize(
    ("name", "split"),
    [("train", "train"), ("valid", "validation"), ("dev", "validation"), ("testing", "test"), ("eval", "test")]
    + [("val2017", "validation"), ("my-evaluation set", "test"), ("images/Training", "train"), ("tests", None)],
)
def test_split_words_are_those_of_datasets(tmp_path, name, split):
    (tmp_path / "p" / name).mkdir(parents=True)
    (tmp_path / "p" / name / "a.png").write_bytes(encoded(1))
    assert [row["_split"] for row in rows_of(FolderSource(tmp_path / "p", rights="x"))] == [split]


def test_an_empty_folder_is_an_error(tmp_path):
    with pytest.raises(InputError, match=r"holds no images; put files there that end in \.png"):
        list(FolderSource(tmp_path, rights="x").shards())


def test_a_caption_file_that_names_missing_images_is_an_error(folder):
    lines = [{"file_name": name, "caption": "x"} for name in ("b.png", "z.png", "y.png")]
    (folder / "metadata.jsonl").write_text("\n".join(map(json.dumps, lines)))
    with pytest.raises(
        InputError, match=r"^\S+metadata.jsonl names 2 of 3 images that are not in \S+, such as y.png; add"
    ):
        list(FolderSource(folder, rights="x").shards())


@pytest.mark.parametrize(
    ("name", "text", "message"),
    [
        (
            "metadata.jsonl",
            '{"file_name": "b.png"}',
            r"entry 1 of \S+ needs file_name and one of captions, caption, text",
        ),
        ("metadata.jsonl", '{"file_name": "b.png", "text": "x"}\n{"file_name": ', r"entry 2 of \S+ is not JSON \("),
        ("metadata.jsonl", '["b.png"]', r"""entry 1 of \S+ is no mapping but 'b.png'; give one that is JSON"""),
        ("metadata.jsonl", '{"file_name": 7, "text": "x"}', r"entry 1 of \S+ needs file_name"),
        ("metadata.csv", "file_name,caption,gsd_m\nb.png,x,far", r"entry 1 of \S+ has a gsd_m that is no number"),
        (
            "metadata.csv",
            "file_name,caption,gsd_m\nb.png,x,-1",
            r"entry 1 of \S+ has a gsd_m that is no number above 0",
        ),
        (
            "metadata.csv",
            "file_name,text\nb.png,a field, green",
            r"entry 1 of \S+ has 3 fields, the header has 2: quote",
        ),
        ("metadata.csv", "file_name,file_name\nb.png,x", r"needs a header of distinct column names"),
        (
            "metadata.jsonl",
            '{"file_name": "b.png", "text": "x", "acquired_at": "2020-02-30"}',
            r"entry 1 of \S+ has .*day is out of range",
        ),
        (
            "metadata.jsonl",
            '{"file_name": "b.png", "text": "x", "acquired_at": "last year"}',
            r"entry 1 of \S+ has acquired_at is 'last year', no ISO date",
        ),
    ],
)
def test_a_caption_file_that_cannot_be_read_is_an_error_that_names_the_place(folder, name, text, message):
    (folder / name).write_text(text)
    with pytest.raises(InputError, match=message):
        list(FolderSource(folder, rights="x").shards())


@pytest.mark.parametrize(
    ("values", "message"),
    [
        ({"captions": "none.csv"}, r"caption file none.csv does not exist"),
        ({"caption_origin": "robot"}, "caption_origin must be one of source, hand, rule, model, got 'robot'"),
        ({"images_per_shard": 0}, "images_per_shard must be positive, got 0"),
    ],
)
def test_values_that_cannot_be_are_told(folder, values, message):
    with pytest.raises(InputError, match=message):
        list(FolderSource(folder, rights="x", **values).shards())
