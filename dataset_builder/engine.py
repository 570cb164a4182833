"""Runs the tasks of a plan on interchangeable workers, resumably; knows nothing of what a task does.

A worker is built once per process and maps a task to a small JSON-able result. A finished task leaves its result in
the manifest folder; a run skips the tasks that have one. What a task writes must appear whole or not at all, before it
returns: then a killed run continues to the same bytes, with any number of workers, wherever they run.
"""

import json
import logging
import os
import threading
from collections.abc import Callable, Iterable, Iterator, Sequence
from concurrent.futures import FIRST_COMPLETED, ProcessPoolExecutor, wait
from concurrent.futures.process import BrokenProcessPool
from dataclasses import dataclass
from itertools import islice
from multiprocessing import connection, get_context, parent_process
from pathlib import Path
from typing import Any

from tqdm.auto import tqdm

from fusionrs_hf.atomic import atomic_path
from fusionrs_hf.errors import InputError

logger = logging.getLogger(__name__)

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
            raise InputError(f"engine must be one of {', '.join(ENGINES)}, got {self.engine!r}")
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


def run_shards(
    tasks: Sequence[Any],
    make_worker: MakeWorker,
    workers: int | None,
    manifest_dir: Path,
    description: str = "shards",
    show: bool = True,
) -> list[Any]:
    """Runs every task that has no result yet, and returns all results in the order of the tasks.

    Args:
        tasks, make_worker, workers, manifest_dir, description: As of `run_tasks`.
        show: Whether there is a bar of tasks; False where a worker shows finer progress.

    Raises:
        ChildProcessError: A worker process died, killed or out of memory; what is finished is kept.
        InputError: `workers` is less than one.
    """
    run_tasks(tasks, make_worker, workers, manifest_dir, description, show=show)
    return list(results(manifest_dir, len(tasks)))


def run_tasks(
    tasks: "Sequence[Any] | TaskFile",
    make_worker: MakeWorker,
    workers: int | None,
    manifest_dir: Path,
    description: str = "shards",
    launch: Launch = Launch(),
    show: bool = True,
) -> None:
    """Runs every task of this process that has no result yet; memory does not grow with the number of tasks.

    Args:
        tasks: Picklable; a task's place is its identity: the tasks must be the same when a run continues.
        make_worker: Picklable; called once in each process.
        workers: Processes (spawned) or actors; None: one per CPU, or on Ray as many as it has room for; 1: all runs in
            this process.
        manifest_dir: Folder of results, one JSON file a finished task.
        description: What the progress bar calls the work.
        launch: Where to run, and which tasks.
        show: Whether there is a bar of tasks.

    Raises:
        ChildProcessError: A worker process died, killed or out of memory; what is finished is kept.
        InputError: `workers` is less than one, or there is no such Ray.
    """
    if workers is not None and workers < 1:
        raise InputError(f"workers must be at least 1, got {workers}")
    manifest_dir.mkdir(parents=True, exist_ok=True)
    done = finished(manifest_dir)
    own = sum(launch.takes(index) for index in range(len(tasks)))
    before = sum(launch.takes(index) for index in done)
    if before:
        logger.info("%s: %d of %d were finished before", description, before, own)
    waiting = ((i, task) for i, task in enumerate(tasks) if launch.takes(i) and i not in done)
    if launch.engine == "ray" and own > before:
        from dataset_builder.ray_engine import run_on_ray

        running = run_on_ray(waiting, make_worker, manifest_dir, workers, launch)
    else:
        workers = min(workers or os.cpu_count() or 1, own - before)
        run = _run_here if workers <= 1 else _run_processes
        running = run(waiting, make_worker, workers, manifest_dir)
    hidden = not (show and own > before)
    for _ in tqdm(running, desc=description, total=own, initial=before, unit="shard", disable=hidden):
        pass


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
        yield json.loads(_entry(manifest_dir, index).read_text())


def run_one(index: int, task: Any, worker: Worker, manifest_dir: Path) -> int:
    """Runs one task and records its result; returns its place."""
    result = worker(task)
    with atomic_path(_entry(manifest_dir, index)) as temporary:
        temporary.write_text(json.dumps(result, sort_keys=True))
    return index


def _entry(manifest_dir: Path, index: int) -> Path:
    return manifest_dir / f"{index:06d}.json"


def worker_died(workers: int) -> ChildProcessError:
    """Returns the error for a worker that is gone."""
    return ChildProcessError(
        f"a worker process died (killed, or out of memory with {workers} workers); finished shards are kept: "
        "run the same command again to continue, with fewer workers if memory was short"
    )


def _run_here(waiting: Iterator, make_worker: MakeWorker, workers: int, manifest_dir: Path) -> Iterator[int]:
    worker = None
    for index, task in waiting:
        worker = worker or make_worker()
        yield run_one(index, task, worker, manifest_dir)


def _run_processes(waiting: Iterator, make_worker: MakeWorker, workers: int, manifest_dir: Path) -> Iterator[int]:
    pool = ProcessPoolExecutor(workers, get_context("spawn"), _build_worker, (make_worker,))
    try:
        running = {pool.submit(_run_there, *item, manifest_dir) for item in islice(waiting, AHEAD * workers)}
        while running:
            done, running = wait(running, return_when=FIRST_COMPLETED)
            for future in done:
                yield future.result()
            running |= {pool.submit(_run_there, *item, manifest_dir) for item in islice(waiting, len(done))}
    except BrokenProcessPool as error:
        raise worker_died(workers) from error
    finally:
        pool.shutdown(cancel_futures=True)


_worker: Worker | None = None  # of this process, between its tasks


def _build_worker(make_worker: MakeWorker) -> None:
    global _worker
    threading.Thread(target=_end_with_parent, daemon=True).start()
    _worker = make_worker()


def _end_with_parent() -> None:
    """Ends this process when the one that started it is killed: else it would write beside the run that continues."""
    connection.wait([parent_process().sentinel])
    os._exit(1)


def _run_there(index: int, task: Any, manifest_dir: Path) -> int:
    return run_one(index, task, _worker, manifest_dir)
