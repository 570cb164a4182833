"""Runs the tasks of a plan on local processes, resumably; knows nothing of what a task does.

A worker is built once per process and maps a task to a small JSON-able result. A finished task leaves its result in
the manifest folder; a run skips the tasks that have one. What a task writes must appear whole or not at all, before it
returns: then a killed run continues to the same bytes, with any number of workers.
"""

import json
import logging
import os
from collections.abc import Callable, Iterable, Sequence
from concurrent.futures import ProcessPoolExecutor, as_completed
from concurrent.futures.process import BrokenProcessPool
from multiprocessing import get_context
from pathlib import Path
from typing import Any

from tqdm.auto import tqdm

from dataset_builder.shards import atomic_path
from fusionrs_hf.errors import InputError

logger = logging.getLogger(__name__)

Worker = Callable[[Any], Any]


def run_shards(
    tasks: Sequence[Any],
    make_worker: Callable[[], Worker],
    workers: int | None,
    manifest_dir: Path,
    description: str = "shards",
    show: bool = True,
) -> list[Any]:
    """Runs every task that has no result yet, and returns all results in the order of the tasks.

    Args:
        tasks: Picklable; a task's place in the list is its identity: the list must be the same when a run continues.
        make_worker: Picklable; called once in each process.
        workers: Processes (spawned); None: one per CPU; 1: all runs in this process.
        manifest_dir: Folder of results, one JSON file a finished task.
        description: What the progress bar calls the work.
        show: Whether there is a bar of tasks; False where a worker shows finer progress.

    Raises:
        ChildProcessError: A worker process died, killed or out of memory; what is finished is kept.
        InputError: `workers` is less than one.
    """
    workers = workers if workers is not None else os.cpu_count() or 1
    if workers < 1:
        raise InputError(f"workers must be at least 1, got {workers}")
    manifest_dir.mkdir(parents=True, exist_ok=True)
    waiting = [(index, task) for index, task in enumerate(tasks) if not _entry(manifest_dir, index).exists()]
    if done := len(tasks) - len(waiting):
        logger.info("%s: %d of %d were finished before", description, done, len(tasks))
    run = _run_here if min(workers, len(waiting)) <= 1 else _run_processes
    finished = run(waiting, make_worker, min(workers, len(waiting)), manifest_dir)
    hidden = not (waiting and show)
    for _ in tqdm(finished, desc=description, total=len(tasks), initial=done, unit="shard", disable=hidden):
        pass
    return [json.loads(_entry(manifest_dir, index).read_text()) for index in range(len(tasks))]


def _entry(manifest_dir: Path, index: int) -> Path:
    return manifest_dir / f"{index:06d}.json"


def _record(manifest_dir: Path, index: int, result: Any) -> None:
    with atomic_path(_entry(manifest_dir, index)) as temporary:
        temporary.write_text(json.dumps(result, sort_keys=True))


def _run_here(waiting: list, make_worker: Callable[[], Worker], workers: int, manifest_dir: Path) -> Iterable[int]:
    worker = make_worker() if waiting else None
    for index, task in waiting:
        _record(manifest_dir, index, worker(task))
        yield index


def _run_processes(
    waiting: list, make_worker: Callable[[], Worker], workers: int, manifest_dir: Path
) -> Iterable[int]:
    pool = ProcessPoolExecutor(workers, get_context("spawn"), _build_worker, (make_worker,))
    try:
        futures = [pool.submit(_run_one, index, task, manifest_dir) for index, task in waiting]
        for future in as_completed(futures):
            yield future.result()
    except BrokenProcessPool as error:
        raise ChildProcessError(
            f"a worker process died (killed, or out of memory with {workers} workers); finished shards are kept: "
            "run the same command again to continue, with fewer workers if memory was short"
        ) from error
    finally:
        pool.shutdown(cancel_futures=True)


_worker: Worker | None = None  # of this process, between its tasks


def _build_worker(make_worker: Callable[[], Worker]) -> None:
    global _worker
    _worker = make_worker()


def _run_one(index: int, task: Any, manifest_dir: Path) -> int:
    _record(manifest_dir, index, _worker(task))
    return index
