"""SkyScript: a CSV of image names and captions beside folders of images; what a file's name tells of its sensor."""

import re
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import Any, NamedTuple

from dataset_builder.schema import CAPTION_ORIGINS, SPLITS, new_row
from dataset_builder.sources.formats.entries import EntryFile
from dataset_builder.sources.formats.paths import printable, read_inside, readable, split_of
from fusionrs_hf.errors import InputError, shown

FILE_COLUMN = "filepath"
NAME = re.compile(r"_([A-Z0-9]{2})_(\d\d)\.[^./]+$")  # a198234555_CH_19.jpg: sub-source and year of the image


class Collection(NamedTuple):
    """The Earth Engine collection of a sub-source: its sensor, and metres a pixel where all of it has one."""

    sensor: str
    gsd_m: float | None = None


COLLECTIONS = {
    "US": Collection("NAIP aerial"),  # USDA/NAIP/DOQQ: 0.3 to 2 m by state and year
    "CH": Collection("SWISSIMAGE aerial", 0.1),  # ORTHO/Switzerland/SWISSIMAGE/10cm
    "DE": Collection("Brandenburg aerial", 0.2),  # Germany/Brandenburg/orthos/20cm
    "FI": Collection("NLS Finland aerial", 0.5),  # Finland/SMK/V/50cm
    "ES": Collection("PNOA aerial", 0.1),  # Spain/PNOA/PNOA10
    "P3": Collection("SkySat", 0.8),  # SKYSAT/GEN-A/PUBLIC/ORTHO/RGB
    "P5": Collection("SkySat", 2.0),  # SKYSAT/GEN-A/PUBLIC/ORTHO/MULTISPECTRAL
    "S2": Collection("Sentinel-2 MSI", 10.0),  # COPERNICUS/S2_SR_HARMONIZED
    "L8": Collection("Landsat 8 OLI/TIRS", 30.0),  # LANDSAT/LC08/C02/T1_TOA
    "L9": Collection("Landsat 9 OLI-2/TIRS-2", 30.0),  # LANDSAT/LC09/C02/T1_TOA
}


def facts_of(name: str) -> dict[str, Any]:
    """Returns what an image's file name fixes: `rights`, and `sensor`, `gsd_m`, `acquired_at` (the year) where known.

    A name without a sub-source that SkyScript has gets `skyscript/unknown`, which no policy allows to publish.
    """
    match = NAME.search(name)
    if match is None or match[1] not in COLLECTIONS:
        return {"rights": "skyscript/unknown"}
    return {
        "rights": f"skyscript/{match[1]}",
        "acquired_at": f"20{match[2]}",
        **COLLECTIONS[match[1]]._asdict(),
    }


@dataclass(frozen=True)
class SkyScriptSource:
    """Rows of one of SkyScript's CSV files, each with the rights code of its sub-source (`skyscript/US`).

    Images are passed on byte for byte. The meta files with place and time are pickles: they are not read, so `bbox`
    stays null, and `acquired_at` is the year. `gsd_m` is that of the collection. A line with fewer columns than the
    header is a row with the reason `entry_unreadable`.

    Args:
        path: Folder of the images, under which `filepath` (as `images2/a198234555_CH_19.jpg`) lies.
        captions: The CSV, with the columns `filepath` and `caption_columns`.
        caption_columns: Columns that are one caption each, in this order: `title` describes the focus object,
            `title_multi_objects` also what is around it. Empty ones are left out.
        caption_origin: Captions are made from OpenStreetMap tags by rules; a model polished some. `source` joins rows
            with equal captions into groups, as the published protocol does; `rule` does not.
        split: Split of all rows; without it the one in the CSV's name (`SkyScript_val_5K_...`), if any.
        source_dataset: Column.
        rows_per_shard: Rows that are read as one unit of work.
    """

    path: str | Path
    captions: str | Path
    caption_columns: Sequence[str] = ("title_multi_objects", "title")
    caption_origin: str = "source"
    split: str | None = None
    source_dataset: str = "SkyScript"
    rows_per_shard: int = 500
    base: Path = Path()

    def __post_init__(self) -> None:
        """Raises InputError for a path that does not exist or a value that cannot be."""
        path, captions = self.base / self.path, self.base / self.captions
        if not path.is_dir():
            raise InputError(
                f"folder {path} does not exist or is no folder; give the one that holds images2 to images7"
            )
        if not captions.is_file():
            raise InputError(f"caption file {captions} does not exist; give one of SkyScript's CSV files")
        if self.caption_origin not in CAPTION_ORIGINS:
            raise InputError(
                f"caption_origin must be one of {', '.join(CAPTION_ORIGINS)}, got {shown(self.caption_origin)}"
            )
        if self.split not in (None, *SPLITS):
            raise InputError(f"split must be one of {', '.join(SPLITS)}, got {shown(self.split)}")
        if self.rows_per_shard < 1:
            raise InputError(f"rows_per_shard must be positive, got {self.rows_per_shard}")
        columns = [self.caption_columns] if isinstance(self.caption_columns, str) else self.caption_columns
        values = {"path": path, "captions": captions, "caption_columns": tuple(columns)}
        values["split"] = self.split or split_of(captions.name)
        for name, value in values.items():
            object.__setattr__(self, name, value)

    @cached_property
    def file(self) -> EntryFile:
        """The CSV; raises InputError where it lacks a column that is to be read."""
        file = EntryFile(self.captions)
        if missing := [name for name in (FILE_COLUMN, *self.caption_columns) if name not in file.header]:
            raise InputError(
                f"{self.captions} has no column {', '.join(missing)} but {', '.join(map(printable, file.header))}; "
                "set caption_columns to what it has"
            )
        return file

    def shards(self) -> Iterator[tuple[int, int]]:
        """Yields (first byte, byte after the last) of `rows_per_shard` lines each; reads the CSV once, as a stream."""
        first = None
        for count, start in enumerate(self.file.starts()):
            if count % self.rows_per_shard == 0:
                if first is not None:
                    yield first, start
                first = start
        if first is None:
            raise InputError(f"{self.captions} has no lines after its header; give one of SkyScript's CSV files")
        yield first, self.captions.stat().st_size

    def read(self, shard: tuple[int, int]) -> Iterator[dict[str, Any]]:
        """Yields a row per line: RGB and captions, no infrared."""
        for start, entry in self.file.entries(*shard):
            if isinstance(entry, ValueError):
                name, captions, data, reason = "", [], None, "entry_unreadable"
            else:
                name, texts = self.named(entry)
                captions, unreadable = readable(texts)
                data, reason = read_inside(self.path, name)
                reason = reason or unreadable
            place = printable(name) or f"{self.captions.name}@{start}"
            yield new_row(
                sample_id=f"{self.source_dataset}/{place}",
                source_dataset=self.source_dataset,
                source_locator=place,
                rgb={"bytes": data, "path": None if data is None else place},
                captions=captions,
                caption_origin=[self.caption_origin] * len(captions),
                **facts_of(name),
            ) | {"_split": self.split, "_reason": reason}

    def named(self, entry: Mapping[str, str]) -> tuple[str, list[str]]:
        """Returns the name of the image and the captions of a line."""
        return entry[FILE_COLUMN], [entry[name] for name in self.caption_columns if entry[name]]
