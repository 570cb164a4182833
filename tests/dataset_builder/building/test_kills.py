"""Builds that are killed, or stopped by their disk, at any moment: the same command ends with the same bytes."""

import logging
import os
import random
import resource
import signal
import sys
import time
from multiprocessing import get_context

import pyarrow as pa
import pytest
import yaml

from dataset_builder.pipeline import build
from dataset_builder.schema import FEATURES
from dataset_builder.shards.parquet import write_shard
from fusionrs_hf.cli import main
from tests.dataset_builder.made.closed_disks import SmallFiles, obey_modes
from tests.dataset_builder.made.tile_repository import digests, recipe_of, write_source

FORKS = get_context("forkserver")  # its children have imported what a build needs
FORKS.set_forkserver_preload(
    ["dataset_builder.pipeline", "dataset_builder.fusionrs", "tests.dataset_builder.building.test_kills"]
)
STEPS = ("planning", "reading", "merging", "writing", "reporting")


@pytest.fixture(scope="module")
def made(tmp_path_factory):
    """Recipe file, its mapping, the digests of an uninterrupted build, and seconds of each step of one."""
    root = write_source(tmp_path_factory.mktemp("source"))
    path = root / "recipe.yaml"
    given = recipe_of(root).echo()
    path.write_text(yaml.safe_dump({key: value for key, value in given.items() if value is not None}))
    recipe = recipe_of(root, **{name: given[name] for name in ("groups", "splits")})
    out = tmp_path_factory.mktemp("whole") / "out"
    running = started(path, out, workers=1)
    seconds = {step: follow(running, out, step) for step in STEPS}
    running.join()
    assert running.exitcode == 0
    ends = [*[seconds[step] for step in STEPS[1:]], time.monotonic()]
    return path, recipe, digests(out), {step: max(end - seconds[step], 0.002) for step, end in zip(STEPS, ends)}


def command(arguments, log, prepare=None):
    """Runs the command line in a group of its own, its errors into a file."""
    os.setsid()
    with open(log, "w") as file:
        os.dup2(file.fileno(), 2)
    sys.stderr = os.fdopen(2, "w")
    if prepare is not None:
        prepare()
    sys.exit(main(list(map(str, arguments))))


def started(recipe, out, *options, workers=1, prepare=None):
    arguments = ["build", recipe, out, "--workers", workers, *options]
    process = FORKS.Process(target=command, args=(arguments, log_of(out), prepare))
    process.start()
    return process


def log_of(out):
    return out.with_name(f"{out.name}.log")


def step_of(out):
    """Which step a build is in, by what is in its folder."""
    work = out / ".work"
    if (out / "README.md").exists() or (out / ".README.md.partial").exists():
        return "reporting"
    if (work / "write").exists():
        return "writing"
    if not (work / "identity.json").exists():
        return "planning" if out.exists() else None
    with open(work / "tasks.jsonl", "rb") as tasks:
        return "merging" if len(recorded(out)) == sum(1 for _ in tasks) else "reading"


def recorded(out):
    folder = out / ".work" / "read"
    return {name.removesuffix(".json") for name in os.listdir(folder) if name[0] != "."} if folder.exists() else set()


def follow(process, out, step):
    """Waits until a build is in a step or behind it, or has ended; returns the time."""
    places = (None, *STEPS)
    while process.is_alive() and places.index(step_of(out)) < places.index(step):
        time.sleep(0.0005)
    return time.monotonic()


def kill(process):
    """Kills all processes of a build; returns whether it was still running."""
    alive = process.is_alive()
    try:
        os.killpg(process.pid, signal.SIGKILL)
    except ProcessLookupError:
        alive = False
    process.join()
    return alive and process.exitcode == -signal.SIGKILL


def begun(out):
    """Shards that have a file, whole or not, but no result."""
    work = out / ".work"
    files = [path.name for kind in ("kept", "left", "rejected") for path in (work / kind).glob("*")]
    names = {name.lstrip(".").split(".")[0] for name in files + [path.name for path in (work / "read").glob(".*")]}
    return names - recorded(out)


def killed_and_resumed(made, out, step, fraction, workers, caplog):
    """Kills a build within a step and continues it; returns whether it was killed before its end."""
    path, recipe, whole, seconds = made
    process = started(path, out, workers=workers)
    follow(process, out, step)
    time.sleep(fraction * seconds[step])
    killed = kill(process)
    done, redone, whole_before = recorded(out), begun(out), (out / "build_report.json").exists()
    assert len(redone) <= workers, f"{redone} are begun anew"
    caplog.clear()
    with caplog.at_level(logging.INFO):
        build(recipe, out, workers=1)
    if done and not whole_before:
        assert f"reading: {len(done)} of 8 were finished before" in caplog.text
    assert digests(out) == whole
    assert sorted(path.name for path in out.iterdir()) == sorted({name.split("/")[0] for name in whole})
    return killed


@pytest.mark.parametrize(("step", "fraction"), [("planning", 0.5), ("reading", 0.6), ("writing", 0.5)])
def test_a_killed_build_continues_to_the_same_bytes(made, tmp_path, step, fraction, caplog):
    killed_and_resumed(made, tmp_path / "out", step, fraction, 1, caplog)


@pytest.mark.slow
def test_fifty_builds_killed_at_random_moments_continue_to_the_same_bytes(made, tmp_path, caplog):
    draw, killed = random.Random(20), 0
    for number in range(50):
        step, workers = STEPS[number % len(STEPS)], 2 if number % 10 in (1, 3) else 1
        killed += killed_and_resumed(made, tmp_path / str(number), step, draw.random(), workers, caplog)
    assert killed >= 30  # the others had ended before; which step a kill hits depends on the machine


def fails(made, out, *, prepare):
    """Runs a build that has to stop; it leaves no half file beside those of a killed one. Returns its last line."""
    before = set(out.rglob("*.partial"))
    process = started(made[0], out, prepare=prepare)
    process.join()
    lines = log_of(out).read_text().splitlines()
    assert process.exitcode == 2, lines
    assert "Traceback" not in "\n".join(lines)
    assert set(out.rglob("*.partial")) <= before
    return lines[-1]


@pytest.mark.parametrize("size", [1_000, 30_000])
def test_a_full_disk_stops_a_build_in_a_line_and_the_same_command_continues(made, tmp_path, size):
    out = tmp_path / "out"
    line = fails(made, out, prepare=SmallFiles(size))
    assert line.startswith(f"error: the build in {out} stopped: ") and "File too large" in line
    assert f"make room for {out}, then run the same command again to continue" in line
    build(made[1], out, workers=1)
    assert digests(out) == made[2]


@pytest.mark.parametrize("size", [100, 50_000, 300_000, 450_000])
def test_a_shard_that_does_not_fit_leaves_nothing_and_says_why(tmp_path, size):
    rows = [{"rgb": {"bytes": os.urandom(3000), "path": None}, "sample_id": str(number)} for number in range(150)]
    table = pa.Table.from_pylist(rows, schema=FEATURES.arrow_schema)  # 450 kB of images, in two row groups
    before = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (size, before[1]))
    try:
        with pytest.raises(OSError, match="File too large"):
            write_shard(tmp_path / "shard.parquet", table)
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, before)
    assert not os.listdir(tmp_path)


@pytest.mark.skipif(sys.platform != "linux", reason="capabilities are of Linux")
def test_a_read_only_folder_stops_a_build_in_a_line_and_the_same_command_continues(made, tmp_path):
    out = tmp_path / "out"
    process = started(made[0], out)
    follow(process, out, "reading")
    kill(process)
    folders = [out, *(path for path in out.rglob("*") if path.is_dir())]
    for folder in folders:
        folder.chmod(0o555)
    try:
        line = fails(made, out, prepare=obey_modes)
    finally:
        for folder in folders:
            folder.chmod(0o755)
    assert line.startswith("error: ") and "Permission denied" in line
    build(made[1], out, workers=1)
    assert digests(out) == made[2]
