"""Judges where things are: at a place, filling it, or the extreme of the image.

Standard library, numpy and scipy only: a metric's release copies the whole folder.
"""

import numpy as np
from scipy import ndimage

from .place_verdicts import judge_bright, judge_brightest, judge_dark, judge_darkest
from .thing_masks import Sight, places_masks
from .thing_tones import kindest, masks_of, mean_rank, tone_verdict
from .things import ThingStatement
from .zones import step

_TELLING = (("woods",), ("water",), ("pale",), ("plants",))  # looks that tell a thing from the rest


def judge_extreme(statement: ThingStatement, sight: Sight) -> str:
    """Whether a thing is the brightest or the darkest one."""
    view, verdicts = sight.view, []
    sign = 1 if statement.value == "brightest" else -1
    top = view.top(sign)
    most = np.count_nonzero(top)
    for mask in masks_of(sight, statement.subject):
        rank = mean_rank(mask, view)[1]
        rank = rank if sign > 0 else 1 - rank
        share = np.count_nonzero(top & mask) / most
        verdicts.append("supported" if rank >= 0.85 or share >= 0.5 and rank > 0.6 else
                        "contradicted" if rank < 0.62 else "unverifiable")  # fmt: skip
    return kindest(verdicts)


def judge_extreme_at(statement: ThingStatement, sight: Sight) -> str:
    """Whether the extreme of the image lies where it is said to lie; a corner by ninth or by quadrant."""
    grey = statement.subject.top * sight.view.grey
    places = statement.value.split(", ")
    verdict = _peaks(grey, places_masks(places, statement.subject.offset), sight.view.scale)
    if len(places) == 1 and not statement.subject.offset:
        judge = judge_brightest if statement.subject.top > 0 else judge_darkest
        by_mean = judge(places[0], sight.view)
        if "contradicted" in (by_mean, verdict) and "supported" in (by_mean, verdict):
            return "unverifiable"
        return "supported" if "supported" in (by_mean, verdict) else verdict
    return verdict


def _peaks(grey: np.ndarray, masks: list[np.ndarray], scale: float) -> str:
    """Whether the extreme of an image lies in a place, as a small spot or as an area; strict mask, tolerant mask."""
    verdicts = []
    for size in (3, 9):
        smooth = ndimage.uniform_filter(grey, size)
        strict, tolerant = ((float(smooth.max()) - float(smooth[mask].max())) / scale for mask in masks)
        if strict <= 0.03 or tolerant <= 0.01:
            verdicts.append("supported")
        else:
            verdicts.append("contradicted" if strict >= 0.14 and tolerant >= 0.1 else "unverifiable")
    return kindest(verdicts) if verdicts[0] != "contradicted" or verdicts[1] != "supported" else "unverifiable"


def judge_place(statement: ThingStatement, sight: Sight) -> str:
    """Whether there is more of a thing in a place than elsewhere, by its look in RGB or its tone in the infrared."""
    thing = statement.subject
    places = statement.value.split(", ")
    verdicts = []
    bare = set(thing.looks) <= {"any", "line"} and not thing.colours
    if thing.tones and thing.image != "rgb":
        grey = sight.view.grey if thing.tones[0] > 0 else 255 - sight.view.grey
        shown = kindest((concentrated(grey, places, thing.offset),
                          _peaks(grey, places_masks(places, thing.offset), sight.view.scale)))  # fmt: skip
        judge = judge_bright if thing.tones[0] > 0 else judge_dark
        if shown == "supported" and all(judge(place, sight.view) == "contradicted" for place in places):
            shown = "unverifiable"
        verdicts.append(shown)
    if not thing.tones and not thing.colours and thing.looks[:1] not in _TELLING:
        return "unverifiable"  # nothing tells it from the rest
    likeness = None if bare and thing.image != "rgb" else sight.likeness(thing)
    if likeness is not None:
        verdicts.append(concentrated(likeness, places, thing.offset))
    return kindest(verdicts)


def judge_fills(statement: ThingStatement, sight: Sight) -> str:
    """Whether a thing takes up a place; where it is only more there than elsewhere, nobody can say."""
    verdict = _taken(statement, sight)
    return "unverifiable" if verdict == "contradicted" and judge_place(statement, sight) == "supported" else verdict


def _taken(statement: ThingStatement, sight: Sight) -> str:
    """Whether a thing takes up a place: by its look in RGB, or by its tone in the infrared."""
    thing, view = statement.subject, sight.view
    masks = places_masks(statement.value.split(", "), thing.offset)
    verdicts = []
    if thing.tones and thing.image != "rgb":
        name = (
            "black"
            if thing.tones[0] < -2
            else "white"
            if thing.tones[0] > 2
            else "dark"
            if thing.tones[0] < 0
            else "bright"
        )
        verdicts.append(kindest(tone_verdict(name, mask, view) for mask in masks))
        if thing.image == "infrared":
            return verdicts[0]
    if not thing.tones and not thing.colours and thing.looks[:1] not in _TELLING:
        return "unverifiable"
    if not (set(thing.looks) <= {"any", "line"} and not thing.colours and thing.image != "rgb"):
        likeness = sight.likeness(thing)
        order = np.sort(likeness, axis=None)
        ranks = [float(np.searchsorted(order, likeness[mask]).mean()) / order.size for mask in masks]
        verdicts.append(step(max(ranks), (0.42, 0.58)))
    return kindest(verdicts)


def concentrated(likeness: np.ndarray, places: list[str], offset: str) -> str:
    """Whether the most extreme pixels lie where they are said to lie more than elsewhere."""
    likeness = likeness + np.random.default_rng(0).uniform(0, 1e-3, likeness.shape)
    top = likeness >= np.quantile(likeness, 0.85)
    verdicts = []
    for mask in places_masks(places, offset):
        gain = float((top & mask).sum() / top.sum()) / float(mask.mean())
        verdicts.append("supported" if gain >= 1.35 else "contradicted" if gain < 0.4 else "unverifiable")
    return kindest(verdicts)
