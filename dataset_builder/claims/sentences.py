"""Turns text into sentences of classified words.

Standard library only: a metric's release copies the whole folder.
"""

import re
from collections.abc import Iterator

from .idioms import recast
from .kinds import Kind
from .place_names import read_place
from .tokens import Token
from .words import WORDS, words_of

# `no edges are visible`
_SEEN_AFTER = words_of("""
    any are barely be becomes clearly dimly easily equally faintly hardly is just little no not only plainly poorly
    remain remains scarcely still was well were without
""")
_SEEN_BEFORE = words_of("""
    contrast detail details difference differences edge edges grain lines noise pattern patterns roughness structure
    structures texture variation
""")
_SPELLING = {
    "gray": "grey",
    "grays": "greys",
    "greyish": "grey",
    "grayish": "grey",
    "color": "colour",
    "colors": "colours",
}

_TOKEN = re.compile(r"[a-z]+(?:'[a-z]+)?|[.;:!?]|,|[()]|--| - |[0-9]+%?")
_IS = re.compile("\\b(it|that|there|here|what|this|all|everything|nothing)['\u2019]s\\b")
_GENITIVE = re.compile("['\u2019]s\\b")
_NORMAL = str.maketrans(
    {"\u2019": "'", "\u2010": "-", "\u2011": "-", "\u2012": "-", "\u2013": ",", "\u2014": ",", "\u2015": ",", "-": " "}
)
_ALL_BUT = re.compile(r"\b(all|everything|everywhere|everyone|anything) but (?=(?:the|in|at|a|its|along)\b)")
_OF_THE_GROUND = (
    Kind.SURFACE, Kind.AMOUNT, Kind.UNIFORM, Kind.DISTANCE, Kind.WIDTH, Kind.FOCUS, Kind.DETAIL
)  # fmt: skip


def _phrases() -> dict[str, list[tuple[list[str], Kind, float | str, str]]]:
    """The entries of `WORDS` by their first word, the longest first: words, kind, value and text."""
    phrases: dict[str, list[tuple[list[str], Kind, float | str, str]]] = {}
    for (kind, value), entry in WORDS.items():
        singles, *rest = entry.split(";")
        for phrase in [*singles.split(), *rest]:
            parts = phrase.replace("-", " ").split()
            phrases.setdefault(parts[0], []).append((parts, kind, value, " ".join(parts)))
    for options in phrases.values():
        options.sort(key=lambda option: -len(option[0]))
    return phrases


_PHRASES = _phrases()


def sentences(text: str) -> Iterator[list[Token]]:
    """Yields the classified words of each sentence; colons and semicolons end one as full stops do."""
    plain = (
        _ALL_BUT.sub(r"\1 except ", _GENITIVE.sub("", _IS.sub(r"\1 is", text.casefold())))
        .replace("nothing but the ", "only the ")
        .replace(" - ", ", ")
        .replace(" because ", "; ")
        .translate(_NORMAL)
    )
    words = [_SPELLING.get(word, word) for word in _TOKEN.findall(plain)]
    sentence: list[Token] = []
    index = 0
    while index < len(words):
        word = words[index]
        if word in ".;:!?":
            if sentence:
                yield recast(sentence)
            sentence = []
            index += 1
            continue
        token, length = _token(words, index)
        if token.text.endswith(" of") and token.kind is Kind.GROUND:  # so is what is before: `broken-up mix of`
            while sentence and sentence[-1].kind in _OF_THE_GROUND:
                sentence[-1] = Token(Kind.GROUND, 0, sentence[-1].text)
        sentence.append(token)
        index += length
    if sentence:
        yield recast(sentence)


def _token(words: list[str], index: int) -> tuple[Token, int]:
    """The token that begins here, and how many words it takes: phrases first, then places, then single words."""
    word = words[index]
    if word in ",()":
        return Token(Kind.COMMA, 0, ","), 1
    single = None
    for parts, kind, value, text in _PHRASES.get(word, ()):
        length = len(parts)
        if length == 1:
            single = Token(kind, value, text)
            break
        if words[index : index + length] == parts:
            return Token(kind, value, text), length
    if word == "visible" and _can_be_seen(words, index):
        return Token(Kind.FUNCTION, 1, word), 1
    return read_place(words, index) or (single or Token(Kind.GROUND, 0, word), 1)


def _can_be_seen(words: list[str], index: int) -> bool:
    """Whether `visible` here means that something can be seen, and not the visible image."""
    before, after = words[index - 1] if index else "", words[index + 1] if index + 1 < len(words) else ""
    return before in _SEEN_AFTER or after in _SEEN_BEFORE
