"""A small finished build whose rows have unlike rights, for tests of what may be published and taken down."""

from pathlib import Path

import pyarrow as pa
import pyarrow.parquet as pq

from dataset_builder.pipeline import BuildRecipe, build
from dataset_builder.schema import FEATURES, SPLITS, new_row
from dataset_builder.shards.parquet import write_shard
from dataset_builder.shards.report import BuildReport
from tests.dataset_builder.made.noise_images import noise, png

# Tile -> (split, rights). Each is a sensor row in nir and one in lwir, and one translated from the RGB image.
TILES = {
    0: ("train", "CC0-1.0"),
    1: ("train", "CC-BY-SA-4.0"),
    2: ("train", "RSICD"),  # nothing but the index
    3: ("train", "NWPU-Captions"),  # no captions
    4: ("train", "skyscript/US"),  # no captions of the infrared
    5: ("train", "CC0-1.0"),
    6: ("validation", "CC0-1.0"),
    7: ("test", "CC0-1.0"),
    8: ("test", "CC-BY-SA-4.0"),
}
CODES = sorted({code for _, code in TILES.values()})
BARE = 0  # a tile whose rows have no caption of the infrared


def write_source(root: Path, tiles: dict[int, tuple[str, str]] = TILES) -> Path:
    """Writes the tiles as a repository in the record's schema; the rows of the first one have no `ir_captions`."""
    for split in SPLITS:
        rows = [row for tile, (own, code) in tiles.items() if own == split for row in tile_rows(tile, code)]
        table = pa.Table.from_pylist(rows, schema=FEATURES.arrow_schema)
        write_shard(root / "data" / f"{split}-00000-of-00001.parquet", table)
    return root


def tile_rows(tile: int, code: str) -> list[dict]:
    """Returns the rows of one tile: sensor infrared in two bands, and an RGB image alone."""
    shared = {
        "source_dataset": code.split("/")[0],
        "source_locator": f"{tile}.png",
        "rights": code,
        "rgb": png(noise(tile, 3)),
        "captions": [f"secret words on tile {tile}", f"more secret words on tile {tile}"],
        "caption_origin": ["source", "hand"],
    }
    bands = [
        new_row(
            sample_id=f"t{tile}/{band}",
            ir=png(noise(1000 + 2 * tile + number, 1)),
            ir_origin="sensor",
            ir_band=band,
            ir_unit="display",
            ir_captions=[] if tile == BARE else [f"secret infrared of tile {tile}"],
            **shared,
        )
        for number, band in enumerate(("nir", "lwir"))
    ]
    return [*bands, new_row(sample_id=f"t{tile}/rgb", **shared)]


def recipe_of(source: Path, **changes: object) -> BuildRecipe:
    """Returns a recipe over `write_source`'s folder: one image group and one joint group a tile, small shards."""
    given = {
        "name": "Rows of unlike rights",
        "attribution": {"CC-BY-SA-4.0": "A. N. Other", "RSICD": "its authors"},
        "sources": [{"kind": "repository", "path": "."}],
        "translate": {"band": "nir"},
        "filters": {"rgb_ir_misaligned": False, "ir_is_gray_of_rgb": False},
        "groups": {"relations": ["bytes"]},
        "max_shard_bytes": 8_000,
        **changes,
    }
    return BuildRecipe.from_mapping(given, base=source)


def build_rows(source: Path, out: Path, **changes: object) -> BuildReport:
    """Builds the rows in this process."""
    return build(recipe_of(source, **changes), out, workers=1)


def rows_of(folder: Path, pattern: str = "data/*.parquet") -> dict[str, dict]:
    """Returns the rows of a dataset by sample id."""
    return {row["sample_id"]: row for path in sorted(folder.glob(pattern)) for row in pq.read_table(path).to_pylist()}
