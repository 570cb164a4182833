"""Training that is finished stays finished, and `the same command continues` is printed where it is true only."""

import json
import shutil
from collections.abc import Iterator
from functools import partial
from pathlib import Path

from tests.attacks.attack import Attack, Room, assert_clean
from tests.attacks.hooks import counting, signalled, spread
from tests.attacks.snapshots import difference, snapshot
from tests.attacks.stock import train_clip, train_vlm

TRAIN = {"train clip": train_clip, "train vlm": train_vlm}
SCHEDULES = ("constant", "linear", "cosine")
CONTINUES = "the same command continues"


def weights(folder: Path) -> dict[str, str]:
    return {name: entry for name, entry in snapshot(folder).items() if name.endswith(".safetensors")}


def again(room: Room, verb: str, options: tuple[object, ...], change: tuple[object, ...] = ()) -> None:
    """The same command twice more: the model stays to the byte, and so does what the card and log say."""
    out = room.path / "out"
    arguments = TRAIN[verb](room.stock, out, *options)
    done = room.run(arguments)
    assert done.code == 0, f"the first run: {done.says()}"
    before = snapshot(out)
    for _ in range(2):
        done = room.run([*arguments, *change])
        assert done.code == 0, f"run again: {done.says()}"
        assert "nothing to do" in done.error, f"does not say that there is nothing to do: {done.says()}"
        change_of = difference(before, snapshot(out))
        assert not change_of, f"a finished run was touched: {change_of}"


def last_checkpoint_alone(room: Room, verb: str) -> None:
    """Killed after the last checkpoint, before the model is saved: no step more than the goal."""
    out, whole, kept = room.path / "out", room.path / "whole", ("--keep_checkpoints", True)
    assert room.run(TRAIN[verb](room.stock, whole, *kept)).code == 0
    steps = json.loads((whole / "training_log.json").read_text())["steps"]
    last = whole / f"checkpoint-{steps}"
    assert last.is_dir(), f"there is no {last.name}"
    room.run(TRAIN[verb](room.stock, out, *kept), counting(out, room.path / "count"))
    count = int((room.path / "count").read_text())
    for point in spread(count, 8)[4:]:
        shutil.rmtree(out)
        room.run(TRAIN[verb](room.stock, out, *kept), signalled(out, point, 9))
        done = room.run(TRAIN[verb](room.stock, out, *kept))
        assert done.code == 0, f"killed at write point {point} of {count}: {done.says()}"
        assert json.loads((out / "training_log.json").read_text())["steps"] == steps, "it trained past its goal"
        assert weights(out) == weights(whole), f"killed at write point {point} of {count}: other weights"


def interrupted(room: Room, arguments: list[object], out: Path, promised: bool) -> None:
    """Ctrl-C: whether `the same command continues` is said, as it is true or not."""
    out.mkdir(parents=True, exist_ok=True)
    room.run(arguments, counting(out, room.path / "count"))
    shutil.rmtree(out)
    count = int((room.path / "count").read_text() or 0) if (room.path / "count").stat().st_size else 0
    done = room.run(arguments, signalled(out, count * 2 // 3, 2))
    assert done.code == 130, f"expected exit code 130, got {done.says()}"
    assert "Traceback" not in done.error
    assert (CONTINUES in done.error) == promised, f"`{CONTINUES}` is {'not ' if promised else ''}said: {done.says()}"


def interrupted_training(room: Room, verb: str, checkpoints: bool) -> None:
    out = room.path / "out"
    options = () if checkpoints else ("--save_strategy", "no")
    interrupted(room, TRAIN[verb](room.stock, out, *options), out, checkpoints)


def interrupted_eval(room: Room) -> None:
    out = room.path / "out"
    score = ["eval", "clip", "--model", room.stock.run, "--dataset", room.stock.base, "--ir_origin", "any"]
    interrupted(room, [*score, "--output", out / "metrics.json"], out, promised=False)


def further_goal(room: Room, verb: str) -> None:
    """A further goal is another command: it trains on, or is refused; the steps are what was asked for."""
    out = room.path / "out"
    assert room.run(TRAIN[verb](room.stock, out)).code == 0
    done = room.run(TRAIN[verb](room.stock, out, "--max_steps", 5))
    assert_clean(done)
    steps = json.loads((out / "training_log.json").read_text())["steps"]
    assert steps == (5 if done.code == 0 else json.loads((out / "training_log.json").read_text())["steps"])


def attacks() -> Iterator[Attack]:
    """Yields all attacks on trainers."""
    for verb in TRAIN:
        for schedule in SCHEDULES:
            go = partial(again, verb=verb, options=("--lr_scheduler_type", schedule))
            yield Attack("training", verb, f"run again, {schedule} rate", go)
        for name, options in {
            "checkpoints seldom": ("--save_steps", 2),
            "no checkpoints": ("--save_strategy", "no"),
            "one checkpoint kept": ("--save_total_limit", 1),
            "by epochs": ("--max_steps", -1, "--num_train_epochs", 1),
        }.items():
            yield Attack("training", verb, f"run again, {name}", partial(again, verb=verb, options=options))
        go = partial(again, verb=verb, options=(), change=("--logging_steps", 2))
        yield Attack("training", verb, "run again, logging otherwise", go)
        yield Attack("training", verb, "killed at its end", partial(last_checkpoint_alone, verb=verb))
        yield Attack("training", verb, "a further goal", partial(further_goal, verb=verb))
        for checkpoints in (True, False):
            go = partial(interrupted_training, verb=verb, checkpoints=checkpoints)
            yield Attack("training", verb, f"Ctrl-C with{'' if checkpoints else 'out'} checkpoints", go)
    yield Attack("training", "eval clip", "Ctrl-C", interrupted_eval)
