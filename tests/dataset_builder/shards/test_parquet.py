import hashlib
import os

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from dataset_builder.schema import FEATURES, new_row
from dataset_builder.shards import parquet
from dataset_builder.shards.parquet import ROW_GROUP_ROWS, file_sha256, plan_shards, shard_writer, write_shard


def table(count, image=lambda index: b"image %d" % index):
    rows = [
        new_row(
            sample_id=f"s{index}",
            source_dataset="test",
            source_locator=f"{index}.png",
            rights="CC0-1.0",
            rgb={"bytes": image(index), "path": None},
        )
        for index in range(count)
    ]
    return pa.Table.from_pylist(rows, schema=FEATURES.arrow_schema)


def test_a_shard_keeps_rows_features_and_group_size(tmp_path):
    rows = table(250)
    write_shard(tmp_path / "a.parquet", rows)
    file = pq.ParquetFile(tmp_path / "a.parquet")
    assert file.read().equals(rows)
    assert [file.metadata.row_group(i).num_rows for i in range(file.num_row_groups)] == [100, 100, 50]
    assert b"huggingface" in file.schema_arrow.metadata
    assert file.metadata.row_group(0).column(0).has_offset_index


def test_the_same_rows_give_the_same_bytes_however_they_are_cut(tmp_path):
    rows = table(333)
    write_shard(tmp_path / "whole.parquet", rows)
    with shard_writer(tmp_path / "pieces.parquet", rows.schema) as writer:
        for start in range(0, 333, 37):
            writer.write(rows.slice(start, 37))
    assert file_sha256(tmp_path / "whole.parquet") == file_sha256(tmp_path / "pieces.parquet")
    assert (
        file_sha256(tmp_path / "whole.parquet")
        == hashlib.sha256((tmp_path / "whole.parquet").read_bytes()).hexdigest()
    )


def test_an_rgb_image_that_several_bands_share_is_stored_once(tmp_path):
    images = [np.random.default_rng(index).bytes(20_000) for index in range(ROW_GROUP_ROWS)]
    write_shard(tmp_path / "once.parquet", table(ROW_GROUP_ROWS, lambda index: images[index]))
    write_shard(tmp_path / "thrice.parquet", table(ROW_GROUP_ROWS, lambda index: images[index // 3]))
    sizes = [os.path.getsize(tmp_path / f"{name}.parquet") for name in ("once", "thrice")]
    assert sizes[1] < 0.4 * sizes[0]


def test_a_failed_writer_leaves_nothing_and_keeps_what_was_there(tmp_path):
    write_shard(tmp_path / "a.parquet", table(1))
    before = file_sha256(tmp_path / "a.parquet")
    with (
        pytest.raises(RuntimeError, match="stop"),
        shard_writer(tmp_path / "a.parquet", FEATURES.arrow_schema) as writer,
    ):
        writer.write(table(2))
        raise RuntimeError("stop")
    assert file_sha256(tmp_path / "a.parquet") == before
    assert os.listdir(tmp_path) == ["a.parquet"]


def test_a_shard_does_not_show_before_it_is_whole(tmp_path):
    with shard_writer(tmp_path / "a.parquet", FEATURES.arrow_schema) as writer:
        writer.write(table(150))
        assert not (tmp_path / "a.parquet").exists()
    assert pq.read_metadata(tmp_path / "a.parquet").num_rows == 150


@pytest.mark.parametrize(
    ("sizes", "ranges"),
    [
        ([], []),
        ([5], [(0, 1)]),
        ([5, 5, 5], [(0, 2), (2, 3)]),
        ([50, 1, 1], [(0, 1), (1, 3)]),  # a row above the limit stands alone
        ([1, 50, 1], [(0, 1), (1, 2), (2, 3)]),
    ],
)
def test_rows_are_cut_into_shards_by_bytes(sizes, ranges):
    assert plan_shards(sizes, max_bytes=10) == ranges


def test_a_group_ends_where_its_images_are_many_bytes_however_rows_come(tmp_path, monkeypatch):
    monkeypatch.setattr(parquet, "ROW_GROUP_BYTES", 1_000)
    rows = table(10, lambda index: bytes(400) if index % 2 else bytes(600))
    for name, step in (("whole", 10), ("pieces", 3)):
        with shard_writer(tmp_path / f"{name}.parquet", rows.schema) as writer:
            for start in range(0, 10, step):
                writer.write(rows.slice(start, step))
            assert sum(map(len, writer.waiting)) < 2
            assert writer.close() == 10
    file = pq.ParquetFile(tmp_path / "whole.parquet")
    assert file.read().equals(rows)
    assert [file.metadata.row_group(i).num_rows for i in range(file.num_row_groups)] == [2] * 5
    assert file_sha256(tmp_path / "whole.parquet") == file_sha256(tmp_path / "pieces.parquet")
