"""Scores a dual-modal CLIP on finding the thermal image of an aerial RGB image and back, on Caltech's aerial pairs.

fusionrs eval caltech-pairs --model runs/clip --dataset labeled_rgbt_pairs --splits splits/rgbt_splits \
    --output runs/clip/caltech.json

The published protocol: the official test split, 279 pairs, RGB and thermal joined by the name of their mask; each
image searches all 279 of the other kind and only its own partner is right; R@1, R@5, R@10 and their mean over both
directions. Not documented: whether the 8-bit or the 16-bit thermal images were read (8-bit here, `--thermal` chooses).
"""

import argparse
import json
import logging
import sys
from collections.abc import Sequence
from pathlib import Path

import numpy as np

from fusionrs_hf.arguments import Arguments, file_to_write, path
from fusionrs_hf.bounded_files import read_text
from fusionrs_hf.encoders import Encoder, load_clip
from fusionrs_hf.errors import InputError, shown
from training.data.image_files import embed_files, read_infrared, read_rgb
from training.metrics.cross_modal_recall.cross_modal_recall import both_ranks, equal_id_positives, summarize
from training.scoring.significance import bootstrap_mean

logger = logging.getLogger(__name__)
PAIRS = 279


def read_pairs(dataset: Path, splits: Path, thermal: str) -> list[tuple[Path, Path]]:
    """Lists the test split's RGB and thermal files, joined and sorted by the name of their mask.

    Args:
        dataset: The unpacked `labeled_rgbt_pairs`: `color`, `thermal8`, `thermal16`, `annotations`.
        splits: The official `splits/rgbt_splits`, of lines `image,mask`.
        thermal: `thermal8` or `thermal16`.

    Raises:
        InputError: A list is missing, or masks have one image only.
    """
    sides = []
    for name in ("rgb", thermal):
        file = splits / f"{name}_test.txt"
        if not file.is_file():
            raise InputError(f"{file} is missing; --splits must be splits/rgbt_splits of the dataset's repository")
        lines = [line.split(",") for line in read_text(file).split()]
        if wrong := next((line for line in lines if len(line) != 2 or "\0" in "".join(line)), None):
            raise InputError(f"{file} holds the line {shown(wrong)}, expected an image and a mask; get it again")
        sides.append({Path(mask).name: dataset / image for image, mask in lines})
    rgb, infrared = sides
    if alone := sorted(rgb.keys() ^ infrared.keys()):
        raise InputError(f"{len(alone)} masks have an image of one kind only, such as {alone[0]}; give one split's")
    return [(rgb[mask], infrared[mask]) for mask in sorted(rgb)]


def score_pairs(rgb: np.ndarray, ir: np.ndarray) -> dict:
    """Returns recall of both directions, R@1 intervals over queries, and the mean of the six recalls.

    Args:
        rgb, ir: Unit-length embeddings of the same scenes, `(pairs, size)`.
    """
    scene_ids = np.arange(len(rgb))
    ranks = dict(zip(("rgb_to_ir", "ir_to_rgb"), both_ranks(rgb, ir, equal_id_positives(scene_ids, scene_ids))))
    scores = {name: summarize(values) for name, values in ranks.items()}
    return {
        "queries": len(rgb),
        "scores": scores,
        "intervals": {name: list(bootstrap_mean(values < 1)) for name, values in ranks.items()},
        "mean_recall": float(np.mean([score["mean_recall"] for score in scores.values()])),
        "ranks": {name: values.tolist() for name, values in ranks.items()},
    }


def make_parser() -> argparse.ArgumentParser:
    """Builds the parser."""
    parser = Arguments(prog="fusionrs eval caltech-pairs", description=__doc__.splitlines()[0])
    parser.add_argument("--model", required=True, help="folder or Hub id of a FusionRS-CLIP or a CLIP")
    parser.add_argument("--dataset", type=path, required=True, help="unpacked labeled_rgbt_pairs")
    parser.add_argument("--splits", type=path, required=True, help="splits/rgbt_splits of the dataset's repository")
    parser.add_argument("--thermal", choices=("thermal8", "thermal16"), default="thermal8")
    parser.add_argument("--output", type=file_to_write, required=True, help="JSON to write")
    return parser


def main(argv: Sequence[str] | None = None) -> None:
    """Scores a model; writes the results."""
    arguments = make_parser().parse_args(sys.argv[1:] if argv is None else argv)
    logging.basicConfig(level=logging.INFO, format="%(message)s")
    pairs = read_pairs(arguments.dataset, arguments.splits, arguments.thermal)
    if len(pairs) != PAIRS:
        logger.warning("the published test split has %d pairs, found %d", PAIRS, len(pairs))
    encoder = Encoder.for_scores(*load_clip(arguments.model), declared=True)
    rgb, rgb_readable = embed_files(encoder.rgb, [left for left, _ in pairs], read_rgb)
    ir, ir_readable = embed_files(encoder.ir, [right for _, right in pairs], read_infrared)
    if not (rgb_readable & ir_readable).all():
        raise InputError(f"{(~(rgb_readable & ir_readable)).sum()} of {len(pairs)} pairs cannot be read")
    results = {"dataset": "Caltech Aerial RGB-Thermal, paired test", "thermal": arguments.thermal}
    results |= {"complete": len(pairs) == PAIRS, **score_pairs(rgb, ir)}
    logger.info("Caltech pairs: mean recall %.2f", 100 * results["mean_recall"])
    arguments.output.write_text(json.dumps(results, indent=1) + "\n")


if __name__ == "__main__":
    main()
