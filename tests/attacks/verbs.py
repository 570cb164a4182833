"""Verbs in processes of their own, forked from one that has imported everything: quick, and with hooks where asked."""

import contextlib
import os
import signal
import subprocess
import sys
import time
import traceback
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

PATIENCE_S = 180.0  # until a verb counts as hanging
POLL_S = 0.005
PRELOADED = (
    *("dataset_builder.pipeline", "dataset_builder.recaption", "dataset_builder.audit.verb"),
    *("dataset_builder.publish.copies", "dataset_builder.publish.takedown", "dataset_builder.search.embedding"),
    *("dataset_builder.search.results", "fusionrs_hf.cli", "fusionrs_hf.convert_open_clip", "fusionrs_hf.export"),
    *("training.train_clip", "training.train_vlm", "training.evaluate_clip", "dataset_builder.cli", "training.cli"),
)


@dataclass(frozen=True, slots=True)
class Done:
    """How a verb ended; `code` is negative for a signal, None where it had to be killed for not ending.

    `worked_s` are the seconds that processors worked for it, where that was measured.
    """

    code: int | None
    error: str
    worked_s: float = 0.0

    def says(self) -> str:
        lines = [line for line in self.error.splitlines() if line.strip()]
        return f"exit {self.code}: {lines[-1][:300] if lines else 'nothing on stderr'}"

    def is_refusal(self) -> bool:
        """Whether it ended with exit code 2 and one line of error, the last."""
        lines = [line for line in self.error.replace("\r", "\n").splitlines() if line.strip()]
        errors = [line for line in lines if line.startswith("error: ")]
        return self.code == 2 and "Traceback" not in self.error and len(errors) == 1 and lines[-1] == errors[0]


class Running:
    """A verb in a child of this process.

    Args:
        arguments: Of the command line.
        log: File for stderr.
        prepare: Called in the child before the verb: sets hooks, limits.
    """

    def __init__(self, arguments: Sequence[object], log: Path, prepare: Callable[[], None] = lambda: None) -> None:
        self.log, self.status, self.worked_s = log, None, 0.0
        sys.stdout.flush()
        self.pid = os.fork()
        if self.pid == 0:
            os._exit(_run(list(map(str, arguments)), log, prepare))

    def poll(self) -> bool:
        """Returns whether the verb has stopped itself or ended."""
        if self.status is None:
            pid, status, used = os.wait4(self.pid, os.WNOHANG | os.WUNTRACED)
            if pid and os.WIFSTOPPED(status):
                return True
            self.status, self.worked_s = (status, used.ru_utime + used.ru_stime) if pid else (None, 0.0)
        return self.status is not None

    def wait(self, seconds: float = PATIENCE_S) -> bool:
        """Waits until the verb has stopped itself or ended; returns False where it does neither in time."""
        end = time.monotonic() + seconds
        while not self.poll():
            if time.monotonic() > end:
                return False
            time.sleep(POLL_S)
        return True

    def go_on(self) -> None:
        """Lets one that stopped itself continue."""
        os.kill(self.pid, signal.SIGCONT)

    def kill(self) -> bool:
        """Kills it; returns whether it was still at work."""
        if not self.poll() or self.status is None:
            for target in (os.killpg, os.kill):  # its group is there when it has begun
                with contextlib.suppress(ProcessLookupError):
                    target(self.pid, signal.SIGKILL)
            _, self.status = os.waitpid(self.pid, 0)
        return os.WIFSIGNALED(self.status)

    def end(self, seconds: float = PATIENCE_S) -> Done:
        """Waits for the end, kills what hangs, and says how it ended."""
        in_time = self.wait(seconds) and self.status is not None
        if not in_time:
            self.kill()
        error = self.log.read_text(errors="replace")
        return Done(os.waitstatus_to_exitcode(self.status) if in_time else None, error, self.worked_s)


def _run(arguments: list[str], log: Path, prepare: Callable[[], None]) -> int:
    os.setsid()
    signal.signal(signal.SIGINT, signal.default_int_handler)
    for number, name, flags in ((0, os.devnull, os.O_RDONLY), (1, os.devnull, os.O_WRONLY), (2, log, os.O_WRONLY)):
        file = os.open(name, flags | os.O_CREAT | (os.O_TRUNC if number == 2 else 0), 0o644)
        os.dup2(file, number)
    sys.stdout, sys.stderr = os.fdopen(1, "w", closefd=False), os.fdopen(2, "w", buffering=1, closefd=False)
    sys.argv = ["fusionrs", *arguments]
    try:
        from fusionrs_hf.cli import main

        prepare()
        code = main(arguments)
    except SystemExit as stop:
        code = stop.code if isinstance(stop.code, int) else int(stop.code is not None)
    except BaseException:  # noqa: BLE001 - as Python ends a process
        traceback.print_exc()
        code = 1
    sys.stderr.flush()
    return code


def run(
    arguments: Sequence[object],
    log: Path,
    prepare: Callable[[], None] = lambda: None,
    seconds: float = PATIENCE_S,
) -> Done:
    """Runs a verb to its end."""
    return Running(arguments, log, prepare).end(seconds)


def run_fresh(
    arguments: Sequence[object], environment: Mapping[str, str] | None = None, seconds: float = PATIENCE_S
) -> Done:
    """Runs a verb in a new interpreter, for what is read when libraries are imported."""
    command = [sys.executable, "-m", "fusionrs_hf.cli", *map(str, arguments)]
    try:
        done = subprocess.run(
            command,
            capture_output=True,
            text=True,
            errors="replace",
            stdin=subprocess.DEVNULL,
            timeout=seconds,
            env={**os.environ, **(environment or {})},
        )
    except subprocess.TimeoutExpired as error:
        return Done(None, (error.stderr or b"").decode(errors="replace"))
    return Done(done.returncode, done.stderr)
