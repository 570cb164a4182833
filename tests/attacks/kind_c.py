"""C: an unfinished build, captioning, copy or removal is known to every reader: refused, with what finishes it."""

import json
import os
import shutil
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from functools import partial
from pathlib import Path

from tests.attacks.attack import Attack, Room, assert_refused, assert_same
from tests.attacks.hooks import counting, killed, stopped
from tests.attacks.kind_a import ids_of
from tests.attacks.snapshots import snapshot
from tests.attacks.stock import Stock, train_clip, train_vlm
from tests.attacks.verbs import Running, run_fresh

FRACTIONS = (0.15, 0.5, 0.8)  # of the write points of the verb that is cut short


def begin(room: Room, state: str, dataset: Path) -> list[object]:
    """The command that is cut short, after what it needs is there."""
    workers = ("--workers", 1)
    if state == "build":
        return ["build", room.stock.recipe, dataset, *workers]
    if state == "caption":
        return ["caption", room.stock.base, dataset, *workers]
    shutil.copytree(room.stock.base, dataset, symlinks=True)
    (room.path / "ids.txt").write_text("\n".join(ids_of(dataset, 2)))
    if state == "publish":
        return ["build", dataset, "--publish", "full", *workers]
    return ["build", dataset, "--remove", room.path / "ids.txt", *workers]


def is_unfinished(dataset: Path, state: str) -> bool:
    if not dataset.is_dir():
        return False
    manifest = dataset / ".fusionrs.json"
    if manifest.exists() and not json.loads(manifest.read_text())["finished"]:
        return True
    if state == "remove":
        return (dataset / ".removal" / "plan.json").exists()
    report = {"caption": "caption_report.json"}.get(state, "build_report.json")
    return any(dataset.iterdir()) and not (dataset / report).exists()


def readers(room: Room, data: Path) -> dict[str, list[object]]:
    """What reads a dataset, each with the folder or file it would write."""
    stock, out = room.stock, room.path / "out"
    workers = ("--workers", 1)
    of = Stock(stock.home)
    train = {"train clip": train_clip(of, out), "train vlm": train_vlm(of, out)}
    for arguments in train.values():
        arguments[arguments.index("--dataset") + 1] = data
    score = ["eval", "clip", "--model", stock.run, "--dataset", data, "--ir_origin", "any", "--output", out / "m.json"]
    return {
        "caption": ["caption", data, out, *workers],
        "caption --check": ["caption", "--check", data, *workers],
        "audit": ["audit", data, "--report", out / "audit.json", *workers],
        "audit --against": ["audit", stock.base, "--against", data, *workers],
        "embed": ["embed", data, "--model", stock.clip, "--output", out, "--device", "cpu"],
        "publish": ["build", data, "--publish", "index", *workers],
        "eval clip": score,
        "push": ["push", "dataset", data, "attacks/rows"],
        **train,
    }


def refused_by(room: Room, state: str, reader: str, running: bool) -> None:
    dataset = room.path / "D"
    command = begin(room, state, dataset)
    room.run(command, counting(room.path / "D", room.path / "count"))
    count, tried = int((room.path / "count").read_text()), 0
    for fraction in FRACTIONS:
        for name in ("D", "out"):
            shutil.rmtree(room.path / name, ignore_errors=True)
        point = int(fraction * count)
        command = begin(room, state, dataset)
        hook = (stopped if running else killed)(dataset, point)
        cut = Running(command, room.path / "cut.log", hook)
        cut.wait()
        folder = dataset / "publish" / "full" if state == "publish" else dataset
        try:
            if not is_unfinished(folder, state):
                continue
            tried += 1
            before = snapshot(dataset)
            done = push(room, folder) if reader == "push" else room.run(readers(room, folder)[reader])
            where = f"cut at write point {point} of {count}: "
            try:
                assert_refused(done)
                line = done.error.strip().splitlines()[-1]
                assert "fusionrs " in line or "same command" in line, f"no way to finish it is named: {line[:300]}"
                assert_same(before, dataset, "the dataset")
                assert not snapshot(room.path / "out"), "an output was begun"
            except AssertionError as error:
                raise AssertionError(where + str(error)) from error
        finally:
            cut.kill()
    assert tried, "no point was found at which it is unfinished"


@contextmanager
def loopback_hub(folder: Path) -> Iterator[dict[str, str]]:
    """A Hub on this machine in a process of its own; yields the environment of its clients."""
    command = [sys.executable, "-u", "-m", "tests.made.hub_server", "--root", str(folder)]
    server = subprocess.Popen(command, stderr=subprocess.PIPE, stdout=subprocess.DEVNULL, text=True)
    try:
        line = server.stderr.readline()
        variables = dict(part.split("=", 1) for part in line.split() if "=" in part)
        caches = {"HF_HOME": str(folder / "home"), "HF_TOKEN_PATH": str(folder / "home" / "token")}
        offline = dict.fromkeys(("HF_HUB_OFFLINE", "HF_DATASETS_OFFLINE", "TRANSFORMERS_OFFLINE"), "0")
        yield {**variables, **caches, **offline, "HF_HUB_DISABLE_TELEMETRY": "1", "NO_PROXY": "127.0.0.1"}
    finally:
        server.kill()
        server.wait()


def push(room: Room, folder: Path, kind: str = "dataset"):
    with loopback_hub(room.path / "hub") as environment:
        done = run_fresh(["push", kind, folder, "attacks/rows"], environment)
        up = list((room.path / "hub").glob("datasets/**/*")) + list((room.path / "hub").glob("models/**/*"))
    assert done.code == 0 or not up, f"something went up: {[os.fspath(path) for path in up][:3]}"
    return done


READERS = (
    "caption",
    "caption --check",
    "audit",
    "audit --against",
    "embed",
    "publish",
    "eval clip",
    "push",
    "train clip",
    "train vlm",
)


def attacks() -> Iterator[Attack]:
    """Yields all attacks of this kind."""
    for state in ("build", "caption", "remove"):
        for reader in READERS:
            if state == "caption" and reader == "publish":
                continue  # what is to be published is a build
            for running in (False, True):
                name = f"{state}, {'stopped' if running else 'killed'}: {reader}"
                go = partial(refused_by, state=state, reader=reader, running=running)
                yield Attack("C", reader.split(" --")[0], name, go)
    go = partial(refused_by, state="publish", reader="push", running=False)
    yield Attack("C", "push", "a copy in publish/, killed", go)
    for state in ("build", "caption"):
        go = partial(refused_by, state=state, reader="remove", running=False)
        yield Attack("C", "remove", f"{state}, killed", partial(removal_refused, state=state))


def removal_refused(room: Room, state: str) -> None:
    """A removal from what is not finished."""
    dataset = room.path / "D"
    (room.path / "ids.txt").write_text("\n".join(ids_of(room.stock.base, 1)))
    command = begin(room, state, dataset)
    room.run(command, counting(dataset, room.path / "count"))
    shutil.rmtree(dataset)
    cut = Running(command, room.path / "cut.log", killed(dataset, int((room.path / "count").read_text()) // 2))
    cut.wait()
    assert is_unfinished(dataset, state)
    before = snapshot(dataset)
    assert_refused(room.run(["build", dataset, "--remove", room.path / "ids.txt", "--workers", 1]))
    assert_same(before, dataset)
