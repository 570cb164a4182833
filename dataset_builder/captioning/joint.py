"""Captions of both images: what RGB shows, what becomes of it in the infrared, and what only the pair shows."""

import random
from collections.abc import Mapping, Sequence
from typing import Any

import dataset_builder.captioning.wordings as wordings
from dataset_builder.captioning.choice import Told, is_supported, joined
from dataset_builder.captioning.part_names import look_name, object_name
from dataset_builder.claims import judge
from dataset_builder.claims.grounding import InfraredFacts
from dataset_builder.claims.pair_facts import Part
from dataset_builder.claims.pair_images import pair_of

COLOURS = {"green": "green", "teal": "teal", "blue": "blue", "warm": "brown", "neutral": ""}
MOST_SHOWN, MOST_TOLD, MOST_WORDS = 2, 2, 75  # a caption of more than 80 words is rejected as too long


def joint_caption(
    told: Sequence[Told], subject: str | None, row: Mapping[str, Any], facts: InfraredFacts, draw: random.Random
) -> str | None:
    """Two to four sentences; None where nothing was told of the pair.

    Args:
        told: Facts of the pair, in words.
        subject: What the scene captions are about.
        row: `captions` are read.
        facts: Of the pair.
        draw: Of words.
    """
    pair = pair_of(facts)
    if pair is None or not told:
        return None
    sentences = [_visible(pair.parts, subject, row, facts, draw)]
    sentences += [_in_infrared(item.text, facts, draw) for item in told[:MOST_TOLD]]
    sentences += [text for text in [_of_both(told, facts, draw)] if text]
    while len(" ".join(sentences).split()) > MOST_WORDS and len(sentences) > 2:
        sentences.pop()
    text = " ".join(sentences)
    return text if not any(judged.verdict == "contradicted" for judged in judge(text, facts)) else None


def _visible(
    parts: Sequence[Part], subject: str | None, row: Mapping[str, Any], facts: InfraredFacts, draw: random.Random
) -> str:
    """What RGB shows: the scene, and one or two of its largest parts by colour, if the judge reads nothing wrong."""
    shown = [_shown(part, row, draw) for part in parts[:MOST_SHOWN]]
    for count in range(len(shown), 0, -1):
        frames = wordings.VISIBLE_WITH_PARTS if subject else wordings.VISIBLE_PARTS
        text = draw.choice(frames).format(subject=subject, parts=" and ".join(shown[:count]))
        if not any(judged.verdict == "contradicted" for judged in judge(text, facts)):
            return text[0].upper() + text[1:]
    return draw.choice(wordings.VISIBLE).format(subject=subject or "little but one even tone")


def _shown(part: Part, row: Mapping[str, Any], draw: random.Random) -> str:
    name = object_name(part, row, draw) or look_name(part, draw)
    tone = "" if part.tone == "medium" else part.tone
    look = " ".join(word for word in (tone, COLOURS[part.hue]) if word) or "grey"
    mass = name.match is not None or name.noun in wordings.GROUNDS
    article = "" if mass else "an " if look[0] in "aeiou" else "a "
    return f"{article}{look} {name.noun} {draw.choice(wordings.PLACES[part.place])}"


def _in_infrared(text: str, facts: InfraredFacts, draw: random.Random) -> str:
    """A fact with the image named in front, where the judge reads the same then."""
    lead = draw.choice(wordings.IN_INFRARED)
    if not lead or not text.startswith(("The ", "A ")):
        return text
    return joined(lead, text, facts) or text


def _of_both(told: Sequence[Told], facts: InfraredFacts, draw: random.Random) -> str | None:
    """What only the two together show: an order that is kept or reversed, a line that one image lacks."""
    kinds = {item.telling.kind for item in told}
    changed = {"part reversed", "order reversed", "line changes"} & kinds
    if facts.relation in ("brighter", "darker"):
        text = draw.choice(wordings.BOTH_LEVELS).format(comp=facts.relation)
    elif facts.relation == "follows" and not changed:
        text = draw.choice(wordings.BOTH_ALIKE)
    elif facts.relation == "different" or changed:
        text = draw.choice(wordings.BOTH_DIFFERENT)
    else:
        return None
    return text if is_supported(text, facts) else None
