"""O: a file that changes while it is read is told with both hashes, and no row is kept under a wrong fingerprint."""

import hashlib
import os
import shutil
from collections.abc import Callable, Iterator
from functools import partial
from pathlib import Path

from tests.attacks.attack import Attack, Room, assert_refused
from tests.attacks.hooks import counting, spread, stopped
from tests.attacks.snapshots import difference, snapshot
from tests.attacks.stock import write_photos, write_recipe
from tests.attacks.verbs import Running

POINTS = 5


def of_the_same_size(path: Path) -> None:
    data = bytearray(path.read_bytes())
    data[-2] ^= 1
    path.write_bytes(data)


def with_its_times(path: Path) -> None:
    status = os.stat(path)
    of_the_same_size(path)
    os.utime(path, ns=(status.st_atime_ns, status.st_mtime_ns))


def by_a_rename(path: Path) -> None:
    other = path.with_name(".other")
    shutil.copy2(path, other)
    of_the_same_size(other)
    os.replace(other, path)


def by_another_image(path: Path) -> None:
    shutil.copyfile(path.with_name("17.png"), path)


CHANGES: dict[str, Callable[[Path], object]] = {
    "replaced by another image": by_another_image,
    "replaced by a rename": by_a_rename,
    "written in place, same size": of_the_same_size,
    "written in place, same size and times": with_its_times,
    "grown": lambda path: path.write_bytes(path.read_bytes() + b"\n"),
    "truncated": lambda path: os.truncate(path, path.stat().st_size // 2),
    "emptied": lambda path: os.truncate(path, 0),
}


def told(room: Room, name: str, change: Callable[[Path], object]) -> None:
    """Changes a file at write points of a build: it is told, or the build describes what lay there to its end."""
    out, first, times = room.path / "out", None, 0
    photos = write_photos(room.path / "photos")
    recipe = write_recipe(room.path / "recipe.yaml", photos)
    arguments = ["build", recipe, out, "--workers", 1]
    kept = {path.name: path.read_bytes() for path in photos.iterdir()}
    assert room.run(arguments, counting(out, room.path / "count")).code == 0
    count = int((room.path / "count").read_text())
    first = snapshot(out)
    for point in spread(count, POINTS):
        shutil.rmtree(out, ignore_errors=True)
        for file, data in kept.items():
            (photos / file).write_bytes(data)
        before = hashlib.sha256(kept[name]).hexdigest()
        running = Running(arguments, room.path / "log", stopped(out, point))
        running.wait()
        change(photos / name)
        now = hashlib.sha256((photos / name).read_bytes()).hexdigest()
        if running.status is None:
            running.go_on()
        done, where = running.end(), f"changed at write point {point} of {count}: "
        if done.code == 0:  # changed before the plan, or when all was read
            held = snapshot(out)
            shutil.rmtree(out)
            again = room.run(arguments)
            anew = snapshot(out) if again.code == 0 else {}
            assert not difference(first, held) or not difference(anew, held), (
                f"{where}what was built is of neither state"
            )
            continue
        times += 1
        assert_refused(done, name)
        line = done.error.strip().splitlines()[-1]
        if "planned;" not in line:
            both = before[:16] in line and now[:16] in line
            if not both:  # changed before it was first read: what is said is said of the new file alone
                shutil.rmtree(out, ignore_errors=True)
                assert room.run(arguments).error.strip().endswith(line), f"{where}not told with both hashes: {line}"
        again = room.run(arguments)
        held = snapshot(out)
        shutil.rmtree(out, ignore_errors=True)
        anew = room.run(arguments)
        assert again.code == anew.code, f"{where}going on ends otherwise than anew: {again.says()}; {anew.says()}"
        assert again.code != 0 or not difference(snapshot(out), held), f"{where}what was read before is kept"
    assert times, "it was told at no point"


def attacks() -> Iterator[Attack]:
    """Yields all attacks of this kind."""
    for what, change in CHANGES.items():
        for name in ("00.png", "16.png", "metadata.jsonl"):
            if name.endswith("jsonl") and "image" in what:
                continue
            yield Attack("O", "build", f"{name} {what}", partial(told, name=name, change=change))
