import os

import pytest

from fusionrs_hf.bounded_files import read_bytes, read_text
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
