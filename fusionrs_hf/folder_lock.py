"""The lock of a folder that a verb writes or reads: of its process, on the folder itself, so that nothing is left.

Writers hold a folder alone, readers hold it together. A lock ends with its process, however that ends, and needs no
right to write. Works on Linux and macOS; where a file system has no locks, nothing is kept out. Several hosts on one
folder are kept apart only where the file system's locks are.
"""

import errno
import fcntl
import os
import platform
import shlex
import sys
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path

from fusionrs_hf.errors import InputError
from fusionrs_hf.redaction import redacted_text
from fusionrs_hf.stops import FULL

NO_LOCKS = (errno.ENOLCK, errno.ENOSYS, errno.EOPNOTSUPP, errno.EBADF)  # of a file system
ALONE, TOGETHER = fcntl.LOCK_EX, fcntl.LOCK_SH
LOCKS = Path("/proc/locks")  # of Linux
COMMAND_CHARACTERS = 200  # of a command in a message


class FolderInUseError(InputError):
    """Another process holds the folder."""


@contextmanager
def held(folder: Path, kind: int, holder: Callable[[], str] = str) -> Iterator[int]:
    """Holds a folder while the block runs; gives the lock, for `share`.

    Args:
        folder: Is made where it is missing and is to be held alone.
        kind: `ALONE` or `TOGETHER`.
        holder: Says who holds it, in words, where the system does not.

    Raises:
        FolderInUseError: Another process holds it so that this one can't.
    """
    lock = _open_lock(folder, kind)
    try:
        _take(lock, folder, kind, holder)
        while not _is_of(lock, folder):  # who held it before has deleted it
            os.close(lock)
            lock = _open_lock(folder, kind)
            _take(lock, folder, kind, holder)
        yield lock
    finally:
        os.close(lock)


def share(lock: int, folder: Path) -> None:
    """Lets others hold a folder together with this process, which held it alone."""
    _take(lock, folder, TOGETHER)


def _open_lock(folder: Path, kind: int) -> int:
    if kind == ALONE:
        try:
            folder.mkdir(parents=True, exist_ok=True)
        except OSError as error:
            if error.errno in FULL:
                raise
            raise InputError(
                f"cannot write to {folder} ({error.strerror}); give an output folder that can be made"
            ) from error
    return os.open(folder, os.O_RDONLY | os.O_DIRECTORY)


def _is_of(lock: int, folder: Path) -> bool:
    try:
        return os.path.samestat(os.fstat(lock), os.stat(folder))
    except FileNotFoundError:
        return False


def _take(lock: int, folder: Path, kind: int, holder: Callable[[], str] = str) -> None:
    try:
        fcntl.flock(lock, kind | fcntl.LOCK_NB)
    except BlockingIOError as error:
        who = _holders(lock) or holder() or "another process"
        raise FolderInUseError(f"{folder} is in use by {who}; wait until it has ended, or stop it") from error
    except OSError as error:
        if error.errno not in NO_LOCKS:
            raise


def _holders(lock: int) -> str:
    """Names the commands that hold a folder, where the system tells."""
    status, holders = os.fstat(lock), []
    place = f"{os.major(status.st_dev):02x}:{os.minor(status.st_dev):02x}:{status.st_ino}"
    try:
        lines = LOCKS.read_text().splitlines()
    except OSError:
        lines = []
    for fields in map(str.split, lines):
        if fields[1] == "FLOCK" and fields[5] == place:
            holders.append(f"{_command_of(fields[4])} ({process_in_words(fields[4])})")
    return " and ".join(sorted(set(holders)))


def _command_of(process: str) -> str:
    try:
        words = Path("/proc", process, "cmdline").read_bytes().decode(errors="replace").split("\0")[:-1]
    except OSError:
        words = []
    return f"`{' '.join(command_line(words).split())[:COMMAND_CHARACTERS]}`" if words else "another command"


def process_in_words(process: int | str) -> str:
    """Returns a process and its machine in words."""
    return f"process {process} on {platform.node()}"


def command_line(words: Sequence[str] | None = None) -> str:
    """Returns a command as a user would type it again, but for values of `--option`, which may be secret.

    Args:
        words: Of the command; None: of the one that runs.
    """
    words = [word for word in (sys.argv if words is None else words) if word != "--overwrite"]  # it would start anew
    for place, word in enumerate(words[:4]):
        if Path(word).name in ("fusionrs", "cli.py") or word == "fusionrs_hf.cli":
            return redacted_text(shlex.join(["fusionrs", *_without_secrets(words[place + 1 :])]))
    if Path(words[0]).name in ("", "-c"):  # an interpreter that somebody types to
        return "the same call again"
    return redacted_text(shlex.join([Path(words[0]).name, *words[1:]]))


def _without_secrets(words: Sequence[str]) -> Iterator[str]:
    follows = False
    for word in words:
        option = word.removeprefix("--option=")
        if follows:
            yield f"{word.partition('=')[0]}=..."
        else:
            yield word if option == word else f"--option={option.partition('=')[0]}=..."
        follows = word == "--option"
