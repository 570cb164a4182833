"""Reads texture, rough or smooth, and focus, sharp or soft.

Standard library only: a metric's release copies the whole folder.
"""

from collections.abc import Sequence

from .degrees import ABSOLUTE, HEDGES
from .kinds import Kind
from .tokens import (
    Token,
    count,
    ends,
    is_denial,
    mentions,
    pieces_of,
    said,
    without_trailing,
    words_in,
)
from .words import words_of

_EDGE_WORDS = words_of("clear clearly crisp distinct faint hard sharp sharply soft strong weak")
_SCARCE = words_of("faint faintly little low mere poor scant slight slightly weak weakly")
_TEXTURE_NOUNS = {"texture", "textures"}
_FEATURELESS = words_of("""
    blank empty featureless glassy mirrorlike patternless seamless structureless textureless unbroken untextured void
""") | {"glass smooth", "mirror smooth", "perfectly even", "silk smooth"}
# short of rough
_UNEVEN = words_of("""
    blotchy creased dappled heterogeneous inhomogeneous irregular lined marbled patchy rumpled streaked streaky
    structured undulating uneven unevenness variegated veined wavy
""")
_BREAKS = words_of("break breaks disrupts disturb disturbs interrupts mars relieves ruffles spoils")
_FEATURES = words_of("""
    band bands blemish border borders boundaries boundary break contour contours crease creases detail dot edge edges
    feature features fold folds form furrow ledge line lines mark marks object objects outline outlines patch patches
    pattern relief ridge ridges ripple ripples shape shapes speck spot streak streaks stripe stripes structure
    structures track tracks wrinkle wrinkles
""")
_MARGIN_OR_OUTLINE = ("edges", "borders")


def edges_of_things(tokens: list[Token]) -> list[Token]:
    """Edges that are sharp, soft or lacking are those of things, not the margins of the image."""
    if not mentions(tokens, _MARGIN_OR_OUTLINE):
        return tokens
    if said(tokens, Kind.TONE, Kind.COMPARATIVE, Kind.SUPERLATIVE, Kind.TONE_CHANGE):
        return tokens
    return [
        Token(Kind.DETAIL, 0.5, token.text)
        if token.kind is Kind.PLACE and token.text in _MARGIN_OR_OUTLINE
        else token
        for token in tokens
    ]  # fmt: skip


def read_sharpness(tokens: Sequence[Token]) -> str | None:
    """Whether edges are `sharp` or `soft`: words of focus, or amounts and denials of edges, lines and outlines."""
    if not said(tokens, Kind.FOCUS, Kind.DETAIL):
        return None
    votes = 0.0
    edged = any(_is_edge(token) for token in tokens)
    for piece in pieces_of(tokens):
        sign = -1 if said(piece, Kind.ABSENCE) else 1
        for token in piece:
            if is_denial(token):
                sign = -1
            elif token.kind is Kind.FOCUS:
                votes += sign * token.value
            elif edged and token.kind is Kind.AMOUNT and token.text in _EDGE_WORDS:
                votes += sign * (1 if token.value > 0 else -1)
            elif _is_edge(token) and token.text.split(" ")[0] in _EDGE_WORDS:
                votes += sign
    return None if not votes else "sharp" if votes > 0 else "soft"


def _is_edge(token: Token) -> bool:
    """Whether it is fine structure of the kind that bounds things: lines, outlines, edges."""
    return token.kind is Kind.DETAIL and token.value < 1


def read_texture(tokens: Sequence[Token]) -> str | None:
    """Sums the votes of its words; an amount of texture decides by itself (`the texture is moderate`)."""
    votes = _texture_votes(tokens)
    if votes < 0:
        return "featureless" if _is_featureless(tokens) else "smooth"
    noun = next((index for index, token in enumerate(tokens) if token.text in _TEXTURE_NOUNS), None)
    if noun is not None:
        amounts = [token.value for token in [*tokens[:noun], *tokens[noun + 1 :]] if token.kind is Kind.AMOUNT]
        if said(tokens, Kind.UNIFORM) or amounts and amounts[0] < 0:
            return "smooth"
        if amounts and not amounts[0] or not amounts and mentions(tokens, ("some",)):
            return "moderately textured"
    if not votes:
        return None
    if any(token.kind is Kind.SURFACE and token.value > 0 and token.text in _UNEVEN for token in tokens):
        return "uneven"
    textured = next((index for index, token in enumerate(tokens) if token.text == "textured"), None)
    if textured is not None and count(tokens, Kind.SURFACE) == 1:
        before = tokens[:textured]
        if ends(before, Kind.COMPARED_AMOUNT):
            return None  # more textured than what?
        strong = any(token.kind is Kind.AMOUNT and token.value > 0 or token.text == "very" for token in before)
        return "strongly textured" if strong else "moderately textured"
    return "strongly textured" if noun is not None or textured is not None else "grainy"


def _is_featureless(tokens: Sequence[Token]) -> bool:
    words = words_in(tokens)
    if words & HEDGES:
        return False
    if words & ABSOLUTE or any(token.kind is Kind.SURFACE and token.text in _FEATURELESS for token in tokens):
        return True
    return said(tokens, Kind.NEGATION) and mentions(tokens, _FEATURES)


def _texture_votes(tokens: Sequence[Token]) -> float:
    """Votes for roughness; lines count where all of the image is spoken of, or beside other words of texture."""
    if not said(tokens, Kind.SURFACE, Kind.DETAIL) and not mentions(tokens, _BREAKS):
        return 0.0
    whole = said(tokens, Kind.MOST, Kind.IMAGE) and not said(tokens, Kind.FOCUS)
    votes = 0.0
    for piece in pieces_of(tokens):
        votes += _votes_of_piece(piece, lines_count=bool(votes) or whole)
    return votes


def _votes_of_piece(piece: Sequence[Token], lines_count: bool) -> float:
    """Votes of one piece, each turned round by a denial before it."""
    votes, sign = 0.0, 1
    lost = said(piece, Kind.ABSENCE) or ends(without_trailing(piece, Kind.FUNCTION), Kind.NEGATION)
    for token in piece:
        if sign < 0 and token.text in _BREAKS:
            votes, sign = votes - 1, 1  # nothing breaks it
            continue
        if is_denial(token) or token.kind is Kind.AMOUNT and token.text in _SCARCE:
            sign = -1
        elif token.kind is Kind.SURFACE:
            votes += token.value * sign
        elif token.kind is Kind.DETAIL:
            lacking = sign < 0 or lost  # detail is lost, detail is lacking
            if lacking or token.value == 1 or token.value > 0.5 and lines_count or votes:
                votes += -1 if lacking else 1
    return votes
