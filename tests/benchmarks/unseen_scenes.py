"""Retrieval on scenes that training never saw, beside regions held out of scenes that it saw.

    make bench        (or: python -m tests.benchmarks.unseen_scenes --packages .demo-packages --scenes SCENES)

The recipe `clip_whitened.yaml` and the demo's, with equal steps and seeds. Each is trained on all scenes of the
sample's training split and scored on their held-out regions, and on scenes that have no training row; and once
without each scene and scored on that scene's held-out region: leave-one-scene-out. --scenes is the folder of
grounded_claims/requirements-tiles.txt, with two further scenes. Beside them the towers before any training: all
layers as loaded, their features standardised by the training rows of each fold; the layers that the recipe keeps,
standardised; and these whitened, as its head starts. Where --demo holds a trained CLIP, it is the demo's recipe on
all scenes, seed 0. Runs are kept under --work, so an interrupted bench continues. Writes
tests/benchmarks/results/unseen_scenes.json.
"""

import json
import logging
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from datasets import Dataset
from PIL import Image

from tests.benchmarks.runs import HARDWARE, make_parser, run_missing
from tests.benchmarks.translator_quality import SCENES, scene_tiles
from tests.benchmarks.unseen_tables import summary
from training.data.scenes import scene_of
from training.journey import CLIP_RECIPE, has_fast_bf16, steps, travel

logger = logging.getLogger(__name__)
RESULT = Path(__file__).parent / "results" / "unseen_scenes.json"
FOLDS = ("none", "s2_virginia", "l7_saltlake")  # which scene's rows are not trained on
OURS, DEMO = "whitened", "demo"
RECIPES = {  # what is frozen is remembered, which changes no weight
    OURS: ("training/recipes/clip_whitened.yaml", {}),
    DEMO: (str(CLIP_RECIPE), {"remember_images": True}),
}
KEPT_LAYERS = 6  # as in the recipe
UNTRAINED = "untrained"  # the job that trains nothing
LABELS = {
    OURS: "six layers as loaded, whitened head, trained",
    DEMO: "the demo's recipe",
    "loaded": "towers as loaded, standardised",
    "kept": "their first six layers, standardised",
    "start": "these whitened, not trained",
}


@dataclass(slots=True)
class Part:
    """Tiles of one band that are ranked among themselves.

    Args:
        name: `region/<band>` of scenes that all folds but one train on, or `<scene>/<band>`.
        tiles: Name of each, unique over scenes; bands of one tile share it.
        rgb, ir: Its images.
        rows: Of the dataset, with captions; None where there are none.
    """

    name: str
    tiles: list[str]
    rgb: Sequence[Image.Image]
    ir: Sequence[Image.Image]
    rows: Dataset | None = None


def parts_of(dataset: str, left_out: str, scenes: Path) -> Iterator[Part]:
    """Yields what a fold is scored on.

    Args:
        dataset: The demo's.
        left_out: The scene without training rows; `none`: the regions by band, and each scene of no training split.
        scenes: Folder of the further scenes' packages.
    """
    from training.scoring.held_out import representative_rows

    rows = representative_rows(dataset, "test", "sensor")
    places, bands = np.array([scene_of(place) for place in rows["source_locator"]]), np.asarray(rows["ir_band"])
    names = np.where(np.isin(places, FOLDS), "region", places) if left_out == "none" else places
    for name in np.unique(names) if left_out == "none" else [left_out]:
        for band in np.unique(bands[names == name]):
            part = rows.select(np.flatnonzero((names == name) & (bands == band)))
            yield Part(f"{name}/{band}", part["source_locator"][:], part["rgb"][:], part["ir"][:], part)
    for name, read in SCENES.items() if left_out == "none" else ():
        tiles = scene_tiles(*read(scenes))
        images = ([Image.fromarray(tile) for tile in side] for side in (tiles.rgb, tiles.infrared))
        yield Part(f"{name}/nir", [f"{name}@{block}" for block in tiles.blocks], *images)


def score(encoder: Any, part: Part) -> dict[str, Any]:
    """Returns ranks between a part's images, and from and to its rows' first caption of each kind; and chance."""
    from training.scoring.embedded_rows import EmbeddedRows, embed_texts, image_ranks, text_ranks
    from training.scoring.recall_tables import chances_of

    band = part.name.split("/")[1]
    bands, groups = [band] * len(part.tiles), np.asarray(part.tiles)
    texts = {}
    if part.rows is not None and not encoder.pooled:
        first = {name: [texts[:1] for texts in part.rows[name][:]] for name in ("captions", "ir_captions")}
        texts = embed_texts(encoder, Dataset.from_dict(first))
    images = {"rgb": encoder.rgb(part.rgb), "ir": encoder.ir(part.ir, bands)}
    embedded = EmbeddedRows(groups, np.asarray(bands), groups, images, texts)
    ranks = image_ranks(embedded) | text_ranks(embedded)
    chance = {name: value["R@1"] for name, value in chances_of(embedded, ranks).items() if "R@1" in value}
    return {
        "tiles": part.tiles,
        "ranks": {name: values.tolist() for name, values in ranks.items()},
        "chance": chance,
    }


def train_one(name: str, seed: int, demo: Path, folder: Path, scenes: Path) -> dict[str, Any]:
    """Trains and scores one run, `<recipe>-<scene left out>`, in this process."""
    from fusionrs_hf.encoders import Encoder, load_clip
    from training import train_clip

    recipe, left_out = name.split("-")
    dataset, trained = str(demo / "dataset"), demo / "clip"
    if not (name == f"{DEMO}-none" and seed == 0 and (trained / "model.safetensors").is_file()):
        trained, (file, fields) = folder, RECIPES[recipe]
        options = {"dataset": dataset, "vision_tower": demo / "weights/vision", "text_tower": demo / "weights/text"}
        options |= {"output_dir": folder, "seed": seed, "eval_strategy": "no", "save_strategy": "no"}
        options |= {"bf16": has_fast_bf16()} | fields
        if left_out != "none":
            options["leave_out_scenes"] = left_out
        arguments = [part for option, value in options.items() for part in (f"--{option}", str(value))]
        train_clip.main(["--config", file, *arguments])
    encoder = Encoder(*load_clip(str(trained)))
    return {"parts": {part.name: score(encoder, part) for part in parts_of(dataset, left_out, scenes)}}


def score_start(demo: Path, scenes: Path) -> dict[str, Any]:
    """Scores the towers before training, by label and part; each fold has statistics of its own training rows."""
    from transformers import AutoImageProcessor

    from fusionrs_hf.encoders import Encoder
    from fusionrs_hf.modeling_fusionrs_clip import FusionRSCLIPModel
    from fusionrs_hf.processing_fusionrs_clip import FusionRSCLIPProcessor
    from fusionrs_hf.weights import load_tokenizer
    from training.data.pairs import PairCollator, load_pairs, pooled_features
    from training.trainers.layer_memory import remember_layers

    dataset, towers = str(demo / "dataset"), [str(demo / "weights" / name) for name in ("vision", "text")]
    images = AutoImageProcessor.from_pretrained(towers[0])
    processor = FusionRSCLIPProcessor(images, images, load_tokenizer(towers[1]))
    rows = load_pairs(dataset, "train")
    places = np.array([scene_of(place) for place in rows["source_locator"]])
    scored: dict[str, Any] = {}
    for layers in (None, KEPT_LAYERS):
        model = FusionRSCLIPModel.from_towers(
            *towers, vision_layers=layers, vision_pooling="grid", text_pooling="mean", feature_norm=True
        )
        with remember_layers(model.vision_model):
            features = pooled_features(model, rows, PairCollator(processor, texts_per_row=0))
            for left_out in FOLDS:
                trained_on = [side[places != left_out] for side in features]
                model.fit_feature_norm(*trained_on)
                encoders = {
                    "loaded" if layers is None else "kept": Encoder(model, processor, pooled=True, standardise=True)
                }
                if layers is not None:
                    model.whiten_projection(*trained_on)
                    encoders["start"] = Encoder(model, processor)
                for part in parts_of(dataset, left_out, scenes):
                    part.rows = None  # no text has been learned
                    for label, encoder in encoders.items():
                        scored.setdefault(label, {})[part.name] = score(encoder, part)
    return scored


def run_one(name: str, seed: int, demo: Path, folder: Path, scenes: Path) -> None:
    """Does one job; the result is `folder/result.json`."""
    result = score_start(demo, scenes) if name == UNTRAINED else train_one(name, seed, demo, folder, scenes)
    (folder / "result.json").write_text(json.dumps(result))


def joined(runs: Mapping[tuple[str, int], Mapping[str, Any]], seeds: Sequence[int]) -> dict[str, list[dict[str, Any]]]:
    """Returns the scores of every part by label, seed after seed; what was not trained is the same for all."""
    scores = {
        recipe: [
            {name: part for fold in FOLDS for name, part in runs[f"{recipe}-{fold}", seed]["parts"].items()}
            for seed in seeds
        ]
        for recipe in RECIPES
    }
    return scores | {label: [parts] * len(seeds) for label, parts in runs[UNTRAINED, 0].items()}


def main(argv: Sequence[str] | None = None) -> None:
    """Runs what is missing, two one-thread processes at a time, then writes the tables."""
    parser = make_parser(__doc__.splitlines()[0], "runs/bench/unseen", "JOB")
    parser.add_argument("--scenes", type=Path, required=True, help="folder of two further scenes")
    arguments = parser.parse_args(argv)
    logging.basicConfig(level=logging.INFO, format="%(message)s")
    if arguments.one:
        name, seed = arguments.one[0], int(arguments.one[1])
        run_one(name, seed, arguments.demo, arguments.work / f"{name}-{seed}", arguments.scenes)
        return
    if missing := [name for name, read in SCENES.items() if read(arguments.scenes) is None]:
        parser.error(f"{arguments.scenes} has no {' and no '.join(missing)}; install requirements-tiles.txt into it")
    demo = arguments.demo.resolve()
    travel(steps(arguments.packages.resolve(), demo, seed=0)[:2], demo)  # weights and dataset
    jobs = [(f"{recipe}-{fold}", seed) for seed in arguments.seeds for recipe in RECIPES for fold in FOLDS]
    options = ("--scenes", str(arguments.scenes))
    runs = run_missing("tests.benchmarks.unseen_scenes", [(UNTRAINED, 0), *jobs], arguments, options)
    report = {
        "what": "R@1 between RGB and sensor infrared, and of text; 95 % paired bootstrap over tiles, seeds pooled",
        "labels": LABELS,
        "seeds": arguments.seeds,
        "hardware": HARDWARE,
        **summary(joined(runs, arguments.seeds)),
    }
    RESULT.write_text(json.dumps(report, indent=1) + "\n")
    logger.info("wrote %s", RESULT)


if __name__ == "__main__":
    main()
