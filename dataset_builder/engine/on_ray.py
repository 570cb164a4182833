"""Runs the tasks of a plan on Ray actors; the only place that knows of Ray."""

from collections.abc import Iterator
from itertools import islice
from pathlib import Path
from types import ModuleType
from typing import Any

from dataset_builder.engine.tasks import AHEAD, Launch, MakeWorker, run_one, worker_died
from fusionrs_hf.errors import InputError


def run_on_ray(
    waiting: Iterator[tuple[int, Any]],
    make_worker: MakeWorker,
    manifest_dir: Path,
    workers: int | None,
    launch: Launch,
) -> Iterator[int]:
    """Yields the places of tasks as they are finished; each actor builds its worker once and records its results.

    Args:
        waiting: Tasks with their places.
        make_worker, manifest_dir: As of `engine.run_tasks`; the folder must be the same on all nodes.
        workers: Actors, of one CPU each; None: as many as there is room for. One that finds no room is left out.
        launch: Its `ray_address` and `gpus_per_worker` are followed.

    Raises:
        ChildProcessError: An actor or its node died; what is finished is kept.
        InputError: Ray is not installed or not at that address, or has no room for one worker.
    """
    ray = _connected(launch.ray_address)
    room = _room(ray, launch.gpus_per_worker)
    count = workers or room
    actor = ray.remote(_Actor).options(num_cpus=1, num_gpus=launch.gpus_per_worker)
    actors = [actor.remote(make_worker, manifest_dir) for _ in range(count)]
    starting, running, exhausted = {one.start.remote(): one for one in actors}, {}, False
    try:
        while running or not exhausted:
            (done,), _ = ray.wait([*starting, *running])
            index = _result(ray, done, count)
            if index is not None:
                yield index
            one = running.pop(done, None) or starting.pop(done)
            more = list(islice(waiting, AHEAD if index is None else 1))  # an actor that finds no room gets no task
            running |= {one.run.remote(*item): one for item in more}
            exhausted = not more
    finally:
        for task in running:
            ray.cancel(task)  # one that waits; one at work ends well, or it would write beside the next run
        if running:
            ray.wait(list(running), num_returns=len(running))
        for one in actors:
            ray.kill(one)


class _Actor:
    """Builds the worker with its first task: what is wrong with it then reaches the caller as an error of a task."""

    def __init__(self, make_worker: MakeWorker, manifest_dir: Path) -> None:
        self.make_worker, self.manifest_dir, self.worker = make_worker, manifest_dir, None

    def start(self) -> None:
        """Answers when the actor has found a place."""

    def run(self, index: int, task: Any) -> int:
        self.worker = self.worker or self.make_worker()
        return run_one(index, task, self.worker, self.manifest_dir)


def _connected(address: str | None) -> ModuleType:
    try:
        import ray
    except ImportError as error:
        raise InputError('--engine ray needs Ray; pip install "fusionrs-hf[ray]", or leave --engine out') from error
    if not ray.is_initialized():
        try:
            ray.init(address, include_dashboard=False, logging_level="warning", log_to_driver=False)
        except (ConnectionError, ValueError, RuntimeError) as error:
            raise InputError(
                f"cannot reach a Ray at {address or 'this machine'} ({' '.join(str(error).split())}); start one with "
                "`ray start --head` and give its address, or leave --ray-address out"
            ) from error
    return ray


def _room(ray: ModuleType, gpus: float) -> int:
    """Returns how many workers have room at once; raises InputError where none has."""
    resources = ray.cluster_resources()
    room = int(min(resources.get("CPU", 0), resources.get("GPU", 0) / gpus if gpus else float("inf")))
    if not room:
        raise InputError(
            f"Ray has {resources.get('CPU', 0):g} CPUs and {resources.get('GPU', 0):g} GPUs, but a worker asks for "
            f"1 CPU and {gpus:g} GPUs; give a larger Ray, or other --gpus-per-worker"
        )
    return room


def _result(ray: ModuleType, reference: Any, count: int) -> int | None:
    try:
        return ray.get(reference)
    except ray.exceptions.RayTaskError as error:
        raise error.cause from None
    except ray.exceptions.RayActorError as error:
        raise worker_died(count) from error
