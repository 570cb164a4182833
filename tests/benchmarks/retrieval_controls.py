"""Retrieval between RGB and sensor infrared against the three controls, three seeds, by the demo's own recipe.

    make bench        (or: python -m tests.benchmarks.retrieval_controls --packages .demo-packages)

Trains the recipe and its two trained controls, `grayscale` (b) and `shuffled` (c), with the same towers, steps and
seeds; control (a) is the towers as loaded. Every run is kept under --work, so an interrupted bench continues. Writes
tests/benchmarks/results/retrieval_controls.json, and of it what cards show to training/recipes/controls.json.
"""

import json
import logging
import time
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np

from tests.benchmarks.runs import HARDWARE, make_parser, run_missing
from training.journey import TRAINED_CONTROLS, has_fast_bf16, steps, travel
from training.scoring.clip_results import ControlRecall, DirectionScores, TrainedControls
from training.scoring.significance import Interval, bootstrap_mean, paired_bootstrap

logger = logging.getLogger(__name__)
RESULT = Path(__file__).parent / "results" / "retrieval_controls.json"
VIEWS = ("sensor", "grayscale", "shuffled")
LABELS = {
    "sensor": "trained on sensor infrared",
    "pretrained": "(a) towers as loaded",
    "grayscale": "(b) trained on the grayscale of RGB",
    "shuffled": "(c) trained on shuffled pairs",
}


def run_one(view: str, seed: int, demo: Path, folder: Path) -> None:
    """Trains and scores one run in this process; the result is `folder/result.json`."""
    from transformers import AutoModel, AutoProcessor

    from training import train_clip
    from training.data.pairs import PairCollator, fit_clip_norm, load_pairs
    from training.evaluate_clip import evaluate, evaluate_pretrained

    started = time.monotonic()
    dataset = str(demo / "dataset")
    towers = {"vision_tower": demo / "weights/vision", "text_tower": demo / "weights/text"}
    options = {**towers, "dataset": dataset, "output_dir": folder, "ir_view": view, "seed": seed}
    options |= {"eval_strategy": "no", "bf16": has_fast_bf16()}
    arguments = [part for name, value in options.items() for part in (f"--{name}", str(value))]
    train_clip.main(["--config", "training/recipes/clip_demo.yaml", *arguments])
    result: dict[str, Any] = {"train_s": round(time.monotonic() - started, 1)}
    model, processor = AutoModel.from_pretrained(folder), AutoProcessor.from_pretrained(folder)
    trained = evaluate(model, processor, dataset)
    result["scores"] = {subset: scores.as_dict() for subset, scores in trained.items()}
    if view == "grayscale":  # its statistics are of grey images: with those of sensor infrared it may do better
        fit_clip_norm(model, load_pairs(dataset, "train"), PairCollator(processor))
        for subset, scores in evaluate(model, processor, dataset, texts=False).items():
            if recall(scores) > recall(trained[subset]):
                for part in ("scores", "intervals", "ranks"):
                    result["scores"][subset][part] |= scores.as_dict()[part]
                result["scores"][subset]["statistics"] = "sensor infrared"
    if view == "sensor":
        pretrained = evaluate_pretrained(model.config, processor, towers, dataset)
        result["pretrained"] = {subset: scores.as_dict() for subset, scores in pretrained.items()}
    (folder / "result.json").write_text(json.dumps(result))


def recall(scores: DirectionScores) -> float:
    """R@1 from RGB to infrared."""
    return scores.scores["rgb_to_ir"]["R@1"]


def compare(runs: dict[tuple[str, int], dict], seeds: Sequence[int]) -> dict:
    """Puts every direction beside its controls: R@1 by seed, and paired differences by seed and pooled over seeds."""
    table = {}
    for subset, first in runs["sensor", seeds[0]]["scores"].items():
        table[subset] = {"queries": first["queries"], "directions": {}}
        for direction in first["ranks"]:
            hits = {
                name: np.array(
                    [np.asarray(scores_of(runs, name, seed)[subset]["ranks"][direction]) < 1 for seed in seeds]
                )
                for name in LABELS
                if direction in scores_of(runs, name, seeds[0])[subset]["ranks"]
            }  # (seeds, queries) each
            row = {
                name: {"R@1": values.mean(1).round(4).tolist(), "mean": bootstrap_mean(values)}
                for name, values in hits.items()
            }
            ours = hits.pop("sensor")
            for name, values in hits.items():
                row[name]["difference"] = paired_bootstrap(ours, values)
                row[name]["difference_by_seed"] = [paired_bootstrap(a, b) for a, b in zip(ours, values)]
            for name in row:
                ranks = [scores_of(runs, name, seed)[subset]["scores"][direction] for seed in seeds]
                row[name]["R@5"] = [round(scores["R@5"], 4) for scores in ranks]
                row[name]["R@10"] = [round(scores["R@10"], 4) for scores in ranks]
            table[subset]["directions"][direction] = row
    return table


def scores_of(runs: dict[tuple[str, int], dict], name: str, seed: int) -> dict:
    """The scores of a view, or of the towers as loaded, for one seed."""
    return runs["sensor", seed]["pretrained"] if name == "pretrained" else runs[name, seed]["scores"]


def trained_controls(report: Mapping[str, Any]) -> TrainedControls:
    """What the package ships of the report: R@1 of the controls that a single run does not train, and its lead."""
    return TrainedControls(
        what=report["what"],
        seeds=report["seeds"],
        hardware=report["hardware"],
        subsets={
            subset: {
                direction: {
                    name: ControlRecall(Interval(*row[name]["mean"]), Interval(*row[name]["difference"]))
                    for name in VIEWS[1:]
                }
                for direction, row in part["directions"].items()
            }
            for subset, part in report["subsets"].items()
        },
    )


def main(argv: Sequence[str] | None = None) -> None:
    """Runs what is missing, two one-thread processes at a time, then writes the table."""
    parser = make_parser(__doc__.splitlines()[0], "runs/bench/retrieval", "VIEW")
    arguments = parser.parse_args(argv)
    logging.basicConfig(level=logging.INFO, format="%(message)s")
    if arguments.one:
        view, seed = arguments.one[0], int(arguments.one[1])
        run_one(view, seed, arguments.demo, arguments.work / f"{view}-{seed}")
        return

    demo = arguments.demo.resolve()
    travel(steps(arguments.packages.resolve(), demo, seed=0)[:2], demo)  # weights and dataset
    jobs = [(view, seed) for seed in arguments.seeds for view in VIEWS]
    runs = run_missing("tests.benchmarks.retrieval_controls", jobs, arguments)
    RESULT.parent.mkdir(exist_ok=True)
    report = {
        "what": "R@1 between RGB and sensor infrared, demo recipe, against its controls; 95 % paired bootstrap",
        "labels": LABELS,
        "seeds": arguments.seeds,
        "hardware": HARDWARE,
        "train_s": {f"{view}-{seed}": run["train_s"] for (view, seed), run in runs.items()},
        "subsets": compare(runs, arguments.seeds),
    }
    RESULT.write_text(json.dumps(report, indent=1) + "\n")
    trained_controls(report).save(TRAINED_CONTROLS)
    logger.info("wrote %s and %s", RESULT, TRAINED_CONTROLS)


if __name__ == "__main__":
    main()
