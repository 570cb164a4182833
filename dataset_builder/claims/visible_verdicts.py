"""Judges claims about the infrared image beside the visible one; unverifiable where there was no RGB.

Standard library and numpy only: a metric's release copies the whole folder.
"""

import numpy as np

from .grounding import CELLS, COLOURS, DISAGREEMENT, GRID
from .image_view import View, place_mask, sided
from .zones import CELL_MARGIN, CORRELATION_WORDS, DIFFERENCE, MOST, PART, SAME, reversed_verdict, step, zone


def judge_relation(value: str, view: View) -> str:
    """Brightness beside the visible image, by the mean difference, or likeness of pattern, by the correlation."""
    facts = view.facts
    if facts.difference is None or facts.correlation is None:
        return "unverifiable"
    if value in CORRELATION_WORDS:
        return zone(facts.correlation, CORRELATION_WORDS[value])
    excess = facts.difference if value.endswith("brighter") else -facts.difference
    return step(-excess if value.startswith("not") else excess, DIFFERENCE)


def judge_local_relation(value: str, view: View) -> str:
    """Brightness of a place beside the same place of the visible image."""
    if view.luminance is None:
        return "unverifiable"
    place, sign = value.rsplit(" ", 1)
    denied = place.endswith(" not")
    mask = place_mask(sided(place.removesuffix(" not")))
    excess = float((view.grey - view.luminance)[mask].mean()) * (1 if sign == "brighter" else -1)
    return step(-excess if denied else excess, DIFFERENCE)


def judge_object_relation(value: str, view: View) -> str:
    """An object's brightness beside the visible image's: right where it holds nearly everywhere."""
    if view.luminance is None:
        return "unverifiable"
    excess = (view.grey - view.luminance) * (1 if value.endswith("brighter") else -1)
    return step(float((excess > 0).mean()), (0.15, 0.97))


def judge_disagreement(value: str, view: View) -> str:
    """A place that is brighter or darker than the overall relation explains."""
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


def judge_visible(value: str, view: View) -> str:
    """Judges how the part of the visible image that is named by tone, colour and place looks in the infrared."""
    if view.luminance is None:
        return "unverifiable"
    part, seen = value.split(" -> ")
    name = seen.removeprefix("not ")
    tone, colour, place = part.split(", ")
    if (tone, colour, place) == ("any", "any", "anywhere"):  # an object of unknown size
        verdict = "unverifiable" if _looking(name, view.grey, view).mean() > 0.01 else "contradicted"
    else:
        mask = _visible_mask(tone, colour, place, view)
        if mask is None:
            return "unverifiable"
        if name in ("brighter", "darker", "same"):
            verdict = _beside_luminance(name, mask, view, denied=seen != name)
        elif name in ("brightest", "darkest"):
            sign = 1 if name == "brightest" else -1
            top = view.top(sign)
            held = float((top & mask).sum() / top.sum())
            verdict = step(_ranks(view.grey[mask], view, sign), MOST) if held < 0.3 else "supported"
        else:
            verdict = _look(name, mask, tone if place == "anywhere" else "any", view)
    return verdict if seen == name else reversed_verdict(verdict)


def _visible_mask(tone: str, colour: str, place: str, view: View) -> np.ndarray | None:
    """Working pixels of a part of the visible image; None where nothing has the colour, and no tone is named."""
    mask = np.ones((GRID, GRID), bool) if place == "anywhere" else place_mask(sided(place))
    if colour != "any":
        coloured = mask & (view.colours >> COLOURS.index(colour) & 1).astype(bool)
        if coloured.sum() >= 0.02 * mask.sum():
            mask = coloured
        elif tone == "any":
            return None
    if tone == "any":
        return mask
    low, high = np.quantile(view.luminance[mask], (0.35, 0.65))
    return mask & ((view.luminance >= high) if tone == "bright" else (view.luminance <= low))


def _beside_luminance(name: str, mask: np.ndarray, view: View, denied: bool) -> str:
    """Whether a part is `brighter` or `darker` than in the visible image, or the `same`."""
    excess = (view.grey - view.luminance)[mask]
    if name == "same":
        return step(-float(np.abs(excess).mean()), (-SAME[0], -SAME[1]))
    sign = 1 if name == "brighter" else -1
    verdict = step(float(excess.mean()) * sign, DIFFERENCE)
    if verdict == "contradicted" and not denied and _ranks(view.grey[mask], view, sign) > 0.4:
        return "unverifiable"  # than its surroundings, perhaps
    return verdict


def _look(name: str, mask: np.ndarray, tone: str, view: View) -> str:
    """Whether a part looks bright, dark, medium, black or white; of a tone, the most extreme pixels may do."""
    pixels = view.grey[mask]
    share = float(_looking(name, pixels, view).mean())
    if tone != "any":  # an object may be a small part of what has its tone
        border = np.quantile(view.luminance, 0.9 if tone == "bright" else 0.1)
        extreme = (view.luminance >= border) if tone == "bright" else (view.luminance <= border)
        share = max(share, float(_looking(name, view.grey[extreme], view).mean()))
    verdict = step(share, PART)
    sign = -1 if name == "dark" else 1
    if verdict == "contradicted" and name in ("dark", "bright") and _ranks(pixels, view, sign) > 0.6:
        return "unverifiable"  # beside the rest of a bright or a dark image
    return verdict


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
