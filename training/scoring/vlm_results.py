"""What the evaluation of a two-image VLM finds, as its metrics.json holds it."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Self

import numpy as np

from dataset_builder.claims.grounding import FACT_KINDS
from training.scoring.results import Result, check_keys
from training.scoring.significance import bootstrap_mean, paired_bootstrap

SUMMARIES = ("mean", "interval", "by_band")


@dataclass(frozen=True)
class FactAccuracy(Result):
    """How often captions state measured facts as measured.

    Args:
        kinds: By kind of fact; in JSON these keys stand beside the others.
        mean: Over kinds.
        interval: Ends of the mean's 95 % bootstrap interval over pairs.
        by_band: The mean within each `ir_band`.
    """

    kinds: dict[str, float]
    mean: float
    interval: tuple[float, float]
    by_band: dict[str, float]

    @classmethod
    def of_matches(cls, matches: np.ndarray, bands: np.ndarray) -> Self:
        """Summarises a match table.

        Args:
            matches: Bool `(rows, len(FACT_KINDS))`.
            bands: `ir_band` of each row, `(rows,)`.
        """
        _, low, high = bootstrap_mean(matches.mean(1))
        return cls(
            kinds=dict(zip(FACT_KINDS, matches.mean(0).tolist())),
            mean=float(matches.mean()),
            interval=(low, high),
            by_band={band: float(matches[bands == band].mean()) for band in np.unique(bands).tolist()},
        )

    def as_dict(self) -> dict[str, Any]:
        """As of every result, without the level of `kinds`."""
        return self.kinds | {"mean": self.mean, "interval": list(self.interval), "by_band": self.by_band}

    @classmethod
    def from_json(cls, content: Mapping[str, Any]) -> Self:
        """As of every result."""
        check_keys(cls, content, {*FACT_KINDS, *SUMMARIES}, {*SUMMARIES})
        kinds = {kind: value for kind, value in content.items() if kind in FACT_KINDS}
        return cls(kinds, content["mean"], tuple(content["interval"]), content["by_band"])


@dataclass(frozen=True)
class Difference(Result):
    """A difference of two means, with the ends of its 95 % interval."""

    value: float
    low: float
    high: float

    @classmethod
    def between(cls, matches: np.ndarray, others: np.ndarray, seed: int) -> Self:
        """Returns how much more often the first state facts as measured; both `(rows, kinds)`, paired over rows."""
        return cls(*paired_bootstrap(matches.mean(1), others.mean(1), seed=seed))


@dataclass(frozen=True)
class CaptionExample(Result):
    """One scored pair, without its images.

    Args:
        sample_id, ir_band: Of the pair.
        reference: The sentence of its measured facts.
        captions: Generated ones, by condition.
        matches: By kind of fact: whether the caption of the pair's own images states it as measured.
        facts: As measured.
        donor: The pair whose images stood in where they were shuffled.
    """

    sample_id: str
    ir_band: str
    reference: str | None
    captions: dict[str, str]
    matches: dict[str, bool]
    facts: dict[str, Any]
    donor: str


@dataclass(frozen=True)
class VlmResults(Result):
    """All that is scored of a two-image VLM.

    Args:
        pairs: How many were scored.
        seed: Of the draw and the shuffling.
        prompt: What the captions answer.
        constant_caption: The most frequent value of each kind of fact in the training split.
        accuracy: By condition, `constant` and `ir_shuffled_donor`: the captions written with another tile's infrared,
            against that tile's own facts.
        differences: Mean of the own images' captions minus that of each control, paired over pairs.
        examples: All scored pairs.
    """

    pairs: int
    seed: int
    prompt: str
    constant_caption: dict[str, str]
    accuracy: dict[str, FactAccuracy]
    differences: dict[str, Difference]
    examples: list[CaptionExample]
