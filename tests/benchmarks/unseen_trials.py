"""What was tried for scenes that training never saw: heads on six layers of the demo's image tower as loaded.

    python -m tests.benchmarks.unseen_trials --packages .demo-packages

A recipe beside others that differ from it in one thing. Each is trained on all scenes of the sample's training split
and scored on their validation regions, and once without each scene and scored on that one's validation region. No
test region and no scene without training rows is looked at: here recipes are chosen. The text tower stays as loaded,
too, and infrared is shown in another radiometry where the drawn caption is no IR-aware one. Writes
tests/benchmarks/results/unseen_trials.json.
"""

import argparse
import json
import logging
import os
import platform
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import torch
import torch.nn.functional as F
from datasets import Dataset
from torch import Tensor
from transformers import AutoImageProcessor

from dataset_builder.groups.keys import caption_key
from dataset_builder.schema import stable_seed
from fusionrs_hf.modeling_fusionrs_clip import FusionRSCLIPModel
from fusionrs_hf.modeling_fusionrs_features import pool_text
from fusionrs_hf.processing_fusionrs_clip import FusionRSCLIPProcessor
from fusionrs_hf.weights import load_tokenizer
from tests.benchmarks.heads import descend, embed, start_anew
from training.data.augmentation import DRAWS, PairAugmentation
from training.data.pairs import PairCollator, integer_ids, load_pairs, pooled_features
from training.data.scenes import scene_of
from training.journey import steps, travel
from training.scoring.embedded_rows import TEXT_KINDS, EmbeddedRows, EmbeddedTexts, image_ranks, text_ranks
from training.trainers.layer_memory import remember_layers

logger = logging.getLogger(__name__)
RESULT = Path(__file__).parent / "results" / "unseen_trials.json"
FOLDS = ("none", "s2_virginia", "l7_saltlake")  # which scene's rows are not trained on
KINDS = list(TEXT_KINDS.values())
LAYERS, SIZE, STEPS, VERSIONS = 6, 512, 100, 2  # as in clip_whitened.yaml


@dataclass(frozen=True, slots=True)
class Trial:
    """How a head is trained; the defaults are those of `clip_whitened.yaml`.

    Args:
        whitened: Whether the image projection starts so, or at random.
        rate, text_rate: Learning rates of the image and the text projection.
        rgb_ir_weight: Of the term between the images; each term with texts weighs 1.
        radiometry: Whether images are also shown in other radiometries.
        anchor: Weight of the squared distance of the image projection to its start, in the loss.
        kept: Share of the start in the image projection afterwards (WiSE-FT, arXiv 2109.01903).
    """

    whitened: bool = True
    rate: float = 3e-4
    text_rate: float = 2e-3
    rgb_ir_weight: float = 5.0
    radiometry: bool = True
    anchor: float = 0.0
    kept: float = 0.0


TRIALS = {
    "the recipe": Trial(),
    "its image head as it starts": Trial(rate=0.0),
    "image head at random, not whitened": Trial(whitened=False),
    "no other radiometry": Trial(radiometry=False),
    "no other radiometry, half-way back to the start": Trial(radiometry=False, kept=0.5),
    "no other radiometry, held to the start": Trial(radiometry=False, anchor=3e-3),
    "every term of one weight": Trial(rgb_ir_weight=1.0),
    "image head at a third of the rate": Trial(rate=1e-4),
    "image head at three times the rate": Trial(rate=1e-3),
    "text head at the image head's rate": Trial(text_rate=3e-4),
}


@dataclass(slots=True)
class Split:
    """Rows as features.

    Args:
        rows: With their captions.
        scenes: Of the rows, `(rows,)`.
        rgb, ir: `(versions, rows, features)`; the first version is the image as it is.
        texts: Features by text, `(hidden_size,)` each.
    """

    rows: Dataset
    scenes: np.ndarray
    rgb: Tensor
    ir: Tensor
    texts: dict[str, Tensor]


def versions_of(rows: Dataset, count: int) -> Iterator[list[dict[str, Any]]]:
    """Yields the rows as they are, and then in other radiometries."""
    change, plain = PairAugmentation(radiometry=0.5), list(rows)
    yield plain
    for version in range(1, count + 1):
        draws = (np.random.default_rng(stable_seed(version, row["image_group_id"])).random(DRAWS) for row in plain)
        pairs = [change(row["rgb"], row["ir"], "", draw) for row, draw in zip(plain, draws)]
        yield [{**row, "rgb": rgb, "ir": ir} for row, (rgb, ir) in zip(plain, pairs)]


@torch.no_grad()
def text_features(model: FusionRSCLIPModel, collator: PairCollator, rows: Dataset) -> dict[str, Tensor]:
    """Returns the text tower's features of all captions, `(hidden_size,)` each."""
    texts = sorted({text for kind in TEXT_KINDS.values() for row in rows[kind] for text in row or ()}, key=len)
    features: dict[str, Tensor] = {}
    for start in range(0, len(texts), 128):
        part = texts[start : start + 128]
        tokens = collator.processor(text=part)
        hidden = model.text_model(**tokens).last_hidden_state
        features.update(zip(part, pool_text(hidden, tokens["attention_mask"], "mean")))
    return features


def read_split(model: FusionRSCLIPModel, collator: PairCollator, dataset: str, split: str, versions: int) -> Split:
    """Returns a split's rows of sensor infrared that have captions."""
    rows = load_pairs(dataset, split).filter(lambda scene, infrared: bool(scene or infrared), input_columns=KINDS)
    features = [pooled_features(model, part, collator) for part in versions_of(rows, versions)]
    rgb, ir = (torch.stack(side) for side in zip(*features))
    scenes = np.array([scene_of(place) for place in rows["source_locator"]])
    return Split(rows, scenes, rgb, ir, text_features(model, collator, rows))


@dataclass(slots=True)
class Fold:
    """What is trained on where a scene is left out.

    Args:
        rgb, ir: `(versions, rows, features)`.
        captions: Scene captions and IR-aware ones of each row.
        ids: Of the rows' image groups, `(rows,)`.
        whitened: The image projection's start, `(SIZE, features)`.
    """

    rgb: Tensor
    ir: Tensor
    captions: list[tuple[list[str], list[str]]]
    ids: Tensor
    whitened: Tensor


def make_fold(model: FusionRSCLIPModel, split: Split, left_out: str) -> Fold:
    """Returns the rows of all scenes but one; the model gets their statistics."""
    chosen = np.flatnonzero(split.scenes != left_out)
    rows, rgb, ir = split.rows.select(chosen), split.rgb[:, chosen], split.ir[:, chosen]
    model.fit_feature_norm(rgb[0], ir[0])
    model.whiten_projection(rgb[0], ir[0])
    captions = [(scene or [], infrared or []) for scene, infrared in zip(*(rows[kind] for kind in KINDS))]
    whitened = model.visual_projection.weight.detach().clone()
    return Fold(rgb, ir, captions, integer_ids(rows["image_group_id"]), whitened)


def train(model: FusionRSCLIPModel, fold: Fold, texts: dict[str, Tensor], trial: Trial, seed: int) -> None:
    """Trains the heads anew, in place; `texts` has the features of each."""
    generator, draws = torch.Generator().manual_seed(seed), np.random.default_rng(seed)
    weight, text_weight = model.visual_projection.weight, model.text_projection.weight
    start_anew(model, generator)
    if trial.whitened:
        weight.data.copy_(fold.whitened)
    start = weight.detach().clone()
    model.config.rgb_ir_weight = trial.rgb_ir_weight

    def loss(batch: Tensor) -> Tensor:
        pools = [fold.captions[row] for row in batch.tolist()]
        aware = [bool(infrared) and (not scene or draws.random() < 0.5) for scene, infrared in pools]
        said = [pool[kind][draws.integers(len(pool[kind]))] for pool, kind in zip(pools, aware)]
        version = torch.from_numpy(draws.integers(len(fold.rgb), size=len(batch)) * trial.radiometry)
        shown = {"rgb": fold.rgb[version, batch], "ir": fold.ir[version * ~torch.tensor(aware), batch]}
        embeds = {name: embed(model, side, name) for name, side in shown.items()}
        embeds["text"] = F.normalize(model.text_projection(torch.stack([texts[text] for text in said])), dim=-1)
        keys = integer_ids([caption_key(text) for text in said])
        away = (weight - start).square().sum()
        return model.contrastive_loss(embeds, fold.ids[batch], keys) + trial.anchor * away

    rates = [(weight, trial.rate), (text_weight, trial.text_rate), (model.logit_scale, trial.rate)]
    descend(rates, loss, len(fold.ids), STEPS, generator)
    with torch.no_grad():
        weight.lerp_(start, trial.kept)


@torch.no_grad()
def score(model: FusionRSCLIPModel, split: Split, scenes: Sequence[str]) -> dict[str, tuple[int, int]]:
    """Returns hits at rank one and queries of `images` and `texts`, over the bands of scenes."""
    bands, counts = np.asarray(split.rows["ir_band"]), {"images": [0, 0], "texts": [0, 0]}
    for band in np.unique(bands):
        chosen = np.flatnonzero((bands == band) & np.isin(split.scenes, scenes))
        if not len(chosen):
            continue
        rows, texts = split.rows.select(chosen), {}
        for kind, column in TEXT_KINDS.items():
            first = {row: pool[0] for row, pool in enumerate(rows[column]) if pool}
            told = torch.stack([split.texts[text] for text in first.values()])
            embeds = F.normalize(model.text_projection(told), dim=-1).numpy()
            keys = np.asarray([caption_key(text) for text in first.values()])
            texts[kind] = EmbeddedTexts(np.asarray(list(first)), keys, embeds)
        sides = {"rgb": split.rgb, "ir": split.ir}
        images = {name: embed(model, side[0, chosen], name).numpy() for name, side in sides.items()}
        part = EmbeddedRows(np.asarray(rows["image_group_id"]), bands[chosen], bands[chosen], images, texts)
        for what, ranks in (("images", image_ranks(part)), ("texts", text_ranks(part))):
            counts[what][0] += sum(int((values < 1).sum()) for values in ranks.values())
            counts[what][1] += sum(len(values) for values in ranks.values())
    return {what: tuple(values) for what, values in counts.items()}


def share(counts: Sequence[dict[str, tuple[int, int]]], what: str) -> float:
    """Returns R@1 over several scorings."""
    return sum(one[what][0] for one in counts) / sum(one[what][1] for one in counts)


def measure(demo: Path, seeds: Sequence[int]) -> dict[str, Any]:
    """Returns R@1 of every trial on validation regions of scenes trained on and left out, by seed."""
    towers, dataset = [str(demo / "weights" / name) for name in ("vision", "text")], str(demo / "dataset")
    processor = AutoImageProcessor.from_pretrained(towers[0])
    collator = PairCollator(FusionRSCLIPProcessor(processor, processor, load_tokenizer(towers[1])), texts_per_row=0)
    options = {"vision_layers": LAYERS, "vision_pooling": "grid", "text_pooling": "mean", "projection_dim": SIZE}
    model = FusionRSCLIPModel.from_towers(*towers, **options, feature_norm=True).eval()
    with remember_layers(model.vision_model):
        training = read_split(model, collator, dataset, "train", VERSIONS)
        validation = read_split(model, collator, dataset, "validation", 0)
    found: dict[str, dict[str, list]] = {name: {"region": [], "left_out": []} for name in TRIALS}
    for left_out in FOLDS:
        fold = make_fold(model, training, left_out)
        place, scenes = ("region", FOLDS[1:]) if left_out == "none" else ("left_out", [left_out])
        for name, trial in TRIALS.items():
            by_seed = []
            for seed in seeds:
                train(model, fold, training.texts, trial, seed)
                by_seed.append(score(model, validation, scenes))
            found[name][place].append(by_seed)
            logger.info("without %s, %s: %.3f", left_out, name, np.mean([share([one], "images") for one in by_seed]))
    return {
        name: {
            f"{place}_{what}": [share(parts, what) for parts in zip(*by_fold)]
            for place, by_fold in places.items()
            for what in ("images", "texts")
        }
        for name, places in found.items()
    }


def main(argv: Sequence[str] | None = None) -> None:
    """Trains, scores and writes the table."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--packages", type=Path, required=True, help="folder of the demo's weight packages")
    parser.add_argument("--demo", type=Path, default=Path("runs/demo"), help="its weights and dataset")
    parser.add_argument("--seeds", type=int, nargs="+", default=[0, 1, 2])
    arguments = parser.parse_args(argv)
    logging.basicConfig(level=logging.INFO, format="%(message)s")
    demo = arguments.demo.resolve()
    travel(steps(arguments.packages.resolve(), demo, seed=0)[:2], demo)  # weights and dataset
    report = {
        "what": "R@1 of heads on validation regions, of scenes trained on and of scenes left out, by seed",
        "seeds": arguments.seeds,
        "hardware": f"{os.cpu_count()} processors, {platform.machine()}, no GPU",
        "trials": measure(demo, arguments.seeds),
    }
    RESULT.write_text(json.dumps(report, indent=1) + "\n")
    logger.info("wrote %s", RESULT)


if __name__ == "__main__":
    main()
