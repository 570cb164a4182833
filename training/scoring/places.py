"""How well a model names the cell of an extreme: strictly, nearly, by row and column; whether it follows a change."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Self

import numpy as np

from dataset_builder.claims.grounding import CELLS, FACT_KINDS, InfraredFacts
from training.data.fact_texts import PLACES
from training.scoring.results import Result

NEAR = 5.0  # grey levels between a named cell's mean and the true extreme


@dataclass(frozen=True)
class PlaceAccuracy(Result):
    """How often a named cell is the measured extreme; of all rows that have one.

    Args:
        strict: It is the very cell.
        near: Its mean lies within `NEAR` grey levels of the extreme's.
        row, column: It lies in the extreme's row, and column.
        rank: Mean place of the named cell among all nine by their means, 1 the extreme; 9 where none is named. Chance
            is 5.
    """

    strict: float
    near: float
    row: float
    column: float
    rank: float

    @classmethod
    def of_cells(cls, cells: Sequence[str | None], facts: Sequence[InfraredFacts], kind: str) -> Self:
        """Scores named cells of `kind` (`brightest` or `darkest`) against measured ones, row by row."""
        sign = 1 if kind == "brightest" else -1
        scores = []
        for cell, fact in zip(cells, facts, strict=True):
            true = getattr(fact, kind)
            if true is None:
                continue
            if cell is None:
                scores.append((0, 0, 0, 0, len(CELLS)))
                continue
            means = sign * np.asarray(fact.cell_means)
            place, target = CELLS.index(cell), CELLS.index(true)
            below = means.max() - means[place]
            scores.append(
                (
                    cell == true,
                    below <= NEAR,
                    place // 3 == target // 3,
                    place % 3 == target % 3,
                    1 + int((means > means[place]).sum()),
                )
            )
        return cls(*np.array(scores, dtype=float).mean(0).tolist()) if scores else cls(0.0, 0.0, 0.0, 0.0, 0.0)


def place_scores(
    values: Sequence[Mapping[str, str | None]], facts: Sequence[InfraredFacts]
) -> dict[str, PlaceAccuracy]:
    """Returns the accuracy by kind of place, of each row's values by kind of fact."""
    return {kind: PlaceAccuracy.of_cells([row[kind] for row in values], facts, kind) for kind in PLACES}


@dataclass(frozen=True)
class Following(Result):
    """Whether named cells follow an inverted infrared image, where both were right on the image itself.

    Args:
        rows: How many these are.
        brightest, darkest: Share of them whose cell of the inverted image is the one measured on it.
    """

    rows: int
    brightest: float
    darkest: float

    @classmethod
    def of_matches(cls, own: np.ndarray, inverted: np.ndarray) -> Self:
        """Compares two match tables, bool `(rows, len(FACT_KINDS))`.

        Args:
            own: On the images as they are.
            inverted: On inverted infrared, against what is measured on that.
        """
        columns = [FACT_KINDS.index(kind) for kind in PLACES]
        own, inverted = own[:, columns], inverted[:, columns]
        both = own.all(1)
        shares = inverted[both].mean(0) if both.any() else np.zeros(len(PLACES))
        return cls(int(both.sum()), *map(float, shares))
