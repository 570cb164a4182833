"""Rows that are in the record's schema already: a folder laid out as a Hub dataset repository, or one on the Hub."""

import hashlib
import logging
from array import array
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow.parquet as pq

from dataset_builder.schema import COLUMNS, LIST_COLUMNS, REQUIRED, SPLITS
from dataset_builder.sources.formats.hub import hub_rows, hub_splits
from dataset_builder.sources.formats.row_groups import parquet_schema, read_span, row_group_spans
from fusionrs_hf.bounds import TooLarge
from fusionrs_hf.errors import InputError
from fusionrs_hf.folder_manifest import require_finished
from fusionrs_hf.repository_names import is_hub_id

logger = logging.getLogger(__name__)

# What a row says about its infrared, and what a build wrote about its place among others: gone with `drop_ir`.
IR_COLUMNS = (
    *("ir", "ir_origin", "ir_band", "ir_unit", "ir_captions", "ir_caption_form", "joint_captions", "ir_phash"),
    *("image_group_id", "joint_group_id", "is_eval_representative", "translator", "translator_revision"),
    *("translator_seed", "translator_settings", "translator_interval", "translator_in_domain"),
    *("captioner", "captioner_revision", "captioner_settings"),
)
IMAGE_KEY = ("source_dataset", "source_locator")
Shard = tuple[str, str, int, int, Sequence[int] | None]


@dataclass(frozen=True)
class RepositorySource:
    """Parquet in the record's schema, read by row groups; columns that it lacks are null.

        data/train-00000-of-00002.parquet      or train/*.parquet, or train.parquet
        data/test-00000-of-00001.parquet

    Memory: a batch of rows. With `drop_ir`, 16 bytes a row of a local split while shards are listed; a Hub split is
    then one unit of work, with some 80 bytes an image.

    Args:
        path: A folder with Parquet by split (`data/train-*.parquet` or `train/*.parquet`), or a Hub dataset id.
        revision: Of the Hub dataset; without it, the newest.
        splits: Splits to read.
        drop_ir: Give RGB only, to be translated: infrared columns null, one row per image of a split (the first with
            its `source_dataset` and `source_locator`), `/rgb` added to its `sample_id`.
        row_groups_per_shard: Parquet row groups that are read as one unit of work.
    """

    path: str | Path
    revision: str | None = None
    splits: tuple[str, ...] = SPLITS
    drop_ir: bool = False
    row_groups_per_shard: int = 10
    base: Path = Path()

    def __post_init__(self) -> None:
        """Raises InputError for a split that there is not, or a path that is no finished folder and no Hub id."""
        object.__setattr__(self, "splits", tuple(self.splits))
        if unknown := sorted(set(self.splits) - set(SPLITS)):
            raise InputError(f"splits must be of {', '.join(SPLITS)}, got {', '.join(unknown)}")
        if self.row_groups_per_shard < 1:
            raise InputError(f"row_groups_per_shard must be positive, got {self.row_groups_per_shard}")
        if self.folder is None and not is_hub_id(str(self.path)):
            raise InputError(
                f"repository {self.base / self.path} does not exist; give a folder with Parquet by split, or a Hub id "
                "such as owner/name"
            )
        if self.folder is not None:
            require_finished(self.folder)

    @property
    def folder(self) -> Path | None:
        """The local folder; None where `path` is a Hub id."""
        path = self.base / self.path
        return path if path.is_dir() else None

    def shards(self) -> Iterator[Shard]:
        """Yields (split, file or `""`, first, stop, rows): row groups of a file, or parts of a Hub dataset's split.

        `rows` are the numbers of the rows to give; None: all.

        Raises:
            InputError: There is no Parquet, or it lacks a required column; the Hub dataset cannot be read.
        """
        yield from self._hub_shards() if self.folder is None else self._folder_shards()

    def _folder_shards(self) -> Iterator[Shard]:
        files = self._files()
        for file, _ in files:
            names = set(parquet_schema(file).names)
            if missing := [name for name in REQUIRED if name not in names]:
                raise InputError(f"{file} lacks the columns {', '.join(missing)}; see dataset_builder/schema.py")
            if extra := sorted(names - set(COLUMNS)):
                logger.warning("%s has columns that are no part of the record and are not read: %s", file, extra)
        first = self._first_of_images(files) if self.drop_ir else None
        for file, split in files:
            name = file.relative_to(self.folder).as_posix()
            flags = first[file] if first else None
            for start, stop, row in row_group_spans(file, self.row_groups_per_shard):
                if flags is None:
                    yield split, name, start, stop, None
                    continue
                rows = sum(pq.read_metadata(file).row_group(group).num_rows for group in range(start, stop))
                if kept := np.flatnonzero(flags[row : row + rows]).tolist():
                    yield split, name, start, stop, tuple(kept)

    def _first_of_images(self, files: Sequence[tuple[Path, str]]) -> dict[Path, np.ndarray]:
        """Returns, by file, whether each row is the first of its image in its split; 16 bytes a row, no image data."""
        firsts = {}
        for split in self.splits:
            ours = [file for file, file_split in files if file_split == split]
            keys, sizes = array("Q"), []
            for file in ours:
                before = len(keys)
                for row in read_span(file, 0, pq.read_metadata(file).num_row_groups, IMAGE_KEY):
                    keys.frombytes(_image_digest(row))
                sizes.append((len(keys) - before) // 2)
            pairs = np.frombuffer(keys, np.uint64).reshape(-1, 2) if keys else np.zeros((0, 2), np.uint64)
            order = np.lexsort(pairs.T)  # stable: of equal images, the first row comes first
            ordered, flags = pairs[order], np.ones(len(pairs), bool)
            flags[order[1:]] = (ordered[1:] != ordered[:-1]).any(1)
            firsts |= zip(ours, np.split(flags, np.cumsum(sizes)[:-1]), strict=True) if ours else {}
        return firsts

    def _files(self) -> list[tuple[Path, str]]:
        files = []
        for file in sorted(self.folder.rglob("*.parquet")):
            *folders, name = file.relative_to(self.folder).parts
            words = {*folders, name.split("-")[0], name.removesuffix(".parquet")}
            split = next((split for split in SPLITS if split in words), None)
            if split in self.splits and not {"quarantine", "publish"} & {*folders}:
                files.append((file, split))
        if not files:
            raise InputError(
                f"folder {self.folder} holds no Parquet of the splits {', '.join(self.splits)}; name files as in "
                "data/train-00000-of-00001.parquet"
            )
        return files

    def _hub_shards(self) -> Iterator[Shard]:
        splits = hub_splits(str(self.path), None, self.revision, self.base)
        for split in (split for split in self.splits if split in splits):
            parts = 1 if self.drop_ir else self._stream(split).num_shards  # repeated images are known within one part
            yield from ((split, "", part, parts, None) for part in range(parts))

    def _stream(self, split: str) -> Any:
        return hub_rows(str(self.path), split, None, self.revision)

    def read(self, shard: Shard) -> Iterator[dict[str, Any]]:
        """Yields the rows of a shard as they are stored; with `drop_ir`, without infrared."""
        split, name, start, stop, kept = shard
        kept, seen = None if kept is None else set(kept), set()
        for number, stored in enumerate(self._stored(split, name, start, stop)):
            if kept is not None and number not in kept:
                continue
            row = {column: stored.get(column) for column in COLUMNS} | {"_split": split}
            row["_reason"] = "row_too_large" if isinstance(stored, TooLarge) else None
            row |= {column: row[column] or [] for column in LIST_COLUMNS}
            if self.drop_ir:
                image = _image_digest(row)
                if kept is None and image in seen:
                    continue
                seen.add(image)
                row |= {column: [] if column in LIST_COLUMNS else None for column in IR_COLUMNS}
                row["sample_id"] += "/rgb"
            yield row

    def _stored(self, split: str, name: str, start: int, stop: int) -> Iterator[Mapping[str, Any]]:
        if self.folder is None:
            rows = self._stream(split)
            yield from rows.shard(num_shards=stop, index=start) if stop > 1 else rows
            return
        file = self.folder / name
        dropped = IR_COLUMNS if self.drop_ir else ()
        columns = [column for column in parquet_schema(file).names if column in COLUMNS and column not in dropped]
        yield from read_span(file, start, stop, columns)


def _image_digest(row: Mapping[str, Any]) -> bytes:
    """Returns 16 bytes that tell the image of a row."""
    key = "\x1f".join(str(row[column]) for column in IMAGE_KEY)
    return hashlib.blake2b(key.encode(), digest_size=16).digest()
