"""The JSON of RSICD, RSITMD, UCM-, Sydney- and NWPU-Captions: several captions an image, all of them kept."""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from functools import lru_cache
from pathlib import Path
from typing import Any, NamedTuple

from dataset_builder.schema import CAPTION_ORIGINS, SPLITS, new_row
from dataset_builder.sources.formats.entries import BOM
from dataset_builder.sources.formats.paths import SPLIT_WORDS, printable, read_inside, readable
from fusionrs_hf.bounded_files import read_bytes
from fusionrs_hf.bounded_json import NotJsonError, parse_json
from fusionrs_hf.bounds import LIST_BYTES
from fusionrs_hf.errors import InputError, shown

RAW = ("raw", "raw_1", "raw_2", "raw_3", "raw_4")  # the five captions of an image in dataset_nwpu.json


class Entry(NamedTuple):
    """One image: its name below the folder of images, its split in our words, what stands for captions."""

    name: str
    split: str
    captions: tuple[Any, ...]


@dataclass(frozen=True)
class CaptionCorpusSource:
    """Images of a caption file in its order, bytes unchanged; the layout is told from the file.

    `{"images": [{"filename", "split", "sentences": [{"raw"}, ...]}]}` (dataset_rsicd.json, dataset_RSITMD.json and
    dataset.json of UCM- and Sydney-Captions), or `{CLASS: [{"filename", "split", "raw", "raw_1", ... "raw_4"}]}` with
    images in a folder a class (dataset_nwpu.json). These files have some 20 MB; one is read once a process.

    Args:
        path: Folder of the images.
        captions: The JSON file.
        rights: Rights code of the rows.
        splits: Splits to read, in our words (`val` is `validation`); images of others are not read.
        caption_origin: source, hand, rule or model.
        source_dataset: Column; without it, the name of `path`.
        images_per_shard: Images that are read as one unit of work.
    """

    path: str | Path
    captions: str | Path
    rights: str
    splits: Sequence[str] = SPLITS
    caption_origin: str = "source"
    source_dataset: str = ""
    images_per_shard: int = 500
    base: Path = Path()

    def __post_init__(self) -> None:
        """Raises InputError for a path that does not exist or a value that cannot be."""
        path, captions = self.base / self.path, self.base / self.captions
        if not path.is_dir():
            raise InputError(f"folder {path} does not exist or is no folder; give the one that holds the images")
        if not captions.is_file():
            raise InputError(f"caption file {captions} does not exist; give the corpus's JSON, as dataset_rsicd.json")
        if unknown := sorted(set(self.splits) - set(SPLITS)):
            raise InputError(f"splits must be of {', '.join(SPLITS)}, got {', '.join(map(str, unknown))}")
        if self.caption_origin not in CAPTION_ORIGINS:
            raise InputError(
                f"caption_origin must be one of {', '.join(CAPTION_ORIGINS)}, got {shown(self.caption_origin)}"
            )
        if self.images_per_shard < 1:
            raise InputError(f"images_per_shard must be positive, got {self.images_per_shard}")
        values = {"path": path, "captions": captions, "source_dataset": self.source_dataset or path.resolve().name}
        for name, value in values.items():
            object.__setattr__(self, name, value)

    def entries(self) -> tuple[Entry, ...]:
        """Returns what the file lists, all splits; raises InputError as `load_entries`."""
        status = self.captions.stat()
        return load_entries(self.captions, status.st_size, status.st_mtime_ns)

    def shards(self) -> Iterator[tuple[int, int]]:
        """Yields (first, stop): numbers of the file's entries, of all splits."""
        count = len(self.entries())
        for start in range(0, count, self.images_per_shard):
            yield start, min(start + self.images_per_shard, count)

    def read(self, shard: tuple[int, int]) -> Iterator[dict[str, Any]]:
        """Yields a row per image of the wanted splits: RGB and its captions, no infrared."""
        for entry in self.entries()[slice(*shard)]:
            if entry.split not in self.splits:
                continue
            data, reason = read_inside(self.path, entry.name)
            place = printable(entry.name)
            captions, unreadable = readable(entry.captions)
            yield new_row(
                sample_id=f"{self.source_dataset}/{place}",
                source_dataset=self.source_dataset,
                source_locator=place,
                rights=self.rights,
                rgb={"bytes": data, "path": None if data is None else place},
                captions=captions,
                caption_origin=[self.caption_origin] * len(captions),
            ) | {"_split": entry.split, "_reason": reason or unreadable}


@lru_cache(maxsize=2)  # a worker reads many shards of one file; no part of the source, which travels by pickle
def load_entries(path: Path, size: int, changed: int) -> tuple[Entry, ...]:
    """Returns the images of a caption file.

    Args:
        path: The file.
        size, changed: Its bytes and time of change: another file under the name is read anew.

    Raises:
        InputError: The file is no JSON of a known layout, or an entry lacks its file name or has another split than
            train, val and test.
    """
    try:
        document = parse_json(read_bytes(path, LIST_BYTES).removeprefix(BOM).decode("utf-8", "surrogateescape"))
    except NotJsonError as error:
        raise InputError(f"{path} is no JSON ({error}); get it again") from error
    images = document.get("images") if isinstance(document, Mapping) else None
    if isinstance(images, list):
        entries = [_karpathy(image, f"image {number} of {path}") for number, image in enumerate(images)]
    elif document and isinstance(document, Mapping) and all(isinstance(part, list) for part in document.values()):
        entries = [
            _by_class(folder, image, f"image {number} of class {shown(folder)} in {path}")
            for folder, part in document.items()
            for number, image in enumerate(part)
        ]
    else:
        raise InputError(
            f"{path} is of no known layout; give dataset_rsicd.json, dataset_RSITMD.json, dataset.json of UCM- or "
            "Sydney-Captions, or dataset_nwpu.json"
        )
    if not entries:
        raise InputError(f"{path} lists no images; get it again")
    return tuple(entries)


def _karpathy(image: Any, where: str) -> Entry:
    name, split = _name_and_split(image, where)
    sentences = image.get("sentences")
    if not isinstance(sentences, list):
        raise InputError(f"{where} needs a list `sentences`, got {shown(sentences)}; mend the file or get it again")
    return Entry(name, split, tuple(part.get("raw") if isinstance(part, Mapping) else None for part in sentences))


def _by_class(folder: str, image: Any, where: str) -> Entry:
    name, split = _name_and_split(image, where)
    return Entry(f"{folder}/{name}", split, tuple(image[key] for key in RAW if key in image))


def _name_and_split(image: Any, where: str) -> tuple[str, str]:
    if not isinstance(image, Mapping) or not isinstance(image.get("filename"), str) or not image["filename"]:
        raise InputError(f"{where} needs `filename`, got {shown(image)}; mend the file or get it again")
    if image.get("split") not in list(SPLIT_WORDS):
        raise InputError(f"{where} needs `split` of {', '.join(SPLIT_WORDS)}, got {shown(image.get('split'))}")
    return image["filename"], SPLIT_WORDS[image["split"]]
