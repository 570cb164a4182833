"""Reads what a sentence says of things: subject, property, place and comparison, clause by clause.

Standard library only: a metric's release copies the whole folder. A sentence is parted into clauses; a clause is a
noun phrase, a verb and a predicate, and what lacks one of them takes it from the clause before.
"""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field, replace

from .kinds import BLACK, BRIGHT, DARK, WHITE, Kind
from .thing_clauses import joined_verbs, main_verb, parted
from .thing_nouns import PREPOSITIONS, has_noun, noun_in, thing_of
from .places import read_regions
from .things import (
    FADES,
    FILLED,
    HEDGES,
    LESSENED,
    LIES,
    PARTS,
    RUNS,
    SEEN,
    STANDS_OUT,
    SURROUNDINGS,
    SWAPS,
    Thing,
    ThingStatement,
)
from .tokens import Statements, Token, begins, has, mentions, position, said, values, words_in
from .words import words_of

Read = list[tuple[ThingStatement, list[Token]]]
_LEADS = {"which", "that", "where", "who", "with"}
_SEEMING = {"show", "shows", "showing", "displays", "display", "reveals", "reveal", "has", "have", "contains"}
_DEGREES = {"as", "just as", "every bit as", "equally", "no less"}
_LESS = {"less", "weaker", "fainter", "softer", "lower", "smaller", "more subdued", "more muted", "duller"}
_MORE = {"more", "stronger", "sharper", "higher", "greater", "clearer", "crisper", "bolder"}
_APART = {"stand", "stands", "standing", "stood"}
_FILLS = words_of("fill fills filling covers cover covering occupies occupy take takes taken occupied")
_CONCRETE = words_of("""
    road track street highway path lane shore shoreline hedge hedgerow ditch runway railway trail driveway motorway
    bridge dike dyke levee river stream canal creek coastline strip streak boundary
""")
_COPULAR = (Kind.COPULA, Kind.BECOMES, Kind.STAYS, Kind.TONE, Kind.CHANGE, Kind.TONE_CHANGE)
_KEEPS = {"keeps", "keep", "kept", "retains", "retain", "preserves", "preserve"}
_LOSES = {"lose", "loses", "loses", "lost"}
_GROUND = {"ground", "land", "terrain", "earth", "soil"}
_EDGES = {"boundary", "border", "edge", "outline", "line"}
_REST = {"rest", "everything", "anything", "nothing", "else", "other", "others"}


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
    for piece in parted(joined_verbs(tokens)):
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
    for statement in _predicate(subject, core[verb], after, state):
        if statement.aspect == "tone" and not subject.head and said(before, Kind.PLACE) and not visible:
            state.places += read_regions(piece)
            continue
        if statement.aspect in ("place", "fills") and infrared and not statement.subject.image:
            statement = replace(statement, subject=replace(statement.subject, image="infrared"))
        state.read.append((replace(statement, denied=statement.denied != none, hedged=hedged), piece))
    if has_noun(after):
        state.other = thing_of(after)
    if lead not in ("which", "that", "where") and not none:
        state.subject, state.spoken = subject, True


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
    if mentions(before, ("infrared", "near infrared")) and not state.subject:
        return None
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
    degrees = [index for index, token in enumerate(after) if token.text in _DEGREES]
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
        state.read += [(said_, core) for said_ in _predicate(state.subject, None, core, state)]


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
            state.read.append((ThingStatement("line", thing, _tone_name(thing.tones[0])), piece))
        return
    if verb.text not in _SEEMING or not has_noun(after) or said(after, Kind.NEGATION, Kind.ABSENCE):
        return
    thing = thing_of(after)
    if "line" in thing.looks and thing.tones:
        state.read.append((ThingStatement("line", thing, _tone_name(thing.tones[0])), piece))
        state.subject, state.spoken = thing, True


def _predicate(subject: Thing, verb: Token | None, after: list[Token], state: _State) -> Iterator[ThingStatement]:
    """What is said of a thing."""
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
        yield from _compared(subject, compared[0], main, rest, state)
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
    yield from _state_of(subject, verb, whole, main, rest, denied, state)


def _is_participle(before: Sequence[Token]) -> bool:
    """Whether what stands before `by` is passive: `cut`, `taken up`, `outlined`."""
    words = words_in(before[-2:])
    return not words or bool(words & FILLED) or any(word.endswith(("ed", "en")) for word in words)


def _by_other(subject: Thing, other: Thing, verb: Sequence[Token]) -> Iterator[ThingStatement]:
    """`taken up by dark woods`, `cut by a light strip`: the tone is the other thing's."""
    if words_in(verb) & FILLED and subject.places and not other.looks[:1] == ("line",):
        yield ThingStatement("fills", other, ", ".join(subject.places))
    elif other.looks[:1] == ("line",) and other.tones:
        yield ThingStatement("line", replace(other, places=other.places or subject.places), _tone_name(other.tones[0]))


def _compared(
    subject: Thing, top: Token, main: list[Token], rest: list[Token], state: _State
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
    elif not rest and state.compared:
        yield ThingStatement("than", subject, sign, state.compared)
    elif not rest:
        yield ThingStatement("beside rgb" if subject.image == "rgb" else "lighter", subject, sign)


def _also_toned(subject: Thing, whole: list[Token], main: list[Token]) -> Iterator[ThingStatement]:
    """A tone beside a comparison: `gets darker still and ends up black`."""
    tones = values(whole, Kind.TONE)
    if tones and not said(main, Kind.VISIBLE):
        yield ThingStatement("tone", subject, _tone_name(tones[-1]))


def _state_of(
    subject: Thing,
    verb: Token | None,
    whole: list[Token],
    main: list[Token],
    rest: list[Token],
    denied: bool,
    state: _State,
) -> Iterator[ThingStatement]:
    """A tone, a texture, a place, or whether it stands out."""
    words = words_in([token for token in whole if token.kind is not Kind.VISIBLE])
    if words & SEEN and not said(main, Kind.TONE):
        hardly = denied or has(whole, Kind.AMOUNT, -2)
        if hardly or said(whole, Kind.STAYS) or "can" in words:
            yield ThingStatement("apart", subject, "lost" if hardly else "seen")
        return
    if words & SURROUNDINGS and (said(main, Kind.LIKENESS, Kind.DISTANCE) or "same" in words) and not denied:
        yield ThingStatement("apart", subject, "lost")
        return
    if verb and verb.text in _KEEPS and said(main, Kind.BRIGHTNESS) and not said(main, Kind.TONE):
        yield ThingStatement("beside rgb", subject, "same", denied=denied)
        return
    fades = bool(words & FADES) or bool(words & _LESS) and bool(words & (STANDS_OUT | _APART))
    distinct = bool(words & STANDS_OUT) or bool(words & _APART) and "out" in words
    if fades or distinct:
        if words & _LESS and distinct:
            yield ThingStatement("apart", subject, "less")
        elif fades:
            weaker = bool(words & LESSENED) and not words & {"lost", "gone", "invisible"}
            yield ThingStatement("apart", subject, "seen" if denied else "less" if weaker else "lost")
        elif said(main, Kind.COMPARED_AMOUNT) or words & _MORE:
            yield ThingStatement("apart", subject, "more")
        else:
            yield ThingStatement("apart", subject, "lost" if denied else "seen")
        return
    degree = next((i for i, token in enumerate(whole) if token.text in _DEGREES), -1)
    tones = [token for token in whole if token.kind is Kind.TONE]
    if verb and verb.kind not in _COPULAR:  # hugging the pale field
        tones = [tone for tone in tones if not has_noun(whole[whole.index(tone) + 1 :][:3])]
    if degree >= 0 and tones:
        tail = whole[degree + 1 :]
        again = next((i for i, token in enumerate(tail) if token.text == "as"), -1)
        if again >= 0 and has_noun(tail[again:]) and not said(tail[again:], Kind.VISIBLE):
            yield ThingStatement("than", subject, "same", thing_of(tail[again:]))
            return
    if subject.looks[:1] == ("line",) and verb and (verb.text in RUNS or verb.text in LIES) and not denied:
        yield from _line_statement(subject, main)
        return
    if _both_tones(main):
        return
    if tones:
        if verb and tones[0] is verb and len(tones) > 1:
            tones = tones[1:]  # shines brilliant white
        head = next((token for token in tones if not _of_other(whole, token)), None)
        if head is not None:
            value = _tone_name(head.value)
            ends = [token for token in tones if not _of_other(whole, token)]
            if degree >= 0 and (said(main, Kind.VISIBLE) or verb and verb.kind is Kind.STAYS):
                yield ThingStatement("beside rgb", subject, "same")
            if len(ends) > 1 and said(whole, Kind.TOWARDS):
                mild = min(ends, key=lambda token: abs(token.value))
                value = _tone_name(mild.value)
            yield ThingStatement("tone", subject, value, denied=denied)
            return
    if verb and (verb.text in LIES or verb.text in RUNS or verb.kind is Kind.MOST or verb.kind is Kind.COPULA):
        places = [str(token.value) for token in main if token.kind is Kind.PLACE]
        if places and not denied:
            fills = verb.text in _FILLS or bool(words_in(main[:2]) & _FILLS)
            where = ", ".join(thing_of(main).places)
            yield ThingStatement("fills" if fills else "place", subject, where)
            return
    surface = values(main, Kind.SURFACE) or values(main, Kind.DETAIL)
    if surface and not said(main, Kind.IMAGE):
        rough = (surface[0] > 0) != denied
        yield ThingStatement("texture", subject, "rough" if rough else "smooth")


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


def _line_statement(subject: Thing, main: list[Token]) -> Iterator[ThingStatement]:
    places = thing_of(main).places
    tone = _tone_name(subject.tones[0]) if subject.tones else "any"
    if subject.head in _EDGES and not subject.tones and said(main, Kind.NEGATION):
        return
    if tone == "any" and subject.head not in _EDGES:
        return
    yield ThingStatement("line", replace(subject, places=subject.places + places), tone)


def _tone_name(tone: float) -> str:
    if tone <= BLACK:
        return "black"
    if tone >= WHITE:
        return "white"
    return "dark" if tone <= DARK / 2 else "bright" if tone >= BRIGHT / 2 else "medium"
