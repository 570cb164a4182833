"""Runs the tasks of a plan on interchangeable workers, resumably; knows nothing of what a task does.

A worker is built once per process and maps a task to a small JSON-able result. A finished task leaves its result in
the manifest folder; a run skips the tasks that have one. What a task writes must appear whole or not at all, before it
returns: then a killed run continues to the same bytes, with any number of workers, wherever they run.
"""

import logging
import os
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from tqdm.auto import tqdm

from dataset_builder.engine.processes import run_here, run_processes
from dataset_builder.engine.tasks import Launch, MakeWorker, TaskFile, finished, results
from fusionrs_hf.errors import InputError

logger = logging.getLogger(__name__)
HERE = Launch()


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
    launch: Launch = HERE,
    show: bool = True,
    modules: Sequence[str] = (),
) -> None:
    """Runs every task of this process that has no result yet; memory does not grow with the number of tasks.

    Args:
        tasks: Picklable; a task's place is its identity: the tasks must be the same when a run continues.
        make_worker: Picklable; called once in each process.
        workers: Processes or actors; None: one per CPU, or on Ray as many as it has room for; 1: all runs in
            this process.
        manifest_dir: Folder of results, one JSON file a finished task.
        description: What the progress bar calls the work.
        launch: Where to run, and which tasks.
        show: Whether there is a bar of tasks.
        modules: What processes on this machine import, once for all of them.

    Raises:
        ChildProcessError: A worker process died, killed or out of memory; what is finished is kept.
        InputError: `workers` is less than one, or there is no such Ray.
    """
    if workers is not None and workers < 1:
        raise InputError(f"workers must be at least 1, got {workers}")
    manifest_dir.mkdir(parents=True, exist_ok=True)
    done = finished(manifest_dir)
    total = sum(launch.takes(index) for index in range(len(tasks)))
    before = sum(launch.takes(index) for index in done)
    if before:
        logger.info("%s: %d of %d were finished before", description, before, total)
    waiting = ((i, task) for i, task in enumerate(tasks) if launch.takes(i) and i not in done)
    if launch.engine == "ray" and total > before:
        from dataset_builder.engine.on_ray import run_on_ray

        running = run_on_ray(waiting, make_worker, manifest_dir, workers, launch)
    else:
        workers = min(workers or os.cpu_count() or 1, total - before)
        if workers <= 1:
            running = run_here(waiting, make_worker, manifest_dir)
        else:
            running = run_processes(waiting, make_worker, manifest_dir, workers, modules)
    hidden = not (show and total > before)
    for _ in tqdm(running, desc=description, total=total, initial=before, unit="shard", disable=hidden):
        pass
