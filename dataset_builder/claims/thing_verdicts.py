"""Judges statements about things: where several masks fit a description, by the kindest of them.

Standard library, numpy and scipy only: a metric's release copies the whole folder.
"""

import numpy as np

from .image_verdicts import judge_texture
from .image_view import View
from .thing_lines import judge_line, judge_line_tone, line_apart
from .thing_masks import Sight, ring_of
from .thing_places import concentrated, judge_extreme, judge_extreme_at, judge_fills, judge_place
from .thing_tones import kindest, masks_of, mean_rank, tone_verdict
from .things import WIDE, Thing, ThingStatement
from .visible_verdicts import judge_object_relation
from .zones import SAME, most, reversed_verdict, step

APART = (0.05, -0.08)  # difference of two things' means, shares of the spread


def judge_thing(statement: ThingStatement, view: View) -> str:
    """The verdict on one statement; unverifiable without RGB."""
    if view.facts.images is None:
        return "unverifiable"
    verdict = _JUDGES[statement.aspect](statement, Sight(view))
    verdict = reversed_verdict(verdict) if statement.denied else verdict
    return "unverifiable" if statement.hedged and verdict == "contradicted" else verdict


def _tone(statement: ThingStatement, sight: Sight) -> str:
    if statement.subject.looks[:1] == ("line",) and (verdict := judge_line_tone(statement, sight)):
        return verdict
    verdicts = [tone_verdict(statement.value, mask, sight.view) for mask in masks_of(sight, statement.subject)]
    for part in sight.looks.largest_parts(statement.subject) if statement.value in ("black", "white") else ():
        verdicts += [tone_verdict(statement.value, part, sight.view)] * 2 if part.any() else []
    if statement.value in ("black", "white") and verdicts.count("supported") < len(verdicts) / 2:
        return kindest("unverifiable" if verdict == "supported" else verdict for verdict in verdicts)
    return kindest(verdicts)


def _than(statement: ThingStatement, sight: Sight) -> str:
    view, verdicts = sight.view, []
    for mask in masks_of(sight, statement.subject):
        other = statement.other or Thing(beside="around")
        others = [ring_of(mask)] if other.beside == "around" and other.plain else masks_of(sight, other, mask)
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
        return kindest(
            step(-float(np.abs(view.grey - view.luminance)[mask].mean()), (-SAME[0], -SAME[1]))
            for mask in masks_of(sight, statement.subject)
        )
    if not statement.subject.places and judge_object_relation(statement.value, view) == "contradicted":
        return "contradicted"
    for mask in masks_of(sight, statement.subject):
        excess = sign * float((view.grey - view.luminance)[mask].mean())
        rank = mean_rank(mask, view)[1]
        before = float(np.searchsorted(np.sort(view.luminance, axis=None), view.luminance[mask]).mean()) / mask.size
        climb = sign * (rank - before)
        if excess >= 6 or climb >= 0.25:
            verdicts.append("supported")
        else:
            verdicts.append("contradicted" if excess <= -10 and climb <= 0.02 else "unverifiable")
    return kindest(verdicts)


def _lighter(statement: ThingStatement, sight: Sight) -> str:
    around = ThingStatement("than", statement.subject, statement.value, Thing(beside="around"))
    return most(_beside_rgb(statement, sight), _than(around, sight))


def _apart(statement: ThingStatement, sight: Sight) -> str:
    if statement.subject.looks[:1] == ("line",) and (verdict := line_apart(statement, sight)):
        return verdict
    view, verdicts = sight.view, []
    for mask in masks_of(sight, statement.subject):
        ring = ring_of(mask)
        if ring.sum() < 6:
            continue
        here = abs(float(view.grey[mask].mean() - view.grey[ring].mean())) / view.scale
        spread = max(float(np.ptp(np.quantile(view.luminance, (0.05, 0.95)))), 12.0)
        there = float(np.abs(sight.rgb[mask].mean(0) - sight.rgb[ring].mean(0)).max()) / spread
        verdicts.append(_apart_verdict(statement.value, here, there))
    return kindest(verdicts)


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


def _line(statement: ThingStatement, sight: Sight) -> str:
    verdict = judge_line(statement, sight)
    thing = statement.subject
    if verdict != "supported" and thing.head in WIDE and thing.tones and len(thing.places) == 1:
        grey = sight.view.grey if thing.tones[0] > 0 else 255 - sight.view.grey
        if concentrated(grey, list(thing.places), thing.offset) == "supported":
            return "unverifiable" if verdict == "contradicted" else "supported"
    return verdict


def _texture(statement: ThingStatement, sight: Sight) -> str:
    view, verdicts = sight.view, []
    across, down = np.gradient(view.grey)
    steps = np.hypot(across, down)
    for mask in masks_of(sight, statement.subject):
        rough = float(np.median(steps[mask])) * 0.75
        grain = rough**2 / view.scale
        if statement.value == "rough":
            right, wrong = grain >= 0.39 or rough >= 4.4, grain < 0.2 and rough < 3
        else:
            right, wrong = grain <= 0.53, grain > 0.8 and rough > 5
        verdicts.append("supported" if right else "contradicted" if wrong else "unverifiable")
    if not statement.subject.places:
        whole = judge_texture("uneven" if statement.value == "rough" else "smooth", view)
        return most(kindest(verdicts), whole) if whole == "supported" else kindest(verdicts)
    return kindest(verdicts)


def _difference(one: Thing, other: Thing, sight: Sight) -> tuple[list[float], list[float]]:
    """Differences of two things' means in the infrared and in RGB, by pairs of masks, grey levels."""
    view = sight.view
    here, there = [], []
    for mask in masks_of(sight, one):
        for beside in masks_of(sight, other, mask):
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
    "extreme": judge_extreme,
    "extreme at": judge_extreme_at,
    "apart": _apart,
    "place": judge_place,
    "fills": judge_fills,
    "line": _line,
    "texture": _texture,
    "contrast": _contrast,
    "swap": _swap,
}
