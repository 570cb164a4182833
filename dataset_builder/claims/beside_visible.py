"""Reads how the infrared image, or a part of it, looks beside the visible image.

Standard library only: a metric's release copies the whole folder.
"""

from collections.abc import Sequence

from .kinds import MID, TONES, WHITE, Kind
from .tokens import (
    Statements,
    Token,
    count,
    denied_before,
    last_position,
    mentions,
    position,
    said,
    values,
    words_in,
)

_CLOSELY = {"closely", "exactly", "exact", "perfectly", "faithfully", "detail", "feature", "precisely", "identical"}
_EQUALLY = {"just as", "every bit as", "equally", "no less"}
_EXPECTED = {"suggests", "suggest", "expected", "expect", "expects"}
_VERBS = (Kind.BECOMES, Kind.STAYS)


def read_compared_images(tokens: list[Token]) -> Statements:
    """Reads whether the infrared is brighter or darker than the visible image, or else how alike their patterns."""
    if count(tokens, Kind.THAN) > 1:
        return []  # two things beside each other in both images
    compared, than = _compared_tone(tokens), position(tokens, Kind.THAN)
    if 0 <= compared < than and said(tokens[:compared], Kind.GROUND, Kind.TONE):  # of objects
        if said(tokens[:compared], Kind.STAYS) and not said(tokens[than:], Kind.VISIBLE):
            return []  # woods, black in the photo, stay darker than the field
        in_both = any(token.kind is Kind.VISIBLE and "both" in token.text for token in tokens)
        if in_both and said(tokens[than:], Kind.GROUND, Kind.PART, Kind.COLOUR):
            return [("relation", "follows", tokens)]
    if compared >= 0 and (
        said(tokens, Kind.THAN, Kind.COMPARISON, Kind.INFRARED) or said(tokens[:compared], Kind.VISIBLE)
    ):
        return [] if than < 0 and said(tokens, Kind.BECOMES) else _read_brightness_relation(tokens, compared)
    return _read_pattern_relation(tokens)


def _compared_tone(tokens: Sequence[Token]) -> int:
    """Where the tone stands that is compared; `compared with the gloomy visible view, it is bright`; -1 if none is."""
    compared = position(tokens, Kind.COMPARATIVE)
    comparison = position(tokens, Kind.COMPARISON)
    if compared >= 0 or comparison < 0:
        return compared
    other_image = range(comparison, position(tokens, Kind.VISIBLE))
    tones = (i for i, token in enumerate(tokens) if token.kind is Kind.TONE and token.value and i not in other_image)
    return next(tones, -1)


def _read_brightness_relation(tokens: list[Token], compared: int) -> Statements:
    """Brighter or darker than the visible image: all of the infrared, a place or an object."""
    brighter = (tokens[compared].value > 0) != _is_of_visible(tokens, compared)
    negated = said(tokens, Kind.NEGATION)
    name = f"{'not ' if negated else ''}{'brighter' if brighter else 'darker'}"
    place = next((token.value for token in tokens if token.kind is Kind.PLACE), None)
    if place is not None:
        kind = "disagreement" if mentions(tokens, _EXPECTED) else "local relation"
        return [(kind, f"{place} {name}", tokens)]
    of_object = not negated and _has_object_subject(tokens, compared)
    return [("object relation" if of_object else "relation", name, tokens)]


def _is_of_visible(tokens: Sequence[Token], compared: int) -> bool:
    """Whether the compared tone is the visible image's."""
    visible, than = position(tokens, Kind.VISIBLE), position(tokens, Kind.THAN)
    if than > compared and (compared < visible < than or visible < compared and not said(tokens[than:], Kind.VISIBLE)):
        return True  # the visible one is brighter than the infrared
    return (  # it is brighter in the visible
        than < 0
        and visible > compared
        and not said(tokens, Kind.COMPARISON)
        and not said(tokens[:visible], Kind.INFRARED)
    )


def _has_object_subject(tokens: Sequence[Token], verb: int) -> bool:
    """Whether a noun that is no image stands before the comparison: `the river is brighter than ...`."""
    before = tokens[:verb]
    copula = max(last_position(before, Kind.COPULA), 0)
    if said(before, Kind.IMAGE, Kind.INFRARED, Kind.BRIGHTNESS, Kind.VISIBLE, Kind.MOST):
        return False
    return said(before[:copula], Kind.GROUND)


def _read_pattern_relation(tokens: list[Token]) -> Statements:
    """The pattern of the infrared follows the visible one, is inverted or different."""
    likeness = values(tokens, Kind.LIKENESS)
    likeness += [1 for token in tokens if _is_sameness(token)]
    pattern = said(tokens, Kind.PATTERN)
    if not likeness and pattern and said(tokens, Kind.STAYS):
        likeness = [1]
    if not likeness:
        return []
    value = min(likeness)
    verb = last_position(tokens, Kind.COPULA, *_VERBS)
    if value > -2 and not pattern and verb >= 0 and said(tokens[verb:], Kind.TONE):
        return []
    negated = said(tokens, Kind.NEGATION)
    if negated:
        value = 1 if value < 0 else -1
    if value == -2:
        return [("relation", "inverted", tokens)]
    follows = "follows closely" if not negated and _CLOSELY & words_in(tokens) else "follows"
    return [("relation", follows if value > 0 else "different", tokens)]


def _is_sameness(token: Token) -> bool:
    return token.kind is Kind.DISTANCE and "same" in token.text or token.text in ("much alike", "all alike")


def read_visible_part(tokens: list[Token]) -> Statements:
    """Reads how a part of the visible image, named by tone, colour or place, appears in the infrared.

    The words are split at the verb of change or rest; where there is none, each tone goes to the image named next.
    """
    turn = _turn(tokens)
    if turn < 0:
        return []
    left, right = tokens[:turn], tokens[turn:]
    if _only_infrared(left) and _only_visible(right):
        left, right = right, left  # what is bright in the infrared is dark in the visible
    verb, infrared = tokens[turn].kind, said(tokens, Kind.INFRARED)
    outcome = next((token for token in right if token.kind in TONES), None)
    if outcome is None or verb is Kind.COPULA and not (infrared or said(left, Kind.COLOUR, *TONES)):
        return []
    if said(right, Kind.VISIBLE) and not infrared and not said(left, Kind.VISIBLE):
        return []  # it speaks of the visible image alone
    denied = denied_before(right, *TONES)
    tones = [tone for tone in values(left, Kind.TONE) if tone]
    colour = next((str(token.value) for token in left if token.kind is Kind.COLOUR), "any")
    place = next((str(token.value) for token in left + right if token.kind is Kind.PLACE), "anywhere")
    tone = ("bright" if tones[0] > 0 else "dark") if tones else "any"
    seen = _seen(outcome, right, denied)
    if tone == "any" and colour == "any" and verb is Kind.STAYS:
        tone = seen if seen in ("bright", "dark") else "any"
    looks = [f"not {seen}" if denied else seen]
    if seen in ("bright", "dark", "black", "white") and mentions(right, _EQUALLY):
        looks.append("same")
    return [("visible", f"{tone}, {colour}, {place} -> {look}", tokens) for look in looks]


def _turn(tokens: Sequence[Token]) -> int:
    """Where the words go over from the part that is named to what it looks like in the infrared; -1 if they do not."""
    yet = position(tokens, Kind.BUT, Kind.COMMA)
    if (
        yet > 0
        and said(tokens[:yet], Kind.VISIBLE)
        and said(tokens[:yet], *TONES)
        and said(tokens[yet:], Kind.INFRARED)
        and said(tokens[yet:], *TONES)
    ):
        return yet  # dark in the visible, yet white in the infrared
    outcome = last_position(tokens, *TONES)
    verb = last_position(tokens[: max(outcome, 0)], *_VERBS)
    if verb >= 0:
        return verb
    verb = last_position(tokens[: max(outcome, 0)], Kind.COPULA)
    if verb >= 0 and said(tokens[:verb], Kind.COLOUR, Kind.VISIBLE, *TONES):
        return verb
    visible, infrared = position(tokens, Kind.VISIBLE), last_position(tokens, Kind.INFRARED)
    if visible >= 0 and infrared >= 0 and said(tokens[visible + 1 : infrared], *TONES):
        return visible + 1  # `the meadows of the visible image glow in the infrared`
    return -1


def _only_infrared(tokens: Sequence[Token]) -> bool:
    return said(tokens, Kind.INFRARED) and not said(tokens, Kind.VISIBLE)


def _only_visible(tokens: Sequence[Token]) -> bool:
    return said(tokens, Kind.VISIBLE) and not said(tokens, Kind.INFRARED)


def _seen(outcome: Token, words: Sequence[Token], denied: bool) -> str:
    """How the part looks, by the tone that is said of it among these words."""
    bright = outcome.value > 0
    than = position(words, Kind.THAN)
    of_other = than >= 0 and not said(words[than:], Kind.VISIBLE)  # brighter than its surroundings
    if outcome.kind is Kind.COMPARATIVE and not of_other:
        return "brighter" if bright else "darker"
    if outcome.kind is Kind.SUPERLATIVE:
        return "brightest" if bright else "darkest"
    if abs(outcome.value) == WHITE and not denied:
        return "white" if bright else "black"
    return "medium" if outcome.value == MID else "bright" if bright else "dark"
