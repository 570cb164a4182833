"""Reads what a clause says of its subject: tone, comparison, extreme, place, texture, whether it stands out.

Standard library only: a metric's release copies the whole folder.
"""

from collections.abc import Iterator, Sequence
from dataclasses import replace

from .kinds import BLACK, BRIGHT, DARK, WHITE, Kind
from .thing_nouns import PREPOSITIONS, has_noun, thing_of
from .things import (
    FADES,
    FILLED,
    LESSENED,
    LIES,
    PARTS,
    RUNS,
    SEEN,
    STANDS_OUT,
    SURROUNDINGS,
    Thing,
    ThingStatement,
)
from .tokens import Token, begins, has, mentions, position, said, values, words_in
from .words import words_of

_LESS = {"less", "weaker", "fainter", "softer", "lower", "smaller", "more subdued", "more muted", "duller"}
_MORE = {"more", "stronger", "sharper", "higher", "greater", "clearer", "crisper", "bolder"}
_APART = {"stand", "stands", "standing", "stood"}
_FILLS = words_of("fill fills filling covers cover covering occupies occupy take takes taken occupied")
_COPULAR = (Kind.COPULA, Kind.BECOMES, Kind.STAYS, Kind.TONE, Kind.CHANGE, Kind.TONE_CHANGE)
_AROUND = {"surrounded", "ringed", "framed", "enclosed", "encircled"}
_KEEPS = {"keeps", "keep", "kept", "retains", "retain", "preserves", "preserve"}
_EDGES = {"boundary", "border", "edge", "outline", "line"}
_REST = {"rest", "everything", "anything", "nothing", "else", "other", "others"}
DEGREES = {"as", "just as", "every bit as", "equally", "no less"}


def predicate_of(
    subject: Thing, verb: Token | None, after: list[Token], beside: Thing | None
) -> Iterator[ThingStatement]:
    """What is said of a thing.

    Args:
        subject: Of whom.
        verb: None in what is said after it: `a medium grey`.
        after: What follows it.
        beside: What it is compared with, if a clause before said so.
    """
    subject, after = _as_it_became(subject, after)
    agent = next((i for i, token in enumerate(after) if token.text == "by"), -1)
    if agent >= 0 and has_noun(after[agent:]) and _is_participle(after[:agent]):
        yield from _by_other(subject, thing_of(after[agent + 1 :]), [verb, *after[:agent]] if verb else after[:agent])
        return
    if begins(after, Kind.COMPARISON) or verb and verb.kind is Kind.COMPARISON:
        return
    than = position(after, Kind.THAN)
    main, rest = (after[:than], after[than + 1 :]) if than >= 0 else (after, [])
    whole = [verb, *main] if verb else list(main)
    denied = said(main, Kind.NEGATION)
    compared = [
        token for token in whole if token.kind in (Kind.COMPARATIVE, Kind.TONE_CHANGE) and not _of_other(whole, token)
    ]
    if verb and verb.text in ("outshine", "outshines") and has_noun(main):
        yield ThingStatement("than", subject, "brighter", thing_of(main))
        return
    if compared and not denied:
        yield from _compared(subject, compared[0], main, rest, beside)
        yield from _also_toned(subject, whole, main)
        return
    if subject.top and not denied and said(main, Kind.PLACE):
        yield ThingStatement("extreme at", subject, ", ".join(thing_of(main).places))
        return
    if said(main, Kind.SUPERLATIVE) and not denied:
        top = next(token for token in main if token.kind is Kind.SUPERLATIVE)
        sign = top.value > 0
        if mentions(main, ("one",)):
            yield ThingStatement("tone", subject, "bright" if sign else "dark")
        elif not said(main, Kind.PLACE):
            yield ThingStatement("extreme", subject, "brightest" if sign else "darkest")
        return
    yield from _state_of(subject, verb, whole, main, denied)


def _as_it_became(subject: Thing, after: list[Token]) -> tuple[Thing, list[Token]]:
    """Gives the subject what it was in RGB, and leaves what it became: `from pale in RGB to a dark line`."""
    start = position(after, Kind.FROM)
    end = next((i for i, token in enumerate(after) if i > start and token.text == "to"), -1)
    if not (0 <= start < end and said(after[start:end], Kind.VISIBLE)):
        return subject, after
    tones = tuple(values(after[start:end], Kind.TONE))
    return replace(subject, tones=subject.tones + tones, image="rgb"), [*after[:start], *after[end + 1 :]]


def _is_participle(before: Sequence[Token]) -> bool:
    """Whether what stands before `by` is passive: `cut`, `taken up`, `outlined`."""
    words = words_in(before[-2:])
    return not words or bool(words & FILLED) or any(word.endswith(("ed", "en")) for word in words)


def _by_other(subject: Thing, other: Thing, verb: Sequence[Token]) -> Iterator[ThingStatement]:
    """`taken up by dark woods`, `cut by a light strip`: the tone is the other thing's."""
    if words_in(verb) & _AROUND and other.tones and other.tones[0]:
        yield ThingStatement("than", subject, "darker" if other.tones[0] > 0 else "brighter", Thing(beside="around"))
        return
    if words_in(verb) & FILLED and subject.places and other.looks[:1] != ("line",):
        yield ThingStatement("fills", other, ", ".join(subject.places))
    elif other.looks[:1] == ("line",) and other.tones:
        yield ThingStatement("line", replace(other, places=other.places or subject.places), tone_name(other.tones[0]))


def _compared(
    subject: Thing, top: Token, main: list[Token], rest: list[Token], beside: Thing | None
) -> Iterator[ThingStatement]:
    sign = "brighter" if top.value > 0 else "darker"
    if top.text in ("duller", "more subdued", "more muted"):
        sign = "darker"
    if said(rest, Kind.VISIBLE) or said(main, Kind.COMPARISON) and said(main, Kind.VISIBLE):
        yield ThingStatement("beside rgb", subject, sign)
    elif rest and words_in(rest) & _REST and not has_noun([t for t in rest if t.text not in PARTS]):
        yield ThingStatement("extreme", subject, "brightest" if sign == "brighter" else "darkest")
    elif rest and (has_noun(rest) or said(rest, Kind.PLACE)):
        yield ThingStatement("than", subject, sign, thing_of(rest))
    elif rest and words_in(rest) & (SURROUNDINGS | {"around", "it", "them"}):
        yield ThingStatement("than", subject, sign, Thing(beside="around"))
    elif not rest and beside:
        yield ThingStatement("than", subject, sign, beside)
    elif not rest:
        yield ThingStatement("beside rgb" if subject.image == "rgb" else "lighter", subject, sign)


def _also_toned(subject: Thing, whole: list[Token], main: list[Token]) -> Iterator[ThingStatement]:
    """A tone beside a comparison: `gets darker still and ends up black`."""
    tones = values(whole, Kind.TONE)
    if tones and not said(main, Kind.VISIBLE):
        yield ThingStatement("tone", subject, tone_name(tones[-1]))


def _state_of(
    subject: Thing, verb: Token | None, whole: list[Token], main: list[Token], denied: bool
) -> Iterator[ThingStatement]:
    """The first that is said of whether it stands out, of a tone, a place, a texture."""
    for read in (_apart, _toned, _placed, _textured):
        statements = read(subject, verb, whole, main, denied)
        if statements is not None:
            yield from statements
            return


def _apart(
    subject: Thing, verb: Token | None, whole: list[Token], main: list[Token], denied: bool
) -> list[ThingStatement] | None:
    """Whether it stands out or is lost, or keeps its tone."""
    words = words_in([token for token in whole if token.kind is not Kind.VISIBLE])
    if words & SEEN and (not said(main, Kind.TONE) or denied and _shown_as(main)):
        hardly = denied or has(whole, Kind.AMOUNT, -2)
        told = hardly or said(whole, Kind.STAYS) or "can" in words
        return [ThingStatement("apart", subject, "lost" if hardly else "seen")] if told else []
    if words & SURROUNDINGS and (said(main, Kind.LIKENESS, Kind.DISTANCE) or "same" in words) and not denied:
        return [ThingStatement("apart", subject, "lost")]
    if verb and verb.text in _KEEPS and said(main, Kind.BRIGHTNESS) and not said(main, Kind.TONE):
        return [ThingStatement("beside rgb", subject, "same", denied=denied)]
    distinct = bool(words & STANDS_OUT) or bool(words & _APART) and "out" in words
    shown = _shown_as(main)
    if shown and not denied and (distinct or words & SEEN):
        return [ThingStatement("tone", subject, tone_name(shown))]
    if words & _LESS and distinct:
        return [ThingStatement("apart", subject, "less")]
    if words & FADES or words & _LESS and words & _APART:
        weaker = bool(words & LESSENED) and not words & {"lost", "gone", "invisible"}
        lost = ThingStatement("apart", subject, "seen" if denied else "less" if weaker else "lost")
        into = None if denied else _melts_into(main)
        return [lost, ThingStatement("tone", subject, tone_name(into))] if into else [lost]
    if not distinct:
        return None
    if said(main, Kind.COMPARED_AMOUNT) or words & _MORE:
        return [ThingStatement("apart", subject, "more")]
    return [ThingStatement("apart", subject, "lost" if denied else "seen")]


def _shown_as(main: Sequence[Token]) -> float | None:
    """The tone of what it stands out as: `as a crisp black line`; None where no tone is said."""
    start = next((i for i, token in enumerate(main) if token.text == "as"), len(main))
    until = next((i for i, t in enumerate(main) if i > start and t.text in PREPOSITIONS), len(main))
    tones = [tone for tone in values(main[start:until], Kind.TONE) if tone]
    return tones[0] if tones and has_noun(main[start:until]) else None


def _melts_into(main: Sequence[Token]) -> float | None:
    """The tone that it is lost in: `into black`, `into a large black field`; None where no tone is said."""
    start = next((i for i, token in enumerate(main) if token.text == "into"), len(main))
    words = main[start : start + 5]
    tones = [tone for tone in values(words, Kind.TONE) if tone]
    return tones[0] if tones and not mentions(words, ("the",)) else None


def _toned(
    subject: Thing, verb: Token | None, whole: list[Token], main: list[Token], denied: bool
) -> list[ThingStatement] | None:
    """A tone, or that of another thing (`as light as the field`); of a line, its course."""
    degree = next((i for i, token in enumerate(whole) if token.text in DEGREES), -1)
    tones = [token for token in whole if token.kind is Kind.TONE]
    if verb and verb.kind not in _COPULAR:  # hugging the pale field
        tones = [tone for tone in tones if not has_noun(whole[whole.index(tone) + 1 :][:3])]
    if degree >= 0 and tones:
        tail = whole[degree + 1 :]
        again = next((i for i, token in enumerate(tail) if token.text == "as"), -1)
        if again >= 0 and has_noun(tail[again:]) and not said(tail[again:], Kind.VISIBLE):
            return [ThingStatement("than", subject, "same", thing_of(tail[again:]))]
    if subject.looks[:1] == ("line",) and verb and (verb.text in RUNS or verb.text in LIES) and not denied:
        return _course(subject, main)
    if _both_tones(main):
        return []
    if verb and len(tones) > 1 and tones[0] is verb:
        tones = tones[1:]  # shines brilliant white
    ends = [token for token in tones if not _of_other(whole, token)]
    if not ends:
        return None
    both = len(ends) > 1 and said(whole, Kind.TOWARDS)  # dark grey to black: either may be meant
    tone = min(ends, key=lambda token: abs(token.value)) if both else ends[0]
    statements = [ThingStatement("tone", subject, tone_name(tone.value), denied=denied)]
    if degree >= 0 and (said(main, Kind.VISIBLE) or verb and verb.kind is Kind.STAYS):
        statements.append(ThingStatement("beside rgb", subject, "same"))
    return statements


def _course(subject: Thing, main: list[Token]) -> list[ThingStatement]:
    """Where a line runs; one without a tone is told only if it is a border."""
    if not subject.tones and (subject.head not in _EDGES or said(main, Kind.NEGATION)):
        return []
    tone = tone_name(subject.tones[0]) if subject.tones else "any"
    return [ThingStatement("line", replace(subject, places=subject.places + thing_of(main).places), tone)]


def _placed(
    subject: Thing, verb: Token | None, whole: list[Token], main: list[Token], denied: bool
) -> list[ThingStatement] | None:
    """Where it lies, or what it takes up."""
    if not verb or not (verb.text in LIES or verb.text in RUNS or verb.kind in (Kind.MOST, Kind.COPULA)):
        return None
    if denied or not said(main, Kind.PLACE):
        return None
    if verb.text in ("surrounds", "surround", "rings", "encloses", "encircles"):
        other, tones = thing_of(main), subject.tones or (0.0,)
        sign = "darker" if tones[0] > 0 else "brighter"
        return [ThingStatement("than", other, sign, Thing(beside="around"))] if tones[0] and other.head else []
    fills = verb.text in _FILLS or bool(words_in(main[:2]) & _FILLS)
    return [ThingStatement("fills" if fills else "place", subject, ", ".join(thing_of(main).places))]


def _textured(
    subject: Thing, verb: Token | None, whole: list[Token], main: list[Token], denied: bool
) -> list[ThingStatement] | None:
    """Rough or smooth."""
    surface = values(main, Kind.SURFACE)
    if not surface or said(main, Kind.IMAGE):
        return None
    return [ThingStatement("texture", subject, "rough" if (surface[0] > 0) != denied else "smooth")]


def _both_tones(tokens: Sequence[Token]) -> bool:
    """`into a dark and a light half`: neither is the subject's."""
    joint = position(tokens, Kind.AND)
    before, after = tokens[max(0, joint - 2) : max(joint, 0)], tokens[joint + 1 : joint + 3]
    tones = values(before, Kind.TONE), values(after, Kind.TONE)
    return joint > 0 and all(tones) and tones[0][-1] * tones[1][0] < 0 and not has_noun(before)


def _of_other(tokens: Sequence[Token], tone: Token) -> bool:
    """Whether a tone is said of another thing behind a preposition: `a dark band across light ground`."""
    index = next(i for i, token in enumerate(tokens) if token is tone)
    start = max((i for i in range(index) if tokens[i].text in PREPOSITIONS or tokens[i].text in _INTO), default=-1)
    if start >= 0 and tokens[start].text in ("with", "to", "towards", "into"):
        return False
    if start < 0:
        return False
    return has_noun(tokens[index : index + 4])


_INTO = {"follows", "bounds", "borders", "surrounds", "rings"}


def tone_name(tone: float) -> str:
    """`black`, `dark`, `medium`, `bright` or `white`, for a value of `Kind.TONE`."""
    if tone <= BLACK:
        return "black"
    if tone >= WHITE:
        return "white"
    return "dark" if tone <= DARK / 2 else "bright" if tone >= BRIGHT / 2 else "medium"
