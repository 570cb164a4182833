import json

import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from dataset_builder.schema import COLUMNS, FEATURES, new_row
from dataset_builder.sources.repository import RepositorySource
from fusionrs_hf.errors import InputError


def row(tile, band, **changes):
    return new_row(
        **{
            "sample_id": f"{tile}/{band}",
            "source_dataset": "made",
            "source_locator": tile,
            "rights": "CC0-1.0",
            "rgb": {"bytes": f"rgb of {tile}".encode(), "path": "t.png"},
            "ir": {"bytes": f"{band} of {tile}".encode(), "path": None},
            "ir_origin": "sensor",
            "ir_band": band,
            "ir_unit": "display",
            "captions": ["a field"],
            "caption_origin": ["hand"],
            "ir_captions": ["bright"],
            "ir_phash": "0" * 16,
        }
        | changes
    )


TILES = {"train": ["t0", "t1", "t2"], "test": ["t3"]}


@pytest.fixture
def folder(tmp_path):
    """Two bands a tile; train in two files of row groups of two rows that cut through the rows of tile t1."""
    rows = {split: [row(tile, band) for tile in tiles for band in ("nir", "swir")] for split, tiles in TILES.items()}
    parts = {
        "data/train-00000-of-00002": rows["train"][:3],
        "data/train-00001-of-00002": rows["train"][3:],
        "data/test-00000-of-00001": rows["test"],
        "quarantine/train-00000-of-00001": [row("left", "nir")],
    }
    for name, part in parts.items():
        (tmp_path / name).parent.mkdir(exist_ok=True)
        table = pa.Table.from_pylist(part, schema=FEATURES.arrow_schema)
        pq.write_table(table, tmp_path / f"{name}.parquet", row_group_size=2)
    return tmp_path


def rows_of(source):
    return [found for shard in source.shards() for found in source.read(shard)]


def test_rows_come_as_they_are_stored_with_the_split_of_their_file(folder):
    found = rows_of(RepositorySource(folder))
    train = [(f"t{tile}/{band}", "train") for tile in range(3) for band in ("nir", "swir")]
    assert [(each["sample_id"], each["_split"]) for each in found] == [("t3/nir", "test"), ("t3/swir", "test"), *train]
    expected = row("t3", "nir") | {"_split": "test", "_reason": None}
    assert found[0] == expected


def test_shards_are_row_groups_and_any_cut_gives_the_same_rows(folder):
    fine, coarse = RepositorySource(folder, row_groups_per_shard=1), RepositorySource(folder)
    assert (len(list(fine.shards())), len(list(coarse.shards()))) == (5, 3)
    assert rows_of(fine) == rows_of(coarse)


def test_splits_can_be_chosen(folder):
    assert {found["_split"] for found in rows_of(RepositorySource(folder, splits=["test"]))} == {"test"}


def test_a_folder_of_splits_is_read_too(tmp_path):
    (tmp_path / "validation").mkdir()
    table = pa.Table.from_pylist([row("t", "nir")], schema=FEATURES.arrow_schema)
    pq.write_table(table, tmp_path / "validation" / "rows.parquet")
    assert [found["_split"] for found in rows_of(RepositorySource(tmp_path))] == ["validation"]


@pytest.mark.parametrize("groups", [1, 10])
def test_drop_ir_gives_every_image_once_whatever_the_shards(folder, groups):
    found = rows_of(RepositorySource(folder, drop_ir=True, row_groups_per_shard=groups))
    assert [each["sample_id"] for each in found] == ["t3/nir/rgb", "t0/nir/rgb", "t1/nir/rgb", "t2/nir/rgb"]


def test_drop_ir_finds_images_again_that_are_rows_apart_and_reads_the_shards_as_json(tmp_path):
    tiles = ["t0", "t1", "t2", "t1", "t3", "t0"]
    for split in ("train", "test"):
        (tmp_path / split).mkdir()
        rows = [row(tile, "nir", sample_id=f"{split}{number}") for number, tile in enumerate(tiles)]
        for part in range(2):
            table = pa.Table.from_pylist(rows[3 * part : 3 * part + 3], schema=FEATURES.arrow_schema)
            pq.write_table(table, tmp_path / split / f"{part}.parquet", row_group_size=1)
    source = RepositorySource(tmp_path, drop_ir=True, row_groups_per_shard=2)
    shards = json.loads(json.dumps(list(source.shards())))
    found = [each["sample_id"] for shard in shards for each in source.read(shard)]
    assert found == [f"{split}{number}/rgb" for split in ("test", "train") for number in (0, 1, 2, 4)]


def test_drop_ir_leaves_nothing_of_the_infrared(folder):
    found = rows_of(RepositorySource(folder, drop_ir=True))[0]
    kept = {name for name in COLUMNS if found[name] not in (None, [])}
    assert kept == {"sample_id", "source_dataset", "source_locator", "rights", "rgb", "captions", "caption_origin"}


def test_columns_that_are_missing_are_null_and_others_are_not_read(tmp_path, caplog):
    table = pa.Table.from_pylist([row("t", "nir")], schema=FEATURES.arrow_schema)
    kept = ["sample_id", "source_dataset", "source_locator", "rights", "rgb"]
    table = table.select(kept).append_column("note", pa.array(["x"]))
    pq.write_table(table, tmp_path / "train.parquet")
    found = rows_of(RepositorySource(tmp_path))[0]
    assert found["ir"] is None and found["captions"] == [] and "note" not in found
    assert "not read: ['note']" in caplog.text


def test_a_file_without_a_required_column_is_an_error(tmp_path):
    pq.write_table(pa.table({"sample_id": ["a"], "rights": ["x"]}), tmp_path / "train.parquet")
    with pytest.raises(InputError, match="lacks the columns source_dataset, source_locator, rgb; see"):
        list(RepositorySource(tmp_path).shards())


def test_a_folder_without_parquet_is_an_error(tmp_path):
    with pytest.raises(
        InputError, match=r"holds no Parquet of the splits train, validation, test; name files as in data/"
    ):
        list(RepositorySource(tmp_path).shards())


@pytest.mark.parametrize(
    ("values", "message"),
    [
        ({"path": "none"}, "none does not exist; give a folder with Parquet by split, or a Hub id such as owner/name"),
        ({"path": "a/b", "splits": ["dev"]}, "splits must be of train, validation, test, got dev"),
        ({"path": "a/b", "row_groups_per_shard": 0}, "row_groups_per_shard must be positive, got 0"),
    ],
)
def test_values_that_cannot_be_are_told(values, message):
    with pytest.raises(InputError, match=message):
        RepositorySource(**values)


def read_from_hub(folder, repository):
    """Runs in the Hub's client process: pushes the folder, reads it back as a source, whole and without infrared."""
    from huggingface_hub import HfApi

    api = HfApi()
    api.create_repo(repository, repo_type="dataset")
    api.upload_folder(repo_id=repository, repo_type="dataset", folder_path=folder, ignore_patterns=["quarantine/*"])
    both = RepositorySource(repository), RepositorySource(repository, drop_ir=True)
    return [rows_of(source) for source in both]


def test_a_hub_dataset_gives_the_same_rows_as_its_folder(folder, hub_client):
    whole, dropped = hub_client.submit(read_from_hub, str(folder), "team/sources-test").result()
    by_id = {each["sample_id"]: each for each in rows_of(RepositorySource(folder))}
    assert {each["sample_id"]: each for each in whole} == by_id
    assert sorted(each["sample_id"] for each in dropped) == [f"t{tile}/nir/rgb" for tile in range(4)]


def read_missing():
    try:
        list(RepositorySource("team/there-is-none").shards())
    except InputError as error:
        return str(error)


def test_a_hub_id_that_is_not_there_is_an_error(hub_client):
    message = hub_client.submit(read_missing).result()
    assert "team/there-is-none is neither a file or folder in" in message and "\n" not in message
    assert message.endswith("check the name, the config, the network and the token")
