"""E, F, G, K, P, Q: every entry of every verb given what it cannot be, made from the parsers and dataclasses.

A cell is a verb and an entry (a flag, a key of a recipe, a kind of file) with three wrong values or more. It holds if
none ends in a traceback or exit code 70, none works longer than `SECONDS` or waits, no file of the user is touched.
"""

import argparse
import os
import shutil
from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import fields
from functools import partial
from pathlib import Path
from typing import Any

import yaml

from tests.attacks.attack import Attack, Room, assert_same
from tests.attacks.snapshots import snapshot
from tests.attacks.stock import WRITERS, recipe_of

SECONDS = 10.0  # of processors, so that a machine that is shared changes no result
HANGING_S = 90.0
LONG = "9" * 5_000
TEXTS = ("", "\x1b[2J\u202e", "x" * 100_000, "../../etc/passwd", "a\nb")
NUMBERS = ("-1", "1.5", LONG, "nan", "x")
PATHS = ("", "x" * 5_000, "/dev/null", "PIPE", "FOLDER", "a\x1b[2Jb")
VALUES: tuple[Any, ...] = (5, "x", [], {}, True, [None], {"a": [1]}, "\x1b", float("nan"), float("inf"), -1, 10**400)
CONTENTS = {
    "nothing": b"",
    "a list": b"[]",
    "a number": b"5",
    "null": b"null",
    "an object": b"{}",
    "UTF-16": b"\xff\xfe[\0]\0",
    "no UTF-8": b"\xff\xfa\xfb",
    "NUL": bytes(1000),
    "depth": b"[" * 5_000,
    "braces": b'{"a":' * 5_000,
    "digits": b'{"a": ' + b"9" * 5_000 + b"}",
    "a surrogate": b'{"a": "\\ud800"}',
    "aliases": b"a: &a [x,x,x,x,x,x,x,x,x]\n"
    + b"".join(b"%c: &%c [%s]\n" % (n + 1, n + 1, b",".join([b"*%c" % n] * 9)) for n in range(97, 106)),
    "an alias of itself": b"&x {a: *x}",
    "a long line": b'{"sample_id": "' + b"x" * 3_000_000 + b'"}',
    "a header alone": b"file_name,text\n",
    "Parquet cut off": b"PAR1" + bytes(100),
    "a zip": b"PK\x03\x04" + bytes(100),
    "an ESC": b"\x1b[2J\x1b]0;owned\x07",
}


def base_command(room: Room, verb: str) -> list[object]:
    """Returns a command of a verb that works, into a folder of the room."""
    stock, out = room.stock, room.path / "out"
    if verb in WRITERS:
        return WRITERS[verb](stock, out)
    return {
        "audit": ["audit", stock.base, "--workers", 1],
        "search": ["search", stock.index, "--text", "dry ground"],
        "translate": ["translate", stock.photos, out],
        "eval": ["eval", "clip", "--model", stock.run, "--dataset", stock.rows, "--output", room.path / "m.json"],
        "push": ["push", "dataset", stock.base, "a/b"],
        "verify": ["verify", "dataset", stock.base, "a/b"],
        "ablate": ["ablate", room.path / "missing.yaml", "--output", out],
    }[verb]


def judge(room: Room, commands: Iterable[Sequence[object]], untouched: Sequence[Path]) -> None:
    """Runs commands; asserts that each ends as documented, soon, and touches nothing of the user."""
    before, faults, count = [snapshot(folder) for folder in untouched], [], 0
    for arguments in commands:
        count += 1
        done = room.run(arguments, seconds=HANGING_S)
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


def flag(room: Room, verb: str, names: Sequence[str], values: Sequence[str]) -> None:
    (room.path / "folder").mkdir()
    os.mkfifo(room.path / "pipe")
    places = {"PIPE": str(room.path / "pipe"), "FOLDER": str(room.path / "folder")}
    base = base_command(room, verb)
    commands = ([*base, f"{names[-1]}={places.get(value, value)}"] for value in values)
    judge(room, commands, [room.stock.home, room.path / "folder"])


def positional(room: Room, verb: str, place: int) -> None:
    base = base_command(room, verb)
    wrong = [*TEXTS, "/dev/null", str(room.path), "x" * 5_000]
    judge(room, ([*base[:place], value, *base[place + 1 :]] for value in wrong), [room.stock.home])


def key_of_recipe(room: Room, change: Callable[[dict, Any], None]) -> None:
    path, out = room.path / "wrong.yaml", room.path / "out"

    def commands() -> Iterator[list[object]]:
        for number, value in enumerate(VALUES):
            recipe = recipe_of({"path": str(room.stock.photos)})
            change(recipe, value)
            path.write_text(yaml.safe_dump(recipe))
            yield ["build", path, out / str(number), "--workers", 1]

    judge(room, commands(), [room.stock.home])


def file_of(room: Room, verb: str, prepare: Callable[[Room, Path], list[object]]) -> None:
    def commands() -> Iterator[list[object]]:
        for number, content in enumerate(CONTENTS.values()):
            place = room.path / str(number)
            place.mkdir()
            (place / "file").write_bytes(content)
            yield prepare(room, place)

    judge(room, commands(), [room.stock.home])


def _inside(stock_name: str, name: str, command: Callable[[Room, Path], list[object]]) -> Callable:
    """Puts the file into a copy of a folder of the stock, and gives the verb that copy."""

    def prepare(room: Room, place: Path) -> list[object]:
        folder = Path(shutil.copytree(getattr(room.stock, stock_name), place / "copy", symlinks=True))
        (folder / name).parent.mkdir(exist_ok=True)
        (place / "file").replace(folder / name)
        return command(room, folder)

    return prepare


def _named(suffix: str, command: Callable[[Room, Path], list[object]]) -> Callable:
    return lambda room, place: command(room, (place / "file").rename(place / f"file{suffix}"))


def _with_source(room: Room, file: Path, **source: object) -> list[object]:
    recipe = file.parent / "with.yaml"
    recipe.write_text(yaml.safe_dump(recipe_of(source)))
    return ["build", recipe, file.parent / "out", "--workers", 1]


def _with_key(room: Room, file: Path, key: str) -> list[object]:
    recipe = file.parent / "with.yaml"
    recipe.write_text(yaml.safe_dump(recipe_of({"path": str(room.stock.photos)}, **{key: str(file)})))
    return ["build", recipe, file.parent / "out", "--workers", 1]


def _table(room: Room, file: Path) -> list[object]:
    columns = {"rgb": "file_name", "captions": "text"}
    return _with_source(room, file, kind="table", path=str(file), columns=columns, images=str(room.stock.photos))


def _embed(room: Room, folder: Path) -> list[object]:
    out = folder.parent / "out"
    return ["embed", room.stock.base, "--model", folder, "--output", out, "--device", "cpu", "--modalities", "rgb"]


def _convert(room: Room, checkpoint: Path, tokenizer: Path | None = None) -> list[object]:
    words = tokenizer or room.stock.words
    return ["convert", "open-clip", checkpoint, "--output", checkpoint.parent / "out", "--tokenizer", words]


FILES: dict[tuple[str, str], Callable] = {
    ("build", "recipe"): _named(".yaml", lambda room, file: ["build", file, file.parent / "out", "--workers", 1]),
    ("build", "rights policy"): _named(".yaml", partial(_with_key, key="rights_policy")),
    ("build", "ids to exclude"): _named(".txt", partial(_with_key, key="exclude")),
    ("build", "tombstones"): _named(".jsonl", partial(_with_key, key="exclude")),
    ("build", "captions in JSON"): _named(
        ".jsonl", lambda room, file: _with_source(room, file, path=str(room.stock.photos), captions=str(file))
    ),
    ("build", "captions in CSV"): _named(
        ".csv", lambda room, file: _with_source(room, file, path=str(room.stock.photos), captions=str(file))
    ),
    ("build", "captions in Parquet"): _named(
        ".parquet", lambda room, file: _with_source(room, file, path=str(room.stock.photos), captions=str(file))
    ),
    **{("build", f"table {suffix}"): _named(suffix, _table) for suffix in (".jsonl", ".csv", ".parquet", ".jsonl.gz")},
    ("build", "tar"): _named(
        ".tar", lambda room, file: _with_source(room, file, kind="webdataset", path=str(file.resolve()))
    ),
    ("build", "ids to remove"): _inside(
        "base", "ids.txt", lambda room, folder: ["build", folder, "--remove", folder / "ids.txt", "--workers", 1]
    ),
    ("caption", "config"): _named(
        ".yaml",
        lambda room, file: ["caption", room.stock.base, file.parent / "out", "--config", file, "--workers", 1],
    ),
    **{
        (verb, f"{name} of the dataset"): _inside("base", name, command)
        for name in ("build_report.json", ".fusionrs.json", "README.md", "tombstones.jsonl", "rights.yaml")
        for verb, command in {
            "audit": lambda room, folder: ["audit", folder, "--workers", 1],
            "caption": lambda room, folder: ["caption", folder, folder.parent / "out", "--workers", 1],
            "publish": lambda room, folder: ["build", folder, "--publish", "full", "--workers", 1],
        }.items()
    },
    **{
        ("embed", f"{name} of the model"): _inside("clip", name, _embed)
        for name in (
            *("config.json", "processor_config.json", "tokenizer.json", "tokenizer_config.json"),
            *("model.safetensors", ".fusionrs.json"),
        )
    },
    **{
        ("search", f"{name} of the index"): _inside(
            "index", name, lambda room, folder: ["search", folder, "--text", "dry ground"]
        )
        for name in ("index.json", "fused.faiss", "data/rows-00000-of-00001.arrow", ".fusionrs.json")
    },
    ("search", "an image"): _named(".png", lambda room, file: ["search", room.stock.index, "--rgb", file]),
    ("convert", "checkpoint .pt"): _named(".pt", _convert),
    ("convert", "checkpoint .safetensors"): _named(".safetensors", _convert),
    ("convert", "vocabulary"): _named(
        ".txt.gz",
        lambda room, file: (
            _convert(room, room.stock.home / "open_clip.safetensors", file)[:4]
            + [file.parent / "out", "--tokenizer", file]
        ),
    ),
    ("train clip", "recipe"): _named(".yaml", lambda room, file: ["train", "clip", "--config", file]),
    ("train vlm", "recipe"): _named(".yaml", lambda room, file: ["train", "vlm", "--config", file]),
    ("ablate", "recipe"): _named(".yaml", lambda room, file: ["ablate", file, "--output", file.parent / "out"]),
}


def actions(verb: str) -> list[argparse.Action]:
    """Returns what the parser of a verb takes, subcommands' included."""
    from fusionrs_hf.cli import make_parser

    parser = make_parser(verb)._subparsers._group_actions[0].choices[verb]
    found = []
    for action in parser._actions:
        if isinstance(action, argparse._SubParsersAction):
            found += action.choices["open-clip"]._actions if "open-clip" in action.choices else []
        else:
            found.append(action)
    return [action for action in found if action.option_strings and action.nargs != 0 and action.dest != "help"]


def wrong_for(action: argparse.Action) -> tuple[str, ...]:
    """Returns wrong values of a flag's kind."""
    name = getattr(action.type, "__name__", "")
    if name == "read":  # of `arguments.whole` and `arguments.number`
        return NUMBERS
    return PATHS if name == "path" else TEXTS


def _set_key(name: str, recipe: dict, value: Any) -> None:
    recipe[name] = value


def _set_part(part: str, name: str, recipe: dict, value: Any) -> None:
    recipe[part] = {**(recipe.get(part) or {}), name: value}


def _set_source(name: str, recipe: dict, value: Any) -> None:
    recipe["sources"][0][name] = value


def recipe_keys() -> Iterator[tuple[str, Callable]]:
    """Yields each key of a recipe, and what sets it."""
    from dataset_builder.groups.splits import SplitPolicy
    from dataset_builder.recipe import BuildRecipe, CaptionRecipe, GroupRecipe, TranslateRecipe
    from dataset_builder.sources.folder import FolderSource

    for item in fields(BuildRecipe):
        if item.name != "base":
            yield item.name, partial(_set_key, item.name)
    parts = {"translate": TranslateRecipe, "caption": CaptionRecipe, "groups": GroupRecipe, "splits": SplitPolicy}
    for part, kind in parts.items():
        for item in fields(kind):
            yield f"{part}.{item.name}", partial(_set_part, part, item.name)
    for item in (*fields(FolderSource), "kind"):
        name = item if isinstance(item, str) else item.name
        if name != "base":
            yield f"sources.{name}", partial(_set_source, name)


def attacks() -> Iterator[Attack]:
    """Yields one attack for each cell of the matrix."""
    for verb in ("build", "caption", "audit", "embed", "search", "convert", "export", "translate", "push", "ablate"):
        for action in actions(verb):
            go = partial(flag, verb=verb, names=action.option_strings, values=wrong_for(action))
            yield Attack("G", verb, f"wrong values of {action.option_strings[-1]}", go)
        for place in (1, 2) if verb != "convert" else (2,):
            yield Attack("G", verb, f"wrong values of argument {place}", partial(positional, verb=verb, place=place))
    for name, change in recipe_keys():
        yield Attack("G", "build", f"wrong values of the key {name}", partial(key_of_recipe, change=change))
    for (verb, name), prepare in FILES.items():
        yield Attack("E, F, G", verb, f"wrong files as {name}", partial(file_of, verb=verb, prepare=prepare))
