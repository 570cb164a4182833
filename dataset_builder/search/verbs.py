"""`fusionrs embed` and `fusionrs search` between their arguments and the text they print; readers are handed in."""

import argparse
import logging
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

from dataset_builder.search import results, retrieval
from dataset_builder.search.rows import Opener, Rows, describe_rows, describe_sources, moved, parse_limits
from dataset_builder.search.store import EmbeddingStore

logger = logging.getLogger(__name__)


def embed(
    arguments: argparse.Namespace, scene: Mapping[str, Any], read_recipe: Callable[[Path], Any], opener: Opener
) -> str:
    """Embeds what the arguments name.

    Args:
        arguments: Of the verb.
        scene: Fields of a scene's reader that were given.
        read_recipe: Path to a recipe with `sources`, `base` and `ir_range`.
        opener: See `Rows`.

    Returns:
        What is in the index now.
    """
    ir_range = dict(map(parse_limits, arguments.ir_range))
    if Path(arguments.given).suffix in (".yaml", ".yml"):
        recipe = read_recipe(Path(arguments.given))
        ir_range = {**recipe.ir_range, **ir_range}
        place = describe_sources(recipe.sources, recipe.base, scene)
    else:
        place = describe_rows(arguments.given, arguments.split.split(","), scene)
    settings = retrieval.EmbedSettings(
        modalities=arguments.modalities.split(","),
        dtype=arguments.dtype,
        batch_size=arguments.batch_size,
        ir_range=ir_range or None,
        bf16=arguments.bf16,
        device=arguments.device,
        factory=arguments.factory,
    )
    meta = retrieval.embed(place, arguments.model, arguments.output, settings, opener)
    lines = [f"{meta.rows} rows in {arguments.output}: {_counts(meta.embedded)} embeddings of length {meta.dim}"]
    if meta.ir_clipped_ratio is not None:
        lines.append(f"infrared above 8 bit: {100 * meta.ir_clipped_ratio:.1f} % of its pixels lie beyond ir_range")
    if meta.skipped:
        lines.append(f"skipped, listed in {arguments.output / 'skipped.jsonl'}: {_counts(meta.skipped)}")
    return "\n".join(lines)


def _counts(numbers: Mapping[str, int]) -> str:
    return ", ".join(f"{count} {name}" for name, count in numbers.items())


def search(arguments: argparse.Namespace, opener: Opener) -> str:
    """Searches an index and writes what was asked for beside; returns the table, or JSON."""
    query = retrieval.Query(arguments.text, arguments.rgb, arguments.ir, arguments.ir_band)
    store = EmbeddingStore.open(arguments.index)
    hits = retrieval.search(store, query, arguments.model, arguments.gallery, arguments.k)
    if arguments.sheet:
        rows = Rows(moved(store.meta.source, arguments.dataset), opener).pick([hit.row for hit in hits])
        results.write_sheet(arguments.sheet, query, hits, rows, store.meta.ir_range)
    if arguments.geojson and (left_out := results.write_geojson(arguments.geojson, hits)):
        logger.info("%d of %d rows have no place and are not in %s", left_out, len(hits), arguments.geojson)
    return results.results_json(hits) if arguments.json else results.results_table(hits)
