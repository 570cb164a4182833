"""What a build reads, as a list of files: two builds can be told apart by it, and the difference named.

A file is known by its name and size, code and the small files that a recipe names by their content. So a change of an
input that keeps its size (a caption file edited letter for letter) is not seen between two builds: times are no help,
since copying to another machine changes them, and reading every image to compare would take as long as the build.
What changes during one build is seen, see `input_states`.
"""

import gzip
import hashlib
import json
import os
import stat
from collections import Counter
from collections.abc import Iterable, Iterator, Mapping, Sequence
from contextlib import closing
from glob import has_magic
from pathlib import Path, PurePath
from typing import Any, NamedTuple

from model_cards import DATASET_CARD

LISTING = "inputs.txt.gz"
LABELS = ("kind", "name", "rights", "source_dataset", "sensor")  # keys of a source whose values are no paths
SHOWN = 3  # examples of each kind of change
CODE, RECIPE, FIRST_SOURCE = 0, 1, 2


class Entry(NamedTuple):
    """One file: `group` CODE, RECIPE or FIRST_SOURCE + n; `root` counts within it; `size` bytes, or a hash."""

    group: int
    root: int
    size: str
    path: str

    @property
    def place(self) -> tuple:
        """Where it stands in a listing."""
        return self.group, self.root, self.path.split("/")


def write_listing(
    path: Path, specs: Sequence[Mapping[str, Any]], readers: Sequence[Any], base: Path, named: Any, out: Path
) -> dict[int, str]:
    """Writes the list of code and input files; memory grows with the largest single folder only.

    Args:
        path: File to write: lines `group, root, size, path`, tab-separated, compressed; the same for the same inputs.
        specs, readers: A recipe's sources, and their readers where they are open: see `sources.Source.inputs`.
        base: Folder that the recipe's paths start from.
        named: The rest of the recipe: small files that it names are inputs, too.
        out: Output folder, no part of its own inputs.

    Returns:
        SHA-256 of each group's lines, 64 hex digits.
    """
    digests = {group: hashlib.sha256() for group in range(FIRST_SOURCE + len(specs))}
    with open(path, "wb") as raw, gzip.GzipFile("", "wb", 1, raw, mtime=0) as file:
        for entry, *_ in entries(specs, readers, base, named, out):
            line = f"{entry.group}\t{entry.root}\t{entry.size}\t{json.dumps(entry.path)}\n".encode()
            digests[entry.group].update(line)
            file.write(line)
    return {group: digest.hexdigest() for group, digest in digests.items()}


def entries(
    specs: Sequence[Mapping[str, Any]], readers: Sequence[Any], base: Path, named: Any, out: Path
) -> Iterator[tuple[Entry, Path, str]]:
    """Yields the entries of a listing in its order, each with a root and the file's name below it (`""`: the root).

    Arguments as of `write_listing`.
    """
    for name, file in code_files():
        yield Entry(CODE, 0, _content(file), name), file, ""
    for number, (label, file) in enumerate(_existing(_strings(named), base)):
        if file.is_file():
            yield Entry(RECIPE, number, _content(file), label), file, ""
        for part in sorted((file / "translator").glob("*.safetensors")):  # of a translator of one's own
            yield Entry(RECIPE, number, _content(part), f"{label}/{part.name}"), part, ""
    for number, spec in enumerate(specs):
        group = FIRST_SOURCE + number
        inputs = getattr(readers[number], "inputs", None) if readers else None
        roots = _labelled(inputs(), base) if inputs else _existing(_strings(spec), base)
        for place, (label, root) in enumerate(roots):
            for name, size in _files(root, out):
                label_of_file = f"{label}/{name}".removeprefix("./").removesuffix("/")
                yield Entry(group, place, size, label_of_file), root, name


def code_files() -> list[tuple[str, Path]]:
    """Returns the files beside the inputs that decide a build's bytes, as name and path, in the order of a listing.

    All code of the builder with its data tables, what decides what an image is taken for, and the card's template.
    """
    package = Path(__file__).parents[1]
    images = package.parent / "fusionrs_hf" / "processing_fusionrs_images.py"
    tables = (file for file in package.rglob("*.yaml") if file.parent.name not in ("recipes", "sample"))
    files = [*package.rglob("*.py"), *tables, images, DATASET_CARD]
    named = [(file.relative_to(package.parent), file) for file in files]
    return [(name.as_posix(), file) for name, file in sorted(named, key=lambda pair: pair[0].parts)]


def _content(file: Path) -> str:
    return hashlib.sha256(file.read_bytes()).hexdigest()[:16]


def _strings(value: Any) -> Iterator[str]:
    """Yields every string in a value, however nested, but no names and no labels."""
    if isinstance(value, Mapping):
        for key, part in value.items():
            if key not in LABELS:
                yield from _strings(part)
    elif isinstance(value, (str, PurePath)):
        yield str(value)
    elif isinstance(value, Iterable):
        for part in value:
            yield from _strings(part)


def _existing(names: Iterable[str], base: Path) -> Iterator[tuple[str, Path]]:
    """Yields the files and folders among names, each once, with a label; of a pattern, the folder that it is in."""
    paths = []
    for name in filter(None, names):
        parts = PurePath(name).parts
        fixed = next((number for number, part in enumerate(parts) if has_magic(part) or "{" in part), len(parts))
        if (fixed or not parts) and os.path.exists(base / PurePath(*parts[:fixed])):  # answers for any string
            paths.append(base / PurePath(*parts[:fixed]))
    return _labelled(paths, base)


def _labelled(paths: Iterable[Path], base: Path) -> Iterator[tuple[str, Path]]:
    """Yields paths once each, with the name relative to the base, or the last part of one that lies elsewhere."""
    seen: dict[Path, Path] = {}
    for path in map(Path, paths):
        seen.setdefault(path.resolve(), path)
    for path in seen.values():
        inside = path.is_relative_to(base) and ".." not in path.relative_to(base).parts
        yield (path.relative_to(base).as_posix() if inside else path.name), path


def _files(root: Path, out: Path) -> Iterator[tuple[str, str]]:
    """Yields name relative to `root` and size of the files at or under it, by name, folder by folder.

    Hidden files, byte code and what lies in `out` are left out; a link to a folder is followed, unless it leads back.
    """
    skipped = {_identity(os.stat(out))} if out.exists() else set()

    def walk(folder: str, prefix: str, above: frozenset) -> Iterator[tuple[str, str]]:
        for name in sorted(os.listdir(folder)):
            if name.startswith((".", "__pycache__")):
                continue
            path = os.path.join(folder, name)
            try:
                status = os.stat(path)
            except OSError:  # a link that leads nowhere, or to itself
                yield prefix + name, "-"
                continue
            if stat.S_ISREG(status.st_mode):
                yield prefix + name, str(status.st_size)
            elif stat.S_ISDIR(status.st_mode) and (here := _identity(status)) not in above:
                yield from walk(path, f"{prefix}{name}/", above | {here})

    if root.is_dir():
        yield from walk(str(root), "", frozenset({_identity(os.stat(root)), *skipped}))
    else:
        yield "", str(root.stat().st_size)


def _identity(status: os.stat_result) -> tuple[int, int]:
    return status.st_dev, status.st_ino


def changes(before: Path, after: Path, group: int | None = None) -> list[str]:
    """Returns what differs between two listings, in words, with a few names each: added, removed, of another size.

    Args:
        before, after: Files that `write_listing` made.
        group: CODE; None: all but code.
    """
    counts, examples = Counter(), {}
    for entry, change in _compared(before, after):
        if (entry.group == CODE) is (group == CODE):
            counts[change] += 1
            examples.setdefault(change, [])
            examples[change] += [entry.path] if len(examples[change]) < SHOWN else []
    return [
        f"{count} {change}: {', '.join(examples[change])}{', ...' if count > SHOWN else ''}"
        for change, count in sorted(counts.items())
    ]


def listed(path: Path) -> Iterator[Entry]:
    """Yields the entries of a file that `write_listing` made."""
    with gzip.open(path, "rt") as lines:
        for line in lines:
            group, root, size, name = line.rstrip("\n").split("\t", 3)
            yield Entry(int(group), int(root), size, json.loads(name))


def _compared(before: Path, after: Path) -> Iterator[tuple[Entry, str]]:
    """Merges two listings, which have one order; yields the entries that differ."""
    with closing(listed(before)) as ours, closing(listed(after)) as theirs:
        left, right = next(ours, None), next(theirs, None)
        while left or right:
            if right is None or (left and left.place < right.place):
                yield left, "removed"
                left = next(ours, None)
            elif left is None or right.place < left.place:
                yield right, "added"
                right = next(theirs, None)
            else:
                if left.size != right.size:
                    yield right, "changed" if right.group < FIRST_SOURCE else "of another size"
                left, right = next(ours, None), next(theirs, None)
