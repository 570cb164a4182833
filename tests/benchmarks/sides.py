"""One process a side of a contest; each waits for its turn, so that the sides are measured interleaved.

Imports the standard library alone: a peer's interpreter runs it, too.
"""

import json
import os
import platform
import resource
import statistics
import subprocess
import sys
import time
from collections.abc import Mapping
from contextlib import suppress
from pathlib import Path

ROOT = Path(__file__).resolve().parents[2]
HARDWARE = f"{os.cpu_count()} processors, {platform.machine()}"


class Side:
    """A child process that answers every line on its stdin with one line of JSON on its stdout.

    Args:
        python: Interpreter.
        module: Run by `-m` from the repository's root; the interpreter needs nothing of this project installed.
        *arguments: Its command line.
        environment: Added to this process's variables.
    """

    def __init__(
        self, python: str | Path, module: str, *arguments: object, environment: Mapping[str, str] | None = None
    ) -> None:
        self.process = subprocess.Popen(
            [os.path.abspath(python), "-m", module, *map(str, arguments)],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            text=True,
            cwd=ROOT,
            env={**os.environ, **(environment or {})},
        )

    def measure(self, line: object) -> dict:
        """Returns the answer to a line.

        Raises:
            RuntimeError: The process ended without one.
        """
        with suppress(BrokenPipeError):  # told below
            self.process.stdin.write(f"{line}\n")
            self.process.stdin.flush()
        if not (found := self.process.stdout.readline()):
            raise RuntimeError(f"{self.process.args} ended without an answer; see its messages above")
        return json.loads(found)

    def close(self) -> None:
        """Ends the process."""
        with suppress(BrokenPipeError):
            self.process.stdin.close()
        self.process.wait()


def take_turns(sides: Mapping[str, Side], repeats: int, line: object, warm: object = None) -> dict[str, list[dict]]:
    """Has every side answer `line` in turn, `repeats` times over, and ends them.

    Args:
        sides: By name.
        repeats: Rounds.
        line: What each is told.
        warm: Told once before, and not counted; None: nothing is.

    Returns:
        Answers by name.
    """
    if warm is not None:
        for side in sides.values():
            side.measure(warm)
    runs: dict[str, list[dict]] = {name: [] for name in sides}
    for _ in range(repeats):
        for name, side in sides.items():
            runs[name].append(side.measure(line))
    for side in sides.values():
        side.close()
    return runs


def per_step(runs: list[dict]) -> dict:
    """Sums up a side's answers of `Pace`: milliseconds a step, memory in MiB."""
    spent = [1000 * run["seconds"] / run["steps"] for run in runs]
    return {
        "median_ms": round(statistics.median(spent), 1),
        "runs_ms": [round(value, 1) for value in spent],
        "cpu_ms": round(statistics.median(1000 * run["cpu_seconds"] / run["steps"] for run in runs), 1),
        "peak_mib": round(runs[-1]["peak_mib"]),
        "start_mib": round(runs[-1]["start_mib"]),
    }


class Pace:
    """In a child process: tells a training loop whether to take another step, and answers the parent between turns.

    Every line on stdin is a number of steps; the answer holds their `seconds` and `cpu_seconds`, the process's peak
    memory `peak_mib` and, of that, what was there at the first line, `start_mib`. The loop ends with stdin.
    """

    def __init__(self) -> None:
        self.left, self.steps, self.start_mib = 0, 0, 0.0
        self.began = self.cpu_began = 0.0

    def goes_on(self) -> bool:
        """Called before every step, and so after the one before it."""
        if self.left == 0:
            self._answer()
            line = sys.stdin.readline()
            if not line:
                return False
            self.start_mib = self.start_mib or peak_mib()
            self.left = self.steps = int(line)
            self.began, self.cpu_began = time.perf_counter(), time.process_time()
        self.left -= 1
        return True

    def _answer(self) -> None:
        if self.steps:
            seconds, cpu = time.perf_counter() - self.began, time.process_time() - self.cpu_began
            memory = {"peak_mib": peak_mib(), "start_mib": self.start_mib}
            answer(steps=self.steps, seconds=seconds, cpu_seconds=cpu, **memory)


def answer(**values: object) -> None:
    """Writes one line of JSON to stdout."""
    sys.stdout.write(json.dumps(values) + "\n")
    sys.stdout.flush()


def peak_mib() -> float:
    """The most memory this process has had resident so far, in MiB."""
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024
