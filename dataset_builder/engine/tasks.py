"""A plan of tasks, which of them a process does, and the results that finished ones leave."""

import json
import os
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from fusionrs_hf.atomic import atomic_path
from fusionrs_hf.errors import InputError, shown

Worker = Callable[[Any], Any]
MakeWorker = Callable[[], Worker]
ENGINES = ("local", "ray")
AHEAD = 2  # tasks a worker has before it: one at work, one waiting


@dataclass(frozen=True, slots=True)
class Launch:
    """Where tasks run, and which of them; nothing here changes what they give.

    Args:
        engine: `local` (processes on this machine) or `ray` (actors; all nodes must see the folders under one name).
        ray_address: Of a running Ray; None: what `RAY_ADDRESS` names, else a Ray of its own on this machine.
        gpus_per_worker: GPUs, or the part of one, that Ray keeps for each worker that reads.
        rank, world_size: Of this process among those that read with it: it does every `world_size`-th task, from the
            `rank`-th (from 0), and stops.
        finish: Read nothing; refuse while a task is not done.
    """

    engine: str = "local"
    ray_address: str | None = None
    gpus_per_worker: float = 0
    rank: int | None = None
    world_size: int | None = None
    finish: bool = False

    def __post_init__(self) -> None:
        """Raises InputError for an engine that there is not, a rank outside its world, or parts that exclude."""
        if self.engine not in ENGINES:
            raise InputError(f"engine must be one of {', '.join(ENGINES)}, got {shown(self.engine)}")
        if self.engine != "ray" and (self.ray_address or self.gpus_per_worker):
            raise InputError("a Ray address and GPUs per worker are for the engine ray; add --engine ray")
        if self.gpus_per_worker < 0:
            raise InputError(f"GPUs per worker must be 0 or more, got {self.gpus_per_worker}")
        if (self.rank is None) != (self.world_size is None):
            raise InputError("rank and world size go together; give --rank R --world-size W, with R from 0 to W - 1")
        if self.rank is not None and not 0 <= self.rank < self.world_size:
            raise InputError(
                f"rank must be 0 to {self.world_size - 1} in a world of {self.world_size}, got {self.rank}"
            )
        if self.rank is not None and (self.finish or self.engine == "ray"):
            raise InputError("a rank reads its share on this machine: it goes with neither --finish nor --engine ray")

    def takes(self, index: int) -> bool:
        """Returns whether the task of this place in the plan is one of this process's."""
        return self.rank is None or index % self.world_size == self.rank


class TaskFile:
    """A plan of tasks on disk, one JSON line each, read as it is needed; lists come back as tuples.

    Args:
        path: File that `write` made.
    """

    def __init__(self, path: Path) -> None:
        self.path = path
        with open(path, "rb") as lines:
            self.count = sum(1 for _ in lines)

    def __len__(self) -> int:
        return self.count

    def __iter__(self) -> Iterator[Any]:
        with open(self.path, encoding="utf-8") as lines:
            for line in lines:
                yield _as_tuples(json.loads(line))

    @staticmethod
    def write(path: Path, tasks: Iterable[Any]) -> None:
        """Writes tasks as they come: strings, numbers, None, and lists or tuples of them; whole or not at all."""
        with atomic_path(path) as temporary, open(temporary, "w", encoding="utf-8") as lines:
            lines.writelines(json.dumps(task) + "\n" for task in tasks)


def _as_tuples(value: Any) -> Any:
    return tuple(map(_as_tuples, value)) if isinstance(value, list) else value


def finished(manifest_dir: Path) -> set[int]:
    """Returns the places of the tasks that have a result."""
    if not manifest_dir.exists():
        return set()
    with os.scandir(manifest_dir) as entries:
        names = [entry.name for entry in entries]
    return {int(name.removesuffix(".json")) for name in names if name.endswith(".json")}


def results(manifest_dir: Path, count: int) -> Iterator[Any]:
    """Yields the results of the first `count` tasks, in order, each read when it is asked for."""
    for index in range(count):
        yield json.loads((manifest_dir / result_file(index)).read_text())


def run_one(index: int, task: Any, worker: Worker, manifest_dir: Path) -> int:
    """Runs one task and records its result; returns its place."""
    result = worker(task)
    with atomic_path(manifest_dir / result_file(index)) as temporary:
        temporary.write_text(json.dumps(result, sort_keys=True))
    return index


def result_file(index: int) -> str:
    """Returns the name, in the folder of results, of what a task leaves."""
    return f"{index:06d}.json"


def worker_died(workers: int) -> ChildProcessError:
    """Returns the error for a worker that is gone."""
    return ChildProcessError(
        f"a worker process died (killed, or out of memory with {workers} workers); finished shards are kept: "
        "run the same command again to continue, with fewer workers if memory was short"
    )
