"""Decoded rows of the shipped sample, for tests of the image stages on real tiles."""

import io
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow.parquet as pq
from PIL import Image

SAMPLE = Path(__file__).parents[3] / "dataset_builder" / "sample" / "data"
COLUMNS = ["sample_id", "rgb", "ir", "ir_origin", "ir_band", "ir_unit", "source_dataset", "captions"]


def sample_rows(every: int = 1) -> Iterator[dict[str, Any]]:
    """Yields each `every`-th row of the sample with `_rgb` and `_ir` decoded, `_split` named and `_reason` None."""
    paths = sorted(SAMPLE.glob("*.parquet"))
    assert paths, f"no sample tiles in {SAMPLE}"
    rows = (
        row | {"_split": path.name.split("-")[0]}
        for path in paths
        for row in pq.read_table(path, columns=COLUMNS).to_pylist()
    )
    for index, row in enumerate(rows):
        if index % every == 0:
            yield row | {"_rgb": _decoded(row["rgb"]), "_ir": _decoded(row["ir"]), "_reason": None}


def _decoded(image: dict[str, Any]) -> np.ndarray:
    return np.asarray(Image.open(io.BytesIO(image["bytes"])))
