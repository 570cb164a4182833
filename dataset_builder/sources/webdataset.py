"""WebDataset tars, as RS5M and img2dataset write them: read in place, nothing is extracted, no pickle is opened."""

import gzip
import itertools
import logging
from collections import Counter
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from fnmatch import fnmatchcase
from pathlib import Path
from typing import Any, BinaryIO

from dataset_builder.schema import CAPTION_ORIGINS, CHOICES, new_row
from dataset_builder.sources.formats.paths import UnsafeNameError, parts_of, printable, readable, split_of
from dataset_builder.sources.formats.tar import DamagedTarError, Member, content_of, members
from dataset_builder.sources.formats.tar_samples import (
    DAMAGED,
    Keys,
    Sample,
    TarWalk,
    is_passed_over,
    joined,
    key_of,
    packed,
    tell_unread,
)
from dataset_builder.sources.formats.text import plain_text
from fusionrs_hf.bounded_json import parse_json
from fusionrs_hf.bounds import IMAGE_BYTES, MEMBERS_OF_SAMPLE, ROW_BYTES, TEXT_BYTES
from fusionrs_hf.errors import InputError, shown

logger = logging.getLogger(__name__)

PLAIN, COMPRESSED = (".tar",), (".tar.gz", ".tgz")
TO_THE_END = -1
# Tar, first byte, the one after the last; and instead of these bytes the samples, each by the starts of its members.
Piece = tuple[str, int, int] | tuple[str, int, int, Sequence[Sequence[int]]]
Shard = Sequence[Piece]  # small tars share one


@dataclass(frozen=True)
class WebDatasetSource:
    """Samples of tars in the order of names: members with one key, up to the first dot of the name, are one sample.

    The defaults read both RS5M's tars (`pub11-train-0000.tar`: `KEY.img_content`, `KEY.img_name`, `KEY.caption`) and
    those of img2dataset (`KEY.jpg`, `KEY.txt`, `KEY.json`). A sample without an image is a row with the reason
    `image_missing`, one with a name that leads outside, a link or a device `unsafe_path`; a tar that ends too early or
    is damaged gives its samples up to there and one row with the reason `tar_damaged`. A key that comes twice gives
    two rows of one `sample_id`, of which a build keeps the first. Folders are passed over.

    Args:
        path: A tar, or a folder with tars at any depth: `.tar`, or `.tar.gz` and `.tgz` (each read as one shard).
        rights: Rights code of the rows.
        pattern: Tars to read in the folder, as `pub11-*`; matched with the name or the path relative to the folder.
        rgb, ir: Names of the image members, the rest after the key's dot; the first that a sample has counts.
        text: Members that are one caption each, UTF-8; all that a sample has, in this order.
        name: Members that hold the image's own file name, for `source_locator`; without one it is TAR/KEY.
        json_caption: Field of the member `json` that holds the caption, or a list of them; added after `text`.
        caption_origin: source, hand, rule or model.
        ir_band, ir_origin, ir_unit: Of the members `ir`.
        source_dataset: Column; without it, the name of `path`.
        samples_per_shard: Samples that are read as one unit of work, of one large tar or of several small ones. To
            know where they start, all headers are walked first (some 20 s per million members on a local disk). None:
            a tar is a unit, and nothing is walked; members of a key that are no neighbours are an error then.
    """

    path: str | Path
    rights: str
    pattern: str = "*"
    rgb: str | Sequence[str] = ("img_content", "jpg", "jpeg", "png", "webp")
    ir: str | Sequence[str] = ()
    text: str | Sequence[str] = ("caption", "txt")
    name: str | Sequence[str] = ("img_name",)
    json_caption: str = ""
    caption_origin: str = "source"
    ir_band: str = "unspecified"
    ir_origin: str = "sensor"
    ir_unit: str = "display"
    source_dataset: str = ""
    samples_per_shard: int | None = 500
    base: Path = Path()

    def __post_init__(self) -> None:
        """Raises InputError for a path that does not exist or a value that cannot be."""
        path = self.base / self.path
        if not path.exists():
            raise InputError(f"{path} does not exist; give a tar or a folder with tars")
        for name in ("rgb", "ir", "text", "name"):
            parts = getattr(self, name)
            parts = [parts] if isinstance(parts, str) else parts
            object.__setattr__(self, name, tuple(str(part).lower() for part in parts))
        if not self.rgb:
            raise InputError("rgb must name the members that are images, such as [jpg, png]; got none")
        for name, allowed in CHOICES.items() | {("caption_origin", CAPTION_ORIGINS)}:
            if getattr(self, name) not in allowed:
                raise InputError(f"{name} must be one of {', '.join(allowed)}, got {shown(getattr(self, name))}")
        if self.samples_per_shard is not None and self.samples_per_shard < 1:
            raise InputError(f"samples_per_shard must be positive (null: whole tars), got {self.samples_per_shard}")
        object.__setattr__(self, "path", path)
        object.__setattr__(self, "source_dataset", self.source_dataset or path.resolve().name.split(".")[0])

    def shards(self) -> Iterator[Shard]:
        """Yields pieces of tars, `samples_per_shard` at a time: (tar, first byte, byte after the last or -1).

        They are of samples that start there. Where members of a key are no neighbours, the starts of each sample's
        members follow, and the bytes are 0.

        Raises:
            InputError: There are no tars, or a file is none from its first byte on.
        """
        seen: Counter[str] = Counter()
        yield from packed(self._pieces(seen), self.samples_per_shard or 1)
        tell_unread(self.path, seen, self._wanted)

    def read(self, shard: Shard) -> Iterator[dict[str, Any]]:
        """Yields a row per sample, image bytes unchanged.

        Raises:
            InputError: Members of a key are no neighbours in a tar that was not walked, or memory has no room.
        """
        for piece in shard:
            yield from self._read(*piece)

    def _pieces(self, seen: Counter[str]) -> Iterator[tuple[Piece, int]]:
        """Yields pieces with the number of their samples; those of a tar that is not walked fill a shard."""
        for name in self._tars():
            with self._open(name) as file:
                self._check_first(file, name)
                if self.samples_per_shard is None or name.endswith(COMPRESSED):
                    yield (name, 0, TO_THE_END), self.samples_per_shard or 1
                else:
                    yield from self._cut(file, name, seen)

    def _read(self, name: str, start: int, stop: int, *scattered: Sequence[Sequence[int]]) -> Iterator[dict[str, Any]]:
        with self._open(name) as file:
            if scattered:
                yield from (self._row(name, self._placed(file, name, starts)) for starts in scattered[0])
                return
            try:
                for sample in self._streamed(file, name, start, stop):
                    yield self._row(name, sample)
            except DAMAGED as error:
                at, why = error.args if isinstance(error, DamagedTarError) else (file.tell(), error)
                logger.warning("%s is damaged from byte %s on: %s; what follows is lost", self._path(name), at, why)
                yield self._row(name, Sample(f"@{at}", at, reason="tar_damaged"))

    def _tars(self) -> list[str]:
        if self.path.is_file():
            return [self.path.name]
        paths = (path for path in self.path.rglob("*") if path.name.endswith(PLAIN + COMPRESSED) and path.is_file())
        names = sorted(path.relative_to(self.path).as_posix() for path in paths if self._matches(path))
        if not names:
            raise InputError(
                f"{self.path} holds no .tar, .tar.gz or .tgz that matches {shown(self.pattern)}; see `pattern`"
            )
        return names

    def _matches(self, path: Path) -> bool:
        return any(fnmatchcase(name, self.pattern) for name in (path.name, path.relative_to(self.path).as_posix()))

    def _path(self, name: str) -> Path:
        return self.path if self.path.is_file() else self.path / name

    def _open(self, name: str) -> BinaryIO:
        path = self._path(name)
        return gzip.open(path, "rb") if name.endswith(COMPRESSED) else path.open("rb")

    def _length(self, name: str) -> int | None:
        return None if name.endswith(COMPRESSED) else self._path(name).stat().st_size

    def _check_first(self, file: BinaryIO, name: str) -> None:
        try:
            if next(members(file, None), None) is None:
                if not file.seek(0, 2):
                    raise DamagedTarError(0, "it is empty")
                logger.warning("%s holds no members", self._path(name))
        except DAMAGED as error:
            if not isinstance(error, DamagedTarError) or error.args[0] == 0:
                raise InputError(f"{self._path(name)} is no tar ({error.args[-1]}); get it again") from error

    @property
    def _wanted(self) -> set[str]:
        return {*self.rgb, *self.ir, *self.text, *self.name, *(["json"] if self.json_caption else [])}

    def _cut(self, file: BinaryIO, name: str, seen: Counter[str]) -> Iterator[tuple[Piece, int]]:
        """Yields the pieces of a plain tar: ranges of bytes, or places where members of a key lie apart."""
        (walk, damage), size = self._walked(file, name), self.samples_per_shard
        if damage is not None:
            logger.warning("%s is damaged from byte %s on: %s", self._path(name), *damage.args)
        seen.update(walk.parts)
        if walk.is_scattered():
            logger.warning("%s has members of one key that are no neighbours; it is read by their places", name)
            samples = walk.joined(lambda start: key_of(next(members(file, self._length(name), start)).name))
            parts = (tuple(samples[at : at + size]) for at in range(0, len(samples), size))
            yield from (((name, 0, 0, part), len(part)) for part in parts)
            if damage is not None:
                yield (name, damage.args[0], TO_THE_END), 1
            return
        starts = walk.starts()
        edges = itertools.pairwise([0, *starts[size::size].tolist(), TO_THE_END])
        yield from (((name, *edge), min(size, len(starts) - at * size)) for at, edge in enumerate(edges))

    def _walked(self, file: BinaryIO, name: str) -> tuple[TarWalk, Exception | None]:
        """Returns what a tar's headers tell, and the damage that ends them."""
        walk, damage = TarWalk(), None
        try:
            for sample in self._samples(file, name, 0, TO_THE_END, load=False, walk=walk):
                walk.add(sample)
        except DAMAGED as error:
            damage = error
        walk.tell_passed_over(self._path(name))
        return walk, damage

    def _streamed(self, file: BinaryIO, name: str, start: int, stop: int) -> Iterator[Sample]:
        """Yields the samples that start in a range of bytes; those of a whole tar joined where that is needed."""
        if stop != TO_THE_END or start or not name.endswith(COMPRESSED):
            keys = Keys() if self.samples_per_shard is None else None
            for sample in self._samples(file, name, start, stop, load=True):
                if keys is not None and keys.adds_to_earlier(sample):
                    raise InputError(
                        f"{self._path(name)} has members of the key {shown(printable(sample.key))} that are no "
                        "neighbours; set samples_per_shard, or write the tar sorted by name"
                    )
                yield sample
            return
        walk, _ = self._walked(file, name)  # damage is told when what is before it is read
        tell_unread(self._path(name), walk.parts, self._wanted)
        samples = self._samples(file, name, 0, TO_THE_END, load=True)
        yield from joined(samples, self._path(name)) if walk.is_scattered() else samples

    def _samples(
        self, file: BinaryIO, name: str, start: int, stop: int, load: bool, walk: TarWalk | None = None
    ) -> Iterator[Sample]:
        """Yields the samples that start in a range of bytes; without `load`, with no content."""
        sample = None
        try:
            for member in members(file, self._length(name), start):
                if member.kind == "folder":
                    continue
                if is_passed_over(member.name):
                    if walk is not None:
                        walk.passed_over += 1
                    continue
                key, part = key_of(member.name)
                if sample is None or not sample.is_of(key) or part in sample.parts:
                    if sample is not None:
                        yield sample
                        sample = None
                    if stop != TO_THE_END and member.start >= stop:
                        return
                    sample = Sample(key, member.start)
                self._take(file, member, sample, part, load)
        except DAMAGED:
            if sample is not None:
                sample.reason = "tar_damaged"  # a member of it may be among what is lost
                yield sample
            raise
        yield from () if sample is None else (sample,)

    def _take(self, file: BinaryIO, member: Member, sample: Sample, part: str, load: bool) -> None:
        """Adds a member to its sample."""
        if len(sample.parts) >= MEMBERS_OF_SAMPLE:
            sample.reason = sample.reason or "row_too_large"
            return
        sample.parts[part] = None
        sample.places.append(member.start)
        if part in self._wanted:
            sample.reason = sample.reason or self._excess(member, sample, part)
            if load and not sample.reason:
                sample.parts[part] = content_of(file, member)

    def _excess(self, member: Member, sample: Sample, part: str) -> str | None:
        """Returns why a member is not read: it is no file, or too large for what it holds."""
        if member.kind != "file":
            return "unsafe_path"
        if part in (*self.rgb, *self.ir):
            held = sum(len(content or b"") for content in sample.parts.values())
            return "image_too_large" if member.size > min(IMAGE_BYTES, ROW_BYTES - held) else None
        return "row_too_large" if member.size > TEXT_BYTES else None

    def _placed(self, file: BinaryIO, name: str, starts: Sequence[int]) -> Sample:
        """Reads the sample whose members start at some bytes."""
        sample = None
        for start in starts:
            member = next(members(file, self._length(name), start))
            key, part = key_of(member.name)
            sample = sample or Sample(key, start)
            self._take(file, member, sample, part, load=True)
        return sample

    def _row(self, tar: str, sample: Sample) -> dict[str, Any]:
        place = f"{tar}/{printable(sample.key)}"
        reason = sample.reason
        try:
            parts_of(sample.key)
        except UnsafeNameError:
            reason = "unsafe_path"
        rgb, ir = (next((part for part in wanted if part in sample.parts), None) for wanted in (self.rgb, self.ir))
        dotted = any(part.rpartition(".")[2] in self.rgb for part in sample.parts)
        missing = "key_has_dots" if dotted else "image_missing"
        captions, unreadable = readable(self._captions(sample))
        infrared = {} if ir is None else {name: getattr(self, name) for name in ("ir_band", "ir_origin", "ir_unit")}
        names, _ = readable(plain_text(sample.parts[part]) for part in self.name if sample.parts.get(part))
        used = {column: part for column, part in (("rgb", rgb), ("ir", ir)) if part and not reason}
        images = {column: {"bytes": sample.parts[part], "path": f"{place}.{part}"} for column, part in used.items()}
        return new_row(
            sample_id=f"{self.source_dataset}/{place}",
            source_dataset=self.source_dataset,
            source_locator=names[0] if names else place,
            rights=self.rights,
            captions=captions,
            caption_origin=[self.caption_origin] * len(captions),
            **{"rgb": {"bytes": None, "path": None}} | images,
            **infrared,
        ) | {"_split": split_of(tar), "_reason": reason or (missing if rgb is None else unreadable)}

    def _captions(self, sample: Sample) -> Iterator[Any]:
        """Yields what stands for captions, of any type."""
        for part in self.text:
            if sample.parts.get(part) is not None:
                yield plain_text(sample.parts[part])
        if self.json_caption and sample.parts.get("json") is not None:
            try:
                caption = parse_json(sample.parts["json"].decode("utf-8-sig", "surrogateescape"))[self.json_caption]
                yield from caption if isinstance(caption, list) else [caption] * (caption is not None)
            except KeyError:  # no caption, which is no damage
                return
            except (ValueError, TypeError, RecursionError):
                yield None
