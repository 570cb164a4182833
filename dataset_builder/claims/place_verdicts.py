"""Judges claims about places: the brightest and the darkest, bright and dark regions, and two places compared.

Standard library, numpy and scipy only: a metric's release copies the whole folder.
"""

import numpy as np
from scipy import ndimage

from .image_view import View, place_mask, siblings, sided
from .zones import (
    AREA,
    BLACK_PIXELS,
    CELL_MARGIN,
    COMPARED,
    EXTREME_BEHIND,
    EXTREME_FIRST,
    EXTREME_SHARE,
    FAINT,
    NARROW,
    SPOT,
    SPOT_RISE,
    SPOT_SIDE,
    WHITE_PIXELS,
    least,
    reversed_verdict,
    step,
)


def judge_brightest(value: str, view: View) -> str:
    """Whether this place is the brightest."""
    return _extreme(value, view, 1)


def judge_darkest(value: str, view: View) -> str:
    """Whether this place is the darkest."""
    return _extreme(value, view, -1)


def _extreme(place: str, view: View, sign: int) -> str:
    facts = view.facts
    measured = facts.brightest if sign > 0 else facts.darkest
    if measured is None:
        return "unverifiable"
    if place == measured:
        return "supported"
    mask, grey = place_mask(sided(place)), sign * view.grey
    mean = float(grey[mask].mean())
    others = (float(grey[place_mask(other)].mean()) for other in siblings(sided(place)) if other != sided(place))
    behind = max(others) - mean
    top = grey >= np.quantile(grey, 0.97)
    share = float((top & mask).sum() / top.sum())
    part = place.endswith(" side") and place.split(" ")[0] in measured.split("-")
    first, near = (part or behind <= border * view.scale for border in EXTREME_BEHIND)
    if share >= EXTREME_SHARE[1] or first and share >= EXTREME_FIRST:
        return "supported" if mean >= sign * facts.mean else "unverifiable"  # a spot in a place of the other tone
    if share >= EXTREME_SHARE[0] or near or _mostly_near(top, place):
        return "unverifiable"
    return "contradicted"


def _mostly_near(top: np.ndarray, place: str) -> bool:
    """Whether half of the most extreme pixels lie in the quadrant of a corner, or in the half of a side."""
    if place in ("centre", "margins") or place.endswith(" half"):
        return False
    wide = place_mask(f"{place.removesuffix(' side')} half")
    return float((top & wide).sum()) >= 0.5 * float(top.sum())


def judge_bright(value: str, view: View) -> str:
    """Whether something bright is in a place, or all of it is; with the words of `Claim.value` before the place."""
    return _by_ninth_or_quadrant(value, view, 1)


def judge_dark(value: str, view: View) -> str:
    """Whether something dark is in a place, as `judge_bright`."""
    return _by_ninth_or_quadrant(value, view, -1)


def _by_ninth_or_quadrant(value: str, view: View, sign: int) -> str:
    """A corner that is wrong by its ninth and right by its quadrant is neither, nor is a side right by its half."""
    verdict = _region(value, view, sign)
    *how, place = value.split(": ")
    sided_ = "-" in place or place.endswith(" side") and not how
    if verdict == "contradicted" and sided_ and not place.endswith(" half"):
        wide = _region(f"{value.removesuffix(' side')} half", view, sign)
        return verdict if wide == "contradicted" else "unverifiable"
    return verdict


def _region(value: str, view: View, sign: int) -> str:
    *how, place = value.split(": ")
    if "spot" in how:
        return _spot(place, view, sign, "black" in how or "white" in how)
    pixels = view.grey[place_mask(sided(place))]
    spot, extreme = (float(np.quantile(pixels, share if sign > 0 else 1 - share)) for share in (0.9, 0.97))
    mean = float(pixels.mean())
    rank, farthest, centre = (view.rank(x) if sign > 0 else 1 - view.rank(x) for x in (spot, extreme, mean))
    regions = view.facts.bright_regions if sign > 0 else view.facts.dark_regions
    departure = max(CELL_MARGIN, 0.1 * view.scale)
    absolute = "black" in how or "white" in how
    if not how and any(region.place == place for region in regions):
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
    verdict = least(verdict, step(sign * (extreme - view.facts.median), FAINT))
    if absolute:
        verdict = least(verdict, _extreme_pixel(sign * extreme, sign))
    if "line" in how:  # its ends may be right and its course wrong
        return "unverifiable" if verdict == "supported" else verdict
    return reversed_verdict(verdict) if "no" in how else verdict


def _spot(place: str, view: View, sign: int, absolute: bool) -> str:
    """Whether a small thing stands out from what is around it; a side is taken as wide as its half.

    Black or white it must be, too, where that is said (`absolute`).
    """
    grey = sign * view.grey
    rise = (grey - ndimage.median_filter(grey, SPOT_SIDE)) / view.scale
    wide = (
        place if place == "centre" or place.endswith((" half", "margins")) else f"{place.removesuffix(' side')} half"
    )
    strict, tolerant = (float(rise[place_mask(where)].max()) for where in (sided(place), wide))
    verdict = "supported" if strict >= SPOT_RISE[1] else "contradicted" if tolerant <= SPOT_RISE[0] else "unverifiable"
    return least(verdict, _extreme_pixel(float(grey[place_mask(wide)].max()), sign)) if absolute else verdict


def _extreme_pixel(value: float, sign: int) -> str:
    """Whether the most extreme pixel of a place is white, or with sign -1 black; its grey times the sign."""
    return step(value, WHITE_PIXELS if sign > 0 else (-BLACK_PIXELS[1], -BLACK_PIXELS[0]))


def judge_compare(value: str, view: View) -> str:
    """Whether the first place is brighter than the second."""
    bright, dark = (view.grey[place_mask(sided(place))].mean() for place in value.split(" > "))
    return step(float(bright - dark) / view.scale, COMPARED)
