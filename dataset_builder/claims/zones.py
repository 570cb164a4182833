"""What words mean in numbers: a zone of values where a claim holds, one where it may, and none; verdicts joined."""

import bisect
from collections.abc import Sequence

from .grounding import RELATION_CORRELATION

# What people mean by a word, beside the class of that name: (wrong up to, right from, right to, wrong from). Between
# wrong and right a claim is unverifiable. Calibrated on the open and the practice part of
# tests/benchmarks/grounded_claims and rounded. The stronger a statement, the stricter its zone.
_ANY = float("inf")
LEVEL_WORDS = {  # mean of mean and median, grey levels
    "very dark": (-_ANY, -_ANY, 70, 92),
    "dark": (-_ANY, -_ANY, 105, 120),
    "medium": (80, 97, 158, 172),
    "bright": (125, 142, _ANY, _ANY),
    "very bright": (155, 178, _ANY, _ANY),
    "not dark": (85, 115, _ANY, _ANY),
    "not bright": (-_ANY, -_ANY, 145, 170),
}
CONTRAST_WORDS = {  # spread, grey levels
    "none": (-_ANY, -_ANY, 16, 30),
    "very low": (-_ANY, -_ANY, 50, 72),
    "low": (-_ANY, -_ANY, 75, 97),
    "moderate": (45, 65, 150, 175),
    "high": (82, 98, _ANY, _ANY),
    "very high": (95, 115, _ANY, _ANY),
}
GRAIN_WORDS = {  # grain
    "smooth": (-_ANY, -_ANY, 0.53, 0.62),
    "moderately textured": (0.12, 0.2, 0.9, 1.4),
    "uneven": (0.32, 0.39, _ANY, _ANY),
    "strongly textured": (0.43, 0.6, _ANY, _ANY),
    "grainy": (0.43, 0.6, _ANY, _ANY),
}
ROUGHNESS_WORDS = {  # roughness, grey levels: what hardly shows is no texture, however flat the rest
    "featureless": (-_ANY, -_ANY, 1.8, 2.6),
    "uneven": (3.6, 4.4, _ANY, _ANY),
    "strongly textured": (4.1, 5.0, _ANY, _ANY),
    "grainy": (4.1, 5.0, _ANY, _ANY),
}
FEATURELESS_SPREAD = (-_ANY, -_ANY, 45, 60)
SHARPNESS_WORDS = {"sharp": (0.26, 0.3, _ANY, _ANY), "soft": (-_ANY, -_ANY, 0.26, 0.3)}
EDGE_WORDS = {"sharp": (0.03, 0.07, _ANY, _ANY), "soft": (-_ANY, -_ANY, 0.02, 0.05)}  # share of strong edges
SHARE_WORDS = {  # share of the area above or below mid grey, or of its bright or dark third
    "mostly bright": (0.3, 0.5, _ANY, _ANY),
    "mostly dark": (0.3, 0.5, _ANY, _ANY),
    "nearly bright": (0.6, 0.78, _ANY, _ANY),
    "nearly dark": (0.6, 0.78, _ANY, _ANY),
    "mostly white": (0.35, 0.55, _ANY, _ANY),
    "mostly black": (0.35, 0.55, _ANY, _ANY),
    "no bright": (-_ANY, -_ANY, 0.06, 0.15),
    "no dark": (-_ANY, -_ANY, 0.06, 0.15),
    "all bright": (-_ANY, -_ANY, 0.08, 0.18),
    "all dark": (-_ANY, -_ANY, 0.08, 0.18),
    "all medium": (-_ANY, -_ANY, 0.2, 0.4),
}
CORRELATION_WORDS = {
    "follows": (0.3, 0.5, _ANY, _ANY),
    "follows closely": (0.6, 0.75, _ANY, _ANY),
    "different": (-_ANY, -_ANY, RELATION_CORRELATION, 0.7),
    "inverted": (-_ANY, -_ANY, -0.15, 0.15),
}
EXTREME_SHARE = (0.26, 0.45)  # of the most extreme 3 % of the image, in the place of a superlative
EXTREME_FIRST = 0.1  # the same where the place's mean is the most extreme, too
EXTREME_BEHIND = (0.02, 0.045)  # how far its mean stays behind the extreme: as good as first, not far off; of spread
SPOT = (0.79, 0.86)  # rank among all pixels of a place's brightest tenth: no bright region below, one above
SPOT_SIDE = 11  # of the window whose median a small thing is held against, pixels of the grid
SPOT_RISE = (0.12, 0.3)  # of a small thing above that median, shares of the spread
NARROW = 0.88  # rank of its brightest pixels from which something narrow may be meant
FAINT = (8.0, 12.0)  # how far they must depart from the median, grey levels
AREA = (0.48, 0.56)  # the rank of its mean, where all of it is meant
COMPARED = (-0.03, 0.03)  # difference of two places' means, shares of the spread
PART = (0.15, 0.4)  # share of the visible image's part that looks as claimed
MOST = (0.58, 0.75)  # mean rank of the part that is said to be the brightest or the darkest
SAME = (60.0, 35.0)  # mean distance from the luminance of the part that is said to be as bright or dark
DIFFERENCE = (-5.0, 5.0)  # infrared minus luminance, grey levels
CELL_MARGIN = 4.0  # grey levels
BLACK_PIXELS, WHITE_PIXELS = (52.0, 64.0), (165.0, 190.0)  # a place's extreme pixels, for `black` and `white` there


def zone(value: float, borders: tuple[float, float, float, float]) -> str:
    """Judges a value: right between the inner two borders, wrong beyond the outer two, open between."""
    wrong_below, right_from, right_to, wrong_above = borders
    if right_from <= value <= right_to:
        return "supported"
    return "contradicted" if value <= wrong_below or value >= wrong_above else "unverifiable"


def step(value: float, borders: tuple[float, float]) -> str:
    """Judges a value: wrong below the first border, right from the second on, open between."""
    return "contradicted" if value < borders[0] else "supported" if value >= borders[1] else "unverifiable"


def classed(name: str, names: Sequence[str], value: float, borders: Sequence[float]) -> bool:
    """Tells whether a value is of the class of this name; `borders` part the classes of `names`."""
    return name in names and names[bisect.bisect_right(borders, value)] == name


_SEVERITY = ("contradicted", "unverifiable", "supported")


def least(*verdicts: str) -> str:
    """The least favourable of these verdicts, where all of them must hold."""
    return min(verdicts, key=_SEVERITY.index)


def most(*verdicts: str) -> str:
    """The most favourable of these verdicts, where one of them is enough."""
    return max(verdicts, key=_SEVERITY.index)


def reversed_verdict(verdict: str) -> str:
    """The verdict on the denial of what was judged."""
    return {"supported": "contradicted", "contradicted": "supported"}.get(verdict, verdict)
