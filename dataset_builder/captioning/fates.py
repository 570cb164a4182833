"""What becomes of the largest parts of a pair: what people say first when they compare both images."""

from collections.abc import Iterator

from dataset_builder.captioning.tellings import BLACK, NEARLY_BLACK, WHITE, Telling, extreme_of, orders_of
from dataset_builder.claims.pair_facts import PairFacts, Part

LARGE, LEAST_LARGE = 0.3, 0.07  # of the area: what strikes as much as any larger part; what is no small one
STRIKING = 0.3  # least of `strikes` for a part whose fate is told
FULL_CHANGE, GLARE = 90.0, 0.6  # grey levels; how much black and white strike without any change
DARK, BRIGHT = 105.0, 150.0  # mean grey levels of a part that is dark or bright as a whole
DARK_RANK, DARK_BESIDE = 0.3, 135.0  # or: mean rank and level, where the rest is brighter
BRIGHT_RANK, BRIGHT_BESIDE = 0.7, 120.0
LIFT = 12.0  # grey levels above black of what was nearly black and is dark grey
KEPT = {"dark": "dark", "medium": "medium", "pale": "bright"}  # tones that change nothing, by the part's in RGB
AGAINST = {"darkest": ("dark", {"medium", "bright", "white"}), "brightest": ("pale", {"medium", "dark", "black"})}


def fates_of(pair: PairFacts) -> list[list[Telling]]:
    """For each part whose fate strikes, the most striking first, what may be told of it, the most particular first."""
    parts = [part for part in pair.parts if part.share >= LEAST_LARGE and strikes(part) >= STRIKING]
    parts.sort(key=lambda part: -strikes(part))
    return [list(_of(part, pair)) for part in parts]


def strikes(part: Part) -> float:
    """How much a part and what becomes of it strike the eye, 0 to 1."""
    change = min(1.0, abs(part.infrared.mean - part.rgb.mean) / FULL_CHANGE)
    glare = GLARE if fate(part) in ("black", "white") else 0.0
    return min(1.0, (part.share / LARGE) ** 0.5) * max(change, glare)


def fate(part: Part) -> str:
    """Tone of a part in the infrared: by its mean, or beside the rest of the image where it is not clear of medium."""
    mean, rank = part.infrared.mean, part.infrared.rank
    if mean <= BLACK or mean >= WHITE:
        return "black" if mean <= BLACK else "white"
    if mean <= DARK or rank <= DARK_RANK and mean <= DARK_BESIDE:
        return "dark"
    return "bright" if mean >= BRIGHT or rank >= BRIGHT_RANK and mean >= BRIGHT_BESIDE else "medium"


def _of(part: Part, pair: PairFacts) -> Iterator[Telling]:
    salience, tone = strikes(part), fate(part)
    if extreme := extreme_of(part, pair):
        before, after = AGAINST[extreme]
        nevertheless = tone if part.tone == before and tone in after else ""
        yield Telling("part extreme", (part,), extreme, salience, nevertheless)
    for telling in orders_of(pair):
        if part in telling.subjects and min(peer.share for peer in telling.subjects) >= LEAST_LARGE:
            yield telling
    if KEPT[part.tone] != tone and part.rgb.tone != tone:
        yield Telling("part turns", (part,), tone, salience)
    elif part.rgb.mean <= NEARLY_BLACK and part.infrared.mean >= BLACK + LIFT:
        yield Telling("part turns", (part,), "dark grey", salience)
