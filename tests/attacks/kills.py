"""SIGKILL at write points and at random moments: the same command ends with the same bytes, nothing is left over."""

import json
import random
import shutil
import time
from collections.abc import Iterator
from functools import partial
from pathlib import Path

from tests.attacks.attack import Attack, Room
from tests.attacks.hooks import counting, killed, spread
from tests.attacks.kind_a import ids_of
from tests.attacks.snapshots import difference, snapshot, strays
from tests.attacks.stock import caption, embed, train_clip, train_vlm
from tests.attacks.verbs import Running

TIMED = ("training_log.json", "README.md", "training_args.bin", "trainer_state.json", "scheduler.pt", "optimizer.pt")
KILLED = ("remove", "publish", "caption", "embed", "train clip", "train vlm")


def command(room: Room, verb: str) -> list[object]:
    place = room.path / "place"
    if verb == "remove":
        return ["build", place, "--remove", room.path / "ids.txt", "--workers", 1]
    if verb == "publish":
        return ["build", place, "--publish", "full", "--workers", 1]
    return {"caption": caption, "embed": embed, "train clip": train_clip, "train vlm": train_vlm}[verb](
        room.stock, place
    )


def reset(room: Room, verb: str) -> None:
    place = room.path / "place"
    shutil.rmtree(place, ignore_errors=True)
    if verb in ("remove", "publish"):
        shutil.copytree(room.stock.base, place, symlinks=True)


def compared(folder: Path, verb: str) -> dict[str, str]:
    """A snapshot; of training without files that hold seconds or the order of pickles, but with the losses."""
    held = snapshot(folder)
    if verb.startswith("train"):
        held = {name: "there" if name.split("/")[-1] in TIMED else entry for name, entry in held.items()}
        log = folder / "training_log.json"
        if log.exists():
            held["losses"] = str(
                [entry["loss"] for entry in json.loads(log.read_text())["history"] if "loss" in entry]
            )
    return held


def same_bytes(room: Room, verb: str, kills: int) -> None:
    (room.path / "ids.txt").write_text("\n".join(ids_of(room.stock.base, 2)))
    reset(room, verb)
    begin = time.monotonic()
    done = room.run(command(room, verb))
    seconds = time.monotonic() - begin
    assert done.code == 0, f"uninterrupted: {done.says()}"
    whole = compared(room.path / "place", verb)
    assert not strays(whole), f"left over without a kill: {strays(whole)[:5]}"
    reset(room, verb)
    room.run(command(room, verb), counting(room.path / "place", room.path / "count"))
    points = spread(int((room.path / "count").read_text()), -(-kills // 2))
    draw, hits = random.Random(12), 0
    for number in range(kills):
        reset(room, verb)
        at = number // 2 % len(points)
        prepare = killed(room.path / "place", points[at]) if number % 2 == 0 else (lambda: None)
        running = Running(command(room, verb), room.path / "log", prepare)
        moment = draw.random() * seconds
        running.wait(60 if number % 2 == 0 else moment)
        hits += running.kill()
        where = f"killed at write point {points[at]}" if number % 2 == 0 else f"killed after {moment:.2f} s"
        done = room.run(command(room, verb))
        assert done.code == 0, f"{where}: the same command does not end it: {done.says()}"
        change = difference(whole, compared(room.path / "place", verb))
        assert not change, f"{where}: other bytes: {change}"
    assert hits >= kills // 3, f"only {hits} of {kills} were killed before their end"


def attacks(kills: int = 50) -> Iterator[Attack]:
    """Yields one attack a verb."""
    for verb in KILLED:
        yield Attack("kills", verb, f"{kills} SIGKILLs", partial(same_bytes, verb=verb, kills=kills))
