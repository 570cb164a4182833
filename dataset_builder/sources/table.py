"""Any table of images and captions: Parquet, JSON Lines, CSV, or a dataset on the Hub, by a map of its columns."""

import logging
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from itertools import islice
from pathlib import Path
from typing import Any

import pyarrow as pa

from dataset_builder.schema import CAPTION_ORIGINS, SPLITS, new_row
from dataset_builder.sources.formats.columns import (
    SINGLE,
    TEXTS,
    check_names,
    checked_map,
    pick,
    single_values,
    stored_path,
)
from dataset_builder.sources.formats.entries import SUFFIXES, EntryFile
from dataset_builder.sources.formats.facts import caption_texts
from dataset_builder.sources.formats.files import read_image, walk
from dataset_builder.sources.formats.hub import hub_rows, hub_splits, read_from_hub
from dataset_builder.sources.formats.paths import SPLIT_WORDS, split_words
from dataset_builder.sources.formats.row_groups import parquet_schema, read_span, row_group_spans
from fusionrs_hf.bounds import TooLarge
from fusionrs_hf.errors import InputError, nearest, shown

logger = logging.getLogger(__name__)

PARQUET = ".parquet"
SAVED = ("dataset_info.json", "state.json")  # files of `save_to_disk` beside its Arrow files
LOOKED_AT = 1000  # entries whose keys tell the columns of a JSON Lines file
CONSTANTS = ("rights", "ir_band", "ir_origin", "ir_unit", "sensor", "acquired_at", "gsd_m")
# Of one unit: split, file or "", first and stop (row groups, bytes, or part and parts), number of the first row.
Shard = tuple[str, str, int, int | None, int]


@dataclass(frozen=True)
class TableSource:
    """Rows of a table, streamed: images as encoded bytes, or as names of files below `images`.

        path: my_table.parquet              or a folder of tables, *.jsonl, *.csv, or a Hub id such as owner/name
        columns:
            rgb: image                      bytes, {bytes, path} as `datasets` stores images, or a file name
            captions: [caption_1, caption_2]    or one column; text, or a list of texts, nested at will
            captions: sentences.raw         a dot leads into a mapping, or into each of a list of mappings
            sample_id: id
            ir: thermal

    A row whose image file is missing, whose name leads out of `images`, or whose bytes are null leaves with a reason
    (`image_missing`, `unsafe_path`); so does one with a value that its column cannot hold (`value_invalid`), a caption
    that is no text (`caption_unreadable`), a split that is unknown (`split_unknown`), or an entry that is no JSON or
    has another number of fields than the header (`entry_unreadable`). Null is unknown.

    Memory: a batch of rows. Parquet is cut by row groups, JSON Lines and CSV by bytes, a Hub dataset by its own
    shards (one file is one unit there).

    Args:
        path: A Parquet, JSON Lines or CSV file, a folder of such, or a Hub dataset id.
        columns: Theirs by ours. Of ours, `rgb` is needed; there may be `ir`, `captions`, `ir_captions`, `sample_id`,
            `source_locator`, `source_dataset`, `rights`, `split`, `sensor`, `acquired_at` (ISO date), `gsd_m` (in
            metres), `bbox` (west, south, east, north; degrees), `ir_band`, `ir_origin`, `ir_unit`.
        rights, ir_band, ir_origin, ir_unit, sensor, acquired_at, gsd_m: Constants, where no column tells; `rights`,
            and with `ir` the three about it, must come from one or the other.
        caption_origin: source, hand, rule or model.
        source_dataset: Column; without it, the last part of `path`.
        images: Folder that file names in the table start from.
        splits: Ours by theirs, such as `val: validation`, or null where it is decided later: for the values of a
            mapped `split`, for words in local file names, and for a Hub dataset the splits to read. Those of
            `paths.SPLIT_WORDS` (`train`, `val`, `dev`, ...) are known without it; a Hub dataset is read whole then.
        revision, config: Of the Hub dataset.
        rows_per_shard: Entries of JSON Lines or CSV that are read as one unit of work.
        row_groups_per_shard: Parquet row groups that are.
    """

    path: str | Path
    columns: Mapping[str, str | Sequence[str]]
    rights: str = ""
    source_dataset: str = ""
    images: str | None = None
    splits: Mapping[str, str | None] = field(default_factory=dict)
    caption_origin: str = "source"
    ir_band: str | None = None
    ir_origin: str | None = None
    ir_unit: str | None = None
    sensor: str | None = None
    acquired_at: str | int | None = None
    gsd_m: float | None = None
    revision: str | None = None
    config: str | None = None
    rows_per_shard: int = 1000
    row_groups_per_shard: int = 10
    base: Path = Path()

    def __post_init__(self) -> None:
        """Raises InputError for a value that cannot be, or a path that is neither there nor a Hub id."""
        where = f"table {self.path}"
        object.__setattr__(self, "columns", checked_map(self.columns, where))
        object.__setattr__(self, "source_dataset", self.source_dataset or Path(self.path).name.partition(".")[0])
        needed = ["rights", *(["ir_band", "ir_origin", "ir_unit"] if "ir" in self.columns else [])]
        if missing := [name for name in needed if not getattr(self, name) and name not in self.columns]:
            raise InputError(f"{where} needs {', '.join(missing)}, as a value or as a mapped column; got neither")
        for name in (name for name in CONSTANTS if getattr(self, name) is not None and getattr(self, name) != ""):
            try:
                object.__setattr__(self, name, SINGLE[name](getattr(self, name)))
            except ValueError as error:
                raise InputError(f"{where}: {error}") from error
        if self.caption_origin not in CAPTION_ORIGINS:
            raise InputError(
                f"caption_origin must be one of {', '.join(CAPTION_ORIGINS)}, got {shown(self.caption_origin)}"
            )
        if unknown := [ours for ours in self.splits.values() if ours not in (None, *SPLITS)]:
            raise InputError(f"{where} maps a split to {shown(unknown[0])}; {nearest(str(unknown[0]), SPLITS)}")
        if min(self.rows_per_shard, self.row_groups_per_shard) < 1:
            raise InputError(f"{where}: rows_per_shard and row_groups_per_shard must be positive")
        if self.images is not None and not (self.base / self.images).is_dir():
            raise InputError(
                f"{where}: images {self.base / self.images} is no folder; give the one that names start from"
            )

    @property
    def _local(self) -> Path | None:
        path = self.base / self.path
        return path if path.exists() else None

    def shards(self) -> Iterator[Shard]:
        """Yields (split, file, first, stop, number of the first row); see `Shard`.

        Raises:
            InputError: There is no table, it cannot be read, or a mapped column is not in it.
        """
        yield from self._hub_shards() if self._local is None else self._local_shards()

    def _local_shards(self) -> Iterator[Shard]:
        any_table = False
        if self._local.is_dir() and all((self._local / name).exists() for name in SAVED):
            raise InputError(
                f"{self._local} is what save_to_disk wrote; write its rows as Parquet by "
                f'load_from_disk({str(self._local)!r}).to_parquet("rows.parquet"), and give that'
            )
        for name in self._names():
            any_table, file, split = True, self._file(name), self._split_of(name)
            if file.suffix.lower() == PARQUET:
                check_names(self.columns, parquet_schema(file), str(file))
                for start, stop, row in row_group_spans(file, self.row_groups_per_shard):
                    yield split, name, start, stop, row
            else:
                entries = EntryFile(file)
                check_names(self.columns, _schema(entries), str(file))
                for start, stop, row in _spans(entries.starts(), self.rows_per_shard):
                    yield split, name, start, stop, row
        if not any_table:
            raise InputError(f"folder {self._local} holds no table; put files there that end in {_suffixes()}")

    def _names(self) -> Iterator[str]:
        if self._local.is_dir():
            yield from (name for name in walk(self._local) if name.lower().endswith((PARQUET, *SUFFIXES)))
        elif self._local.name.lower().endswith((PARQUET, *SUFFIXES)):
            yield self._local.name
        else:
            raise InputError(f"table {self._local} is none that can be read; give one that ends in {_suffixes()}")

    def _file(self, name: str) -> Path:
        return self._local / name if self._local.is_dir() else self._local

    def _split_of(self, name: str) -> str:
        """Returns the word of a file's name that tells its split, or `""`."""
        parts = name.lower().replace("-", "/").replace("_", "/").replace(".", "/").split("/")
        declared = [part for part in parts if part in self.splits]
        return next(iter(declared or split_words(name)), "")

    def _hub_shards(self) -> Iterator[Shard]:
        splits = hub_splits(str(self.path), self.config, self.revision, self.base)
        for split in self.splits or splits:
            if split not in splits:
                raise InputError(f"{self.path} has no split {shown(split)}; {nearest(split, splits)}")
            rows = self._stream(split)
            schema = rows.features.arrow_schema if rows.features else _schema_of(islice(rows, LOOKED_AT))
            check_names(self.columns, schema, f"{self.path}, split {split},")
            yield from ((split, "", part, rows.num_shards, 0) for part in range(rows.num_shards))

    def _stream(self, split: str) -> Any:
        return hub_rows(str(self.path), split, self.config, self.revision)

    def read(self, shard: Shard) -> Iterator[dict[str, Any]]:
        """Yields the rows of a shard; images are not decoded."""
        split, name, start, stop, first = shard
        place = f"{name or f'{split}-{start}'}"
        for number, row in enumerate(self._stored(shard), first):
            yield self._row(row, f"{place}#{number}", split)

    def _stored(self, shard: Shard) -> Iterator[Mapping[str, Any] | ValueError]:
        split, name, start, stop, _ = shard
        if self._local is None:
            rows = self._stream(split)
            yield from rows.shard(num_shards=stop, index=start) if stop > 1 else rows
            return
        file = self._file(name)
        if file.suffix.lower() != PARQUET:
            yield from (entry for _, entry in EntryFile(file).entries(start, stop))
            return
        columns = parquet_schema(file).names
        wanted = {path if path in columns else path.split(".")[0] for names in self.columns.values() for path in names}
        yield from read_span(file, start, stop, sorted(wanted))

    def _row(self, row: Mapping[str, Any] | ValueError, locator: str, split: str) -> dict[str, Any]:
        reason = "entry_unreadable" if isinstance(row, ValueError) else None
        reason = "row_too_large" if isinstance(row, TooLarge) else reason
        row = {} if isinstance(row, ValueError) else row
        facts = {name: getattr(self, name) for name in CONSTANTS} | {"source_dataset": self.source_dataset}
        values, wrong = single_values(row, self.columns)
        facts |= {"sample_id": f"{facts['source_dataset']}/{locator}", "source_locator": locator} | values
        split = facts.pop("split", split)
        rgb, without = self._image(row, "rgb")
        ir, without_ir = self._image(row, "ir") if "ir" in self.columns else (None, None)
        if ir is None:
            facts |= dict.fromkeys(("ir_origin", "ir_band", "ir_unit"))
        texts = {ours: caption_texts([pick(row, name) for name in self.columns.get(ours, ())]) for ours in TEXTS}
        readable = all(fine for _, fine in texts.values())
        if not facts["rights"]:
            facts["rights"], wrong = "unknown", "rights_missing"
        ours = self.splits.get(split, SPLIT_WORDS.get(split.lower()))
        lost = (
            "split_unknown"
            if "split" in self.columns and split and ours is None and split not in self.splits
            else None
        )
        return new_row(
            rgb=rgb or {"bytes": None, "path": None},
            ir=ir,
            captions=texts["captions"][0],
            caption_origin=[self.caption_origin] * len(texts["captions"][0]),
            ir_captions=texts["ir_captions"][0],
            **facts,
        ) | {
            "_split": ours,
            "_reason": reason
            or without
            or without_ir
            or wrong
            or lost
            or (None if readable else "caption_unreadable"),
        }

    def _image(self, row: Mapping[str, Any], ours: str) -> tuple[dict[str, Any] | None, str | None]:
        """Returns an image column and None, or what is known of it and the reason; a null `ir` is merely unknown."""
        value = pick(row, self.columns[ours][0])
        held = value if isinstance(value, Mapping) else {"bytes": value if isinstance(value, bytes) else None}
        if held.get("bytes") is not None:
            if not isinstance(held["bytes"], bytes):
                return None, "value_invalid"
            return {"bytes": held["bytes"], "path": stored_path(held.get("path"))}, None
        name = held.get("path") if isinstance(value, Mapping) else value
        if name is None or name == "":
            return None, "image_missing" if ours == "rgb" else None
        if not isinstance(name, str):
            return None, "value_invalid"
        if self._local is None and "hf://" in name:
            return read_from_hub(str(self.path), name)
        if self.images is None:
            raise InputError(
                f"table {self.path} names image files ({shown(name)}); declare `images`, the folder they are in"
            )
        return read_image(self.base / self.images, name)


def _suffixes() -> str:
    return ", ".join((PARQUET, *SUFFIXES))


def _spans(starts: Iterator[int], rows: int) -> Iterator[tuple[int, int | None, int]]:
    """Yields (first byte, the one after the last, number of the first row); None: to the end."""
    begin = None
    for number, offset in enumerate(starts):
        if number % rows == 0:
            if begin is not None:
                yield begin, offset, number - rows
            begin = offset
    if begin is not None:
        yield begin, None, number // rows * rows


def _schema(entries: EntryFile) -> pa.Schema:
    if entries.is_csv:
        return pa.schema([(name, pa.string()) for name in entries.header])
    head = [entry for _, entry in islice(entries.entries(), LOOKED_AT)]
    rows = [entry for entry in head if isinstance(entry, dict)]
    if head and not rows:
        raise InputError(
            f"{entries.path} holds no mapping: its first entry {head[0]}; give JSON Lines, or an array, of mappings"
        )
    return _schema_of(iter(rows))


def _schema_of(rows: Iterator[Mapping[str, Any]]) -> pa.Schema:
    """Returns what the first rows tell: names, and nested ones where Arrow finds one type for them."""
    rows = list(rows)
    names = list(dict.fromkeys(name for row in rows for name in row))
    fields = []
    for name in names:
        try:
            fields.append(pa.field(name, pa.array([row.get(name) for row in rows]).type))
        except (pa.ArrowException, TypeError, ValueError, UnicodeError):
            fields.append(pa.field(name, pa.null()))
    return pa.schema(fields)
