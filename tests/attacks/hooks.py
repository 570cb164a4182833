"""Write points of a verb: each call that makes, renames or deletes something below a folder, counted, and acted on."""

import builtins
import io
import os
import signal
from collections.abc import Callable
from pathlib import Path

MAKING = set("wax+")
FLAGS = os.O_WRONLY | os.O_RDWR | os.O_CREAT


class WritePoints:
    """Patches, in a child process, what Python writes with; libraries in C write files that Python then renames.

    Args:
        root: Folder whose files count.
        act: Called before each write point with its number, from 0.
    """

    def __init__(self, root: Path, act: Callable[[int], None]) -> None:
        self.root, self.act, self.count, self.inside = os.path.join(os.path.realpath(root), ""), act, 0, False

    def __call__(self) -> None:
        """Sets the hooks; given to `verbs.Running` as `prepare`."""
        for name in ("replace", "rename", "unlink", "remove", "rmdir", "mkdir", "link", "symlink", "truncate"):
            setattr(os, name, self._counted(getattr(os, name), lambda *a, **k: True))
        os.open = self._counted(os.open, lambda path, flags, *a, **k: flags & FLAGS)
        opened = self._counted(open, lambda path, mode="r", *a, **k: MAKING & set(mode))
        builtins.open = io.open = opened

    def _counted(self, function: Callable, writes: Callable) -> Callable:
        def call(path, *args, **kwargs):
            if not self.inside and writes(path, *args, **kwargs) and self._is_below(path, kwargs.get("dir_fd")):
                self.inside = True
                try:
                    self.act(self.count)
                finally:
                    self.inside, self.count = False, self.count + 1
            return function(path, *args, **kwargs)

        return call

    def _is_below(self, path: object, folder: int | None) -> bool:
        if not isinstance(path, str | bytes | os.PathLike):
            return False
        path = os.fsdecode(path)
        if folder is not None:
            path = os.path.join(os.readlink(f"/proc/self/fd/{folder}"), path)
        return os.path.join(os.path.abspath(path), "").startswith(self.root)


def counting(root: Path, into: Path) -> WritePoints:
    """Leaves the number of write points in a file."""
    file = os.open(into, os.O_WRONLY | os.O_CREAT | os.O_TRUNC)
    return WritePoints(root, lambda number: os.pwrite(file, str(number + 1).encode(), 0))


def signalled(root: Path, point: int, number: int) -> WritePoints:
    """Sends the process itself a signal before a write point: SIGSTOP, or SIGKILL."""
    return WritePoints(root, lambda count: os.kill(os.getpid(), number) if count == point else None)


def stopped(root: Path, point: int) -> WritePoints:
    """Stops the process before a write point, until it is told to go on."""
    return signalled(root, point, signal.SIGSTOP)


def killed(root: Path, point: int) -> WritePoints:
    """Kills the process before a write point."""
    return signalled(root, point, signal.SIGKILL)


def spread(count: int, most: int) -> list[int]:
    """Returns up to `most` numbers below `count`, spread evenly, the first and the last among them."""
    if count <= most:
        return list(range(count))
    return sorted({round(step * (count - 1) / (most - 1)) for step in range(most)})
