"""E and F: bombs for the lines of the table of bounds; whatever a verb is given, it holds less than a gigabyte.

Each verb runs in a process of its own that imports first, and then may take no more address space than leads it there.
"""

import os
import subprocess
import sys
from collections.abc import Callable, Iterator
from functools import partial

import yaml

from tests.attacks import bombs
from tests.attacks.attack import Attack, Room
from tests.attacks.bomb_inputs import BOMBS, Command, photos, recipe
from tests.attacks.bombs import GIGA
from tests.made.chat_server import ChatServer, Reply

MOST = GIGA  # bytes of memory
PATIENCE_S = 900
LIMITED = """
import importlib, os, resource, sys
from fusionrs_hf.terminal import open_closed_streams
open_closed_streams()
names, most, arguments = sys.argv[1].split(","), int(sys.argv[2]), sys.argv[3:]
for name in names:
    importlib.import_module(name)
with open("/proc/self/statm") as file:
    space, memory = (int(pages) * resource.getpagesize() for pages in file.read().split()[:2])
resource.setrlimit(resource.RLIMIT_AS, (space + most - memory,) * 2)
sys.argv = ["fusionrs", *arguments]
from fusionrs_hf.cli import main
sys.exit(main(arguments))
"""
IMPORTS = {
    "build": "dataset_builder.pipeline,dataset_builder.publish.takedown,pyarrow.dataset,rasterio",
    "caption": "dataset_builder.recaption,pyarrow.dataset",
    "audit": "dataset_builder.audit.verb,pyarrow.dataset",
    "convert": "fusionrs_hf.convert_open_clip,torch,transformers.modeling_utils,transformers.models.auto",
}


def holds(room: Room, make: Callable[[Room], Command], said: str) -> None:
    """Runs a verb on a bomb; asserts a documented end, that the bomb is told by the bound, and the memory.

    Args:
        room: Of the attack.
        make: Makes the bomb; returns the command line.
        said: What the verb prints, or counts in a report, of what exceeds the bound.
    """
    command = list(map(str, make(room)))
    environment = os.environ | {"ARROW_DEFAULT_MEMORY_POOL": "system", "MALLOC_ARENA_MAX": "1", "HF_HUB_OFFLINE": "0"}
    argv = [sys.executable, "-c", LIMITED, IMPORTS[command[0]], str(MOST), *command]
    done = subprocess.run(
        argv, stdin=subprocess.DEVNULL, capture_output=True, text=True, env=environment, timeout=PATIENCE_S
    )
    told = done.stderr + done.stdout
    told += "".join(path.read_text() for path in room.path.glob("out/build_report.json"))
    ended = f"exit {done.returncode}: {done.stderr.strip()[-300:]}"
    assert done.returncode in (0, 2, 3) and "Traceback" not in done.stderr and "memory ran out" not in told, ended
    assert said in told, f"expected {said!r} of the bomb, got {ended}"


def answered(room: Room, verb: str, status: int, said: str) -> None:
    """Runs a verb whose captions are asked of an endpoint that answers with gigabytes, packed."""
    headers = {"Content-Encoding": "gzip"}
    body = bombs.packed(room.path / "answer.gz", b'{"choices": "', end=b'"}').read_bytes()
    with ChatServer(lambda request: Reply(body, status, headers)) as server:
        options = {"base_url": server.base_url, "model": "m", "attempts": 1, "cache": str(room.path / "cache")}
        asked = {"captioner": "endpoint", "options": options}
        config = room.path / "c.yaml"
        config.write_text(yaml.safe_dump(asked))
        command = {
            "build": lambda room: recipe(room, {"path": str(photos(room))}, caption=asked),
            "caption": lambda room: [
                "caption",
                room.stock.base,
                room.path / "out",
                "--config",
                config,
                "--workers",
                1,
            ],
        }[verb]
        holds(room, command, said)


def attacks() -> Iterator[Attack]:
    """Yields one attack a bomb and verb."""
    for (verb, name), (make, said) in BOMBS.items():
        yield Attack("memory", verb, name, partial(holds, make=make, said=said))
    for verb in ("build", "caption"):
        for status, said in ((200, "bad_answer"), (400, "")):
            go = partial(answered, verb=verb, status=status, said=said)
            yield Attack("memory", verb, f"an answer of 1 GB, packed, status {status}", go)
