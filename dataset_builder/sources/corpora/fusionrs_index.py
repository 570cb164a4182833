"""The official FusionRS index, full or public, joined to local copies of its five sources and of their infrared."""

import logging
from array import array
from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from functools import cached_property
from pathlib import Path
from typing import Any

import numpy as np

from dataset_builder.schema import IR_BANDS, SPLITS, new_row
from dataset_builder.sources.corpora.caption_join import (
    CaptionBook,
    find_places,
    key_of,
    open_book,
    places_of,
    same_image,
)
from dataset_builder.sources.corpora.index_records import SOURCES, Record, record_of
from dataset_builder.sources.corpora.skyscript import facts_of
from dataset_builder.sources.formats.lines import lines_at, offset_lines
from dataset_builder.sources.formats.paths import UnsafeNameError, parts_of, printable, read_inside, readable
from fusionrs_hf.errors import InputError, shown

logger = logging.getLogger(__name__)

Places = tuple[tuple[int, ...], ...]
Shard = tuple[int, int, int, Places]


@dataclass(frozen=True)
class FusionRSIndexSource:
    """Rows of the index in its order, each with the RGB image that its locator names below its source's local root.

    A row of a source without a root leaves with the reason `source_not_local`; an image that is not there is
    `image_missing`. Groups are made anew by a build, so those of the index are not read; its flags `vlm_train_used`
    (in the public index `vlm_train_identity`) and `prior_reused_protected` force a row, and with it its group, into
    train. All lines are checked before the first is read.

    RS5M's locators are relative to a folder of the release's authors that nobody else has: they can be joined to a
    folder of extracted images of the same names, not to RS5M's tars.

    Args:
        path: The index, JSON Lines, plain or gzip; schema `fusionrs-index-v1` or `fusionrs-public-index-v1`.
        roots: Folder by source (NWPU, RS5M, RSICD, RSITMD, SkyScript), any of them.
        skip_folders: Number of folders at the start of a source's locators that its root lacks, by source.
        captions: Caption file by source, for sources with a root: the public index has no captions, the full one has
            one of five. `{kind: caption_corpus, captions: dataset_rsicd.json}`, `{kind: skyscript, captions: X.csv}`,
            or `{kind: entries, captions: X.jsonl}` with `sample_id` (or the column `key`) and `captions`. A row that
            is not found there keeps the caption of the index, if any.
        ir_root: Folder of the infrared made by translation, `SOURCE/SAMPLE_ID.png`; a row without a file has none.
        ir_band: Of that infrared.
        translator_revision: Of the translator that the index names, where you know it.
        splits: Splits of the index to read, in our words (`val` is `validation`).
        rows_per_shard: Rows that are read as one unit of work.
    """

    path: str | Path
    roots: Mapping[str, str | Path] = field(default_factory=dict)
    skip_folders: Mapping[str, int] = field(default_factory=dict)
    captions: Mapping[str, Mapping[str, Any]] = field(default_factory=dict)
    ir_root: str | Path | None = None
    ir_band: str = "unspecified"
    translator_revision: str | None = None
    splits: Sequence[str] = SPLITS
    rows_per_shard: int = 500
    base: Path = Path()

    def __post_init__(self) -> None:
        """Raises InputError for a path that does not exist, an unknown source or a value that cannot be."""
        path = self.base / self.path
        if not path.is_file():
            raise InputError(f"index {path} does not exist; give the .jsonl.gz of the FusionRS release")
        for name in ("roots", "skip_folders", "captions"):
            if not isinstance(getattr(self, name), Mapping) or set(getattr(self, name)) - set(SOURCES):
                raise InputError(
                    f"{name} must map sources ({', '.join(SOURCES)}) to values, got {shown(getattr(self, name))}"
                )
        roots = {source: self.base / root for source, root in self.roots.items()}
        ir_root = None if self.ir_root is None else self.base / self.ir_root
        for what, root in (*roots.items(), *([("ir_root", ir_root)] if ir_root else [])):
            if not root.is_dir():
                raise InputError(
                    f"folder {root} of {what} does not exist or is no folder; leave out what is not local"
                )
        if lost := sorted((set(self.captions) | set(self.skip_folders)) - set(roots)):
            raise InputError(f"captions and skip_folders name {', '.join(lost)}, which has no root; add it to roots")
        if any(not isinstance(count, int) or count < 0 for count in self.skip_folders.values()):
            raise InputError(f"skip_folders must count folders, got {dict(self.skip_folders)}")
        if self.ir_band not in IR_BANDS:
            raise InputError(f"ir_band must be one of {', '.join(IR_BANDS)}, got {shown(self.ir_band)}")
        if unknown := sorted(set(self.splits) - set(SPLITS)):
            raise InputError(f"splits must be of {', '.join(SPLITS)}, got {', '.join(map(str, unknown))}")
        if self.rows_per_shard < 1:
            raise InputError(f"rows_per_shard must be positive, got {self.rows_per_shard}")
        for name, value in {"path": path, "roots": roots, "ir_root": ir_root}.items():
            object.__setattr__(self, name, value)
        self._books  # noqa: B018 - a caption file that is none is told at once

    @cached_property
    def _books(self) -> dict[str, CaptionBook]:
        return {
            source: open_book(spec, self.roots[source], self.base, f"captions of {source}")
            for source, spec in sorted(self.captions.items())
        }

    def shards(self) -> Iterator[Shard]:
        """Yields (number of the first line, its byte, lines, places of captions by line); reads all lines once.

        Raises:
            InputError: A line is no record of its schema (line and field are named), or a caption file is damaged.
        """
        starts, keys, sources = array("q"), array("Q"), bytearray()
        counts = Counter()
        for number, (offset, line) in enumerate(offset_lines(self.path)):
            if number % self.rows_per_shard == 0:
                starts.append(offset)
            record = self._record(line, number + 1)
            counts[record and record.source] += 1
            if self._books:
                book = self._books.get(record.source) if record else None
                keys.append(key_of(record.sample_id if book.by_id else record.locator, book.by_id) if book else 0)
                sources.append(SOURCES.index(record.source) if record else 0)
        if not counts.total() - counts[None]:
            raise InputError(f"index {self.path} has no rows; give the .jsonl.gz of the FusionRS release")
        lost = [f"{counts[source]} of {source}" for source in SOURCES if counts[source] and source not in self.roots]
        if lost:
            logger.warning("rows without a root leave as `source_not_local`: %s", ", ".join(lost))
        caption_places = self._found(np.array(keys, np.uint64), np.frombuffer(bytes(sources), np.uint8))
        for index, offset in enumerate(starts):
            first = index * self.rows_per_shard
            count = min(self.rows_per_shard, counts.total() - first)
            span = slice(first, first + count)
            yield first + 1, offset, count, self._places(keys[span], sources[span], caption_places)

    def _found(self, keys: np.ndarray, sources: np.ndarray) -> dict[str, tuple[np.ndarray, np.ndarray]]:
        """Keys and places of the captions that were found, by source; tells how many."""
        caption_places = {}
        for source, book in self._books.items():
            wanted = keys[sources == SOURCES.index(source)]
            caption_places[source] = find_places(wanted, book.names(), book.by_id)
            hits = int(np.isin(wanted, caption_places[source][0]).sum())
            logger.info("captions found for %s of %s rows of %s", hits, len(wanted), source)
        return caption_places

    def _places(
        self, keys: array, sources: bytearray, caption_places: Mapping[str, tuple[np.ndarray, np.ndarray]]
    ) -> Places:
        if not caption_places:
            return ()
        places = [()] * len(keys)
        for source, index in caption_places.items():
            rows = [row for row, number in enumerate(sources) if number == SOURCES.index(source)]
            for row, row_places in zip(rows, places_of([keys[row] for row in rows], *index), strict=True):
                places[row] = row_places
        return tuple(places)

    def read(self, shard: Shard) -> Iterator[dict[str, Any]]:
        """Yields the rows of some lines: RGB and captions, and infrared where it lies in `ir_root`."""
        first, offset, count, places = shard
        for index, line in enumerate(lines_at(self.path, offset, count)):
            record = self._record(line, first + index)
            if record and record.split in self.splits:
                yield self._row(record, places[index] if places else ())

    def _record(self, line: bytes, number: int) -> Record | None:
        return record_of(line, f"line {number} of {self.path}") if line.strip() else None

    def _row(self, record: Record, places: Sequence[int]) -> dict[str, Any]:
        captions, unreadable = readable(self._captions(record, places))
        rgb, reason = self._rgb(record)
        facts, ir_reason = self._infrared(record) if self.ir_root else ({}, None)
        locator = printable(record.locator)
        if record.source == "SkyScript":
            facts |= {name: value for name, value in facts_of(record.locator).items() if name != "rights"}
        return new_row(
            sample_id=printable(record.sample_id),
            source_dataset=record.source,
            source_locator=locator,
            rights=record.rights,
            rgb={"bytes": rgb, "path": None if rgb is None else locator},
            captions=captions,
            caption_origin=["source"] * len(captions),
            **facts,
        ) | {
            "_split": record.split,
            "_reason": reason or ir_reason or unreadable,
            "_force_train": record.protected,
        }

    def _captions(self, record: Record, places: Sequence[int]) -> list[Any]:
        """What stands for captions: of the local caption file, or the index's own."""
        book, captions = self._books.get(record.source), []
        for place in places:
            name, texts = book.at(place)
            if name == record.sample_id if book.by_id else same_image(record.locator, name):
                captions += texts
        return captions or ([] if record.caption is None else [record.caption])

    def _rgb(self, record: Record) -> tuple[bytes | None, str | None]:
        if record.source not in self.roots:
            return None, "source_not_local"
        name = record.locator
        if skip := self.skip_folders.get(record.source, 0):
            try:
                name = "/".join(parts_of(name)[skip:])
            except UnsafeNameError:
                return None, "unsafe_path"
        return read_inside(self.roots[record.source], name) if name else (None, "image_missing")

    def _infrared(self, record: Record) -> tuple[dict[str, Any], str | None]:
        """Columns of the infrared, none where there is no file, and None or why it cannot be used."""
        data, reason = read_inside(self.ir_root, record.output_key)
        if data is None:
            return {}, None if reason == "image_missing" else reason
        return {
            "ir": {"bytes": data, "path": printable(record.output_key)},
            "ir_origin": "translated",
            "ir_band": self.ir_band,
            "ir_unit": "display",
            "translator": record.translator,
            "translator_revision": self.translator_revision,
        }, None
