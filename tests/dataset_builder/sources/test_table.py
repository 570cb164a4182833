import gzip
import io
import json
import pickle
import tracemalloc

import datasets
import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from PIL import Image

from dataset_builder.schema import COLUMNS
from dataset_builder.sources import open_source
from dataset_builder.sources.table import TableSource
from fusionrs_hf.errors import InputError

RED, BLUE = b"bytes of a red image", b"bytes of a blue image"
MAP = {"rgb": "image", "captions": "caption"}


def rows_of(source):
    return [row for shard in source.shards() for row in source.read(shard)]


def parquet(path, rows, group=2):
    path.parent.mkdir(exist_ok=True)
    pq.write_table(pa.Table.from_pylist(rows), path, row_group_size=group)
    return path


def lines(path, rows):
    path.write_text("".join(json.dumps(row) + "\n" for row in rows))
    return path


def table(path, columns=MAP, **values):
    return TableSource(path, columns, **{"rights": "CC0-1.0"} | values)


@pytest.fixture
def file(tmp_path):
    rows = [{"image": {"bytes": RED, "path": f"{n}.png"}, "caption": f"field {n}", "id": n} for n in range(5)]
    return parquet(tmp_path / "mine.parquet", rows)


def test_columns_are_mapped_and_the_rest_of_the_record_is_null(file):
    row = rows_of(table(file))[3]
    assert set(row) == {*COLUMNS, "_split", "_reason"}
    assert (row["rgb"], row["captions"], row["caption_origin"]) == (
        {"bytes": RED, "path": "3.png"},
        ["field 3"],
        ["source"],
    )
    assert (row["sample_id"], row["source_locator"]) == ("mine/mine.parquet#3", "mine.parquet#3")
    assert (row["source_dataset"], row["rights"], row["_split"], row["_reason"]) == ("mine", "CC0-1.0", None, None)
    assert row["ir"] is None and row["ir_band"] is None and row["acquired_at"] is None


def test_every_column_of_the_map_and_every_constant(tmp_path):
    given = {
        "visible": RED,
        "thermal": {"bytes": BLUE, "path": None},
        "caption_1": "a field",
        "caption_2": None,
        "caption_3": "a barn",
        "heat": ["bright", "dark"],
        "key": 7,
        "box": [1.0, 2.0, 3.0, 4.0],
        "res": 0.5,
        "day": "2020-06-01",
        "fold": "dev",
        "licence": "CC-BY-4.0",
    }
    columns = {"rgb": "visible", "ir": "thermal", "captions": ["caption_1", "caption_2", "caption_3"]}
    columns |= {"ir_captions": "heat", "sample_id": "key", "bbox": "box", "gsd_m": "res", "acquired_at": "day"}
    columns |= {"split": "fold", "rights": "licence"}
    constants = {"ir_band": "lwir", "ir_origin": "sensor", "ir_unit": "dn", "sensor": "UAV", "caption_origin": "hand"}
    source = table(
        parquet(tmp_path / "t.parquet", [given]), columns, rights="", splits={"dev": "validation"}, **constants
    )
    row = rows_of(source)[0]
    wanted = {"sample_id": "7", "captions": ["a field", "a barn"], "caption_origin": ["hand", "hand"], "gsd_m": 0.5}
    wanted |= {"ir_captions": ["bright", "dark"], "bbox": [1, 2, 3, 4], "acquired_at": "2020-06-01", "sensor": "UAV"}
    wanted |= {"ir": {"bytes": BLUE, "path": None}, "ir_band": "lwir", "ir_origin": "sensor", "ir_unit": "dn"}
    wanted |= {"rights": "CC-BY-4.0", "_split": "validation", "_reason": None}
    assert {name: row[name] for name in wanted} == wanted


@pytest.mark.parametrize(
    ("column", "value"),
    [
        ("texts", ["one", "two"]),
        ("texts", [["one"], ["two", None]]),
        ("sentences.raw", [{"raw": "one", "id": "x"}, {"raw": "two", "id": "y"}]),
        ("sentences.raw", {"raw": ["one", "two"], "id": ["x", "y"]}),
        ("a.b.c", {"b": [{"c": ["one"]}, {"c": ["two"]}]}),
        ("with.dot", ["one", "two"]),
    ],
)
@pytest.mark.parametrize("write", [parquet, lines], ids=["parquet", "jsonl"])
def test_nested_captions_are_found_by_their_path(tmp_path, column, value, write):
    name = column if column == "with.dot" else column.split(".")[0]
    image = {"image": {"bytes": RED, "path": "x"}} if write is parquet else {"image": "x.png"}
    path = write(tmp_path / f"t.{'parquet' if write is parquet else 'jsonl'}", [image | {name: value}])
    (tmp_path / "x.png").write_bytes(RED)
    source = table(path, {"rgb": "image", "captions": column}, images=str(tmp_path))
    assert [(row["captions"], row["_reason"]) for row in rows_of(source)] == [(["one", "two"], None)]


def text_rows(count):
    return [
        {"file": f"{n}.png", "text": f"field\n{n}, “green”", "fold": ("train", "val")[n % 2]} for n in range(count)
    ]


@pytest.mark.parametrize("kind", ["jsonl", "jsonl.gz", "csv", "parquet"])
def test_any_cut_into_shards_gives_the_same_rows(tmp_path, kind):
    rows = text_rows(7)
    path = tmp_path / f"t.{kind}"
    if kind == "csv":
        body = "".join('{file},"{text}",{fold}\n'.format(**row) for row in rows)
        path.write_text("file,text,fold\n" + body, encoding="utf-8-sig")
    elif kind.startswith("jsonl"):
        text = "\n" + "\n".join(json.dumps(row, ensure_ascii=False) for row in rows)
        path.write_bytes(gzip.compress(text.encode()) if kind == "jsonl.gz" else text.encode())
    else:
        parquet(path, rows, group=3)
    (tmp_path / "images").mkdir()
    for number in range(7):
        (tmp_path / "images" / f"{number}.png").write_bytes(bytes([number]))
    columns = {"rgb": "file", "captions": "text", "split": "fold"}
    values = {"images": str(tmp_path / "images")}
    whole = rows_of(table(path, columns, **values))
    assert [row["captions"] for row in whole] == [[row["text"]] for row in rows]
    assert [row["rgb"]["bytes"] for row in whole] == [bytes([number]) for number in range(7)]
    assert [row["_split"] for row in whole][:2] == ["train", "validation"]
    for size in (1, 2, 3, 7):
        cut = table(path, columns, **values, rows_per_shard=size, row_groups_per_shard=1)
        shards = json.loads(json.dumps(list(cut.shards())))
        assert len(shards) == (3 if kind == "parquet" else -(-7 // size))
        assert [row for shard in shards for row in pickle.loads(pickle.dumps(cut)).read(shard)] == whole


def test_image_files_are_read_below_the_declared_folder_only(tmp_path):
    (tmp_path / "images" / "deep").mkdir(parents=True)
    (tmp_path / "images" / "deep" / "a.png").write_bytes(RED)
    (tmp_path / "secret.png").write_bytes(BLUE)
    (tmp_path / "images" / "link.png").symlink_to(tmp_path / "secret.png")
    names = [
        "deep/a.png",
        "./deep\\a.png",
        "../secret.png",
        str(tmp_path / "secret.png"),
        "link.png",
        "none.png",
        None,
    ]
    path = lines(tmp_path / "t.jsonl", [{"image": name, "caption": "x"} for name in names])
    rows = rows_of(table(path, images=str(tmp_path / "images")))
    assert [row["_reason"] for row in rows] == [None, None, *["unsafe_path"] * 3, "image_missing", "image_missing"]
    assert [row["rgb"]["bytes"] for row in rows] == [RED, RED, None, None, None, None, None]
    with pytest.raises(
        InputError, match=r"names image files \('deep/a.png'\); declare `images`, the folder they are in"
    ):
        rows_of(table(path))


def test_a_row_whose_infrared_is_null_has_none_and_says_nothing_of_it(tmp_path):
    path = parquet(tmp_path / "t.parquet", [{"image": RED, "ir": BLUE}, {"image": RED, "ir": None}])
    about = {"ir_band": "nir", "ir_origin": "sensor", "ir_unit": "display"}
    first, second = rows_of(table(path, {"rgb": "image", "ir": "ir"}, **about))
    assert first["ir"]["bytes"] == BLUE and first["ir_band"] == "nir"
    assert [second[name] for name in ("ir", "_reason", *about)] == [None] * 5


def test_bad_values_are_rows_with_a_reason_and_the_value_left_out(tmp_path):
    (tmp_path / "x.png").write_bytes(RED)
    good = {"image": "x.png", "caption": "a field", "day": "2020", "res": 1, "box": [0, 0, 1, 1], "right": "MIT"}
    changes = [
        ({}, None),
        ({"day": "June"}, "value_invalid"),
        ({"res": -1}, "value_invalid"),
        ({"box": [0, 5, 1, 1]}, "value_invalid"),
        ({"caption": 5}, "caption_unreadable"),
        ({"caption": {"raw": "x"}}, "caption_unreadable"),
        ({"fold": "other"}, "split_unknown"),
        ({"right": None}, "rights_missing"),
        ({"image": 5}, "value_invalid"),
    ]
    path = lines(tmp_path / "t.jsonl", [good | change for change, _ in changes])
    with path.open("ab") as file:
        file.write(
            b'{"image": "x.png", \n["no", "mapping"]\n{"image": "x.png", "caption": "caf\xe9", "right": "MIT"}\n'
        )
    columns = {"rgb": "image", "captions": "caption", "acquired_at": "day", "gsd_m": "res", "bbox": "box"}
    columns |= {"split": "fold", "rights": "right"}
    rows = rows_of(table(path, columns, rights="", images=str(tmp_path)))
    wanted = [*[reason for _, reason in changes], *["entry_unreadable"] * 2, "caption_unreadable"]
    assert [row["_reason"] for row in rows] == wanted
    assert [rows[number][name] for number, name in ((1, "acquired_at"), (2, "gsd_m"), (3, "bbox"))] == [None] * 3
    assert rows[7]["rights"] == "unknown" and rows[9]["rgb"]["bytes"] is None


def test_a_csv_record_of_another_length_is_a_row_with_a_reason(tmp_path):
    (tmp_path / "x.png").write_bytes(RED)
    path = tmp_path / "t.csv"
    path.write_text("image,caption\nx.png,a field, green\nx.png,a barn\n")
    rows = rows_of(table(path, images=str(tmp_path)))
    assert [(row["captions"], row["_reason"]) for row in rows] == [([], "entry_unreadable"), (["a barn"], None)]


def test_splits_of_a_folder_of_tables_are_in_the_file_names(tmp_path):
    for name in ("train-00000-of-00001", "val-00000-of-00001", "fold9", "extra"):
        parquet(tmp_path / "data" / f"{name}.parquet", [{"image": RED, "caption": name}])
    source = table(tmp_path / "data", splits={"fold9": "test"})
    assert [(row["captions"][0].partition("-")[0], row["_split"]) for row in rows_of(source)] == [
        ("extra", None),
        ("fold9", "test"),
        ("train", "train"),
        ("val", "validation"),
    ]


@pytest.mark.parametrize(
    ("values", "message"),
    [
        ({"columns": {"rgb": "imgae"}}, r"mine.parquet has no column 'imgae' for rgb; did you mean 'image'\?"),
        ({"columns": {"rgb": "image.byte"}}, r"no column 'image.byte' for rgb; did you mean 'bytes'\?"),
        ({"columns": {"rbg": "image"}}, r"maps the unknown column 'rbg'; did you mean 'rgb'\?"),
        ({"columns": {"captions": "caption"}}, "does not map rgb; name the column of the RGB images"),
        ({"columns": {"rgb": ["image", "id"]}}, "maps rgb to 2 columns; only captions and ir_captions take several"),
        ({"columns": {"rgb": 3}}, "maps rgb to 3; give the name of a column"),
        ({"columns": {"rgb": "image", "ir": "image"}}, "needs ir_band, ir_origin, ir_unit, as a value or as a mapped"),
        ({"rights": ""}, "needs rights, as a value or as a mapped column"),
        ({"ir_band": "thermal"}, "ir_band is 'thermal', none of"),
        ({"acquired_at": "June"}, "acquired_at is 'June', no ISO date"),
        ({"splits": {"val": "valid"}}, r"maps a split to 'valid'; did you mean 'validation'\?"),
        ({"caption_origin": "robot"}, "caption_origin must be one of source, hand, rule, model, got 'robot'"),
        ({"images": "nowhere"}, "images nowhere is no folder"),
        ({"rows_per_shard": 0}, "rows_per_shard and row_groups_per_shard must be positive"),
    ],
)
def test_declarations_that_cannot_be_are_told_in_one_line(file, values, message):
    with pytest.raises(InputError, match=message) as error:
        rows_of(table(file, **values))
    assert "\n" not in str(error.value)


def test_an_array_of_mappings_gives_the_rows_of_its_lines(tmp_path):
    entries = text_rows(7)
    lines(tmp_path / "lines.jsonl", entries)
    (tmp_path / "array.json").write_text(json.dumps(entries, indent=1))
    said = []
    for name in ("lines.jsonl", "array.json"):
        rows = rows_of(
            table(tmp_path / name, {"rgb": "file", "captions": "text"}, images=str(tmp_path), rows_per_shard=3)
        )
        said.append([row["captions"] for row in rows])
    assert said[0] == said[1] and len(said[0]) == 7


def test_files_that_are_no_tables_are_told(tmp_path):
    for name, data, message in (
        ("t.parquet", b"no parquet", r"t.parquet is no Parquet that can be read \("),
        ("t.csv", b"", "t.csv needs a header of distinct column names, got"),
        ("t.xlsx", b"x", r"is none that can be read; give one that ends in .parquet, .jsonl"),
    ):
        (tmp_path / name).write_bytes(data)
        with pytest.raises(InputError, match=message):
            rows_of(table(tmp_path / name))
    (tmp_path / "t.json").write_text('"a text"\n')
    with pytest.raises(
        InputError, match="t.json holds no mapping: its first entry is no mapping but 'a text'; give JSON"
    ):
        rows_of(table(tmp_path / "t.json"))
    datasets.Dataset.from_dict({"image": ["a.png"]}).save_to_disk(tmp_path / "saved")
    with pytest.raises(
        InputError, match=r"saved is what save_to_disk wrote; write its rows as Parquet by load_from_disk"
    ):
        rows_of(table(tmp_path / "saved"))
    (tmp_path / "empty").mkdir()
    with pytest.raises(InputError, match="empty holds no table; put files there that end in .parquet, .jsonl"):
        rows_of(table(tmp_path / "empty"))


def test_a_damaged_parquet_file_is_told_with_the_place(file):
    data = bytearray(file.read_bytes())
    data[4:400] = bytes(396)
    file.write_bytes(data)
    with pytest.raises(
        InputError, match=r"mine.parquet is damaged in row group 0 \(no page starts at byte 4\); copy it anew"
    ):
        rows_of(table(file))


def test_listing_and_reading_hold_a_batch_only(tmp_path, monkeypatch):
    monkeypatch.setattr("dataset_builder.sources.table.LOOKED_AT", 10)
    rows = ({"file": "x.png", "text": f"{number:02000d}"} for number in range(1500))
    path = lines(tmp_path / "t.jsonl", rows)  # 3 MB
    (tmp_path / "x.png").write_bytes(RED)
    source = table(path, {"rgb": "file", "captions": "text"}, images=str(tmp_path), rows_per_shard=100)
    next(source.read(next(source.shards())))  # imports and caches
    tracemalloc.start()
    count = sum(1 for shard in source.shards() for _ in source.read(shard))
    peak = tracemalloc.get_traced_memory()[1]
    tracemalloc.stop()
    assert count == 1500 and peak < 500_000


def test_a_recipe_opens_it_relative_to_its_folder(file):
    spec = {"kind": "table", "path": "mine.parquet", "columns": {"rgb": "image"}, "rights": "MIT"}
    assert len(rows_of(open_source(spec, file.parent))) == 5


def pushed(folder, repository):
    """Runs in the Hub's client process: pushes a folder, reads it back by a map of its columns."""
    from huggingface_hub import HfApi

    api = HfApi()
    api.create_repo(repository, repo_type="dataset")
    api.upload_folder(repo_id=repository, repo_type="dataset", folder_path=folder)
    values = {"rights": "MIT", "splits": {"validation": "test", "train": "train"}}
    source = TableSource(repository, {"rgb": "image", "captions": ["text", "caps.raw"]}, **values)
    shards = list(source.shards())
    rows = [row for shard in shards for row in source.read(shard)]
    errors = []
    for changes in ({"columns": {"rgb": "img"}}, {"splits": {"tets": "test"}}, {"config": "none"}):
        try:
            list(TableSource(**{"path": repository, "columns": {"rgb": "image"}, "rights": "MIT"} | changes).shards())
        except InputError as error:
            errors.append(str(error))
    return len(shards), rows, errors


@pytest.mark.parametrize("kind", ["imagefolder", "parquet"])
def test_a_hub_dataset_is_streamed_by_its_own_shards(tmp_path, hub_client, kind):
    buffer = io.BytesIO()
    Image.fromarray(np.zeros((8, 8, 3), np.uint8)).save(buffer, "PNG")
    for split in ("train", "validation"):
        rows = [{"text": f"{split} {number}", "caps": [{"raw": "a"}, {"raw": "b"}]} for number in range(4)]
        if kind == "parquet":
            for part in range(2):
                of_part = [row | {"image": {"bytes": buffer.getvalue(), "path": None}} for row in rows[part::2]]
                parquet(tmp_path / "data" / f"{split}-0000{part}-of-00002.parquet", of_part)
        else:
            (tmp_path / split).mkdir()
            for number in range(4):
                (tmp_path / split / f"{number}.png").write_bytes(buffer.getvalue())
            lines(tmp_path / split / "metadata.jsonl", [row | {"file_name": f"{n}.png"} for n, row in enumerate(rows)])
    shards, rows, errors = hub_client.submit(pushed, str(tmp_path), f"team/table-{kind}").result()
    assert shards == (4 if kind == "parquet" else 2) and len(rows) == 8
    assert {row["rgb"]["bytes"] for row in rows} == {buffer.getvalue()}
    assert {(row["captions"][0][:5], row["_split"]) for row in rows} == {("valid", "test"), ("train", "train")}
    assert all(row["captions"][1:] == ["a", "b"] and row["_reason"] is None for row in rows)
    assert len({row["sample_id"] for row in rows}) == 8
    unknown, split, config = errors
    assert "has no column 'img' for rgb; did you mean 'image'?" in unknown
    assert "has no split 'tets'; known are" in split or "did you mean 'test'" in split
    assert "nor a Hub dataset that can be read (" in config and "\n" not in config
