"""What goes up: the names that our writers wrote, with their sizes and hashes; strays and links are refused."""

import ast
import hashlib
import json
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from fnmatch import fnmatchcase
from pathlib import Path
from typing import Any

from fusionrs_hf.bounded_json import read_object
from fusionrs_hf.errors import InputError
from fusionrs_hf.folder_manifest import read_manifest
from fusionrs_hf.output_folder import files_below
from training.release.kinds import ReleaseKind

CHUNK = 2**22
SHOWN = 3


@dataclass(frozen=True, slots=True)
class Entry:
    """A file of a release.

    Args:
        name: In the repository, `/`-separated.
        path: Here.
        size: Bytes.
        sha256: 64 hex.
    """

    name: str
    path: Path
    size: int
    sha256: str


@dataclass(frozen=True, slots=True)
class Plan:
    """A release before it goes up.

    Args:
        kind: Of `KINDS`.
        folder: That holds the files and no others.
        entries: Of the files, sorted by name.
        release: Hash of kind, names and contents, 64 hex.
        repo_id, tag: Where it goes, and what it is called there.
        base: `repo_id` and `revision` of what it builds upon, such as an adapter's base; empty for most.
    """

    kind: str
    folder: Path
    entries: tuple[Entry, ...]
    release: str
    repo_id: str
    tag: str
    base: Mapping[str, str] = field(default_factory=dict)

    @property
    def files(self) -> dict[str, dict[str, Any]]:
        """Size and SHA-256 by name."""
        return files_of(self.entries)

    @property
    def branch(self) -> str:
        """The branch that it is uploaded to and verified on."""
        return f"release/{self.release[:16]}"

    @property
    def size(self) -> int:
        """Bytes in all."""
        return sum(entry.size for entry in self.entries)

    def lines(self) -> list[str]:
        """Returns the plan as a user reads it: a line a file, with its size."""
        width = max(len(f"{entry.size:,}") for entry in self.entries)
        lines = [f"{entry.size:>{width},}  {entry.name}" for entry in self.entries]
        return [*lines, f"{self.size:>{width},}  bytes in {len(self.entries)} files -> {self.repo_id}, tag {self.tag}"]


def choose_files(kind: ReleaseKind, folder: Path) -> list[str]:
    """Returns the names that go up.

    Where the folder has a manifest, its own verb wrote what is listed there; elsewhere the names are those that
    `save_pretrained` and the like write. Code goes up that the configurations name, with what it imports.

    Raises:
        InputError: A link is among them, a stray lies in the folder, or a manifest's file is gone.
    """
    present = files_below(folder)
    manifest = read_manifest(folder)
    code = code_of(folder, kind.code)
    wanted = [name for name in present if may_go_up(kind, name, code)]
    if manifest is not None:
        listed = set(manifest.files)
        strays = [name for name in present if name not in listed and not _matches(name, kind.stays)]
        strays = [name for name in strays if not fnmatchcase(name, "LICENSE*")]
        if gone := sorted(listed.difference(present)):
            raise InputError(f"{folder / gone[0]} is missing, which `fusionrs {manifest.verb}` wrote; bring it back")
    else:
        strays = [name for name in present if name not in wanted and not _matches(name, kind.stays)]
    if strays:
        raise InputError(
            f"{folder / strays[0]} is a stray: nothing of ours wrote it{_more(strays)}; move it out of the folder"
        )
    for name in wanted:
        check_no_link(folder, name)
    return sorted(wanted)


def check_no_link(folder: Path, name: str) -> None:
    """Raises InputError where a file, or a folder on the way to it, is a link: it may lead anywhere."""
    path = folder
    for part in Path(name).parts:
        path = path / part
        if path.is_symlink():
            raise InputError(f"{path} is a link, and no link goes up; put the file itself there, or take it away")


def code_of(folder: Path, configs: Sequence[str]) -> set[str]:
    """Returns the Python files that configurations name in `auto_map`, and what these import from beside them."""
    pending, found = [], set()
    for name in configs:
        path = folder / name
        values = read_object(path, "save the model again") if path.is_file() else {}
        for part in (values, *(value for value in values.values() if isinstance(value, dict))):
            references = part.get("auto_map") or {}
            for reference in references.values() if isinstance(references, dict) else ():
                pending += [item for item in (reference if isinstance(reference, list) else [reference]) if item]
    pending = [reference.rpartition("--")[2].rpartition(".")[0] for reference in pending]
    while pending:
        module = pending.pop()
        if (name := f"{module}.py") not in found and (folder / name).is_file():
            found.add(name)
            tree = ast.parse((folder / name).read_text(encoding="utf-8"))
            imports = [node for node in ast.walk(tree) if isinstance(node, ast.ImportFrom) and node.level == 1]
            pending += [node.module for node in imports if node.module]
    return found


def list_entries(folder: Path, names: Iterable[str]) -> tuple[Entry, ...]:
    """Returns sizes and hashes of files; each is read once, a few megabytes at a time."""
    return tuple(
        Entry(name, folder / name, (folder / name).stat().st_size, sha256_of(folder / name)) for name in sorted(names)
    )


def files_of(entries: Iterable[Entry]) -> dict[str, dict[str, Any]]:
    """Returns size and SHA-256 by name."""
    return {entry.name: {"size": entry.size, "sha256": entry.sha256} for entry in entries}


def release_hash(kind: str, files: Mapping[str, Mapping[str, Any]]) -> str:
    """Returns the hash of kind, names and contents, 64 hex.

    Args:
        kind: Of `KINDS`.
        files: `{"size": bytes, "sha256": hex}` by name.
    """
    listed = sorted([name, file["size"], file["sha256"]] for name, file in files.items())
    return hashlib.sha256(json.dumps([kind, listed]).encode()).hexdigest()


def sha256_of(path: Path) -> str:
    """Returns SHA-256 of a file, 64 hex, in bounded memory."""
    running = hashlib.sha256()
    with open(path, "rb") as file:
        while chunk := file.read(CHUNK):
            running.update(chunk)
    return running.hexdigest()


def git_sha1_of(path: Path) -> str:
    """Returns git's SHA-1 of a small file as a blob, 40 hex, as the Hub names regular files."""
    content = path.read_bytes()
    return hashlib.sha1(b"blob %d\0" % len(content) + content).hexdigest()


def may_go_up(kind: ReleaseKind, name: str, code: set[str]) -> bool:
    """Whether a name is one of a kind's: by its patterns, or as code that its configurations name."""
    hidden = kind.files == ("*",) and any(part.startswith(".") for part in name.split("/"))
    return name in code or (_matches(name, kind.files) and not _matches(name, kind.stays) and not hidden)


def _matches(name: str, patterns: Iterable[str]) -> bool:
    """Whether a name fits a pattern; `data/*` means files of that folder, at any depth, `*.py` those at the top."""
    for pattern in patterns:
        if pattern == "*" or fnmatchcase(name, pattern) and ("/" in pattern or "/" not in name):
            return True
        if pattern.endswith("-*") and fnmatchcase(name.partition("/")[0], pattern):
            return True
    return False


def _more(names: Sequence[str]) -> str:
    others = names[1 : 1 + SHOWN]
    return f" (and {', '.join(others)}{', ...' if len(names) > 1 + SHOWN else ''})" if others else ""
