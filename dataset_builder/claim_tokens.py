"""Turns text into sentences of classified words, places among them.

Standard library only beside `claim_words`: a metric's release copies these files together.
"""

import re
from collections.abc import Iterator, Sequence
from dataclasses import dataclass

from .claim_words import WORDS


@dataclass(slots=True)
class Token:
    """A word or phrase: its class letter (see `WORDS`; `p` is a place), its value within the class, and its text."""

    kind: str
    value: float | str
    text: str


_ROW = {
    "north": "north northern northernmost upper uppermost top topmost northerly northward northwards",
    "south": "south southern southernmost lower lowermost bottom bottommost southerly southward southwards foot",
}
_COLUMN = {
    "west": "west western westernmost left lefthand leftmost westerly westward westwards leftward leftwards",
    "east": "east eastern easternmost right righthand rightmost easterly eastward eastwards rightward rightwards",
}
_ROWS = {word: name for name, words in _ROW.items() for word in words.split()}
_COLUMNS = {word: name for name, words in _COLUMN.items() for word in words.split()}
_JOINED = {
    f"{row}{column}{ending}": f"{row}-{column}"
    for row in _ROW
    for column in _COLUMN
    for ending in ("", "ern", "erly", "ernmost", "ward", "wards")
}
_CENTRES = {"centre", "center", "central", "middle", "midst", "heart", "centrally"}
_MARGINS = frozenset(
    (
        "margins",
        "margin",
        "periphery",
        "rim",
        "rims",
        "borders",
        "edges",
        "outskirts",
        "perimeter",
        "surrounds",
        "flanks",
    )
)
_CORNERS = {"corner", "quarter", "quadrant"}
_PARTS = _MARGINS | frozenset(
    (
        "third",
        "thirds",
        "side",
        "sides",
        "part",
        "parts",
        "edge",
        "portion",
        "section",
        "end",
        "border",
        "strip",
        "area",
    )
    + ("region", "zone", "flank", "reach", "reaches", "band", "stretch", "fringe", "limit", "extremity", "segment")
    + ("boundary", "hand", "most", "ern")
)
_BARE = {"north", "south", "west", "east", "northward", "southward"}  # a side by itself, which may mean its middle
_NO_PLACE_AFTER = frozenset(  # `lower contrast`, `lower grey values`
    ("than", "contrast", "brightness", "intensity", "level", "levels", "response", "values", "value", "grey", "tones")
    + ("signal", "luminance")
)
_NOT_RIGHT = {"across", "through", "over", "up", "down", "next", "beside"}  # `right across`
_SEEN_AFTER = frozenset(  # `no edges are visible`
    (
        "is",
        "are",
        "be",
        "was",
        "were",
        "any",
        "hardly",
        "barely",
        "scarcely",
        "clearly",
        "no",
        "still",
        "only",
        "faintly",
    )
    + (
        "just",
        "equally",
        "plainly",
        "little",
        "easily",
        "remains",
        "remain",
        "becomes",
        "not",
        "well",
        "poorly",
        "dimly",
    )
    + ("without",)
)
_SEEN_BEFORE = frozenset(
    ("texture", "grain", "structure", "structures", "detail", "details", "edges", "edge", "pattern", "patterns")
    + ("contrast", "differences", "difference", "lines", "variation", "roughness", "noise")
)
_SPELLING = {
    "gray": "grey",
    "grays": "greys",
    "greyish": "grey",
    "grayish": "grey",
    "color": "colour",
    "colors": "colours",
}

_PHRASES: dict[str, list[tuple[tuple[str, ...], str, float | str]]] = {}
for (_kind, _value), _entry in WORDS.items():
    _singles, *_rest = _entry.split(";")
    for _phrase in [*_singles.split(), *_rest]:
        _parts = tuple(_phrase.replace("-", " ").split())
        _PHRASES.setdefault(_parts[0], []).append((_parts, _kind, _value))
for _options in _PHRASES.values():
    _options.sort(key=lambda option: -len(option[0]))

_TOKEN = re.compile(r"[a-z]+(?:'[a-z]+)?|[.;:!?]|,|[()]|--| - |[0-9]+%?")
_IS = re.compile("['\u2019]s\\b")  # a genitive read as a copula does no harm
_NORMAL = str.maketrans(
    {"\u2019": "'", "\u2010": "-", "\u2011": "-", "\u2012": "-", "\u2013": ",", "\u2014": ",", "\u2015": ",", "-": " "}
)


def sentences(text: str) -> Iterator[list[Token]]:
    """Yields the classified words of each sentence; colons and semicolons end one as full stops do."""
    plain = _IS.sub(" is", text.casefold()).replace(" - ", ", ").translate(_NORMAL)
    words = [_SPELLING.get(word, word) for word in _TOKEN.findall(plain)]
    sentence: list[Token] = []
    index = 0
    while index < len(words):
        word = words[index]
        if word in ".;:!?":
            if sentence:
                yield sentence
            sentence = []
            index += 1
            continue
        token, length = _token(words, index)
        if token.kind == "x" and token.text.endswith(" of"):  # words before it are of the ground: `broken-up mix of`
            while sentence and sentence[-1].kind in "saukKjd":
                sentence[-1] = Token("x", 0, sentence[-1].text)
        sentence.append(token)
        index += length
    if sentence:
        yield sentence


def _token(words: list[str], index: int) -> tuple[Token, int]:
    word = words[index]
    if word in ",()":
        return Token(",", 0, ","), 1
    phrase = None
    for parts, kind, value in _PHRASES.get(word, ()):
        if parts == tuple(words[index : index + len(parts)]):
            phrase = Token(kind, value, " ".join(parts)), len(parts)
            break
    if phrase and phrase[1] > 1:
        return phrase
    if word == "visible" and _can_be_seen(words, index):
        return Token("f", 1, word), 1
    place = _place(words, index)
    return place or phrase or (Token("x", 0, word), 1)


def _can_be_seen(words: list[str], index: int) -> bool:
    """Whether `visible` here means that something can be seen, and not the visible image."""
    before, after = words[index - 1] if index else "", words[index + 1] if index + 1 < len(words) else ""
    return before in _SEEN_AFTER or after in _SEEN_BEFORE


def _place(words: list[str], index: int) -> tuple[Token, int] | None:
    """Reads the longest place that begins here: `upper left corner`, `middle of the right edge`, `north-western`."""
    row = column = None
    centre = half = False
    end = position = index
    while position < len(words):
        word = words[position]
        if word in _JOINED and not (row or column):
            row, column = _JOINED[word].split("-")
        elif word in _ROWS and row is None and not (position == index and _no_place(words, position)):
            row = _ROWS[word]
        elif word in _COLUMNS and column is None and not _no_place(words, position):
            column = _COLUMNS[word]
        elif word in _CENTRES and not centre:
            centre = True
        elif word == "half" and (row or column):
            half = True
        elif (row or column or centre) and (word in _CORNERS or word in _PARTS):
            pass
        elif (row or column or centre) and (glue := _glued(words, position)):
            position += glue
            continue
        else:
            break
        position += 1
        end = position
    if end == index:
        if words[index] in _MARGINS:
            return Token("p", "margins", words[index]), 1
        return None
    text = " ".join(words[index:end])
    if row and column:
        return Token("p", f"{row}-{column}", text), end - index
    side = row or column
    if side is None:
        return Token("p", "centre", text), end - index
    if centre:
        return Token("p", side, text), end - index
    if half:
        return Token("p", f"{side} half", text), end - index
    bare = end - index == 1 and words[index] in _BARE
    return Token("p", side if bare else f"{side} side", text), end - index


def _glued(words: list[str], position: int) -> int:
    """How many words here join two parts of one place: `of the` in `centre of the left edge`."""
    length = 2 if words[position : position + 2] == ["of", "the"] else 1 if words[position] == "of" else 0
    after = words[position + length] if length and position + length < len(words) else ""
    return length if after in _ROWS or after in _COLUMNS or after in _CENTRES else 0


def _no_place(words: list[str], position: int) -> bool:
    """Whether `right`, `left`, `lower`, `top` here is no place: `right across`, `lower than`, `lower contrast`."""
    word, after = words[position], words[position + 1] if position + 1 < len(words) else ""
    if word == "right" and after == "in" and _CENTRES & set(words[position + 2 : position + 4]):
        return True  # right in the middle
    if word == "right" and after in _NOT_RIGHT:
        return True
    if word in ("lower", "upper") and after in _NO_PLACE_AFTER:
        return True
    return word == "left" and position > 0 and words[position - 1] in ("is", "are", "was", "nothing", "leaves")


def kinds_of(tokens: Sequence[Token]) -> str:
    """The class letters of these tokens in order, as one string."""
    return "".join(token.kind for token in tokens)


def has(tokens: Sequence[Token], kind: str, value: float) -> bool:
    """Whether one of these tokens is of this class and value."""
    return any(token.kind == kind and token.value == value for token in tokens)


def pieces_of(tokens: Sequence[Token]) -> list[list[Token]]:
    """Splits at commas and at conjunctions that set against, but not within `a dark, heavy image`."""
    pieces: list[list[Token]] = [[]]
    for token in tokens:
        if token.kind == "W" or token.kind == "," and not _unfinished(pieces[-1]):
            pieces.append([])
        elif token.kind != ",":
            pieces[-1].append(token)
    return [piece for piece in pieces if piece]


def _unfinished(piece: Sequence[Token]) -> bool:
    """Whether a noun is still to come."""
    kinds = kinds_of(piece).lstrip("f")
    article = any(token.text in ("a", "an", "the", "this") for token in piece)
    return article and bool(kinds) and not kinds.strip("basufB&m")
