"""E, F, G, K, P, Q: every entry of every verb given what it cannot be, made from the parsers and dataclasses.

A cell is a verb and an entry (a flag, a key of a recipe, a kind of file) with three wrong values or more. It holds if
none ends in a traceback or exit code 70, none works longer than `SECONDS` or waits, no file of the user is touched.
"""

import os
import stat
from collections.abc import Callable, Iterable, Iterator, Sequence
from functools import partial
from pathlib import Path
from typing import Any

import yaml

from tests.attacks.attack import Attack, Room, assert_same
from tests.attacks.entries import Entry, entries, recipe_keys
from tests.attacks.own_data import eval_command, source_specs
from tests.attacks.snapshots import snapshot
from tests.attacks.stock import TRAINERS, WRITERS, recipe_of
from tests.attacks.wrong_files import CONTENTS, FILES

SECONDS = 10.0  # of processors, so that a machine that is shared changes no result
HANGING_S = 90.0
VALUES: tuple[Any, ...] = (5, "x", [], {}, True, [None], {"a": [1]}, "\x1b", float("nan"), float("inf"), -1, 10**400)
METHODS = ("clip", "vlm", "vlm-need", "translator", "zero-shot", "hit-uav", "caltech-pairs")
VERBS = (
    *("build", "inspect", "caption", "translate", "audit", "embed", "search", "convert open-clip", "export", "ablate"),
    *("train clip", "train vlm", "train translator", *(f"eval {method}" for method in METHODS)),
    *("card", "push", "verify"),
)


def base_command(room: Room, verb: str) -> list[object]:
    """Returns a command of a verb that works, into a folder of the room."""
    stock, out = room.stock, room.path / "out"
    if verb.startswith("eval "):
        return eval_command(stock, verb.removeprefix("eval "), room.path / "m.json")
    if verb in TRAINERS:
        return TRAINERS[verb](stock, out)
    if verb in WRITERS:
        return WRITERS[verb](stock, out)
    return {
        "inspect": ["inspect", stock.photos],
        "audit": ["audit", stock.base, "--workers", 1],
        "search": ["search", stock.index, "--text", "dry ground"],
        "translate": ["translate", stock.photos, out],
        "convert open-clip": WRITERS["convert"](stock, out),
        "card": ["card", stock.run],
        "push": ["push", "dataset", stock.base, "a/b"],
        "verify": ["verify", "datasets/a/b"],
        "ablate": ["ablate", room.path / "missing.yaml", "--output", out],
    }[verb]


def judge(room: Room, commands: Iterable[Sequence[object]], untouched: Sequence[Path]) -> None:
    """Runs commands; asserts that each ends as documented, soon, and touches nothing of the user."""
    before, faults, count = [snapshot(folder) for folder in untouched], [], 0
    (room.path / "here").mkdir()
    for arguments in commands:
        count += 1
        done = room.run(arguments, partial(os.chdir, room.path / "here"), HANGING_S)
        shown = " ".join(map(str, arguments))[-80:]
        if "Traceback" in done.error or done.code not in (0, 2, 3):
            faults.append(f"{shown!r}: {done.says()}")
        elif done.worked_s > SECONDS:
            faults.append(f"{shown!r}: {done.worked_s:.0f} s")
        elif any(not (c.isprintable() or c in "\n\r\t") for c in done.error.replace("\x1b[A", "")):
            faults.append(f"{shown!r}: what a terminal obeys is on stderr")
    assert count >= 3, f"only {count} wrong values"
    assert not faults, f"{len(faults)} of {count}: " + "; ".join(faults[:4])
    for folder, held in zip(untouched, before, strict=True):
        assert_same(held, folder)


def wrong_entry(room: Room, entry: Entry) -> None:
    folder = room.path / "folder"
    folder.mkdir()
    (folder / "thesis.txt").write_text("of the user\n")
    os.mkfifo(folder / "pipe")
    places = {"PIPE": str(folder / "pipe"), "FOLDER": str(folder), "DEVICE": str(folder / "device")}
    if os.geteuid() == 0:
        os.mknod(folder / "device", 0o666 | stat.S_IFCHR, os.makedev(1, 3))  # as /dev/null, which root could replace
    else:
        (folder / "device").symlink_to("/dev/null")
    base = base_command(room, entry.verb)
    values = [places.get(value, value) for value in entry.wrong]
    if entry.place is None:
        commands = ([*base, f"{entry.name}={value}"] for value in values)
    else:
        place = entry.place + len(entry.verb.split())
        commands = ([*base[:place], value, *base[place + 1 :]] for value in [*values, *places.values()])
    judge(room, commands, [room.stock.home, folder])


def wrong_key(room: Room, kind: str, change: Callable[[dict, Any], None]) -> None:
    """Builds recipes over a source of a kind, each with a wrong value of a key."""
    path, out = room.path / "wrong.yaml", room.path / "out"

    def commands() -> Iterator[list[object]]:
        for number, value in enumerate(VALUES):
            recipe = recipe_of({}, sources=[source_specs(room.stock)[kind]])
            del recipe["caption"]
            change(recipe, value)
            path.write_text(yaml.safe_dump(recipe))
            yield ["build", path, out / str(number), "--workers", 1]

    judge(room, commands(), [room.stock.home])


def wrong_file(room: Room, prepare: Callable[[Room, Path], list[object]]) -> None:
    def commands() -> Iterator[list[object]]:
        for number, content in enumerate(CONTENTS.values()):
            place = room.path / str(number)
            place.mkdir()
            (place / "file").write_bytes(content)
            yield prepare(room, place)

    judge(room, commands(), [room.stock.home])


def attacks() -> Iterator[Attack]:
    """Yields one attack for each cell of the matrix."""
    for verb in VERBS:
        for entry in entries(verb):
            yield Attack("G", verb, f"wrong values of {entry.name}", partial(wrong_entry, entry=entry))
    for name, kind, change in recipe_keys():
        yield Attack("G", "build", f"wrong values of the key {name}", partial(wrong_key, kind=kind, change=change))
    for (verb, name), prepare in FILES.items():
        yield Attack("E, F, G", verb, f"wrong files as {name}", partial(wrong_file, prepare=prepare))
