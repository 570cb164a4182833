"""Any folder of RGB images, with captions from `metadata.jsonl`, `.csv` or `.parquet` as `imagefolder` has them."""

import logging
from collections import Counter
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from functools import cached_property
from itertools import islice
from pathlib import Path, PurePosixPath
from typing import Any

from dataset_builder.schema import CAPTION_ORIGINS, new_row
from dataset_builder.sources.formats.caption_files import CaptionFiles, CaptionIndex, Place
from dataset_builder.sources.formats.facts import split_in
from dataset_builder.sources.formats.files import HIDDEN, IMAGE_SUFFIXES, is_image_name, read_image, walk
from dataset_builder.sources.formats.paths import UnsafeNameError, inside, printable
from fusionrs_hf.errors import InputError, shown

logger = logging.getLogger(__name__)

CAPTION_FILES = ("metadata.jsonl", "metadata.csv", "metadata.parquet")  # those that `imagefolder` reads
Shard = Sequence[tuple[str | None, Sequence[Place]]]  # image names and where their captions stand


@dataclass(frozen=True)
class FolderSource:
    """Images in a folder and its subfolders, in the order of their names; their bytes are passed on unchanged.

        photos/metadata.jsonl        {"file_name": "train/0001.png", "text": "a field"}
        photos/train/0001.png
        photos/test/metadata.csv     file_name,caption
        photos/test/0002.jpg         names in a caption file start from the folder that it lies in

    A subfolder whose name has a word for a split (`train`, `val2017`, `my-dev`: the table of `datasets`, which is
    `paths.SPLIT_WORDS`) prescribes the split of what is in it. What a file holds is told from its content when it is
    decoded, not from its name. Names with a dot in front are no part of the folder; they, and files that are neither
    images by their suffix nor named in a caption file, are counted in the log. A name in a caption file that leads out
    of the folder becomes a row with the reason `unsafe_path`; a caption that is no text or not UTF-8 gives its row the
    reason `caption_unreadable`.

    Memory: the names of one folder at a time, and 17 bytes per caption entry while shards are listed.

    Args:
        path: The folder.
        rights: Licence of the images, as on the card.
        captions: Caption file, whose names start from `path`; without it, every `metadata.jsonl`, `metadata.csv` or
            `metadata.parquet` in the folder. An entry has `file_name` and `captions` (a list), `caption` or `text`,
            and may have `sensor`, `acquired_at` (ISO date) and `gsd_m`; several may name one image. Images that none
            names have no captions. Names in another normal form of Unicode than the file's are found.
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
                f"caption_origin must be one of {', '.join(CAPTION_ORIGINS)}, got {shown(self.caption_origin)}"
            )
        if self.images_per_shard < 1:
            raise InputError(f"images_per_shard must be positive, got {self.images_per_shard}")
        object.__setattr__(self, "path", path)
        object.__setattr__(self, "source_dataset", self.source_dataset or path.resolve().name)

    def shards(self) -> Iterator[Shard]:
        """Yields image names with the places of their captions, `images_per_shard` at a time.

        Raises:
            InputError: There are no images, a caption file cannot be read, or it names images that are not there
                (told at the end, when all images are known).
        """
        index, others, total = CaptionIndex(self._caption_files), Counter(), 0
        names = (name for name in walk(self.path, left_out=others) if self._is_image(name, others))
        while batch := list(islice(names, self.images_per_shard)):
            total += len(batch)
            yield tuple(zip(batch, index.find(batch), strict=True))
        rest = self._only_named(index)
        while batch := tuple(islice(rest, self.images_per_shard)):
            total += len(batch)
            others.subtract(_suffix(name) for name, _ in batch if name)
            yield batch
        if not total:
            raise InputError(
                f"folder {self.path} holds no images; put files there that end in {', '.join(IMAGE_SUFFIXES)}"
            )
        hidden = others.pop(HIDDEN, 0)
        if +others:
            suffixes = ", ".join(f"{count} {suffix}" for suffix, count in (+others).most_common(10))
            logger.warning("files in %s that are no images by their suffix and not read: %s", self.path, suffixes)
        if hidden:
            logger.info("%d names in %s that start with a dot are left out", hidden, self.path)

    def read(self, shard: Shard) -> Iterator[dict[str, Any]]:
        """Yields a row per image: RGB and captions, no infrared."""
        for name, places in shard:
            name, said = self._caption_files.said(places, name, self.path)
            if said.entry:
                image, reason = {"bytes": None, "path": said.entry}, "entry_unreadable"
            else:
                image, reason = read_image(self.path, name)
            shown = image["path"]
            yield new_row(
                sample_id=f"{self.source_dataset}/{shown}",
                source_dataset=self.source_dataset,
                source_locator=shown,
                rights=self.rights,
                rgb=image,
                captions=said.captions,
                caption_origin=[self.caption_origin] * len(said.captions),
                **said.facts,
            ) | {
                "_split": split_in(name or ""),
                "_reason": reason or (None if said.readable else "caption_unreadable"),
            }

    @cached_property
    def _caption_files(self) -> CaptionFiles:
        return CaptionFiles(caption_files_of(self.path, self.base / self.captions if self.captions else None))

    def _is_image(self, name: str, others: Counter) -> bool:
        if is_image_name(name):
            return True
        if PurePosixPath(name).name not in CAPTION_FILES:
            others[_suffix(name)] += 1
        return False

    def _only_named(self, index: CaptionIndex) -> Iterator[tuple[str | None, tuple[Place, ...]]]:
        """Yields what caption files name and the walk did not find: names that lead out, files of other suffixes."""
        yield from ((None, places) for places in index.overlong)
        missing, first = 0, None
        for places in index.unused():
            name, _ = index.captions.said(places, None)
            try:
                exists = inside(self.path, name).is_file()
            except (UnsafeNameError, OSError):
                exists = None
            if exists is False:
                missing, first = missing + 1, min(first or name, name)
            else:
                yield (name if exists else None), places
        if missing:
            file = index.captions.files[0][0].path if len(index.captions.files) == 1 else "caption files"
            raise InputError(
                f"{file} names {missing} of {index.images} images that are not in {self.path}, "
                f"such as {printable(first)}{_but_for_case(self.path / first)}; add the files or remove their lines"
            )


def _but_for_case(path: Path) -> str:
    """Returns words on the file that has a name but for its case, where there is one."""
    try:
        there = next((file.name for file in path.parent.iterdir() if file.name.lower() == path.name.lower()), None)
    except OSError:
        return ""
    return f" (there is {printable(there)}: upper and lower case differ)" if there else ""


def _suffix(name: str) -> str:
    return PurePosixPath(name).suffix or "without a suffix"


def caption_files_of(root: Path, declared: Path | None) -> list[tuple[Path, str]]:
    """Returns the caption files of a folder of images, each with the folder that its names start from.

    Args:
        root: Folder of the images.
        declared: The one file to use; None: all of `CAPTION_FILES` in `root` and below.

    Raises:
        InputError: The declared one does not exist, or a folder holds two.
    """
    if declared and not declared.is_file():
        raise InputError(
            f"caption file {declared} does not exist; give JSON Lines, CSV or Parquet, or leave `captions` out"
        )
    if declared:
        return [(declared, "")]
    files: dict[str, str] = {}
    for name in walk(root):
        folder, _, file = name.rpartition("/")
        if file in CAPTION_FILES and files.setdefault(folder, name) != name:
            both = sorted((file, PurePosixPath(files[folder]).name), key=CAPTION_FILES.index)
            raise InputError(f"{root / folder} holds {' and '.join(both)}; keep one or name it in `captions`")
    return [(root / name, folder) for folder, name in files.items()]
