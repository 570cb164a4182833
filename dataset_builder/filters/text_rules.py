"""Rules about captions, of either kind: is it a text, and one that a reader would write?

Letters of any script pass, written from left or right, composed or not; nothing here changes a text.
"""

import re
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, ClassVar

from dataset_builder.thresholds import threshold

# Tab and line ends are blanks. U+FFFD is what a decoder leaves of damaged bytes; surrogates are no characters. Marks
# that override the direction of letters, hide or annotate text show a reader another text than a model reads; those of
# scripts that are written from the right pass, where each that opens is closed: see `_turns_what_follows`.
CONTROLS = re.compile(
    "[\x00-\x08\x0b\x0c\x0e-\x1f\x7f-\x84\x86-\x9f\u202d\u202e\u2060-\u2065\u206a-\u206f\ud800-\udfff\ufdd0-\ufdef\ufff9-\uffff"
    "\ufeff\U000e0000-\U000e007f]"
)
CLOSED_BY = {**dict.fromkeys("\u202a\u202b", "\u202c"), **dict.fromkeys("\u2066\u2067\u2068", "\u2069")}
TURNS = re.compile("[\u202a-\u202c\u2066-\u2069]")
MARKUP = re.compile(
    r"</?[A-Za-z][^<>]*>"  # tags, and the special tokens of tokenizers that look like them
    r"|<!--|<!\[CDATA\[|<!doctype\b"
    r"|<\|[^<>|]{1,40}\|>"  # special tokens of chat templates
    r"|&(?:[A-Za-z]{2,8}|#[0-9]{1,6}|#[xX][0-9A-Fa-f]{1,6});"
    r"|```|\*\*[^*\s][^*]*\*\*"
    r"|!?\[[^\]]*\]\([^)\s]*\)"
    r"|^\s{0,3}#{1,6}\s",
    re.IGNORECASE | re.MULTILINE,
)
# Scripts written without blanks: each ideograph, kana or Thai, Lao, Burmese or Khmer letter stands for a word.
UNSPACED = re.compile(
    "[\u0e00-\u0eff\u1000-\u109f\u1780-\u17ff\u3040-\u30ff\u3400-\u9fff\uf900-\ufaff\U00020000-\U0003ffff]"
)


@dataclass(frozen=True, slots=True)
class CaptionEmpty:
    """The row has no caption of either kind, or one that is blank."""

    reason: ClassVar[str] = "caption_empty"

    def __call__(self, row: Mapping[str, Any]) -> str | None:
        """Reads `captions` and `ir_captions`."""
        texts = _captions(row)
        blank = any(text is None or isinstance(text, str) and not text.strip() for text in texts)
        return self.reason if blank or not texts else None


@dataclass(frozen=True, slots=True)
class CaptionNotText:
    """A caption has hardly a letter in it, as a number or a row of dots, or is another thing than a text."""

    reason: ClassVar[str] = "caption_not_text"
    min_letters: int = threshold(2, "letters of any script")

    def __call__(self, row: Mapping[str, Any]) -> str | None:
        """Reads `captions` and `ir_captions`; missing and blank ones are `caption_empty`'s."""
        return self.reason if any(self._is_none(text) for text in _captions(row)) else None

    def _is_none(self, text: Any) -> bool:
        if not isinstance(text, str):
            return text is not None
        return bool(text.strip()) and sum(map(str.isalpha, text[:1000])) < self.min_letters


@dataclass(frozen=True, slots=True)
class CaptionHasControlCharacters:
    """A caption holds characters that no text has: control codes, marks that turn or hide text, remains of damage."""

    reason: ClassVar[str] = "caption_has_control_characters"

    def __call__(self, row: Mapping[str, Any]) -> str | None:
        """Reads `captions` and `ir_captions`; tab and line ends count as blanks."""
        return self.reason if any(map(_has_controls, _texts(row))) else None


@dataclass(frozen=True, slots=True)
class CaptionHasMarkup:
    """A caption holds HTML, Markdown or special tokens: it was scraped, or a model would read it as a command."""

    reason: ClassVar[str] = "caption_has_markup"

    def __call__(self, row: Mapping[str, Any]) -> str | None:
        """Reads `captions` and `ir_captions`."""
        return self.reason if any(MARKUP.search(text) for text in _texts(row)) else None


@dataclass(frozen=True, slots=True)
class CaptionTooShort:
    """All captions say next to nothing; single ones are left out before (`LeaveOutStage`), and the row stays."""

    reason: ClassVar[str] = "caption_too_short"
    min_words: int = threshold(2, "words")

    def __call__(self, row: Mapping[str, Any]) -> str | None:
        """Reads `captions` and `ir_captions`; blank ones are `caption_empty`'s."""
        texts = _captions(row)
        return self.reason if texts and all(map(self.is_short, texts)) else None

    def is_short(self, text: Any) -> bool:
        """Whether it is a text of too few words."""
        return isinstance(text, str) and 0 < _words(text) < self.min_words


@dataclass(frozen=True, slots=True)
class CaptionTooLong:
    """A caption is longer than text towers read."""

    reason: ClassVar[str] = "caption_too_long"
    max_words: int = threshold(150, "words")
    max_bytes: int = threshold(10_000, "bytes of UTF-8")

    def __call__(self, row: Mapping[str, Any]) -> str | None:
        """Reads `captions` and `ir_captions`."""
        return self.reason if any(self._is_long(text) for text in _texts(row)) else None

    def _is_long(self, text: str) -> bool:
        return len(text.encode("utf-8", "replace")) > self.max_bytes or _words(text) > self.max_words


def _has_controls(text: str) -> bool:
    return not text.isascii() and _turns_what_follows(text) or CONTROLS.search(text) is not None


def _turns_what_follows(text: str) -> bool:
    """Whether a mark that sets the direction of text is not closed, or closes what was not opened."""
    open_marks = []
    for letter in text if TURNS.search(text) else "":
        if letter in CLOSED_BY:
            open_marks.append(CLOSED_BY[letter])
        elif letter in CLOSED_BY.values() and (not open_marks or open_marks.pop() != letter):
            return True
    return bool(open_marks)


def _captions(row: Mapping[str, Any]) -> list[Any]:
    return [*(row.get("captions") or []), *(row.get("ir_captions") or [])]


def _texts(row: Mapping[str, Any]) -> list[str]:
    return [text for text in _captions(row) if isinstance(text, str)]


def _words(text: str) -> int:
    """Number of words between blanks; in scripts without blanks, each letter is one."""
    return len(UNSPACED.sub(" x ", text).split()) if not text.isascii() else len(text.split())
