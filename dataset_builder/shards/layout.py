"""Schemas of the Parquet files that a build publishes or quarantines, and what their names say."""

from pathlib import Path

import pyarrow as pa

from dataset_builder.schema import FEATURES

DATA_SCHEMA = FEATURES.arrow_schema
# Without the features' metadata: quarantined bytes need not be images, so nothing may try to decode them.
QUARANTINE_SCHEMA = DATA_SCHEMA.append(pa.field("reason", pa.string())).remove_metadata()


def split_of(name: str) -> str:
    """Returns the split that a data file's name begins with."""
    return Path(name).name.split("-")[0]
