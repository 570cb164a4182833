import os
import stat

import pytest

from fusionrs_hf.arguments import file_to_write
from fusionrs_hf.atomic import atomic_path, write_json
from fusionrs_hf.errors import InputError


@pytest.mark.parametrize("make", [os.mkfifo, os.mkdir], ids=["a pipe", "a folder"])
def test_what_is_no_file_is_never_replaced(tmp_path, make):
    make(tmp_path / "there")
    kind = stat.S_IFMT(os.stat(tmp_path / "there").st_mode)
    with pytest.raises(InputError, match="is there and is no file"):
        write_json(tmp_path / "there", {})
    with pytest.raises(Exception, match="is there and is no file"):
        file_to_write(str(tmp_path / "there"))
    assert stat.S_IFMT(os.stat(tmp_path / "there").st_mode) == kind
    assert [entry.name for entry in tmp_path.iterdir()] == ["there"]


def test_files_and_dangling_links_are_replaced(tmp_path):
    (tmp_path / "link").symlink_to("nowhere")
    (tmp_path / "file").write_text("old")
    for name in ("link", "file", "new"):
        assert file_to_write(str(tmp_path / name)) == tmp_path / name
        write_json(tmp_path / name, 1)
        assert (tmp_path / name).read_text() == "1\n" and not (tmp_path / name).is_symlink()


def test_a_block_that_fails_leaves_what_was_there(tmp_path):
    (tmp_path / "file").write_text("old")
    with pytest.raises(OSError, match="full"), atomic_path(tmp_path / "file") as temporary:
        temporary.write_text("half")
        raise OSError("full")
    assert [(entry.name, entry.read_text()) for entry in tmp_path.iterdir()] == [("file", "old")]
