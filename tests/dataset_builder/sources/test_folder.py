import io
import json

import pytest
from PIL import Image

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
    shards = FolderSource(folder, rights="x", images_per_shard=2).shards()
    assert shards == [("a.JPG", "b.png"), ("test/c.png",)]


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


def test_corrupt_images_are_rows_with_a_reason(folder):
    (folder / "d.png").write_bytes(b"not an image")
    whole = encoded(9, (64, 64))
    (folder / "e.png").write_bytes(whole[: len(whole) // 2])
    (folder / "f.png").write_bytes(b"")
    rows = rows_of(FolderSource(folder, rights="x"))
    reasons = {row["source_locator"]: row["_reason"] for row in rows}
    assert reasons == {
        "a.JPG": None,
        "b.png": None,
        "d.png": "unreadable",
        "e.png": "unreadable",
        "f.png": "unreadable",
        "test/c.png": None,
    }
    assert rows[2]["rgb"] == {"bytes": b"not an image", "path": "d.png"}


def test_a_decompression_bomb_is_a_row_with_a_reason(folder, monkeypatch):
    monkeypatch.setattr(Image, "MAX_IMAGE_PIXELS", 100)  # Pillow raises above twice that
    assert [row["_reason"] for row in rows_of(FolderSource(folder, rights="x"))] == [None, "image_too_large", None]


def test_an_empty_folder_is_an_error(tmp_path):
    with pytest.raises(InputError, match=r"holds no images; put files there that end in \.png"):
        FolderSource(tmp_path, rights="x").shards()


def test_a_caption_file_that_names_missing_images_is_an_error(folder):
    lines = [{"file_name": name, "caption": "x"} for name in ("b.png", "z.png", "y.png")]
    (folder / "metadata.jsonl").write_text("\n".join(map(json.dumps, lines)))
    with pytest.raises(
        InputError, match=r"^\S+metadata.jsonl names 2 of 3 images that are not in \S+, such as y.png; add"
    ):
        FolderSource(folder, rights="x").shards()


@pytest.mark.parametrize(
    ("name", "text", "message"),
    [
        (
            "metadata.jsonl",
            '{"file_name": "b.png"}',
            r"entry 1 of \S+ needs file_name and one of captions, caption, text",
        ),
        ("metadata.jsonl", '{"file_name": ', r"metadata.jsonl is not UTF-8 JSON Lines or CSV \("),
        ("metadata.jsonl", '["b.png"]', r"entry 1 of \S+ needs file_name"),
        ("metadata.csv", "file_name,caption,gsd_m\nb.png,x,far", r"entry 1 of \S+ has a gsd_m that is no number"),
    ],
)
def test_a_caption_file_that_cannot_be_read_is_an_error_that_names_the_place(folder, name, text, message):
    (folder / name).write_text(text)
    with pytest.raises(InputError, match=message):
        FolderSource(folder, rights="x").shards()


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
        FolderSource(folder, rights="x", **values).shards()
