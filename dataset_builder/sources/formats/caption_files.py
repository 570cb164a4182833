"""Caption files of a folder of images: where each image's entries stand, found without holding what they say."""

from array import array
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path, PurePosixPath
from typing import Any

import numpy as np

from dataset_builder.sources.formats.entries import EntryFile
from dataset_builder.sources.formats.facts import caption_texts, known_facts
from dataset_builder.sources.formats.lines import OverlongError
from dataset_builder.sources.formats.parquet_entries import ParquetEntries
from dataset_builder.sources.formats.paths import UnsafeNameError, composed, inside, name_key, printable
from fusionrs_hf.bounds import TooLarge
from fusionrs_hf.errors import InputError, shown

PARQUET = ".parquet"
FILE_COLUMN = "file_name"
CAPTION_COLUMNS = ("captions", "caption", "text")
OFFSET_BITS = 44  # of a place in a 64-bit number: files up to 16 TiB, a million of them
Place = tuple[int, int]  # number of the caption file, byte offset (in Parquet, number) of the entry


@dataclass(slots=True)
class Said:
    """What caption files say of one image.

    Args:
        captions: In the order of the entries.
        readable: Whether all that stood there as captions was text.
        entry: Where an entry stands that is too long to be read, and so names no image.
        facts: `sensor`, `acquired_at`, `gsd_m`, where known; a later entry wins.
    """

    captions: list[str] = field(default_factory=list)
    readable: bool = True
    entry: str | None = None
    facts: dict[str, Any] = field(default_factory=dict)


def entry_file(path: Path) -> EntryFile | ParquetEntries:
    """Returns the reader of a caption file, Parquet by its suffix; raises InputError where it is none."""
    return ParquetEntries(path) if path.suffix.lower() == PARQUET and path.is_file() else EntryFile(path)


class CaptionFiles:
    """The caption files of a folder, in a fixed order.

    Args:
        files: Each with the folder, relative to the root of the images, that the names in it start from.
    """

    def __init__(self, files: Sequence[tuple[Path, str]]) -> None:
        self.files = [(entry_file(path), prefix) for path, prefix in files]

    def said(self, places: Sequence[Place], name: str | None, root: Path | None = None) -> tuple[str | None, Said]:
        """Reads entries.

        Args:
            places: Where they stand.
            name: Image that they should name; those that name another are not used. None: what the first names.
            root: Of the images: an entry that differs in its Unicode normal form is of another file, if that is there.

        Returns:
            Name of the image as the entries write it, below the root of the images, and what they say.
        """
        said = Said()
        for number, offset in places:
            file, prefix = self.files[number]
            where = f"entry at byte {offset} of {file.path}"
            entry = file.at(offset)
            if isinstance(entry, TooLarge) and FILE_COLUMN not in entry:
                said.entry = printable(f"{file.path.name}@{offset}")
                continue
            entry_name, captions, readable, facts = parsed(entry, prefix, where)
            if name is None or composed(name) == composed(entry_name) and not _are_two(root, name, entry_name):
                name = name or entry_name
                said.captions += captions
                said.readable &= readable
                said.facts |= facts
        return name, said


def _are_two(root: Path | None, name: str, entry_name: str) -> bool:
    """Whether two names are of two files, where the file system tells their normal forms apart."""
    if root is None or name == entry_name:
        return False
    try:
        return not (root / name).samefile(inside(root, entry_name))
    except (OSError, UnsafeNameError):
        return False


class CaptionIndex:
    """Finds the places of images' entries: 17 bytes an entry, whatever its length, and a while its sorting.

    Names are found by 64 bits of their digest; whoever reads an entry checks the name (`CaptionFiles.said`).

    Args:
        captions: The files; all entries are read and checked once.

    Attributes:
        overlong: Places of the entries that are too long to be read.

    Raises:
        InputError: An entry cannot be read, names no image, has no caption, or a fact that cannot be.
    """

    def __init__(self, captions: CaptionFiles) -> None:
        self.captions, self.overlong = captions, []
        keys, places = array("Q"), array("Q")
        for number, (file, prefix) in enumerate(captions.files):
            for count, (offset, entry) in enumerate(file.entries(), 1):
                where = f"entry {count} of {file.path}"
                if isinstance(entry, OverlongError):
                    self.overlong.append(((number, offset),))
                    continue
                if isinstance(entry, ValueError):
                    raise InputError(f"{where} {entry}; give one that is JSON (a mapping a line) or CSV, in UTF-8")
                keys.append(name_key(parsed(entry, prefix, where)[0]))
                places.append(number << OFFSET_BITS | offset)
        order = np.argsort(np.frombuffer(keys, np.uint64) if keys else np.zeros(0, np.uint64), kind="stable")
        self.keys = np.frombuffer(keys, np.uint64)[order] if keys else np.zeros(0, np.uint64)
        self.places = np.frombuffer(places, np.uint64)[order] if keys else np.zeros(0, np.uint64)
        self.used = np.zeros(len(self.keys), bool)

    def find(self, names: Sequence[str]) -> list[tuple[Place, ...]]:
        """Returns the places of the entries of each image, in the order of the files; they count as used then."""
        wanted = np.fromiter(map(name_key, names), np.uint64, len(names))
        first, stop = (np.searchsorted(self.keys, wanted, side).tolist() for side in ("left", "right"))
        for start, end in zip(first, stop, strict=True):
            self.used[start:end] = True
        return [self._places(start, end) for start, end in zip(first, stop, strict=True)]

    def unused(self) -> Iterator[tuple[Place, ...]]:
        """Yields the places of each image that was never asked for."""
        for start in np.flatnonzero(self._first & ~self.used):
            yield self._places(start, np.searchsorted(self.keys, self.keys[start], "right"))

    @property
    def images(self) -> int:
        """Number of images that the entries name."""
        return int(self._first.sum())

    @property
    def _first(self) -> np.ndarray:
        return np.diff(self.keys, prepend=self.keys[:1] ^ np.uint64(1)) != 0  # (entries,)

    def _places(self, start: int, end: int) -> tuple[Place, ...]:
        places, mask = self.places[start:end].tolist(), (1 << OFFSET_BITS) - 1
        return tuple((place >> OFFSET_BITS, place & mask) for place in places)


def parsed(entry: Mapping[str, Any], prefix: str, where: str) -> tuple[str, list[str], bool, dict[str, Any]]:
    """Returns the image's name, captions, whether these are readable, and known facts of one entry.

    Raises:
        InputError: Something is missing or cannot be; the message starts with `where`.
    """
    name = entry.get(FILE_COLUMN)
    columns = [column for column in CAPTION_COLUMNS if column in entry]
    column = next((column for column in columns if entry[column] is not None), columns[0] if columns else None)
    if column is None or not name or not isinstance(name, str):
        raise InputError(f"{where} needs {FILE_COLUMN} and one of {', '.join(CAPTION_COLUMNS)}, got {shown(entry)}")
    try:
        facts = known_facts(entry)
    except ValueError as error:
        raise InputError(f"{where} has {error}") from error
    captions, readable = caption_texts(entry[column])
    return _below(prefix, name), captions, readable and not isinstance(entry, TooLarge), facts


def _below(prefix: str, name: str) -> str:
    r"""Returns a name with `/` between its parts, without `./`; what leads out of the root stays as it is."""
    name = PurePosixPath(name.replace("\\", "/")).as_posix()
    return f"{prefix}/{name}" if prefix and not name.startswith("/") else name
