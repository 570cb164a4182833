"""Any folder of RGB images, with captions from `metadata.jsonl` or `metadata.csv` in the manner of `imagefolder`."""

import csv
import json
import logging
import zlib
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from functools import cached_property
from io import BytesIO
from pathlib import Path
from typing import Any

from PIL import Image

from dataset_builder.schema import CAPTION_ORIGINS, SPLITS, new_row
from fusionrs_hf.errors import InputError

logger = logging.getLogger(__name__)

SUFFIXES = (".png", ".jpg", ".jpeg", ".webp", ".tif", ".tiff", ".bmp")
CAPTION_FILES = ("metadata.jsonl", "metadata.csv")
FILE_COLUMN = "file_name"
CAPTION_COLUMNS = ("captions", "caption", "text")
KEPT_COLUMNS = {"sensor": str, "acquired_at": str, "gsd_m": float}  # of the record, where the caption file knows them
BROKEN = (OSError, SyntaxError, ValueError, EOFError, zlib.error)  # what Pillow's decoders raise


@dataclass(frozen=True)
class FolderSource:
    """Images in a folder and its subfolders, in the order of their names; their bytes are passed on unchanged.

    A subfolder `train`, `validation` or `test` at the top prescribes the split of what is in it. A file that is no
    image, or a damaged one as far as its header and checksums tell, becomes a row with the reason `unreadable`; pixels
    are decoded later, once.

    Args:
        path: The folder.
        rights: Licence of the images, as on the card.
        captions: Caption file; without it, `metadata.jsonl` or `metadata.csv` in the folder if there. An entry has
            `file_name` (relative to the folder) and `captions` (a list), `caption` or `text`, and may have `sensor`,
            `acquired_at` and `gsd_m`; several may name one image. Images that none names have no captions.
        caption_origin: source, hand, rule or model.
        source_dataset: Column; without it, the folder's name.
        images_per_shard: Images that are read as one unit of work.
    """

    path: str | Path
    rights: str
    captions: str | None = None
    caption_origin: str = "source"
    source_dataset: str = ""
    images_per_shard: int = 500
    base: Path = Path()

    def __post_init__(self) -> None:
        """Raises InputError for a folder that does not exist or a value that cannot be."""
        path = self.base / self.path
        if not path.is_dir():
            raise InputError(f"folder {path} does not exist or is no folder; give one that holds RGB images")
        if self.caption_origin not in CAPTION_ORIGINS:
            raise InputError(
                f"caption_origin must be one of {', '.join(CAPTION_ORIGINS)}, got {self.caption_origin!r}"
            )
        if self.images_per_shard < 1:
            raise InputError(f"images_per_shard must be positive, got {self.images_per_shard}")
        object.__setattr__(self, "path", path)
        object.__setattr__(self, "source_dataset", self.source_dataset or path.resolve().name)

    def shards(self) -> list[tuple[str, ...]]:
        """Returns image names, `images_per_shard` at a time; lists the folder and reads the caption file."""
        found = (path for path in self.path.rglob("*") if path.suffix.lower() in SUFFIXES and path.is_file())
        names = sorted(path.relative_to(self.path).as_posix() for path in found)
        if not names:
            raise InputError(f"folder {self.path} holds no images; put files there that end in {', '.join(SUFFIXES)}")
        if missing := sorted(set(self._known).difference(names)):
            raise InputError(
                f"{self._caption_file} names {len(missing)} of {len(self._known)} images that are not in {self.path}, "
                f"such as {missing[0]}; add the files or remove their lines"
            )
        step = self.images_per_shard
        return [tuple(names[start : start + step]) for start in range(0, len(names), step)]

    def read(self, shard: tuple[str, ...]) -> Iterator[dict[str, Any]]:
        """Yields a row per image: RGB and captions, no infrared."""
        for name in shard:
            known = self._known.get(name, {})
            captions = known.get("captions", [])
            data, reason = self._load(name)
            yield new_row(
                sample_id=f"{self.source_dataset}/{name}",
                source_dataset=self.source_dataset,
                source_locator=name,
                rights=self.rights,
                rgb={"bytes": data, "path": name},
                captions=captions,
                caption_origin=[self.caption_origin] * len(captions),
                **{column: known[column] for column in KEPT_COLUMNS if column in known},
            ) | {"_split": self._split(name), "_reason": reason}

    def _load(self, name: str) -> tuple[bytes | None, str | None]:
        """Returns the file's bytes, and None or the reason why it is no image."""
        data = None
        try:
            data = (self.path / name).read_bytes()
            with Image.open(BytesIO(data)) as image:
                image.verify()
        except Image.DecompressionBombError:
            return data, "image_too_large"
        except BROKEN as error:
            logger.warning("%s is no image that can be read: %s", self.path / name, error)
            return data, "unreadable"
        return data, None

    @staticmethod
    def _split(name: str) -> str | None:
        first, *rest = name.split("/")
        return first if rest and first in SPLITS else None

    @cached_property
    def _caption_file(self) -> Path | None:
        if self.captions:
            return self.base / self.captions
        return next((self.path / name for name in CAPTION_FILES if (self.path / name).is_file()), None)

    @cached_property
    def _known(self) -> dict[str, dict[str, Any]]:
        """What the caption file knows of each image, by name relative to the folder."""
        file = self._caption_file
        if file is None:
            return {}
        if not file.is_file():
            raise InputError(f"caption file {file} does not exist; give JSON Lines or CSV, or leave `captions` out")
        known: dict[str, dict[str, Any]] = {}
        for number, line in enumerate(_lines(file), 1):
            name, captions, facts = _parsed(line, f"entry {number} of {file}")
            entry = known.setdefault(name, {"captions": []})
            entry["captions"] += captions
            entry.update(facts)
        return known


def _lines(file: Path) -> Iterator[Mapping[str, Any]]:
    """Yields the entries of a caption file, JSON Lines or CSV."""
    try:
        text = file.read_text(encoding="utf-8-sig")
        if file.suffix.lower() == ".csv":
            yield from csv.DictReader(text.splitlines())
        else:
            yield from (json.loads(line) for line in text.splitlines() if line.strip())
    except ValueError as error:
        raise InputError(f"caption file {file} is not UTF-8 JSON Lines or CSV ({error}); mend it") from error


def _parsed(line: Any, where: str) -> tuple[str, list[str], dict[str, Any]]:
    """Returns image name, captions and known columns of one entry."""
    column = next((name for name in CAPTION_COLUMNS if isinstance(line, Mapping) and line.get(name) is not None), None)
    if column is None or not line.get(FILE_COLUMN):
        raise InputError(f"{where} needs {FILE_COLUMN} and one of {', '.join(CAPTION_COLUMNS)}, got {line}")
    captions = line[column] if isinstance(line[column], list) else [line[column]]
    try:
        facts = {name: kind(line[name]) for name, kind in KEPT_COLUMNS.items() if line.get(name) not in (None, "")}
    except ValueError as error:
        raise InputError(f"{where} has a gsd_m that is no number ({error}); give metres, such as 0.5") from error
    return Path(line[FILE_COLUMN]).as_posix(), [str(text) for text in captions], facts
