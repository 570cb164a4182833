"""Reads the names of places in an image: `upper left corner`, `middle of the right edge`, `north-western`.

Standard library only: a metric's release copies the whole folder.
"""

from .kinds import Kind
from .tokens import Token
from .words import words_of

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


def read_place(words: list[str], index: int) -> tuple[Token, int] | None:
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
            return Token(Kind.PLACE, "margins", words[index]), 1
        return None
    text = " ".join(words[index:end])
    if row and column and centre and words[end - 2] == "of":  # at the top, right of the centre
        return Token(Kind.PLACE, f"{row} side", text), end - index
    if row and column:
        return Token(Kind.PLACE, f"{row}-{column}", text), end - index
    side = row or column
    if side is None:
        return Token(Kind.PLACE, "centre", text), end - index
    if centre:
        return Token(Kind.PLACE, side, text), end - index
    if half:
        return Token(Kind.PLACE, f"{side} half", text), end - index
    bare = end - index == 1 and words[index] in _BARE
    return Token(Kind.PLACE, side if bare else f"{side} side", text), end - index


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
