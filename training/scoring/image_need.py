"""Which image a model needed for what it says: results of showing it both, one, none, and another tile's."""

from collections import Counter
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Self

import numpy as np

from dataset_builder.claims.grounding import FACT_KINDS
from training.scoring.results import Result
from training.scoring.vlm_results import FactAccuracy

NEEDS = ("both_only", "ir_suffices", "rgb_suffices", "either_suffices", "none_needed", "never_right")


@dataclass(frozen=True)
class ClaimSupport(Result):
    """Verdicts on the claims of one kind.

    Args:
        claims: How many were made.
        supported, contradicted: Shares of them; the rest is not measured.
    """

    claims: int
    supported: float
    contradicted: float

    @classmethod
    def of_verdicts(cls, counts: Counter[str]) -> Self:
        """Summarises verdicts of the judge."""
        total = sum(counts.values())
        return cls(total, counts["supported"] / total, counts["contradicted"] / total)


@dataclass(frozen=True)
class NeedResults(Result):
    """What a model says when it is shown both images, one, none, and another tile's.

    Args:
        pairs, seed, prompt: As of `VlmResults`.
        facts: Facts stated as measured, by condition (`both`, `ir_alone`, `rgb_alone`, `neither`, `ir_shuffled`,
            `rgb_shuffled`).
        claims: Verdicts on all claims by condition and kind of claim.
        needed: By kind of fact, the share of pairs for which it was right with both images only, with infrared alone
            too, with RGB alone too, with either, with none, and never with both; these add up to 1.
        captions: Of the first pairs, by condition.
    """

    pairs: int
    seed: int
    prompt: str
    facts: dict[str, FactAccuracy]
    claims: dict[str, dict[str, ClaimSupport]]
    needed: dict[str, dict[str, float]]
    captions: dict[str, list[str]]


def needed(matches: Mapping[str, np.ndarray]) -> dict[str, dict[str, float]]:
    """Returns, by kind of fact, the share of pairs of each of `NEEDS`.

    Args:
        matches: Bool `(pairs, kinds)` of `both`, `ir_alone`, `rgb_alone` and `neither`.
    """
    both, infrared, rgb, neither = (matches[name] for name in ("both", "ir_alone", "rgb_alone", "neither"))
    cases = {
        "both_only": both & ~infrared & ~rgb & ~neither,
        "ir_suffices": both & infrared & ~rgb & ~neither,
        "rgb_suffices": both & rgb & ~infrared & ~neither,
        "either_suffices": both & infrared & rgb & ~neither,
        "none_needed": both & neither,
        "never_right": ~both,
    }
    shares = {name: table.mean(0).tolist() for name, table in cases.items()}
    return {kind: {name: shares[name][column] for name in NEEDS} for column, kind in enumerate(FACT_KINDS)}
