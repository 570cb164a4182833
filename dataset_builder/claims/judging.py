"""What a caption claims about an infrared image, and whether the measured facts support it.

Standard library and numpy only: a metric's release copies the whole folder. The kinds of claims are judged in
`image_verdicts`, `place_verdicts` and `visible_verdicts`.
"""

from dataclasses import dataclass
from functools import lru_cache

from .grounding import FACT_KINDS, InfraredFacts
from .image_verdicts import judge_contrast, judge_level, judge_share, judge_targets, judge_texture
from .image_view import View
from .place_verdicts import judge_bright, judge_brightest, judge_compare, judge_dark, judge_darkest
from .reading import Claim, read_claims
from .thing_verdicts import judge_thing
from .visible_verdicts import (
    judge_disagreement,
    judge_local_relation,
    judge_object_relation,
    judge_relation,
    judge_visible,
)

_VERDICTS = {
    "level": judge_level,
    "share": judge_share,
    "contrast": judge_contrast,
    "texture": judge_texture,
    "brightest": judge_brightest,
    "darkest": judge_darkest,
    "bright": judge_bright,
    "dark": judge_dark,
    "compare": judge_compare,
    "relation": judge_relation,
    "local relation": judge_local_relation,
    "object relation": judge_object_relation,
    "disagreement": judge_disagreement,
    "visible": judge_visible,
    "targets": judge_targets,
}


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


@lru_cache(
    maxsize=256
)  # of captions whose facts hold images: a caption that a rule has judged is judged again where its claims are counted
def _judged(caption: str, facts: InfraredFacts) -> tuple[Judged, ...]:
    view = _view(facts)
    return tuple(Judged(claim, _verdict(claim, view)) for claim in read_claims(caption, facts.images is not None))


_view = lru_cache(maxsize=16)(View)  # captions are written and judged one pair after the other


def _verdict(claim: Claim, view: View) -> str:
    """Of a sentence that is judged alone and again within its caption, each claim is judged once."""
    key = claim.kind, claim.value, claim.thing
    if key not in view.verdicts:
        judged = (
            judge_thing(claim.thing, view) if claim.thing is not None else _VERDICTS[claim.kind](claim.value, view)
        )
        view.verdicts[key] = judged
    return view.verdicts[key]


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
