"""What the evaluation of a dual-modal CLIP finds, as its metrics.json holds it."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Self

import numpy as np

from training.metrics.cross_modal_recall.cross_modal_recall import summarize
from training.scoring.results import Result, check_keys
from training.scoring.significance import Interval, bootstrap_mean


@dataclass(frozen=True)
class DirectionScores(Result):
    """Several directions asked of the same rows.

    Args:
        queries: Of the first direction.
        scores: By direction, what `summarize` returns.
        intervals: By direction, R@1 with its 95 % bootstrap interval over queries.
        ranks: By direction, the rank of each query, 0 is a hit at 1: of these paired tests are made.
    """

    queries: int
    scores: dict[str, dict[str, float]]
    intervals: dict[str, Interval]
    ranks: dict[str, list[int]]

    @classmethod
    def of_ranks(cls, ranks: Mapping[str, np.ndarray]) -> Self:
        """Summarises ranks by direction, `(queries,)` each."""
        return cls(
            queries=len(next(iter(ranks.values()))),
            scores={name: summarize(values) for name, values in ranks.items()},
            intervals={name: bootstrap_mean(values < 1) for name, values in ranks.items()},
            ranks={name: values.tolist() for name, values in ranks.items()},
        )


@dataclass(frozen=True)
class ModalityScores(Result):
    """Searches by text for one modality and back: what `summarize` returns of either."""

    text_to_image: dict[str, float]
    image_to_text: dict[str, float]


@dataclass(frozen=True)
class MissingModality(Result):
    """Searches by text for RGB alone, infrared alone and both fused, side by side.

    Args:
        rgb, ir, fused: Of the same rows.
        fused_minus: R@1 of text -> fused minus that of text -> `rgb` and of text -> `ir`, paired over texts.
    """

    rgb: ModalityScores
    ir: ModalityScores
    fused: ModalityScores
    fused_minus: dict[str, Interval]


@dataclass(frozen=True)
class SubsetScores(DirectionScores):
    """All directions among the rows of one subset: `held_out_region/nir` and so on.

    Args:
        fused: Fused <-> text; None, as all that follows, where the rows were scored without texts.
        mean_recall: The published mean recall by kind of caption, and `rgb_ir`; with its interval over image groups.
        missing_modality: By kind of caption.
        chance: What random order would score, by direction and by key of `mean_recall`, with the size of the
            `gallery`; see `chance.chance_of`. None in files of former versions.
    """

    fused: DirectionScores | None = None
    mean_recall: dict[str, Interval] | None = None
    missing_modality: dict[str, MissingModality] | None = None
    chance: dict[str, dict[str, float]] | None = None

    def with_fused(self) -> DirectionScores:
        """Returns the scores of fused pairs behind those of single images."""
        if self.fused is None:
            return self
        names = ("scores", "intervals", "ranks")
        return DirectionScores(self.queries, *(getattr(self, name) | getattr(self.fused, name) for name in names))


@dataclass(frozen=True)
class RecallTable(Result):
    """All directions among the rows of one band; arguments as of `SubsetScores`."""

    queries: int
    scores: dict[str, dict[str, float]]
    intervals: dict[str, Interval]
    mean_recall: dict[str, Interval]
    chance: dict[str, dict[str, float]] | None = None


@dataclass(frozen=True)
class FusionSearch(Result):
    """How infrared's weight was looked for.

    Args:
        grid: Mean recall of fused <-> text by weight; empty where there was nothing to choose by.
        text_kind: Kind of caption that counted, None without captions.
        fusion: `mean`, or the model's own.
    """

    grid: dict[float, float]
    text_kind: str | None
    fusion: str


@dataclass(frozen=True)
class FusionChoice(Result):
    """Infrared's weight in the fused mean, and where it comes from.

    Args:
        weight: In [0, 1]; None: as the model fuses.
        search: None where the weight was said; in JSON its keys stand beside the others.
        chosen_on: `validation`, `command line`, or `model`: there was nothing to choose by.
    """

    weight: float | None
    search: FusionSearch | None
    chosen_on: str

    def as_dict(self) -> dict[str, Any]:
        """As of every result, without the level of `search`."""
        return {"weight": self.weight, **(self.search.as_dict() if self.search else {}), "chosen_on": self.chosen_on}

    @classmethod
    def from_json(cls, content: Mapping[str, Any]) -> Self:
        """As of every result."""
        rest = {name: value for name, value in content.items() if name not in ("weight", "chosen_on")}
        check_keys(cls, content, {"weight", "chosen_on", *rest}, {"weight", "chosen_on"})
        return cls(content["weight"], FusionSearch.from_json(rest) if rest else None, content["chosen_on"])


@dataclass(frozen=True)
class ClipResults(Result):
    """All that is scored of a dual-modal CLIP.

    Args:
        trained: By subset of the held-out rows.
        fusion: The weight that fused pairs were scored with; None, as what follows, in files of `trained` alone.
        by_band, by_source: All held-out rows of a split together, by band and by source within band.
        pretrained: Control (a), by subset: the towers as loaded; None where they were not named.
    """

    trained: dict[str, SubsetScores]
    fusion: FusionChoice | None = None
    by_band: dict[str, RecallTable] | None = None
    by_source: dict[str, RecallTable] | None = None
    pretrained: dict[str, DirectionScores] | None = None

    @classmethod
    def from_json(cls, content: Mapping[str, Any]) -> Self:
        """As of every result; a file whose keys all name a subset, `<part>/<band>`, is `trained` without the key."""
        if content and all("/" in name for name in content):
            content = {"trained": content}
        return super().from_json(content)


@dataclass(frozen=True)
class ControlRecall(Result):
    """A trained control in one direction, over its seeds.

    Args:
        mean: R@1 with its interval over queries.
        difference: R@1 of the model that it controls minus its own, paired over queries.
    """

    mean: Interval
    difference: Interval


@dataclass(frozen=True)
class TrainedControls(Result):
    """R@1 of the controls that take trainings of their own, which a run leaves out: `training/recipes/controls.json`.

    Args:
        what: Description, in words.
        seeds: Seeds of the trainings.
        hardware: What they ran on, in words.
        subsets: By subset, direction and control, `grayscale` and `shuffled`.
    """

    what: str
    seeds: list[int]
    hardware: str
    subsets: dict[str, dict[str, dict[str, ControlRecall]]]
