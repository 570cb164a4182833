"""The shipped translator on the sample's held-out tiles and on scenes that it never saw, against its bars.

    python -m tests.benchmarks.translator_quality --packages scenes --second runs/translator-1

`--second` names the same training with another seed, whose bars are told, too.

Scenes of other packages lie below --packages, unpacked: `spyndex/data/S2_10m.json` of spyndex 0.12.0 and
`test/data/source/section_2_sentinel.tif` of satsense 0.9 (both Sentinel-2, surface reflectance); without them they are
left out and named. How their values are read was fixed before any was scored: as surface reflectance times 10,000, the
display the 1st to 99th percentile of the scene. Writes tests/benchmarks/results/translator_quality.json.
"""

import argparse
import json
import logging
import time
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import torch

from dataset_builder.translators.learned import LearnedTranslator
from training.evaluate_translator import evaluate, read_levels, score_scene, tiles_by_scene
from training.scoring.band_tiles import BandTiles

logger = logging.getLogger(__name__)
ROOT = Path(__file__).parent.parent.parent
RESULT = Path(__file__).parent / "results" / "translator_quality.json"
SAMPLE = "dataset_builder/sample"
LEVELS = Path("training/recipes/translator_levels.yaml")
SIDE = 64
KNOWN = {  # scene, band: least R2 of all pixels, least R2 of the median tile, least area under the curve of the width
    ("s2_virginia", "nir"): (0.91, 0.82, 0.72),
    ("s2_virginia", "swir"): (0.95, 0.93, 0.72),
    ("l7_saltlake", "nir"): (0.90, 0.85, 0.72),
    ("l7_saltlake", "swir"): (None, None, None),
    ("l7_saltlake", "lwir"): (0.72, None, 0.65),
}


def read_spyndex(packages: Path) -> tuple[np.ndarray, np.ndarray, np.ndarray] | None:
    """Returns red, green and blue, near infrared, and which pixels were measured; None where it is not there."""
    path = packages / "spyndex" / "data" / "S2_10m.json"
    if not path.is_file():
        return None
    blue, green, red, nir = np.asarray(json.loads(path.read_text()), np.float64)
    return np.stack([red, green, blue], -1), nir, np.ones(nir.shape, bool)


def read_satsense(packages: Path) -> tuple[np.ndarray, np.ndarray, np.ndarray] | None:
    """As `read_spyndex`."""
    import rasterio

    path = packages / "test" / "data" / "source" / "section_2_sentinel.tif"
    if not path.is_file():
        return None
    with rasterio.open(path) as file:
        blue, green, red, nir = file.read().astype(np.float64)
        valid = (file.read() != file.nodata).all(axis=0)
    return np.stack([red, green, blue], -1), nir, valid


SCENES = {"spyndex": read_spyndex, "satsense": read_satsense}


def scene_tiles(rgb: np.ndarray, infrared: np.ndarray, valid: np.ndarray) -> BandTiles:
    """Returns a scene's tiles with display by the scene's percentiles and reflectance as it is."""

    def display(values: np.ndarray) -> np.ndarray:
        low, high = np.percentile(values[valid], [1, 99])
        return np.rint(np.clip((values - low) / (high - low), 0, 1) * 255).astype(np.uint8)

    shown = np.stack([display(rgb[..., channel]) for channel in range(3)], -1)
    target, tiles = display(infrared), BandTiles()
    dark = np.median(rgb[valid], axis=0)
    filled = np.where(valid[..., None], rgb, dark)  # what was not measured shall tell no offset
    for row in range(0, rgb.shape[0] - SIDE + 1, SIDE):
        for column in range(0, rgb.shape[1] - SIDE + 1, SIDE):
            place = np.s_[row : row + SIDE, column : column + SIDE]
            tiles.rgb.append(shown[place])
            tiles.infrared.append(target[place])
            tiles.valid.append(valid[place])
            tiles.reflectance.append(filled[place])
            tiles.blocks.append(f"{row}/{column}")
    return tiles


def bars(results: Mapping[str, Any]) -> list[dict[str, Any]]:
    """Returns what was asked for beside what was reached."""
    rows: list[dict[str, Any]] = []

    def bar(name: str, value: Any, holds: bool | None) -> None:
        rows.append({"bar": name, "value": value, "holds": holds})

    for (scene, band), (pooled, median, area) in KNOWN.items():
        entry = results["scenes"][scene]["bands"][band]["methods"]["learned"]
        label = f"{scene} {band}"
        if pooled is not None:
            bar(f"{label}: R2 at least {pooled}", entry["r2"], entry["r2"] >= pooled)
        if median is not None:
            bar(f"{label}: median tile at least {median}", entry["r2_median_tile"], entry["r2_median_tile"] >= median)
        interval = entry["less_squared_error_than"]["trees"]
        bar(f"{label}: less squared error than trees", interval, interval[1] > 0 if pooled is not None else None)
        low, high = (0.75, 0.85) if scene.startswith("s2") else (0.75, 1.0)
        bar(f"{label}: interval covers {low} to {high}", entry["coverage"], low <= entry["coverage"] <= high)
        ranking = entry["error_ranking"]
        if area is not None:
            better = ranking["width"] is not None and ranking["width"] >= area
            better = better and ranking["width"] > ranking["gray_gradient"]
            bar(f"{label}: width finds errors, area at least {area}, above the gray's gradient", ranking, better)
    for scene in dict.fromkeys(scene for scene, _ in KNOWN):
        share = results["scenes"][scene]["flagged_share"]
        bar(f"{scene}: flagged at most 0.1", share, share <= 0.1)
    for scene, share in results["flagged_by_the_other"].items():
        bar(f"{scene}, its own tiles left out: flagged at least 0.9", share, share >= 0.9)
    unseen = {scene: part for scene, part in results["scenes"].items() if not part["known"]}
    tiles = {scene: next(iter(part["bands"].values()))["tiles"] for scene, part in unseen.items()}
    share = sum(tiles[scene] * part["flagged_share"] for scene, part in unseen.items()) / sum(tiles.values())
    bar("unseen scenes, all tiles: flagged at least 0.9", share, share >= 0.9)
    display, level, z_scored = [], [], {"z_scored_mean": [], "z_scored_mean_with_gray": []}
    for scene, part in unseen.items():
        bar(f"{scene}: flagged", part["flagged_share"], None)
        for band in ("nir", "swir"):
            methods = part["bands"].get(band, {}).get("methods", {})
            if "learned" in methods:
                rival = max(methods[name]["affine_r2"] for name in ("gray_as_shown", "radiometric"))
                display.append(methods["learned"]["affine_r2"] > rival)
                for name, higher in z_scored.items():
                    higher.append(methods[name]["affine_r2"] > rival)
            if "learned_reflectance" in methods:
                more = methods["learned_reflectance"]["more_affine_r2_than"]
                level.append(all(more[name][1] > 0 for name in ("gray_as_shown", "radiometric")))
    bar(
        "unseen, display: above gray and formula in half of the pairs",
        [sum(display), len(display)],
        2 * sum(display) >= len(display),
    )
    for name, higher in z_scored.items():
        bar(f"unseen, display, {name}: above gray and formula", [sum(higher), len(higher)], None)
    bar(
        "unseen, reflectance: interval above zero in two thirds",
        [sum(level), len(level)],
        3 * sum(level) >= 2 * len(level),
    )
    return rows


def flagged_by_the_other(model: str | None) -> dict[str, float]:
    """Returns, for each scene of the model, the share of its tiles that the tiles of the others alone flag."""
    translator = LearnedTranslator(model).pipeline.translator
    scenes = tiles_by_scene(SAMPLE, "test", ["nir"])
    shares = {}
    for name in translator.config.conditions[1:]:
        rgb = torch.from_numpy(np.stack(scenes[name]["nir"].rgb).transpose(0, 3, 1, 2).astype(np.float32) / 255)
        others = [place for place, other in enumerate(translator.config.conditions) if place and other != name]
        nearest = torch.stack([translator.domain_distance(rgb, place) for place in others]).amin(dim=0)
        shares[name] = float((nearest > 1).float().mean())
    return shares


def measure(model: str | None, packages: Path) -> dict[str, Any]:
    """Returns the scores of a model on all scenes, and what it reaches."""
    results = evaluate(model, SAMPLE, levels=read_levels(LEVELS))
    train: dict[str, BandTiles] = {}
    for parts in tiles_by_scene(SAMPLE, "train", ["nir"]).values():
        pooled = train.setdefault("nir", BandTiles())
        pooled.rgb, pooled.infrared = pooled.rgb + parts["nir"].rgb, pooled.infrared + parts["nir"].infrared
    results["left_out"] = []
    for name, read in SCENES.items():
        scene = read(packages)
        if scene is None:
            results["left_out"].append(name)
            continue
        parts = {"nir": scene_tiles(*scene)}
        results["scenes"][name] = score_scene(model, name, parts, train, {"kind": "surface"})
    results["flagged_by_the_other"] = flagged_by_the_other(model)
    results["bars"] = bars(results)
    for row in results["bars"]:
        logger.info(
            "%s %s: %s", {True: "holds", False: "MISSED", None: "told"}[row["holds"]], row["bar"], row["value"]
        )
    return results


def main(argv: Sequence[str] | None = None) -> None:
    """Scores and writes."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--packages", type=Path, default=Path(".scenes"), help="folder of the other packages' scenes")
    parser.add_argument("--model", help="folder or Hub id (default: the one that ships)")
    parser.add_argument("--second", help="folder of the same training with another seed")
    parser.add_argument("--output", type=Path, default=RESULT, help=f"JSON to write (default: {RESULT.name})")
    options = parser.parse_args(argv)
    logging.basicConfig(level=logging.INFO, format="%(message)s")
    started = time.monotonic()
    results = measure(options.model, options.packages)
    if options.second:
        second = measure(options.second, options.packages)
        results["second"] = {name: second[name] for name in ("revision", "bars")}
    results["seconds"] = round(time.monotonic() - started, 1)
    options.output.write_text(json.dumps(results, indent=1) + "\n")


if __name__ == "__main__":
    main()
