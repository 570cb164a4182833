"""Thousands of files and many gigabytes go up in bounded memory, and after a kill no file that arrived goes again."""

import os
import subprocess
import sys
import time
from pathlib import Path

import pytest

from tests.made.hub_server import LoopbackHub

FILES = 2000
GIGABYTES = float(os.environ.get("FUSIONRS_LARGE_PUSH_GB", "0.2"))  # 20: as large as the bar, some minutes
GROWTH_MB = 150  # what the client needs to name 2,000 files and to send some at a time, at any size of theirs


def write_sparse(folder: Path, files: int, size: int) -> Path:
    """Writes files that differ in their first bytes and are otherwise holes."""
    folder.mkdir()
    for number in range(files):
        with open(folder / f"train-{number:05d}.parquet", "wb") as file:
            file.write(number.to_bytes(8, "big"))
            file.truncate(size)
    return folder


def sent(hub: LoopbackHub) -> list[str]:
    """Returns SHA-256 of each large file whose sending has begun, in order."""
    return [line.rsplit("/", 1)[1] for line in hub.requests if line.startswith("PUT /lfs/")]


@pytest.mark.slow
def test_two_thousand_files_go_up_in_bounded_memory_and_once_also_after_a_kill(tmp_path: Path):
    folder = write_sparse(tmp_path / "files", FILES, round(GIGABYTES * 1e9 / FILES))
    with LoopbackHub(tmp_path / "hub", discards=True) as hub:
        command = [sys.executable, "-m", "tests.training.release.made.large_push", str(folder), "large/rows"]
        environment = os.environ | hub.environment()
        first = subprocess.Popen(command, env=environment)
        while len(sent(hub)) < FILES // 3 and first.poll() is None:
            time.sleep(0.1)
        first.kill()
        assert first.wait() == -9, "it had sent all before it was killed"
        time.sleep(1)  # what was on its way ends, either way
        arrived, before = {path.name for path in hub.blobs.iterdir()}, len(sent(hub))
        done = subprocess.run(command, env=environment, stdout=subprocess.PIPE, text=True, check=True)
        again = sent(hub)[before:]
        assert len(arrived) > FILES // 4 and not arrived.intersection(again) and len(again) == len(set(again))
        (branch,) = [name for name in hub.repository("datasets", "large/rows").refs["branches"] if name != "main"]
        tree = hub.repository("datasets", "large/rows").commit(branch)["tree"]
        assert sum(name.endswith(".parquet") for name in tree) == FILES
        assert float(done.stdout) < GROWTH_MB, f"memory grew by {done.stdout.strip()} MB"
