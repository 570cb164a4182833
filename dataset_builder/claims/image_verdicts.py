"""Judges claims about the image as a whole: its level, shares of tones, contrast, texture and small targets.

Standard library and numpy only: a metric's release copies the whole folder.
"""

import numpy as np

from .grounding import (
    CONTRAST_BORDERS,
    CONTRASTS,
    LEVEL_BORDERS,
    LEVELS,
    TEXTURE_BORDERS,
    TEXTURES,
)
from .image_view import View, place_mask, sided
from .zones import (
    BLACK_PIXELS,
    CONTRAST_WORDS,
    EDGE_WORDS,
    FEATURELESS_SPREAD,
    GRAIN_WORDS,
    LEVEL_WORDS,
    ROUGHNESS_WORDS,
    SHARE_WORDS,
    SHARPNESS_WORDS,
    WHITE_PIXELS,
    classed,
    least,
    most,
    step,
    zone,
)


def judge_level(value: str, view: View) -> str:
    """A level of the image, by its mean and median."""
    facts = view.facts
    if classed(value, LEVELS, facts.mean, LEVEL_BORDERS):
        return "supported"
    return zone((facts.mean + facts.median) / 2, LEVEL_WORDS[value])


def judge_share(value: str, view: View) -> str:
    """How much of the image is bright or dark: `mostly white`, `no dark`, `all medium`."""
    how, name = value.split(" ")
    if name == "medium":
        return zone(view.facts.bright_share + view.facts.dark_share, SHARE_WORDS[value])
    if how in ("no", "all"):
        bright = (name == "bright") == (how == "no")  # all dark: nothing bright
        return zone(view.facts.bright_share if bright else view.facts.dark_share, SHARE_WORDS[value])
    border = {"bright": 127.0, "dark": 127.0, "white": 192.0, "black": 62.0}[name]
    share = (view.grey > border).mean() if name in ("bright", "white") else (view.grey < border).mean()
    return zone(float(share), SHARE_WORDS[value])


def judge_contrast(value: str, view: View) -> str:
    """A class of contrast, by the spread; `full` wants black and white, too."""
    if value == "full":  # from black to white: both are there
        low, high = (float(np.quantile(view.grey, share)) for share in (0.02, 0.98))
        ends = step(high, WHITE_PIXELS), step(-low, (-BLACK_PIXELS[1] - 20, -BLACK_PIXELS[1]))
        return least(zone(view.facts.spread, CONTRAST_WORDS["high"]), *ends)
    if classed(value, CONTRASTS, view.facts.spread, CONTRAST_BORDERS):
        return "supported"
    return zone(view.facts.spread, CONTRAST_WORDS[value])


def judge_texture(value: str, view: View) -> str:
    """Texture and focus of the image, or texture of a place: `grainy north side`."""
    facts = view.facts
    if value in SHARPNESS_WORDS:
        verdicts = zone(facts.sharpness, SHARPNESS_WORDS[value]), zone(facts.edge_share, EDGE_WORDS[value])
        return (least if value == "sharp" else most)(*verdicts)
    name = next(name for name in (*TEXTURES, "featureless", "uneven", "grainy") if value.startswith(name))
    place = value[len(name) + 1 :]
    if place:
        across, down = np.gradient(view.grey)
        mask = place_mask(sided(place))
        # a gradient is a third above the deviation of its window
        roughness = float(np.median(np.hypot(across, down)[mask])) * 0.75
        low, high = np.quantile(view.grey[mask], (0.05, 0.95))
        grain, spread = roughness**2 / view.scale, float(high - low)
    else:
        grain, roughness, spread = facts.grain, facts.roughness, facts.spread
        if classed(name, TEXTURES, roughness, TEXTURE_BORDERS):
            return "supported"
    if name == "featureless":
        return least(zone(roughness, ROUGHNESS_WORDS[name]), zone(spread, FEATURELESS_SPREAD))
    verdict = zone(grain, GRAIN_WORDS[name])
    return least(verdict, zone(roughness, ROUGHNESS_WORDS[name])) if name in ROUGHNESS_WORDS else verdict


def judge_targets(value: str, view: View) -> str:
    """Whether there are small bright targets."""
    return "supported" if (value == "present") == (view.facts.small_bright_targets > 0) else "contradicted"
