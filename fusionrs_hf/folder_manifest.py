"""What a folder that a verb wrote says of itself: whose it is, what belongs to it, and whether all of it is there."""

import json
from dataclasses import dataclass, field
from pathlib import Path, PurePosixPath

from fusionrs_hf.errors import InputError

MANIFEST = ".fusionrs.json"
FORMAT = 1


@dataclass(frozen=True, slots=True)
class Manifest:
    """What a folder of ours says of itself; once it is finished, nothing of the process that wrote it.

    Args:
        verb: That wrote it, such as `embed`.
        command: That finishes it where it is not finished.
        finished: Whether all is there.
        files: What the verb wrote, relative to the folder, `/`-separated, sorted; the manifest itself is not listed.
        writer: Process and machine that write it or were stopped, in words.
        changes: Verb that is to finish it, where that is not the one that wrote it, such as `build --remove`.
    """

    verb: str
    command: str = ""
    finished: bool = False
    files: list[str] = field(default_factory=list)
    writer: str = ""
    changes: str = ""
    format: int = FORMAT


def read_manifest(folder: Path) -> Manifest | None:
    """Returns what a folder says of itself; None where it says nothing.

    Raises:
        InputError: The manifest is a link, or none of this version's.
    """
    path = folder / MANIFEST
    if path.is_symlink():
        raise InputError(f"{path} is a link, expected a file that fusionrs wrote; remove it")
    try:
        values = json.loads(path.read_text(encoding="utf-8"))
        manifest = Manifest(**values)
        safe = isinstance(manifest.files, list) and all(map(_is_below, manifest.files))
    except FileNotFoundError:
        return None
    except (OSError, TypeError, ValueError, RecursionError) as error:
        raise InputError(
            f"{path} is no manifest of this version ({type(error).__name__}); give a new folder"
        ) from error
    if not safe or manifest.format != FORMAT:
        raise InputError(f"{path} is no manifest of this version; give a new folder")
    return manifest


def _is_below(name: str) -> bool:
    parts = PurePosixPath(name).parts
    return bool(parts) and not name.startswith("/") and ".." not in parts and "\0" not in name


def require_finished(folder: Path) -> None:
    """Raises InputError, with the command that finishes it, where a folder of ours is not whole; others pass.

    The one door: `reading` asks it before it lets anybody in, whatever is to be read.
    """
    manifest = read_manifest(folder)
    if manifest is not None and not manifest.finished:
        verb = manifest.changes or manifest.verb
        raise InputError(
            f"{folder} is not finished: `fusionrs {verb}` is still at work there or was stopped; finish it with: "
            f"{manifest.command}"
        )
