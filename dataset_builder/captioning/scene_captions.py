"""Scene captions by rule: measured facts of what covers a tile, put into plain English.

Apart from `captioning.py`, which writes about the infrared image itself. The words are a function of `SceneFacts` and
the sample's id alone, so that they can be written again from what is recorded.
"""

import random
from collections.abc import Callable, Sequence

from dataset_builder.captioning.scene_facts import CoverFacts, SceneFacts
from dataset_builder.schema import stable_seed

SIDES = ("north", "west", "east", "south")
CORNERS = ("north-west", "north-east", "south-west", "south-east")
WORDS = range(12, 29)
MAX_CHARACTERS = 145  # at most about 40 tokens of BERT's vocabulary
DRAWS = 100

# Without commas or verbs, so that the subject of an IR-aware caption can be taken from the sentence.
COVERS = {
    "water": ("open water", "water"),
    "marsh": ("wet low-lying ground", "marshy ground", "wet ground"),
    "woodland": ("woodland", "wooded ground", "forest"),
    "green": ("green vegetation", "growing vegetation", "green farmland or grass"),
    "lush": ("lush vegetation", "dense green growth", "thick green vegetation"),
    "dry": ("dry open ground", "dry open land", "dry bare ground"),
    "thin": ("bare or thinly covered ground", "sparsely covered ground", "open thinly covered ground"),
    "very_dry": ("very dry open ground", "parched open ground"),
    "warm_dry": ("warm dry ground", "sun-warmed dry ground", "hot dry land"),
    "cool_dry": ("cooler dry ground", "dry but cooler ground"),
    "cool_flats": ("cool damp flats", "cool open flats", "cool level flats"),
    "shade": ("shaded or damp ground", "damp or shaded slopes"),
    "dark_slopes": ("shaded slopes", "dark shaded ground"),
    "mild": ("mild open ground", "mildly warm open ground"),
    "warm_open": ("warm open ground", "warm open land"),
    "damp": ("damp or plant-covered ground", "moist or scrub-covered ground"),
    "dry_fields": ("dry fields and clearings", "dry open farmland or clearings"),
}
TRENDS = {
    "dryness": (("driest",), ("dampest", "wettest")),
    "warmth": (("warmest", "hottest"), ("coolest", "least warm")),
    "growth": (("greenest", "most green"), ("barest", "least green")),
}
PATTERNS = {
    "even": ("an almost unbroken stretch of", "a wide expanse of", "one continuous stretch of"),
    "blocks": ("large blocks of", "a few broad areas of", "broad clear-cut areas of"),
    "patchwork": ("a patchwork of", "interlocking patches of", "a mosaic of"),
    "mixture": ("a fine mixture of", "finely mingled", "a finely broken-up mix of"),
}
PLACES = {
    "centre": ("in the centre", "near the middle"),
    "north and south": ("in the north and south", "on the northern and southern sides"),
    "west and east": ("in the west and east", "on the western and eastern sides"),
    "everywhere": ("throughout", "across the area", "in many places"),
    **{side: (f"in the {side}", f"along the {side}ern side", f"toward the {side}") for side in SIDES},
    **{corner: (f"in the {corner}", f"in the {corner}ern corner") for corner in CORNERS},
    **{f"{side}ern half": (f"in the {side}ern half", f"across the {side}ern half") for side in SIDES},
}
SHAPES = {
    "strip": ("a strip of", "a belt of", "a narrow stretch of"),
    "block": ("one patch of", "a single patch of", "a solid block of"),
    "large block": ("a large area of", "one broad area of", "a large block of"),
    "few": ("a few patches of", "some separate patches of", "several pieces of"),
    "scattered": ("scattered patches of", "many small patches of", "scattered bits of"),
}
REACHING = {  # instead of "throughout", which suits scattered patches alone
    "strip": "right across",
    "block": "near the middle",
    "large block": "reaching far across",
    "few": "here and there",
}
LARGE_SHARE = 0.2
AMOUNTS = ((0.9, "nearly all"), (0.7, "most"), (0.5, "more than half"), (0.0, "the largest part"))
FRACTIONS = ((0.07, "a tenth of"), (0.04, "a little"), (0.0, "a trace of"))
EVEN = ("much the same from one side to the other", "with hardly a change from side to side", "alike in all parts")


def write_captions(facts: SceneFacts, sample_id: str) -> list[str]:
    """Writes two captions: what covers the tile and where; and its pattern, with where it is most and least so.

    Args:
        facts: Measured facts.
        sample_id: Seed of the choice among phrasings: the same facts and id give the same words.
    """
    return [_write(writer, facts, sample_id) for writer in (_covers, _pattern)]


def _write(writer: Callable[[SceneFacts, random.Random], str], facts: SceneFacts, sample_id: str) -> str:
    """Draws phrasings until one fits `WORDS` and `MAX_CHARACTERS`; of `DRAWS` that don't, the shortest is taken."""
    drawn = []
    for number in range(DRAWS):
        drawn.append(writer(facts, random.Random(stable_seed(sample_id, writer.__name__, number))))
        if len(drawn[-1].split()) in WORDS and len(drawn[-1]) < MAX_CHARACTERS:
            drawn = drawn[-1:]
            break
    text = min(drawn, key=len)
    return f"{text[0].upper()}{text[1:]}."


def _covers(facts: SceneFacts, draw: random.Random) -> str:
    """Names what covers the tile, how much, where, and in what shape."""
    main, *others = facts.covers[: draw.choice((2, 3))]
    name = draw.choice(COVERS[main.cover])
    amount = _amount(AMOUNTS, main)
    if not others:
        return f"{name} {draw.choice(('over', 'spread over'))} {amount} of the area, {_trend(facts, draw)}"
    second = others[0]
    if second.share >= 0.3 and len({main.place, second.place, "everywhere"}) == 3:
        text = f"{name} {_at(main, draw)} and {draw.choice(COVERS[second.cover])} {_at(second, draw)}"
        ends = [f", {_trend(facts, draw)}", *([f", with {_patches(others[1:], draw)}"] if others[1:] else [])]
        return text + draw.choice([*ends * 2, ""])
    with_place = main.place != "everywhere" and main.share < 0.7 and draw.random() < 0.7
    where = f" {_at(main, draw)}" if with_place else ""
    parts = _patches(others, draw)
    text = draw.choice(
        (
            f"{'mostly' if main.share >= 0.5 else 'chiefly'} {name}{where}, with {parts}",
            f"{name} over {amount} of the area{where}, with {parts}",
            f"{parts} {draw.choice(('beside', 'next to', 'amid'))} {name} over {amount} of the area",
        )
    )
    return text if others[1:] else f"{text}, {_trend(facts, draw)}"


def _pattern(facts: SceneFacts, draw: random.Random) -> str:
    """Names the pattern, what it is made of, and where the tile is most and least dry, warm or green."""
    main, *others = facts.covers[:3]
    names = [draw.choice(COVERS[cover.cover]) for cover in (main, *others)]
    text = f"{draw.choice(PATTERNS[facts.pattern])} {names[0] if facts.pattern == 'even' else _listed(names)}"
    if facts.pattern == "even" and others:
        text += f" with {_amount(FRACTIONS, others[0])} {names[1]}"
    return f"{text}, {_trend(facts, draw)}"


def _amount(words: Sequence[tuple[float, str]], cover: CoverFacts) -> str:
    return next(text for least, text in words if cover.share >= least)


def _patches(covers: Sequence[CoverFacts], draw: random.Random) -> str:
    """E.g. "a strip of open water along the eastern side"; a place that two share is named once."""
    parts = []
    for cover, following in zip(covers, [*covers[1:], None]):
        shape = "large block" if cover.shape == "block" and cover.share >= LARGE_SHARE else cover.shape
        text = f"{draw.choice(SHAPES[shape])} {draw.choice(COVERS[cover.cover])}"
        if cover.place == "everywhere" and shape in REACHING:
            text += f" {REACHING[shape]}"
        elif following is None or following.place != cover.place:
            text += f" {_at(cover, draw)}"
        parts.append(text)
    return _listed(parts)


def _at(cover: CoverFacts, draw: random.Random) -> str:
    return draw.choice(PLACES[cover.place])


def _trend(facts: SceneFacts, draw: random.Random) -> str:
    if facts.trend is None:
        return draw.choice(EVEN)
    measure, high, low = facts.trend
    most, least = (draw.choice(words) for words in TRENDS[measure])
    return f"{most} {draw.choice(PLACES[high])} and {least} {draw.choice(PLACES[low])}"


def _listed(parts: Sequence[str]) -> str:
    """Joins as in "a, b and c"."""
    return " and ".join([", ".join(parts[:-1]), parts[-1]] if parts[1:] else parts)
