"""Schemas of the Parquet files that a build publishes or quarantines, and what their names say."""

import json
from pathlib import Path

import pyarrow as pa

from dataset_builder.schema import TYPES

ARROW_TYPES = {
    "string": pa.string(),
    "bool": pa.bool_(),
    "int64": pa.int64(),
    "float64": pa.float64(),
    "image": pa.struct([("bytes", pa.binary()), ("path", pa.string())]),
}


def _arrow_type(kind: str | list[str]) -> pa.DataType:
    return pa.list_(ARROW_TYPES[kind[0]]) if isinstance(kind, list) else ARROW_TYPES[kind]


def _feature(kind: str | list[str]) -> dict:
    if isinstance(kind, list):
        return {"feature": _feature(kind[0]), "_type": "List"}
    return {"_type": "Image"} if kind == "image" else {"dtype": kind, "_type": "Value"}


# What `schema.FEATURES.arrow_schema` is, its metadata for `datasets` included, without bringing `datasets`.
DATA_SCHEMA = pa.schema(
    [(name, _arrow_type(kind)) for name, kind in TYPES.items()],
    {"huggingface": json.dumps({"info": {"features": {name: _feature(kind) for name, kind in TYPES.items()}}})},
)
# Without the features' metadata: quarantined bytes need not be images, so nothing may try to decode them.
QUARANTINE_SCHEMA = DATA_SCHEMA.append(pa.field("reason", pa.string())).remove_metadata()


def split_of(name: str) -> str:
    """Returns the split that a data file's name begins with."""
    return Path(name).name.split("-")[0]


def stored_schema(stored: pa.Schema) -> pa.Schema:
    """Returns the schema to write a file anew with: its own columns and metadata, the types as a build writes them.

    Args:
        stored: Of a file. What is read back names the inside of lists otherwise, and a file of a former version has
            fewer columns.
    """
    ours = set(QUARANTINE_SCHEMA.names)
    fields = [QUARANTINE_SCHEMA.field(field.name) if field.name in ours else field for field in stored]
    return pa.schema(fields, stored.metadata)


def complete(table: pa.Table) -> pa.Table:
    """Returns a table of data with all columns of the record, in order; those that it lacks are null."""
    columns = [
        table[field.name].cast(field.type) if field.name in table.column_names else pa.nulls(len(table), field.type)
        for field in DATA_SCHEMA
    ]
    return pa.table(columns, schema=DATA_SCHEMA)
