"""Rewrites idioms that are built from classes: exceptions, similes, amounts of brightness, `one flat grey`.

Standard library only: a metric's release copies the whole folder.
"""

import re
from collections.abc import Sequence

from .kinds import BRIGHT, WHITE, Kind
from .tokens import (
    Pattern,
    Token,
    begins,
    ends,
    mentions,
    said,
    values,
    without_leading,
    without_trailing,
)

_EXCEPT = {"apart from", "except for", "except", "leaving aside", "aside from", "bar", "barring", "save for"} | {
    "other than", "besides", "excepting", "disregarding", "ignoring", "outside"}  # fmt: skip
_OVER = {"above", "over", "beyond", "exceeds", "exceeding", "exceed", "outshines", "past"}
_UNDER = {"below", "under", "beneath", "underneath"}
_OFF = {"off", "above", "over", "beyond", "from", "than"}
_BEFORE_REFERENCE = {"the", "a", "any", "pure", "even", "of"}
_SPOT = {"spot", "dot", "speck", "point", "blob"}
_ONE = re.compile(r"(one|single|identical|exact|very same|same)")
_NOUNS_BEFORE_BAR = (Kind.TONE, Kind.GROUND, Kind.FUNCTION, Kind.SURFACE)  # `a bright bar`
_LIKENED = (Kind.TONE, Kind.COMPARATIVE, Kind.SURFACE, Kind.UNIFORM, Kind.FOCUS)  # `dark as`
_BEFORE_SINGLE_TONE = (Kind.TONE, Kind.UNIFORM, Kind.SURFACE, Kind.FUNCTION, Kind.AMOUNT)


def recast(tokens: list[Token]) -> list[Token]:
    """Rewrites what holds of a whole sentence: exceptions, similes, tones beside a reference, `one grey`."""
    for rule in (_without_exceptions, _without_similes, _beside_reference, _single_tone):
        tokens = rule(tokens)
    return tokens


def _without_exceptions(tokens: list[Token]) -> list[Token]:
    """Leaves out what is excepted, up to the next comma or the verb of what it is excepted from; keeps the hedge."""
    result: list[Token] = []
    skipping = False
    for index, token in enumerate(tokens):
        if token.text in _EXCEPT and not (
            token.text in ("bar", "outside") and index and tokens[index - 1].kind in _NOUNS_BEFORE_BAR
        ):
            result.append(Token(Kind.FUNCTION, 1, "except"))
            skipping = True
        elif skipping and (token.kind in (Kind.COMMA, Kind.BUT) or _is_main_verb(tokens[: index + 1], result)):
            skipping = False
        if not skipping:
            result.append(token)
    return result


def _is_main_verb(upto: Sequence[Token], before: Sequence[Token]) -> bool:
    """Whether the last word is the verb of what stands before an exception: `all except the east is dark`."""
    relative = len(upto) > 1 and upto[-2].text in ("that", "which", "who")
    return upto[-1].kind is Kind.COPULA and not relative and not said(before, Kind.COPULA, Kind.TONE)


def _without_similes(tokens: list[Token]) -> list[Token]:
    """The thing likened to is not in the image: `as dark as a cellar`, `smooth as glass`, `like fresh plaster`."""
    if not mentions(tokens, ("like", "as")) or said(tokens, Kind.VISIBLE, Kind.INFRARED):
        return tokens
    result = list(tokens)
    for index, token in enumerate(tokens):
        if token.text == "like" or token.text == "as" and index and tokens[index - 1].kind in _LIKENED:
            end = index + 1
            while end < min(len(tokens), index + 6) and tokens[end].kind in (Kind.FUNCTION, Kind.GROUND):
                end += 1
            if end == index + 1 or said(tokens[index + 1 : end], Kind.GROUND):
                result[index:end] = [Token(Kind.FUNCTION, 1, "simile") for _ in result[index:end]]
    return result


def _beside_reference(tokens: list[Token]) -> list[Token]:
    """A tone above or below another is that side of it: `well above the mid-tone`, `barely lifts off black`."""
    result: list[Token] = []
    for token in tokens:
        if token.kind is Kind.TONE:
            start, tone = _reference(result, token)
            result[start:] = [tone]
        else:
            result.append(token)
    return result


def _reference(before: list[Token], tone: Token) -> tuple[int, Token]:
    """Where the idiom begins that ends with this tone, and the tone it means; `(len(before), tone)` if it is none."""
    back = len(before) - 1
    while back >= 0 and before[back].text in _BEFORE_REFERENCE and before[back].kind is Kind.FUNCTION:
        back -= 1
    if back < 0:
        return len(before), tone
    link, previous = before[back], before[back - 1] if back else None
    compared = previous.value if link.kind is Kind.THAN and previous and previous.kind is Kind.COMPARATIVE else 0
    if tone.value == 0 and (link.text in _OVER | _UNDER or compared):
        start = back - 1 if compared else back
        if not (start and before[start - 1].kind is Kind.NEGATION):
            up = link.text in _OVER or float(compared) > 0
            return start, Token(Kind.TONE, 2 if up else -2, f"{link.text} {tone.text}")
    elif abs(float(tone.value)) == WHITE and link.text in _OFF:
        denials = (i for i in range(back, max(-1, back - 5), -1) if before[i].kind is Kind.NEGATION)
        denial = next(denials, None)
        if denial is not None and not said(before[denial:], Kind.COMMA):
            return denial, tone
    return len(before), tone


def _single_tone(tokens: list[Token]) -> list[Token]:
    """`one flat grey`, `a single unvarying pale tone`, `an identical shade`: tones close together, and the tone."""
    result = list(tokens)
    for index, token in enumerate(tokens):
        if not _ONE.fullmatch(token.text) or token.kind not in (Kind.FUNCTION, Kind.LIKENESS, Kind.GROUND):
            continue
        end, limit = index + 1, min(len(tokens), index + 5)
        while end < limit and tokens[end].kind in _BEFORE_SINGLE_TONE and not _is_grey(tokens[end]):
            end += 1
        if end < len(tokens) and _is_grey(tokens[end]) and tokens[end].text not in ("pixel", "return"):
            result[index] = Token(Kind.DISTANCE, -1, f"one {token.text}")
    return result


def _is_grey(token: Token) -> bool:
    """Whether it is the noun that a single tone ends with: a grey, a shade, a mid-tone."""
    return token.kind is Kind.BRIGHTNESS or token.kind is Kind.TONE and not token.value


_AMOUNTS = (Kind.AMOUNT, Kind.COMPARED_AMOUNT)
_AFTER_AMOUNT = (Kind.FUNCTION, Kind.AMOUNT, Kind.IMAGE, Kind.COPULA)
_BEFORE_AMOUNT = (Kind.FUNCTION, Kind.COPULA, Kind.AND, Kind.STAYS, Kind.BECOMES, Kind.MOST)
_MEASURED_OTHERWISE = (Kind.RANGE, Kind.CONTRAST, Kind.DISTANCE, Kind.WIDTH, Kind.SURFACE, Kind.DETAIL, Kind.GROUND)


def amounts_as_tones(tokens: list[Token]) -> list[Token]:
    """Makes tones of amounts of brightness: `low grey values` is dark, `the strongest response` brightest."""
    if not said(tokens, Kind.BRIGHTNESS) or not said(tokens, *_AMOUNTS):
        return tokens
    result = list(tokens)
    others = said(tokens, Kind.TONE, Kind.COMPARATIVE) or any(values(tokens, *_AMOUNTS))
    for index, token in enumerate(tokens):
        if token.kind not in _AMOUNTS or token.text == "much" or said(tokens[:index], Kind.RANGE, Kind.CONTRAST):
            continue
        if not token.value and (token.kind is Kind.COMPARED_AMOUNT or others):
            continue
        after = without_leading(tokens[index + 1 : index + 4], *_AFTER_AMOUNT)
        before = without_trailing(tokens[max(0, index - 4) : index], *_BEFORE_AMOUNT)
        tonal = mentions(tokens[index + 1 : index + 3], ("tonal",))  # gentle tonal changes
        ahead = begins(after, Kind.BRIGHTNESS) and not tonal and not said(after, Kind.RANGE, Kind.CONTRAST)
        if ahead or ends(before, Kind.BRIGHTNESS) and not begins(after, *_MEASURED_OTHERWISE):
            result[index] = _toned(token)
    return result


def _toned(amount: Token) -> Token:
    """The tone of an amount of brightness."""
    sign = 1 if amount.value > 0 else -1 if amount.value < 0 else 0
    if amount.kind is Kind.AMOUNT:
        return Token(Kind.TONE, sign * BRIGHT, amount.text)
    return Token(Kind.COMPARATIVE if abs(amount.value) == 1 else Kind.SUPERLATIVE, sign, amount.text)


_NOWHERE_MORE = Pattern(
    "[^PLACE FROM CONTRAST]* NEGATION [^PLACE TONE CONTRAST]* COMPARATIVE [^PLACE TONE COMPARATIVE]*"
    "THAN [^PLACE TONE]* PLACE [^PLACE TONE COMPARATIVE]*"
)


def denied_comparison_as_extreme(tokens: list[Token]) -> list[Token]:
    """`nowhere is it lighter than in the north`: the north is lightest."""
    if not said(tokens, Kind.THAN) or not _NOWHERE_MORE.matches(tokens):
        return tokens
    return [
        Token(Kind.SUPERLATIVE, token.value, token.text) if token.kind is Kind.COMPARATIVE else token
        for token in tokens
        if token.kind not in (Kind.NEGATION, Kind.THAN)
    ]


def only_one_as_extreme(tokens: list[Token]) -> list[Token]:
    """`the only bright area` is the brightest, and so is `the white spot`."""
    result = list(tokens)
    for index, (article, token, noun) in enumerate(zip(tokens, tokens[1:], tokens[2:], strict=False), 1):
        if article.text == "the" and token.kind is Kind.TONE and abs(token.value) >= WHITE and noun.text in _SPOT:
            result[index] = Token(Kind.SUPERLATIVE, 1 if token.value > 0 else -1, token.text)
    if not mentions(tokens, ("only", "one", "sole")):
        return result
    for index, token in enumerate(tokens):
        before = [other.text for other in tokens[max(0, index - 4) : index] if other.kind is Kind.FUNCTION]
        if token.kind is Kind.TONE and token.value and "the" in before and {"only", "one", "sole"} & set(before):
            result[index] = Token(Kind.SUPERLATIVE, 1 if token.value > 0 else -1, token.text)
    return result
