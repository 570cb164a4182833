"""`fusionrs embed` and `search`: of each verb its arguments and its call, side by side.

Imports argparse alone: what a verb needs is imported when it runs, so that help answers at once.
"""

import argparse
import logging
from collections.abc import Mapping
from pathlib import Path

from fusionrs_hf.arguments import device, file_to_write, path, whole

logger = logging.getLogger(__name__)


def add_embed(parser: argparse.ArgumentParser) -> None:
    """Adds the arguments of `fusionrs embed`."""
    parser.usage = (
        "fusionrs embed DATASET --model MODEL --output INDEX [options]\n"
        "       fusionrs embed SCENE.tif --tile 256 --stride 128 --model MODEL --output INDEX [options]"
    )
    parser.description += " An interrupted run is continued by the same command."
    add = parser.add_argument
    add("dataset", metavar="DATASET", help="dataset folder, Hub id, GeoTIFF, or recipe (its sources)")
    add("--model", required=True, help="folder or Hub id of a dual-modal or plain CLIP")
    add("--output", type=path, required=True, metavar="INDEX", help="folder of the index")
    add("--overwrite", action="store_true", help="replace another index in INDEX: the files that it wrote, no others")
    add("--split", default="train,validation,test", help="splits of a dataset, by comma (default: all)")
    add("--modalities", default="rgb,ir,fused,text", help="by comma (default: %(default)s)")
    add("--batch-size", type=whole(1, 100_000), default=64, help="rows at a time (default: %(default)s)")
    add("--dtype", default="float32", metavar="{float32,float16}", help="of the stored embeddings")
    add("--bf16", action="store_true", help="compute in bfloat16")
    add("--device", type=device, help="such as cpu or cuda:1 (default: a GPU where there is one)")
    add("--factory", default="Flat", help="FAISS index, such as IVF1024,Flat (default: Flat, exact)")
    add(
        "--ir-range",
        action="append",
        default=[],
        metavar="BAND=LOW,HIGH",
        help="limits of a band's infrared above 8 bit (default: the model's, else those the dataset "
        "declares); may be repeated",
    )
    add("--tile", type=whole(1, 65_535), help="side of a scene's tiles, in pixels (default: 256)")
    add("--stride", type=whole(1, 65_535), help="pixels from tile to tile (default: the side)")
    add(
        "--option",
        action="append",
        default=[],
        metavar="KEY=VALUE",
        help='field of a scene, as in a recipe: "bands={red: 3, green: 2, blue: 1, nir: 4}"; may be repeated',
    )
    parser.set_defaults(run=embed)


def embed(arguments: argparse.Namespace) -> None:
    """Embeds what the arguments name; prints what is in the index then."""
    from dataset_builder.building.auto_range import settled_range
    from dataset_builder.cli import parse_option
    from dataset_builder.recipe import load_recipe
    from dataset_builder.search import embedding
    from dataset_builder.search.rows import describe_rows, describe_sources
    from dataset_builder.shards.limits import parse_limits
    from dataset_builder.sources import open_source

    scene = {"tile_px": arguments.tile, "stride_px": arguments.stride, **dict(map(parse_option, arguments.option))}
    scene = {name: value for name, value in scene.items() if value is not None}
    ir_range = dict(map(parse_limits, arguments.ir_range))
    if Path(arguments.dataset).suffix in (".yaml", ".yml"):
        recipe = load_recipe(arguments.dataset)
        recipe = settled_range(recipe, [open_source(spec, recipe.base) for spec in recipe.sources])
        ir_range = {**recipe.ir_range, **ir_range}
        place = describe_sources(recipe.sources, recipe.base, scene)
    else:
        place = describe_rows(arguments.dataset, arguments.split.split(","), scene)
    settings = embedding.EmbedSettings(
        modalities=arguments.modalities.split(","),
        dtype=arguments.dtype,
        batch_size=arguments.batch_size,
        ir_range=ir_range or None,
        bf16=arguments.bf16,
        device=arguments.device,
        factory=arguments.factory,
    )
    meta = embedding.embed(place, arguments.model, arguments.output, settings, arguments.overwrite)
    print(f"{meta.rows} rows in {arguments.output}: {_counts(meta.embedded)} embeddings of length {meta.dim}")
    if meta.ir_clipped_ratio is not None:
        print(f"infrared above 8 bit: {100 * meta.ir_clipped_ratio:.1f} % of its pixels lie beyond ir_range")
    if meta.skipped:
        print(f"skipped, listed in {arguments.output / 'skipped.jsonl'}: {_counts(meta.skipped)}")


def _counts(numbers: Mapping[str, int]) -> str:
    return ", ".join(f"{count} {name}" for name, count in numbers.items())


def add_search(parser: argparse.ArgumentParser) -> None:
    """Adds the arguments of `fusionrs search`."""
    add = parser.add_argument
    add("index", type=path, metavar="INDEX", help="folder that `fusionrs embed` wrote")
    add("--text", help="what to look for, in words")
    add("--rgb", type=path, metavar="FILE", help="RGB image to look for")
    add("--ir", type=path, metavar="FILE", help="infrared image; with --rgb the pair is fused")
    add("--ir-band", help="band of --ir, and of the rows to find (default: any)")
    add("--in", dest="gallery", metavar="{rgb,ir,fused,text}", help="searched embeddings")
    add("--k", type=whole(1, 1_000_000), default=10, help="how many (default: %(default)s)")
    add("--geojson", type=file_to_write, metavar="OUT", help="footprints of what is found, WGS 84")
    add("--sheet", type=file_to_write, metavar="OUT", help="PNG with the images found")
    add("--json", action="store_true", help="print JSON, not a table")
    add("--model", help="the index's model, where it has moved; or its export, for a quick --text")
    add("--dataset", help="the index's dataset or scene, where it has moved; for --sheet")
    parser.set_defaults(run=search)


def search(arguments: argparse.Namespace) -> None:
    """Searches an index and writes what was asked for beside; prints the table, or JSON."""
    from dataset_builder.search import results
    from dataset_builder.search.retrieval import Query, search_index
    from dataset_builder.search.rows import moved, reading_rows
    from dataset_builder.search.store import EmbeddingStore

    query = Query(arguments.text, arguments.rgb, arguments.ir, arguments.ir_band)
    hits = search_index(arguments.index, query, arguments.model, arguments.gallery, arguments.k)
    if arguments.sheet:
        meta = EmbeddingStore.open(arguments.index).meta
        with reading_rows(moved(meta.source, arguments.dataset)) as rows:
            rows = rows.pick([hit.row for hit in hits])
        results.write_sheet(arguments.sheet, query, hits, rows, meta.ir_range)
    if arguments.geojson and (left_out := results.write_geojson(arguments.geojson, hits)):
        logger.info("%d of %d rows have no place and are not in %s", left_out, len(hits), arguments.geojson)
    print(results.results_json(hits) if arguments.json else results.results_table(hits))
