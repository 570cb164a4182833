"""Reads how bright or dark the image is as a whole, and how much of it is so.

Standard library only: a metric's release copies the whole folder.
"""

from collections.abc import Sequence

from .degrees import HEDGES, STRONG
from .kinds import BLACK, MID, WHITE, Kind
from .tokens import (
    Pattern,
    Statements,
    Token,
    begins,
    ends,
    is_denial,
    mentions,
    pieces_of,
    position,
    positions,
    said,
    without_leading,
    without_trailing,
    words_in,
)
from .words import words_of

_NOT_OF_THE_IMAGE = (
    Kind.GROUND, Kind.PART, Kind.COLOUR, Kind.BECOMES, Kind.LIKENESS, Kind.DETAIL, Kind.SURFACE, Kind.FOCUS
)  # fmt: skip
_AFTER_TONE = (
    Kind.FUNCTION, Kind.AND, Kind.TONE, Kind.INFRARED, Kind.SURFACE, Kind.UNIFORM, Kind.AMOUNT, Kind.FOCUS,
    Kind.WIDTH, Kind.MOST,
)  # fmt: skip
_VERBS = (Kind.COPULA, Kind.STAYS, Kind.BECOMES)


def is_level(tokens: Sequence[Token]) -> bool:
    """Whether the tones are of the whole image: only function words beside, or an image word that they describe."""
    if said(tokens, Kind.PLACE) or not said(tokens, Kind.TONE):
        return False
    if said(tokens, Kind.MOST):
        return True
    if not said(tokens, *_NOT_OF_THE_IMAGE):
        article = tokens[0].text in ("a", "an", "the")
        return not article or said(tokens, Kind.IMAGE, Kind.BRIGHTNESS) or ends(tokens, Kind.FUNCTION)
    return any(_describes_image(tokens, tone) for tone in positions(tokens, Kind.TONE))


def _describes_image(tokens: Sequence[Token], tone: int) -> bool:
    """Whether an image word follows the tone at this position, or comes before it or before its verb."""
    after = without_leading(tokens[tone + 1 :], *_AFTER_TONE)
    if begins(after[1:] if begins(after, Kind.GROUND) else after, Kind.IMAGE, Kind.BRIGHTNESS):
        return True
    before = without_trailing(tokens[:tone], Kind.FUNCTION, Kind.AND, Kind.MOST, Kind.AMOUNT)
    return ends(before, Kind.IMAGE) or ends(before, *_VERBS) and _subject_is_image(before)


def _subject_is_image(before: Sequence[Token]) -> bool:
    if ends(without_trailing(before, Kind.FUNCTION, Kind.AND, *_VERBS), Kind.IMAGE, Kind.BRIGHTNESS):
        return True
    image = position(before, Kind.IMAGE)
    return image >= 0 and said(before, Kind.COPULA) and not said(before[:image], Kind.GROUND)


_NEARLY_ALL = {
    "all",
    "every",
    "nearly all",
    "almost all",
    "almost everything",
    "nearly everything",
    "entire",
    "entirely",
}
_SHARES = {BLACK: "black", WHITE: "white"}
_EVERYWHERE = words_of("border corner edge end entire every everywhere over throughout wall whole")
_DENIED_WHOLE = Pattern("NEGATION MOST [FUNCTION]* [IMAGE GROUND PART BRIGHTNESS COPULA]")
_DENIED_RULE = Pattern("TONE [^TONE COMMA]* NEGATION [FUNCTION]* MOST")  # dark areas do not dominate
_NOTHING = {"nothing", "any", "no", "none", "anything"}


def read_level(tokens: Sequence[Token]) -> Statements:
    """Reads the first tone of each piece, and the first one denied, as the level of the image or a share of it."""
    statements: Statements = []
    for piece in pieces_of(tokens):
        tones = positions(piece, Kind.TONE)
        if not tones:
            continue
        denial = next((index for index, token in enumerate(piece) if is_denial(token)), len(piece))
        brightness = [piece[index].value for index in tones]
        joined = min(brightness) < 0 < max(brightness) and said(piece, Kind.AND)  # dark and bright
        if joined and denial == len(piece) and not said(piece, Kind.MOST) or said(piece, Kind.FROM) and len(tones) > 1:
            continue
        if _DENIED_WHOLE.occurs(piece):  # not all of it is dark: of the rest nothing is said
            continue
        if _DENIED_RULE.occurs(piece) and brightness[0]:
            statements.append(("level", f"not {_side(brightness[0])}", piece))
            continue
        if said(piece, Kind.ABSENCE) and brightness[0]:
            statements.append(("share", f"no {_side(brightness[0])}", piece))
            continue
        for index in tones[:1] + [tone for tone in tones[1:] if tones[0] < denial < tone][:1]:
            if denial < index:
                statements += _denied_level(piece, index, denial)
            elif is_level(piece) or is_level(tokens) and not said(tokens, Kind.COMMA):
                alike = [tone for tone in brightness if tone * piece[index].value > 0]
                one = alike and denial == len(piece) and not said(piece, Kind.AND)
                tone = max(alike, key=abs) if one else piece[index].value
                statements += _stated_level(piece, tone, of_contrast=said(tokens, Kind.CONTRAST))
    return statements


def _denied_level(piece: list[Token], index: int, denial: int) -> Statements:
    """`nothing is dark`, `no bright areas`: a share; `not dark`: a level. Of mid grey, nothing."""
    tone = piece[index].value
    if not tone:
        return []
    if said(piece[index:], Kind.PART) or piece[denial].text.split()[-1] in _NOTHING:
        return [("share", f"no {_side(tone)}", piece)]
    return [("level", f"not {_side(tone)}", piece)]


def _stated_level(piece: list[Token], tone: float, of_contrast: bool) -> Statements:
    """A level, and the same of all of the image where that is said; of most of its parts or pixels, a share."""
    most = next((token.text for token in piece if token.kind is Kind.MOST), None)
    if most and tone and (said(piece, Kind.GROUND, Kind.PART) or mentions(piece, ("pixel", "pixels"))):
        how = "nearly" if most in _NEARLY_ALL and abs(tone) < WHITE else "mostly"
        return [("share", f"{how} {_SHARES.get(tone, _side(tone))}", piece)]
    statements: Statements = [("level", _level_name(tone, piece), piece)]
    words = words_in(piece)
    everywhere = words & _EVERYWHERE and not words & HEDGES and not of_contrast
    if everywhere or tone == MID and "only" in words:
        statements.append(("share", f"all {'medium' if tone == MID else _side(tone)}", piece))
    return statements


def _side(tone: float) -> str:
    return "bright" if tone > 0 else "dark"


def _level_name(tone: float, piece: Sequence[Token]) -> str:
    if tone == MID:
        return "medium"
    strong = abs(tone) >= WHITE or mentions(piece, STRONG - {"deep", "pure"})
    return f"very {_side(tone)}" if strong else _side(tone)


_OF_CONTRAST = (
    Kind.CONTRAST, Kind.AMOUNT, Kind.COMPARED_AMOUNT, Kind.UNIFORM, Kind.DISTANCE, Kind.WIDTH, Kind.AND
)  # fmt: skip


def read_level_beside_contrast(piece: list[Token]) -> Statements:
    """`dark overall and low in contrast`: the tone is the image's unless it is what makes the contrast."""
    rest = [token for token in piece if token.kind not in _OF_CONTRAST]
    tones = [token for token in rest if token.kind is Kind.TONE]
    if len({tone.value > 0 for tone in tones}) != 1 or said(piece, Kind.PLACE, Kind.MOST, Kind.NEGATION):
        return []
    if any("end" in tone.text.split() for tone in tones):  # the dark end of the scale
        return [("level", _level_name(tones[0].value, piece), piece)]
    return read_level(rest) if said(piece, Kind.CONTRAST) and is_level(rest) else []
