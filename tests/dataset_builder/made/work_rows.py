"""Work files as the read stage leaves them, of rows that are given by what matters to a test."""

import hashlib

import pyarrow as pa

from dataset_builder.building.work_files import WORK_SCHEMA, work_file
from dataset_builder.schema import new_row
from dataset_builder.shards.parquet import write_shard


def work_row(name, **known):
    """A row with images and hashes of its own, unless others are given; `_...` keys as in the work files."""
    image = {"bytes": f"image of {name}".encode() * 3, "path": None}
    digest = hashlib.sha256(name.encode())
    private = {
        "_rgb_sha256": digest.digest(),
        "_ir_sha256": hashlib.sha256(digest.digest()).digest(),
        "_bytes": 100,
        "reason": None,
        **{key: value for key, value in known.items() if key.startswith("_") or key == "reason"},
    }
    given = {
        "source_dataset": "made",
        "source_locator": f"{name}.png",
        "rights": "CC0-1.0",
        "rgb": image,
        "ir": image,
        "ir_origin": "sensor",
        "ir_band": "nir",
        "rgb_phash": digest.hexdigest()[:16],
        "ir_phash": digest.hexdigest()[16:32],
        **{key: value for key, value in known.items() if key not in private},
    }
    return {**new_row(sample_id=name, **given), **private}


def write_work(folder, *shards):
    """Writes a shard each of `(kept, left)` rows; returns how many."""
    for number, rows in enumerate(shards):
        for kind, own in zip(("kept", "left"), rows, strict=True):
            write_shard(work_file(folder, kind, number), pa.Table.from_pylist(own, schema=WORK_SCHEMA))
    return len(shards)
