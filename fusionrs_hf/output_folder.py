"""Folders that verbs write: ours only if their own manifest says so, locked while written, known to be whole or not.

A verb writes into a folder that is absent or empty, or that holds the manifest of the same verb. It deletes and
replaces what the manifest lists, nothing else: what a user has put beside it stays, and stands in the way of an
`--overwrite` instead of being lost. A writer holds the folder alone, readers hold it together; a lock goes with its
process, however that ends. Works on Linux and macOS; where a file system has no locks, nothing is kept out.
"""

import errno
import fcntl
import json
import os
import platform
import shlex
import shutil
import sys
from collections.abc import Iterable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import asdict, dataclass, field, replace
from pathlib import Path, PurePosixPath

from fusionrs_hf.atomic import write_json
from fusionrs_hf.errors import InputError

MANIFEST = ".fusionrs.json"
FORMAT = 1
NO_LOCKS = (errno.ENOLCK, errno.ENOSYS, errno.EOPNOTSUPP, errno.EBADF)  # of a file system
SHOWN = 3  # names in a message


@dataclass(frozen=True, slots=True)
class Manifest:
    """What a folder of ours says of itself.

    Args:
        verb: That wrote it, such as `embed`.
        command: That finishes it where it is not finished, or made it.
        finished: Whether all is there.
        files: What the verb wrote, relative to the folder, `/`-separated, sorted; the manifest itself is not listed.
        writer: Process and machine that wrote last, in words.
    """

    verb: str
    command: str
    finished: bool = False
    files: list[str] = field(default_factory=list)
    writer: str = ""
    format: int = FORMAT


def command_line() -> str:
    """Returns the command that runs, as a user would type it again."""
    name = Path(sys.argv[0]).name
    return shlex.join(["fusionrs" if name in ("fusionrs", "cli.py") else name, *sys.argv[1:]])


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
        safe = all(_is_below(name) for name in manifest.files)
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
    return bool(parts) and not name.startswith("/") and ".." not in parts


def require_finished(folder: Path) -> None:
    """Raises InputError, with the command that finishes it, where a folder of ours is not whole; others pass."""
    manifest = read_manifest(folder)
    if manifest is not None and not manifest.finished:
        raise InputError(
            f"{folder} is not finished: `fusionrs {manifest.verb}` is still at work there or was stopped; finish it "
            f"with: {manifest.command}"
        )


def files_below(folder: Path) -> list[str]:
    """Returns the files and links below a folder, `/`-separated, sorted; a link to a folder is one entry."""
    names = []
    for place, folders, files in os.walk(folder):
        links = [name for name in folders if os.path.islink(os.path.join(place, name))]
        names += [(Path(place) / name).relative_to(folder).as_posix() for name in (*files, *links)]
    return sorted(names)


class OutputFolder:
    """A folder while a verb writes it; made by `writing`.

    Args:
        path: Of the folder.
        manifest: What it says of itself now.
    """

    def __init__(self, path: Path, manifest: Manifest) -> None:
        self.path, self.manifest = path, manifest

    def list_files(self, names: Iterable[str]) -> None:
        """Takes files down as the verb's own, before or after they are written."""
        files = sorted({*self.manifest.files, *names})
        if files != self.manifest.files:
            self._write(replace(self.manifest, files=files))

    def move_in(self, source: Path) -> None:
        """Moves all files below a folder of the same file system into this one, listed before they appear.

        Raises:
            InputError: A file that the manifest does not list is in the way; nothing was moved.
        """
        names = files_below(source)
        if strays := [name for name in names if name not in self.manifest.files and os.path.lexists(self.path / name)]:
            raise InputError(
                f"{self.path} holds {_few(strays)}, which `fusionrs {self.manifest.verb}` did not write and would "
                "replace; move it away"
            )
        self.list_files(names)
        for name in names:
            (self.path / name).parent.mkdir(parents=True, exist_ok=True)
            os.replace(source / name, self.path / name)

    def finish(self, names: Iterable[str] | None = None) -> None:
        """Says that all is there.

        Args:
            names: All files that the verb has written; None: those that were listed.
        """
        files = self.manifest.files if names is None else sorted(names)
        self._write(replace(self.manifest, files=files, finished=True))

    def reopen(self) -> None:
        """Says that the folder is not whole, until it is finished again."""
        if self.manifest.finished:
            self._write(replace(self.manifest, finished=False))

    def discard(self) -> None:
        """Deletes what the manifest lists, and the folders that are empty then; the manifest stays."""
        for name in self.manifest.files:
            (self.path / name).unlink(missing_ok=True)
        for place, folders, _ in os.walk(self.path, topdown=False):
            for name in folders:
                inner = Path(place) / name
                if not inner.is_symlink() and not any(inner.iterdir()):
                    inner.rmdir()
        self._write(replace(self.manifest, files=[], finished=False))

    def _write(self, manifest: Manifest) -> None:
        self.manifest = manifest
        write_json(self.path / MANIFEST, asdict(manifest))


@contextmanager
def writing(
    folder: Path | str, verb: str, overwrite: bool = False, scratch: Sequence[str] = ()
) -> Iterator[OutputFolder]:
    """Holds a folder alone while a verb writes it: a new or empty one, or one that the same verb wrote.

    Args:
        folder: Made if missing; its parent need not exist.
        verb: That writes, such as `embed`.
        overwrite: Delete first what the manifest lists. A file that it does not list is in the way, and named.
        scratch: Names in the folder that the verb keeps for itself while it works, such as `.work`.

    Raises:
        InputError: The folder is a link or holds something else, or another process holds it; nothing was touched.
    """
    folder = Path(folder)
    _refuse_links(folder)
    was_there = folder.is_dir()
    if folder.exists() and not was_there:
        raise InputError(f"{folder} is a file, expected a folder that is new, empty, or of `fusionrs {verb}`")
    manifest = read_manifest(folder) if was_there else None
    check_ours(folder, verb, manifest)
    if overwrite and manifest is not None:
        listed = {MANIFEST, *manifest.files}
        strays = [name for name in files_below(folder) if name not in listed and name.split("/")[0] not in scratch]
        if strays:
            raise InputError(
                f"{folder} holds files that `fusionrs {verb}` did not write ({_few(strays)}); move them away, or give "
                "another folder"
            )
    folder.mkdir(parents=True, exist_ok=True)
    with _held(folder, fcntl.LOCK_EX):
        current = read_manifest(folder)  # somebody may have been first
        check_ours(folder, verb, current)
        output = OutputFolder(folder, current or Manifest(verb, command_line(), writer=_writer()))
        if current is None or not current.finished or overwrite:
            output._write(replace(output.manifest, command=command_line(), writer=_writer()))
        if overwrite and current is not None:
            output.discard()
            for name in scratch:
                shutil.rmtree(folder / name, ignore_errors=True)
        yield output


def check_ours(folder: Path, verb: str, manifest: Manifest | None) -> None:
    """Raises InputError unless a folder is absent, empty, or of this verb by its manifest."""
    if manifest is not None and manifest.verb != verb:
        raise InputError(f"{folder} was written by `fusionrs {manifest.verb}`; give `fusionrs {verb}` another folder")
    if manifest is None and folder.is_dir() and (names := sorted(os.listdir(folder))):
        raise InputError(
            f"{folder} is not empty and not of `fusionrs {verb}` ({_few(names)}); give a new or empty folder"
        )


@contextmanager
def reading(folder: Path | str) -> Iterator[Path]:
    """Holds a folder with other readers, so that no verb writes it meanwhile; refuses one that is not whole.

    Raises:
        InputError: It is not finished, or a verb is writing it.
    """
    folder = Path(folder)
    with _held(folder, fcntl.LOCK_SH):
        require_finished(folder)
        yield folder


def _refuse_links(folder: Path) -> None:
    if folder.is_symlink():
        raise InputError(f"{folder} is a link; give the folder itself, so that it is known what is written where")


@contextmanager
def _held(folder: Path, kind: int) -> Iterator[None]:
    handle = os.open(folder, os.O_RDONLY | os.O_DIRECTORY)
    try:
        try:
            fcntl.flock(handle, kind | fcntl.LOCK_NB)
        except BlockingIOError as error:
            manifest = read_manifest(folder)
            who = f"`{manifest.command}` ({manifest.writer})" if manifest and not manifest.finished else "another verb"
            raise InputError(f"{folder} is in use by {who}; wait until it has ended, or stop it") from error
        except OSError as error:
            if error.errno not in NO_LOCKS:
                raise
        yield
    finally:
        os.close(handle)


def _writer() -> str:
    return f"process {os.getpid()} on {platform.node()}"


def _few(names: Sequence[str]) -> str:
    return ", ".join(names[:SHOWN]) + (", ..." if len(names) > SHOWN else "")
