"""Runs the tasks of a plan in this process, or in processes beside it.

These are forks of a server process that has imported what they need once: starting them costs next to nothing, and
no thread or lock of this process is copied.
"""

import os
import sys
import threading
from collections.abc import Iterator, Mapping, Sequence
from concurrent.futures import FIRST_COMPLETED, ProcessPoolExecutor, wait
from concurrent.futures.process import BrokenProcessPool
from itertools import islice
from multiprocessing import connection, get_context, parent_process
from pathlib import Path
from typing import Any

from dataset_builder.engine.tasks import AHEAD, MakeWorker, Worker, run_one, worker_died

# macOS' own libraries do not bear a fork without an exec.
START = "spawn" if sys.platform == "darwin" else "forkserver"

_worker: Worker | None = None  # of this process, between its tasks


def run_here(waiting: Iterator, make_worker: MakeWorker, manifest_dir: Path) -> Iterator[int]:
    """Yields the places of tasks as they are finished, one after the other in this process."""
    worker = None
    for index, task in waiting:
        worker = worker or make_worker()
        yield run_one(index, task, worker, manifest_dir)


def run_processes(
    waiting: Iterator, make_worker: MakeWorker, manifest_dir: Path, workers: int, modules: Sequence[str] = ()
) -> Iterator[int]:
    """Yields the places of tasks as they are finished, by forked processes that end with this one.

    Args:
        waiting: Tasks with their places.
        make_worker, manifest_dir: As of `engine.run_tasks`.
        workers: Processes.
        modules: Imported by the server; what the first call names holds for all of a process.
    """
    context = get_context(START)
    context.set_forkserver_preload(list(modules))
    pool = ProcessPoolExecutor(workers, context, _build_worker, (make_worker, dict(os.environ)))
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


def _build_worker(make_worker: MakeWorker, environment: Mapping[str, str]) -> None:
    global _worker
    os.environ.clear()  # the server's, which may be older
    os.environ.update(environment)
    threading.Thread(target=_end_with_parent, daemon=True).start()
    _worker = make_worker()


def _end_with_parent() -> None:
    """Ends this process when the one that started it is killed: else it would write beside the run that continues."""
    connection.wait([parent_process().sentinel])
    os._exit(1)


def _run_there(index: int, task: Any, manifest_dir: Path) -> int:
    return run_one(index, task, _worker, manifest_dir)
