"""E and F: every kind of file that a verb reads, in its place, holding what it cannot."""

import shutil
from collections.abc import Callable
from functools import partial
from pathlib import Path

import yaml

from tests.attacks.attack import Room
from tests.attacks.own_data import eval_command
from tests.attacks.stock import recipe_of, train_clip

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


def _inside(stock_name: str, name: str, command: Callable[[Room, Path], list[object]]) -> Callable:
    """Puts the file into a copy of a folder of the stock, and gives the verb that copy."""

    def prepare(room: Room, place: Path) -> list[object]:
        folder = Path(shutil.copytree(room.stock.home / stock_name, place / "copy", symlinks=True))
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


def _train(flag: str, room: Room, folder: Path) -> list[object]:
    return train_clip(room.stock, folder.parent / "out", flag, folder)


def _eval(method: str, flag: str, room: Room, place: Path) -> list[object]:
    return [*eval_command(room.stock, method, place.parent / "metrics.json"), flag, place]


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
    **{
        (f"train {method}", "recipe"): _named(
            ".yaml", lambda room, file, method=method: ["train", method, "--config", file]
        )
        for method in ("clip", "vlm", "translator")
    },
    **{
        ("train clip", f"{name} of the {tower} tower"): _inside(tower, name, partial(_train, f"--{tower}_tower"))
        for tower, name in (
            ("vision", "config.json"),
            ("vision", "preprocessor_config.json"),
            ("vision", "model.safetensors"),
            ("text", "tokenizer.json"),
            ("text", "tokenizer_config.json"),
        )
    },
    ("train clip", "rows"): _inside("rows", "data/train-00000-of-00001.parquet", partial(_train, "--dataset")),
    **{
        ("train clip", f"{name} of a run"): _inside(
            "run", name, lambda room, folder: train_clip(room.stock, folder, "--max_steps", 4)
        )
        for name in (".training.json", ".fusionrs.json")
    },
    ("ablate", "recipe"): _named(".yaml", lambda room, file: ["ablate", file, "--output", file.parent / "out"]),
    **{
        ("eval clip", f"{name} of the model"): _inside("run", name, partial(_eval, "clip", "--model"))
        for name in ("config.json", "training_log.json", "processor_config.json", "model.safetensors")
    },
    ("eval clip", "rows"): _inside("rows", "data/test-00000-of-00001.parquet", partial(_eval, "clip", "--dataset")),
    **{
        (f"eval {method}", f"{name} of the model"): _inside(f"scored/{model}", name, partial(_eval, method, "--model"))
        for method, model, name in (
            ("vlm", "vlm", "config.json"),
            ("vlm", "vlm", "processor_config.json"),
            ("vlm-need", "vlm", "config.json"),
            ("vlm-need", "vlm", "tokenizer.json"),
            ("translator", "translator", "model_index.json"),
            ("translator", "translator", "translator/config.json"),
        )
    },
    ("eval translator", "levels"): _named(".yaml", partial(_eval, "translator", "--levels")),
    ("eval zero-shot", "templates"): _named(".txt", partial(_eval, "zero-shot", "--templates")),
    ("eval hit-uav", "annotations"): _inside(
        "scored/hit_uav", "normal_json/annotations/test.json", partial(_eval, "hit-uav", "--dataset")
    ),
    ("eval caltech-pairs", "a list"): _inside(
        "scored/caltech",
        "rgbt_splits/rgb_test.txt",
        lambda room, folder: _eval("caltech-pairs", "--splits", room, folder / "rgbt_splits"),
    ),
    **{
        ("inspect", f"a file {suffix}"): _named(suffix, lambda room, file: ["inspect", file])
        for suffix in (".jsonl", ".csv", ".parquet", ".tar", ".tar.gz", ".tif", ".jsonl.gz")
    },
    **{
        ("translate", f"an image {suffix}"): _named(
            suffix, lambda room, file: ["translate", file.parent, file.parent / "out"]
        )
        for suffix in (".png", ".tif")
    },
    ("translate", "a raster"): _named(".tif", lambda room, file: ["translate", file, file.parent / "out"]),
    **{
        ("translate", f"{name} of the model"): _inside(
            "scored/translator",
            name,
            lambda room, folder: ["translate", room.stock.photos, folder.parent / "out", "--model", folder],
        )
        for name in ("model_index.json", "translator/config.json", "translator/diffusion_pytorch_model.safetensors")
    },
    **{
        ("card", f"{name} of a run"): _inside("run", name, lambda room, folder: ["card", folder])
        for name in ("training_log.json", "config.json", "metrics.json", "README.md")
    },
    **{
        ("push", f"{name} of a run"): _inside(
            "run", name, lambda room, folder: ["push", "clip", folder, "a/b", "--dry-run"]
        )
        for name in ("training_log.json", "config.json", "metrics.json", "README.md", "processor_config.json")
    },
    **{
        ("push", f"{name} of a dataset"): _inside(
            "base", name, lambda room, folder: ["push", "dataset", folder, "a/b", "--dry-run"]
        )
        for name in ("build_report.json", "README.md", "data/train-00000-of-00001.parquet")
    },
}
