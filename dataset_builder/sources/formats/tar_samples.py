"""Samples of a tar: which members share a key, also where they are no neighbours."""

import gzip
import logging
import re
import zlib
from array import array
from collections import Counter
from collections.abc import Callable, Collection, Iterable, Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import TypeVar

import numpy as np

from dataset_builder.sources.formats.paths import composed, name_key, printable
from dataset_builder.sources.formats.tar import DamagedTarError
from fusionrs_hf.errors import InputError, shown

logger = logging.getLogger(__name__)

KEY = re.compile(r"((?:.*/)?[^./]+)\.([^/]*)", re.DOTALL)  # up to the first dot of the last part, and the rest
T = TypeVar("T")
DAMAGED = (DamagedTarError, EOFError, gzip.BadGzipFile, zlib.error)
HELD_BYTES = 1 << 30  # of a compressed tar whose keys are scattered
MAC = ("._", "__MACOSX")  # resource forks beside the files of a Mac
KINDS_COUNTED = 1000  # endings of members that are told apart


@dataclass(slots=True)
class Sample:
    """The members of one key, those that are not read with no content.

    Args:
        key: Name up to the first dot.
        start: Byte of the first header.
        parts: Content by the rest of the name; None: not read.
        reason: Why the sample cannot be used, as far as the tar tells.
        places: Bytes at which the members start.
    """

    key: str
    start: int
    parts: dict[str, bytes | None] = field(default_factory=dict)
    reason: str | None = None
    places: list[int] = field(default_factory=list)

    def is_of(self, key: str) -> bool:
        """Whether a key is the sample's, in whatever normal form of Unicode."""
        return composed(key) == composed(self.key)


def key_of(name: str) -> tuple[str, str]:
    """Splits a member's name as webdataset does; one that has no key of that kind is its own, with nothing after."""
    name = name.removeprefix("./")
    match = KEY.fullmatch(name)
    return (match[1], match[2].lower()) if match else (name or "?", "")


def is_passed_over(name: str) -> bool:
    """Whether a member is what a Mac puts beside a file."""
    parts = name.removeprefix("./").split("/")
    return parts[-1].startswith(MAC[0]) or MAC[1] in parts[:-1]


def packed(pieces: Iterable[tuple[T, int]], limit: int) -> Iterator[tuple[T, ...]]:
    """Yields pieces in their order, as many together as hold at most `limit` samples, or one that holds more.

    Args:
        pieces: Each with its number of samples.
        limit: Samples.
    """
    held, total = [], 0
    for piece, samples in pieces:
        if held and total + samples > limit:
            yield tuple(held)
            held, total = [], 0
        held.append(piece)
        total += samples
    if held:
        yield tuple(held)


def tell_unread(place: Path, parts: Counter[str], wanted: Collection[str]) -> None:
    """Says in the log which members of a tar, or of a folder of tars, no field of the source takes.

    Args:
        place: Of the tar or the folder.
        parts: Members by the rest of their names.
        wanted: Those that are read.
    """
    unread = Counter({part or "no ending": count for part, count in parts.items() if part not in wanted})
    if unread:
        told = ", ".join(f"{count} {shown(printable(part))}" for part, count in unread.most_common(10))
        logger.info("%s: members that are not read: %s; see rgb, ir, text and json_caption", place, told)


class Keys:
    """Joins samples of one key as they come, those whose parts differ.

    Args:
        hold: Keep their content, in `samples`; else only the names of their parts are kept.
    """

    def __init__(self, hold: bool = False) -> None:
        self.hold, self.latest, self.samples = hold, {}, []

    def adds_to_earlier(self, sample: Sample) -> bool:
        """Takes a sample; tells whether an earlier one of its key lacks what it has."""
        key = composed(sample.key)
        earlier = self.latest.get(key)
        if earlier is None or set(earlier.parts) & set(sample.parts):  # the key comes twice
            self.latest[key] = sample if self.hold else Sample(key, 0, dict.fromkeys(sample.parts))
            self.samples += [sample] if self.hold else []
            return False
        earlier.parts |= sample.parts
        earlier.reason = earlier.reason or sample.reason
        return True


def joined(samples: Iterable[Sample], path: Path) -> Iterator[Sample]:
    """Yields the samples of a tar whose keys are scattered, all held in memory until the last was read.

    Raises:
        InputError: Memory has no room for them.
        DamagedTarError and others of `DAMAGED`: The tar ends early; what is before it was yielded.
    """
    keys, size, damage = Keys(hold=True), 0, None
    try:
        for sample in samples:
            size += sum(len(content or b"") for content in sample.parts.values())
            if size > HELD_BYTES:
                raise InputError(
                    f"{path} has members of a key that are no neighbours, and more than {HELD_BYTES} bytes to hold "
                    "until they are joined; unpack it to a plain .tar, or write it sorted by name"
                )
            keys.adds_to_earlier(sample)
    except DAMAGED as error:
        damage = error
    yield from keys.samples
    if damage is not None:
        raise damage


class TarWalk:
    """What the headers of a tar tell: 16 bytes a run of members with one key, and 8 a member.

    Attributes:
        passed_over: Members that are no part of any sample.
        parts: Members by the rest of their names after the key.
    """

    def __init__(self) -> None:
        self.keys, self.places, self.ends = array("Q"), array("q"), array("q")
        self.passed_over, self.parts = 0, Counter()

    def add(self, sample: Sample) -> None:
        """Takes the next run of members."""
        self.keys.append(name_key(composed(sample.key)))
        self.places.extend(sample.places)
        self.ends.append(len(self.places))
        self.parts.update(part for part in sample.parts if part in self.parts or len(self.parts) < KINDS_COUNTED)

    def tell_passed_over(self, tar: Path) -> None:
        """Says in the log how many members of a tar are no part of any sample."""
        if self.passed_over:
            logger.info("%s: %d members whose names start with ._ are passed over", tar, self.passed_over)

    def starts(self) -> np.ndarray:
        """Returns the byte at which each run starts."""
        begins = np.array([0, *self.ends[:-1]], np.int64) if self.ends else np.zeros(0, np.int64)
        return np.array(self.places, np.int64)[begins]

    def is_scattered(self) -> bool:
        """Whether members of a key are no neighbours, or a key comes twice."""
        keys = np.frombuffer(self.keys, np.uint64) if self.keys else np.zeros(0, np.uint64)
        ordered = np.sort(keys)
        return bool((ordered[1:] == ordered[:-1]).any())

    def joined(self, name_at: Callable[[int], tuple[str, str]]) -> list[tuple[int, ...]]:
        """Returns the places of each sample's members, in the order of the samples' first ones.

        Args:
            name_at: Returns key and part of the member that starts at a byte.
        """
        samples: list[tuple[list[int], set[str]]] = []
        latest: dict[int, int] = {}
        begin = 0
        for key, end in zip(self.keys, self.ends, strict=True):
            places = self.places[begin:end].tolist()
            begin = end
            parts = {name_at(place)[1] for place in places}
            at = latest.get(key)
            if at is None or samples[at][1] & parts:
                latest[key] = len(samples)
                samples.append((places, parts))
                continue
            samples[at][0].extend(places)
            samples[at][1].update(parts)
        return [tuple(places) for places, _ in samples]
