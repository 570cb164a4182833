"""Group accuracy: two pairs that share an image, one question, opposite answers; right only if both are.

A model that answers by heart, or from the image that both pairs share, is right about one of them at most.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np

from dataset_builder.claims.grounding import (
    CONTRAST_BORDERS,
    FACT_KINDS,
    LEVEL_BORDERS,
    RELATION_DIFFERENCE,
    InfraredFacts,
)
from training.data.fact_texts import VALUES
from training.scoring.answer_choices import Choices
from training.scoring.results import Result
from training.scoring.significance import clustered_mean

MARGIN = 5.0  # grey levels by which an answer must be the measured one and no other
OF_INFRARED = ("level", "contrast", "brightest", "darkest")  # what infrared alone decides
GROUPS = {  # name -> condition of the second pair, kinds asked
    "infrared_of_another_tile": ("ir_shuffled", OF_INFRARED),
    "infrared_inverted": ("ir_inverted", OF_INFRARED),
    "rgb_of_another_tile": ("rgb_shuffled", ("relation",)),
}


@dataclass(frozen=True)
class GroupAccuracy(Result):
    """How often both pairs of a group are answered rightly.

    Args:
        groups: How many have opposite answers by at least `MARGIN`.
        accuracy: Share with both right; None without groups.
        interval: Its 95 % bootstrap interval over tiles.
        chance: Of two independent guesses among all answers.
    """

    groups: int
    accuracy: float | None
    interval: tuple[float, float] | None
    chance: float


def margin(facts: InfraredFacts, kind: str) -> float:
    """Returns by how many grey levels a fact is the measured one and not the next; 0 where it was not measured."""
    if kind in ("brightest", "darkest"):
        return getattr(facts, f"{kind}_margin") if getattr(facts, kind) else 0.0
    if kind == "relation":
        return abs(abs(facts.difference) - RELATION_DIFFERENCE) if facts.relation else 0.0
    value, borders = (facts.mean, LEVEL_BORDERS) if kind == "level" else (facts.spread, CONTRAST_BORDERS)
    return min(abs(value - border) for border in borders)


def group_accuracies(
    choices: Mapping[str, Choices],
    facts: Mapping[str, Sequence[InfraredFacts]],
    tiles: Sequence[str],
    seed: int = 0,
) -> dict[str, dict[str, GroupAccuracy]]:
    """Returns the accuracy of each of `GROUPS` by kind of fact.

    Args:
        choices: Likeliest answers by condition, `own_images` among them.
        facts: As measured under each condition, row by row.
        tiles: Of each row, `(rows,)`: rows of one tile are resampled together.
        seed: Of the resampling.
    """
    scored: dict[str, dict[str, GroupAccuracy]] = {}
    for name, (condition, kinds) in GROUPS.items():
        for kind in kinds:
            first, second = facts["own_images"], facts[condition]
            asked = np.array(
                [
                    getattr(a, kind) != getattr(b, kind) and min(margin(a, kind), margin(b, kind)) >= MARGIN
                    for a, b in zip(first, second, strict=True)
                ]
            )
            right = _right(choices["own_images"], first, kind) & _right(choices[condition], second, kind)
            scored.setdefault(name, {})[kind] = _accuracy(right[asked], np.asarray(tiles)[asked], kind, seed)
    return scored


def written_choices(values: Sequence[Mapping[str, str | None]]) -> Choices:
    """Returns written values as choices."""
    return {
        kind: np.array([-1 if row[kind] is None else VALUES[kind].index(row[kind]) for row in values])
        for kind in FACT_KINDS
    }


def chosen_values(choices: Choices) -> list[dict[str, str | None]]:
    """Returns choices as values, row by row; the other way around."""
    rows = len(choices[FACT_KINDS[0]])
    return [
        {kind: VALUES[kind][choices[kind][row]] if choices[kind][row] >= 0 else None for kind in FACT_KINDS}
        for row in range(rows)
    ]


def match_choices(choices: Choices, facts: Sequence[InfraredFacts]) -> np.ndarray:
    """Returns bool `(rows, len(FACT_KINDS))`: which likeliest answers are as measured."""
    return np.stack([_right(choices, facts, kind) for kind in FACT_KINDS], axis=1)


def _right(choices: Choices, facts: Sequence[InfraredFacts], kind: str) -> np.ndarray:
    places = np.broadcast_to(choices[kind], len(facts))
    return np.array([place >= 0 and getattr(fact, kind) == VALUES[kind][place] for place, fact in zip(places, facts)])


def _accuracy(right: np.ndarray, tiles: np.ndarray, kind: str, seed: int) -> GroupAccuracy:
    chance = 1 / len(VALUES[kind]) ** 2
    if not len(right):
        return GroupAccuracy(0, None, None, chance)
    value, low, high = clustered_mean(right.astype(float), tiles, seed)
    return GroupAccuracy(len(right), value, (low, high), chance)
