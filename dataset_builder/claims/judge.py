"""What a caption claims about an infrared image, and whether the measured facts support it.

Standard library and numpy only beside its siblings `grounding` and `claim_*`: a metric's release copies them together.
"""

from dataclasses import dataclass
from functools import lru_cache

import numpy as np

from .grounding import (
    CELLS,
    COLOURS,
    CONTRAST_BORDERS,
    CONTRASTS,
    DISAGREEMENT,
    FACT_KINDS,
    GRID,
    LEVEL_BORDERS,
    LEVELS,
    TEXTURE_BORDERS,
    TEXTURES,
    InfraredFacts,
)
from .image_view import View, place_mask, siblings, sided
from .reading import Claim, read_claims
from .zones import (
    AREA,
    CELL_MARGIN,
    COMPARED,
    CONTRAST_WORDS,
    CORRELATION_WORDS,
    DIFFERENCE,
    EDGE_WORDS,
    EXTREME_BEHIND,
    EXTREME_FIRST,
    EXTREME_SHARE,
    FAINT,
    FEATURELESS_SPREAD,
    GRAIN_WORDS,
    LEVEL_WORDS,
    MOST,
    NARROW,
    PART,
    ROUGHNESS_WORDS,
    SAME,
    SHARE_WORDS,
    SHARPNESS_WORDS,
    SPOT,
    classed,
    step,
    zone,
)

__all__ = ["Claim", "Judged", "fact_matches", "judge", "read_claims"]

BLACK_PIXELS, WHITE_PIXELS = (52.0, 64.0), (165.0, 190.0)  # a place's extreme pixels, for `black` and `white` there


@dataclass(frozen=True, slots=True)
class Judged:
    """A claim and its verdict: `supported`, `contradicted` or `unverifiable`."""

    claim: Claim
    verdict: str


def judge(caption: str, facts: InfraredFacts) -> list[Judged]:
    """Judges every readable claim of a caption against measured facts.

    The measured class is always supported. Another word is judged by what viewers mean by it (`LEVEL_WORDS` and so
    on), with a zone between right and wrong that is unverifiable; so is all that was not measured, such as a relation
    without RGB. Places are judged on the working grid, by the kinder of the place's mean and its extremes.
    """
    return list(_judged(caption, facts))


@lru_cache(maxsize=1024)  # a caption that a rule has judged is judged again where its claims are counted
def _judged(caption: str, facts: InfraredFacts) -> tuple[Judged, ...]:
    view = View(facts)
    return tuple(Judged(claim, _VERDICTS[claim.kind](claim.value, view)) for claim in read_claims(caption))


def fact_matches(caption: str, facts: InfraredFacts) -> dict[str, bool]:
    """Tells for each of `FACT_KINDS` whether the caption claims exactly the measured class; no margins.

    A kind that is not claimed, not readable, claimed twice with different values, or not measured counts as False, so
    that denominators are the same for every caption.
    """
    claimed: dict[str, set[str]] = {kind: set() for kind in FACT_KINDS}
    for claim in read_claims(caption):
        if claim.kind in claimed:
            claimed[claim.kind].add(claim.value)
    return {kind: claimed[kind] == {getattr(facts, kind)} for kind in FACT_KINDS}


def _level(value: str, view: View) -> str:
    facts = view.facts
    if classed(value, LEVELS, facts.mean, LEVEL_BORDERS):
        return "supported"
    return zone((facts.mean + facts.median) / 2, LEVEL_WORDS[value])


def _share(value: str, view: View) -> str:
    how, name = value.split(" ")
    if name == "medium":
        return zone(view.facts.bright_share + view.facts.dark_share, SHARE_WORDS[value])
    if how in ("no", "all"):
        bright = (name == "bright") == (how == "no")  # all dark: nothing bright
        return zone(view.facts.bright_share if bright else view.facts.dark_share, SHARE_WORDS[value])
    border = {"bright": 127.0, "dark": 127.0, "white": 192.0, "black": 62.0}[name]
    share = (view.grey > border).mean() if name in ("bright", "white") else (view.grey < border).mean()
    return zone(float(share), SHARE_WORDS[value])


def _contrast(value: str, view: View) -> str:
    if value == "full":  # from black to white: both are there
        low, high = (float(np.quantile(view.grey, share)) for share in (0.02, 0.98))
        ends = step(high, WHITE_PIXELS), step(-low, (-BLACK_PIXELS[1] - 20, -BLACK_PIXELS[1]))
        return _least(zone(view.facts.spread, CONTRAST_WORDS["high"]), *ends)
    if classed(value, CONTRASTS, view.facts.spread, CONTRAST_BORDERS):
        return "supported"
    return zone(view.facts.spread, CONTRAST_WORDS[value])


def _texture(value: str, view: View) -> str:
    facts = view.facts
    if value in SHARPNESS_WORDS:
        verdicts = zone(facts.sharpness, SHARPNESS_WORDS[value]), zone(facts.edge_share, EDGE_WORDS[value])
        return (_least if value == "sharp" else _most)(*verdicts)
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
        return _least(zone(roughness, ROUGHNESS_WORDS[name]), zone(spread, FEATURELESS_SPREAD))
    verdict = zone(grain, GRAIN_WORDS[name])
    return _least(verdict, zone(roughness, ROUGHNESS_WORDS[name])) if name in ROUGHNESS_WORDS else verdict


def _brightest(value: str, view: View) -> str:
    return _extreme(value, view, 1)


def _darkest(value: str, view: View) -> str:
    return _extreme(value, view, -1)


def _extreme(place: str, view: View, sign: int) -> str:
    facts = view.facts
    measured = facts.brightest if sign > 0 else facts.darkest
    if measured is None:
        return "unverifiable"
    if place == measured:
        return "supported"
    mask, grey = place_mask(sided(place)), sign * view.grey
    own = float(grey[mask].mean())
    others = (float(grey[place_mask(other)].mean()) for other in siblings(sided(place)) if other != sided(place))
    behind = max(others) - own
    top = grey >= np.quantile(grey, 0.97)
    share = float((top & mask).sum() / top.sum())
    part = place.endswith(" side") and place.split(" ")[0] in measured.split("-")
    first, near = (part or behind <= border * view.scale for border in EXTREME_BEHIND)
    if share >= EXTREME_SHARE[1] or first and share >= EXTREME_FIRST:
        return "supported" if own >= sign * facts.mean else "unverifiable"  # a spot in a place of the other tone
    return "contradicted" if share < EXTREME_SHARE[0] and not near else "unverifiable"


def _bright(value: str, view: View) -> str:
    return _region(value, view, 1)


def _dark(value: str, view: View) -> str:
    return _region(value, view, -1)


def _region(value: str, view: View, sign: int) -> str:
    *how, place = value.split(": ")
    pixels = view.grey[place_mask(sided(place))]
    spot, extreme = (float(np.quantile(pixels, share if sign > 0 else 1 - share)) for share in (0.9, 0.97))
    mean = float(pixels.mean())
    rank, farthest, centre = (view.rank(x) if sign > 0 else 1 - view.rank(x) for x in (spot, extreme, mean))
    told = view.facts.bright_regions if sign > 0 else view.facts.dark_regions
    departure = max(CELL_MARGIN, 0.1 * view.scale)
    absolute = "black" in how or "white" in how
    if not how and any(region.place == place for region in told):
        return "supported"
    if "all" in how and absolute:
        verdict = step(float((pixels < BLACK_PIXELS[1] if sign < 0 else pixels > WHITE_PIXELS[0]).mean()), (0.4, 0.6))
    elif "all" in how:
        verdict = step(centre, AREA)
    elif sign * (mean - view.facts.mean) >= departure:
        verdict = "supported"
    else:
        verdict = step(rank, SPOT)
        if verdict == "contradicted" and farthest >= NARROW:
            verdict = "unverifiable"
    verdict = _least(verdict, step(sign * (extreme - view.facts.median), FAINT))
    if absolute:
        borders = WHITE_PIXELS if sign > 0 else (-BLACK_PIXELS[1], -BLACK_PIXELS[0])
        verdict = _least(verdict, step(sign * extreme, borders))
    if "line" in how:  # its ends may be right and its course wrong
        return "unverifiable" if verdict == "supported" else verdict
    return _denied(verdict) if "no" in how else verdict


_SEVERITY = ("contradicted", "unverifiable", "supported")


def _least(*verdicts: str) -> str:
    return min(verdicts, key=_SEVERITY.index)


def _most(*verdicts: str) -> str:
    return max(verdicts, key=_SEVERITY.index)


def _denied(verdict: str) -> str:
    return {"supported": "contradicted", "contradicted": "supported"}.get(verdict, verdict)


def _compare(value: str, view: View) -> str:
    bright, dark = (view.grey[place_mask(sided(place))].mean() for place in value.split(" > "))
    return step(float(bright - dark) / view.scale, COMPARED)


def _relation(value: str, view: View) -> str:
    facts = view.facts
    if facts.difference is None or facts.correlation is None:
        return "unverifiable"
    if value in CORRELATION_WORDS:
        return zone(facts.correlation, CORRELATION_WORDS[value])
    excess = facts.difference if value.endswith("brighter") else -facts.difference
    return step(-excess if value.startswith("not") else excess, DIFFERENCE)


def _local_relation(value: str, view: View) -> str:
    if view.luminance is None:
        return "unverifiable"
    place, sign = value.rsplit(" ", 1)
    denied = place.endswith(" not")
    mask = place_mask(sided(place.removesuffix(" not")))
    excess = float((view.grey - view.luminance)[mask].mean()) * (1 if sign == "brighter" else -1)
    return step(-excess if denied else excess, DIFFERENCE)


def _object_relation(value: str, view: View) -> str:
    """An object's brightness beside the visible image's: right where it holds nearly everywhere."""
    if view.luminance is None:
        return "unverifiable"
    excess = (view.grey - view.luminance) * (1 if value.endswith("brighter") else -1)
    return step(float((excess > 0).mean()), (0.15, 0.97))


def _disagreement(value: str, view: View) -> str:
    facts = view.facts
    if facts.cell_differences is None or " not " in value:
        return "unverifiable"
    place, sign = value.rsplit(" ", 1)
    side = place.removesuffix(" side")
    signed = [
        difference if sign == "brighter" else -difference
        for cell, difference in zip(CELLS, facts.cell_differences, strict=True)
        if cell == place or side != place and side in cell.split("-") or place in ("margins", cell + " half")
    ]
    if not signed:
        return "unverifiable"
    if max(signed) >= DISAGREEMENT:
        return "supported"
    return "contradicted" if max(signed) < -CELL_MARGIN else "unverifiable"


def _visible(value: str, view: View) -> str:
    """Judges how the part of the visible image that is named by tone, colour and place looks in the infrared."""
    if view.luminance is None:
        return "unverifiable"
    part, seen = value.split(" -> ")
    tone, colour, place = part.split(", ")
    base = np.ones((GRID, GRID), bool) if place == "anywhere" else place_mask(sided(place))
    mask = base
    if colour != "any":
        coloured = base & (view.colours >> COLOURS.index(colour) & 1).astype(bool)
        mask = coloured if coloured.sum() >= 0.02 * base.sum() else base
        if mask is base and tone == "any":
            return "unverifiable"
    if tone != "any":
        low, high = np.quantile(view.luminance[mask], (0.35, 0.65))
        mask = mask & ((view.luminance >= high) if tone == "bright" else (view.luminance <= low))
    name = seen.removeprefix("not ")
    pixels = view.grey[mask]
    if tone == "any" and colour == "any" and place == "anywhere":  # an object of unknown size
        verdict = "unverifiable" if _looking(name, view.grey, view).mean() > 0.01 else "contradicted"
    elif name in ("brighter", "darker"):
        sign = 1 if name == "brighter" else -1
        excess = float((view.grey - view.luminance)[mask].mean()) * sign
        verdict = step(excess, DIFFERENCE)
        if verdict == "contradicted" and seen == name and _ranks(pixels, view, sign) > 0.4:
            verdict = "unverifiable"  # than its surroundings, perhaps
    elif name in ("brightest", "darkest"):
        sign = 1 if name == "brightest" else -1
        top = sign * view.grey >= np.quantile(sign * view.grey, 0.97)
        held = float((top & mask).sum() / top.sum())
        verdict = step(_ranks(pixels, view, sign), MOST) if held < 0.3 else "supported"
    elif name == "same":
        verdict = step(-float(np.abs(view.grey - view.luminance)[mask].mean()), (-SAME[0], -SAME[1]))
    else:
        share = float(_looking(name, pixels, view).mean())
        if place == "anywhere" and tone != "any":  # an object may be a small part of what has its tone
            border = np.quantile(view.luminance, 0.9 if tone == "bright" else 0.1)
            extreme = (view.luminance >= border) if tone == "bright" else (view.luminance <= border)
            share = max(share, float(_looking(name, view.grey[extreme], view).mean()))
        verdict = step(share, PART)
        sign = -1 if name == "dark" else 1
        if verdict == "contradicted" and name in ("dark", "bright") and _ranks(pixels, view, sign) > 0.6:
            verdict = "unverifiable"  # beside the rest of a bright or a dark image
    return verdict if seen == name else _denied(verdict)


def _ranks(pixels: np.ndarray, view: View, sign: int) -> float:
    """Mean share of the image that these pixels outdo in brightness, or in darkness."""
    rank = float(np.searchsorted(view.ranked, pixels).mean()) / view.ranked.size
    return rank if sign > 0 else 1 - rank


def _looking(name: str, pixels: np.ndarray, view: View) -> np.ndarray:
    """Which of these pixels look as named, in grey levels or beside the rest of the image."""
    low, high = np.quantile(view.ranked, (0.35, 0.65))
    if name == "medium":
        return (pixels > 75) & (pixels < 170)
    if name in ("black", "white"):
        return pixels < 64 if name == "black" else (pixels > min(235, max(185, high)))
    if name == "dark":
        return pixels < max(85, min(low, 110))
    return pixels > min(160, max(high, 115))


def _targets(value: str, view: View) -> str:
    return "supported" if (value == "present") == (view.facts.small_bright_targets > 0) else "contradicted"


_VERDICTS = {
    "level": _level,
    "share": _share,
    "contrast": _contrast,
    "texture": _texture,
    "brightest": _brightest,
    "darkest": _darkest,
    "bright": _bright,
    "dark": _dark,
    "compare": _compare,
    "relation": _relation,
    "local relation": _local_relation,
    "object relation": _object_relation,
    "disagreement": _disagreement,
    "visible": _visible,
    "targets": _targets,
}
