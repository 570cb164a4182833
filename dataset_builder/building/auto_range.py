"""Limits of infrared above 8 bit that a recipe leaves to the data: percentiles of a sample of what is trained on."""

import logging
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import replace
from typing import Any

import numpy as np

from dataset_builder.filters import InfraredContradictsUnit, make_rules
from dataset_builder.images.decoding import DecodeError, open_image
from dataset_builder.recipe import AUTO, BuildRecipe
from dataset_builder.schema import IR_BANDS, stable_seed
from dataset_builder.sources import Source
from fusionrs_hf.errors import InputError
from fusionrs_hf.processing_fusionrs_images import WIDE_MODES

logger = logging.getLogger(__name__)

PERCENTILES = (1.0, 99.0)
SHARDS = 32  # of each source, drawn
IMAGES = 256  # of each band, at most
PIXELS = 4096  # of each image, drawn
MAX_PIXELS = 2**28


def settled_range(recipe: BuildRecipe, sources: Sequence[Source]) -> BuildRecipe:
    """Returns the recipe with numbers for limits of infrared above 8 bit that are `auto`.

    The 1st and 99th percentile, by band, of the values of sampled images: of rows that a source prescribes for a
    held-out split none; where splits are drawn later, of all. The same for the same inputs.

    Args:
        recipe: `ir_range` is `auto`, for all bands that need limits, or for some.
        sources: Its sources, open.

    Raises:
        InputError: A band that is named has no infrared above 8 bit in the sample.
    """
    every = recipe.ir_range == AUTO
    asked = set(IR_BANDS) if every else {band for band, pair in recipe.ir_range.items() if pair == AUTO}
    if not asked:
        return recipe
    values: dict[str, list[np.ndarray]] = {}
    rules = make_rules(recipe.filters, (InfraredContradictsUnit,))
    for number, source in enumerate(sources):
        for row in _rows(source, number, len(sources)):
            band = row["ir_band"]
            if band in asked and len(values.get(band, ())) < IMAGES and (found := _values(row, rules)) is not None:
                values.setdefault(band, []).append(found)
    measured = {}
    for band, parts in sorted(values.items()):
        low, high = np.percentile(np.concatenate(parts), PERCENTILES)
        measured[band] = [float(np.floor(low)), float(np.ceil(max(high, low + 1)))]
        logger.info("ir_range of %s by %d images: %s", band, len(parts), measured[band])
    if not every and (missing := sorted(asked - set(measured))):
        raise InputError(
            f"ir_range of {', '.join(missing)} is auto, but no sampled image of it is above 8 bit; leave it out, or "
            "declare [low, high]"
        )
    declared = {} if every else {band: pair for band, pair in recipe.ir_range.items() if pair != AUTO}
    return replace(recipe, ir_range=declared | measured)


def _rows(source: Source, number: int, sources: int) -> Iterable[Mapping[str, Any]]:
    """Yields the rows that are not prescribed for a held-out split, of some shards of a source, in a drawn order."""
    shards = list(source.shards())
    order = np.random.default_rng(stable_seed("ir_range", number)).permutation(len(shards))
    seen = 0
    for place in order[:SHARDS]:
        for row in source.read(shards[place]):
            if row["_reason"] is None and row["_split"] in (None, "train") and row["ir"] is not None:
                seen += 1
                yield row
        if seen >= IMAGES * len(IR_BANDS):
            return


def _values(row: Mapping[str, Any], rules: Sequence[InfraredContradictsUnit]) -> np.ndarray | None:
    """Returns some values of a row's infrared, float64; None where it is 8 bit, cannot be decoded, or will leave."""
    try:
        image = open_image(row["ir"].get("bytes"), MAX_PIXELS)
    except DecodeError:
        return None  # told when the row is read
    if image.mode not in WIDE_MODES:
        return None
    if not row.get("_unit_trusted") and any(rule.judge(image, row["ir_unit"]) for rule in rules):
        return None
    values = np.asarray(image, dtype=np.float64).ravel()
    values = values[np.isfinite(values)]
    generator = np.random.default_rng(stable_seed("ir_range", row["sample_id"]))
    return values if len(values) <= PIXELS else generator.choice(values, PIXELS, replace=False)
