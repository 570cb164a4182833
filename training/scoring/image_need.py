"""Which image a model needed for what it says: results of showing it both, one, none, and another tile's."""

from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Self

import numpy as np

from dataset_builder.claims.grounding import FACT_KINDS, InfraredFacts
from dataset_builder.claims.judging import judge
from training.scoring.results import Result
from training.scoring.significance import clustered_mean
from training.scoring.vlm_results import Difference, FactAccuracy

# Kinds of claims that are judged by both images
OF_PAIRS = ("thing", "relation", "local relation", "object relation", "disagreement", "visible")
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
class PairSupport(Result):
    """Claims about the pair in a condition's captions.

    Args:
        supported: Mean over captions of the share of their claims about the pair that are supported; a caption
            without any counts as 0.
        interval: Ends of its 95 % bootstrap interval over tiles.
        claims: How many a caption makes.
    """

    supported: float
    interval: tuple[float, float]
    claims: float

    @classmethod
    def of_shares(cls, shares: np.ndarray, counts: np.ndarray, tiles: Sequence[str], seed: int) -> Self:
        """Summarises the shares and counts of `pair_claims`, `(rows,)` each."""
        value, low, high = clustered_mean(shares, tiles, seed)
        return cls(value, (low, high), float(counts.mean()))


@dataclass(frozen=True)
class NeedResults(Result):
    """What a model says when it is shown both images, one, none, and another tile's.

    Args:
        pairs, seed, prompt: As of `VlmResults`.
        facts: Facts stated as measured, by condition (`both`, `ir_alone`, `rgb_alone`, `neither`, `ir_shuffled`,
            `rgb_shuffled`, `both_shuffled`).
        claims: Verdicts on all claims by condition and kind of claim.
        needed: By kind of fact, the share of pairs for which it was right with both images only, with infrared alone
            too, with RGB alone too, with either, with none, and never with both; these add up to 1.
        captions: Of the first pairs, by condition.
        tiles: Of how many tiles the pairs are, which intervals are over.
        pair_claims: Claims about the pair by condition, and in the dataset's own joint captions, `reference`.
        costs: By condition but `both` what is lost, by kind of fact, `mean` and `pair_claims`.
    """

    pairs: int
    seed: int
    prompt: str
    facts: dict[str, FactAccuracy]
    claims: dict[str, dict[str, ClaimSupport]]
    needed: dict[str, dict[str, float]]
    captions: dict[str, list[str]]
    tiles: int | None = None
    pair_claims: dict[str, PairSupport] | None = None
    costs: dict[str, dict[str, Difference]] | None = None


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


def pair_claims(
    texts: Sequence[str], facts: Sequence[InfraredFacts], kinds: Sequence[str] = OF_PAIRS
) -> tuple[np.ndarray, np.ndarray]:
    """Returns the share of each text's claims about the pair that are supported, 0 without any, and their number.

    Args:
        texts: One a pair.
        facts: Of the pairs, with RGB, `(rows,)`.
        kinds: Of the claims that count.
    """
    shares, counts = np.zeros(len(texts)), np.zeros(len(texts))
    for row, (text, fact) in enumerate(zip(texts, facts, strict=True)):
        verdicts = [judged.verdict for judged in judge(text, fact) if judged.claim.kind in kinds]
        counts[row] = len(verdicts)
        shares[row] = verdicts.count("supported") / max(len(verdicts), 1)
    return shares, counts


def swap_costs(
    matches: Mapping[str, np.ndarray], supports: Mapping[str, np.ndarray], tiles: Sequence[str], seed: int
) -> dict[str, dict[str, Difference]]:
    """Returns what each condition loses against `both`, by kind of fact, of their `mean` and of `pair_claims`.

    Args:
        matches: Bool `(rows, kinds)` by condition.
        supports: Shares of `pair_claims` by condition, `(rows,)`.
        tiles: Of each row: rows of one are resampled together.
        seed: Of the resampling.
    """

    def scores(name: str) -> dict[str, np.ndarray]:
        table = matches[name].astype(float)
        return {**dict(zip(FACT_KINDS, table.T)), "mean": table.mean(1), "pair_claims": supports[name]}

    both = scores("both")
    return {
        name: {
            kind: Difference(*clustered_mean(both[kind] - lost, tiles, seed)) for kind, lost in scores(name).items()
        }
        for name in matches
        if name != "both"
    }
