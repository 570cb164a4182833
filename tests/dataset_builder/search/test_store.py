import resource

import numpy as np
import pytest

from dataset_builder.search.store import disk_error_of_faiss
from fusionrs_hf.disk_errors import stops_in_a_line
from fusionrs_hf.errors import InputError

faiss = pytest.importorskip("faiss")


def test_what_faiss_says_of_a_full_disk_is_said_in_a_line(tmp_path):
    index = faiss.IndexFlatIP(8)
    index.add(np.ones((500, 8), np.float32))
    before = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (1_000, before[1]))
    try:
        with (
            pytest.raises(InputError, match=f"the embedding in {tmp_path} stopped: File too large; .*make room for"),
            stops_in_a_line(tmp_path, "embedding"),
            disk_error_of_faiss(tmp_path / "rgb.faiss"),
        ):
            faiss.write_index(index, str(tmp_path / "rgb.faiss"))
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, before)
    with pytest.raises(RuntimeError, match="train"), disk_error_of_faiss(tmp_path / "rgb.faiss"):
        raise RuntimeError("what is no matter of the disk: train it first")
