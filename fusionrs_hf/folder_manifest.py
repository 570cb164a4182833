"""What a folder that a verb wrote says of itself: whose it is, what belongs to it, and whether all of it is there."""

from dataclasses import dataclass, field
from pathlib import Path, PurePosixPath

from fusionrs_hf.bounded_json import read_object
from fusionrs_hf.bounds import LIST_BYTES
from fusionrs_hf.errors import InputError
from fusionrs_hf.records import make_record

MANIFEST = ".fusionrs.json"
FORMAT = 1
REMEDY = "give a new folder"


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
        manifest = make_record(Manifest, read_object(path, REMEDY, LIST_BYTES), str(path), REMEDY)
    except FileNotFoundError:
        return None
    if manifest.format != FORMAT or not all(map(_is_below, manifest.files)):
        raise InputError(f"{path} is no manifest of this version; {REMEDY}")
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
