"""What a CLIP learns from translated infrared: the share of the gap between gray and the sensor's that it closes.

    python -m tests.benchmarks.translator_downstream --packages .demo-packages

The demo's image tower stays as loaded; statistics of each modality and one projection are trained above it, on pairs
whose infrared is the sensor's, the gray of the RGB, the formula's, or the learned translator's (`unknown`, as a build
gives it; `scene`, told each row's scene). All are scored on the *sensor's* infrared of the held-out regions: the tile
of one of its two images is found by the other, at rank one. Steps, batches and starts are equal. The translator was
trained on the very tiles that are trained on here, which favours it. Writes
tests/benchmarks/results/translator_downstream.json.
"""

import argparse
import json
import logging
import os
import platform
import time
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import torch
from datasets import Dataset
from PIL import Image
from torch import Tensor
from transformers import AutoImageProcessor

from dataset_builder.translators.learned import LearnedTranslator
from dataset_builder.translators.radiometric import RadiometricTranslator
from fusionrs_hf.modeling_fusionrs_clip import FusionRSCLIPModel
from fusionrs_hf.modeling_fusionrs_translator import UNKNOWN
from fusionrs_hf.processing_fusionrs_clip import FusionRSCLIPProcessor
from fusionrs_hf.weights import load_tokenizer
from tests.benchmarks.heads import descend, embed, start_anew
from training.data.pairs import PairCollator, integer_ids, load_pairs, pooled_features
from training.data.scenes import scene_of
from training.journey import steps, travel
from training.metrics.cross_modal_recall.cross_modal_recall import both_ranks, equal_id_positives
from training.scoring.held_out import representative_rows
from training.scoring.significance import Interval, bootstrap_mean
from training.trainers.layer_memory import remember_layers

logger = logging.getLogger(__name__)
RESULT = Path(__file__).parent / "results" / "translator_downstream.json"
BANDS = ("nir", "swir")  # thermal does not travel
VIEWS = ("sensor", "gray", "formula", "unknown", "scene")
RATE = 5e-4  # of the demo's head
DRAWS = 10_000
Features = tuple[Tensor, Tensor]  # of RGB and of infrared, (rows, features) each


def infrared_of(view: str, rgb: np.ndarray, band: str, scene: str, translators: dict[str, Any]) -> np.ndarray:
    """Returns what a view shows in the place of a tile's infrared, uint8 `(h, w)`.

    Args:
        view: One of `VIEWS` but `sensor`.
        rgb: uint8 `(h, w, 3)`.
        band, scene: Of the tile.
        translators: Those made so far, by what they are asked for.
    """
    if view == "gray":
        return np.asarray(Image.fromarray(rgb).convert("L"))
    key = {"formula": "formula", "unknown": UNKNOWN, "scene": scene}[view]
    if key not in translators:
        translators[key] = RadiometricTranslator() if key == "formula" else LearnedTranslator(condition=key)
    return translators[key].translate([rgb], band, [0])[0]


def shown(rows: Dataset, view: str) -> list[dict[str, Any]]:
    """Returns rows with their infrared replaced as the view says."""
    translators: dict[str, Any] = {}
    replaced = []
    for row in rows:
        if view != "sensor":
            scene = scene_of(row["source_locator"])
            rgb = np.asarray(row["rgb"].convert("RGB"))
            row["ir"] = Image.fromarray(infrared_of(view, rgb, row["ir_band"], scene, translators))
        replaced.append(row)
    return replaced


def of_band(rows: Dataset, band: str) -> Dataset:
    """Returns the rows of one band."""
    return rows.select(np.flatnonzero(np.asarray(rows["ir_band"]) == band))


def train_head(model: FusionRSCLIPModel, features: Features, ids: Tensor, seed: int, count: int) -> None:
    """Fits the statistics and trains the projection, from a random start, on the RGB-infrared term alone.

    Args:
        model: In place.
        features: Of training pairs.
        ids: Of their image groups, `(rows,)`.
        seed: Of start and batches.
        count: Steps.
    """
    generator = torch.Generator().manual_seed(seed)
    model.fit_feature_norm(*features)
    start_anew(model, generator)

    def loss(batch: Tensor) -> Tensor:
        embeds = {name: embed(model, side[batch], name) for name, side in zip(("rgb", "ir"), features)}
        return model.contrastive_loss(embeds, image_ids=ids[batch])

    rates = [(model.visual_projection.weight, RATE), (model.logit_scale, RATE)]
    descend(rates, loss, len(ids), count, generator)


@torch.no_grad()
def hits(model: FusionRSCLIPModel, features: Features, groups: Sequence[str]) -> np.ndarray:
    """Returns for each tile the share of its two queries that find it at rank one, `(tiles,)`."""
    rgb, ir = (embed(model, side, name).numpy() for name, side in zip(("rgb", "ir"), features))
    ranks = both_ranks(rgb, ir, equal_id_positives(np.asarray(groups), np.asarray(groups)))
    return np.mean([direction < 1 for direction in ranks], axis=0)


def gap_closed(hits: Mapping[str, np.ndarray], view: str, seed: int = 0) -> Interval:
    """Returns the share of the gap between gray and sensor that a view closes, with its interval over tiles.

    Args:
        hits: By view, `(seeds, tiles)`.
        view: Whose share.
        seed: Of the resampling.
    """
    means = {name: values.mean(0) for name, values in hits.items()}
    count = len(means["gray"])
    times = np.random.default_rng(seed).multinomial(count, np.full(count, 1 / count), DRAWS)
    drawn = {name: times @ values / count for name, values in means.items()}

    def share(values: Mapping[str, Any]) -> Any:
        return (values[view] - values["gray"]) / (values["sensor"] - values["gray"])

    low, high = np.nanquantile(share(drawn), [0.025, 0.975])
    return Interval(float(share({name: values.mean() for name, values in means.items()})), float(low), float(high))


def summarise(hits: Mapping[str, np.ndarray]) -> dict[str, Any]:
    """Returns R@1 of every view, by seed and pooled, and the share of the gap that it closes.

    Args:
        hits: By view, `(seeds, tiles)`.
    """
    table: dict[str, Any] = {}
    for view, values in hits.items():
        table[view] = {"R@1": values.mean(1).round(4).tolist(), "mean": bootstrap_mean(values.mean(0))}
        if view not in ("sensor", "gray"):
            table[view]["gap_closed"] = gap_closed(hits, view)
    return {"tiles": hits["gray"].shape[1], "views": table}


def measure(demo: Path, band: str, seeds: Sequence[int], count: int) -> dict[str, Any]:
    """Returns the table of a band."""
    towers, dataset = [str(demo / "weights" / name) for name in ("vision", "text")], str(demo / "dataset")
    images = AutoImageProcessor.from_pretrained(towers[0])
    collator = PairCollator(FusionRSCLIPProcessor(images, images, load_tokenizer(towers[1])), texts_per_row=0)
    model = FusionRSCLIPModel.from_towers(*towers, vision_pooling="grid", feature_norm=True, projection_dim=256)
    train, test = (
        of_band(load_pairs(dataset, "train"), band),
        of_band(representative_rows(dataset, "test", "sensor"), band),
    )
    known = set(map(scene_of, train["source_locator"]))
    test = test.select([index for index, place in enumerate(test["source_locator"]) if scene_of(place) in known])
    found: dict[str, np.ndarray] = {}
    with remember_layers(model.vision_model):  # the RGB is every view's
        held_out = pooled_features(model, test, collator)
        for view in VIEWS:
            features, by_seed = pooled_features(model, shown(train, view), collator), []
            for seed in seeds:
                train_head(model, features, integer_ids(train["image_group_id"]), seed, count)
                by_seed.append(hits(model, held_out, test["image_group_id"]))
            found[view] = np.stack(by_seed)
            logger.info("%s, trained on %s: %s", band, view, found[view].mean(1).round(3))
    return summarise(found)


def main(argv: Sequence[str] | None = None) -> None:
    """Trains, scores and writes the tables."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--packages", type=Path, required=True, help="folder of the demo's weight packages")
    parser.add_argument(
        "--demo", type=Path, default=Path("runs/demo"), help="its weights and dataset are used, or made"
    )
    parser.add_argument("--seeds", type=int, nargs="+", default=[0, 1, 2])
    parser.add_argument("--bands", nargs="+", default=BANDS, choices=BANDS)
    parser.add_argument("--steps", type=int, default=100, help="of each training")
    arguments = parser.parse_args(argv)
    logging.basicConfig(level=logging.INFO, format="%(message)s")
    demo, started = arguments.demo.resolve(), time.monotonic()
    travel(steps(arguments.packages.resolve(), demo, seed=0)[:2], demo)  # weights and dataset
    report = {
        "what": "R@1 between RGB and sensor infrared of held-out regions, both ways, by what the head learned from",
        "steps": arguments.steps,
        "seeds": arguments.seeds,
        "hardware": f"{os.cpu_count()} processors, {platform.machine()}, no GPU",
        "bands": {band: measure(demo, band, arguments.seeds, arguments.steps) for band in arguments.bands},
        "seconds": round(time.monotonic() - started, 1),
    }
    RESULT.write_text(json.dumps(report, indent=1) + "\n")
    logger.info("wrote %s", RESULT)


if __name__ == "__main__":
    main()
