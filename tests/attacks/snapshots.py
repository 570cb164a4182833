"""Folders as values: every file, link and folder below one, to tell whether a verb touched anything."""

import hashlib
import json
import os
import stat
from collections.abc import Iterable, Mapping
from pathlib import Path

VOLATILE = ("writer", "command")  # of manifests: who wrote last, and by which words


def snapshot(folder: Path) -> dict[str, str]:
    """Returns what is below a folder by name, links not followed; `{}` where there is none, one entry for a file."""
    if not os.path.lexists(folder):
        return {}
    if folder.is_symlink() or not folder.is_dir():
        return {"": _entry(folder)}
    held = {"": "folder"}
    for place, folders, files in os.walk(folder):
        for name in (*folders, *files):
            path = Path(place) / name
            held[path.relative_to(folder).as_posix()] = _entry(path)
    return held


def _entry(path: Path) -> str:
    mode = path.lstat().st_mode
    if stat.S_ISLNK(mode):
        return f"link to {os.readlink(path)}"
    if stat.S_ISDIR(mode):
        return "folder"
    if not stat.S_ISREG(mode):
        return f"special {stat.S_IFMT(mode):o}"
    data = path.read_bytes()
    if path.name == ".fusionrs.json":
        data = _steady(data)
    return hashlib.sha256(data).hexdigest()


def _steady(data: bytes) -> bytes:
    try:
        values = json.loads(data)
        return json.dumps(
            {key: value for key, value in values.items() if key not in VOLATILE}, sort_keys=True
        ).encode()
    except (ValueError, AttributeError):
        return data


def difference(before: Mapping[str, str], after: Mapping[str, str]) -> str:
    """Returns in words what differs between two snapshots, `""` where nothing does."""
    parts = []
    for what, names in (
        ("gone", before.keys() - after.keys()),
        ("new", after.keys() - before.keys()),
        ("changed", {name for name in before.keys() & after.keys() if before[name] != after[name]}),
    ):
        if names:
            parts.append(f"{len(names)} {what}: {', '.join(sorted(names)[:4])}")
    return "; ".join(parts)


def strays(names: Iterable[str]) -> list[str]:
    """Returns the names that no finished folder holds: half files, work folders, plans."""
    marks = (".partial", ".work", ".removal", ".tmp", ".scratch")
    return sorted(name for name in names if any(mark in part for mark in marks for part in name.split("/")))
