"""Forced schedules (kind B): verb A is stopped at a write point, verb B runs, A goes on; no result is a mixture.

Each verb either ends well or is refused in one line. What is in the folders then is what some serial order of those
that ended well leaves, or one of them alone.
"""

import shutil
from collections.abc import Iterator
from functools import partial
from pathlib import Path

from tests.attacks.attack import Attack, Room
from tests.attacks.hooks import counting, spread, stopped
from tests.attacks.kind_a import ids_of
from tests.attacks.snapshots import difference, snapshot
from tests.attacks.stock import Stock
from tests.attacks.verbs import Done, Running

WAIT_S = 8.0  # for a verb that waits for the one that is stopped


class Place:
    """The folders of one pair: a dataset `D`, a captioned copy `C`, an index `E`; always at the same place."""

    def __init__(self, room: Room, fresh: bool) -> None:
        self.room, self.fresh, self.stock = room, fresh, room.stock
        self.folder = room.path / "place"
        self.ids = {}
        for number, name in enumerate(("one", "two")):
            path = room.path / f"{name}.txt"
            path.write_text("\n".join(ids_of(room.stock.base, start=number)))
            self.ids[name] = path

    def reset(self) -> None:
        shutil.rmtree(self.folder, ignore_errors=True)
        self.folder.mkdir()
        if not self.fresh:
            shutil.copytree(self.stock.base, self.folder / "D", symlinks=True)

    def command(self, verb: str, which: str) -> list[object]:
        data = self.folder / "D"
        workers = ("--workers", 1)
        return {
            "build": ["build", self.stock.recipe, data, *workers],
            "caption": ["caption", data, self.folder / "C", *workers],
            "remove": ["build", data, "--remove", self.ids[which], *workers],
            "publish": ["build", data, "--publish", "full" if which == "one" else "index", *workers],
            "embed": _embed(self.stock, data, self.folder / "E"),
            "audit": ["audit", data, *workers],
        }[verb]

    def run(self, *verbs: tuple[str, str]) -> tuple[dict[str, str], list[Done]]:
        """Runs verbs one after the other on fresh folders."""
        self.reset()
        ended = [self.room.run(self.command(*verb)) for verb in verbs]
        return snapshot(self.folder), ended


def _embed(stock: Stock, data: Path, out: Path) -> list[object]:
    model = ["--model", stock.clip, "--device", "cpu", "--batch-size", 4]
    return ["embed", data, *model, "--output", out]


def never_a_mixture(room: Room, first: str, second: str, points: int) -> None:
    place = Place(room, fresh=first == "build")
    a, b = (first, "one"), (second, "two" if first == second and first == "remove" else "one")
    if first == second == "publish":
        b = (second, "one")
    serial = {order: place.run(*verbs) for order, verbs in {"AB": (a, b), "BA": (b, a), "A": (a,), "B": (b,)}.items()}
    for order, (_, ended) in serial.items():
        for done in ended:
            assert done.code in (0, 3) or done.is_refusal(), f"in order {order}: {done.says()}"
    place.reset()
    count_file = room.path / "count"
    room.run(place.command(*a), counting(place.folder, count_file))
    count = int(count_file.read_text() or 0)
    if not count:  # it writes nothing: there is no point to stop it at
        return
    for point in spread(count, points):
        place.reset()
        done_a, done_b = interleaved(room, place.command(*a), place.command(*b), stopped(place.folder, point))
        judge(f"stopped at write point {point} of {count}", snapshot(place.folder), serial, done_a, done_b)


def interleaved(room: Room, a: list[object], b: list[object], stop) -> tuple[Done, Done]:
    """Stops A, runs B, lets A go on; B may wait for A."""
    running = Running(a, room.path / "a.log", stop)
    running.wait()
    other = Running(b, room.path / "b.log")
    waits = not other.wait(WAIT_S)
    if running.status is None:
        running.go_on()
    done_a = running.end()
    done_b = other.end()
    assert done_b.code is not None, f"the second verb hangs{' and waited' if waits else ''}: {done_b.says()}"
    return done_a, done_b


def judge(where: str, held: dict[str, str], serial: dict, done_a: Done, done_b: Done) -> None:
    for name, done in (("first", done_a), ("second", done_b)):
        assert done.code in (0, 3) or done.is_refusal(), f"{where}: the {name} ended badly: {done.says()}"
    well_a, well_b = done_a.code in (0, 3), done_b.code in (0, 3)
    orders = ("AB", "BA") if well_a and well_b else ("A", "AB", "BA") if well_a else ("B", "AB", "BA")
    if not (well_a or well_b):
        raise AssertionError(f"{where}: both are refused: {done_a.says()}; {done_b.says()}")
    fitting = [
        order
        for order in orders
        if all(
            order_ended_alike(order, serial, "A" if n == 0 else "B", done) for n, done in enumerate((done_a, done_b))
        )
    ]
    differences = {order: difference(serial[order][0], held) for order in fitting}
    assert "" in differences.values(), (
        f"{where}: a mixture (first {done_a.says()}; second {done_b.says()}); "
        + "; ".join(f"beside {order}: {words}" for order, words in differences.items())
    )


def order_ended_alike(order: str, serial: dict, verb: str, done: Done) -> bool:
    """Whether a verb ended in a serial order as it did here; one refused here may be missing in the order."""
    if verb not in order:
        return done.is_refusal()
    return (serial[order][1][order.index(verb)].code in (0, 3)) == (done.code in (0, 3))


VERBS = ("build", "caption", "remove", "publish", "embed")


def attacks(points: int = 6) -> Iterator[Attack]:
    """Yields all ordered pairs, and `audit` beside each writer."""
    for first in VERBS:
        for second in (*VERBS, "audit"):
            go = partial(never_a_mixture, first=first, second=second, points=points)
            yield Attack("B", first, f"stopped, then {second}", go)
