"""Judges statements about lines by those that are measured at full resolution.

Standard library, numpy and scipy only: a metric's release copies the whole folder.
"""

import numpy as np
from scipy import ndimage

from .pair_facts import Line
from .thing_masks import Sight, places_masks
from .things import Thing, ThingStatement

_TONES = {"black": "dark", "dark": "dark", "white": "bright", "bright": "bright"}


def lines_at(thing: Thing, sight: Sight) -> list[Line]:
    """Measured lines that pass the places of a thing, and have its look in RGB where one is said."""
    region = places_masks(thing.places, thing.offset)[-1] if thing.places else None
    lines = []
    for line in sight.view.facts.pair.lines:
        pixels = line.pixels
        if region is not None and (pixels & region).sum() < 0.35 * pixels.sum():
            continue
        if thing.image == "rgb" and thing.tones and line.rgb_tone != ("bright" if thing.tones[0] > 0 else "dark"):
            continue
        lines.append(line)
    return lines


def judge_line(statement: ThingStatement, sight: Sight) -> str:
    return "unverifiable"


def judge_line_tone(statement: ThingStatement, sight: Sight) -> str | None:
    return None


def line_apart(statement: ThingStatement, sight: Sight) -> str | None:
    return None
