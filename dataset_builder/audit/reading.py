"""What an audit reads: a built dataset, and others in many forms, as tables of keys, some 200 bytes a row."""

import logging
import re
from collections import deque
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from concurrent.futures import ProcessPoolExecutor
from concurrent.futures.process import BrokenProcessPool
from dataclasses import dataclass, field
from functools import partial
from itertools import islice
from multiprocessing import get_context
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq
from tqdm.auto import tqdm

from dataset_builder.audit.keys import KEYS, STORED, Keys
from dataset_builder.building.auto_range import settled_range
from dataset_builder.recipe import load_recipe
from dataset_builder.shards.opening import bring_dataset
from dataset_builder.sources import Source, open_source
from dataset_builder.sources.formats.paths import SPLIT_WORDS
from fusionrs_hf.bounded_parquet import plain_batches
from fusionrs_hf.errors import InputError

logger = logging.getLogger(__name__)

UNIT_ROWS, BATCH_ROWS = 1000, 64
# Where a column of the record lies in a Parquet file that has another schema: the first name that is there.
OTHER_NAMES = {
    "sample_id": ("sample_id", "id", "image_id", "file_name", "filename", "key", "__key__"),
    "rgb": ("rgb", "image", "img", "jpg", "jpeg", "png", "tif", "visible"),
    "ir": ("ir", "infrared", "thermal"),
    "captions": ("captions", "caption", "text", "sentences"),
}
LEFT_OUT = ("quarantine", "publish")  # what a build keeps beside its data
WHOLE = "all"  # the split of rows of which none is known


@dataclass(frozen=True)
class ParquetRows:
    """Rows of Parquet files, read by row groups; in the manner of a `Source`.

    Args:
        files: Path, and the split of its rows or None.
        columns: Column in the files by column of the record.
        only_grouped: Give only rows that have a joint group, without a split: those that left after the grouping.
    """

    files: Sequence[tuple[Path, str | None]]
    columns: Mapping[str, str]
    only_grouped: bool = False

    def shards(self) -> Iterator[tuple[int, int, int]]:
        """Yields (file, first row group, stop), about `UNIT_ROWS` rows each."""
        for number, (path, _) in enumerate(self.files):
            metadata = pq.read_metadata(path)
            start, rows = 0, 0
            for group in range(metadata.num_row_groups):
                rows += metadata.row_group(group).num_rows
                if rows >= UNIT_ROWS or group + 1 == metadata.num_row_groups:
                    yield number, start, group + 1
                    start, rows = group + 1, 0

    def read(self, shard: tuple[int, int, int]) -> Iterator[dict[str, Any]]:
        """Yields the rows of a shard with the columns that an audit reads, `_split` and `_reason`."""
        number, start, stop = shard
        path, split = self.files[number]
        try:
            metadata, file_columns = pq.read_metadata(path), set(pq.read_schema(path).names)
            names = {column: stored for column, stored in self.columns.items() if stored in file_columns}
            place = sum(metadata.row_group(group).num_rows for group in range(start))
            for batch in plain_batches(path, range(start, stop), list(dict.fromkeys(names.values())), BATCH_ROWS):
                for stored in batch.to_pylist():
                    row = {column: stored[name] for column, name in names.items()}
                    place += 1
                    if not self.only_grouped or row.get("joint_group_id"):
                        yield _as_record(row, f"{path.name}, row {place}") | {"_split": split, "_reason": None}
        except MemoryError:
            raise
        except (pa.ArrowException, OSError, UnicodeDecodeError) as error:
            raise InputError(f"{path} cannot be read ({error}); bring the file again") from error


def _as_record(row: dict[str, Any], place: str) -> dict[str, Any]:
    """Brings images as bare bytes, a caption alone and ids that are no text into the record's form."""
    for name in ("rgb", "ir"):
        if isinstance(row.get(name), bytes):
            row[name] = {"bytes": row[name]}
    if isinstance(row.get("captions"), str):
        row["captions"] = [row["captions"]]
    if "sample_id" not in row:
        row["sample_id"] = place
    elif row["sample_id"] is not None:
        row["sample_id"] = str(row["sample_id"])
    return row


@dataclass
class Opened:
    """Something to audit, opened.

    Args:
        readers: Of its rows.
        ir_range: Limits by `ir_band`, for infrared above 8 bit.
    """

    readers: list[Source | ParquetRows]
    ir_range: Mapping[str, Sequence[float]] = field(default_factory=dict)

    def keys(self, workers: int, flips: bool = False, strict: bool = True, title: str = "reading") -> pa.Table:
        """Reads everything once; returns the table of keys, in the order of the rows.

        Raises:
            InputError: A file cannot be read.
            ChildProcessError: A worker process died.
        """
        units = ((number, shard) for number, reader in enumerate(self.readers) for shard in reader.shards())
        make = partial(KeyWorker, self.readers, Keys(self.ir_range, flips, strict))
        parts = tqdm(run_units(units, make, workers), desc=title, unit="part", leave=False)
        return pa.concat_tables([KEYS.empty_table(), *parts]).combine_chunks()


class KeyWorker:
    """Maps a unit `(reader, shard)` to the table of its rows' keys."""

    def __init__(self, readers: Sequence[Source | ParquetRows], keys: Keys) -> None:
        self.readers, self.keys = readers, keys

    def __call__(self, unit: tuple[int, Any]) -> pa.Table:
        """Reads a batch of rows at a time."""
        rows, tables = self.readers[unit[0]].read(unit[1]), []
        while batch := list(islice(rows, BATCH_ROWS)):
            tables.append(pa.Table.from_pylist([self.keys(row) for row in batch], schema=KEYS))
        return pa.concat_tables([KEYS.empty_table(), *tables])


def run_units(units: Iterable[Any], make: Callable[[], Callable], workers: int) -> Iterator[Any]:
    """Yields the result of each unit, in order; at most a few units a worker wait, so `units` may be endless."""
    if workers == 1:
        yield from map(make(), units)
        return
    waiting: deque = deque()
    pool = ProcessPoolExecutor(workers, get_context("spawn"), _make_here, (make,))
    try:
        for unit in units:
            waiting.append(pool.submit(_run_here, unit))
            if len(waiting) > 4 * workers:
                yield waiting.popleft().result()
        while waiting:
            yield waiting.popleft().result()
    except BrokenProcessPool as error:
        raise ChildProcessError(
            f"a worker process died (killed, or out of memory with {workers} workers); try fewer workers"
        ) from error
    finally:
        pool.shutdown(cancel_futures=True)


_worker: Callable | None = None  # of this process


def _make_here(make: Callable[[], Callable]) -> None:
    global _worker
    _worker = make()


def _run_here(unit: Any) -> Any:
    return _worker(unit)


def dataset_rows(folder: Path) -> list[ParquetRows]:
    """Returns readers of `data/*.parquet`, each file's rows in the split it is named for, and of what left the groups.

    Raises:
        InputError: There is none, or one is no Parquet or has no images.
    """
    paths = sorted((folder / "data").glob("*.parquet"))
    if not paths:
        raise InputError(
            f"{folder} has no data/*.parquet, expected data/train-00000-of-00001.parquet and so on; give a dataset "
            "as `fusionrs build` writes it"
        )
    for path in paths:
        if missing := [name for name in ("sample_id", "rgb") if name not in _schema(path).names]:
            raise InputError(f"{path} lacks the columns {', '.join(missing)}; see dataset_builder/schema.py")
    columns = {name: name for name in STORED}
    left = sorted((folder / "quarantine").glob("*.parquet"))
    readers = [ParquetRows([(path, path.name.split("-")[0]) for path in paths], columns)]
    return [*readers, ParquetRows([(path, None) for path in left], columns, only_grouped=True)] if left else readers


def open_other(other: Path | str) -> Opened:
    """Opens what a dataset is compared with.

    Args:
        other: A recipe in YAML (its sources are read, their `splits` and the like obeyed), a Parquet file, a folder
            with Parquet or with images, or a dataset on the Hub.

    Raises:
        InputError: It is none of these.
    """
    path = Path(other)
    if path.suffix in (".yaml", ".yml"):
        if not path.is_file():
            raise InputError(f"recipe {path} does not exist; give a YAML file as `fusionrs build` reads it")
        recipe = load_recipe(path)
        sources = [open_source(spec, recipe.base) for spec in recipe.sources]
        return Opened(sources, settled_range(recipe, sources).ir_range)
    if path.is_file():
        return Opened([_foreign([path], path.parent)])
    folder = path if path.is_dir() else bring_dataset(str(other))
    files = sorted((folder / "data").glob("*.parquet")) or sorted(
        file
        for file in folder.rglob("*.parquet")
        if not any(part in LEFT_OUT or part.startswith(".") for part in file.relative_to(folder).parts)
    )
    if files:
        return Opened([_foreign(files, folder)])
    if not path.is_dir():
        raise InputError(f"{other} has no data/*.parquet on the Hub; name it as a source in a recipe and give that")
    images = open_source({"kind": "folder", "path": str(folder.resolve()), "rights": "unknown"}, Path())
    next(iter(images.shards()))  # raises where there are no images either
    return Opened([images])


def _foreign(paths: Sequence[Path], root: Path) -> ParquetRows:
    """A reader of Parquet in any schema: images, captions and ids are found by the names of the columns."""
    schema = _schema(paths[0])
    columns = {name: name for name in STORED if name in schema.names}
    for column, candidates in OTHER_NAMES.items():
        holds = _is_text if column == "captions" else _is_image if column in ("rgb", "ir") else lambda kind: True
        fitting = (name for name in candidates if name in schema.names and holds(schema.field(name).type))
        columns[column] = next(fitting, None)
    columns = {column: name for column, name in columns.items() if name is not None}
    if "rgb" not in columns and "rgb_phash" not in columns:
        raise InputError(
            f"{paths[0]} has no column of encoded images with a known name ({', '.join(OTHER_NAMES['rgb'])}), got "
            f"{', '.join(schema.names)}; name the column in a recipe, as a source of kind table, and give the recipe"
        )
    if "captions" not in columns:
        logger.warning("%s has no column of captions that is known by its name: none are compared", paths[0])
    return ParquetRows([(path, _split_of(path.relative_to(root))) for path in paths], columns)


def _is_image(kind: pa.DataType) -> bool:
    if pa.types.is_struct(kind):
        return kind.get_field_index("bytes") >= 0
    return pa.types.is_binary(kind) or pa.types.is_large_binary(kind)


def _is_text(kind: pa.DataType) -> bool:
    if pa.types.is_list(kind) or pa.types.is_large_list(kind):
        kind = kind.value_type
    return pa.types.is_string(kind) or pa.types.is_large_string(kind)


def _schema(path: Path) -> pa.Schema:
    try:
        return pq.read_schema(path)
    except pa.ArrowInvalid as error:
        raise InputError(f"{path} is not Parquet ({error}); bring the file again") from error


def _split_of(name: Path) -> str:
    words = re.split(r"[^a-z]+", name.as_posix().lower())
    return next((SPLIT_WORDS[word] for word in words if word in SPLIT_WORDS), WHOLE)
