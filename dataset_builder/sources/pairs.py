"""Paired RGB and infrared images in folders, matched by what their names share; colour-mapped thermal is undone."""

import logging
from array import array
from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from functools import cached_property
from itertools import islice
from pathlib import Path, PurePosixPath
from typing import Any

import numpy as np

from dataset_builder.schema import CAPTION_ORIGINS, IR_BANDS, IR_UNITS, SPLITS, new_row
from dataset_builder.sources.formats.caption_files import CaptionFiles, CaptionIndex, Place
from dataset_builder.sources.formats.colormaps import colormap_tables, undo_colormap
from dataset_builder.sources.formats.entries import BOM
from dataset_builder.sources.formats.facts import iso_date, metres, split_in
from dataset_builder.sources.formats.files import read_image, walk
from dataset_builder.sources.formats.lines import offset_lines
from dataset_builder.sources.formats.paths import name_key, printable
from dataset_builder.sources.formats.patterns import NamePattern
from fusionrs_hf.errors import InputError, nearest, shown

logger = logging.getLogger(__name__)

# RGB name, infrared name, split, places of captions, reason; one of the names may be None.
Pair = tuple[str | None, str | None, str | None, Sequence[Place], str | None]


@dataclass(frozen=True)
class PairsSource:
    """Folders of RGB and infrared images whose names share a key; their bytes are passed on unchanged.

        LLVIP                                         rgb: visible, ir: infrared
            visible/train/010001.jpg
            infrared/train/010001.jpg
        Caltech Aerial RGB-Thermal, labeled_rgbt_pairs    rgb: color/*_eo-*, ir: thermal16/*_thermal-*
            color/big_bear_ONR_2022-05-08-11-34-00_eo-00360.jpg
            thermal16/big_bear_ONR_2022-05-08-11-34-00_thermal-00360.tiff     (16 bit; thermal8/ is its display)
        PST900                                        rgb: "*/rgb/*", ir: "*/thermal_raw/*"
            train/rgb/31_bag1a_rect_rgb_frame0000000007.png
            train/thermal_raw/31_bag1a_rect_rgb_frame0000000007.png
        one folder                                    rgb: "*_rgb.png", ir: "*_lwir.tif"

    What the wildcards match is the key, in a folder the rest of the name without its suffix. HIT-UAV as published is
    infrared only: there is no pair in it, and this reader refuses it. An image whose partner is not there leaves with
    the reason `ir_missing` or `rgb_missing`, images of which several have one key with `pair_ambiguous`. 16-bit
    infrared stays bit for bit. Three-channel infrared whose channels agree becomes one channel when it is decoded.
    A folder below `path` whose name has a word for a split (of `paths.SPLIT_WORDS`) prescribes it. Files below the
    folders of the patterns that fit neither are counted in the log.

    With `colormap`, infrared is turned into the levels it was drawn from, as single-channel PNG; what does not fit the
    map leaves with the reason `colormap_mismatch`. The levels are those of the drawing, no temperatures: `ir_unit` is
    `display`. JPEG shifts colours: at quality 95 with full chroma a level is off by about 1 to 2 of 255, at 90 with
    halved chroma by 3 to 4 (99 % within about 20), and about half of such images exceed the default `max_residual`.

    Memory: names of one folder, and while shards are listed 17 bytes per image and per caption entry.

    Args:
        path: Folder that holds both.
        rights: Licence of the images, as on the card.
        rgb, ir: Folder or pattern of names below `path`; both with the same number of wildcards.
        ir_band: nir, swir, mwir, lwir or unspecified.
        ir_unit: display, dn, reflectance_1e4 or kelvin_1e2: what the values of the infrared are.
        captions: JSON Lines or CSV with `file_name` (the RGB image, relative to `path`) and `captions`, `caption` or
            `text`; see `FolderSource`. Without it there are none.
        caption_origin: source, hand, rule or model.
        split_files: By split, a list of RGB images: a line is a name relative to `path`, up to a comma. Images in none
            have the split that their folder tells.
        colormap: Of the infrared: inferno, magma, plasma, viridis, jet, hot, gnuplot, or a file with its 256 colours.
        max_residual: Largest mean distance of an infrared pixel's colour to the colormap, in grey levels.
        source_dataset: Column; without it, the folder's name.
        sensor, acquired_at, gsd_m: Columns, where captions do not tell; unknown is null. ISO date, metres.
        pairs_per_shard: Pairs that are read as one unit of work.
    """

    path: str | Path
    rights: str
    rgb: str
    ir: str
    ir_band: str
    ir_unit: str = "display"
    captions: str | None = None
    caption_origin: str = "source"
    split_files: Mapping[str, str] = field(default_factory=dict)
    colormap: str | None = None
    max_residual: float = 8.0
    source_dataset: str = ""
    sensor: str | None = None
    acquired_at: str | int | None = None
    gsd_m: float | None = None
    pairs_per_shard: int = 200
    base: Path = Path()

    def __post_init__(self) -> None:
        """Raises InputError for a folder that does not exist or a value that cannot be."""
        path = self.base / self.path
        if not path.is_dir():
            raise InputError(
                f"folder {path} does not exist or is no folder; give one that holds RGB and infrared images"
            )
        for name, choices in (("ir_band", IR_BANDS), ("ir_unit", IR_UNITS), ("caption_origin", CAPTION_ORIGINS)):
            if (value := getattr(self, name)) not in choices:
                raise InputError(f"{name} must be one of {', '.join(choices)}, got {shown(value)}")
        if unknown := [name for name in self.split_files if name not in SPLITS]:
            raise InputError(f"split_files names the split {shown(unknown[0])}; {nearest(str(unknown[0]), SPLITS)}")
        if self._rgb.wildcards != self._ir.wildcards or self.rgb == self.ir:
            raise InputError(
                f"rgb {shown(self.rgb)} and ir {shown(self.ir)} have {self._rgb.wildcards} and "
                f"{self._ir.wildcards} wildcards; "
                "give two patterns with as many in both: what they match is what a pair shares"
            )
        if self.colormap and self.ir_unit != "display":
            raise InputError(f"a colormap gives levels of a drawing: ir_unit must be display, got {self.ir_unit}")
        if self.pairs_per_shard < 1 or self.max_residual < 0:
            raise InputError(
                "pairs_per_shard must be positive and max_residual not negative, got "
                f"{self.pairs_per_shard} and {self.max_residual}"
            )
        values = {"path": path, "source_dataset": self.source_dataset or path.resolve().name}
        try:
            values["acquired_at"] = None if self.acquired_at is None else iso_date(self.acquired_at)
            values["gsd_m"] = None if self.gsd_m is None else metres(self.gsd_m)
        except ValueError as error:
            raise InputError(f"pairs {path}: {error}") from error
        for name, value in values.items():
            object.__setattr__(self, name, value)
        self._tables  # noqa: B018  an unknown colormap is known before anything is read

    @cached_property
    def _rgb(self) -> NamePattern:
        return NamePattern(self.rgb)

    @cached_property
    def _ir(self) -> NamePattern:
        return NamePattern(self.ir)

    @cached_property
    def _tables(self) -> np.ndarray | None:
        return colormap_tables(self.colormap, self.base) if self.colormap else None

    @cached_property
    def _caption_files(self) -> CaptionFiles:
        return CaptionFiles([(self.base / self.captions, "")] if self.captions else [])

    def shards(self) -> Iterator[Sequence[Pair]]:
        """Yields pairs and then what has no partner, `pairs_per_shard` at a time.

        Raises:
            InputError: One side has no images at all, captions cannot be read, captions or lists of splits name images
                that are not there (told at the end, when all are known).
        """
        sides = {side: KeyIndex(self._names(side)) for side in (self._rgb, self._ir)}
        for side, index in sides.items():
            if not len(index.keys):
                raise InputError(
                    f"no image below {self.path} fits {shown(side.pattern)}; pairs need RGB and infrared: give "
                    f"the folder "
                    "or pattern of each (images of one kind only, as HIT-UAV has them, are no pairs)"
                )
        self._tell_unread()
        captions, lists = CaptionIndex(self._caption_files), SplitLists(self._split_files())
        pairs = self._pairs(sides[self._rgb], sides[self._ir], captions, lists)
        while batch := tuple(islice(pairs, self.pairs_per_shard)):
            yield batch
        missing = [self._caption_files.said(places, None)[0] for places in islice(captions.unused(), 1)]
        if missing or (missing := list(islice(lists.unused(), 1))):
            raise InputError(
                f"captions or split_files of {self.path} name RGB images that are not there, such as "
                f"{printable(missing[0])}; add the files or remove their lines"
            )

    def _tell_unread(self) -> None:
        """Says in the log which files below the folders of the patterns fit neither of them."""
        others, example, left_out = Counter(), {}, Counter()
        used = {self.base / name for name in (self.captions, *self.split_files.values()) if name}
        folders = {side.folder for side in (self._rgb, self._ir)}
        tops = sorted(name for name in folders if not any(_lies_in(name, other) for other in folders - {name}))
        for top in tops:
            for name in walk(self.path, top, left_out):
                if not (self._rgb.split(name) or self._ir.split(name)) and self.path / name not in used:
                    suffix = PurePosixPath(name).suffix or "without a suffix"
                    others[suffix] += 1
                    example.setdefault(suffix, name)
        if others:
            told = ", ".join(f"{count} {end} ({printable(example[end])})" for end, count in others.most_common(10))
            logger.warning(
                "files in %s that fit neither rgb %r nor ir %r (upper and lower case differ) and are not read: %s",
                *(self.path, self.rgb, self.ir, told),
            )
        if left_out:
            logger.info("%d names in %s that start with a dot are left out", left_out.total(), self.path)

    def _names(self, side: NamePattern) -> Iterator[tuple[str, tuple[str, ...], str]]:
        """Yields name, key and suffix of each file of one kind."""
        if not (self.path / side.folder).is_dir():
            return
        for name in walk(self.path, side.folder):
            if parts := side.split(name):
                yield name, *parts

    def _pairs(self, rgb: "KeyIndex", ir: "KeyIndex", captions: CaptionIndex, lists: "SplitLists") -> Iterator[Pair]:
        for name, key, _ in self._names(self._rgb):
            partner, suffix = ir.suffix(key)
            several = partner > 1 or rgb.suffix(key)[0] > 1
            reason = "pair_ambiguous" if several else None if partner else "ir_missing"
            split = lists.split(name) or split_in(name)
            yield name, None if reason else self._ir.name(key, suffix), split, captions.find([name])[0], reason
        for name, key, _ in self._names(self._ir):
            partner = rgb.suffix(key)[0]
            if partner != 1 or ir.suffix(key)[0] > 1:
                yield None, name, split_in(name), (), "pair_ambiguous" if partner else "rgb_missing"

        yield from ((None, None, None, places, "entry_unreadable") for places in captions.overlong)

    def _split_files(self) -> list[tuple[str, Path]]:
        files = [(split, self.base / name) for split, name in self.split_files.items()]
        if missing := [path for _, path in files if not path.is_file()]:
            raise InputError(f"list of a split {missing[0]} does not exist; give a file with an RGB name a line")
        return files

    def read(self, shard: Sequence[Pair]) -> Iterator[dict[str, Any]]:
        """Yields a row per pair, and one per image without a partner."""
        for rgb_name, ir_name, split, places, reason in shard:
            _, said = self._caption_files.said(places, rgb_name, self.path)
            rgb, wrong = read_image(self.path, rgb_name) if rgb_name else ({"bytes": None, "path": None}, None)
            ir, wrong_ir = read_image(self.path, ir_name) if ir_name else (None, None)
            if ir and ir["bytes"] is not None and self._tables is not None:
                ir["bytes"], wrong_ir = undo_colormap(ir["bytes"], self._tables, self.max_residual)
            about = {"ir_origin": "sensor", "ir_band": self.ir_band, "ir_unit": self.ir_unit} if ir else {}
            shown = said.entry or rgb["path"] or ir["path"]
            yield new_row(
                sample_id=f"{self.source_dataset}/{shown}/{self.ir_band}",
                source_dataset=self.source_dataset,
                source_locator=shown,
                rights=self.rights,
                rgb=rgb,
                ir=ir,
                captions=said.captions,
                caption_origin=[self.caption_origin] * len(said.captions),
                **about,
                **{"sensor": self.sensor, "acquired_at": self.acquired_at, "gsd_m": self.gsd_m} | said.facts,
            ) | {
                "_split": split,
                "_reason": reason or wrong or wrong_ir or (None if said.readable else "caption_unreadable"),
            }


def _lies_in(folder: str, other: str) -> bool:
    return not other or folder.startswith(f"{other}/")


class KeyIndex:
    """How many files have a key, and the suffix of one: 9 bytes a file, found by 64 bits of the key's digest.

    Args:
        names: Name, key and suffix of the files.
    """

    def __init__(self, names: Iterator[tuple[str, tuple[str, ...], str]]) -> None:
        keys, codes, self.suffixes = array("Q"), bytearray(), []
        suffix_codes: dict[str, int] = {}
        for _, key, suffix in names:
            keys.append(_key_number(key))
            codes.append(suffix_codes.setdefault(suffix, len(suffix_codes)))
        self.suffixes = list(suffix_codes)
        unsorted = np.frombuffer(keys, np.uint64) if keys else np.zeros(0, np.uint64)
        order = np.argsort(unsorted, kind="stable")
        self.keys, self.codes = unsorted[order], np.frombuffer(bytes(codes), np.uint8)[order]

    def suffix(self, key: tuple[str, ...]) -> tuple[int, str]:
        """Returns the number of files with a key, and the suffix of the first of them."""
        number = np.uint64(_key_number(key))
        start, stop = np.searchsorted(self.keys, number), np.searchsorted(self.keys, number, "right")
        return int(stop - start), self.suffixes[self.codes[start]] if stop > start else ""


def _key_number(key: tuple[str, ...]) -> int:
    return name_key("\0".join(key))


class SplitLists:
    """Which split lists name an image: 9 bytes a name.

    Args:
        files: Split and file; see `PairsSource.split_files`.

    Raises:
        InputError: A name stands in the lists of two splits.
    """

    def __init__(self, files: Sequence[tuple[str, Path]]) -> None:
        self.files, self.splits = files, [split for split, _ in files]
        keys, codes = array("Q"), bytearray()
        for code, (_, path) in enumerate(files):
            for name in _listed(path):
                keys.append(name_key(name))
                codes.append(code)
        unsorted = np.frombuffer(keys, np.uint64) if keys else np.zeros(0, np.uint64)
        order = np.argsort(unsorted, kind="stable")
        self.keys, self.codes = unsorted[order], np.frombuffer(bytes(codes), np.uint8)[order]
        self.used = np.zeros(len(self.keys), bool)
        crossing = (self.keys[1:] == self.keys[:-1]) & (self.codes[1:] != self.codes[:-1])
        if crossing.any():
            number = int(self.keys[1:][crossing][0])
            name = next(name for _, path in files for name in _listed(path) if name_key(name) == number)
            raise InputError(f"{printable(name)} stands in the lists of two splits; keep it in one")

    def split(self, name: str) -> str | None:
        """Returns the split of an image; None where no list names it."""
        number = np.uint64(name_key(name))
        start, stop = np.searchsorted(self.keys, number), np.searchsorted(self.keys, number, "right")
        self.used[start:stop] = True
        return self.splits[self.codes[start]] if stop > start else None

    def unused(self) -> Iterator[str]:
        """Yields the names that were never asked for."""
        lost = self.keys[~self.used]
        if len(lost):
            yield from (name for _, path in self.files for name in _listed(path) if np.uint64(name_key(name)) in lost)


def _listed(path: Path) -> Iterator[str]:
    for _, line in offset_lines(path):
        if name := line.removeprefix(BOM).decode("utf-8", "surrogateescape").partition(",")[0].strip():
            yield name
