import errno

import pytest

from fusionrs_hf.disk_errors import stops_in_a_line
from fusionrs_hf.errors import InputError


def test_only_what_keeps_a_verb_from_writing_becomes_its_error(tmp_path):
    for code in (errno.ENOSPC, errno.EDQUOT, errno.EFBIG):
        match = f"the build in {tmp_path} stopped: .* make room for {tmp_path}, then run the same command again"
        with pytest.raises(InputError, match=match), stops_in_a_line(tmp_path, "build"):
            raise OSError(code, "no")
    with pytest.raises(InputError, match="writable"), stops_in_a_line(tmp_path, "build"):
        raise PermissionError(errno.EACCES, "no", str(tmp_path / "data"))
    with pytest.raises(PermissionError), stops_in_a_line(tmp_path / "out", "build"):
        raise PermissionError(errno.EACCES, "no", str(tmp_path / "inputs"))
    with pytest.raises(FileNotFoundError), stops_in_a_line(tmp_path, "build"):
        (tmp_path / "none").read_text()
