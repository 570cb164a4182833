"""Files between the parts of a build: rows as they were read, and the plan of where each goes."""

from pathlib import Path

import pyarrow as pa

from dataset_builder.building.columns import WORK_COLUMNS
from dataset_builder.shards.layout import QUARANTINE_SCHEMA

ADDED_IN_WORK = [(name, column.stored) for name, column in WORK_COLUMNS.items() if column.stored is not None]
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
