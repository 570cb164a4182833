"""Files between the parts of a build: rows as they were read, and the plan of where each goes."""

from pathlib import Path

import pyarrow as pa

from dataset_builder.shards.layout import QUARANTINE_SCHEMA

ADDED_IN_WORK = (
    ("_split", pa.string()),
    ("_force_train", pa.bool_()),
    ("_rgb_sha256", pa.binary(32)),
    ("_ir_sha256", pa.binary(32)),
    ("_caption_keys", pa.list_(pa.binary(16))),
    ("_bytes", pa.int64()),
)
WORK_SCHEMA = pa.schema([*QUARANTINE_SCHEMA, *ADDED_IN_WORK])
KINDS = ("kept", "left")
ADDED = ("image_group_id", "joint_group_id", "is_eval_representative", "reason")
# Where a planned row lies: `kind` is an index into KINDS, `row` counts in the file of that kind and shard.
PLAN_SCHEMA = pa.schema(
    [
        ("kind", pa.int8()),
        ("shard", pa.int32()),
        ("row", pa.int32()),
        *(QUARANTINE_SCHEMA.field(name) for name in ADDED),
    ]
)
PLAN_ROWS = 16_384  # read at a time


def work_file(work: Path, kind: str, shard: int) -> Path:
    """Returns where the read stage puts the rows of a shard that were `kept`, or that `left` with a reason."""
    return work / kind / f"{shard:06d}.parquet"
