"""Judges statements about things: where several masks fit a description, by the kindest of them.

Standard library, numpy and scipy only: a metric's release copies the whole folder.
"""

from collections.abc import Iterable

import numpy as np
from scipy import ndimage

from .image_verdicts import judge_texture
from .image_view import View
from .place_verdicts import judge_bright, judge_brightest, judge_dark, judge_darkest
from .thing_lines import is_line, judge_line, judge_line_tone, line_apart, line_masks
from .thing_masks import Sight, places_masks, ring_of
from .things import WIDE, Thing, ThingStatement
from .visible_verdicts import judge_object_relation
from .zones import SAME, most, reversed_verdict, step

# Means of a thing's pixels in grey levels, and their mean rank in the image. A tone is right by either pair and wrong
# where both are beyond the other.
BLACK_THING, WHITE_THING = (82.0, 105.0), (175.0, 148.0)
APART = (0.05, -0.08)  # difference of two things' means, shares of the spread


def judge_thing(statement: ThingStatement, view: View) -> str:
    """The verdict on one statement; unverifiable without RGB."""
    if view.facts.images is None:
        return "unverifiable"
    verdict = _JUDGES[statement.aspect](statement, Sight(view))
    verdict = reversed_verdict(verdict) if statement.denied else verdict
    return "unverifiable" if statement.hedged and verdict == "contradicted" else verdict


def _kindest(verdicts: Iterable[str]) -> str:
    """The kindest verdict, unless several masks say the opposite."""
    verdicts = list(verdicts)
    right, wrong = verdicts.count("supported"), verdicts.count("contradicted")
    if right:
        return "supported" if wrong <= 0.34 * len(verdicts) else "unverifiable"
    return "contradicted" if verdicts and wrong >= 0.75 * len(verdicts) else "unverifiable"


def _masks(sight: Sight, thing: Thing, subject: np.ndarray | None = None) -> list[np.ndarray]:
    """Candidate masks of a thing; of a line, those that are traced in RGB, else in the infrared."""
    return line_masks(thing, sight) if is_line(thing) else sight.masks(thing, subject)


def _mean_rank(mask: np.ndarray, view: View) -> tuple[float, float]:
    values = view.grey[mask]
    ranks = np.searchsorted(view.ranked, values, "left") + np.searchsorted(view.ranked, values, "right")
    return float(values.mean()), float(ranks.mean()) / 2 / view.ranked.size


def _tone(statement: ThingStatement, sight: Sight) -> str:
    if statement.subject.looks[:1] == ("line",) and (verdict := judge_line_tone(statement, sight)):
        return verdict
    verdicts = [tone_verdict(statement.value, mask, sight.view) for mask in _masks(sight, statement.subject)]
    if statement.value in ("black", "white") and verdicts.count("supported") < len(verdicts) / 2:
        return _kindest("unverifiable" if verdict == "supported" else verdict for verdict in verdicts)
    return _kindest(verdicts)


def tone_verdict(value: str, mask: np.ndarray, view: View) -> str:
    """Whether pixels have a tone: absolute, and for dark and bright beside the rest of the image, too."""
    mean, rank = _mean_rank(mask, view)
    if value == "black":
        return step(-mean, (-BLACK_THING[1], -BLACK_THING[0]))
    if value == "white":
        return step(mean, (WHITE_THING[1], WHITE_THING[0]))
    if value == "medium":
        if 70 <= mean <= 180:
            return "supported"
        return "contradicted" if mean < 50 or mean > 205 else "unverifiable"
    if value == "dark":
        mean, rank = 255 - mean, 1 - rank
    if mean >= 150 or rank >= 0.7 and mean >= 115:
        return "supported"
    return "contradicted" if mean <= 95 or mean <= 130 and rank <= 0.35 else "unverifiable"


def _than(statement: ThingStatement, sight: Sight) -> str:
    view, verdicts = sight.view, []
    for mask in _masks(sight, statement.subject):
        other = statement.other or Thing(beside="around")
        others = [ring_of(mask)] if other.beside == "around" and other.plain else _masks(sight, other, mask)
        for beside in others:
            apart = beside & ~mask
            if apart.sum() < 6:
                continue
            difference = float(view.grey[mask].mean() - view.grey[apart].mean()) / view.scale
            if statement.value == "same":
                verdicts.append(step(-abs(difference), (-0.4, -0.25)))
            else:
                verdicts.append(step(difference if statement.value == "brighter" else -difference, APART[::-1]))
    return _vote(verdicts)


def _vote(verdicts: list[str]) -> str:
    """The verdict of most masks; unverifiable where they disagree."""
    if not verdicts:
        return "unverifiable"
    right, wrong = verdicts.count("supported"), verdicts.count("contradicted")
    if right >= 0.7 * len(verdicts):
        return "supported"
    return "contradicted" if wrong >= 0.7 * len(verdicts) else "unverifiable"


def _beside_rgb(statement: ThingStatement, sight: Sight) -> str:
    view, verdicts = sight.view, []
    sign = 1 if statement.value == "brighter" else -1
    if statement.value == "same":
        return _kindest(
            step(-float(np.abs(view.grey - view.luminance)[mask].mean()), (-SAME[0], -SAME[1]))
            for mask in _masks(sight, statement.subject)
        )
    if not statement.subject.places and judge_object_relation(statement.value, view) == "contradicted":
        return "contradicted"
    for mask in _masks(sight, statement.subject):
        excess = sign * float((view.grey - view.luminance)[mask].mean())
        rank = _mean_rank(mask, view)[1]
        before = float(np.searchsorted(np.sort(view.luminance, axis=None), view.luminance[mask]).mean()) / mask.size
        climb = sign * (rank - before)
        if excess >= 6 or climb >= 0.25:
            verdicts.append("supported")
        else:
            verdicts.append("contradicted" if excess <= -10 and climb <= 0.02 else "unverifiable")
    return _kindest(verdicts)


def _lighter(statement: ThingStatement, sight: Sight) -> str:
    around = ThingStatement("than", statement.subject, statement.value, Thing(beside="around"))
    return most(_beside_rgb(statement, sight), _than(around, sight))


def _extreme(statement: ThingStatement, sight: Sight) -> str:
    view, verdicts = sight.view, []
    sign = 1 if statement.value == "brightest" else -1
    top = sign * view.grey >= np.quantile(sign * view.grey, 0.97)
    for mask in _masks(sight, statement.subject):
        rank = _mean_rank(mask, view)[1]
        rank = rank if sign > 0 else 1 - rank
        share = float((top & mask).sum() / top.sum())
        verdicts.append("supported" if rank >= 0.85 or share >= 0.5 and rank > 0.6 else
                        "contradicted" if rank < 0.62 else "unverifiable")  # fmt: skip
    return _kindest(verdicts)


def _extreme_at(statement: ThingStatement, sight: Sight) -> str:
    grey = statement.subject.top * sight.view.grey
    places = statement.value.split(", ")
    verdict = _peaks(grey, places_masks(places, statement.subject.offset), sight.view.scale)
    if len(places) == 1 and not statement.subject.offset:
        judge = judge_brightest if statement.subject.top > 0 else judge_darkest
        by_mean = judge(places[0], sight.view)
        if "contradicted" in (by_mean, verdict) and "supported" in (by_mean, verdict):
            return "unverifiable"
        return by_mean if verdict == "unverifiable" else verdict
    return verdict


def _peaks(grey: np.ndarray, masks: list[np.ndarray], scale: float) -> str:
    """Whether the extreme of an image lies in a place, as a small spot or as an area; strict mask, tolerant mask."""
    verdicts = []
    for size in (3, 9):
        smooth = ndimage.uniform_filter(grey, size)
        strict, tolerant = ((float(smooth.max()) - float(smooth[mask].max())) / scale for mask in masks)
        if strict <= 0.06 or tolerant <= 0.02:
            verdicts.append("supported")
        else:
            verdicts.append("contradicted" if strict >= 0.14 and tolerant >= 0.06 else "unverifiable")
    return _kindest(verdicts) if verdicts[0] != "contradicted" or verdicts[1] != "supported" else "unverifiable"


def _apart(statement: ThingStatement, sight: Sight) -> str:
    if statement.subject.looks[:1] == ("line",) and (verdict := line_apart(statement, sight)):
        return verdict
    view, verdicts = sight.view, []
    for mask in _masks(sight, statement.subject):
        ring = ring_of(mask)
        if ring.sum() < 6:
            continue
        here = abs(float(view.grey[mask].mean() - view.grey[ring].mean())) / view.scale
        spread = max(float(np.ptp(np.quantile(view.luminance, (0.05, 0.95)))), 12.0)
        there = float(np.abs(sight.rgb[mask].mean(0) - sight.rgb[ring].mean(0)).max()) / spread
        verdicts.append(_apart_verdict(statement.value, here, there))
    return _kindest(verdicts)


def _apart_verdict(value: str, here: float, there: float) -> str:
    if value == "seen":
        return "supported" if here >= 0.25 else "contradicted" if here <= 0.08 else "unverifiable"
    if value == "lost":
        return (
            "supported"
            if here <= 0.15 or here <= 0.45 * there
            else "contradicted"
            if here >= max(0.4, 0.9 * there)
            else "unverifiable"
        )
    ratio = here / max(there, 0.05)
    if value == "more":
        ratio = 1 / max(ratio, 0.05)
    return "supported" if ratio <= 0.9 else "contradicted" if ratio >= 1.3 else "unverifiable"


def _place(statement: ThingStatement, sight: Sight) -> str:
    thing = statement.subject
    places = statement.value.split(", ")
    verdicts = []
    bare = set(thing.looks) <= {"any", "line"} and not thing.colours
    if thing.tones and thing.image != "rgb":
        grey = sight.view.grey if thing.tones[0] > 0 else 255 - sight.view.grey
        shown = _kindest((_concentrated(grey, places, thing.offset),
                          _peaks(grey, places_masks(places, thing.offset), sight.view.scale)))  # fmt: skip
        judge = judge_bright if thing.tones[0] > 0 else judge_dark
        if shown == "supported" and all(judge(place, sight.view) == "contradicted" for place in places):
            shown = "unverifiable"
        verdicts.append(shown)
    if not thing.tones and not thing.colours and thing.looks[:1] not in _TELLING:
        return "unverifiable"  # nothing tells it from the rest
    likeness = None if bare and thing.image != "rgb" else sight.likeness(thing)
    if likeness is not None:
        verdicts.append(_concentrated(likeness, places, thing.offset))
    return _kindest(verdicts)


def _fills(statement: ThingStatement, sight: Sight) -> str:
    """Whether a thing takes up a place; where it is only more there than elsewhere, nobody can say."""
    verdict = _taken(statement, sight)
    return "unverifiable" if verdict == "contradicted" and _place(statement, sight) == "supported" else verdict


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
        verdicts.append(_kindest(tone_verdict(name, mask, view) for mask in masks))
        if thing.image == "infrared":
            return verdicts[0]
    if not thing.tones and not thing.colours and thing.looks[:1] not in _TELLING:
        return "unverifiable"
    if not (set(thing.looks) <= {"any", "line"} and not thing.colours and thing.image != "rgb"):
        likeness = sight.likeness(thing)
        order = np.sort(likeness, axis=None)
        ranks = [float(np.searchsorted(order, likeness[mask]).mean()) / order.size for mask in masks]
        verdicts.append(step(max(ranks), (0.42, 0.58)))
    return _kindest(verdicts)


_TELLING = (("woods",), ("water",), ("pale",), ("plants",))  # looks that tell a thing from the rest


def _concentrated(likeness: np.ndarray, places: list[str], offset: str) -> str:
    """Whether the most extreme pixels lie where they are said to lie more than elsewhere."""
    likeness = likeness + np.random.default_rng(0).uniform(0, 1e-3, likeness.shape)
    top = likeness >= np.quantile(likeness, 0.85)
    verdicts = []
    for mask in places_masks(places, offset):
        gain = float((top & mask).sum() / top.sum()) / float(mask.mean())
        verdicts.append("supported" if gain >= 1.2 else "contradicted" if gain < 0.5 else "unverifiable")
    return _kindest(verdicts)


def _line(statement: ThingStatement, sight: Sight) -> str:
    verdict = judge_line(statement, sight)
    thing = statement.subject
    if verdict != "supported" and thing.head in WIDE and thing.tones and len(thing.places) == 1:
        grey = sight.view.grey if thing.tones[0] > 0 else 255 - sight.view.grey
        if _concentrated(grey, list(thing.places), thing.offset) == "supported":
            return "unverifiable" if verdict == "contradicted" else "supported"
    return verdict


def _texture(statement: ThingStatement, sight: Sight) -> str:
    view, verdicts = sight.view, []
    across, down = np.gradient(view.grey)
    steps = np.hypot(across, down)
    for mask in _masks(sight, statement.subject):
        rough = float(np.median(steps[mask])) * 0.75
        grain = rough**2 / view.scale
        if statement.value == "rough":
            right, wrong = grain >= 0.39 or rough >= 4.4, grain < 0.2 and rough < 3
        else:
            right, wrong = grain <= 0.53, grain > 0.8 and rough > 5
        verdicts.append("supported" if right else "contradicted" if wrong else "unverifiable")
    if not statement.subject.places:
        whole = judge_texture("uneven" if statement.value == "rough" else "smooth", view)
        return most(_kindest(verdicts), whole) if whole == "supported" else _kindest(verdicts)
    return _kindest(verdicts)


def _difference(one: Thing, other: Thing, sight: Sight) -> tuple[list[float], list[float]]:
    """Differences of two things' means in the infrared and in RGB, by pairs of masks, shares of the spreads."""
    view = sight.view
    spread = max(float(np.ptp(np.quantile(view.luminance, (0.05, 0.95)))), 12.0)
    here, there = [], []
    for mask in _masks(sight, one):
        for beside in _masks(sight, other, mask):
            here.append(float(view.grey[mask].mean() - view.grey[beside].mean()))
            there.append(float(view.luminance[mask].mean() - view.luminance[beside].mean()))
    return here, there


def _contrast(statement: ThingStatement, sight: Sight) -> str:
    if statement.other is None:
        ratio = sight.view.facts.spread / max(float(np.ptp(np.quantile(sight.view.luminance, (0.05, 0.95)))), 12.0)
        ratio = 1 / ratio if statement.value == "stronger" else ratio
        return "supported" if ratio <= 0.95 else "contradicted" if ratio >= 1.2 else "unverifiable"
    here, there = _difference(statement.subject, statement.other, sight)
    if not here:
        return "unverifiable"
    ratio = abs(float(np.median(here))) / max(abs(float(np.median(there))), 4.0)
    if statement.value == "stronger":
        ratio = 1 / max(ratio, 0.05)
    return "supported" if ratio <= 0.85 else "contradicted" if ratio >= 1.25 else "unverifiable"


def _swap(statement: ThingStatement, sight: Sight) -> str:
    here, there = _difference(statement.subject, statement.other, sight)
    return _vote(
        [
            "supported"
            if a * b < 0 and min(abs(a), abs(b)) > 6
            else "contradicted"
            if a * b > 0 and min(abs(a), abs(b)) > 12
            else "unverifiable"
            for a, b in zip(here, there)
        ]
    )


_JUDGES = {
    "tone": _tone,
    "than": _than,
    "beside rgb": _beside_rgb,
    "lighter": _lighter,
    "extreme": _extreme,
    "extreme at": _extreme_at,
    "apart": _apart,
    "place": _place,
    "fills": _fills,
    "line": _line,
    "texture": _texture,
    "contrast": _contrast,
    "swap": _swap,
}
