"""Reads claims about places from a group of classified words: extremes, comparisons, gradients and regions.

Standard library only: a metric's release copies the whole folder.
"""

from collections.abc import Sequence

from .kinds import BLACK, WHITE, Kind
from .tokens import Pattern, Statements, Token, has, last_position, mentions, position, positions, said, values
from .words import words_of

SMALL = {"small", "tiny", "isolated", "compact", "minute", "little", "short"}
SPOTS = words_of("""
    spot spots point points dot dots blob blobs speck specks targets fleck mark streak patch bar gash blot
""")
OPPOSITE = {"north": "south", "west": "east", "centre": "margins"}
OPPOSITE |= {end: start for start, end in OPPOSITE.items()}
_TOP_TO_BOTTOM = (Token(Kind.FROM, 1, "from"), Token(Kind.PLACE, "north side", "top"), Token(Kind.TOWARDS, 1, "to"),
                  Token(Kind.PLACE, "south side", "bottom"))  # fmt: skip
ENDS = {"top to bottom": _TOP_TO_BOTTOM, "from top to bottom": _TOP_TO_BOTTOM}  # an image, but for a gradient


def merged(tokens: list[Token]) -> list[Token]:
    """Makes a corner of a row and a column: `a strip at the left edge in the lower half`."""
    first, second = positions(tokens, Kind.PLACE)
    names = {str(tokens[index].value).split(" ")[0] for index in (first, second)}
    row, column = names & {"north", "south"}, names & {"west", "east"}
    between = tokens[first + 1 : second]
    if not (row and column) or said(between, Kind.AND, Kind.TOWARDS, Kind.THAN, Kind.FROM, Kind.COMPARISON):
        return tokens
    corner = Token(Kind.PLACE, f"{row.pop()}-{column.pop()}", f"{tokens[first].text} {tokens[second].text}")
    return [*tokens[:first], corner, *between, *tokens[second + 1 :]]


def read_superlatives(tokens: Sequence[Token]) -> Statements:
    """Gives each superlative its place: the one it is said of, else the next after it, else the last before it."""
    tops, places = positions(tokens, Kind.SUPERLATIVE), positions(tokens, Kind.PLACE)
    if not tops or said(tokens, Kind.NEGATION):
        return []
    statements: Statements = []
    for number, top in enumerate(tops):
        end = tops[number + 1] if number + 1 < len(tops) else len(tokens)
        start = tops[number - 1] if number else -1
        before = [place for place in places if start < place < top]
        after = [place for place in places if top < place < end]
        stated = [
            place
            for place in before
            if said(tokens[place:top], Kind.COPULA) or not said(tokens[place:top], Kind.FUNCTION)
        ]
        chosen = (stated[:1] if stated and not (number and after) else []) or after[:1] or before[-1:]
        name = "brightest" if tokens[top].value > 0 else "darkest"
        statements += [(name, str(tokens[place].value), list(tokens)) for place in chosen]
    return statements


def read_compared_places(tokens: Sequence[Token]) -> Statements:
    """Reads `the north is brighter than the south`, `lighter in the west than in the east` and the like.

    What is not brighter is the darker one, where both are not the same: `the north is no brighter than the south`.
    """
    link = position(tokens, Kind.THAN, Kind.COMPARISON)
    denied = _NOT_MORE.occurs(tokens)
    if link < 0 or said(tokens, Kind.NEGATION) and not denied:
        return []
    beside = said(tokens, Kind.COMPARISON)
    tones = [
        token.value
        for token in tokens
        if token.kind is Kind.COMPARATIVE or beside and token.kind is Kind.TONE and token.value
    ]
    if not tones:
        return []
    before = [token for token in tokens[:link] if token.kind is Kind.PLACE]
    after = [token for token in tokens[link:] if token.kind is Kind.PLACE]
    if tokens[link].kind is Kind.COMPARISON and not before:
        first, second = after[1:2], after[:1]
    else:
        first, second = before[-1:], after[:1]
    if not (first and second) or first[0].value == second[0].value:
        return []
    bright, dark = (first[0], second[0]) if (tones[0] > 0) != denied else (second[0], first[0])
    return [("compare", f"{bright.value} > {dark.value}", list(tokens))]


_NOT_MORE = Pattern("PLACE [COPULA FUNCTION]* NEGATION [AMOUNT FUNCTION]* COMPARATIVE [FUNCTION]* THAN")
_NO_THING = (Kind.TONE_CHANGE, Kind.COMPARATIVE, Kind.CHANGE, Kind.BRIGHTNESS, Kind.IMAGE, Kind.COLOUR, Kind.NEGATION)


def read_course(tokens: Sequence[Token]) -> Statements:
    """`a dark track runs from the lower left to the top`: a thing, and no gradient, at both ends."""
    start = position(tokens, Kind.FROM)
    if start <= 0 or said(tokens, *_NO_THING) or not said(tokens[:start], Kind.GROUND, Kind.DETAIL, Kind.PART):
        return []
    tones = [tone for tone in values(tokens[:start], Kind.TONE) if tone]
    places = [token.value for token in tokens[start:] if token.kind is Kind.PLACE]
    if not tones or len(places) < 2:
        return []
    extreme = "black: " if tones[0] == BLACK else "white: " if tones[0] == WHITE else ""
    name = "bright" if tones[0] > 0 else "dark"
    return [(name, f"line: {extreme}{place}", list(tokens)) for place in places[:2]]


def read_gradient(tokens: Sequence[Token]) -> Statements:
    """`gets darker towards the south`, `brightness falls from left to right`: the end against the other end."""
    towards = (to for to in positions(tokens, Kind.TOWARDS) if said(tokens[to + 1 : to + 4], Kind.PLACE))
    to = next(towards, None)
    if to is None or said(tokens, Kind.NEGATION):
        return []
    sign = _brightening(tokens)
    if not sign:
        return []
    end = next(token.value for token in tokens[to:] if token.kind is Kind.PLACE)
    origin = position(tokens, Kind.FROM)
    starts = [t.value for t in tokens[origin:] if t.kind is Kind.PLACE and t.value != end] if origin >= 0 else []
    start = starts[0] if starts else _opposite(str(end))
    bright, dark = (end, start) if sign > 0 else (start, end)
    return [("compare", f"{bright} > {dark}", list(tokens))]


def _brightening(tokens: Sequence[Token]) -> float:
    """Whether tones rise, above 0, or fall, below it, in the order in which places are named; 0 if nobody says."""
    changes = values(tokens, Kind.COMPARATIVE, Kind.TONE_CHANGE)
    if changes:
        return changes[0]
    if said(tokens, Kind.CHANGE):
        change = values(tokens, Kind.CHANGE)[0]
        if mentions(tokens, ("darkness", "gloom", "blackness", "shadow")):
            return -change
        if said(tokens, Kind.BRIGHTNESS):
            return change
    if said(tokens, Kind.FROM, Kind.BECOMES):
        tones = values(tokens, Kind.TONE)
        return tones[-1] if tones else 0
    return 0


def _opposite(place: str) -> str:
    name, *part = place.split(" ")
    return " ".join(["-".join(OPPOSITE[side] for side in name.split("-")), *part])


def read_regions(tokens: Sequence[Token]) -> Statements:
    """Gives each place the tone before it, with no other place between, or else the next one after it."""
    tones = [
        index
        for index, token in enumerate(tokens)
        if token.kind in (Kind.COMPARATIVE, Kind.TONE_CHANGE) or token.kind is Kind.TONE and token.value
    ]
    if not tones:
        return []
    extremes = {
        "dark": "black: " if has(tokens, Kind.TONE, BLACK) else "",
        "bright": "white: " if has(tokens, Kind.TONE, WHITE) else "",
    }
    denied = said(tokens, Kind.NEGATION) or has(tokens, Kind.AMOUNT, -2)
    places = [place for place in positions(tokens, Kind.PLACE) if not _is_beside(tokens, place)]
    comma = last_position(tokens, Kind.COMMA)
    if tones[0] < comma:  # a piece without a tone only adds to the place
        places = [place for place in places if place < comma] or places
    statements: Statements = []
    for number, place in enumerate(places):
        start = places[number - 1] if number else -1
        end = places[number + 1] if number + 1 < len(places) else len(tokens)
        tone = _tone_of_place(tokens, tones, start, place, end)
        prefix = (
            "no: "
            if _is_denied(tokens, place, denied)
            else "all: "
            if _is_whole(tokens, tones, start, place, tone)
            else ""
        )
        name = "bright" if float(tokens[tone].value) > 0 else "dark"
        prefix = "spot: " if not prefix and mentions(tokens, SMALL) and mentions(tokens, SPOTS) else prefix
        statements.append((name, f"{prefix}{extremes[name]}{tokens[place].value}", list(tokens)))
    return statements


def _is_beside(tokens: Sequence[Token], place: int) -> bool:
    """Whether it lies near a place and not in it: `slightly above the centre`, `between the centre and the edge`."""
    before = [token.text for token in tokens[max(0, place - 3) : place]]
    if tokens[place].value == "centre" and {"above", "below"} & set(before):
        return True
    between = next((index for index, token in enumerate(tokens) if token.text == "between"), len(tokens))
    return between < place and said(tokens[between:], Kind.AND) and not said(tokens[between:place], Kind.COPULA)


def _is_denied(tokens: Sequence[Token], place: int, denied: bool) -> bool:
    """Whether a place is denied: all are, unless `not` stands before one alone (`at the top, not at the bottom`)."""
    alone = [
        index
        for index, token in enumerate(tokens[:-1])
        if token.text == "not" and tokens[index + 1].text in ("at", "along", "in", "on", "near")
    ]
    return any(index < place <= index + 4 for index in alone) if alone else denied


def _tone_of_place(tokens: Sequence[Token], tones: list[int], start: int, place: int, end: int) -> int:
    """Which of the tones is a place's; `start` and `end` are the places before and after it."""
    before = [tone for tone in tones if start < tone < place]
    after = [tone for tone in tones if place < tone < end]
    if before and after:
        between = tokens[place : after[0]]
        verb_between = said(between, Kind.COPULA) and not said(between, Kind.COMMA)
        return after[0] if verb_between and not said(tokens[start + 1 : place], Kind.COPULA) else before[-1]
    if before:
        return before[-1]
    if after:
        return after[0]
    return max((tone for tone in tones if tone < place), default=tones[0])  # `bright in the north and in the south`


def _is_whole(tokens: Sequence[Token], tones: list[int], start: int, place: int, tone: int) -> bool:
    """Whether all of the place is meant, by the words around the tone and up to the place."""
    first, last = min(tone, place), max(tone, place)
    near = [
        token
        for index, token in enumerate(tokens)
        if max(first - 4, start) < index < last and not any(index < other < first for other in tones)
    ]
    emphasis = ("mainly", "mostly", "largely", "chiefly", "predominantly", "mainly in")
    if tone < place and said(tokens[tone:place], Kind.COPULA):  # all the bright patches lie along the edge
        near = [token for token in near if any(token is other for other in tokens[tone:])]
    whole = [token for token in near if token.kind is Kind.MOST and token.text not in emphasis]
    return bool(whole) or mentions(near, ("whole", "entire", "uniformly", "uniform"))


def is_targets(tokens: Sequence[Token]) -> bool:
    """Whether it speaks of small bright spots anywhere: `a few tiny bright dots stand out`."""
    spot = next((index for index, token in enumerate(tokens) if token.text in SPOTS), 0)
    near = [token.value for token in tokens[max(0, spot - 5) : spot] if token.kind is Kind.TONE]
    tones = near[-1:] or [token.value for token in tokens if token.kind is Kind.TONE]
    bright = bool(tones) and min(tones) > 0
    return bright and mentions(tokens, SMALL) and mentions(tokens, SPOTS) and not said(tokens, Kind.PLACE)
