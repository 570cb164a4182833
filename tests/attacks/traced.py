"""Verbs under strace: which processes they start, which sockets they open, and which files they read.

    strace ... python -m tests.attacks.traced COMMANDS.json RESULTS.json

Everything is imported first; then each command runs in a fork, between two marks in the trace.
"""

import contextlib
import importlib
import json
import os
import re
import shutil
import subprocess
import sys
from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path

MARK = "/fusionrs-attack/"
CALLS = "execve,execveat,socket,connect,open,openat,openat2,creat"
SECONDS = 120
LINE = re.compile(r"^(?:\d+ +)?(?P<call>\w+)\((?P<arguments>.*)\) += (?P<result>-?\d+)(?:<(?P<path>.*)>)?")
UNFINISHED = re.compile(r"^(?P<pid>\d+) +(?P<start>.*) <unfinished \.\.\.>$")
RESUMED = re.compile(r"^(?P<pid>\d+) +<\.\.\. \w+ resumed>(?P<rest>.*)$")


@dataclass(slots=True)
class Trace:
    """What a command did beyond computing; `code` is None where it hung."""

    arguments: list[str]
    code: int | None = None
    error: str = ""
    processes: list[str] = field(default_factory=list)
    sockets: list[str] = field(default_factory=list)
    files: set[str] = field(default_factory=set)


def missing() -> str:
    """Returns why nothing can be traced here, `""` where it can."""
    if shutil.which("strace") is None:
        return "strace is not installed (Debian: apt-get install strace)"
    tried = subprocess.run(["strace", "-f", "-e", "trace=execve", "true"], capture_output=True, text=True)
    return "" if tried.returncode == 0 else f"strace may not trace here: {tried.stderr.strip().splitlines()[-1]}"


def trace(commands: Sequence[Sequence[object]], folder: Path) -> list[Trace]:
    """Runs commands one after the other under strace.

    Args:
        commands: Arguments of `fusionrs`, or `["python", CODE, argument, ...]`.
        folder: For the trace.

    Raises:
        RuntimeError: The traced process itself failed.
    """
    wanted, results, log = folder / "commands.json", folder / "results.json", folder / "trace"
    wanted.write_text(json.dumps([list(map(str, command)) for command in commands]))
    strace = ["strace", "-f", "--seccomp-bpf", "-y", "-s", "4096", "-e", f"trace={CALLS}", "-e", "signal=none"]
    python = [sys.executable, "-m", "tests.attacks.traced", str(wanted), str(results)]
    done = subprocess.run([*strace, "-o", str(log), *python], capture_output=True, text=True, errors="replace")
    if done.returncode:
        raise RuntimeError(f"the traced process failed: {done.stderr[-2000:]}")
    traces = [Trace(list(map(str, command))) for command in commands]
    for one, (code, error) in zip(traces, json.loads(results.read_text()), strict=True):
        one.code, one.error = code, error
    _read(log, traces)
    return traces


def _lines(log: Path):
    """Yields whole lines: calls that another process interrupted are put together."""
    begun = {}
    with open(log, encoding="utf-8", errors="replace") as lines:
        for line in lines:
            line = line.rstrip("\n")
            if match := UNFINISHED.match(line):
                begun[match["pid"]] = match["start"]
            elif match := RESUMED.match(line):
                yield begun.pop(match["pid"], "") + match["rest"]
            else:
                yield line


def _read(log: Path, traces: Sequence[Trace]) -> None:
    current = None
    for line in _lines(log):
        if MARK in line:
            number = int(line.split(MARK)[1].split('"')[0])
            current = traces[number] if number < len(traces) else None
            continue
        match = LINE.match(line)
        if current is None or match is None:
            continue
        call, arguments, result = match["call"], match["arguments"], int(match["result"])
        if call.startswith("execve"):
            current.processes.append(arguments[:200])
        elif call in ("socket", "connect"):
            if not re.search(r"\bAF_(UNIX|LOCAL|NETLINK)\b", arguments):
                current.sockets.append(f"{call}({arguments[:200]})")
        elif result >= 0 and match["path"]:
            current.files.add(match["path"].removesuffix(" (deleted)"))


def _one(command: list[str], log: Path) -> tuple[int | None, str]:
    from tests.attacks.verbs import Running, run

    if command[0] != "python":
        done = run(command, log, seconds=SECONDS)
        return done.code, done.error[-2000:]

    def call() -> None:
        sys.argv = ["-c", *command[2:]]
        exec(command[1], {"__name__": "__main__"})
        raise SystemExit(0)

    done = Running([], log, call).end(SECONDS)
    return done.code, done.error[-2000:]


def main() -> None:
    """Runs in the traced process."""
    from tests.attacks.verbs import PRELOADED

    commands, results = Path(sys.argv[1]), Path(sys.argv[2])
    for name in (*PRELOADED, "rasterio", "rasterio.vrt", "rasterio.warp", "PIL.features"):
        importlib.import_module(name)
    ended = []
    for number, command in enumerate(json.loads(commands.read_text())):
        _mark(number)
        ended.append(_one(command, results.with_name("verb.log")))
    _mark(len(ended))
    results.write_text(json.dumps(ended))


def _mark(number: int) -> None:
    with contextlib.suppress(OSError):
        os.close(os.open(f"{MARK}{number}", os.O_RDONLY))


if __name__ == "__main__":
    main()
