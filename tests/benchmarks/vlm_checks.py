"""Which image a trained VLM needs, for facts and for what it says of the pair; and what it reads of unseen scenes.

    python -m tests.benchmarks.vlm_checks --models runs/bench/vlm_joint --dataset runs/demo/dataset --scenes SCENES

Models of one recipe, a seed each, of the demo's dataset. Held-out pairs, balanced over bands, are shown with both
images, one, none and another tile's; in what is written to the prompt of joint captions, the claims that are judged by
both images are counted. The unseen scenes are the dataset's own and two further ones, of --scenes, the folder of
grounded_claims/requirements-tiles.txt; their near infrared is pooled. Intervals are over tiles; of several models, the
mean of theirs. Results are kept under --work, so an interrupted bench continues. Writes
tests/benchmarks/results/vlm_checks.json.
"""

import argparse
import json
import logging
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from fusionrs_hf.prompts import FACTS_PROMPT, JOINT_PROMPT
from tests.benchmarks.scene_pairs import write_scene_pairs
from tests.benchmarks.vlm_reading import averaged
from training.data.pairs import load_pairs
from training.journey import has_fast_bf16, run_module
from training.scoring.image_need import NeedResults
from training.scoring.vlm_results import VlmResults
from training.trainers.run_log import describe_hardware, read_run_log

logger = logging.getLogger(__name__)
RESULT = Path(__file__).parent / "results" / "vlm_checks.json"
NEEDS = {"facts": FACTS_PROMPT, "joint": JOINT_PROMPT}
PAIRS = 150
UNSEEN = "unseen"
TOLD = ("seed", "max_steps", "text_steps", "projector_steps")
SHARES = ("facts_share", "questions_share", "captions_share", "joint_share")


def score(model: Path, dataset: Path, unseen: Path, folder: Path) -> None:
    """Scores one model, or what is left of it, into a folder."""
    folder.mkdir(parents=True, exist_ok=True)
    fast = ["--bf16"] if has_fast_bf16() else []

    def run(name: str, verb: str, rows: Path, *options: object) -> None:
        output = folder / f"{name}.json"
        if not output.is_file():
            named = ("--model", model, "--dataset", rows, *options, *fast, "--output", output)
            run_module(f"training.{verb}", *named)

    for name, prompt in NEEDS.items():
        run(name, "evaluate_vlm_need", dataset, "--pairs", PAIRS, "--prompt", prompt)
    run(UNSEEN, "evaluate_vlm", unseen, "--pairs", 0, "--no-likelihood")


def needs(folders: Sequence[Path], name: str) -> dict[str, Any]:
    """Which image was needed: means over models, verdicts by kind of claim of each, and what the first one wrote."""
    results = [NeedResults.load(folder / f"{name}.json").as_dict() for folder in folders]
    parts = ("needed", "pair_claims", "costs")
    return {
        "pairs": results[0]["pairs"],
        "tiles": results[0]["tiles"],
        "facts": averaged([{name: part["mean"] for name, part in result["facts"].items()} for result in results]),
        **{part: averaged([result[part] for result in results]) for part in parts},
        "claims": [result["claims"] for result in results],
        "captions": {condition: texts[:2] for condition, texts in results[0]["captions"].items()},
    }


def unseen_scores(folders: Sequence[Path]) -> dict[str, Any]:
    """Facts of the unseen scenes, by condition, with their differences: means over models."""
    results = [VlmResults.load(folder / f"{UNSEEN}.json").as_dict() for folder in folders]
    means = {name: averaged([result[name] for result in results]) for name in ("accuracy", "differences", "places")}
    return {"pairs": results[0]["pairs"], "tiles": results[0]["tiles"], "mean": means}


def main(argv: Sequence[str] | None = None) -> None:
    """Scores what is missing and writes the result."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--models", type=Path, nargs="+", required=True, help="runs of one recipe, a seed each")
    parser.add_argument("--dataset", type=Path, required=True, help="of the demo")
    parser.add_argument("--scenes", type=Path, required=True, help="folder of two further scenes")
    parser.add_argument("--work", type=Path, default=Path("runs/bench/vlm_checks"))
    arguments = parser.parse_args(argv)
    logging.basicConfig(level=logging.INFO, format="%(message)s")
    dataset, work = arguments.dataset.resolve(), arguments.work.resolve()
    unseen = write_scene_pairs(arguments.scenes, dataset, work / UNSEEN)
    folders = [work / model.name for model in arguments.models]
    for model, folder in zip(arguments.models, folders):
        score(model.resolve(), dataset, unseen, folder)
    logs = [read_run_log(model) for model in arguments.models]
    row = load_pairs(str(dataset), "test", representatives=True)[0]
    report = {
        "models": [{name: log["recipe"][name] for name in TOLD + SHARES} for log in logs],
        "train_seconds": [log["train_seconds"] for log in logs],
        "captioner": [row["captioner"], row["captioner_revision"]],
        "hardware": describe_hardware(),
        **{name: needs(folders, name) for name in NEEDS},
        UNSEEN: unseen_scores(folders),
    }
    RESULT.write_text(json.dumps(report, indent=1) + "\n")
    for name in NEEDS:
        costs = report[name]["costs"]["rgb_shuffled"]
        logger.info("%s, RGB of another tile costs: %s", name, {kind: cost["value"] for kind, cost in costs.items()})


if __name__ == "__main__":
    main()
