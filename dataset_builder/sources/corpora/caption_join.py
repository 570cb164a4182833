"""Captions for an index that has none: where those of each row stand in local caption files, not what they say."""

import hashlib
from array import array
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from itertools import islice
from pathlib import Path, PurePosixPath
from typing import Any, Protocol

import numpy as np

from dataset_builder.fields import parse
from dataset_builder.sources.corpora.caption_corpus import CaptionCorpusSource
from dataset_builder.sources.corpora.skyscript import SkyScriptSource
from dataset_builder.sources.formats.entries import EntryFile
from fusionrs_hf.errors import InputError, nearest, shown

CAPTION_COLUMNS = ("captions", "caption", "text")
BATCH = 100_000  # entries that are looked up at once


class CaptionBook(Protocol):
    """A caption file in which any entry is found again by its place, a number."""

    by_id: bool  # entries are named by `sample_id`; else by the image's file name

    def names(self) -> Iterator[tuple[int, str]]:
        """Yields place and name of every entry."""
        ...

    def at(self, place: int) -> tuple[str, list[Any]]:
        """Returns the name and what stands for captions at a place."""
        ...


@dataclass(frozen=True)
class _Corpus:
    """The JSON of a caption corpus."""

    source: CaptionCorpusSource
    by_id: bool = False

    def names(self) -> Iterator[tuple[int, str]]:
        return ((number, entry.name) for number, entry in enumerate(self.source.entries()))

    def at(self, place: int) -> tuple[str, list[Any]]:
        entry = self.source.entries()[place]
        return entry.name, list(entry.captions)


@dataclass(frozen=True)
class _SkyScript:
    """A CSV of SkyScript."""

    source: SkyScriptSource
    by_id: bool = False

    def names(self) -> Iterator[tuple[int, str]]:
        entries = self.source.file.entries()
        return ((at, self.source.named(entry)[0]) for at, entry in entries if isinstance(entry, dict))

    def at(self, place: int) -> tuple[str, list[Any]]:
        return self.source.named(self.source.file.at(place))


@dataclass(frozen=True)
class EntryCaptions:
    """Any JSON Lines or CSV with a column that names the image, and `captions` (a list), `caption` or `text`.

    Args:
        captions: The file; not compressed, as captions are read from its middle.
        key: Column that names the image: `sample_id` as the index has it, or one with file names.
    """

    captions: str | Path
    key: str = "sample_id"
    base: Path = Path()

    def __post_init__(self) -> None:
        """Raises InputError for a file that is none or is compressed."""
        path = self.base / self.captions
        if path.suffix == ".gz":
            raise InputError(f"captions are read from the middle of {path}; unpack it (gunzip)")
        object.__setattr__(self, "file", EntryFile(path))

    @property
    def by_id(self) -> bool:
        """Entries are named by `sample_id`."""
        return self.key == "sample_id"

    def names(self) -> Iterator[tuple[int, str]]:
        """Yields place and name of every entry; raises InputError for one that is none or names nothing."""
        for number, (at, entry) in enumerate(self.file.entries(), 1):
            where = f"entry {number} of {self.file.path}"
            if isinstance(entry, ValueError):
                raise InputError(f"{where} {entry}; mend it")
            if not isinstance(entry.get(self.key), str) or not any(name in entry for name in CAPTION_COLUMNS):
                raise InputError(
                    f"{where} needs {self.key} and one of {', '.join(CAPTION_COLUMNS)}, got {shown(entry)}"
                )
            yield at, entry[self.key]

    def at(self, place: int) -> tuple[str, list[Any]]:
        """Returns the name and what stands for captions at a place."""
        entry = self.file.at(place)
        captions = next((entry[name] for name in CAPTION_COLUMNS if entry.get(name) is not None), [])
        return entry[self.key], captions if isinstance(captions, list) else [captions]


def open_book(spec: Any, root: Path, base: Path, where: str) -> CaptionBook:
    """Opens the caption file that a recipe describes.

    Args:
        spec: `kind` (caption_corpus, skyscript or entries), `captions` (the file), and `caption_columns` of skyscript
            or `key` of entries.
        root: Folder of the images.
        base: Folder that a relative file starts from.
        where: What is being described, for messages.

    Raises:
        InputError: An unknown kind or key, a missing one, or a file that does not exist.
    """
    kinds = {"caption_corpus": CaptionCorpusSource, "skyscript": SkyScriptSource, "entries": EntryCaptions}
    if not isinstance(spec, Mapping) or spec.get("kind") not in kinds:
        kind = spec.get("kind") if isinstance(spec, Mapping) else spec
        raise InputError(
            f"{where} needs `kind` of {', '.join(kinds)}, got {shown(kind)}; {nearest(str(kind), list(kinds))}"
        )
    hidden = {"base": base} if spec["kind"] == "entries" else {"base": base, "path": root.resolve()}
    hidden |= {"rights": "of the index"} if spec["kind"] == "caption_corpus" else {}
    values = {key: value for key, value in spec.items() if key != "kind"}
    part = parse(kinds[spec["kind"]], values, where, **hidden)
    return {CaptionCorpusSource: _Corpus, SkyScriptSource: _SkyScript}.get(type(part), lambda book: book)(part)


def key_of(name: str, by_id: bool) -> int:
    """Returns 64 bits by which a row and its entries find each other: of the id, or of the last part of a file's name.

    Other names can have the same, so whoever reads an entry asks `same_image`.
    """
    text = name if by_id else name.replace("\\", "/").rsplit("/", 1)[-1]
    digest = hashlib.blake2b(text.encode("utf-8", "surrogatepass"), digest_size=8).digest()
    return int.from_bytes(digest, "little")


def same_image(locator: str, name: str) -> bool:
    """Tells whether two relative names, from roots that may differ, can mean one file: one ends in the other."""
    parts = [PurePosixPath(text.replace("\\", "/")).parts for text in (locator, name)]
    short, long = sorted(parts, key=len)
    return bool(short) and long[-len(short) :] == short


def find_places(keys: np.ndarray, entries: Iterable[tuple[int, str]], by_id: bool) -> tuple[np.ndarray, np.ndarray]:
    """Looks for the entries of rows; holds of the caption file only what is found.

    Args:
        keys: uint64 of rows, as of `key_of`.
        entries: Place and name, of any number.
        by_id: See `CaptionBook`.

    Returns:
        uint64 keys in rising order, and the place of each, int64, rising among equal keys.
    """
    wanted, matched, places = np.unique(keys), array("Q"), array("q")
    entries = iter(entries)
    while batch := list(islice(entries, BATCH)):
        theirs = np.fromiter((key_of(name, by_id) for _, name in batch), np.uint64, len(batch))
        at = np.minimum(np.searchsorted(wanted, theirs), max(len(wanted) - 1, 0))
        hits = np.flatnonzero(wanted[at] == theirs) if len(wanted) else []
        matched.extend(theirs[hits].tolist())
        places.extend(batch[hit][0] for hit in hits)
    ours, where = np.array(matched, np.uint64), np.array(places, np.int64)
    order = np.lexsort((where, ours))
    return ours[order], where[order]


def places_of(keys: Sequence[int], matched: np.ndarray, places: np.ndarray) -> tuple[tuple[int, ...], ...]:
    """Returns the places of each row's entries, from what `find_places` gives."""
    wanted = np.asarray(keys, np.uint64)
    first, stop = (np.searchsorted(matched, wanted, side).tolist() for side in ("left", "right"))
    return tuple(tuple(places[start:end].tolist()) for start, end in zip(first, stop, strict=True))
