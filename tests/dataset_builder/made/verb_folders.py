"""A home with all that five verbs write into or read: their commands, run here or in a process that is stopped."""

import hashlib
import io
import os
import signal
import sys
import time
from multiprocessing import get_context
from pathlib import Path

import yaml

from fusionrs_hf.cli import main
from tests.dataset_builder.made.rights_rows import TILES, recipe_of, write_source
from tests.made import tiny

VERBS = ("build", "caption", "remove", "publish", "embed")
OUTPUTS = {"build": "D", "caption": "C", "remove": "D", "publish": "D/publish/index", "embed": "I"}
FORKS = get_context("forkserver")  # its children have imported what the verbs need
FORKS.set_forkserver_preload(
    [
        "dataset_builder.pipeline",
        "dataset_builder.recaption",
        "dataset_builder.search.embedding",
        "tests.dataset_builder.made.verb_folders",
    ]
)


def write_home(home: Path) -> Path:
    """Writes a recipe, its source, a list of ids and a model; builds `D` and publishes an index of it."""
    source = write_source(home / "source", {tile: TILES[tile] for tile in (0, 6, 7)})
    recipe = recipe_of(source).echo() | {"sources": [{"kind": "repository", "path": "source"}]}
    (home / "recipe.yaml").write_text(yaml.safe_dump({name: value for name, value in recipe.items() if value}))
    (home / "ids.txt").write_text("t7/nir\tasked by its owner\n")
    tiny.clip_model().save_pretrained(home / "model")
    tiny.clip_processor().save_pretrained(home / "model")
    for verb in ("build", "publish"):
        assert run(home, verb) == 0
    return home


def arguments(home: Path, verb: str) -> list[str]:
    """Returns the command of a verb."""
    dataset, one = home / "D", ("--workers", 1)
    words = {
        "build": ("build", home / "recipe.yaml", dataset, *one),
        "caption": ("caption", dataset, home / "C", *one),
        "remove": ("build", dataset, "--remove", home / "ids.txt", *one),
        "publish": ("build", dataset, "--publish", "index", *one),
        "embed": ("embed", dataset, "--model", home / "model", "--output", home / "I", "--batch-size", 4),
    }[verb]
    return list(map(str, words))


def run(home: Path, verb: str, *options: str) -> int:
    """Runs a verb in this process; returns its exit code."""
    return main([*arguments(home, verb), *options])


def contents(home: Path) -> dict[str, str]:
    """Returns SHA-256 of all files that verbs wrote, by name; as if the home were elsewhere."""
    files = (path for name in ("D", "C", "I") for path in sorted((home / name).rglob("*")) if path.is_file())
    return {
        path.relative_to(home).as_posix(): hashlib.sha256(
            path.read_bytes().replace(str(home).encode(), b"HOME")
        ).hexdigest()
        for path in files
    }


class Stopped:
    """A verb in a process of its own that gets a signal at its n-th write: before it renames or deletes a file.

    Args:
        home: As of `write_home`.
        verb: To run.
        point: Number of the write, from 1; 0: none.
        kind: Signal, such as `SIGSTOP`.
    """

    def __init__(self, home: Path, verb: str, point: int, kind: signal.Signals) -> None:
        self.marker = home / f"{verb}-{point}.marker"
        self.process = FORKS.Process(target=_run, args=(arguments(home, verb), point, kind, self.marker))
        self.process.start()

    def wait_for_point(self) -> bool:
        """Waits until the signal was sent, or the process has ended; returns which of both."""
        while self.process.is_alive() and not self.marker.exists():
            time.sleep(0.01)
        return self.marker.exists()

    def go_on(self) -> int:
        """Lets a stopped process go on to its end; returns its exit code."""
        os.kill(self.process.pid, signal.SIGCONT)
        self.process.join()
        return self.process.exitcode

    def kill(self) -> None:
        """Ends it, whatever it does."""
        if self.process.is_alive():
            os.kill(self.process.pid, signal.SIGKILL)
        self.process.join()


def _run(words: list[str], point: int, kind: signal.Signals, marker: Path) -> None:
    sys.stderr = io.StringIO()
    sys.argv = ["fusionrs", *words]
    writes = 0

    def counted(plain):
        def write(*paths, **options):
            nonlocal writes
            if not options and "/fusionrs-" not in str(paths[0]):  # no temporary folders
                writes += 1
                if writes == point:
                    marker.touch()
                    os.kill(os.getpid(), kind)
            return plain(*paths, **options)

        return write

    for name in ("replace", "unlink"):
        setattr(os, name, counted(getattr(os, name)))
    code = main(words)
    if not point:
        marker.write_text(str(writes))
    sys.exit(code)


def count_writes(home: Path, verb: str) -> int:
    """Runs a verb to its end; returns how often it renamed or deleted a file."""
    stopped = Stopped(home, verb, 0, signal.SIGCONT)
    stopped.process.join()
    assert stopped.process.exitcode == 0
    return int(stopped.marker.read_text())
