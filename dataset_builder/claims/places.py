"""Reads claims about places from a group of classified words: extremes, comparisons, gradients and regions.

Standard library only beside its siblings.
"""

from collections.abc import Sequence

from .tokens import Token, has, kinds_of
from .tones import Found
from .words import BLACK, WHITE

OPPOSITE = {"north": "south", "west": "east", "centre": "margins"}
OPPOSITE |= {end: start for start, end in OPPOSITE.items()}
_TOP_TO_BOTTOM = (Token("O", 1, "from"), Token("p", "north side", "top"), Token("o", 1, "to"),
                  Token("p", "south side", "bottom"))  # fmt: skip
ENDS = {"top to bottom": _TOP_TO_BOTTOM, "from top to bottom": _TOP_TO_BOTTOM}  # an image, but for a gradient


def merged(tokens: list[Token]) -> list[Token]:
    """Makes a corner of a row and a column: `a strip at the left edge in the lower half`."""
    first, second = (index for index, token in enumerate(tokens) if token.kind == "p")
    names = {str(tokens[index].value).split(" ")[0] for index in (first, second)}
    row, column = names & {"north", "south"}, names & {"west", "east"}
    between = kinds_of(tokens[first + 1 : second])
    if not (row and column) or any(kind in between for kind in "&ohOH"):
        return tokens
    corner = Token("p", f"{row.pop()}-{column.pop()}", f"{tokens[first].text} {tokens[second].text}")
    return [*tokens[:first], corner, *tokens[first + 1 : second], *tokens[second + 1 :]]


def read_superlatives(tokens: Sequence[Token]) -> Found:
    """Gives each superlative its place: the one it is said of, else the next after it, else the last before it."""
    kinds = kinds_of(tokens)
    tops = [index for index, kind in enumerate(kinds) if kind == "S"]
    places = [index for index, kind in enumerate(kinds) if kind == "p"]
    if "n" in kinds and "S" in kinds:
        return []
    found: Found = []
    for number, top in enumerate(tops):
        end = tops[number + 1] if number + 1 < len(tops) else len(tokens)
        start = tops[number - 1] if number else -1
        before = [place for place in places if start < place < top]
        after = [place for place in places if top < place < end]
        stated = [place for place in before if "=" in kinds[place:top] or "f" not in kinds[place:top]]
        chosen = (stated[:1] if stated and not (number and after) else []) or after[:1] or before[-1:]
        name = "brightest" if tokens[top].value > 0 else "darkest"
        found += [(name, str(tokens[place].value), list(tokens)) for place in chosen]
    return found


def read_compared_places(tokens: Sequence[Token]) -> Found:
    """Reads `the north is brighter than the south`, `lighter in the west than in the east` and the like."""
    kinds = kinds_of(tokens)
    tones = [
        token.value for token in tokens if token.kind == "B" or token.kind == "b" and token.value and "H" in kinds
    ]
    if not tones or "n" in kinds:
        return []
    sign = tones[0]
    link = next((index for index, kind in enumerate(kinds) if kind in "hH"), None)
    if link is None:
        return []
    after = [token for token in tokens[link:] if token.kind == "p"]
    if kinds[link] == "H" and "p" not in kinds[:link]:
        first, second = after[1:2], after[:1]
    else:
        first, second = [token for token in tokens[:link] if token.kind == "p"][-1:], after[:1]
    if not (first and second) or first[0].value == second[0].value:
        return []
    bright, dark = (first[0], second[0]) if sign > 0 else (second[0], first[0])
    return [("compare", f"{bright.value} > {dark.value}", list(tokens))]


def read_course(tokens: Sequence[Token]) -> Found:
    """`a dark track runs from the lower left to the top`: a thing, and no gradient, at both ends."""
    kinds = kinds_of(tokens)
    start = kinds.find("O")
    tones = [token for token in tokens[:start] if token.kind == "b" and token.value]
    places = [token for token in tokens[start:] if token.kind == "p"]
    thing = any(kind in kinds[: max(start, 0)] for kind in "xdw") and not any(kind in kinds for kind in "VBqtiln")
    if not (start > 0 and tones and len(places) > 1 and thing):
        return []
    extreme = "black: " if tones[0].value == BLACK else "white: " if tones[0].value == WHITE else ""
    name = "bright" if tones[0].value > 0 else "dark"
    return [(name, f"line: {extreme}{place.value}", list(tokens)) for place in places[:2]]


def read_gradient(tokens: Sequence[Token]) -> Found:
    """`gets darker towards the south`, `brightness falls from left to right`: the end against the other end."""
    kinds = kinds_of(tokens)
    to = next((i for i, kind in enumerate(kinds) if kind == "o" and "p" in kinds[i + 1 : i + 4]), None)
    if to is None or "n" in kinds:
        return []
    end = next(token.value for token in tokens[to:] if token.kind == "p")
    starts = [t.value for i, t in enumerate(tokens) if t.kind == "p" and "O" in kinds[:i] and t.value != end]
    changes = [token.value for token in tokens if token.kind in "BV"]
    if not changes and "q" in kinds:
        sign = next(token.value for token in tokens if token.kind == "q")
        dark = any(t.text in ("darkness", "gloom", "blackness", "shadow") for t in tokens)
        changes = [-sign if dark else sign] if "t" in kinds or dark else []
    if not changes and ("O" in kinds or "y" in kinds):
        tones = [token.value for token in tokens if token.kind == "b"]
        changes = [1 if tones[-1] > 0 else -1] if tones and tones[-1] else []
    if not changes:
        return []
    start = starts[0] if starts else _opposite(str(end))
    bright, dark = (end, start) if changes[0] > 0 else (start, end)
    return [("compare", f"{bright} > {dark}", list(tokens))]


def _opposite(place: str) -> str:
    name, *part = place.split(" ")
    return " ".join(["-".join(OPPOSITE[side] for side in name.split("-")), *part])


def read_regions(tokens: Sequence[Token]) -> Found:
    """Gives each place the tone before it, with no other place between, or else the next one after it."""
    kinds = kinds_of(tokens)
    tones = [i for i, t in enumerate(tokens) if t.kind in "BV" or t.kind == "b" and t.value]
    if not tones:
        return []
    found: Found = []
    extremes = {-1: "black: " if has(tokens, "b", BLACK) else "", 1: "white: " if has(tokens, "b", WHITE) else ""}
    denied = "n" in kinds or has(tokens, "a", -2)
    places = [index for index, kind in enumerate(kinds) if kind == "p"]
    if tones[0] < kinds.rfind(","):  # a piece without a tone only adds to the place
        places = [index for index in places if index < kinds.rfind(",")] or places
    for number, place in enumerate(places):
        start = places[number - 1] if number else -1
        end = places[number + 1] if number + 1 < len(places) else len(tokens)
        before = [tone for tone in tones if start < tone < place]
        after = [tone for tone in tones if place < tone < end]
        between = kinds[place : after[0]] if after else ""
        said_after = "=" in between and "," not in between and "=" not in kinds[start + 1 : place]
        if before and not said_after:
            tone = before[-1]
        elif after:
            tone = after[0]
        else:  # `bright in the north and in the south`
            tone = max((tone for tone in tones if tone < place), default=tones[0])
        sign = 1 if float(tokens[tone].value) > 0 else -1
        first, last = min(tone, place), max(tone, place)
        near = [
            t
            for i, t in enumerate(tokens)
            if max(first - 4, start) < i < last and not any(i < x < first for x in tones)
        ]
        wide = any(token.kind == "m" or token.text in ("whole", "entire") for token in near)
        prefix = "no: " if denied else "all: " if wide else ""
        name = "bright" if sign > 0 else "dark"
        found.append((name, f"{prefix}{extremes[sign]}{tokens[place].value}", list(tokens)))
    return found
