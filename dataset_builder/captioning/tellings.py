"""What may be told of a pair, and how: facts of the pair as clauses that a reader and the judge understand."""

import random
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

import dataset_builder.captioning.wordings as wordings
from dataset_builder.captioning.part_names import Name, line_name, line_object, look_name, object_name
from dataset_builder.claims.grounding import CELLS
from dataset_builder.claims.pair_facts import Line, PairFacts, Part
from dataset_builder.claims.pair_statements import Statement, statements_of

BLACK, WHITE = 62.0, 196.0  # mean grey levels of a part that is called so
NEARLY_BLACK = 38.0  # in RGB
BLACK_LINE, WHITE_LINE = 80.0, 185.0
FIRST = 0.84  # rank of what is the brightest part, or 1 minus that of the darkest
FULL_RANK = 0.95  # of the highest mean rank that a part of its size can have: enough for a large one
NEXT = 4.0  # grey levels: what is nearer to the extreme is as extreme
APART = 40.0  # grey levels between two parts that are compared


@dataclass(frozen=True, slots=True)
class Telling:
    """One fact that a caption may tell.

    Attributes:
        kind: Of `WEIGHTS`.
        subjects: The parts or lines that it is about.
        value: The tone or the extreme that is told of the first one.
        salience: How much it strikes the eye, 0 to 1.
        tone: Of a part that is extreme nevertheless: what was dark turns bright and is still the darkest one.
    """

    kind: str
    subjects: tuple[Part | Line, ...]
    value: str
    salience: float
    tone: str = ""

    @property
    def weight(self) -> float:
        """How gladly it is told."""
        return self.salience * WEIGHTS[self.kind]

    @property
    def mask(self) -> np.ndarray:
        """Of its first subject."""
        return self.subjects[0].pixels


# How specific a kind is to its pair, by the share of its claims that another tile's infrared bears out
# (tests/benchmarks/results/caption_specificity.json), times what a reader has of it.
WEIGHTS = {
    "line changes": 1.5,
    "line in infrared only": 1.6,
    "line extreme": 1.5,
    "line in rgb only": 1.0,
    "part extreme": 1.3,
    "part reversed": 1.4,
    "order reversed": 0.4,
    "part extreme tone": 1.0,
    "part lost": 1.0,
    "part gained": 0.7,
    "line in infrared": 1.0,
    "region extreme tone": 0.3,
    "region extreme": 0.7,
    "part tone": 0.1,
    "part against ring": 0.05,
    "region": 0.05,
    "part turns": 1.0,
}
MOST_PART = 0.6  # of the area: what is larger is the image


def tellings_of(pair: PairFacts) -> list[Telling]:
    """All that may be told of a pair, what is told most gladly first."""
    found = [telling for statement in statements_of(pair) for telling in _of(statement, pair)]
    found += orders_of(pair)
    best: dict[tuple, Telling] = {}
    for telling in found:
        key = telling.kind, telling.value, telling.subjects[0].mask
        if key not in best or telling.weight > best[key].weight:
            best[key] = telling
    return sorted(best.values(), key=lambda telling: -telling.weight)


def _of(statement: Statement, pair: PairFacts) -> Iterator[Telling]:
    part, salience = statement.subject, statement.salience
    if part is None:
        return
    if isinstance(part, Line):
        extreme = extreme_of(part, pair)
        if extreme and extreme == {"bright": "brightest", "dark": "darkest"}.get(part.infrared_tone or ""):
            yield Telling("line extreme", (part,), extreme, salience)
        value = statement.value.split(" to ")[-1]
        yield Telling(statement.kind, (part,), value if statement.kind != "line in rgb only" else "lost", salience)
        return
    if part.share > MOST_PART:
        return
    tone = extreme_tone(part)
    extreme = extreme_of(part, pair)
    size = min(1.0, (part.share / 0.15) ** 0.5)
    plain = part.infrared.tone if part.infrared.tone in ("bright", "dark") else None
    if part.image == "infrared":
        if extreme and part.rgb.tone in ("dark", "bright"):
            yield Telling("part extreme", (part,), extreme, salience)
        name = "bright" if part.tone == "pale" else "dark"
        if extreme:
            yield Telling("region extreme", (part,), extreme, salience)
        yield Telling("region extreme tone" if tone else "region", (part,), tone or name, salience)
        return
    if extreme and statement.kind in ("part against ring", "part among tones"):
        yield Telling("part extreme", (part,), extreme, max(salience, 0.4 * size))
    reversal = statement.kind in ("part changes", "part changes tone") and statement.value == "reversed"
    if reversal and plain and part.rgb.tone not in (plain, None):
        yield Telling("part reversed", (part,), tone or plain, salience)
    if statement.kind == "part changes" and statement.value == "lost" or statement.kind == "part in rgb only":
        yield Telling("part lost", (part,), "lost", salience)
    if statement.kind == "part changes" and statement.value == "gained":
        yield Telling("part gained", (part,), "gained", salience)
    if statement.kind == "part among tones" and plain:
        yield Telling("part extreme tone" if tone else "part tone", (part,), tone or plain, salience)
    if statement.kind == "part against ring":
        yield Telling("part against ring", (part,), part.infrared.against, salience)


def extreme_tone(part: Part) -> str | None:
    """`black`, `white` or neither."""
    return "black" if part.infrared.mean <= BLACK else "white" if part.infrared.mean >= WHITE else None


def extreme_of(part: Part | Line, pair: PairFacts) -> str | None:
    """`darkest` or `brightest` where no other part or region is more so."""
    mine = part.pixels
    peers = ((peer.infrared.mean, peer.pixels) for peer in (*pair.parts, *pair.regions))
    others = [mean for mean, pixels in peers if (pixels & mine).sum() < pixels.sum() / 2]
    share = part.share if isinstance(part, Part) and part.share <= MOST_PART else 0.0
    least = min(FIRST, FULL_RANK * (1 - share / 2))
    if part.infrared.rank >= least and part.infrared.mean + NEXT >= max(others, default=0.0):
        return "brightest"
    if part.infrared.rank <= 1 - least and part.infrared.mean - NEXT <= min(others, default=255.0):
        return "darkest"
    return None


def orders_of(pair: PairFacts) -> Iterator[Telling]:
    """Two parts of which the other one is the brighter in the infrared."""
    parts = [part for part in pair.parts if part.share <= MOST_PART]
    for index, one in enumerate(parts):
        for other in parts[index + 1 :]:
            here, there = one.infrared.mean - other.infrared.mean, one.rgb.mean - other.rgb.mean
            if here * there >= 0 or abs(here) < APART or abs(there) < APART / 2 or one.place == other.place:
                continue
            salience = min(1.0, abs(here) / 120) * min(1.0, (min(one.share, other.share) / 0.1) ** 0.5)
            yield Telling("order reversed", (one, other) if here > 0 else (other, one), "brighter", salience)


def sentence(
    telling: Telling, row: Mapping[str, Any], image: str, draw: random.Random
) -> tuple[str, tuple[Name, ...]]:
    """One drawn wording of a fact, as a sentence, with the names that it gives its subjects."""
    subject = telling.subjects[0]
    if isinstance(subject, Line):
        return _of_line(telling, subject, row, draw)
    if subject.image == "infrared" and telling.kind != "part extreme":
        return _of_region(telling, subject, image, draw)
    name = _name(subject, row, draw)
    if telling.kind == "order reversed":
        other = _name(telling.subjects[1], row, draw)
        one, two = _phrase(name, subject, draw), _phrase(other, telling.subjects[1], draw)
        text = draw.choice(wordings.SWAPS).format(one=one, other=two) if draw.random() < 0.5 else (
            f"{one} {_verb(draw.choice(wordings.COMPARED), name, comp='brighter', other=two)}")  # fmt: skip
        return _finished(text), (name, other)
    text = _of_part(telling, subject, name, image, draw)
    return _finished(text), (name,)


def _name(part: Part, row: Mapping[str, Any], draw: random.Random) -> Name:
    return (object_name(part, row, draw) if part.image == "rgb" else None) or look_name(part, draw)


def _of_part(telling: Telling, part: Part, name: Name, image: str, draw: random.Random) -> str:
    kind, value = telling.kind, telling.value
    if kind == "part extreme":
        kept = (part.rgb.tone, value) in (("dark", "darkest"), ("bright", "brightest"))
        said, tone = _extreme(value, kept, image, draw), extreme_tone(part)
        if telling.tone or tone and draw.random() < 0.15:
            link = "but" if telling.tone else "and"
            said = f"{draw.choice(wordings.TONES[telling.tone or tone])} {link} {said}"
        said = _verb(said, name)
    elif kind in ("part reversed", "part extreme tone", "part tone", "part turns"):
        kept = part.rgb.tone == value != "medium"
        forms = wordings.LIFTED if value == "dark grey" else wordings.TONES[value]
        said = _verb(f"{draw.choice(wordings.STAYING)} {value}" if kept else draw.choice(forms), name)
    elif kind == "part lost":
        said = _verb(draw.choice(wordings.LOST), name)
    elif kind == "part gained":
        said = _verb(draw.choice(wordings.GAINED), name)
    else:
        said = _verb(draw.choice(wordings.RINGS), name, comp=value)
    contrasted = kind in ("part reversed", "part lost", "part turns") or part.image == "infrared"
    return _placed(name, part, said, contrasted, draw)


def _extreme(value: str, kept: bool, image: str, draw: random.Random) -> str:
    """`is darker than everything else`, `turns out to be the brightest part of the scene`; verbs not agreeing yet."""
    if draw.random() < 0.45:
        verb = draw.choice(wordings.STAYING if kept and draw.random() < 0.5 else wordings.VERBS)
        return f"{verb} {'darker' if value == 'darkest' else 'brighter'} than {draw.choice(wordings.ALL_ELSE)}"
    verb = draw.choice(wordings.STAYING_AS if kept and draw.random() < 0.5 else wordings.NOUN_VERBS)
    of_all = draw.choice(wordings.OF_ALL).replace("{image}", image)
    return f"{verb} the {value} {draw.choice(wordings.EXTREME_NOUNS)}{of_all}"


def _placed(name: Name, part: Part, said: str, contrasted: bool, draw: random.Random) -> str:
    """Noun phrase, place and predicate in one of several orders; the look in the visible image where it counts."""
    place = draw.choice(wordings.PLACES[part.place])
    look = {"dark": "dark", "bright": "bright", "medium": "grey"}.get(part.rgb.tone or "", "")
    if part.rgb.mean <= NEARLY_BLACK and part.tone == "dark":
        look = draw.choice(wordings.NEARLY_BLACK)
    plain = f"the {name.look} {name.noun}" if name.look else f"the {name.noun}"
    if contrasted and look and (name.match or not name.look or draw.random() < 0.6):
        frame, words = draw.choice(wordings.CONTRASTED), {"look": look, "seen": draw.choice(wordings.SEEN)}
        return _verb(frame, name, noun=f"the {name.noun}", bare=name.noun, place=place, said=said, **words)
    if draw.random() < 0.3:
        return f"{place}, {plain} {said}"
    return f"{plain} {place} {said}"


def _phrase(name: Name, part: Part, draw: random.Random) -> str:
    plain = f"the {name.look} {name.noun}" if name.look else f"the {name.noun}"
    return f"{plain} {draw.choice(wordings.PLACES[part.place])}"


def _verb(words: str, name: Name, **more: str) -> str:
    if name.plural:
        forms = {"s": "", "es": "", "is": "are", "pos": "their", "it": "them"}
    else:
        forms = {"s": "s", "es": "es", "is": "is", "pos": "its", "it": "it"}
    return words.format(**forms, **more)


def _of_region(telling: Telling, part: Part, image: str, draw: random.Random) -> tuple[str, tuple[Name, ...]]:
    name, place = look_name(part, draw), draw.choice(wordings.PLACES[part.place])
    if telling.kind == "region extreme":
        text = draw.choice(wordings.REGION_EXTREMES).format(
            sup=telling.value, place=place, noun=name.noun, image=image
        )
    else:
        a = draw.choice(("a", "a", "one"))
        text = draw.choice(wordings.REGIONS).format(a=a, tone=telling.value, noun=name.noun, place=place)
    return _finished(text), (name,)


def _of_line(
    telling: Telling, line: Line, row: Mapping[str, Any], draw: random.Random
) -> tuple[str, tuple[Name, ...]]:
    name = line_object(line, row, draw) or line_name(draw)
    place = draw.choice(wordings.PLACES[line.places[0]])
    if telling.kind == "line changes":
        said = _verb(draw.choice(wordings.LINE_TURNS), name, tone=telling.value)
        before, seen = line.rgb_tone or "", draw.choice(wordings.SEEN)
        text = draw.choice((
            f"the {before} {name.noun} {place} of the visible image {said}",
            f"the {name.noun} {place} that is {before} {seen} {said}",
            f"the {name.noun} {place}, {before} {seen}, {said}",
            f"{place}, the {name.noun} that is {before} {seen} {said}",
        ))  # fmt: skip
    elif telling.kind == "line in rgb only":
        said = _verb(draw.choice(wordings.LOST), name)
        text = draw.choice((
            f"the {line.rgb_tone} {name.noun} {place} of the visible image {said}",
            f"the {name.noun} that is {line.rgb_tone} {draw.choice(wordings.SEEN)} {place} {said}",
            f"{place}, the {line.rgb_tone} {name.noun} of the visible image {said}",
        ))  # fmt: skip
    else:
        text = _drawn_line(telling, line, name, place, draw)
    return _finished(text), (name,)


def _drawn_line(telling: Telling, line: Line, name: Name, place: str, draw: random.Random) -> str:
    tone = line.infrared_tone or ""
    mean = line.infrared.mean
    if tone == "dark" and mean <= BLACK_LINE or tone == "bright" and mean >= WHITE_LINE:
        tone = "black" if tone == "dark" else "white"
    thin = draw.choice(("thin", "narrow", "fine", "")) if line.width < 0.06 else draw.choice(("broad", "wide", ""))
    start, end = cell_of(line.start), cell_of(line.end)
    if telling.kind == "line extreme":
        said = _verb(_extreme(telling.value, False, "image", draw), name)
        where = f"from {draw.choice(wordings.POINTS[start])} to {draw.choice(wordings.POINTS[end])}"
        return f"the {thin} {tone} {name.noun} {where if start != end else place} {said}"
    absent = draw.choice(wordings.ABSENT) if telling.kind == "line in infrared only" else ""
    if start != end and line.length > 0.45:
        course = "winding" if line.course == "winding" else "straight"
        course = draw.choice(wordings.RUNS[course]).format(
            start=draw.choice(wordings.POINTS[start]), end=draw.choice(wordings.POINTS[end])
        )
    else:
        course = draw.choice(wordings.RUNS["place"]).format(place=place)
    return f"a {thin} {tone} {name.noun} {course}{absent}"


def cell_of(point: tuple[float, float]) -> str:
    """The cell of `CELLS` that a position lies in."""
    row, column = (min(2, int(3 * value)) for value in point)
    return CELLS[3 * row + column]


def _finished(text: str) -> str:
    text = " ".join(text.split())
    return f"{text[0].upper()}{text[1:]}."


def overlaps(telling: Telling, told: Sequence[Telling]) -> bool:
    """Whether its subject, or most of it, was told before, or that something else is the brightest."""
    mine = telling.mask
    for other in told:
        if telling.value == other.value and telling.value in ("brightest", "darkest"):
            return True
        if telling.kind == other.kind == "order reversed":
            return True
        both = (mine & other.mask).sum()
        if isinstance(telling.subjects[0], Line) != isinstance(other.subjects[0], Line):
            continue
        if both >= 0.5 * min(mine.sum(), other.mask.sum()):
            return True
    return False
