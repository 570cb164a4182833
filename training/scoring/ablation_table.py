"""The table of a matrix of runs: mean recall of every recipe, beside a reference, with paired intervals over tiles."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from datasets import Dataset

from fusionrs_hf.encoders import Encoder
from model_cards.markdown import markdown_table
from training.scoring.embedded_rows import embed_rows, image_ranks, text_ranks
from training.scoring.recall_tables import MODALITIES, published_directions, tally
from training.scoring.significance import bootstrap_groups

DRAWS = 10_000
SCENE, IR_AWARE = published_directions("scene"), published_directions("ir_aware")
MEASURES = {  # directions that count alike
    "mean recall": SCENE + IR_AWARE,  # of both kinds of caption: the mean of the two below
    "with scene captions": SCENE,  # the published score
    "with IR-aware captions": IR_AWARE,
    "infrared and scene captions": SCENE[:2],
    "RGB and infrared": SCENE[2:],
    "fused and scene captions": ("fused_to_text/scene", "text_to_fused/scene"),
}


@dataclass(slots=True)
class Tallies:
    """What `recall_tables.tally` counts, over several subsets of rows.

    Args:
        groups: Names of image groups, `(groups,)`.
        columns: `<subset>|<direction>`, where a subset is `held_out_region/nir` and so on.
        hits, queries: `(groups, columns)`.
    """

    groups: np.ndarray
    columns: tuple[str, ...]
    hits: np.ndarray
    queries: np.ndarray

    def save(self, path: Path) -> None:
        """Writes an .npz that `load` reads."""
        np.savez_compressed(
            path, groups=self.groups, columns=np.array(self.columns), hits=self.hits, queries=self.queries
        )

    @classmethod
    def load(cls, path: Path) -> "Tallies":
        """Reads what `save` wrote."""
        with np.load(path) as arrays:
            return cls(arrays["groups"], tuple(arrays["columns"].tolist()), arrays["hits"], arrays["queries"])

    def where(self, part: str, directions: Sequence[str]) -> list[int]:
        """Returns the columns of these directions in the subsets of a part, `held_out_region` or `held_out_scene`."""
        keys = [column.split("|") for column in self.columns]
        return [
            index
            for wanted in directions
            for index, (subset, direction) in enumerate(keys)
            if subset.split("/")[0] == part and direction == wanted
        ]


def tally_rows(encoder: Encoder, subsets: Mapping[str, Dataset]) -> Tallies:
    """Ranks the rows of each subset among themselves in all directions, and tallies them."""
    parts = []
    for subset, rows in subsets.items():
        part = embed_rows(encoder, rows)
        part.images["fused"] = encoder.fuse(part.images["rgb"], part.images["ir"])
        ranks = image_ranks(part) | text_ranks(part, MODALITIES)
        groups, hits, queries = tally(part, ranks, list(ranks))
        parts.append(Tallies(groups, tuple(f"{subset}|{direction}" for direction in ranks), hits, queries))
    return merged(parts)


def merged(parts: Sequence[Tallies]) -> Tallies:
    """Returns tallies of different subsets as one; of no part, one without groups and columns."""
    groups = np.unique(np.concatenate([np.zeros(0, "U1"), *(part.groups for part in parts)]))
    columns = tuple(column for part in parts for column in part.columns)
    tables = Tallies(groups, columns, np.zeros((len(groups), len(columns))), np.zeros((len(groups), len(columns))))
    start = 0
    for part in parts:
        inside = np.ix_(np.searchsorted(groups, part.groups), range(start, start + len(part.columns)))
        tables.hits[inside], tables.queries[inside] = part.hits, part.queries
        start += len(part.columns)
    return tables


class AblationTable:
    """Compares recipes by their runs.

    Args:
        runs: Tallies by recipe and seed, all of the same rows and with the same seeds.
        reference: The recipe that the others are compared with.
    """

    def __init__(self, runs: Mapping[tuple[str, int], Tallies], reference: str) -> None:
        self.runs, self.reference = runs, reference
        self.names = list(dict.fromkeys(name for name, _ in runs))
        self.seeds = sorted({seed for _, seed in runs})
        columns = next(iter(runs.values())).columns
        self.parts = sorted({column.split("/")[0] for column in columns})
        column_directions = {column.split("|")[1] for column in columns}
        self.measures = {
            name: directions for name, directions in MEASURES.items() if column_directions.issuperset(directions)
        }

    def best(self) -> str:
        """Returns the recipe with the highest first measure there is, averaged over the parts."""
        first = next(iter(self.measures))
        means = {
            name: np.mean([self.cell(name, part, first, draws=1)["mean"][0] for part in self.parts])
            for name in self.names
        }
        return max(means, key=means.get)

    def cell(self, name: str, part: str, measure: str, draws: int = DRAWS) -> dict[str, Any]:
        """Returns one recipe's `mean` (value, low, high), `by_seed`, and the same of its `difference`."""
        recipe_hits, other = (self._hits(recipe, part, measure) for recipe in (name, self.reference))
        queries = self._queries(part, measure)
        difference = recipe_hits - other  # (seeds, groups, columns)
        return {
            "mean": list(bootstrap_groups(recipe_hits.mean(0), queries, draws)),
            "by_seed": [bootstrap_groups(hits, queries, 1).value for hits in recipe_hits],
            "difference": list(bootstrap_groups(difference.mean(0), queries, draws)),
            "difference_by_seed": [list(bootstrap_groups(hits, queries, draws)) for hits in difference],
        }

    def _hits(self, name: str, part: str, measure: str) -> np.ndarray:
        runs = [self.runs[name, seed] for seed in self.seeds]
        return np.stack([run.hits[:, run.where(part, self.measures[measure])] for run in runs])

    def _queries(self, part: str, measure: str) -> np.ndarray:
        run = self.runs[self.reference, self.seeds[0]]
        return run.queries[:, run.where(part, self.measures[measure])]

    def report(self) -> dict[str, Any]:
        """Returns all cells by part, recipe and measure."""
        return {
            part: {name: {measure: self.cell(name, part, measure) for measure in self.measures} for name in self.names}
            for part in self.parts
        }


def markdown(report: Mapping[str, Any], reference: str) -> str:
    """Writes the tables of `AblationTable.report`: in percent, the difference to the reference in brackets.

    A difference whose interval excludes zero is bold.
    """
    pages = []
    for part, recipes in report.items():
        measures = list(next(iter(recipes.values())))
        rows = []
        for name, cells in sorted(recipes.items(), key=lambda item: -item[1][measures[0]]["mean"][0]):
            by_seed = cells[measures[0]]["difference_by_seed"]
            above = "" if name == reference else f"{sum(value > 0 for value, *_ in by_seed)} of {len(by_seed)}"
            rows.append([name, *(_shown(cell, name == reference) for cell in cells.values()), above])
        table = markdown_table(["recipe", *measures, "seeds above"], rows, numbers_from=1)
        pages.append(f"**{part.replace('_', ' ')}**\n\n{table}\n")
    return "\n".join(pages)


def _shown(cell: Mapping[str, Any], is_reference: bool) -> str:
    value = f"{100 * cell['mean'][0]:.1f}"
    if is_reference:
        return value
    _, low, high = cell["difference"]
    between = f"[{100 * low:+.1f}, {100 * high:+.1f}]"
    return f"{value} {f'**{between}**' if low > 0 or high < 0 else between}"
