"""Folders that verbs write: ours only if their own manifest says so, locked while written, known to be whole or not.

A verb writes into a folder that is absent or empty, or that holds the manifest of the same verb. It deletes and
replaces what the manifest lists, nothing else: what a user has put beside it stays, and stands in the way of an
`--overwrite` instead of being lost. With a file that is listed, the hidden name under which it is written until it is
whole (`atomic_path`) is the verb's, too. Who may write and read at one time: `folder_lock`.
"""

import logging
import os
import stat
from collections.abc import Callable, Iterable, Iterator, Sequence
from contextlib import contextmanager, suppress
from dataclasses import asdict, replace
from pathlib import Path, PurePosixPath

from fusionrs_hf.atomic import write_json
from fusionrs_hf.errors import InputError
from fusionrs_hf.folder_lock import ALONE, TOGETHER, command_line, held, process_in_words, share
from fusionrs_hf.folder_manifest import MANIFEST, Manifest, read_manifest, require_finished
from fusionrs_hf.folder_scratch import is_scratch

logger = logging.getLogger(__name__)

SHOWN = 3  # names in a message


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
        verb: At work.
        lock: On the folder.
    """

    def __init__(self, path: Path, manifest: Manifest, verb: str, lock: int) -> None:
        self.path, self.manifest, self.verb, self.lock = path, manifest, verb, lock

    def listed(self, below: str) -> list[str]:
        """Returns the files of the verb that lie in a folder of this one, such as `data`."""
        return [name for name in self.manifest.files if name.startswith(f"{below}/")]

    def has(self, name: str) -> bool:
        """Returns whether a file is there that the verb has written."""
        return name in self.manifest.files and (self.path / name).exists()

    def list_files(self, names: Iterable[str]) -> None:
        """Takes files down as the verb's own, before or after they are written."""
        files = sorted({*self.manifest.files, *names})
        if files != self.manifest.files:
            self._write(replace(self.manifest, files=files))

    def claim(self, names: Iterable[str]) -> None:
        """Takes files down as the verb's own that are to be written, if nothing of others is in the way.

        Raises:
            InputError: One is there and was not written by the verb, or is a link or lies behind one; nothing was
                touched.
        """
        names = {*names}
        self.check_way(names)
        strays = [
            name
            for new in sorted(names.difference(self.manifest.files))
            for name in (new, _hidden(new))
            if os.path.lexists(self.path / name)
        ]
        self._refuse(strays)
        self.list_files(names)

    def refuse_strays(self, below: str = "") -> None:
        """Raises InputError for files in a folder of this one that the verb did not write; such would be mixed in."""
        self._refuse(self._strays(below))

    def move_in(self, source: Path) -> None:
        """Moves all files below a folder of the same file system into this one, listed before they appear.

        Raises:
            InputError: A file that the manifest does not list is in the way; nothing was moved.
        """
        names = files_below(source)
        self.claim(names)
        for name in names:
            (self.path / name).parent.mkdir(parents=True, exist_ok=True)
            os.replace(source / name, self.path / name)

    def delete(self, names: Iterable[str]) -> None:
        """Deletes files of the verb, and the folders that they leave empty; what the manifest does not list stays.

        Raises:
            InputError: Another file or a link is in the place of one; nothing was deleted.
        """
        names = {*names}.intersection(self.manifest.files)
        if not names:
            return
        self.check_way(names)
        for name in names:
            (self.path / name).unlink(missing_ok=True)
            (self.path / _hidden(name)).unlink(missing_ok=True)
        for folder in sorted(_folders(names), reverse=True):  # what lies deeper comes first
            with suppress(OSError):
                (self.path / folder).rmdir()
        self._write(replace(self.manifest, files=[name for name in self.manifest.files if name not in names]))

    def finish(self, names: Iterable[str] | None = None) -> None:
        """Says that all is there.

        Args:
            names: All files that the verb has written; None: those that were listed.
        """
        files = self.manifest.files if names is None else sorted(names)
        done = Manifest(self.manifest.verb, finished=True, files=files)
        if done != self.manifest:
            self._write(done)

    def reopen(self) -> None:
        """Says that the folder is not whole, until it is finished again."""
        if self.manifest.finished:
            self._write(self._at_work())

    def make_way(self) -> None:
        """Makes way for an `--overwrite`: says what goes, then discards it.

        Raises:
            InputError: There are files that the verb did not write.
        """
        self._refuse(self._strays(""))
        if names := [name for name in self.manifest.files if os.path.lexists(self.path / name)]:
            logger.info(
                "replacing %d files that `fusionrs %s` wrote in %s (%s)", len(names), self.verb, self.path, _few(names)
            )
        self.discard()

    def discard(self) -> None:
        """Deletes what the manifest lists; the manifest stays."""
        self.reopen()
        self.delete(self.manifest.files)

    def leave(self) -> None:
        """Discards all, manifest and all; the folder goes, too, unless something of others is in it."""
        self.discard()
        (self.path / MANIFEST).unlink(missing_ok=True)
        with suppress(OSError):
            self.path.rmdir()

    def share(self) -> None:
        """Lets other processes of the same verb hold the folder together with this one, by `joining`."""
        share(self.lock, self.path)

    def _at_work(self) -> Manifest:
        changes = "" if self.verb == self.manifest.verb else self.verb
        state = {"finished": False, "command": command_line(), "writer": process_in_words(os.getpid())}
        return replace(self.manifest, changes=changes, **state)

    def _strays(self, below: str) -> list[str]:
        ours = {MANIFEST, *self.manifest.files}
        names = (f"{below}/{name}" if below else name for name in files_below(self.path / below))
        return [name for name in names if name not in ours and _shown(name) not in ours and not is_scratch(name)]

    def _refuse(self, strays: Sequence[str]) -> None:
        if strays:
            raise InputError(
                f"{self.path} holds files that `fusionrs {self.verb}` did not write ({_few(strays)}); move them away, "
                "or give another folder"
            )

    def check_way(self, names: Iterable[str]) -> None:
        """Raises InputError for links and folders in the place of files, links and files in that of their folders."""
        names = {*names}
        for part, expected in (
            *((part, stat.S_ISDIR) for part in _folders(names)),
            *((n, stat.S_ISREG) for n in names),
        ):
            try:
                fits = expected(os.lstat(self.path / part).st_mode)
            except (FileNotFoundError, NotADirectoryError):
                continue
            if not fits:
                kind = "folder" if expected is stat.S_ISDIR else "file"
                raise InputError(f"{self.path / part} is in the way, expected a {kind} and no link; move it away")

    def _write(self, manifest: Manifest) -> None:
        write_json(self.path / MANIFEST, asdict(manifest))
        self.manifest = manifest


def _hidden(name: str) -> str:
    """The name under which `atomic_path` writes a file."""
    path = PurePosixPath(name)
    return path.with_name(f".{path.name}.partial").as_posix()


def _shown(name: str) -> str:
    """The other way around."""
    path = PurePosixPath(name)
    return path.with_name(path.name.removesuffix(".partial")[1:] or path.name).as_posix()


def _folders(names: Iterable[str]) -> set[str]:
    return {parent.as_posix() for name in names for parent in PurePosixPath(name).parents} - {"."}


@contextmanager
def writing(
    folder: Path | str,
    verb: str,
    overwrite: bool = False,
    *,
    of: Sequence[str] = (),
    former: Callable[[Path], Manifest | None] = lambda folder: None,
) -> Iterator[OutputFolder]:
    """Holds a folder alone while a verb writes it: a new or empty one, or one that the same verb wrote.

    Where the block has written nothing, nothing is left behind.

    Args:
        folder: Made if missing; its parent need not exist.
        verb: That writes, such as `embed`.
        overwrite: Delete first what the manifest lists. A file that it does not list is in the way, and named.
        of: Verbs whose finished folders it changes; none: it makes one of its own.
        former: Returns what a folder that a version without manifests wrote would say of itself, None for others.

    Raises:
        InputError: The folder is a link or holds something else, or another process holds it; nothing was touched.
    """
    folder = Path(folder)
    manifest_of(folder, verb, former, of)
    new = not folder.exists()
    with held(folder, ALONE, lambda: _writer_of(folder)) as lock:
        current = manifest_of(folder, verb, former, of)  # somebody may have been first
        output = OutputFolder(folder, current or Manifest(verb), verb, lock)
        try:
            if not output.manifest.finished:
                output._write(output._at_work())
            if overwrite and current is not None:
                output.make_way()
            yield output
        finally:
            if folder.is_dir() and not output.manifest.finished and set(os.listdir(folder)) <= {MANIFEST}:
                _leave_no_trace(folder, new)


def _leave_no_trace(folder: Path, new: bool) -> None:
    with suppress(OSError):
        (folder / MANIFEST).unlink(missing_ok=True)
        if new:
            folder.rmdir()


def manifest_of(
    folder: Path,
    verb: str,
    former: Callable[[Path], Manifest | None] = lambda folder: None,
    of: Sequence[str] = (),
) -> Manifest | None:
    """Returns what a folder says of itself, None where it is absent or empty; arguments as of `writing`.

    Raises:
        InputError: It is a link or a file, or as of `check_ours`.
    """
    if folder.is_symlink():
        raise InputError(f"{folder} is a link; give the folder itself, so that it is known what is written where")
    if folder.exists() and not folder.is_dir():
        raise InputError(f"{folder} is a file, expected a folder that is new, empty, or of `fusionrs {verb}`")
    if not folder.is_dir():
        return None
    manifest = read_manifest(folder) or former(folder)
    check_ours(folder, verb, manifest, of)
    return manifest


def check_ours(folder: Path, verb: str, manifest: Manifest | None, of: Sequence[str] = ()) -> None:
    """Raises InputError unless a folder is absent, empty, or of the verb and not for another verb to finish first."""
    if manifest is None:
        if folder.is_dir() and (names := sorted(name for name in os.listdir(folder) if name != _hidden(MANIFEST))):
            raise InputError(
                f"{folder} is not empty and not of `fusionrs {verb}` ({_few(names)}); give a new or empty folder"
            )
    elif manifest.verb not in (of or (verb,)):
        raise InputError(f"{folder} was written by `fusionrs {manifest.verb}`; give `fusionrs {verb}` another folder")
    elif not manifest.finished and (manifest.changes or manifest.verb) != verb:
        require_finished(folder)


@contextmanager
def joining(folder: Path, verb: str) -> Iterator[Manifest | None]:
    """Holds a folder together with other processes of a verb, one of which has begun it and lets others in (`share`).

    Raises:
        FolderInUseError: A process holds it alone.
        InputError: The folder is not of this verb.
    """
    with held(folder, TOGETHER, lambda: _writer_of(folder)):
        yield manifest_of(folder, verb)


@contextmanager
def reading(folder: Path | str) -> Iterator[Path]:
    """Holds a folder with other readers, so that no verb writes it meanwhile; refuses one that is not whole.

    Raises:
        InputError: It is not finished, or a verb is writing it.
    """
    folder = Path(folder)
    require_finished(folder)  # first without the lock, which would be in the way of who finishes it
    with held(folder, TOGETHER, lambda: _writer_of(folder)):
        require_finished(folder)
        yield folder


def _writer_of(folder: Path) -> str:
    manifest = read_manifest(folder)
    return f"`{manifest.command}` ({manifest.writer})" if manifest and manifest.writer else ""


def _few(names: Sequence[str]) -> str:
    return ", ".join(names[:SHOWN]) + (", ..." if len(names) > SHOWN else "")
