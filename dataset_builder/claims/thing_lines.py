"""Judges statements about lines by the runs that are traced at full resolution, in both images.

Standard library, numpy, scipy and Pillow only: a metric's release copies the whole folder.
"""

from collections.abc import Iterator
from dataclasses import dataclass
from functools import cached_property, lru_cache

import numpy as np
from PIL import Image
from scipy import ndimage

from .grounding import GRID, PairImages
from .pair_facts import Standing
from .pair_ridges import SIGNS, Ridges, Run, pyramids_of
from .thing_masks import Sight, place_masks, places_masks
from .things import WIDE, Thing, ThingStatement
from .zones import reversed_verdict

_SIGN = {"black": "dark", "dark": "dark", "white": "bright", "bright": "bright"}
_LEAST_LENGTH = 0.15  # of the longer side
_INSIDE = 0.35  # share of a run that lies in the place
_TRACED, _UNTRACED = 0.42, 0.3  # strength of a run over the image's floor times the root of its length
_BLACK_RUN, _WHITE_RUN = (95.0, 110.0), (175.0, 140.0)  # mean grey levels of a run: right, wrong
_STEP, _LEVEL = 8.0, 3.0  # grey levels against both sides: seen, unseen
_LENIENT = 0.75  # of the floor that lines are claimed by: fainter ones may be meant by somebody who sees them
_RESPONSE = 0.62  # of the floor
_EDGE, _NO_EDGE = 6.0, 2.5  # grey levels a working pixel, of the image's strongest edges


@dataclass(frozen=True)
class _Traced:
    """A run, and how it stands in both images; that is measured of those that are asked for.

    Attributes:
        tone: `bright` or `dark`.
        score: Strength over the floor times the root of its length.
        length: In longer sides.
        run: Its pixels.
        ridges, other: Of the image that traces it, and of the other one.
    """

    tone: str
    score: float
    length: float
    run: Run
    ridges: Ridges
    other: Ridges

    @cached_property
    def here(self) -> Standing:
        """In the image that traces it."""
        return self.ridges.standing(self.run)

    @cached_property
    def there(self) -> Standing:
        """In the other image."""
        return self.other.standing(self.run)

    @cached_property
    def mask(self) -> np.ndarray:
        """Of the working grid; bool `(GRID, GRID)`."""
        height, width = self.ridges.grey.shape
        rows, columns = (self.run.rows + 0.5) * GRID / height, (self.run.columns + 0.5) * GRID / width
        mask = np.zeros((GRID, GRID), bool)
        mask[rows.astype(int), columns.astype(int)] = True
        return mask


@lru_cache(maxsize=32)
def _runs(images: PairImages, of_rgb: bool) -> tuple[_Traced, ...]:
    luminance, infrared = pyramids_of(images)
    levels = zip(luminance, infrared) if of_rgb else zip(infrared, luminance)
    return tuple(traced for level, other in levels for traced in _traced(level.fainter(_LENIENT), other))


def _traced(ridges: Ridges, other: Ridges) -> Iterator[_Traced]:
    side = max(ridges.grey.shape)
    for tone, sign in SIGNS.items():
        for run in ridges.runs(sign, _LEAST_LENGTH * side):
            length = run.length / side
            strength = float(ridges.best[sign, run.rows, run.columns].mean()) / ridges.floor
            yield _Traced(tone, strength * min(1.0, length) ** 0.5, length, run, ridges, other)


def _at(thing: Thing, sight: Sight, of_rgb: bool) -> list[_Traced]:
    """Runs at the places of a thing, the most salient first; of several places, those that reach all."""
    runs = _runs(sight.view.facts.images, of_rgb)
    if thing.places:
        region = places_masks(thing.places, thing.offset)[-1]
        runs = tuple(
            run for run in runs if np.count_nonzero(run.mask & region) >= _INSIDE * np.count_nonzero(run.mask)
        )
    return sorted(runs, key=lambda run: -run.score)


def _best(runs: list[_Traced], tone: str) -> float:
    return max((run.score for run in runs if run.tone == tone), default=0.0)


def judge_line(statement: ThingStatement, sight: Sight) -> str:
    """Whether there is such a line in the infrared: its tone, its place, both of its ends."""
    thing = statement.subject
    if statement.value not in _SIGN:
        return _judge_edge(sight)
    tone = _SIGN[statement.value]
    runs = _at(thing, sight, of_rgb=False)
    same = [run for run in runs if run.tone == tone]
    score, against = _best(runs, tone), _best(runs, "bright" if tone == "dark" else "dark")
    if not same and statement.value in ("black", "white") and against >= 0.6:
        return "contradicted"
    if not same and _response(thing, tone, sight) >= _RESPONSE:
        return "unverifiable"
    if score < _UNTRACED or not same or _too_pale(statement.value, same):
        return "contradicted"
    if score < 0.55 and against >= 2 * score:
        return "contradicted"
    if len(thing.places) >= 2:
        return _judge_course(thing, same)
    return "supported" if score >= _TRACED and not _pale(statement.value, same) else "unverifiable"


def _response(thing: Thing, tone: str, sight: Sight) -> float:
    """How near the strongest pixels of a place come to the floor of a run, though none is traced."""
    ridges = pyramids_of(sight.view.facts.images)[1][0]
    region = places_masks(thing.places, thing.offset)[-1] if thing.places else np.ones((GRID, GRID), bool)
    height, width = ridges.grey.shape
    there = np.asarray(Image.fromarray(region).resize((width, height), Image.Resampling.NEAREST))
    return float(np.quantile(ridges.best[SIGNS[tone]][there], 0.97)) / ridges.floor / _LENIENT


def _too_pale(value: str, runs: list[_Traced]) -> bool:
    """Whether no run is as black or as white as is said."""
    if value == "black":
        return min(run.here.mean for run in runs) > _BLACK_RUN[1]
    return value == "white" and max(run.here.mean for run in runs) < _WHITE_RUN[1]


def _pale(value: str, runs: list[_Traced]) -> bool:
    salient = runs[0].here.mean
    return value == "black" and salient > _BLACK_RUN[0] or value == "white" and salient < _WHITE_RUN[0]


def _judge_course(thing: Thing, runs: list[_Traced]) -> str:
    """A line from one place to another reaches both, alone or as two pieces."""
    for run in runs:
        near = ndimage.binary_dilation(run.mask, iterations=2)
        if all((near & place_masks(place)[1]).any() for place in thing.places) and run.length >= 0.4:
            return "supported" if run.score >= _TRACED else "unverifiable"
    return "contradicted" if max(run.length for run in runs) < 0.4 else "unverifiable"


def _judge_edge(sight: Sight) -> str:
    """Whether a border runs through the image at all."""
    smooth = ndimage.gaussian_filter(sight.view.grey, 1.0)
    steps = np.hypot(*np.gradient(smooth))
    strongest = float(np.quantile(steps, 0.97))
    return "supported" if strongest >= _EDGE else "contradicted" if strongest <= _NO_EDGE else "unverifiable"


def _is_part(thing: Thing) -> bool:
    """Whether it is wide enough to be judged by its pixels: `the pale strip across the middle`."""
    return thing.head in WIDE and bool(thing.colours or thing.tones or len(thing.looks) > 1)


def is_line(thing: Thing) -> bool:
    """Whether it is judged by what is traced: a road, and no wide strip."""
    return thing.looks[:1] == ("line",) and not _is_part(thing)


def line_masks(thing: Thing, sight: Sight) -> list[np.ndarray]:
    """Masks of the two most salient runs that fit a description in RGB; where none does, of those in the infrared."""
    seen = _transferred(thing, sight) or _at(thing, sight, of_rgb=False)[:2]
    return [run.mask for run in seen if run.score >= _TRACED]


def judge_line_tone(statement: ThingStatement, sight: Sight) -> str | None:
    """The tone of a line that is seen in RGB, or that the infrared has at its place; None for a wide strip."""
    thing = statement.subject
    if _is_part(thing) or statement.value not in _SIGN:
        return None
    tone, other = _SIGN[statement.value], "bright" if _SIGN[statement.value] == "dark" else "dark"
    here = _at(thing, sight, of_rgb=False)
    same, against = _best(here, tone), _best(here, other)
    seen = _transferred(thing, sight)
    sign = 1 if tone == "bright" else -1
    agreeing = sum(sign * run.there.step >= _STEP for run in seen)
    opposing = sum(sign * run.there.step <= -_LEVEL for run in seen)
    if seen and statement.value in ("black", "white"):
        means = [run.there.mean for run in seen]
        if min(means) > _BLACK_RUN[1] if statement.value == "black" else max(means) < _WHITE_RUN[1]:
            return "contradicted"
    if statement.value in ("black", "white") and (not here or _too_pale(statement.value, here)):
        return "contradicted"
    if opposing > agreeing and same < 1.5 * against or against >= 2 * same and against >= 0.6:
        return "contradicted"
    if agreeing > opposing or same >= max(_TRACED, 1.3 * against):
        return "supported"
    return "unverifiable"


def _transferred(thing: Thing, sight: Sight) -> list[_Traced]:
    """The most salient lines of the RGB that fit the description."""
    runs = _at(thing, sight, of_rgb=True)
    if thing.tones and thing.image != "infrared":
        tone = "bright" if thing.tones[0] > 0 else "dark"
        runs = [run for run in runs if run.tone == tone] or runs
    return [run for run in runs[:2] if run.score >= 0.6]


def line_apart(statement: ThingStatement, sight: Sight) -> str | None:
    """Whether a line of the RGB is lost in the infrared; None for a wide strip."""
    thing = statement.subject
    if _is_part(thing):
        return None
    runs = _at(thing, sight, of_rgb=True)
    if thing.tones:
        tone = "bright" if thing.tones[0] > 0 else "dark"
        runs = [run for run in runs if run.tone == tone]
    runs = [run for run in runs[:2] if run.score >= 0.6]
    if not runs:
        return None
    ratio = min(abs(run.there.step) / max(abs(run.here.step), 4.0) for run in runs)
    if statement.value in ("lost", "less"):
        return "supported" if ratio <= 0.5 else "contradicted" if ratio >= 1.0 else "unverifiable"
    if statement.value == "more":
        return "supported" if ratio >= 1.1 else "contradicted" if ratio <= 0.7 else "unverifiable"
    seen = max(abs(run.there.step) for run in runs)
    return "supported" if seen >= _STEP else reversed_verdict("supported") if seen <= _LEVEL else "unverifiable"
