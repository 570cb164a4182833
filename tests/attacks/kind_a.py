"""A: a folder is ours only if its own manifest says so; files of the user are neither deleted nor replaced."""

import json
import os
import shutil
from collections.abc import Callable, Iterator
from functools import partial
from pathlib import Path

from tests.attacks.attack import Attack, Room, assert_clean, assert_refused, assert_same
from tests.attacks.snapshots import snapshot
from tests.attacks.stock import OVERWRITE, WRITERS

MANIFEST = ".fusionrs.json"


def write(folder: Path, *names: str) -> Path:
    for name in names:
        (folder / name).parent.mkdir(parents=True, exist_ok=True)
        (folder / name).write_text("of the user\n")
    return folder


def foreign_manifest(out: Path) -> None:
    write(out, "thesis.txt")
    values = {"verb": "weave", "command": "fusionrs weave", "finished": True, "files": ["thesis.txt"]}
    (out / MANIFEST).write_text(json.dumps({**values, "writer": "", "format": 1}))


def forged_manifest(out: Path) -> None:
    """Lists files outside."""
    write(out, "thesis.txt")
    values = {"verb": "build", "command": "fusionrs build", "finished": True, "files": ["../outside/a", "/etc/hosts"]}
    (out / MANIFEST).write_text(json.dumps({**values, "writer": "", "format": 1}))


def linked_manifest(out: Path) -> None:
    write(out, "thesis.txt")
    (out / MANIFEST).symlink_to(write(out.parent / "outside", "m.json") / "m.json")


def linked_folder(out: Path, inside: tuple[str, ...]) -> None:
    outside = out.parent / "outside"
    outside.mkdir()
    write(outside, *inside)
    out.symlink_to(outside)


OCCUPIED: dict[str, Callable[[Path], object]] = {  # what lies where a verb is to write
    "a file of the user": lambda out: write(out, "thesis.txt"),
    "a hidden file": lambda out: write(out, ".notes"),
    "names that begin with .work": lambda out: write(out, ".work-notes/a"),
    "a .work folder": lambda out: write(out, ".work/a", ".work/read/000000.json"),
    "names of our own files": lambda out: write(
        out, "README.md", "data/train-00000-of-00001.parquet", "config.json", "index.json", "tokenizer.json"
    ),
    "half files": lambda out: write(out, ".README.md.partial", ".config.json.partial", ".fusionrs.json.partial"),
    "checkpoints of another program": lambda out: write(out, "checkpoint-2/model.safetensors"),
    "a manifest of another verb": foreign_manifest,
    "a manifest that lists files outside": forged_manifest,
    "a manifest that is a link": linked_manifest,
    "a manifest that is no JSON": lambda out: write(out, "thesis.txt", MANIFEST),
    "a link to a folder of the user": lambda out: linked_folder(out, ("thesis.txt",)),
    "a link to an empty folder": lambda out: linked_folder(out, ()),
    "a link to itself": lambda out: out.symlink_to(out.name),
    "a file where the folder should be": lambda out: write(out.parent, out.name),
}


def refuse_occupied(room: Room, verb: str, prepare: Callable[[Path], object], overwrite: bool) -> None:
    out = room.path / "out"
    prepare(out)
    before = snapshot(room.path)
    options = OVERWRITE.get(verb, ("--overwrite",)) if overwrite else ()
    done = room.run(WRITERS[verb](room.stock, out, *options))
    assert_refused(done)
    assert_same(before, room.path)


def finished(room: Room, verb: str) -> Path:
    """A folder that the verb has written."""
    out = room.path / "out"
    for name, made in (("build", "base"), ("embed", "index"), ("train clip", "run")):
        if name == verb:
            return Path(shutil.copytree(getattr(room.stock, made), out, symlinks=True))
    done = room.run(WRITERS[verb](room.stock, out))
    assert done.code == 0, f"could not be prepared: {done.says()}"
    return out


def spare_strays(room: Room, verb: str, overwrite: bool) -> None:
    """A user's files in a folder of ours: whatever the verb does, they stay."""
    out = finished(room, verb)
    names = ("thesis.txt", ".work-notes/a", "data/notes.txt", "sub/deep/b", ".config.json.partial")
    write(out, *names)
    before = snapshot(room.path)
    options = OVERWRITE.get(verb, ("--overwrite",)) if overwrite else ()
    done = room.run(WRITERS[verb](room.stock, out, *options))
    after = snapshot(room.path)
    lost = [name for name in names if before[f"out/{name}"] != after.get(f"out/{name}")]
    assert not lost, f"files of the user are lost: {lost}; {done.says()}"
    assert_clean(done)
    if overwrite:
        assert_refused(done, "did not write")
        assert_same(before, room.path)


def replaced_by_a_link(room: Room, verb: str) -> None:
    """A file that the manifest lists has become a link to a file of the user: that file stays."""
    out, mine = finished(room, verb), write(room.path / "mine", "thesis.txt") / "thesis.txt"
    listed = json.loads((out / MANIFEST).read_text())["files"]
    for name in [name for name in listed if "/" not in name][:3]:
        (out / name).unlink()
        (out / name).symlink_to(mine)
    done = room.run(WRITERS[verb](room.stock, out, *OVERWRITE.get(verb, ("--overwrite",))))
    assert mine.read_text() == "of the user\n", "a link was written through"
    assert_clean(done)


def folder_replaced_by_a_link(room: Room, verb: str) -> None:
    """A folder of ours has become a link to one of the user with the same names in it: those stay."""
    out = finished(room, verb)
    inner = next((path for path in sorted(out.iterdir()) if path.is_dir() and any(path.iterdir())), None)
    if inner is None:  # all of its files lie at the top: the parent is the link
        inner = out
    mine = Path(shutil.copytree(inner, room.path / "mine"))
    write(mine, *[path.relative_to(mine).as_posix() for path in mine.rglob("*") if path.is_file()][:50])
    shutil.rmtree(inner)
    inner.symlink_to(mine)
    before = snapshot(mine)
    done = room.run(WRITERS[verb](room.stock, out, *OVERWRITE.get(verb, ("--overwrite",))))
    assert_same(before, mine, "the folder behind a link")
    assert_clean(done)


def publish_over(room: Room, prepare: Callable[[Path], object]) -> None:
    dataset = room.copy("base")
    (dataset / "publish").mkdir(exist_ok=True)
    prepare(dataset / "publish" / "full")
    before = snapshot(room.path)
    assert_refused(room.run(["build", dataset, "--publish", "full", "--workers", 1]))
    assert_same(before, room.path)


def publish_through_a_link(room: Room) -> None:
    dataset = room.copy("base")
    (room.path / "outside").mkdir()
    (dataset / "publish").symlink_to(room.path / "outside")
    before = snapshot(room.path)
    assert_refused(room.run(["build", dataset, "--publish", "full", "--workers", 1]))
    assert_same(before, room.path)


def ids_of(dataset: Path, count: int = 1, start: int = 0) -> list[str]:
    """Sample ids of rows of train, as the stock's recipe names them."""
    import pyarrow.parquet as pq

    reader, writer = os.pipe()
    if (pid := os.fork()) == 0:  # Arrow's threads stay out of this process
        names = [
            name
            for path in sorted((dataset / "data").glob("train-*.parquet"))
            for name in pq.read_table(path, columns=["sample_id"], use_threads=False)["sample_id"].to_pylist()
        ]
        os.write(writer, json.dumps(names[start : start + count]).encode())
        os._exit(0)
    os.waitpid(pid, 0)
    os.close(writer)
    with os.fdopen(reader, "rb") as file:
        return json.loads(file.read())


def spare_in_place(room: Room, verb: str, names: tuple[str, ...]) -> None:
    """`remove` and `publish` write into a dataset in which a user keeps files."""
    dataset = room.copy("base")
    write(dataset, *names)
    before = snapshot(dataset)
    (room.path / "ids.txt").write_text("\n".join(ids_of(dataset)))
    option = ["--remove", room.path / "ids.txt"] if verb == "remove" else ["--publish", "full"]
    done = room.run(["build", dataset, *option, "--workers", 1])
    after = snapshot(dataset)
    lost = [name for name in names if before[name] != after.get(name)]
    assert not lost, f"files of the user are lost: {lost}; {done.says()}"
    assert_clean(done)


def attacks() -> Iterator[Attack]:
    """Yields all attacks of this kind."""
    for verb in WRITERS:
        for name, prepare in OCCUPIED.items():
            yield Attack("A", verb, name, partial(refuse_occupied, verb=verb, prepare=prepare, overwrite=False))
        for name in ("a file of the user", "names that begin with .work", "a link to a folder of the user"):
            go = partial(refuse_occupied, verb=verb, prepare=OCCUPIED[name], overwrite=True)
            yield Attack("A", verb, f"{name}, --overwrite", go)
        yield Attack("A", verb, "strays in a finished folder", partial(spare_strays, verb=verb, overwrite=False))
        yield Attack("A", verb, "strays, --overwrite", partial(spare_strays, verb=verb, overwrite=True))
        yield Attack("A", verb, "listed files are links, --overwrite", partial(replaced_by_a_link, verb=verb))
        go = partial(folder_replaced_by_a_link, verb=verb)
        yield Attack("A", verb, "a folder in it is a link, --overwrite", go)
    for name in OCCUPIED:
        yield Attack("A", "publish", name, partial(publish_over, prepare=OCCUPIED[name]))
    yield Attack("A", "publish", "publish/ is a link", publish_through_a_link)
    kept = ("thesis.txt", ".work-notes/a", ".work/a", "data/notes.txt", ".removal-notes/a", "quarantine/mine.jsonl")
    for verb in ("publish", "remove"):
        yield Attack("A", verb, "files beside the data", partial(spare_in_place, verb=verb, names=kept))
        names = ("publish/mine/a", "publish/full-notes/a", "publish/notes.txt")
        yield Attack("A", verb, "files beside the copies", partial(spare_in_place, verb=verb, names=names))
