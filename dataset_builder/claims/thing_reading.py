"""Reads what a sentence says of things: subject, property, place and comparison, clause by clause.

Standard library only: a metric's release copies the whole folder. A sentence is parted into clauses; a clause is a
noun phrase, a verb and a predicate, and what lacks one of them takes it from the clause before.
"""

from collections.abc import Sequence
from dataclasses import dataclass, field, replace

from .kinds import Kind
from .places import read_regions
from .thing_clauses import joined_verbs, main_verb, parted, restored
from .thing_nouns import has_noun, noun_in, thing_of
from .thing_predicates import DEGREES, predicate_of, tone_name
from .things import (
    FILLED,
    HEDGES,
    LIES,
    SWAPS,
    Thing,
    ThingStatement,
)
from .tokens import Statements, Token, begins, mentions, position, said, values, words_in
from .words import words_of

Read = list[tuple[ThingStatement, list[Token]]]
_LEADS = {"which", "that", "where", "who", "with"}
_SEEMING = {"show", "shows", "showing", "displays", "display", "reveals", "reveal", "has", "have", "contains"}
_CONCRETE = words_of("""
    road track street highway path lane shore shoreline hedge hedgerow ditch runway railway trail driveway motorway
    bridge dike dyke levee river stream canal creek coastline strip streak boundary
""")
_LOSES = {"lose", "loses", "lost"}
_GROUND = {"ground", "land", "terrain", "earth", "soil"}


@dataclass(slots=True)
class _State:
    """What the clauses so far were about."""

    subject: Thing | None = None
    other: Thing | None = None  # of the last predicate
    compared: Thing | None = None  # `compared with the field,`
    spoken: bool = False  # whether the subject has had its predicate
    about: bool = False  # whether a thing had a predicate, though nothing may be read
    bare: bool = False  # whether the subject is the infrared image
    read: Read = field(default_factory=list)
    places: Statements = field(default_factory=list)  # about places alone, as `places` reads them


def speaks_of_things(tokens: Sequence[Token]) -> bool:
    """Whether a thing is named, and not only a place, a part of unnamed kind, or the ground as all there is."""
    everywhere = any(token.kind is Kind.MOST and token.text not in LIES for token in tokens)
    everywhere = everywhere and not said(tokens, Kind.COLOUR, Kind.VISIBLE, Kind.THAN)
    return any(
        noun[0] != "any" and (noun[0] != "line" or noun[1] in _CONCRETE) and not (everywhere and noun[1] in _GROUND)
        for noun in map(noun_in, joined_verbs(tokens))
        if noun
    )


@dataclass(frozen=True, slots=True)
class ThingReading:
    """What one sentence says of things.

    Attributes:
        things: Statements, each with its words.
        places: Statements about places beside them.
        about: Whether a thing is its subject, though nothing may be read.
    """

    things: Read
    places: Statements
    about: bool


def read_things(tokens: list[Token]) -> ThingReading:
    """Reads one sentence."""
    state = _State()
    for piece in parted(restored(joined_verbs(tokens))):
        _read_piece(piece, state)
    about = (state.spoken or state.about) and state.subject is not None and state.subject.head != ""
    return ThingReading(state.read, state.places, about)


def _read_piece(piece: list[Token], state: _State) -> None:
    visible, infrared = said(piece, Kind.VISIBLE), said(piece, Kind.INFRARED)
    lead = piece[0].text if piece[0].text in _LEADS else ""
    core = piece[1:] if lead else piece
    if not core:
        return
    if begins(core, Kind.COMPARISON):
        if has_noun(core):
            state.compared = thing_of(core)
            return
        core = core[1:]
    if mentions(piece, ("instead of", "rather than")):
        return
    verb = main_verb(core)
    if said(core, Kind.CONTRAST):
        _read_contrast(core, state)
        return
    if verb < 0:
        _read_fragment(core, lead, visible, state)
        return
    begin = verb
    while begin and (core[begin - 1].kind is Kind.NEGATION or core[begin - 1].text in ("can", "could", "still")):
        begin -= 1
    before, after = core[:begin], [*core[begin:verb], *core[verb + 1 :]]
    if core[verb].text in SWAPS:
        _read_swap(before, piece, state)
        return
    subject = _subject(before, lead, state)
    if subject is None:
        if said(before, Kind.INFRARED, Kind.IMAGE) or lead == "":
            _read_shown(core[verb], before, after, piece, state)
        return
    comparison = _beside_visible(after)
    if visible and not said(before, Kind.VISIBLE) and not infrared and not comparison:
        _absorb(subject, after, lead, state)  # it speaks of the visible image
        state.about = True
        return
    if said(before, Kind.VISIBLE) and not said(before, Kind.INFRARED):
        if not infrared and begins(before, Kind.FUNCTION) and position(before, Kind.VISIBLE) <= 1 and not state.bare:
            _absorb(subject, after, lead, state)  # in RGB it is
            return
        subject = replace(subject, image="rgb")
    none, hedged = said(before, Kind.NEGATION), bool(words_in(piece) & HEDGES)
    for statement in predicate_of(subject, core[verb], after, state.compared):
        if statement.aspect == "tone" and not subject.head and said(before, Kind.PLACE) and not visible:
            state.places += read_regions(piece)
            continue
        if statement.aspect in ("place", "fills") and infrared and not statement.subject.image:
            statement = replace(statement, subject=replace(statement.subject, image="infrared"))
        if infrared and mentions(before, ("a", "an")) and _is_line_that_stands_out(statement):
            statement = ThingStatement("line", replace(subject, image="infrared"), tone_name(subject.tones[0]))
        state.read.append((replace(statement, denied=statement.denied != none, hedged=hedged), piece))
    if has_noun(after):
        state.other = thing_of(after)
    if lead not in ("which", "that", "where") and not none:
        state.subject, state.spoken = subject, True


def _is_line_that_stands_out(statement: ThingStatement) -> bool:
    """`a white road is the most striking line of the infrared`: there is one."""
    line = statement.subject.looks[:1] == ("line",) and statement.subject.tones
    return bool(line) and (statement.aspect, statement.value) == ("apart", "seen")


def _read_contrast(core: list[Token], state: _State) -> None:
    """`the contrast between the sand and the brown ground is weaker in the infrared than in RGB`."""
    between, joint = position(core, Kind.CONTRAST) + 1, position(core, Kind.AND)
    losing = next((i for i, token in enumerate(core) if token.text in _LOSES), -1)
    if losing > 0 and has_noun(core[:losing]):
        one, other = thing_of(core[:losing]), core[between:]
        statement = ThingStatement("contrast", one, "weaker", thing_of(other)) if has_noun(other) else None
        state.read.append((statement or ThingStatement("apart", one, "less"), core))
        return
    if said(core, Kind.VISIBLE) and said(core, Kind.INFRARED) and not mentions(core, ("between",)):
        amount = next((t for t in core if t.kind in (Kind.COMPARED_AMOUNT, Kind.COMPARATIVE)), None)
        if amount is not None and not said(core, Kind.NEGATION) and not said(core, Kind.PLACE) and not has_noun(core):
            sign = "stronger" if float(amount.value) > 0 else "weaker"
            state.read.append((ThingStatement("contrast", Thing(head="image"), sign), core))
        return
    amount = next((t for t in core if t.kind in (Kind.COMPARED_AMOUNT, Kind.COMPARATIVE)), None)
    verb = main_verb(core)
    if not between < joint < verb or core[between].text != "between" or amount is None:
        return
    one, other = core[between + 1 : joint], core[joint + 1 : verb]
    if has_noun(one) and has_noun(other) and (said(core, Kind.VISIBLE) or not said(core, Kind.THAN)):
        sign = "stronger" if float(amount.value) > 0 else "weaker"
        state.read.append((ThingStatement("contrast", thing_of(one), sign, thing_of(other)), core))


def _read_swap(before: list[Token], piece: list[Token], state: _State) -> None:
    """`the woods and the open ground swap brightness`."""
    joint = position(before, Kind.AND)
    if joint > 0 and has_noun(before[:joint]) and has_noun(before[joint:]):
        one, other = thing_of(before[:joint]), thing_of(before[joint + 1 :])
        state.read.append((ThingStatement("swap", one, "swapped", other), piece))
        state.subject, state.compared, state.spoken = one, other, True


def _subject(before: Sequence[Token], lead: str, state: _State) -> Thing | None:
    if lead in ("which", "that", "who") and not has_noun(before):
        return state.other if state.spoken else state.subject
    if has_noun(before) or said(before, Kind.PLACE):
        return thing_of(before)
    if mentions(before, ("rest", "remainder", "infrared", "near infrared")) and not state.bare:
        return None if mentions(before, ("rest", "remainder")) or not state.subject else state.subject
    if mentions(before, ("infrared", "near infrared")) and not state.subject:
        return None
    if said(before, Kind.SUPERLATIVE) and state.subject:  # and the darkest
        return replace(state.subject, top=1 if values(before, Kind.SUPERLATIVE)[0] > 0 else -1)
    return state.subject


def _absorb(subject: Thing, after: Sequence[Token], lead: str, state: _State) -> None:
    """Gives a thing the looks that are said of it in RGB."""
    tones = tuple(values(after, Kind.TONE))
    if not state.spoken or lead == "":
        state.subject = replace(subject, tones=subject.tones + tones, image="rgb")


def _beside_visible(after: Sequence[Token]) -> bool:
    than = position(after, Kind.THAN, Kind.COMPARISON)
    if than >= 0 and said(after[than:], Kind.VISIBLE):
        return not has_noun(after[than + 1 : than + position(after[than:], Kind.VISIBLE)])
    degrees = [index for index, token in enumerate(after) if token.text in DEGREES]
    return bool(degrees) and said(after[degrees[0] :], Kind.VISIBLE)


def _read_fragment(core: list[Token], lead: str, visible: bool, state: _State) -> None:
    """What has no verb: a subject to come, something beside it, or more of the predicate."""
    named = has_noun(core)
    if state.subject is None:
        if named or said(core, Kind.PLACE):
            state.subject = thing_of(core)
            if visible:
                state.subject = replace(state.subject, image="rgb")
        return
    if not state.spoken:
        if said(core, Kind.SUPERLATIVE):
            if visible:
                state.subject = replace(state.subject, image="rgb")
            return
        more = thing_of(core)
        image = "rgb" if visible else state.subject.image
        state.subject = replace(
            state.subject,
            tones=state.subject.tones + more.tones,
            colours=state.subject.colours + more.colours,
            places=state.subject.places or more.places,
            image=image,
        )
        return
    if visible or core[0].text.endswith("ing"):
        return
    if lead == "with":
        _read_with(core, state)
    elif said(core, Kind.THAN) or said(core, Kind.COMPARATIVE) or said(core, Kind.TONE) and not lead:
        state.read += [(said_, core) for said_ in predicate_of(state.subject, None, core, state.compared)]


def _read_with(core: list[Token], state: _State) -> None:
    """`with the woods next to it clearly darker`, `with nothing but open field in the middle`."""
    top = position(core, Kind.COMPARATIVE)
    if top > 0 and has_noun(core[:top]) and state.subject:
        sign = "brighter" if core[top].value > 0 else "darker"
        state.read.append((ThingStatement("than", thing_of(core[:top]), sign, state.subject), core))


def _read_shown(verb: Token, before: Sequence[Token], after: list[Token], piece: list[Token], state: _State) -> None:
    """`infrared shows a broad white stripe across the middle`."""
    agent = next((i for i, token in enumerate(after) if token.text == "by"), -1)
    if agent >= 0 and has_noun(after[agent:]) and words_in([verb, *after[:agent]]) & (FILLED | {"split", "divided"}):
        thing = thing_of(after[agent + 1 :])
        if thing.looks[:1] == ("line",) and thing.tones:
            state.read.append((ThingStatement("line", thing, tone_name(thing.tones[0])), piece))
        return
    if verb.text in _SEEMING and mentions(after, ("no trace of", "no sign of")) and speaks_of_things(after):
        trace = position(after, Kind.NEGATION)
        state.read.append((ThingStatement("apart", thing_of(after[trace + 1 :]), "lost"), piece))
        return
    if verb.text not in _SEEMING or not has_noun(after) or said(after, Kind.NEGATION, Kind.ABSENCE):
        return
    thing = thing_of(after)
    if "line" in thing.looks and thing.tones:
        state.read.append((ThingStatement("line", thing, tone_name(thing.tones[0])), piece))
        state.subject, state.spoken = thing, True
