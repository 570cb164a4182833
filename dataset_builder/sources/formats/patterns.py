"""Patterns of file names: what the wildcards match is a file's key, by which files of two kinds find each other."""

import re
from pathlib import PurePosixPath

from dataset_builder.sources.formats.files import IMAGE_SUFFIXES
from fusionrs_hf.errors import InputError, shown

WILD = re.compile(r"\*\*/|\*\*|\*|\?")
ANY = {"**/": "((?:[^/]+/)*)", "**": "(.*)", "*": "([^/]*)", "?": "([^/])"}
SUFFIX = "(" + "|".join(map(re.escape, IMAGE_SUFFIXES)) + ")"


class NamePattern:
    """Names of one kind of file: `*` and `?` within a part of the path, `**` over several.

    A pattern without a wildcard is a folder: all images in it and below. Where the pattern ends with a wildcard, the
    suffix of the image (any, in upper or lower case) is no part of the key.

    Args:
        pattern: Such as `visible`, `*/rgb/*` or `color/*_eo-*.jpg`; relative, `/` between its parts.

    Raises:
        InputError: It is empty, absolute or leads upwards.
    """

    def __init__(self, pattern: str) -> None:
        parts = PurePosixPath(pattern).parts
        if not parts or parts[0] == "/" or ".." in parts:
            raise InputError(
                f"{shown(pattern)} is no folder or pattern below `path`; give one such as visible or */rgb/*"
            )
        self.pattern = pattern
        text = "/".join(parts)
        text = text if WILD.search(text) else f"{text}/**"
        self.literals = WILD.split(text)
        self.open_end = not self.literals[-1]
        regex = "".join(
            re.escape(literal) + (ANY[wild] if wild else "")
            for literal, wild in zip(self.literals, [*WILD.findall(text), ""], strict=True)
        )
        self.regex = re.compile(regex + (f"(?i:{SUFFIX})" if self.open_end else ""), re.DOTALL)
        self.folder = text[: WILD.search(text).start()].rpartition("/")[0]  # all names are below it

    @property
    def wildcards(self) -> int:
        """Number of parts of a key."""
        return len(self.literals) - 1

    def split(self, name: str) -> tuple[tuple[str, ...], str] | None:
        """Returns key and suffix (`""` where the pattern has its own) of a name; None where it does not fit."""
        match = self.regex.fullmatch(name)
        if not match:
            return None
        return (match.groups()[:-1], match.groups()[-1]) if self.open_end else (match.groups(), "")

    def name(self, key: tuple[str, ...], suffix: str) -> str:
        """Returns the name that has a key and suffix."""
        return "".join(literal + part for literal, part in zip(self.literals, [*key, suffix], strict=True))
