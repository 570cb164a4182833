import os

import pytest

from fusionrs_hf import bounded_files
from fusionrs_hf.bounded_files import list_lines, read_bytes, read_text
from fusionrs_hf.errors import InputError


def test_a_text_is_read_without_its_mark(tmp_path):
    (tmp_path / "a").write_bytes(b"\xef\xbb\xbf\xc3\xbc\r\n")
    assert read_text(tmp_path / "a") == "ü\r\n"


def test_a_pipe_is_refused_and_not_waited_for(tmp_path):
    os.mkfifo(tmp_path / "pipe")
    with pytest.raises(InputError, match="is no file but a folder, pipe or device"):
        read_bytes(tmp_path / "pipe")
    with pytest.raises(InputError, match="is no file but"):
        read_bytes("/dev/zero")


def test_a_link_is_followed_and_what_is_missing_is_the_systems_error(tmp_path):
    (tmp_path / "a").write_bytes(b"x")
    (tmp_path / "link").symlink_to("a")
    assert read_bytes(tmp_path / "link") == b"x"
    with pytest.raises(FileNotFoundError):
        read_bytes(tmp_path / "b")


def test_a_file_has_exactly_as_many_bytes_as_it_may(tmp_path):
    (tmp_path / "a").write_bytes(b"12345")
    assert read_bytes(tmp_path / "a", most=5) == b"12345"
    with pytest.raises(InputError, match="more than 4 bytes"):
        read_bytes(tmp_path / "a", most=4)


def test_a_list_is_read_line_by_line(tmp_path):
    (tmp_path / "a").write_bytes(b"\xef\xbb\xbfa\r\n\n\xc3\xbc")
    assert list(list_lines(tmp_path / "a")) == ["a\r", "", "ü"]
    (tmp_path / "a").write_bytes(b"")
    assert not list(list_lines(tmp_path / "a"))


@pytest.mark.parametrize(
    ("data", "said"),
    [
        (b"a\nb\nc\n", "has more than 2 lines"),
        (b"a\n12345\n", "line 2 has more than 5 bytes"),
        (b"abc\n" * 3, "has more than 10 bytes"),
        (b"\xff\xfea\0", "UTF-16 by its byte order mark"),
        (b"a\n\xff\xfe\n", "not UTF-8 at byte 2"),
    ],
)
def test_a_list_that_exceeds_a_bound_is_told(tmp_path, monkeypatch, data, said):
    for name, most in (("LIST_LINES", 2), ("LINE_BYTES", 5), ("LIST_BYTES", 10)):
        monkeypatch.setattr(bounded_files, name, most)
    (tmp_path / "a").write_bytes(data)
    with pytest.raises(InputError, match=said):
        list(list_lines(tmp_path / "a"))


def test_a_list_may_have_as_much_as_the_bounds_say(tmp_path, monkeypatch):
    for name, most in (("LIST_LINES", 2), ("LINE_BYTES", 5), ("LIST_BYTES", 10)):
        monkeypatch.setattr(bounded_files, name, most)
    (tmp_path / "a").write_bytes(b"1234\n1234\n")
    assert list(list_lines(tmp_path / "a")) == ["1234", "1234"]
