"""Rows that are in the record's schema already: a folder laid out as a Hub dataset repository, or one on the Hub."""

import logging
import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pyarrow.parquet as pq

from dataset_builder.schema import COLUMNS, FEATURES, LIST_COLUMNS, REQUIRED, SPLITS
from fusionrs_hf.errors import InputError

logger = logging.getLogger(__name__)

HUB_ID = re.compile(r"[\w.-]+/[\w.-]+")
BATCH_ROWS = 100
# What a row says about its infrared, and what a build wrote about its place among others: gone with `drop_ir`.
IR_COLUMNS = (
    *("ir", "ir_origin", "ir_band", "ir_unit", "ir_captions", "ir_phash", "image_group_id", "joint_group_id"),
    *("is_eval_representative", "translator", "translator_revision", "translator_seed", "translator_settings"),
    *("captioner", "captioner_revision", "captioner_settings"),
)
IMAGE_KEY = ("source_dataset", "source_locator")
Shard = tuple[str, str, int, int]


@dataclass(frozen=True)
class RepositorySource:
    """Parquet in the record's schema, read by row groups; columns that it lacks are null.

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
        """Raises InputError for a split that there is not, or a path that is neither a folder nor a Hub id."""
        object.__setattr__(self, "splits", tuple(self.splits))
        if unknown := sorted(set(self.splits) - set(SPLITS)):
            raise InputError(f"splits must be of {', '.join(SPLITS)}, got {', '.join(unknown)}")
        if self.row_groups_per_shard < 1:
            raise InputError(f"row_groups_per_shard must be positive, got {self.row_groups_per_shard}")
        if self.folder is None and not HUB_ID.fullmatch(str(self.path)):
            raise InputError(
                f"repository {self.base / self.path} does not exist; give a folder with Parquet by split, or a Hub id "
                "such as owner/name"
            )

    @property
    def folder(self) -> Path | None:
        """The local folder; None where `path` is a Hub id."""
        path = self.base / self.path
        return path if path.is_dir() else None

    def shards(self) -> list[Shard]:
        """Returns (split, file or `""`, first, stop): row groups of a file, or parts of a Hub dataset's split."""
        return self._hub_shards() if self.folder is None else self._folder_shards()

    def _folder_shards(self) -> list[Shard]:
        shards = []
        for file, split in self._files():
            metadata = pq.read_metadata(file)
            names = set(metadata.schema.to_arrow_schema().names)
            if missing := [name for name in REQUIRED if name not in names]:
                raise InputError(f"{file} lacks the columns {', '.join(missing)}; see dataset_builder/schema.py")
            if extra := sorted(names - set(COLUMNS)):
                logger.warning("%s has columns that are no part of the record and are not read: %s", file, extra)
            groups = metadata.num_row_groups
            name = file.relative_to(self.folder).as_posix()
            step = self.row_groups_per_shard
            shards += [(split, name, start, min(start + step, groups)) for start in range(0, groups, step)]
        return shards

    def _files(self) -> list[tuple[Path, str]]:
        found = []
        for file in sorted(self.folder.rglob("*.parquet")):
            *folders, name = file.relative_to(self.folder).parts
            words = {*folders, name.split("-")[0], name.removesuffix(".parquet")}
            split = next((split for split in SPLITS if split in words), None)
            if split in self.splits and "quarantine" not in folders:
                found.append((file, split))
        if not found:
            raise InputError(
                f"folder {self.folder} holds no Parquet of the splits {', '.join(self.splits)}; name files as in "
                "data/train-00000-of-00001.parquet"
            )
        return found

    def _hub_shards(self) -> list[Shard]:
        import datasets

        try:
            there = datasets.get_dataset_split_names(str(self.path), revision=self.revision)
        except (OSError, ValueError) as error:
            reason = str(error).splitlines()[0]
            raise InputError(
                f"{self.path} is neither a folder in {self.base.resolve()} nor a Hub dataset that can be read "
                f"({reason}); check the name, the network and the token"
            ) from error
        shards = []
        for split in (split for split in self.splits if split in there):
            parts = 1 if self.drop_ir else self._stream(split).num_shards  # repeated images are known within one part
            shards += [(split, "", part, parts) for part in range(parts)]
        return shards

    def _stream(self, split: str) -> Any:
        import datasets

        rows = datasets.load_dataset(str(self.path), split=split, streaming=True, revision=self.revision)
        for name in (name for name in ("rgb", "ir") if name in (rows.features or {})):
            rows = rows.cast_column(name, datasets.Image(decode=False))
        return rows

    def read(self, shard: Shard) -> Iterator[dict[str, Any]]:
        """Yields the rows of a shard as they are stored; with `drop_ir`, without infrared."""
        split, name, start, stop = shard
        seen = set(self._images_before(split, name, start)) if self.drop_ir else set()
        for row in self._stored(split, name, start, stop):
            row = {column: row.get(column) for column in COLUMNS} | {"_split": split, "_reason": None}
            row |= {column: row[column] or [] for column in LIST_COLUMNS}
            if self.drop_ir:
                image = tuple(row[column] for column in IMAGE_KEY)
                if image in seen:
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
        with pq.ParquetFile(self.folder / name) as file:
            columns = [column for column in file.schema_arrow.names if column in FEATURES]
            for batch in file.iter_batches(BATCH_ROWS, row_groups=range(start, stop), columns=columns):
                yield from batch.to_pylist()

    def _images_before(self, split: str, name: str, start: int) -> Iterator[tuple[str, str]]:
        """Yields what identifies the images of the split that lie before a row group; reads no image data."""
        for file, own in [] if self.folder is None else self._files():
            here = file == self.folder / name
            if own == split:
                with pq.ParquetFile(file) as parquet:
                    groups = range(start if here else parquet.num_row_groups)
                    table = parquet.read_row_groups(groups, columns=list(IMAGE_KEY))
                yield from zip(*(table[column].to_pylist() for column in IMAGE_KEY))
            if here:
                return
