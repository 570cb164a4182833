"""A repository of made tiles to build from: 36 tiles in two bands, a third a split, some bad and some that leak."""

import hashlib

import numpy as np
import pyarrow as pa

from dataset_builder.recipe import BuildRecipe
from dataset_builder.schema import FEATURES, SPLITS, new_row
from dataset_builder.shards.parquet import write_shard
from tests.dataset_builder.made.noise_images import noise, png

TILES = 12  # a split: tiles 0 to 11 train, 12 to 23 validation, 24 to 35 test, each in nir and lwir


def tile_rows(tile):
    for number, band in enumerate(("nir", "lwir")):
        yield new_row(
            sample_id=f"made/{tile:02d}/{band}",
            source_dataset="made",
            source_locator=f"scene@r{100 * tile}c0s48",
            rights="CC0-1.0",
            rgb=png(noise(tile, 3)),
            ir=png(noise(1000 + 2 * tile + number, 1)),
            ir_origin="sensor",
            ir_band=band,
            ir_unit="display",
            captions=[f"a field with the number {tile}"],
            caption_origin=["hand"],
            acquired_at="2021-05-01",
            gsd_m=10.0,
        )


def write_source(root, parts=2):
    """Writes a repository in our schema, `parts` files of train, one of another split; four rows are bad or leak."""
    rows = {
        split: [row for tile in range(start, start + TILES) for row in tile_rows(tile)]
        for split, start in zip(SPLITS, (0, 12, 24))
    }
    rows["train"][4]["rgb"] = {"bytes": b"no image", "path": None}  # unreadable
    rows["train"][7]["ir"]["bytes"] = rows["train"][7]["ir"]["bytes"][:200]  # truncated
    rows["train"][9]["ir"] = png(np.full((48, 48), 7, np.uint8))  # flat
    rows["validation"][3]["captions"] = ["a field with the number 30"]  # of a test tile: a joint group in two splits
    step = len(rows["train"]) // parts
    files = {
        f"train-{part:05d}-of-{parts:05d}": rows["train"][part * step : (part + 1) * step] for part in range(parts)
    }
    files |= {f"{split}-00000-of-00001": rows[split] for split in ("validation", "test")}
    for name, part in files.items():
        write_shard(root / "data" / f"{name}.parquet", pa.Table.from_pylist(part, schema=FEATURES.arrow_schema))
    return root


def recipe_of(source, **changes):
    """A build of the tiles, and of their RGB alone with translated infrared; None takes a key out."""
    given = {
        "name": "Made tiles",
        "description": "Tiles made for a test.",
        "attribution": {"made": "nobody"},
        "sources": [{"kind": "repository", "path": "."}, {"kind": "repository", "path": ".", "drop_ir": True}],
        "translate": {"band": "nir"},
        "caption": {},
        "filters": {"rgb_ir_misaligned": False, "ir_is_gray_of_rgb": False},
        "max_shard_bytes": 10_000,
        **changes,
    }
    return BuildRecipe.from_mapping({name: value for name, value in given.items() if value is not None}, base=source)


def digests(folder):
    """SHA-256 of every file in a folder by its name."""
    files = sorted(path for path in folder.rglob("*") if path.is_file())
    return {path.relative_to(folder).as_posix(): hashlib.sha256(path.read_bytes()).hexdigest() for path in files}
