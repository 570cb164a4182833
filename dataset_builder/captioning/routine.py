"""Sentences that hold of any image: level, contrast, texture, brightest cell. For pairs with little else to say."""

import random
from collections.abc import Collection, Mapping, Sequence
from dataclasses import asdict
from typing import Any

from dataset_builder.captioning.wordings import PART_NOUNS, PLACES, REGION_EXTREMES
from dataset_builder.claims.grounding import CELLS, REGION_DEPARTURE, InfraredFacts

MAX_WORDS = 50  # of a fluent caption: text towers truncate, and captions should say what matters
COMPACT_RELATIONS = {
    "brighter": "brighter than visible",
    "darker": "darker than visible",
    "different": "unlike visible",
    "follows": "follows visible",
}


def compact_caption(facts: InfraredFacts, subject: str | None = None) -> str:
    """Returns the facts in a fixed order behind a fixed lead-in, then the scene; what is unknown is left out."""
    said = [facts.level, f"{facts.contrast} contrast"]
    if facts.brightest and facts.darkest:
        said += [f"brightest {facts.brightest}", f"darkest {facts.darkest}"]
    if facts.relation:
        said.append(COMPACT_RELATIONS[facts.relation])
    return f"Infrared: {', '.join(said)}{f'; {subject}' if subject else ''}."


# Frames of the fluent caption; the first of each is the shortest, taken when a drawn caption is too long.
_OPENINGS = (
    "{band} view of {subject}: {level} overall and {contrast} in contrast.",
    "This {band} image shows {subject}; it is {level} overall, with {contrast} contrast.",
    "{subject} in {band} view; the image appears {level}, with {contrast} contrast.",
    "{subject}, seen in this {band} view: the image is {level} and {contrast} in contrast.",
    "{subject} in a {contrast}-contrast {band} picture; the scene is {level} overall.",
    "The {band} scene shows {subject}. Overall it is {level} and its contrast is {contrast}.",
    "{band} image, {contrast} in contrast and {level} overall, of {subject}.",
    "With {contrast} contrast, this {band} image shows {subject}; the frame is {level} overall.",
)
_OPENINGS_WITHOUT_SUBJECT = (
    "{band} view: {level} overall and {contrast} in contrast.",
    "This {band} image is {level} overall, with {contrast} contrast.",
    "The {band} scene appears {level}, with {contrast} contrast.",
    "Overall this {band} image looks {level}; its contrast is {contrast}.",
)
_PLACES = (
    "The {brightest} is brightest and the {darkest} darkest.",
    "It is brightest in the {brightest} and darkest in the {darkest}.",
    "The brightest part lies in the {brightest}, the darkest in the {darkest}.",
    "The brightest tones lie in the {brightest}; the {darkest} is darkest.",
    "Towards the {darkest} it is darkest, while the {brightest} is brightest.",
    "Its darkest part is the {darkest}, its brightest the {brightest}.",
    "The {darkest} holds the darkest tones and the {brightest} the brightest.",
)
_RELATIONS = {
    "brighter": (
        "It is brighter than the visible image.",
        "On average it looks brighter than the visible image.",
        "Clearly it is brighter than the visible image.",
    ),
    "darker": (
        "It is darker than the visible image.",
        "On average it looks darker than the visible image.",
        "Clearly it is darker than the visible image.",
    ),
    "different": (
        "Its pattern differs from the visible image.",
        "Compared with the visible image it has a different pattern.",
        "The pattern is different from that of the visible image.",
    ),
    "follows": (
        "Its pattern follows the visible image.",
        "In its pattern it mirrors the visible image.",
        "The pattern resembles that of the visible image.",
    ),
}
_TEXTURES = {
    "smooth": ("It looks smooth.", "The image is smooth.", "The image appears smooth."),
    "moderately textured": (
        "It looks moderately textured.",
        "The texture is moderate.",
        "It shows a moderate texture.",
    ),
    "strongly textured": ("It looks strongly textured.", "The texture is strong.", "It shows a strong texture."),
}
_DISAGREEMENTS = (
    "The {disagreement} is {disagreement_sign} than the visible image suggests.",
    "In the {disagreement} it is {disagreement_sign} than the visible image would suggest.",
)
_TARGETS = ("A few small bright spots stand out.", "Some small bright spots are present.")
_REGIONS = (
    "{size} {shape} {tone} area lies in the {place}.",
    "In the {place} lies {size} {shape} {tone} area.",
    "{size} {shape} {tone} patch takes up part of the {place}.",
)
_SHAPES = {"compact": "compact", "elongated": "long", "irregular": "ragged"}


def routine_caption(subject: str | None, band: str, facts: InfraredFacts, draw: random.Random) -> str:
    """Level, contrast, texture and places, of an image without RGB or without anything else to say."""
    words = asdict(facts) | {"subject": subject, "band": band}
    words["level"] = "of medium brightness" if facts.level == "medium" else facts.level
    opening = [_OPENINGS if subject else _OPENINGS_WITHOUT_SUBJECT]
    rest = [_TEXTURES[facts.texture]]
    rest += [_PLACES] if facts.brightest and facts.darkest else []
    rest += [_RELATIONS[facts.relation]] if facts.relation else []
    extra = [_DISAGREEMENTS] if facts.disagreement else []
    extra += [_TARGETS] if 2 <= facts.small_bright_targets <= 5 else []
    extra += [_REGIONS] if (region := _told_region(facts, draw)) else []
    words |= region
    draw.shuffle(rest)
    draw.shuffle(extra)
    frames = [draw.choice(choices) for choices in opening + rest]
    if len(_compose(frames, words).split()) > MAX_WORDS:
        frames = [choices[0] for choices in opening + rest]
    for choices in extra:
        longer = [*frames, draw.choice(choices)]
        if len(_compose(longer, words).split()) <= MAX_WORDS:
            frames = longer
    return _compose(frames, words)


def extreme_sentence(facts: InfraredFacts, told: Collection[str], draw: random.Random) -> tuple[str, str]:
    """Where it is brightest or darkest, the plainer one that was not told, and which one; empty where neither is."""
    departs = {"brightest": max(facts.cell_means) - facts.median, "darkest": facts.median - min(facts.cell_means)}
    left = [name for name in departs if name not in told and departs[name] >= REGION_DEPARTURE]
    if not left:
        return "", ""
    name = max(left, key=departs.__getitem__)
    text = draw.choice(REGION_EXTREMES).format(
        sup=name,
        place=draw.choice(PLACES[getattr(facts, name)]),
        noun=draw.choice(PART_NOUNS["compact"]),
        image="image",
    )
    return f"{text[0].upper()}{text[1:]}.", name


def texture_sentence(facts: InfraredFacts, draw: random.Random) -> str:
    """How textured it is."""
    return draw.choice(_TEXTURES[facts.texture])


def _told_region(facts: InfraredFacts, draw: random.Random) -> dict[str, str]:
    """Words for the largest bright or dark region, whichever is drawn; nothing where neither marks its place."""
    middle = sum(facts.cell_means) / len(CELLS)
    candidates = []
    for tone, sign, regions in (("bright", 1, facts.bright_regions), ("dark", -1, facts.dark_regions)):
        for region in regions[:1]:
            side = region.place.removesuffix(" side")
            departures = [
                sign * (mean - middle)
                for cell, mean in zip(CELLS, facts.cell_means, strict=True)
                if cell == side or (side != region.place and side in cell.split("-"))
            ]
            if max(departures, default=0.0) >= REGION_DEPARTURE:
                candidates.append((tone, region))
    if not candidates:
        return {}
    tone, region = draw.choice(candidates)
    size = "a large" if region.share >= 0.2 else "a small" if region.share < 0.07 else "a"
    return {"tone": tone, "place": region.place, "size": size, "shape": _SHAPES[region.shape]}


def _compose(frames: Sequence[str], words: Mapping[str, Any]) -> str:
    sentences = [frame.format(**words) for frame in frames]
    return " ".join(sentence[0].upper() + sentence[1:] for sentence in sentences)
