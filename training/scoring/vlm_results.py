"""What the evaluation of a two-image VLM finds, as its metrics.json holds it."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Self

import numpy as np

from dataset_builder.claims.grounding import FACT_KINDS
from training.scoring.fact_groups import GroupAccuracy
from training.scoring.places import Following, PlaceAccuracy
from training.scoring.results import Result, check_keys
from training.scoring.significance import clustered_mean

SUMMARIES = ("mean", "interval", "by_band")  # in every file; `by_source` in those of later versions


@dataclass(frozen=True)
class FactAccuracy(Result):
    """How often captions state measured facts as measured.

    Args:
        kinds: By kind of fact; in JSON these keys stand beside the others.
        mean: Over kinds.
        interval: Ends of the mean's 95 % bootstrap interval, over tiles where these are known, else over pairs.
        by_band: The mean within each `ir_band`.
        by_source: The mean within each `source_dataset`; None: not told.
    """

    kinds: dict[str, float]
    mean: float
    interval: tuple[float, float]
    by_band: dict[str, float]
    by_source: dict[str, float] | None = None

    @classmethod
    def of_matches(
        cls,
        matches: np.ndarray,
        bands: np.ndarray,
        sources: np.ndarray | None = None,
        tiles: Sequence[str] | None = None,
    ) -> Self:
        """Summarises a match table.

        Args:
            matches: Bool `(rows, len(FACT_KINDS))`.
            bands, sources: `ir_band` and `source_dataset` of each row, `(rows,)`.
            tiles: Of each row: rows of one are resampled together; None: each row for itself.
        """
        _, low, high = clustered_mean(matches.mean(1), tiles)
        return cls(
            kinds=dict(zip(FACT_KINDS, matches.mean(0).tolist())),
            mean=float(matches.mean()),
            interval=(low, high),
            by_band=_means_within(matches, bands),
            by_source=None if sources is None else _means_within(matches, sources),
        )

    def as_dict(self) -> dict[str, Any]:
        """As of every result, without the level of `kinds`."""
        summaries = {"mean": self.mean, "interval": list(self.interval), "by_band": self.by_band}
        return self.kinds | summaries | ({} if self.by_source is None else {"by_source": self.by_source})

    @classmethod
    def from_json(cls, content: Mapping[str, Any]) -> Self:
        """As of every result."""
        check_keys(cls, content, {*FACT_KINDS, *SUMMARIES, "by_source"}, {*SUMMARIES})
        kinds = {kind: value for kind, value in content.items() if kind in FACT_KINDS}
        return cls(kinds, content["mean"], tuple(content["interval"]), content["by_band"], content.get("by_source"))


def _means_within(matches: np.ndarray, names: np.ndarray) -> dict[str, float]:
    return {name: float(matches[names == name].mean()) for name in np.unique(names).tolist()}


@dataclass(frozen=True)
class Difference(Result):
    """A difference of two means, with the ends of its 95 % interval."""

    value: float
    low: float
    high: float

    @classmethod
    def between(cls, matches: np.ndarray, others: np.ndarray, seed: int, tiles: Sequence[str] | None = None) -> Self:
        """Returns how much more often the first state facts as measured.

        Args:
            matches, others: Bool `(rows, kinds)`, paired over rows.
            seed: Of the resampling.
            tiles: As for `FactAccuracy.of_matches`.
        """
        return cls(*clustered_mean(matches.mean(1) - others.mean(1), tiles, seed))


@dataclass(frozen=True)
class CaptionExample(Result):
    """One scored pair, without its images.

    Args:
        sample_id, ir_band: Of the pair.
        reference: The sentence of its measured facts, None where an older version scored a pair without a caption.
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
        tiles: Of how many tiles they are, which intervals are over.
        places: Of the captions, by condition and kind of place, against what is measured on the infrared that was
            shown (another tile's, or inverted); without any, against the row's own.
        inversion: Whether captions follow inverted infrared.
        groups: Of the captions, by what a group's pairs do not share and kind of fact.
        likelihood: As `accuracy`, of the likeliest of all values at their places in the captions.
        likelihood_places: As `places`, of these.
        questions: As `accuracy`, of the likeliest of all answers to questions about single facts.
        question_groups: As `groups`, of these.
    """

    pairs: int
    seed: int
    prompt: str
    constant_caption: dict[str, str]
    accuracy: dict[str, FactAccuracy]
    differences: dict[str, Difference]
    examples: list[CaptionExample]
    tiles: int | None = None
    places: dict[str, dict[str, PlaceAccuracy]] | None = None
    inversion: Following | None = None
    groups: dict[str, dict[str, GroupAccuracy]] | None = None
    likelihood: dict[str, FactAccuracy] | None = None
    likelihood_places: dict[str, dict[str, PlaceAccuracy]] | None = None
    questions: dict[str, FactAccuracy] | None = None
    question_groups: dict[str, dict[str, GroupAccuracy]] | None = None


@dataclass(frozen=True)
class LongerReading(Result):
    """What the bench's longer recipe reads, for the page of a shorter run: `training/recipes/vlm_reading.json`.

    Args:
        what: In words.
        seeds: Whose mean it is.
        pairs, tiles: Held-out pairs, and the tiles they are of.
        hardware: Where it ran.
        facts: Share of captions that state each kind of fact as measured, and their mean.
    """

    what: str
    seeds: list[int]
    pairs: int
    tiles: int
    hardware: str
    facts: dict[str, float]
