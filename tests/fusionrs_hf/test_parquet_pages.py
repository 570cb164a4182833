import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from fusionrs_hf.parquet_pages import NoPageError, page_sizes


def chunks(path):
    group = pq.read_metadata(path).row_group(0)
    for place in range(group.num_columns):
        column = group.column(place)
        start = column.dictionary_page_offset if column.has_dictionary_page else column.data_page_offset
        yield start, column.total_compressed_size, column.total_uncompressed_size


@pytest.mark.parametrize("version", ["1.0", "2.0"])
@pytest.mark.parametrize("compression", ["none", "snappy", "zstd"])
def test_pages_add_up_to_what_the_footer_says_of_the_column(tmp_path, version, compression):
    path = tmp_path / "a.parquet"
    table = pa.table(
        {"a": [f"text {n % 50}" for n in range(9000)], "b": range(9000), "c": [[n, None] for n in range(9000)]}
    )
    pq.write_table(table, path, compression=compression, data_page_size=4000, data_page_version=version)
    with open(path, "rb") as file:
        for start, stored, unpacked in chunks(path):
            sizes = list(page_sizes(file, start, stored))
            assert len(sizes) > 1 and sum(sizes) < unpacked <= sum(sizes) + 200 * len(sizes)  # headers count there


def test_one_long_value_is_told_before_it_is_unpacked(tmp_path):
    path = tmp_path / "a.parquet"
    pq.write_table(pa.table({"a": ["x" * 5_000_000]}), path, compression="zstd", use_dictionary=False)
    assert path.stat().st_size < 10_000
    with open(path, "rb") as file:
        start, stored, _ = next(chunks(path))
        assert list(page_sizes(file, start, stored)) == [pytest.approx(5_000_000, abs=100)]


@pytest.mark.parametrize("data", [b"", b"\xff" * 50, b"\x00" * 50, b"\x15" + b"\xff" * 49, b"\x1c" * 50])
def test_bytes_that_are_no_header_are_told(tmp_path, data):
    (tmp_path / "a").write_bytes(data)
    with open(tmp_path / "a", "rb") as file, pytest.raises(NoPageError):
        list(page_sizes(file, 0, 50))
