import csv
import gzip
import io
import tracemalloc

import pytest

from dataset_builder.sources.formats.lines import (
    OverlongError,
    OverlongLine,
    csv_records,
    lines_at,
    offset_lines,
    size_of,
)
from fusionrs_hf.bounds import FIELDS_OF_RECORD, LINE_BYTES
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


@pytest.mark.parametrize("length", [LINE_BYTES, LINE_BYTES + 1, 3 * LINE_BYTES + 7])
def test_a_line_that_is_too_long_gives_its_start_and_the_others_stay(tmp_path, length):
    path = put(tmp_path / "a.jsonl", b"one\n" + b"x" * length + b"\nthree")
    found = list(offset_lines(path))
    assert [offset for offset, _ in found] == [0, 4, 5 + length]
    assert found[0][1] == b"one\n" and found[2][1] == b"three"
    assert isinstance(found[1][1], OverlongLine) and found[1][1] == b"x" * 100 and size_of(found[1][1]) == length + 1
    assert lines_at(path, 4, 2) == [b"x" * 100, b"three"]


@pytest.mark.parametrize(
    "overlong",
    [
        "x" * (LINE_BYTES + 1) + ",1",
        '"' + "x" * (LINE_BYTES - 10) + '",' + '"' + "y" * LINE_BYTES + '"',
        '"' + "x" * LINE_BYTES + '\n","1"',
        ",".join("1" * (FIELDS_OF_RECORD + 1)),
    ],
    ids=["a line", "two fields", "a line within quotes", "fields"],
)
def test_a_record_that_is_too_long_comes_as_an_error_and_the_others_stay(tmp_path, overlong):
    path = put(tmp_path / "a.csv", f"a,b\n{overlong}\n3,4\n".encode())
    (_, header), (start, error), (last, record) = csv_records(path)
    assert header == ["a", "b"] and isinstance(error, OverlongError) and record == ["3", "4"]
    assert (start, last) == (4, 5 + len(overlong))
    assert [kept for _, kept in csv_records(path, last)] == [["3", "4"]]
    assert isinstance(next(csv_records(path, start, last))[1], OverlongError)


def test_a_field_may_be_longer_than_the_standard_librarys_limit(tmp_path):
    path = put(tmp_path / "a.csv", b"a\n" + b"x" * 200_000 + b"\n")
    assert [len(record[0]) for _, record in csv_records(path)] == [1, 200_000]


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
