"""What a build would read, how long it would take and how much disk, before it is begun: rows counted, a few read."""

import itertools
import logging
import os
import shutil
from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

import numpy as np

from dataset_builder.building.auto_range import settled_range
from dataset_builder.building.reading import ReadWorker
from dataset_builder.building.work_files import KINDS, work_file
from dataset_builder.recipe import BuildRecipe
from dataset_builder.sources import open_source
from dataset_builder.sources.folder import FolderSource
from dataset_builder.sources.pairs import PairsSource
from dataset_builder.sources.scene import SceneSource

logger = logging.getLogger(__name__)

LOOKED_AT = 3  # shards of each source that are read
LONG = 10  # times as many shards as are read: a forecast is a small part of such a build
WRITTEN_TWICE = 2  # work files, then the dataset, at once while a build runs


@dataclass(frozen=True, slots=True)
class SourceForecast:
    """What is to be expected of one source.

    Args:
        name: Kind and place.
        shards: Units of reading.
        rows: In all of them; exact where `counted`, else by those that were read.
        read: Rows that were read, `left` of which by reason.
        seconds: Of one processor a row.
        bytes: Written a row.
    """

    name: str
    shards: int
    rows: int
    counted: bool
    read: int
    left: Counter
    seconds: float
    bytes: float

    def line(self) -> str:
        """Returns it in words."""
        reasons = ", ".join(f"{count} {reason}" for reason, count in sorted(self.left.items())) or "none"
        about = "" if self.counted else "about "
        return (
            f"{self.name}: {about}{self.rows} rows in {self.shards} shards; of {self.read} that were read "
            f"{self.read - self.left.total()} are kept, {self.left.total()} leave ({reasons})"
        )


def forecast(recipe: BuildRecipe, out: Path, workers: int | None = None, unless_short: bool = False) -> list[str]:
    """Returns what a build would do in lines: rows by source, then seconds and disk; nothing is written to `out`.

    A few shards of each source pass all stages but captioners that ask a model, which are left out and told. Rows are
    exact where a source lists them (folders, pairs, scenes), and else by the rows of the shards that were read.
    Duplicates, groups and splits are not foreseen.

    Args:
        recipe, workers: As of a build.
        out: Folder that the build would write, for the disk that is free there.
        unless_short: Return no lines of a build that would hardly take longer than its forecast.

    Raises:
        InputError: As of a build, for what is known before all is read.
    """
    recipe = replace(recipe, base=Path(recipe.base).absolute())
    sources = [open_source(spec, recipe.base) for spec in recipe.sources]
    shards = [list(source.shards()) for source in sources]
    if unless_short and sum(map(len, shards)) < LONG * LOOKED_AT * len(sources):
        return []
    recipe = settled_range(recipe, sources)
    asks = recipe.caption is not None and recipe.caption.captioner != "grounded"
    with TemporaryDirectory(prefix="fusionrs-") as work:
        worker = ReadWorker(replace(recipe, caption=None) if asks else recipe, sources, Path(work))
        found = [_source(worker, *part) for part in zip(itertools.count(), recipe.sources, shards)]
    rows = sum(source.rows for source in found)
    workers = workers or os.cpu_count() or 1
    seconds = sum(source.rows * source.seconds for source in found) / workers
    size = sum(source.rows * source.bytes for source in found)
    home = next(path for path in (Path(out).absolute(), *Path(out).absolute().parents) if path.exists())
    lines = [source.line() for source in found]
    lines.append(
        f"in all {rows} rows: about {_time(seconds)} with {workers} workers, {_size(size)} written, "
        f"{_size(WRITTEN_TWICE * size)} while it runs; {_size(shutil.disk_usage(home).free)} are free"
    )
    captioner = recipe.caption.captioner if asks else ""
    return lines + ([f"without the time of the captioner {captioner}, which asks a model"] if asks else [])


def announce(recipe: BuildRecipe, out: Path, workers: int | None = None) -> None:
    """Logs the forecast of a long build, of which it is a small part; arguments as of `forecast`."""
    for line in forecast(recipe, out, workers, unless_short=True):
        logger.info("%s", line)


def _source(worker: ReadWorker, number: int, spec: Any, shards: Sequence[Any]) -> SourceForecast:
    source = worker.sources[number]
    chosen = sorted({int(place) for place in np.linspace(0, len(shards) - 1, LOOKED_AT)})
    read, left, seconds, size = 0, Counter(), 0.0, 0
    for index, place in enumerate(chosen, number * LOOKED_AT):
        result = worker((index, number, shards[place]))
        read, seconds = read + result["rows"], seconds + sum(result["seconds"].values())
        left.update(result["reasons"])
        for kind in KINDS:
            file = work_file(worker.work, kind, index)
            size += file.stat().st_size if file.exists() else 0
    exact = _listed(source, shards)
    rows = exact if exact is not None else round(read / len(chosen) * len(shards))
    counted = exact is not None or len(chosen) == len(shards)
    name = f"{spec['kind']} {spec.get('path', '')}".strip()
    return SourceForecast(name, len(shards), rows, counted, read, left, seconds / max(read, 1), size / max(read, 1))


def _listed(source: Any, shards: Sequence[Any]) -> int | None:
    """Returns the number of rows that shards list by themselves, None where they do not."""
    if isinstance(source, (FolderSource, PairsSource)):
        return sum(map(len, shards))
    return source.count(shards) if isinstance(source, SceneSource) else None


def _time(seconds: float) -> str:
    if seconds < 120:
        return f"{seconds:.0f} s"
    return f"{seconds / 60:.0f} min" if seconds < 7200 else f"{seconds / 3600:.1f} h"


def _size(size: float) -> str:
    for unit in ("B", "KB", "MB", "GB"):
        if size < 1000:
            return f"{size:.0f} {unit}"
        size /= 1000
    return f"{size:.1f} TB"
