import csv
import gzip
import io
import tracemalloc

import pytest

from dataset_builder.sources.formats.lines import csv_records, lines_at, offset_lines
from fusionrs_hf.errors import InputError
from tests.dataset_builder.made.corpora import put

RECORDS = [
    ["name", "text"],
    ["a", 'says "x", twice'],
    ["b", "two\nlines"],
    ["c", "ü" * 40],
    ["d", ""],
    ["e", "\r\n"],
]


def written(records, newline="\n", mark=b""):
    buffer = io.StringIO()
    csv.writer(buffer, lineterminator=newline).writerows(records)
    return mark + buffer.getvalue().encode()


@pytest.mark.parametrize("newline", ["\n", "\r\n"])
@pytest.mark.parametrize("mark", [b"", b"\xef\xbb\xbf"])
def test_any_record_of_a_csv_is_read_again_from_the_byte_where_it_starts(tmp_path, newline, mark):
    path = put(tmp_path / "a.csv", written(RECORDS, newline, mark))
    found = list(csv_records(path))
    assert [record for _, record in found] == RECORDS
    starts = [start for start, _ in found] + [path.stat().st_size]
    for first in range(len(RECORDS)):
        for stop in range(first + 1, len(RECORDS) + 1):
            part = csv_records(path, starts[first], starts[stop])
            assert [record for _, record in part] == RECORDS[first:stop]


def test_empty_lines_are_no_records_and_bytes_that_are_no_utf8_survive(tmp_path):
    path = put(tmp_path / "a.csv", b"x,y\n\n1,caf\xe9\n\n")
    assert list(csv_records(path)) == [(0, ["x", "y"]), (5, ["1", "caf\udce9"])]


def test_a_quote_left_open_near_the_end_swallows_nothing(tmp_path):
    (tmp_path / "a.csv").write_text('a,b\n1,"two\n3,four\n')
    with pytest.raises(InputError, match=r"a.csv has a record at byte 4 that is no CSV"):
        list(csv_records(tmp_path / "a.csv"))


def test_a_quote_that_never_closes_is_told_and_does_not_take_the_file_into_memory(tmp_path):
    path = put(tmp_path / "a.csv", b'x,y\n1,"open\n' + b"2,b\n" * 100_000)
    with pytest.raises(InputError, match=r"^\S+a.csv has a record at byte 4 that is no CSV \(.*; look for a quote"):
        list(csv_records(path))


def test_a_line_without_an_end_is_told(tmp_path):
    path = put(tmp_path / "a.jsonl", b"x" * (1 << 20))
    with pytest.raises(InputError, match="has a line of more than 1048576 bytes; give a text file of lines"):
        list(offset_lines(path))


@pytest.mark.parametrize("suffix", ["", ".gz"])
def test_lines_are_found_again_by_offset_in_any_order(tmp_path, suffix):
    content = [f"line {number} {'x' * (number % 7)}\n".encode() for number in range(3000)]
    content[-1] = content[-1].rstrip()
    whole = b"".join(content)
    path = put(tmp_path / f"a.jsonl{suffix}", gzip.compress(whole) if suffix else whole)
    found = list(offset_lines(path))
    assert [line for _, line in found] == content
    for first in (0, 1500, 2998, 10):  # forth and back
        assert lines_at(path, found[first][0], 5) == content[first : first + 5]


def test_a_file_that_changes_under_its_name_is_read_anew(tmp_path):
    path = put(tmp_path / "a.jsonl", b"one\n")
    assert lines_at(path, 0, 1) == [b"one\n"]
    put(path, b"three\n")
    assert lines_at(path, 0, 1) == [b"three\n"]


@pytest.mark.parametrize("keep", [5, 30, 60])
def test_damaged_gzip_is_told(tmp_path, keep):
    path = put(tmp_path / "a.jsonl.gz", gzip.compress(bytes(range(256)) * 8)[:keep])
    with pytest.raises(InputError, match=r"a.jsonl.gz is damaged .*; get it again"):
        list(offset_lines(path))
    with pytest.raises(InputError, match=r"a.jsonl.gz is damaged .*; get it again"):
        lines_at(path, 0, 9)


def test_a_file_that_is_not_there_is_told(tmp_path):
    with pytest.raises(InputError, match=r"none.jsonl cannot be read \(No such file or directory\); check the path"):
        list(offset_lines(tmp_path / "none.jsonl"))


def test_memory_does_not_grow_with_the_file(tmp_path):
    path = tmp_path / "a.csv"
    peaks = []
    for count in (2_000, 50_000):
        put(path, b"name,text\n" + b"".join(b"%d,a caption of some length\n" % number for number in range(count)))
        tracemalloc.start()
        assert sum(1 for _ in csv_records(path)) == count + 1
        peaks.append(tracemalloc.get_traced_memory()[1])
        tracemalloc.stop()
    assert peaks[1] < peaks[0] + 50_000
