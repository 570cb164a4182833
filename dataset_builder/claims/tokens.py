"""Turns text into sentences of classified words, places among them.

Standard library only beside `claim_words`: a metric's release copies these files together.
"""

import re
from collections.abc import Iterator, Sequence
from dataclasses import dataclass

from .words import WORDS, words_of


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
_MARGINS = words_of("borders edges flanks margin margins outskirts perimeter periphery rim rims surrounds")
_CORNERS = words_of("corner quadrant quarter")
_PARTS = (
    words_of("""
    area band border boundary edge end ern extremity flank fringe hand limit most part parts portion reach reaches
    region section segment side sides stretch strip third thirds zone
""")
    | _MARGINS
)
DIRECTION_WORDS = frozenset({*_ROWS, *_COLUMNS, *_JOINED})  # said of an image, false of it turned or mirrored
PLACE_WORDS = DIRECTION_WORDS | _CENTRES | _CORNERS | _MARGINS | {"border", "edge"}  # false of a part of it
_BARE = {"north", "south", "west", "east", "northward", "southward"}  # a side by itself, which may mean its middle
# `lower contrast`, `lower grey values`
_NO_PLACE_AFTER = words_of("""
    brightness contrast grey intensity level levels luminance response signal than tones value values
""")
_NOT_RIGHT = {"across", "through", "over", "up", "down", "next", "beside"}  # `right across`
_ADVERB_BEFORE = words_of("after against along at before behind by in inside into on round")
# after these, `right` and `left` are sides
_SIDED = words_of("""
    and at bottom center central centre extreme far from halfway its lower mid middle of on or outer side the to top
    toward towards upper
""")
_NOT_LEFT_AFTER = {"is", "are", "was", "nothing", "leaves", "none", "anything", "detail", "contrast"}
_CLAUSE_END = {"", ",", ".", ";", ":", "!", "?", ")"}
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
    plain = _IS.sub(" is", text.casefold()).replace(" - ", ", ").replace(" because ", "; ").translate(_NORMAL)
    words = [_SPELLING.get(word, word) for word in _TOKEN.findall(plain)]
    sentence: list[Token] = []
    index = 0
    while index < len(words):
        word = words[index]
        if word in ".;:!?":
            if sentence:
                yield _recast(sentence)
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
        yield _recast(sentence)


_EXCEPT = {"apart from", "except for", "except", "leaving aside", "aside from", "bar", "barring", "save for"} | {
    "other than", "besides", "excepting", "disregarding", "ignoring", "outside"}  # fmt: skip
_OVER = {"above", "over", "beyond", "exceeds", "exceeding", "exceed", "outshines", "past"}
_UNDER = {"below", "under", "beneath", "underneath"}
_OFF = {"off", "above", "over", "beyond", "from", "than"}
_ONE = re.compile(r"(one|single|identical|exact|very same|same)")


def _recast(tokens: list[Token]) -> list[Token]:
    """Rewrites idioms that are built from classes: exceptions, similes, tones beside a reference, `one grey`."""
    for rule in (_without_exceptions, _without_similes, _beside_reference, _single_tone):
        tokens = rule(tokens)
    return tokens


def _without_exceptions(tokens: list[Token]) -> list[Token]:
    """Leaves out what is excepted up to the next comma, and keeps the hedge."""
    result: list[Token] = []
    skipping = False
    for index, token in enumerate(tokens):
        if token.text in _EXCEPT and not (
            token.text in ("bar", "outside") and index and tokens[index - 1].kind in "bxfs"
        ):
            result.append(Token("f", 1, "except"))
            skipping = True
        elif skipping and token.kind in ",W":
            skipping = False
        if not skipping:
            result.append(token)
    return result


def _without_similes(tokens: list[Token]) -> list[Token]:
    """The thing likened to is not in the image: `as dark as a cellar`, `smooth as glass`, `like fresh plaster`."""
    result = list(tokens)
    kinds = kinds_of(tokens)
    for index, token in enumerate(tokens):
        alike = token.text == "like" or token.text == "as" and index and tokens[index - 1].kind in "bBsuj"
        if alike and not any(kind in kinds for kind in "vr"):
            end = index + 1
            while end < len(tokens) and tokens[end].kind in "fx" and end < index + 6:
                end += 1
            if "x" in kinds[index + 1 : end] or end == index + 1:
                result[index:end] = [Token("f", 1, "simile") for _ in result[index:end]]
    return result


def _beside_reference(tokens: list[Token]) -> list[Token]:
    """A tone above or below another is that side of it: `well above the mid-tone`, `barely lifts off black`."""
    result: list[Token] = []
    for token in tokens:
        back = len(result) - 1
        while (
            back >= 0 and result[back].kind == "f" and result[back].text in ("the", "a", "any", "pure", "even", "of")
        ):
            back -= 1
        if token.kind == "b" and back >= 0:
            link, before = result[back], result[back - 1] if back else None
            compared = before.value if link.kind == "h" and before is not None and before.kind == "B" else 0
            if token.value == 0 and (link.text in _OVER | _UNDER or compared):
                up = link.text in _OVER or float(compared) > 0
                start = back - 1 if compared else back
                if not (start and result[start - 1].kind == "n"):
                    result[start:] = [Token("b", 2 if up else -2, f"{link.text} {token.text}")]
                    continue
            elif abs(float(token.value)) == 3 and link.text in _OFF:
                denial = next((i for i in range(back, max(-1, back - 5), -1) if result[i].kind == "n"), None)
                if denial is not None and "," not in kinds_of(result[denial:]):
                    result[denial:] = [token]
                    continue
        result.append(token)
    return result


def _single_tone(tokens: list[Token]) -> list[Token]:
    """`one flat grey`, `a single unvarying pale tone`, `an identical shade`: tones close together, and the tone."""
    result = list(tokens)
    for index, token in enumerate(tokens):
        if not _ONE.fullmatch(token.text) or token.kind not in "fex":
            continue
        end = index + 1
        while (
            end < len(tokens)
            and tokens[end].kind in "busfa"
            and (tokens[end].kind != "b" or tokens[end].value)
            and end < index + 5
        ):
            end += 1
        if (
            end < len(tokens)
            and (tokens[end].kind == "t" or tokens[end].kind == "b" and not tokens[end].value)
            and tokens[end].text not in ("pixel", "return")
        ):
            result[index] = Token("k", -1, f"one {token.text}")
    return result


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
        verb = words[index + 1 : index + 2] and words[index + 1] in ("the", "its") and words[index] != "rim"
        if words[index] in _MARGINS and not (verb and index and words[index - 1] not in ("the", "all", "and")):
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
    before = words[position - 1] if position else ","
    if word == "right" and after in _NOT_RIGHT or word == "right" and after in _ADVERB_BEFORE and before not in _SIDED:
        return True
    if word in ("lower", "upper") and after in _NO_PLACE_AFTER:
        return True
    return word == "left" and (before in _NOT_LEFT_AFTER or after in _CLAUSE_END and before not in _SIDED)


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
