"""An attack: what is done, on which verb, and whether what was promised held."""

import os
import shutil
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path

from tests.attacks.snapshots import difference, snapshot
from tests.attacks.stock import Stock
from tests.attacks.verbs import PATIENCE_S, Done, run


@dataclass(frozen=True, slots=True)
class Room:
    """A folder of one attack's own, and the stock."""

    path: Path
    stock: Stock

    def run(
        self, arguments: Sequence[object], prepare: Callable[[], None] = lambda: None, seconds: float = PATIENCE_S
    ) -> Done:
        return run(arguments, self.path.parent / f"{self.path.name}.log", prepare, seconds)

    def copy(self, name: str) -> Path:
        """Copies a folder of the stock into the room, links as links."""
        return Path(shutil.copytree(getattr(self.stock, name), self.path / name, symlinks=True))


@dataclass(frozen=True, slots=True)
class Attack:
    """One attack.

    Args:
        kind: Letter, or word, of the kind.
        verb: Whom it is on.
        name: What is done, in a few words.
        go: Does it in a room; raises AssertionError where a promise did not hold.
    """

    kind: str
    verb: str
    name: str
    go: Callable[[Room], None]


def assert_refused(done: Done, *fragments: str) -> None:
    """Asserts exit code 2 with one line, which holds the fragments."""
    assert done.is_refusal(), f"expected a refusal in one line, got {done.says()}"
    for fragment in fragments:
        assert fragment in done.error, f"expected {fragment!r} in {done.says()}"


def assert_clean(done: Done, codes: Sequence[int] = (0, 3)) -> None:
    """Asserts an end as documented: well, or a refusal in one line."""
    assert done.code in codes and "Traceback" not in done.error or done.is_refusal(), f"ended badly: {done.says()}"


def assert_same(before: dict[str, str], folder: Path, what: str = "the folder") -> None:
    """Asserts that a folder is as it was."""
    change = difference(before, snapshot(folder))
    assert not change, f"{what} was touched: {change}"


def as_root_without_rights() -> None:
    """Gives up what lets root write where modes forbid it."""
    import ctypes

    if os.geteuid() == 0:
        libc, header, sets = ctypes.CDLL(None), (ctypes.c_uint32 * 2)(0x20080522, 0), (ctypes.c_uint32 * 6)()
        libc.capget(header, sets)
        for place in (0, 1):  # effective, permitted; bits 1 and 2 are DAC_OVERRIDE and DAC_READ_SEARCH
            sets[place] &= ~(1 << 1 | 1 << 2)
        libc.capset(header, sets)
