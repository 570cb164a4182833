"""`fusionrs` as a user runs it: in a process of its own, with what it leaves on stderr, and what its help imports."""

import os
import resource
import subprocess
import sys

HEAVY = ("torch", "transformers", "datasets", "numpy", "pyarrow", "huggingface_hub", "yaml")


def run_command(*arguments: object) -> subprocess.CompletedProcess:
    command = [sys.executable, "-m", "fusionrs_hf.cli", *map(str, arguments)]
    return subprocess.run(command, capture_output=True, text=True, stdin=subprocess.DEVNULL)


def assert_one_line_error(done: subprocess.CompletedProcess, *fragments: str) -> None:
    assert done.returncode == 2, done.stderr
    lines = [line for line in done.stderr.splitlines() if line.strip()]
    assert lines[-1].startswith("error: ") and "Traceback" not in done.stderr
    for fragment in fragments:
        assert fragment in lines[-1]


def assert_light_help(arguments: list[str]) -> str:
    """Returns the help, which took well under a second of processor time and imported nothing heavy."""
    code = (
        "import sys\nfrom fusionrs_hf.cli import main\n"
        f"try:\n    code = main({arguments!r})\nexcept SystemExit as stop:\n    code = stop.code\nassert code == 0\n"
        f"print([name for name in {HEAVY!r} if name in sys.modules])"
    )
    before = resource.getrusage(resource.RUSAGE_CHILDREN)
    done = subprocess.run(
        [sys.executable, "-c", code], capture_output=True, text=True, env={**os.environ, "COLUMNS": "100"}
    )
    after = resource.getrusage(resource.RUSAGE_CHILDREN)
    assert done.returncode == 0, done.stderr
    assert after.ru_utime + after.ru_stime - before.ru_utime - before.ru_stime < 0.8
    text, heavy = done.stdout.rstrip().rsplit("\n", 1)
    assert heavy == "[]"
    return text
