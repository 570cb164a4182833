"""What verdicts on things share: masks, tones of masks, and one verdict of several.

Standard library and numpy only: a metric's release copies the whole folder.
"""

from collections.abc import Iterable

import numpy as np

from .image_view import View
from .thing_lines import is_line, line_masks
from .thing_masks import Sight
from .things import Thing
from .zones import step

# Means of a thing's pixels in grey levels, and their mean rank in the image. A tone is right by either pair and wrong
# where both are beyond the other.
BLACK_THING, WHITE_THING = (82.0, 105.0), (175.0, 148.0)


def kindest(verdicts: Iterable[str]) -> str:
    """The kindest verdict, unless several masks say the opposite."""
    verdicts = list(verdicts)
    right, wrong = verdicts.count("supported"), verdicts.count("contradicted")
    if right:
        return "supported" if wrong <= 0.34 * len(verdicts) else "unverifiable"
    return "contradicted" if verdicts and wrong >= 0.75 * len(verdicts) else "unverifiable"


def masks_of(sight: Sight, thing: Thing, subject: np.ndarray | None = None) -> list[np.ndarray]:
    """Candidate masks of a thing; of a line, those that are traced in RGB, else in the infrared."""
    return line_masks(thing, sight) if is_line(thing) else sight.masks(thing, subject)


def mean_rank(mask: np.ndarray, view: View) -> tuple[float, float]:
    """Mean of the infrared in a mask, grey levels, and mean rank among all of its tones."""
    return float(view.grey[mask].mean()), float(view.ranks[mask].mean())


def tone_verdict(value: str, mask: np.ndarray, view: View) -> str:
    """Whether pixels have a tone: absolute, and for dark and bright beside the rest of the image, too."""
    mean, rank = mean_rank(mask, view)
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
