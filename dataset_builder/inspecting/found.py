"""What an inspection found: facts in lines, and a recipe that builds without an edit."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import yaml

NOT_STATED = "not-stated"
TRANSLATE = {"translator": "radiometric", "band": "nir"}
FEW = 50  # rows of which a tenth is no gallery
SMALLEST = 32  # side of the images that the filters keep unless told otherwise


@dataclass(frozen=True, slots=True)
class Found:
    """A kind of data.

    Args:
        title: What it is, in words.
        facts: Lines about it.
        source: Entry of a recipe's `sources`.
        infrared: Whether it has infrared; without it the recipe translates.
        captions: Whether it has captions.
        scene: Whether rows are tiles of scenes: hashes would then join fields with fields.
        prescribed: Whether its folders, files or grid tell the splits.
        more: Other keys of the recipe, such as `ir_range`.
        smallest: Side of the smallest image seen, in pixels.
        rows: Number of them, where known; few are divided in train and test alone.
    """

    title: str
    facts: Sequence[str]
    source: Mapping[str, Any]
    infrared: bool = False
    captions: bool = False
    scene: bool = False
    prescribed: bool = False
    more: Mapping[str, Any] = field(default_factory=dict)
    smallest: int = SMALLEST
    rows: int | None = None

    def recipe(self) -> dict[str, Any]:
        """Returns the recipe, as `load_recipe` reads it from YAML."""
        name = str(self.source.get("source_dataset") or Path(str(self.source["path"])).stem)
        filters: dict[str, Any] = {} if self.captions else {"caption_empty": False}
        if self.smallest < SMALLEST:
            filters["image_too_small"] = {"min_side": self.smallest}
        told = {"name": name, "sources": [dict(self.source)]}
        told |= {} if self.infrared else {"translate": dict(TRANSLATE)}
        told |= {"caption": {"captioner": "grounded"}} | dict(self.more)
        told |= {"filters": filters} if filters else {}
        told |= {"groups": {"relations": ["bytes", "footprint"]}} if self.scene else {}
        few = self.rows is not None and self.rows < FEW
        drawn = {"validation": 0, "test": 0.25} if few else {"validation": 0.1, "test": 0.1}
        splits = {"validation": 0, "test": 0} if self.prescribed else drawn
        return told | {"splits": {"by": "source" if self.prescribed else "hash", **splits}}

    def text(self) -> str:
        """Returns the facts as comments of YAML, and the recipe below them."""
        told = [self.title, *self.facts, ""]
        told += [] if self.infrared else ["no infrared: `translate` makes infrared-style images of the RGB"]
        told += ["rights are not stated: name the licence in `rights` before you publish"]
        comments = "".join(f"# {_shown(line)}".rstrip() + "\n" for line in told)
        recipe = yaml.safe_dump(self.recipe(), sort_keys=False, allow_unicode=True, width=110)
        return f"{comments}{recipe}"


def _shown(line: str) -> str:
    """Returns a line without what a terminal or YAML would act on: names in it come from files."""
    return " ".join("".join(sign if sign.isprintable() else "\N{REPLACEMENT CHARACTER}" for sign in line).split())


def quantiles(values: Any) -> str:
    """Returns the spread of some values in words: their least, median and largest, and the 1st and 99th percentile."""
    import numpy as np

    if not len(values):
        return "no values"
    least, low, middle, high, most = (f"{value:.5g}" for value in np.percentile(values, (0, 1, 50, 99, 100)))
    return f"{least} to {most}, 98 % in {low} to {high}, median {middle}"
