"""Scores a dual-modal CLIP on which objects HIT-UAV's thermal images show: by prompts, and by a linear probe.

fusionrs eval hit-uav --model runs/clip --dataset HIT-UAV-Infrared-Thermal-Dataset --output runs/clip/hit_uav.json

The published protocol as far as it is documented: four classes, DontCare left out; zero-shot on all 2,898 images by
the mean of three thermal UAV prompts, average precision of each class, their mean, and the share of images whose best
class is there; the probe on the official 2,029 / 290 / 579 images, class-balanced logistic regression with C of 0.01,
0.1, 1 or 10 by validation AP, fitted again on train and validation. Not documented, and ours here: the wording of the
prompts, and that images with none of the four classes count for AP but not for the best class.
"""

import argparse
import json
import logging
import sys
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TypedDict

import numpy as np

from fusionrs_hf.arguments import Arguments, file_to_write, path
from fusionrs_hf.encoders import Encoder, load_clip
from fusionrs_hf.errors import InputError, shown
from fusionrs_hf.records import read_record
from training.data.image_files import embed_files, read_infrared
from training.evaluate_zero_shot import class_embeddings
from training.scoring.probe import C_GRID, average_precision, choose, fit_binary
from training.scoring.significance import bootstrap_mean, bootstrap_statistic

logger = logging.getLogger(__name__)
SPLITS = ("train", "val", "test")
CLASSES = {"Person": "person", "Bicycle": "bicycle", "Car": "car", "OtherVehicle": "other vehicle"}
TEMPLATES = (
    "a thermal infrared image taken by a drone that shows a {}",
    "an aerial thermal picture with a {} in it",
    "a {} seen from above by a thermal camera",
)
IMAGES = 2_898


class Category(TypedDict):
    """A class of objects."""

    id: int
    name: str


class Box(TypedDict):
    """An object in an image."""

    image_id: int
    category_id: int


class Photo(TypedDict):
    """An image."""

    id: int
    filename: str


class Annotations(TypedDict):
    """What is read of a file of annotations."""

    categories: list[Category]
    annotation: list[Box]
    images: list[Photo]


@dataclass(slots=True)
class Presence:
    """Images of the splits in order, and what is in them.

    Args:
        paths: Image files.
        splits: `train`, `val` or `test`, `(images,)`.
        present: Bool `(images, 4)`, in the order of `CLASSES`.
    """

    paths: list[Path]
    splits: np.ndarray
    present: np.ndarray

    def __len__(self) -> int:
        return len(self.paths)


def read_presence(folder: Path) -> Presence:
    """Reads the official annotations with upright boxes, `normal_json/annotations/{train,val,test}.json`.

    Args:
        folder: Clone of the official repository, or its `normal_json`.

    Raises:
        InputError: The annotations are not there.
    """
    root = folder / "normal_json" if (folder / "normal_json").is_dir() else folder
    paths, splits, present = [], [], []
    for split in SPLITS:
        file = root / "annotations" / f"{split}.json"
        if not file.is_file():
            raise InputError(f"{file} is missing; --dataset must be a clone of HIT-UAV, or its normal_json")
        annotations = read_record(file, Annotations, "get the dataset again")
        names = {category["id"]: category["name"] for category in annotations["categories"]}
        shown: dict[int, set[str]] = {}
        for box in annotations["annotation"]:  # the official key, without s
            shown.setdefault(box["image_id"], set()).add(names.get(box["category_id"], ""))
        for image in annotations["images"]:
            paths.append(root / split / image["filename"])
            splits.append(split)
            present.append([name in shown.get(image["id"], ()) for name in CLASSES])
    return Presence(paths, np.asarray(splits), np.asarray(present, bool))


def precision_table(scores: np.ndarray, present: np.ndarray, draws: int = 1_000, seed: int = 0) -> dict:
    """Returns the average precision of each class, their mean and its 95 % bootstrap interval over images.

    Args:
        scores, present: `(images, 4)`.
        draws, seed: Of the bootstrap; a resample that lacks a class entirely is left out.
    """

    def precisions(rows: np.ndarray | slice) -> list[float]:
        return [average_precision(scores[rows, column], present[rows, column]) for column in range(len(CLASSES))]

    def mean_precision(rows: np.ndarray) -> float | None:
        return float(np.mean(precisions(rows))) if present[rows].any(0).all() else None

    each = precisions(slice(None))
    return {
        "AP": dict(zip(CLASSES.values(), each)),
        "positives": dict(zip(CLASSES.values(), present.sum(0).tolist())),
        "mAP": float(np.mean(each)),
        "mAP_interval": bootstrap_statistic(mean_precision, len(scores), draws, seed),
    }


def zero_shot(features: np.ndarray, prompts: np.ndarray, present: np.ndarray) -> dict:
    """Scores presence by cosine to the prompts.

    Args:
        features: Unit length, `(images, size)`.
        prompts: One unit-length embedding a class, `(4, size)`.
        present: Bool `(images, 4)`.
    """
    scores = features @ prompts.T  # (images, 4)
    some = present.any(1)
    hits = present[some, scores[some].argmax(1)]
    top1 = {"top1_hit": list(bootstrap_mean(hits, 1_000)), "hit_images": int(some.sum())}
    return precision_table(scores, present) | top1


def probe(features: np.ndarray, data: Presence) -> dict:
    """Fits one class-balanced logistic regression a class; C by validation AP, then train and validation together.

    Raises:
        InputError: A class is nowhere or everywhere in a split.
    """
    part = {split: data.splits == split for split in SPLITS}
    both, columns, strengths = part["train"] | part["val"], [], {}
    for column, title in enumerate(CLASSES.values()):
        present = data.present[:, column]
        for split, rows in part.items():
            if present[rows].all() or not present[rows].any():
                raise InputError(
                    f"the probe needs {split} images with and without {shown(title)}, found one kind only"
                )
        strengths[title], _ = choose(
            C_GRID,
            lambda c, present=present: average_precision(
                fit_binary(features[part["train"]], present[part["train"]], c).scores(features[part["val"]]),
                present[part["val"]],
            ),
        )
        fitted = fit_binary(features[both], present[both], strengths[title])
        columns.append(fitted.scores(features[part["test"]]))
    return precision_table(np.stack(columns, axis=1), data.present[part["test"]]) | {"C": strengths}


def make_parser() -> argparse.ArgumentParser:
    """Builds the parser."""
    parser = Arguments(prog="fusionrs eval hit-uav", description=__doc__.splitlines()[0])
    parser.add_argument("--model", required=True, help="folder or Hub id of a FusionRS-CLIP or a CLIP")
    parser.add_argument("--dataset", type=path, required=True, help="clone of HIT-UAV, or its normal_json")
    parser.add_argument("--output", type=file_to_write, required=True, help="JSON to write")
    return parser


def main(argv: Sequence[str] | None = None) -> None:
    """Scores a model; writes the results."""
    arguments = make_parser().parse_args(sys.argv[1:] if argv is None else argv)
    logging.basicConfig(level=logging.INFO, format="%(message)s")
    encoder, data = Encoder.for_scores(*load_clip(arguments.model)), read_presence(arguments.dataset)
    if len(data) != IMAGES:
        logger.warning("HIT-UAV has %d images, found %d: not the published set", IMAGES, len(data))
    features, readable = embed_files(encoder.ir, data.paths, read_infrared)
    if not readable.all():
        raise InputError(f"{(~readable).sum()} of {len(data)} images cannot be read; fetch the set again")
    prompts = class_embeddings(encoder, list(CLASSES.values()), TEMPLATES)
    results = {
        "dataset": "HIT-UAV",
        "complete": len(data) == IMAGES,
        "images": {split: int((data.splits == split).sum()) for split in SPLITS},
        "zero_shot": zero_shot(features, prompts, data.present) | {"templates": list(TEMPLATES)},
        "probe": probe(features, data),
    }
    for name in ("zero_shot", "probe"):
        logger.info("HIT-UAV presence, %s: mAP %.2f", name, 100 * results[name]["mAP"])
    arguments.output.write_text(json.dumps(results, indent=1) + "\n")


if __name__ == "__main__":
    main()
