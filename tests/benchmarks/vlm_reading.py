"""What the VLM reads: facts of the infrared on all held-out pairs, beside who sees nothing, and on a scene never seen.

    make bench        (or: python -m tests.benchmarks.vlm_reading --packages .demo-packages)

One recipe (training/recipes/vlm_reading.yaml), two seeds, one after the other, in one-thread processes. Its projector
stage was chosen on the validation region, the rest by a trial on 150 of the held-out pairs. Every evaluation
representative of the test split is scored: those of scenes that training saw another region of, and those of the
scene that it never saw. Intervals are over tiles. Runs are kept under --work, so an interrupted bench continues.
Writes tests/benchmarks/results/vlm_reading.json, and what the demo's page shows of it to
training/recipes/vlm_reading.json.
"""

import json
import logging
import sys
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np

from dataset_builder.claims.grounding import FACT_KINDS
from fusionrs_hf.cpu_speed import free_cores
from tests.benchmarks.runs import make_parser
from training.journey import LONGER_READING, VLM_BATCH, has_fast_bf16, run_module, steps, travel
from training.scoring.vlm_results import LongerReading, VlmResults
from training.trainers.run_log import describe_hardware, read_run_log

logger = logging.getLogger(__name__)
RESULT = Path(__file__).parent / "results" / "vlm_reading.json"
RECIPE = "training/recipes/vlm_reading.yaml"
PLACES = {"region": "held_out_region", "scene": "held_out_scene"}
UPSTREAM = 3  # steps of the demo that come before its VLM


def run_one(seed: int, demo: Path, folder: Path) -> None:
    """Trains and scores one run, or what is left of it."""
    processes = min(2, free_cores())
    options = {"dataset": demo / "dataset", "clip_model": demo / "clip", "language_model": demo / "weights/language"}
    options |= {"output_dir": folder, "seed": seed, "bf16": str(has_fast_bf16()).lower()}
    options |= {"per_device_train_batch_size": VLM_BATCH // processes}
    named = [part for name, value in options.items() for part in (f"--{name}", value)]
    run_module("training.train_vlm", "--config", RECIPE, *named, processes=processes)
    for where in PLACES:
        output = folder / f"metrics_{where}.json"
        if not output.is_file():
            scored = ("--model", folder, "--dataset", demo / "dataset", "--pairs", 0, "--where", where)
            fast = ["--bf16"] if has_fast_bf16() else []
            run_module("training.evaluate_vlm", *scored, *fast, "--output", output)


def summary(folders: Sequence[Path], where: str) -> dict[str, Any]:
    """The scores of all seeds on one part, without the captions; figures are means over seeds, and each seed's."""
    results = [VlmResults.load(folder / f"metrics_{where}.json").as_dict() for folder in folders]
    first = results[0]
    parts = ("accuracy", "differences", "places", "likelihood", "likelihood_places", "questions")
    parts += ("inversion", "groups", "question_groups")
    return {
        "pairs": first["pairs"],
        "tiles": first["tiles"],
        "mean": {name: averaged([result[name] for result in results]) for name in parts},
        "by_seed": [{name: result[name] for name in parts} for result in results],
    }


def averaged(values: Sequence[Any]) -> Any:
    """The mean of numbers, or of what mappings and lists hold, place by place; None where one is None."""
    first = values[0]
    if isinstance(first, Mapping):
        return {name: averaged([value[name] for value in values]) for name in first}
    if isinstance(first, list):
        return [averaged(list(part)) for part in zip(*values, strict=True)]
    return None if any(value is None for value in values) else round(float(np.mean(values)), 4)


def history(folder: Path) -> dict[str, Any]:
    """What a run tells of its start, its validation and its time."""
    log = read_run_log(folder)
    started = next(entry for entry in log["history"] if "start_loss" in entry)
    chosen = [entry for entry in log["history"] if "eval_fact_accuracy" in entry]
    projector = json.loads((folder / "projector/stage.json").read_text())
    return {
        "start": started,
        "validation": [
            {name: entry[name] for name in ("step", "eval_fact_accuracy", "eval_loss")} for entry in chosen
        ],
        "projector_accuracy": {name: projector.get(f"{name}_accuracy") for name in ("training", "validation")},
        "train_seconds": log["train_seconds"],
        "steps": log["steps"],
    }


def longer_reading(report: Mapping[str, Any]) -> LongerReading:
    """What the demo's page shows of the result."""
    part = report["held_out_region"]
    scores = part["mean"]["accuracy"]["own_images"]
    return LongerReading(
        what=f"facts stated as measured, {RECIPE}",
        seeds=report["seeds"],
        pairs=part["pairs"],
        tiles=part["tiles"],
        hardware=report["hardware"],
        facts={kind: scores[kind] for kind in (*FACT_KINDS, "mean")},
    )


def main(argv: Sequence[str] | None = None) -> None:
    """Makes what is missing and writes the result."""
    parser = make_parser(__doc__.splitlines()[0], "runs/bench/vlm_reading", "RECIPE")
    parser.set_defaults(seeds=[0, 1])
    arguments = parser.parse_args(argv)
    logging.basicConfig(level=logging.INFO, format="%(message)s", stream=sys.stdout)
    demo = arguments.demo.resolve()
    demo.mkdir(parents=True, exist_ok=True)
    if not (demo / "clip" / "config.json").is_file():
        travel(steps(arguments.packages.resolve(), demo, 0)[:UPSTREAM], demo)
    folders = [arguments.work.resolve() / f"reading-{seed}" for seed in arguments.seeds]
    for seed, folder in zip(arguments.seeds, folders):
        run_one(seed, demo, folder)
    report = {
        "seeds": arguments.seeds,
        "hardware": describe_hardware(),
        "runs": [history(folder) for folder in folders],
        **{name: summary(folders, where) for where, name in PLACES.items()},
    }
    RESULT.write_text(json.dumps(report, indent=1) + "\n")
    longer_reading(report).save(LONGER_READING)
    for name in PLACES.values():
        logger.info("%s: %s", name, {k: v["mean"] for k, v in report[name]["mean"]["accuracy"].items()})


if __name__ == "__main__":
    main()
