"""Reads contrast: by its noun and an amount, by a range of tones, by tones far apart or close together.

Standard library only: a metric's release copies the whole folder.
"""

from collections.abc import Sequence

from .degrees import STRONG, is_absolute
from .kinds import BRIGHT, DARK, Kind
from .level import is_level
from .tokens import (
    Pattern,
    Token,
    count,
    denied_before,
    has,
    is_denial,
    mentions,
    pieces_of,
    position,
    said,
    values,
    words_in,
)

_ALIKE = {"nearly identical", "almost identical", "near identical", "one single", "same grey", "same even grey"}
_SPREADS = (Kind.DISTANCE, Kind.WIDTH)
_WIDTH_OF_TONES = Pattern(
    "WIDTH [FUNCTION AMOUNT TONE BRIGHTNESS]* [BRIGHTNESS RANGE]"
    "| [BRIGHTNESS RANGE] [FUNCTION AMOUNT COPULA TOWARDS TONE]* WIDTH"
)


def read_contrast(tokens: Sequence[Token]) -> str | None:
    """Returns a class of contrast, or `none` where it is denied altogether."""
    value = _contrast_of(tokens)
    lost = value in ("low", "very low") and not said(tokens, Kind.CONTRAST)
    return "none" if lost and is_absolute(tokens) and not said(tokens, Kind.PLACE) else value


def _contrast_of(tokens: Sequence[Token]) -> str | None:
    """Asks for each way to speak of contrast in turn; the first that is spoken in answers."""
    placed = said(tokens, Kind.PLACE)
    if placed:  # a band at a place is a thing, and no range
        tokens = [Token(Kind.GROUND, 0, t.text) if t.text in ("band", "bands") else t for t in tokens]
    tones = _tones_of(tokens)
    opposite = min(tones, default=0) <= DARK and max(tones, default=0) >= BRIGHT
    negated = said(tokens, Kind.NEGATION, Kind.ABSENCE)
    if said(tokens, Kind.CONTRAST):
        return _by_noun(tokens, opposite, negated)
    if said(tokens, Kind.CLASH):
        weak = negated or min(values(tokens, Kind.AMOUNT), default=0) < 0
        return "low" if weak else "high" if not placed or opposite else None
    value = _by_distance(tokens, negated) or _by_range(tokens, negated)
    if value:
        return value
    if not placed and len(tones) >= 2 and said(tokens, Kind.FROM) and said(tokens, Kind.TOWARDS):
        reach = max(tones) - min(tones)
        return "full" if reach >= 4 else "low" if reach <= 2 else None
    if opposite and max(tones) - min(tones) >= 5 and not said(tokens, Kind.PLACE, Kind.DETAIL, Kind.SURFACE):
        return _black_beside_white(tokens)
    if opposite and not placed:
        if not negated and not said(tokens, Kind.VISIBLE) and "against" in words_in(tokens):
            return "high"
        if negated and position(tokens, Kind.NEGATION) < position(tokens, Kind.TONE):
            return "low"
    if said(tokens, Kind.UNIFORM) and not said(tokens, Kind.SURFACE, Kind.DETAIL, Kind.PLACE):
        return _by_uniformity(tokens, bool(tones))
    return None


def _tones_of(tokens: Sequence[Token]) -> list[float]:
    """The values of tones in order; a strengthened dark or bright counts as black or white."""
    return [
        token.value * (1.5 if abs(token.value) == 2 and index and tokens[index - 1].text in STRONG else 1)
        for index, token in enumerate(tokens)
        if token.kind is Kind.TONE
    ]


def _by_noun(tokens: Sequence[Token], opposite: bool, negated: bool) -> str | None:
    """`weak contrast`, `no contrast to speak of`, `a wide dynamic range`."""
    if said(tokens, Kind.COMPARED_AMOUNT) and said(tokens, Kind.PLACE):
        return None  # one place against another
    noun = position(tokens, Kind.CONTRAST)
    amount = _amount(tokens, noun)
    if amount is None:
        spreads = values(tokens, *_SPREADS)
        amount = -1 if -1 in spreads or said(tokens, Kind.UNIFORM) else 1 if 1 in spreads or opposite else None
    if negated and (denied_before(tokens, Kind.CONTRAST) or said(tokens, Kind.ABSENCE)):
        amount = -2 if amount is None or amount == -2 else -amount if amount else None
    elif amount and _is_denied_after(tokens, noun):
        amount = 0 if mentions(tokens, ("nor",)) else -amount  # neither high nor low
    elif amount is None:
        amount = 1 if said(tokens, Kind.CLASH) else None
    return None if amount is None else _contrast_class(amount)


def _is_denied_after(tokens: Sequence[Token], noun: int) -> bool:
    """Whether what is said of the noun is denied: `the contrast is not low`, `hardly high`, `anything but strong`."""
    amount = position(tokens[noun:], Kind.AMOUNT)
    between = tokens[noun : noun + max(amount, 0)]
    return said(between, Kind.NEGATION) and not said(between, Kind.COMMA, Kind.BUT, Kind.AND)


def _by_distance(tokens: Sequence[Token], negated: bool) -> str | None:
    """`the tones lie close together`, `shades hardly differ`, `nothing is lighter or darker than the rest`."""
    placed, extremes = said(tokens, Kind.PLACE), count(tokens, Kind.SUPERLATIVE)
    if negated and not placed and set(values(tokens, Kind.COMPARATIVE)) == {1, -1}:
        return "very low"  # nothing lighter or darker than the rest
    spreads = [
        -token.value if token.value > 0 and _is_denied(tokens, token) else token.value
        for token in tokens
        if token.kind is Kind.DISTANCE or token.kind is Kind.WIDTH and _WIDTH_OF_TONES.occurs(tokens)
    ]
    if not spreads:
        both = not placed and len(set(values(tokens, Kind.SUPERLATIVE))) == 2
        # hardly a shade between the lightest and the darkest
        return "very low" if both and (negated or has(tokens, Kind.LIKENESS, 1)) else None
    ranged = said(tokens, Kind.RANGE)
    tonal = extremes >= 2 or said(tokens, Kind.BRIGHTNESS)
    named = tonal or ranged or said(tokens, Kind.TONE, Kind.IMAGE, Kind.PATTERN)
    of_objects = said(tokens, Kind.PART) and not (tonal or ranged)
    if not named or of_objects or placed and not ranged:
        return None
    sign = min(spreads) if min(spreads) < 0 else max(spreads)
    if sign > 0 and min(values(tokens, Kind.AMOUNT), default=0) < 0:
        sign = -1  # they vary, but little
    if -1 in spreads and max(spreads) < 0 and denied_before(tokens, *_SPREADS) and not _difference_denied(tokens):
        sign = -sign
    return _contrast_class(2 * sign if sign < 0 and mentions(tokens, _ALIKE) else sign)


def _is_denied(tokens: Sequence[Token], word: Token) -> bool:
    """Whether a denial stands before this word in its own piece."""
    for piece in pieces_of(tokens):
        index = next((i for i, token in enumerate(piece) if token is word), None)
        if index is not None:
            return said(piece[:index], Kind.NEGATION) or said(piece, Kind.ABSENCE)
    return False


def _difference_denied(tokens: Sequence[Token]) -> bool:
    """Whether its words of difference were denied, and not its words of likeness."""
    if said(tokens[position(tokens, Kind.NEGATION) :], Kind.FROM):
        return True  # they never stray from it
    spreads = [token for token in tokens if token.kind in _SPREADS]
    return any(token.value > 0 for token in spreads) or not any(
        token.value < 0 and _is_denied(tokens, token) for token in spreads
    )


def _by_range(tokens: Sequence[Token], negated: bool) -> str | None:
    """`a small difference between its greys`, `hardly any variation`."""
    gap = position(tokens, Kind.RANGE)
    tonal = (
        said(tokens, Kind.BRIGHTNESS, Kind.PATTERN, Kind.TONE)
        or count(tokens, Kind.SUPERLATIVE) >= 2
        or "brightness" in words_in(tokens)
    )
    if gap >= 0 and tokens[gap].text in ("gap", "gaps") and "between" not in words_in(tokens):
        return None  # a rim without a gap
    if gap < 0 or not tonal and said(tokens, Kind.PLACE, Kind.GROUND):
        return None
    amount = _amount(tokens, gap)
    if amount is None and negated:
        amount = -2
    elif amount and negated and position(tokens, Kind.NEGATION) < gap:
        amount = -amount
    return _contrast_class(amount) if amount else None


_BEFORE_RANGE = (Kind.FUNCTION, Kind.BRIGHTNESS, Kind.UNIFORM, Kind.TONE, Kind.AND, Kind.IMAGE)
_AMOUNTS = (Kind.AMOUNT, Kind.COMPARED_AMOUNT)


def _amount(tokens: Sequence[Token], noun: int) -> float | None:
    """The amount said of the noun at this position: the nearest before it in its phrase, else the first after it."""
    for index in range(noun - 1, -1, -1):
        token = tokens[index]
        if token.kind in _AMOUNTS or token.kind in _SPREADS:
            return token.value
        if token.kind not in _BEFORE_RANGE and not (token.kind is Kind.GROUND and index == noun - 1):
            break
    for token in tokens[noun + 1 :]:
        if token.kind in _AMOUNTS or token.kind in _SPREADS:
            return token.value
        if token.kind in (Kind.COMMA, Kind.PLACE):
            break
    return next((token.value for token in reversed(tokens[:noun]) if token.kind in _AMOUNTS), None)


def _contrast_class(amount: float) -> str:
    if amount == 0:
        return "moderate"
    return ("very low" if amount <= -2 else "low") if amount < 0 else ("very high" if amount >= 2 else "high")


def _black_beside_white(tokens: Sequence[Token]) -> str | None:
    """Extreme tones together, unless one is the image's: `sombre greys rule, with white in a few specks`."""
    pieces = pieces_of(tokens)
    if len(pieces) > 1 and any(is_level(piece) for piece in pieces if count(piece, Kind.TONE) == 1):
        return None
    denial = next((index for index, token in enumerate(tokens) if is_denial(token)), None)
    if denial is None:
        return "high"
    return "low" if denial < position(tokens, Kind.TONE) else None


def _by_uniformity(tokens: Sequence[Token], toned: bool) -> str | None:
    if any(denied_before(piece, Kind.UNIFORM) for piece in pieces_of(tokens)):
        return "high"
    if toned and any(token.text.startswith("uniform") for token in tokens):
        return None
    return "very low" if mentions(tokens, ("nearly", "almost", "very", "completely")) else "low"
