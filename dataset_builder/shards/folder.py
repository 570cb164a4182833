"""Reads a dataset that is there already, in the published layout: its shards, its rows, what its build says of it."""

import hashlib
from collections.abc import Iterator, Sequence
from pathlib import Path

import pyarrow as pa
import pyarrow.parquet as pq

from dataset_builder.schema import REQUIRED, SPLITS
from dataset_builder.shards.layout import DATA_SCHEMA, QUARANTINE_SCHEMA
from fusionrs_hf.bounded_parquet import plain_batches
from fusionrs_hf.errors import InputError

LIGHT_ROWS = 10_000  # without images
TRAVELS = ("LICENSE*", "*.jsonl", "NOTICE.md", "rights.yaml")  # beside the data, as `fusionrs push` publishes them


def find_shards(folder: Path, columns: Sequence[str] = (*REQUIRED, "ir")) -> list[str]:
    """Returns the names of `data/{split}-*.parquet`, in the order of the splits.

    Args:
        folder: Of the dataset.
        columns: What each must have, as the record says.

    Raises:
        InputError: There are none, one is no Parquet, lacks a column, or has one of another type.
    """
    names = sorted(path.name for path in (folder / "data").glob("*.parquet"))
    shards = [name for split in SPLITS for name in names if name.split("-")[0] == split]
    if not shards:
        raise InputError(
            f"{folder} has no data/train-*.parquet, data/validation-*.parquet or data/test-*.parquet; expected a "
            "dataset as `fusionrs build` writes it"
        )
    for name in shards:
        path = folder / "data" / name
        try:
            schema = pq.read_schema(path)
        except (pa.ArrowException, OSError, UnicodeDecodeError) as error:
            raise InputError(f"{path} is not Parquet ({error}); bring the dataset again") from error
        if missing := [column for column in columns if column not in schema.names]:
            raise InputError(f"{path} lacks the columns {', '.join(missing)}; see dataset_builder/schema.py")
        for column in columns:
            kind, expected = schema.field(column).type, DATA_SCHEMA.field(column).type
            if not _is_kind(kind, expected):
                named = f"images: {expected}" if pa.types.is_struct(expected) else expected
                raise InputError(f"column {column} of {path} is {kind}, expected {named}; build the dataset again")
    return shards


def _is_kind(kind: pa.DataType, expected: pa.DataType) -> bool:
    """Whether a column can be read as the record's, large or as indices into a dictionary."""
    if pa.types.is_dictionary(kind):
        return _is_kind(kind.value_type, expected)
    if pa.types.is_list(expected):
        return (pa.types.is_list(kind) or pa.types.is_large_list(kind)) and _is_kind(
            kind.value_type, expected.value_type
        )
    if pa.types.is_struct(expected):
        return pa.types.is_struct(kind) and kind.get_field_index("bytes") >= 0 and _is_bytes(kind.field("bytes").type)
    if pa.types.is_string(expected):
        return pa.types.is_string(kind) or pa.types.is_large_string(kind) or pa.types.is_null(kind)
    return kind == expected or pa.types.is_null(kind)


def _is_bytes(kind: pa.DataType) -> bool:
    return any(test(kind) for test in (pa.types.is_binary, pa.types.is_large_binary, pa.types.is_null)) or (
        pa.types.is_dictionary(kind) and _is_bytes(kind.value_type)
    )


def footer_sha256(path: Path) -> str:
    """Returns the SHA-256 of a Parquet file's size and footer: place, size and range of every column in it."""
    with open(path, "rb") as file:
        size = file.seek(0, 2)
        file.seek(size - 8)
        length = int.from_bytes(file.read(4), "little")
        file.seek(size - 8 - length)
        return hashlib.sha256(str(size).encode() + file.read(length)).hexdigest()


def light_batches(path: Path, columns: Sequence[str]) -> Iterator[pa.Table]:
    """Yields a shard's rows without image bytes; columns `rgb` and `ir` only tell which rows have an image.

    Args:
        path: Of the shard.
        columns: To read; one that the shard lacks is null.
    """
    schema = pq.read_schema(path)
    wanted = [_light(schema, name) for name in columns if name in schema.names]
    for batch in plain_batches(path, None, wanted, LIGHT_ROWS):
        table = pa.Table.from_batches([batch])
        for name in (name for name in columns if name not in schema.names):
            table = table.append_column(name, pa.nulls(len(table), QUARANTINE_SCHEMA.field(name).type))
        yield table


def _light(schema: pa.Schema, name: str) -> str:
    kind = schema.field(name).type
    if not pa.types.is_struct(kind):
        return name
    return f"{name}.path" if kind.get_field_index("path") >= 0 else f"{name}.bytes"
