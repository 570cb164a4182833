"""Names from indexes, tars and caption files -> files inside a declared root, and never anything else."""

import hashlib
import os
import re
import unicodedata
from collections.abc import Iterable
from functools import partial
from pathlib import Path, PurePosixPath
from typing import Any

from fusionrs_hf.bounds import IMAGE_BYTES, PATH_CHARACTERS
from fusionrs_hf.errors import shown

SPLIT_WORDS = {  # upstream: ours, by the table of `datasets`
    "train": "train",
    "restval": "train",  # what Karpathy's files call images of a validation set moved to train
    **dict.fromkeys(("val", "validation", "valid", "dev"), "validation"),
    **dict.fromkeys(("test", "testing", "eval", "evaluation"), "test"),
    "training": "train",
}
BETWEEN_WORDS = re.compile(r"[-._ 0-9/\\]+")  # of names that tell a split, as `datasets` has it: `train2017`, `my-val`


class UnsafeNameError(ValueError):
    """A name that is empty, absolute, no UTF-8, holds NUL or `..`, or leads out of its root by a link."""


def parts_of(name: str) -> tuple[str, ...]:
    r"""Returns the parts of a relative name, without looking at any file.

    Args:
        name: With `/` or `\` between its parts; comes from data and is not trusted.

    Raises:
        UnsafeNameError: The name is empty, absolute (also as Windows and URLs write it), holds NUL, `..` or a drive,
            or is no text that UTF-8 can hold.
    """
    parts = PurePosixPath(name.replace("\\", "/")).parts
    if (
        not parts
        or "\0" in name
        or len(name) > PATH_CHARACTERS
        or parts[0].startswith("/")
        or ".." in parts
        or ":" in parts[0]
    ):
        raise UnsafeNameError(f"{shown(name)} does not name a file below its root; give a relative name without `..`")
    if printable(name) != name:
        raise UnsafeNameError(f"{shown(name)} is no UTF-8; rename the file")
    return parts


def inside(root: Path, name: str) -> Path:
    r"""Returns the path that a name means below `root`; whether there is a file is not asked.

    Args:
        root: Folder that nothing may leave; it may itself be a link.
        name: Relative, with `/` or `\` between its parts; comes from data and is not trusted.

    Raises:
        UnsafeNameError: As `parts_of`, or a link on the way leads out of `root`.
    """
    path = root.joinpath(*parts_of(name))
    top = os.path.realpath(root)
    if not os.path.realpath(path).startswith(os.path.join(top, "")):  # realpath takes loops of links, too
        raise UnsafeNameError(f"{shown(name)} leads out of {root} by a link; copy the file into the root")
    return path


def read_inside(root: Path, name: str, max_bytes: int = IMAGE_BYTES) -> tuple[bytes | None, str | None]:
    """Returns the bytes of the file that a name means below `root`, and None or why there are none.

    Args:
        root, name: As of `inside`; a name that is written in another normal form of Unicode than the file is found.
        max_bytes: Larger files are not read.

    Returns:
        Bytes or None, and the reason: `unsafe_path`, `image_missing` (no file: a pipe or device is none),
        `image_too_large` or `unreadable`.
    """
    try:
        path = next((path for path in map(partial(inside, root), spellings(name)) if path.is_file()), None)
        if path is None:
            return None, "image_missing"
        if path.stat().st_size > max_bytes:
            return None, "image_too_large"
        return path.read_bytes(), None
    except UnsafeNameError:
        return None, "unsafe_path"
    except OSError:  # no right to read it, a broken disk, a name that the file system does not take
        return None, "unreadable"


def name_key(name: str) -> int:
    """Returns 64 bits of a name's digest, the same in all normal forms of Unicode."""
    data = composed(name).encode("utf-8", "surrogatepass")
    return int.from_bytes(hashlib.blake2b(data, digest_size=8).digest(), "little")


def composed(name: str) -> str:
    """Returns a name by which names are compared: Macs write accents by letters of their own."""
    return name if name.isascii() else unicodedata.normalize("NFC", name)


def spellings(name: str) -> list[str]:
    """Returns a name, and the same letters composed (NFC) and decomposed (NFD), as another system writes them."""
    forms = [] if name.isascii() else [unicodedata.normalize(form, name) for form in ("NFC", "NFD")]
    return list(dict.fromkeys([name, *forms]))


def printable(name: str) -> str:
    r"""Returns a name as UTF-8 can hold it: what it cannot hold is written as `\udcff`; all else stays."""
    return name.encode("utf-8", "backslashreplace").decode()


def readable(captions: Iterable[Any]) -> tuple[list[str], str | None]:
    """Returns the captions that are UTF-8 text, unchanged and in order, and `caption_unreadable` if others were there.

    Args:
        captions: Of any type; undecodable bytes as `surrogateescape` gives them.
    """
    captions = list(captions)
    good = [text for text in captions if isinstance(text, str) and printable(text) == text]
    return good, None if len(good) == len(captions) else "caption_unreadable"


def split_words(name: str) -> list[str]:
    """Returns the words of a name, folders included, that tell a split, in their order, in lower case."""
    return [word for word in BETWEEN_WORDS.split(name.lower()) if word in SPLIT_WORDS]


def split_of(name: str) -> str | None:
    """Returns the split that a file's name or folders tell, the last word that does; None if none does.

    `val/rs3-val-0007.tar` -> validation; between words stand `/`, `-`, `_`, `.`, blanks and digits.
    """
    words = split_words(name)
    return SPLIT_WORDS[words[-1]] if words else None
