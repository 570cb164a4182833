"""What may be claimed of a pair, by kind, and whether another pair bears the same claim out.

Standard library only: a metric's release copies the whole folder.

A statement names its subject as a caption does: a part by look and place, a line by tone, course and place. So it may
be asked of any other pair which of its parts and lines fit that description, and what they do there.
"""

from collections.abc import Iterator
from dataclasses import dataclass

from .pair_facts import Line, PairFacts, Part, Standing
from .pair_floors import (
    CLAIM_AUC,
    CLAIM_LENGTH,
    CLAIM_LEVEL_AUC,
    CLAIM_LEVEL_STEP,
    CLAIM_LINE,
    CLAIM_RANKS,
    CLAIM_SHARE,
    CLAIM_STEP,
    CLAIM_STRENGTH,
    FEW_SHARED,
    LEAST_EDGES,
    MANY_SHARED,
)

# From the most to the least specific to a pair, by the share of statements that another tile's infrared bears out, as
# tests/benchmarks/results/pair_facts.json has it; edges are specific, too, but say little.
KINDS = (
    "line changes",
    "line in infrared only",
    "line in rgb only",
    "part in infrared only",
    "part against ring",
    "part changes",
    "region in infrared",
    "part among tones",
    "line in infrared",
    "edges",
    "part in rgb only",
    "part changes tone",
)
_NEAR = 0.2  # of a side: centres of parts that may be the same
_ALIKE = 2.5  # ratio of the areas of parts that may be the same


@dataclass(frozen=True, slots=True)
class Statement:
    """One thing that may be claimed.

    Attributes:
        kind: Of `KINDS`.
        subject: What it is about; None: the pair as a whole.
        value: What is claimed of it: `reversed`, `brighter`, `bright`, `many shared`.
        salience: How much it strikes the eye, 0 to 1: steps and sizes, not how specific its kind is.
    """

    kind: str
    subject: Part | Line | None
    value: str
    salience: float


def statements_of(facts: PairFacts) -> tuple[Statement, ...]:
    """All that may be claimed of a pair, kind by kind in the order of `KINDS`, the most salient first."""
    claims = [*_of_lines(facts), *_of_parts(facts), *_of_regions(facts), *_of_edges(facts)]
    return tuple(sorted(claims, key=lambda claim: (KINDS.index(claim.kind), -claim.salience)))


def _of_lines(facts: PairFacts) -> Iterator[Statement]:
    for line in facts.lines:
        if line.length < CLAIM_LENGTH or line.strength < CLAIM_STRENGTH:
            continue
        salience = min(1.0, line.strength / 60 * line.length**0.5)
        seen = _plain_tone(line.rgb_tone, line.rgb), _plain_tone(line.infrared_tone, line.infrared)
        if line.only and (value := seen[line.only == "infrared"]):
            yield Statement(f"line in {line.only} only", line, value, salience)
        elif set(seen) == {"bright", "dark"}:
            yield Statement("line changes", line, f"{seen[0]} to {seen[1]}", salience)
        if seen[1]:
            yield Statement("line in infrared", line, seen[1], salience)


def _plain_tone(tone: str | None, standing: Standing) -> str | None:
    """`bright` or `dark` where a line plainly is; None otherwise."""
    auc = standing.auc if tone == "bright" else 1 - standing.auc if tone == "dark" else 0.0
    return tone if auc >= CLAIM_LINE else None


def _of_parts(facts: PairFacts) -> Iterator[Statement]:
    for part in facts.parts:
        if part.share < CLAIM_SHARE:
            continue
        size = min(1.0, (part.share / 0.15) ** 0.5)
        salience = size * min(1.0, max(abs(part.infrared.step), abs(part.infrared.step - part.rgb.step)) / 80)
        if part.only and _is_plain(part.rgb) and _is_level(part.infrared):
            yield Statement("part in rgb only", part, "absent", size * min(1.0, abs(part.rgb.step) / 80))
        if _is_plain(part.infrared):
            yield Statement("part against ring", part, part.infrared.against, salience)
        if _is_plain_tone(part.infrared):
            yield Statement("part among tones", part, part.infrared.tone, salience)
        change = part.change
        if change.ring in _CHANGED and all(_is_plain(s) or _is_level(s) for s in (part.rgb, part.infrared)):
            yield Statement("part changes", part, change.ring, salience)
        if change.tone in _CHANGED and all(_is_plain_tone(s) or s.tone == "medium" for s in (part.rgb, part.infrared)):
            yield Statement("part changes tone", part, change.tone, salience)


_CHANGED = ("lost", "gained", "reversed")


def _is_plain(standing: Standing) -> bool:
    auc = standing.auc if standing.against == "brighter" else 1 - standing.auc
    return standing.against in ("brighter", "darker") and auc >= CLAIM_AUC and abs(standing.step) >= CLAIM_STEP


def _is_level(standing: Standing) -> bool:
    return CLAIM_LEVEL_AUC[0] <= standing.auc <= CLAIM_LEVEL_AUC[1] and abs(standing.step) <= CLAIM_LEVEL_STEP


def _is_plain_tone(standing: Standing) -> bool:
    return standing.tone in ("dark", "bright") and not CLAIM_RANKS[0] < standing.rank < CLAIM_RANKS[1]


def _of_regions(facts: PairFacts) -> Iterator[Statement]:
    for region in facts.regions:
        if region.share < CLAIM_SHARE or not _is_plain(region.infrared):
            continue
        salience = min(1.0, (region.share / 0.15) ** 0.5) * min(1.0, abs(region.infrared.step) / 80)
        yield Statement("region in infrared", region, region.tone, salience)
        if region.only and _is_level(region.rgb):
            yield Statement("part in infrared only", region, region.tone, salience)


def _of_edges(facts: PairFacts) -> Iterator[Statement]:
    value = edges_value(facts)
    if value:
        yield Statement("edges", None, value, 0.3)


def edges_value(facts: PairFacts) -> str | None:
    """`many shared` or `few shared` of the infrared's edges with the RGB's, beyond what chance would give."""
    edges = facts.edges
    if min(edges.rgb_share, edges.infrared_share) < LEAST_EDGES:
        return None
    beyond = (edges.infrared_shared - edges.infrared_chance) / max(1 - edges.infrared_chance, 0.05)
    if edges.infrared_shared >= MANY_SHARED[0] and beyond >= MANY_SHARED[1]:
        return "many shared"
    return "few shared" if edges.infrared_shared <= FEW_SHARED[0] and beyond <= FEW_SHARED[1] else None


def verdict(statement: Statement, facts: PairFacts) -> str:
    """Whether facts bear a statement out.

    Returns:
        `supported` where something that fits the description is as claimed; `contradicted` where what fits plainly is
        not, or where what is claimed to be there is not; `unverifiable` where nothing fits the subject, or noise could
        decide.
    """
    values = _values(statement, facts)
    if statement.value in values:
        return "supported"
    if not values or None in values:
        return "unverifiable"
    return "contradicted"


def _values(statement: Statement, facts: PairFacts) -> set[str | None]:
    """What whatever fits the subject is, in the terms of the statement's value; empty where nothing fits."""
    kind, subject = statement.kind, statement.subject
    if subject is None:
        value = edges_value(facts)
        return {value}
    if isinstance(subject, Line):
        return _line_values(kind, subject, facts)
    if kind in ("region in infrared", "part in infrared only"):
        fitting = [region for region in facts.regions if fits(subject, region)]
        if kind == "part in infrared only":
            return {region.tone if region.only else None for region in fitting} or {"absent"}
        return {region.tone for region in fitting} or {"absent"}
    fitting = [part for part in facts.parts if fits(subject, part)]
    if kind == "part in rgb only":
        return {"absent" if part.only else part.infrared.against for part in fitting}
    if kind == "part against ring":
        return {part.infrared.against for part in fitting}
    if kind == "part among tones":
        return {part.infrared.tone for part in fitting}
    return {part.change.ring if kind == "part changes" else part.change.tone for part in fitting}


def _line_values(kind: str, subject: Line, facts: PairFacts) -> set[str | None]:
    image = "rgb" if kind == "line in rgb only" else "infrared"
    if kind == "line changes":
        fitting = [line for line in facts.lines if _alongside(subject, line) and line.rgb_tone == subject.rgb_tone]
        return {f"{line.rgb_tone} to {line.infrared_tone}" if line.infrared_tone else None for line in fitting}
    fitting = [line for line in facts.lines if _alongside(subject, line) and _tone_in(image, line) != "absent"]
    if kind == "line in infrared":
        return {line.infrared_tone for line in fitting} or {"absent"}
    return {
        (_tone_in(image, line) if line.only == image else "seen in both" if line.image == "both" else None)
        for line in fitting
    } or {"absent"}


def fits(subject: Part, part: Part) -> bool:
    """Whether a part answers to the description of another: of one hue or tone, much the same place and size."""
    if {subject.tone, part.tone} == {"dark", "pale"}:
        return False
    hues, extreme = {subject.hue, part.hue}, subject.tone == part.tone != "medium"
    if len(hues) > 1 and not ("neutral" in hues and extreme):  # what is nearly black or white hardly has a hue
        return False
    if hues == {"neutral"} and subject.tone != part.tone:
        return False
    apart = max(abs(a - b) for a, b in zip(subject.centre, part.centre, strict=True))
    near = subject.place == part.place or apart <= _NEAR
    return near and 1 / _ALIKE <= subject.share / part.share <= _ALIKE


def _tone_in(image: str, line: Line) -> str | None:
    return line.rgb_tone if image == "rgb" else line.infrared_tone


def _alongside(subject: Line, line: Line) -> bool:
    """Whether a line answers to the description of another: of much the same course, through the same cells."""
    turned = abs(subject.angle - line.angle)
    course = "winding" in (subject.course, line.course) or min(turned, 180 - turned) <= 25
    return course and subject.places[0] in line.places[:2]
