"""Reads a noun phrase as the thing it describes: `the dark green woods in the lower right part of the tile`.

Standard library only: a metric's release copies the whole folder.
"""

from collections.abc import Sequence

from .kinds import BRIGHT, DARK, Kind
from .things import COLOURS, Thing, noun_of
from .tokens import Token
from .words import words_of

PREPOSITIONS = words_of("""
    of in on at with by along across near below under beneath above over around between beside beyond within inside
    outside through from to towards toward into against amid among behind against for
""")
_PARTING = words_of("bordering separating dividing flanking lining fringing bounding crossing surrounding skirting")
_TAKES_LOOK = {"of", "with", "from"}  # a patch of trees looks as trees
_SIDES = {"below": "south", "under": "south", "beneath": "south", "underneath": "south", "above": "north",
          "over": "north"}  # fmt: skip
_AROUND = {"around", "surrounding", "neighbouring", "neighboring", "adjacent", "adjoining", "beside", "next"}
_NEUTRAL = (Kind.COPULA, Kind.SURFACE, Kind.DETAIL, Kind.PLACE, Kind.GROUND, Kind.PART, Kind.RANGE, Kind.TONE,
            Kind.FUNCTION, Kind.FOCUS, Kind.BECOMES, Kind.MOST, Kind.COLOUR, Kind.IMAGE, Kind.SUPERLATIVE)  # fmt: skip
_NO_NOUN = words_of("""
    runs run lies lie covers cover fills fill cross crosses cuts cut follows spread
    shows show looks look sits reaches carries
""")


def noun_in(token: Token) -> tuple[str, str] | None:
    """Look class and singular of the last word of a token that names a thing."""
    if token.kind not in _NEUTRAL or token.text in _NO_NOUN:
        return None
    words = token.text.split()
    if token.kind is Kind.PLACE and (len(words) > 1 or words[0] not in ("margin", "rim", "rims", "edge", "border")):
        return None
    if token.kind in (Kind.FUNCTION, Kind.IMAGE, Kind.MOST, Kind.COPULA) and words[-1] not in ("side", "stretch"):
        return None
    return noun_of(words[-1])


def has_noun(tokens: Sequence[Token]) -> bool:
    """Whether a thing is named, by more than its place."""
    return any(noun_in(token) for token in tokens)


def thing_of(tokens: Sequence[Token]) -> Thing:
    """The thing that a noun phrase describes; tones and colours behind a preposition are another thing's."""
    looks: list[str] = []
    tones: list[float] = []
    colours: list[str] = []
    places: list[tuple[int, str]] = []
    head, offset, beside, link, top = "", "", "", "", 0
    for index, token in enumerate(tokens):
        if token.text == "rest":
            beside = "rest"
        if token.text in _AROUND and link != "between":
            beside = beside or "around"
        parting = head and token.text in _PARTING
        if (
            parting
            or token.text in PREPOSITIONS
            and (head or places or link or _names_another(tokens[:index], token.text))
        ):
            link = token.text
        elif token.kind in (Kind.FUNCTION, Kind.TOWARDS, Kind.FROM) and token.text in PREPOSITIONS:
            link = "" if token.text == "of" else link
        if token.kind is Kind.IMAGE and token.text in ("it", "them") or token.text in ("them", "these", "those"):
            near = [other.text for other in tokens[max(0, index - 2) : index]]
            beside = next((_SIDES[word] for word in reversed(near) if word in _SIDES), beside)
        if token.kind is Kind.SUPERLATIVE and not link:
            top = 1 if float(token.value) > 0 else -1
        if token.kind is Kind.PLACE and not (noun_in(token) and not head and index and link == ""):
            before = tokens[index - 1].text if index else ""
            if before in ("its", "their"):
                beside = str(token.value).split(" ")[0]
                continue
            previous = [other.text for other in tokens[max(0, index - 4) : index]]
            offset = next((_SIDES[word] for word in reversed(previous) if word in _SIDES), offset)
            places.append((index, str(token.value)))
            continue
        noun = noun_in(token)
        if noun and head and link and link not in _TAKES_LOOK:
            break
        if noun:
            if not head or not link:
                looks = (
                    [noun[0]] if noun[0] not in ("any", "line") or not looks or looks[0] in ("any", "line") else looks
                )
                head = f"{noun[1]}"
            elif looks[:1] in (["any"], ["line"]) and noun[0] not in ("any", "line"):
                looks.append(noun[0])
        if head and link and not noun:
            continue
        if token.kind in (Kind.TONE, Kind.COMPARATIVE) and not link:
            value = float(token.value)
            tones.append(value if token.kind is Kind.TONE else DARK if value < 0 else BRIGHT)
        elif token.kind is Kind.COLOUR or token.text in COLOURS:
            colours.append(COLOURS.get(token.text, str(token.value)))
    return Thing(tuple(looks), head, tuple(tones), tuple(colours), joined(tokens, places), offset, "", beside, top)


def _names_another(before: Sequence[Token], link: str) -> bool:
    """Whether a word that names no thing is the head: `transitions between fields`."""
    return link != "of" and bool(before) and before[-1].kind is Kind.GROUND


def joined(tokens: Sequence[Token], places: Sequence[tuple[int, str]]) -> tuple[str, ...]:
    """Names of places; a row and a column that no conjunction parts make a corner."""
    names: list[str] = []
    last = -1
    for index, name in places:
        word = name.split(" ")[0]
        before = names[-1].split(" ")[0] if names else ""
        between = tokens[max(0, last) : index]
        ranged = bool(between) and between[0].kind is Kind.FROM
        apart = any(token.kind in (Kind.AND, Kind.THAN) or token.text == "to" and ranged for token in between)
        if before in ("north", "south") and word in ("west", "east") and not apart:
            names[-1] = f"{before}-{word}"
        elif before in ("west", "east") and word in ("north", "south") and not apart:
            names[-1] = f"{word}-{before}"
        else:
            names.append(name)
        last = index
    return tuple(names)
