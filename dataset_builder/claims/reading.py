"""Reads the claims that a free-worded caption makes about an infrared image, sentence by sentence.

Standard library only: a metric's release copies the whole folder. A sentence is a list of classified words (see
`Kind`), and the rules look at the classes. Here sentences are parted into groups that each make a claim; what a group
says is read in `contrast`, `texture`, `level`, `places` and `beside_visible`.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from functools import lru_cache

from .beside_visible import read_compared_images, read_visible_part
from .contrast import read_contrast
from .idioms import amounts_as_tones, denied_comparison_as_extreme, only_one_as_extreme
from .kinds import TONES, Kind
from .level import is_level, read_level, read_level_beside_contrast
from .places import (
    ENDS,
    is_targets,
    merged,
    read_compared_places,
    read_course,
    read_gradient,
    read_regions,
    read_superlatives,
)
from .sentences import sentences
from .texture import edges_of_things, read_sharpness, read_texture
from .thing_nouns import has_noun, noun_in
from .thing_reading import ThingReading, read_things, speaks_of_things
from .things import LIES, ThingStatement
from .tokens import Statements, Token, begins, count, has, mentions, pieces_of, position, said, words_in

_COURSES = {"band", "belt", "channel", "line", "ribbon", "river", "road", "streak", "strip", "stripe", "track", "vein"}
_TONED = (*TONES, Kind.TONE_CHANGE)


@dataclass(frozen=True, slots=True)
class Claim:
    """One statement about the infrared image that a caption makes.

    Attributes:
        kind: `level`, `share` (how much of it is bright or dark), `contrast`, `texture`, `brightest`, `darkest`,
            `bright` or `dark` (a region), `compare` (two places), `relation` (to the visible image), the same of a
            place or an object (`local relation`, `object relation`), `disagreement` (by more or less than the overall
            relation explains), `visible` (how a part of the visible image appears here) or `targets`.
        value: A class name of `grounding`, or words in a fixed order. Places are cells of `CELLS`, `north side` (three
            cells), `north half`, `margins`; of two places the brighter comes first (`north side > south side`). Before
            the place of a region may stand `no: `, `all: `, `spot: ` (small), `line: ` (it runs from
            there, or to it), `black: ` and
            `white: `; before a part's appearance, its tone, colour and place (`dark, any, north side -> bright`).
            Denials begin with `not` or `no`. Absolute statements have values of their own: contrast `none`, texture
            `featureless`, shares `all bright`, `nearly dark`, `mostly white`; `uneven` is short of rough,
            `grainy` speaks of grain and speckle; contrast `full` runs from black to white.
        text: The words that say so.
        thing: Of the kind `thing`, what `value` tells in words.
    """

    kind: str
    value: str
    text: str
    thing: ThingStatement | None = None


def read_claims(caption: str, of_things: bool = True) -> list[Claim]:
    """Extracts the claims about the infrared image in order; what it can't parse it leaves out.

    Brightness of an object (`bright roofs`) is a claim only with a place, with most of the image, or with how the
    object looks in the visible image. Statements about the visible image alone are skipped.

    Args:
        caption: One caption.
        of_things: Whether statements about things are read as such; without RGB only their places and tones tell.
    """
    return list(_claims(caption, of_things))


@lru_cache(maxsize=4096)  # rules, counts and repairs ask about the same caption
def _claims(caption: str, of_things: bool) -> tuple[Claim, ...]:
    claims = [claim for sentence in sentences(caption) for claim in _claims_of_tokens(tuple(sentence), of_things)]
    return tuple(dict.fromkeys(claims))


@lru_cache(maxsize=4096)  # a sentence is written alone, and then stands in several captions
def _claims_of_tokens(sentence: tuple[Token, ...], of_things: bool) -> tuple[Claim, ...]:
    return tuple(_claims_of([*sentence], of_things))


def _claims_of(sentence: list[Token], of_things: bool) -> list[Claim]:
    """Claims about things where a sentence speaks of them, else those about the image and its places."""
    about_things = of_things and _is_about_things(sentence)
    read = read_things(sentence) if about_things else None
    subject_is_thing = read is not None and read.about and not _is_of_image(sentence)
    things = _claims_about_things(read) if read else []
    if things and not _is_of_contrast(sentence):
        return things
    claims = [
        Claim(kind, value, _text(tokens))
        for kind, value, tokens in _read_sentence(sentence)
        if not (subject_is_thing and _is_of_the_image(kind, sentence) or _is_of_extent(kind, sentence))
    ]
    if things:
        return things + [claim for claim in claims if claim.kind == "contrast"]
    if claims or about_things or not of_things:
        return claims
    return [
        claim for claim in _claims_about_things(read_things(sentence)) if claim.thing and claim.thing.aspect == "line"
    ]


def _is_of_image(sentence: Sequence[Token]) -> bool:
    """Whether the image is named before anything in it: `near-infrared image, dark overall, of open water`."""
    first = next((index for index, token in enumerate(sentence) if noun_in(token)), len(sentence))
    return said(sentence[:first], Kind.IMAGE) and sentence[0].text not in ("in", "across", "throughout")


def _is_of_extent(kind: str, sentence: Sequence[Token]) -> bool:
    """Whether a size is meant: `covers a third of the tile`, `is only a few pixels wide`, `a tiny part is bright`."""
    words = words_in(sentence)
    if kind in ("level", "share"):
        pairs = zip(sentence, sentence[1:], strict=False)
        small = any(one.text in ("tiny", "small", "little") and other.kind is Kind.PART for one, other in pairs)
        fraction = words & _FRACTIONS and said(sentence, Kind.IMAGE, Kind.PART) and not said(sentence, Kind.PLACE)
        return bool(small or fraction)
    return kind == "contrast" and said(sentence, Kind.WIDTH) and "wide" in words and "pixels" in words


_PLACED = (Kind.PLACE, Kind.VISIBLE, Kind.INFRARED)
_FRACTIONS = {"third", "quarter", "fifth", "sixth", "tenth", "eighth"}


def _is_of_contrast(sentence: Sequence[Token]) -> bool:
    """Whether the image's contrast is named beside its things."""
    return said(sentence, Kind.CONTRAST) and not said(sentence, Kind.VISIBLE, Kind.PLACE, Kind.THAN)


def _claims_about_things(read: ThingReading) -> list[Claim]:
    if not read.things:
        return []
    things = [Claim("thing", str(thing), _text(tokens), thing) for thing, tokens in read.things]
    return things + [Claim(kind, value, _text(tokens)) for kind, value, tokens in read.places]


def _is_of_the_image(kind: str, sentence: Sequence[Token]) -> bool:
    """Whether a claim would give the image what is said of a thing in it: a tone or a texture."""
    if kind == "contrast":
        return not said(sentence, Kind.CONTRAST, Kind.CLASH, Kind.RANGE, Kind.WIDTH, Kind.DISTANCE)
    return kind in ("level", "share", "relation") or kind == "texture" and not said(sentence, Kind.IMAGE, Kind.MOST)


def _text(tokens: Sequence[Token]) -> str:
    return " ".join([token.text for token in tokens])


def _is_about_things(sentence: Sequence[Token]) -> bool:
    """Whether things are named, or parts of unnamed kind with their look in RGB or a change."""
    if speaks_of_things(sentence):
        return True
    than = position(sentence, Kind.THAN)
    if than > 0 and has_noun(sentence[:than]) and has_noun(sentence[than:]) and not said(sentence[than:], *_PLACED):
        return True
    if _is_placed(sentence):
        return True
    change = said(sentence, Kind.VISIBLE) or said(sentence, Kind.BECOMES) and said(sentence, Kind.INFRARED)
    return change and has_noun(sentence)


def _is_placed(sentence: Sequence[Token]) -> bool:
    """Whether it tells where the one thing of a tone lies: `the darker band lies in the upper right corner`."""
    tone = position(sentence, Kind.TONE, Kind.COMPARATIVE)
    verb = next((index for index, token in enumerate(sentence) if token.text in LIES), -1)
    definite = mentions(sentence[max(0, tone - 3) : max(tone, 0)], ("the",))
    return definite and tone < verb and has_noun(sentence[tone:verb]) and said(sentence[verb:], Kind.PLACE)


def _read_sentence(tokens: list[Token]) -> Statements:
    pieces = [part for piece in pieces_of(amounts_as_tones(tokens)) for part in _after_denial(piece)]
    if said(tokens, Kind.VISIBLE) or _is_reversal(tokens):
        return _read_beside_visible(pieces)
    if _has_visible_part(tokens):
        statements = read_visible_part([token for piece in pieces for token in piece])
        if statements:
            return statements
    groups: list[list[Token]] = []
    for piece in pieces:
        if groups and not (_is_complete(groups[-1]) and _is_complete(piece)):
            groups[-1] = [*groups[-1], Token(Kind.COMMA, 0, ","), *piece]
        else:
            groups.append(piece)
    return [item for group in groups for part in _conjuncts(group) for item in _read_group(part)]


def _after_denial(piece: list[Token]) -> list[list[Token]]:
    """A denial ends at a coordinated verb: `shows no water and is bright`."""
    for index, token in enumerate(piece[:-1]):
        if token.kind is Kind.AND and piece[index + 1].kind is Kind.COPULA and said(piece[:index], Kind.NEGATION):
            return [piece[:index], piece[index + 1 :]]
    return [piece]


def _is_reversal(tokens: Sequence[Token]) -> bool:
    """Whether tones are reversed; against the visible image, though it is not named."""
    return has(tokens, Kind.LIKENESS, -2) and said(tokens, Kind.INFRARED, Kind.PATTERN, Kind.BRIGHTNESS)


def _has_visible_part(tokens: Sequence[Token]) -> bool:
    """Whether a part of the visible image, by its colour or as what stays as it is, has a tone in the infrared."""
    if not said(tokens, Kind.TONE):
        return False
    if said(tokens, Kind.COLOUR):
        return said(tokens, Kind.INFRARED, Kind.BECOMES, Kind.STAYS)
    return said(tokens, Kind.STAYS) and said(tokens, Kind.INFRARED) and not said(tokens, Kind.PLACE)


def _is_complete(piece: Sequence[Token]) -> bool:
    """Whether a piece between commas says something by itself."""
    if begins(piece, Kind.FROM):
        return False
    if said(piece, Kind.CONTRAST, Kind.CLASH, Kind.UNIFORM, Kind.DETAIL, Kind.FOCUS):
        return True
    placed = said(piece, Kind.PLACE)
    if said(piece, Kind.SURFACE) and not (placed and said(piece, Kind.GROUND)):
        return True
    if placed and said(piece, Kind.CHANGE, *_TONED):
        return True
    if said(piece, Kind.DISTANCE, Kind.WIDTH) and said(piece, Kind.BRIGHTNESS, Kind.RANGE, Kind.PATTERN):
        return True
    if said(piece, Kind.RANGE) and said(piece, Kind.BRIGHTNESS, Kind.AMOUNT):
        return True
    return is_level(piece)


def _conjuncts(group: list[Token]) -> list[list[Token]]:
    """Splits at `and` where both sides have a place, and a tone each or the second one a tone."""
    for index, token in enumerate(group):
        if token.kind is not Kind.AND:
            continue
        left, right = group[:index], group[index + 1 :]
        if said(left, Kind.FROM) or not (said(left, Kind.PLACE) and said(right, Kind.PLACE)):
            continue
        toned = said(left, *_TONED) and said(right, *_TONED)
        if toned or said(right, *TONES) and not said(left, Kind.THAN):
            return [left, *_conjuncts(right)]
    return [group]


def _read_group(tokens: list[Token]) -> Statements:
    tokens = only_one_as_extreme(denied_comparison_as_extreme(tokens))
    if said(tokens, Kind.CHANGE, Kind.TONE_CHANGE, Kind.COMPARATIVE):
        tokens = [part for token in tokens for part in ENDS.get(token.text, (token,))]
    if is_targets(tokens):
        none = any(token.kind is Kind.NEGATION and token.text != "few" for token in tokens)
        return [("targets", "absent" if none else "present", tokens)]
    contrast = read_contrast(tokens)
    statements: Statements = [("contrast", contrast, tokens)] if contrast else []
    if contrast and said(tokens, Kind.FROM):
        return statements
    superlatives = [] if contrast and not said(tokens, Kind.PLACE) else read_superlatives(tokens)
    tokens = edges_of_things(tokens)
    textures = _read_textures(tokens)
    statements += _read_focus(tokens) + textures
    if superlatives:
        return statements + superlatives
    if contrast and said(tokens, Kind.CONTRAST, Kind.CLASH, Kind.RANGE, Kind.DISTANCE, Kind.WIDTH):
        return statements + [item for piece in pieces_of(tokens) for item in read_level_beside_contrast(piece)]
    if said(tokens, Kind.PLACE):
        return statements + _read_places(tokens)
    if contrast and not said(tokens, Kind.UNIFORM) or textures and said(tokens, Kind.MOST):
        return statements
    return statements + read_level(tokens)


def _is_of_tones_only(tokens: Sequence[Token]) -> bool:
    """Whether a tone is said of places, and words of texture only describe it."""
    return said(tokens, Kind.PLACE) and said(tokens, *_TONED)


def _read_focus(tokens: list[Token]) -> Statements:
    if said(tokens, Kind.CONTRAST) or _is_of_tones_only(tokens):
        return []
    sharpness = read_sharpness(tokens)
    return [("texture", sharpness, tokens)] if sharpness else []


def _read_textures(tokens: list[Token]) -> Statements:
    """Texture of the image, or of the place if one is named."""
    texture = None if _is_of_tones_only(tokens) else read_texture(tokens)
    if not texture:
        return []
    places = [token.value for token in tokens if token.kind is Kind.PLACE]
    local = len(places) == 1 and not said(tokens, Kind.IMAGE)
    return [("texture", f"{texture} {places[0]}" if local else texture, tokens)]


def _read_places(tokens: list[Token]) -> Statements:
    """The first of a course, a gradient, a comparison and regions that can be read."""
    places = count(tokens, Kind.PLACE)
    if places > 1 and said(tokens, Kind.FROM) and mentions(tokens, _COURSES):
        return read_course(tokens)  # how a thing runs is no gradient
    if places == 2 and count(tokens, Kind.TONE, Kind.COMPARATIVE, Kind.TONE_CHANGE) == 1:
        tokens = merged(tokens)
    return read_course(tokens) or read_gradient(tokens) or read_compared_places(tokens) or read_regions(tokens)


def _read_beside_visible(pieces: list[list[Token]]) -> Statements:
    """Pieces that are whole comparisons are read alone, and the others as usual; otherwise all pieces together."""
    statements: Statements = []
    compared = False
    for piece in pieces:
        relations: Statements = []
        if said(piece, Kind.VISIBLE) or said(piece, Kind.LIKENESS) and said(piece, Kind.PATTERN):
            relations = read_compared_images(piece)
        if relations:
            compared = True
            statements += relations
        elif not said(piece, Kind.VISIBLE, Kind.STAYS, Kind.BECOMES, Kind.COLOUR) and _is_complete(piece):
            statements += [item for part in _conjuncts(piece) for item in _read_group(part)]
    if compared:
        return statements
    joined: list[Token] = []
    for piece in pieces:
        joined += [Token(Kind.COMMA, 0, ","), *piece] if joined else piece
    return read_compared_images(joined) or read_visible_part(joined)
