"""Runs the trainings of a benchmark that have no result yet, in one-thread processes, two at a time."""

import argparse
import json
import logging
import os
import platform
import subprocess
import sys
from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

from fusionrs_hf.cpu_speed import free_cores
from training.journey import CHILD_ENVIRONMENT

logger = logging.getLogger(__name__)
Job = tuple[str, int]  # name and seed
HARDWARE = f"{os.cpu_count()} processors, {platform.machine()}, no GPU; two one-thread runs side by side"


def make_parser(description: str, work: str, one: str) -> argparse.ArgumentParser:
    """The options that `run_missing` passes on to the processes it starts.

    Args:
        description: Of the benchmark.
        work: Default folder for its runs.
        one: What the name of a job is, for usage errors.
    """
    parser = argparse.ArgumentParser(description=description)
    parser.add_argument("--packages", type=Path, required=True, help="folder of the demo's weight packages")
    parser.add_argument("--work", type=Path, default=Path(work))
    parser.add_argument(
        "--demo", type=Path, default=Path("runs/demo"), help="its weights and dataset are used, or made"
    )
    parser.add_argument("--seeds", type=int, nargs="+", default=[0, 1, 2])
    parser.add_argument("--one", nargs=2, metavar=(one, "SEED"), help=argparse.SUPPRESS)
    return parser


def run_missing(
    module: str, jobs: Sequence[Job], arguments: argparse.Namespace, options: Sequence[str] = ()
) -> dict[Job, dict]:
    """Starts `python -m module --one NAME SEED` for every job without `result.json` in its folder under `--work`.

    Args:
        module: Of the benchmark.
        jobs: In this order.
        arguments: Of `make_parser`.
        options: Others that the module takes.

    Returns:
        The results by job.
    """

    def start(job: Job) -> None:
        folder = arguments.work / f"{job[0]}-{job[1]}"
        folder.mkdir(parents=True, exist_ok=True)
        command = [sys.executable, "-m", module, "--packages", str(arguments.packages)]
        command += [
            "--work",
            str(arguments.work),
            "--demo",
            str(arguments.demo),
            "--one",
            job[0],
            str(job[1]),
            *options,
        ]
        logger.info("training %s, seed %d", *job)
        environment = {**os.environ, **CHILD_ENVIRONMENT, "OMP_NUM_THREADS": "1"}
        with folder.with_name(f"{folder.name}.log").open("w") as log:  # in the folder training alone writes
            subprocess.run(command, check=True, stdout=log, stderr=log, env=environment)

    results = {job: arguments.work / f"{job[0]}-{job[1]}" / "result.json" for job in jobs}
    with ThreadPoolExecutor(max(1, min(2, free_cores()))) as pool:
        list(pool.map(start, [job for job, path in results.items() if not path.is_file()]))
    return {job: json.loads(path.read_text()) for job, path in results.items()}
