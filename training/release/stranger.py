"""Loads a folder as somebody would who has nothing of this project: in a process without it, token and network."""

import hashlib
import json
import os
import subprocess
import sys
import tempfile
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path
from typing import Any

from huggingface_hub import constants

from fusionrs_hf.atomic import write_json
from fusionrs_hf.bounded_json import read_object
from fusionrs_hf.records import make_record
from fusionrs_hf.stops import stops_in_a_line
from training.release.contents import differences

SCRIPT = Path(__file__).with_name("contents.py")
PASSED = ("PATH", "LANG", "LC_ALL", "LC_CTYPE", "TZ", "LD_LIBRARY_PATH", "CUDA_VISIBLE_DEVICES", "SYSTEMROOT")
THREADS = ("OMP_NUM_THREADS", "MKL_NUM_THREADS", "OPENBLAS_NUM_THREADS", "TOKENIZERS_PARALLELISM")
PACKAGES = ("torch", "transformers", "datasets", "huggingface_hub", "safetensors", "tokenizers", "numpy")
PACKAGES += ("pillow", "pyarrow", "diffusers", "peft", "evaluate")
LONGEST_S = 3600


@dataclass(frozen=True, slots=True)
class Findings:
    """What a stranger found in a folder.

    Args:
        differences: A line for each file that is not what it must be, or one that says why it could not be loaded.
        facts: Tensors, configurations, columns and counts, by name, as hashes.
        numbers: First numbers of what it makes of fixed inputs.
    """

    differences: tuple[str, ...]
    facts: Mapping[str, str] = field(default_factory=dict)
    numbers: Mapping[str, list[float]] = field(default_factory=dict)


def examine(kind: str, folder: Path, files: Mapping[str, str], where: str, hub_cache: Path | None = None) -> Findings:
    """Compares a folder's files with what they must be and, where all are equal, loads it; no code runs before.

    What loaded once is not loaded again: the same kind and contents, from the same place, under the same versions.

    Args:
        kind: Of `KINDS`.
        folder: To load.
        files: SHA-256 by name of all that must be there.
        where: `here` or `hub`: where the files come from.
        hub_cache: Cache of the Hub's clients that holds what the folder builds upon, such as an adapter's base.
    """
    memory = _memory(kind, files, where)
    if memory.is_file() and not differences(folder, dict(files)):
        return make_record(Findings, read_object(memory, "delete it") | {"differences": ()}, str(memory), "delete it")
    with scratch() as home:
        out, order = home / "found.json", home / "order.json"
        order.write_text(json.dumps({"kind": kind, "folder": str(folder), "files": dict(files), "out": str(out)}))
        done = subprocess.run(
            [sys.executable, "-I", "-B", str(SCRIPT), str(order)],
            cwd=home,
            env=fresh_environment(home, hub_cache),
            stdin=subprocess.DEVNULL,
            stdout=subprocess.DEVNULL,
            stderr=subprocess.PIPE,
            text=True,
            errors="replace",
            timeout=LONGEST_S,
        )
        if done.returncode:
            lines = done.stderr.strip().splitlines() or [f"exit code {done.returncode}"]
            return Findings((f"could not be loaded: {lines[-1]}",))
        found = make_record(Findings, read_object(out, "try again"), str(out), "try again")
    if not found.differences:
        memory.parent.mkdir(parents=True, exist_ok=True)
        write_json(memory, {"facts": found.facts, "numbers": found.numbers})
    return found


def fresh_environment(home: Path, hub_cache: Path | None = None) -> dict[str, str]:
    """Returns an environment that holds no secret, says to stay offline and keeps every cache in `home`."""
    passed = {name: os.environ[name] for name in (*PASSED, *THREADS) if name in os.environ}
    caches = {f"HF_{name}_CACHE": str(home / name.lower()) for name in ("HUB", "DATASETS", "MODULES", "ASSETS")}
    offline = dict.fromkeys(
        (f"{name}_OFFLINE" for name in ("HF_HUB", "HF_DATASETS", "TRANSFORMERS", "HF_EVALUATE")), "1"
    )
    homes = dict.fromkeys(("HOME", "TMPDIR", "XDG_CACHE_HOME"), str(home)) | {"HF_HOME": str(home / "hf")}
    cached = {} if hub_cache is None else {"HF_HUB_CACHE": str(hub_cache)}
    return passed | homes | caches | offline | cached | {"HF_HUB_DISABLE_TELEMETRY": "1"}


@contextmanager
def scratch(verb: str = "push") -> Iterator[Path]:
    """Makes a folder that is new, of this user alone, and gone afterwards: nobody's files are in it or replaced."""
    place = Path(tempfile.gettempdir())
    with (
        stops_in_a_line(place, verb, lambda: f"{verb} again (TMPDIR names another place)"),
        tempfile.TemporaryDirectory(prefix="fusionrs-", ignore_cleanup_errors=True) as home,
    ):
        yield Path(home)


def versions() -> dict[str, str]:
    """Returns the versions of the packages that a release is loaded by."""
    found = {}
    for name in PACKAGES:
        try:
            found[name] = version(name)
        except PackageNotFoundError:
            continue
    return found


def _memory(kind: str, files: Mapping[str, str], where: str) -> Path:
    key: list[Any] = [kind, sorted(files.items()), where, versions(), SCRIPT.read_text(encoding="utf-8")]
    name = hashlib.sha256(json.dumps(key).encode()).hexdigest()
    return Path(constants.HF_HOME) / "fusionrs" / "verified" / f"{name}.json"
