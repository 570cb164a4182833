"""Folders of images: RGB alone, with captions or without, and RGB beside infrared, 8 or 16 bit."""

import re
from collections import Counter
from collections.abc import Iterator, Sequence
from pathlib import Path, PurePosixPath

import numpy as np
from PIL import Image

from dataset_builder.images.decoding import DecodeError, open_image
from dataset_builder.inspecting.found import NOT_STATED, Found, quantiles
from dataset_builder.sources.folder import caption_files_of
from dataset_builder.sources.formats.caption_files import CAPTION_COLUMNS, FILE_COLUMN, CaptionFiles, entry_file
from dataset_builder.sources.formats.entries import SUFFIXES as ENTRY_SUFFIXES
from dataset_builder.sources.formats.facts import split_in
from dataset_builder.sources.formats.files import is_image_name, read_image, walk
from dataset_builder.sources.formats.patterns import NamePattern
from fusionrs_hf.errors import InputError
from fusionrs_hf.processing_fusionrs_images import WIDE_MODES

LOOKED_AT = 64  # images that are opened
MAX_PIXELS = 2**28
RGB_WORDS = ("rgb", "vis", "visible", "color", "colour", "optical", "eo")
BANDS = {
    **dict.fromkeys(("lwir", "thermal", "thermal16", "thermal8", "tir", "therm"), "lwir"),
    **dict.fromkeys(("ir", "infrared", "infra"), "unspecified"),
    **{band: band for band in ("nir", "swir", "mwir")},
}
KELVIN = (24_000, 34_000)  # hundredths that warm and cold ground have


def inspect_images(path: Path) -> Found | None:
    """Returns what a folder of images is, None where it holds none."""
    names = [name for name in walk(path) if is_image_name(name)]
    if not names:
        return None
    pair = next((found for rgb, ir, band in _sides(names) if (found := _pairs(path, names, rgb, ir, band))), None)
    return pair or _rgb(path, names)


def _rgb(path: Path, names: Sequence[str]) -> Found:
    files = caption_files_of(path, None)
    declared = None if files else _caption_file(path, names, set(names))
    captioned = _captioned(CaptionFiles(files or ([(path / declared, "")] if declared else [])))
    spec = {"kind": "folder", "path": str(path), "source_dataset": path.name, "rights": NOT_STATED}
    spec |= {"captions": str(path / declared)} if declared else {}
    looks, smallest, _ = _looks(path, names)
    facts = [f"{len(names)} images: {looks}", *_split_facts(names)]
    facts += [f"captions of {captioned} entries" if captioned else "no captions"]
    return Found(
        f"{path.name}: a folder of RGB images",
        facts,
        spec,
        False,
        bool(captioned),
        False,
        _tell_splits(names),
        {},
        smallest,
    )


def _pairs(path: Path, names: Sequence[str], rgb: str, ir: str, band: str) -> Found | None:
    """Returns pairs by two patterns, None where these join none."""
    sides = []
    for pattern in (rgb, ir):
        reader = NamePattern(pattern)
        sides.append({parts[0]: name for name in names if (parts := reader.split(name))})
    both = sorted(sides[0].keys() & sides[1].keys())
    if not both:
        return None
    shown, smallest, _ = _looks(path, [sides[0][key] for key in both])
    looks, small, values = _looks(path, [sides[1][key] for key in both])
    used = [sides[0][key] for key in both]
    spec = {"kind": "pairs", "path": str(path), "rgb": rgb, "ir": ir, "ir_band": band, "source_dataset": path.name}
    spec |= {"rights": NOT_STATED, "ir_unit": "dn" if values is not None else "display"}
    captions = _caption_file(path, names, set(used))
    spec |= {"captions": str(path / captions)} if captions else {}
    facts = [f"{len(both)} pairs by name, {len(names) - 2 * len(both)} images without a partner"]
    facts += [f"RGB ({rgb}): {shown}", f"infrared ({ir}): {looks}", *_split_facts(used)]
    if values is not None:
        facts.append(f"values of the infrared: {quantiles(values)}; `ir_range` tells what becomes black and white")
        if KELVIN[0] < np.median(values) < KELVIN[1]:
            facts.append("they may be kelvin times 100: if you know so, write ir_unit: kelvin_1e2")
    if band == "unspecified":
        facts.append("the names do not tell which infrared it is: write ir_band: lwir, mwir, swir or nir if you know")
    facts.append("captions in " + captions if captions else "no captions")
    more = {"ir_range": "auto"} if values is not None else {}
    title = f"{path.name}: RGB and infrared images, paired by their names"
    return Found(
        title, facts, spec, True, bool(captions), False, _tell_splits(used), more, min(smallest, small), len(both)
    )


def _sides(names: Sequence[str]) -> Iterator[tuple[str, str, str]]:
    """Yields pairs of patterns, RGB's and infrared's, that the words in names suggest, and the band."""
    tops = sorted({name.split("/")[0] for name in names if "/" in name})
    for rgb in (top for top in tops if _word(top, RGB_WORDS)):
        for ir in (top for top in tops if _word(top, BANDS)):
            yield rgb, ir, BANDS[_word(ir, BANDS)]
    folders = sorted({part for name in names for part in PurePosixPath(name).parts[1:-1]})
    for rgb in (part for part in folders if _word(part, RGB_WORDS)):
        for ir in (part for part in folders if _word(part, BANDS)):
            yield f"*/{rgb}/*", f"*/{ir}/*", BANDS[_word(ir, BANDS)]
    endings = Counter(
        (match["mark"], PurePosixPath(name).suffix)
        for name in names
        if (match := re.search(r"(?P<mark>[-_.][A-Za-z0-9]+)$", name.removesuffix(PurePosixPath(name).suffix)))
    )
    for rgb, rgb_end in sorted(mark for mark in endings if _word(mark[0], RGB_WORDS)):
        for ir, ir_end in sorted(mark for mark in endings if _word(mark[0], BANDS)):
            yield f"*{rgb}{rgb_end}", f"*{ir}{ir_end}", BANDS[_word(ir, BANDS)]


def _word(text: str, words: Sequence[str] | dict[str, str]) -> str | None:
    return next((token for token in re.split(r"[^0-9a-z]+", text.lower()) if token in words), None)


def _looks(path: Path, names: Sequence[str]) -> tuple[str, int, np.ndarray | None]:
    """Returns forms and sizes in words, the smallest side, and values above 8 bit of some of the images."""
    forms, sizes, values, smallest = Counter(), Counter(), [], 10**9
    opened = np.unique(np.linspace(0, len(names) - 1, LOOKED_AT).astype(int)).tolist()
    for name in (names[index] for index in opened):
        held, reason = read_image(path, name)
        try:
            image = open_image(held["bytes"], MAX_PIXELS) if reason is None else None
        except DecodeError as error:
            reason = error.args[0]
        if reason:
            forms[reason] += 1
            continue
        forms[f"{image.format} {image.mode}"] += 1
        sizes[f"{image.width} x {image.height}"] += 1
        smallest = min(smallest, *image.size)
        values += [_above_8_bit(image)] if image.mode in WIDE_MODES else []
    shown = ", ".join(f"{count} {form}" for form, count in forms.most_common(5))
    shown = shown if len(opened) == len(names) else f"of {len(opened)} that were opened {shown}"
    told = f"{shown}; px {', '.join(size for size, _ in sizes.most_common(3)) or 'unknown'}"
    return told, smallest, np.concatenate(values) if values else None


def _above_8_bit(image: Image.Image) -> np.ndarray:
    return np.asarray(image, np.float64).ravel()[:: max(1, image.width * image.height // 4096)]


def _tell_splits(names: Sequence[str]) -> bool:
    return any(split_in(name) for name in names)


def _split_facts(names: Sequence[str]) -> list[str]:
    counts = Counter(split_in(name) for name in names)
    if set(counts) == {None}:
        return ["no name of a folder or file tells a split: splits are drawn by group"]
    told = ", ".join(f"{count} {split or 'without one'}" for split, count in counts.most_common())
    return [f"splits by the names of folders, else of files: {told}"]


def _caption_file(path: Path, images: Sequence[str], used: set[str]) -> str | None:
    """Returns the first file of entries below a folder that names images that are used, with captions."""
    taken = set(images)
    for name in walk(path):
        if name in taken or not name.lower().endswith((*ENTRY_SUFFIXES, ".parquet")):
            continue
        try:
            entry = next((entry for _, entry in entry_file(path / name).entries()), None)
        except InputError:
            continue
        if isinstance(entry, dict) and entry.get(FILE_COLUMN) in used and set(CAPTION_COLUMNS) & entry.keys():
            return name
    return None


def _captioned(files: CaptionFiles) -> int:
    return sum(1 for file, _ in files.files for _ in file.entries())
