import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from fusionrs_hf import bounded_parquet
from fusionrs_hf.bounded_parquet import bounded_batches, plain_batches
from fusionrs_hf.bounds import BATCH_BYTES, TEXT_BYTES, TEXTS_OF_ROW
from fusionrs_hf.errors import InputError

DELTA = {"use_dictionary": False, "compression": "zstd"}


def read(tmp_path, table, rows=64, columns=None, **options):
    """Returns all rows, which are too large, and the largest batch, of a table written to a file."""
    path = tmp_path / "a.parquet"
    pq.write_table(table, path, **options)
    found, large, most = [], [], 0
    for batch, too_large in bounded_batches(path, None, columns, rows):
        assert len(batch) <= rows and len(batch) == len(too_large)
        found, large, most = found + batch.to_pylist(), large + too_large.tolist(), max(most, batch.nbytes)
    return found, large, most


PLAIN = {
    "sample_id": ["a", None, "c"],
    "rgb": [{"bytes": b"xyz", "path": None}, None, {"bytes": None, "path": "p"}],
    "captions": [["a", "b"], [], None],
    "nested": [[["a"], None], None, []],
    "number": [1.5, None, 3.0],
    "pairs": pa.array([[("k", 1)], None, []], pa.map_(pa.string(), pa.int64())),
}


@pytest.mark.parametrize("options", [{}, {"use_dictionary": False}, {"row_group_size": 1}, {"compression": "zstd"}])
def test_a_plain_file_is_read_as_pyarrow_reads_it(tmp_path, options):
    table = pa.table(PLAIN)
    found, large, _ = read(tmp_path, table, **options)
    assert found == table.to_pylist() and not any(large)
    found, _, _ = read(tmp_path, table, columns=["number", "rgb.path"], **options)
    assert [row["number"] for row in found] == [1.5, None, 3.0] and set(found[0]["rgb"]) == {"path"}


def test_a_dictionary_that_every_row_names_is_decoded_in_parts(tmp_path):
    text = "x" * (TEXT_BYTES - 1)
    table = pa.table({"captions": [[text] * 30] * 4, "n": range(4)})
    found, large, most = read(tmp_path, table)
    assert [len(row["captions"]) for row in found] == [30] * 4 and found[3]["captions"][29] == text
    assert not any(large) and most < BATCH_BYTES + 31 * TEXT_BYTES
    assert (tmp_path / "a.parquet").stat().st_size < TEXT_BYTES


@pytest.mark.parametrize("options", [{}, {"use_dictionary": False}])
def test_a_row_with_a_text_that_is_too_long_loses_that_column_alone(tmp_path, options):
    table = pa.table({"id": ["a", "b", "c"], "captions": [["x"], ["x" * (TEXT_BYTES + 1)], ["y"]]})
    found, large, _ = read(tmp_path, table, **options)
    assert large == [False, True, False]
    assert found == [{"id": "a", "captions": ["x"]}, {"id": "b", "captions": None}, {"id": "c", "captions": ["y"]}]


def test_a_list_of_too_many_texts_is_too_large(tmp_path):
    _, large, _ = read(tmp_path, pa.table({"captions": [["x"] * (TEXTS_OF_ROW + 1), ["x"] * TEXTS_OF_ROW]}))
    assert large == [True, False]


def test_a_page_that_unpacks_to_more_than_is_taken_is_not_unpacked(tmp_path, monkeypatch):
    monkeypatch.setattr("fusionrs_hf.bounded_parquet.PAGE_BYTES", 10_000)
    table = pa.table({"id": ["a", "b"], "captions": [["x" * 20_000], ["y"]]})
    found, large, _ = read(tmp_path, table, compression="zstd")
    assert large == [True, True] and found == [{"id": "a", "captions": None}, {"id": "b", "captions": None}]
    with pytest.raises(InputError, match="a.parquet holds a row with a text of more than"):
        list(plain_batches(tmp_path / "a.parquet", None, None, 10))


def test_values_that_repeat_the_start_of_the_one_before_are_read_row_by_row_or_not_at_all(tmp_path):
    texts = ["x" * 500_000 + str(number) for number in range(200)]
    options = DELTA | {"column_encoding": {"a": "DELTA_BYTE_ARRAY"}}
    found, large, most = read(tmp_path, pa.table({"a": texts}), **options)
    assert [row["a"] for row in found] == texts and not any(large) and most <= BATCH_BYTES
    options = DELTA | {"column_encoding": {"a.list.element": "DELTA_BYTE_ARRAY"}}
    found, large, _ = read(tmp_path, pa.table({"a": [texts]}), **options)
    assert large == [True] and found == [{"a": None}]


def test_damaged_pages_are_told(tmp_path):
    path = tmp_path / "a.parquet"
    pq.write_table(pa.table({"a": ["x" * 100] * 50}), path, use_dictionary=False)
    data = bytearray(path.read_bytes())
    data[4:60] = np.random.default_rng(0).bytes(56)
    path.write_bytes(data)
    with pytest.raises((InputError, OSError, pa.ArrowException)):
        list(bounded_batches(path, None, None, 10))


def test_lists_are_measured_in_parts_as_in_one(tmp_path, monkeypatch):
    draw = np.random.default_rng(0)
    long = [["x" * int(size) for size in draw.integers(0, 30, draw.integers(0, 9))] for _ in range(200)]
    long[7], long[8] = ["y" * 31], None
    monkeypatch.setattr(bounded_parquet, "TEXT_BYTES", 30)
    monkeypatch.setattr(bounded_parquet, "ROW_BYTES", 150)
    wanted = [row is not None and (sum(map(len, row)) > 150 or max(map(len, row), default=0) > 30) for row in long]
    for part in (1, 7, 1 << 18):
        monkeypatch.setattr(bounded_parquet, "PART_VALUES", part)
        for options in ({}, {"use_dictionary": False}):
            found, large, _ = read(tmp_path, pa.table({"captions": long}), **options)
            assert large == wanted and [row["captions"] for row in found][:7] == long[:7]
