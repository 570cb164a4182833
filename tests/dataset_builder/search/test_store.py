import resource

import numpy as np
import pytest

from fusionrs_hf.errors import InputError
from fusionrs_hf.stops import stops_in_a_line

faiss = pytest.importorskip("faiss")


def test_what_faiss_says_of_a_full_disk_is_said_in_a_line(tmp_path):
    index = faiss.IndexFlatIP(8)
    index.add(np.ones((500, 8), np.float32))
    before = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (1_000, before[1]))
    try:
        with (
            pytest.raises(InputError, match=f"`fusionrs embed` stopped in {tmp_path}: File too large; make room for"),
            stops_in_a_line(tmp_path, "embed"),
        ):
            faiss.write_index(index, str(tmp_path / "rgb.faiss"))
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, before)
