import errno

import pytest

from fusionrs_hf.errors import InputError
from fusionrs_hf.stops import stops_in_a_line


def test_only_what_keeps_a_verb_from_writing_becomes_its_error(tmp_path):
    for code in (errno.ENOSPC, errno.EDQUOT, errno.EFBIG):
        match = (
            f"`fusionrs build` stopped in {tmp_path}: .*; make room for {tmp_path}, then run the same command again"
        )
        with pytest.raises(InputError, match=match), stops_in_a_line(tmp_path, "build"):
            raise OSError(code, "no")
    with pytest.raises(InputError, match="writable"), stops_in_a_line(tmp_path, "build"):
        raise PermissionError(errno.EACCES, "no", str(tmp_path / "data"))
    with pytest.raises(PermissionError), stops_in_a_line(tmp_path / "out", "build"):
        raise PermissionError(errno.EACCES, "no", str(tmp_path / "inputs"))
    with pytest.raises(FileNotFoundError), stops_in_a_line(tmp_path, "build"):
        (tmp_path / "none").read_text()
    with pytest.raises(RuntimeError, match="no matter"), stops_in_a_line(tmp_path, "build"):
        raise RuntimeError("no matter of the disk")
