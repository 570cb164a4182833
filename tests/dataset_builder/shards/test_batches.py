import io

import pyarrow as pa
from PIL import Image

from dataset_builder.schema import FEATURES, new_row
from dataset_builder.shards import batches
from dataset_builder.shards.batches import read_batches
from dataset_builder.shards.parquet import write_shard


def rows(count, side):
    buffer = io.BytesIO()
    Image.new("RGB", (side, side)).save(buffer, "PNG")
    image = {"bytes": buffer.getvalue(), "path": None}
    named = {"source_dataset": "a", "source_locator": "b", "rights": "CC0-1.0", "rgb": image, "ir": image}
    made = [new_row(sample_id=str(index), **named) for index in range(count)]
    return pa.Table.from_pylist(made, schema=FEATURES.arrow_schema)


def test_a_batch_holds_no_more_than_can_be_decoded(tmp_path, monkeypatch):
    write_shard(tmp_path / "a.parquet", rows(70, 16))
    assert [len(table) for table, _ in read_batches(tmp_path / "a.parquet")] == [64, 6]
    monkeypatch.setattr(batches, "DECODED_BYTES", 3 * 2 * 4 * 16 * 16)  # of three rows, each of two images
    parts = list(read_batches(tmp_path / "a.parquet"))
    assert max(len(table) for table, _ in parts) == 3
    assert [name for _, batch in parts for name in batch["sample_id"]] == [str(index) for index in range(70)]
    assert all(table["sample_id"].to_pylist() == batch["sample_id"] for table, batch in parts)


def test_columns_without_images_are_not_cut(tmp_path):
    write_shard(tmp_path / "a.parquet", rows(3, 16))
    ((table, batch),) = read_batches(tmp_path / "a.parquet", ["sample_id"])
    assert table.column_names == ["sample_id"] and batch["rgb"] == [None] * 3
