"""Which image a trained VLM needs, for facts and for what it says of the pair; and what it reads of unseen scenes.

    make bench        (or, of one recipe's models, a seed each:)
    python -m tests.benchmarks.vlm_checks demo --models runs/demo/vlm --parts unseen --dataset D --scenes SCENES
    python -m tests.benchmarks.vlm_checks joint --models runs/bench/vlm_joint --parts facts joint --dataset D

`facts`: held-out pairs of the demo's dataset, balanced over bands, are shown with both images, one, none and another
tile's. `joint`: the same with the prompt of captions of both images, in which claims that are judged by both are
counted. `unseen`: near infrared, pooled, of the dataset's own unseen scene and two further ones, of --scenes, the
folder of grounded_claims/requirements-tiles.txt. Intervals are over tiles; of several models, the mean of theirs.
Results are kept under --work, so an interrupted bench continues. Writes its part of
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
UNSEEN = "unseen"
TOLD = ("seed", "max_steps", "text_steps", "projector_steps")
SHARES = ("facts_share", "questions_share", "captions_share", "joint_share")


def score(model: Path, part: str, rows: Path, output: Path, pairs: int) -> None:
    """Scores one part of one model, if that is not done."""
    if output.is_file():
        return
    output.parent.mkdir(parents=True, exist_ok=True)
    named = ["--model", model, "--dataset", rows, "--output", output, *(["--bf16"] if has_fast_bf16() else [])]
    if part == UNSEEN:
        run_module("training.evaluate_vlm", *named, "--pairs", 0, "--no-likelihood")
    else:
        run_module("training.evaluate_vlm_need", *named, "--pairs", pairs, "--prompt", NEEDS[part])


def needs(files: Sequence[Path]) -> dict[str, Any]:
    """Which image was needed: means over models, verdicts by kind of claim of each, and what the first one wrote."""
    results = [NeedResults.load(file).as_dict() for file in files]
    parts = ("needed", "pair_claims", "costs")
    return {
        "pairs": results[0]["pairs"],
        "tiles": results[0]["tiles"],
        "facts": averaged([{name: part["mean"] for name, part in result["facts"].items()} for result in results]),
        **{part: averaged([result[part] for result in results]) for part in parts},
        "claims": [result["claims"] for result in results],
        "captions": {condition: texts[:2] for condition, texts in results[0]["captions"].items()},
    }


def unseen_scores(files: Sequence[Path]) -> dict[str, Any]:
    """Facts of the unseen scenes, by condition, with their differences: means over models.

    The best constant is that of these very rows; the dataset of pairs has no training rows to choose another on.
    """
    results = [VlmResults.load(file).as_dict() for file in files]
    for result in results:
        del result["accuracy"]["constant"], result["differences"]["constant"]
    means = {name: averaged([result[name] for result in results]) for name in ("accuracy", "differences", "places")}
    return {"pairs": results[0]["pairs"], "tiles": results[0]["tiles"], "mean": means}


def main(argv: Sequence[str] | None = None) -> None:
    """Scores what is missing and writes the result."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("recipe", help="what the result is called")
    parser.add_argument("--models", type=Path, nargs="+", required=True, help="runs of one recipe, a seed each")
    parser.add_argument("--parts", nargs="+", choices=[*NEEDS, UNSEEN], required=True)
    parser.add_argument(
        "--pairs", type=int, default=150, help="held-out pairs of facts and joint, balanced over bands"
    )
    parser.add_argument("--dataset", type=Path, required=True, help="of the demo")
    parser.add_argument("--scenes", type=Path, help="folder of two further scenes, for unseen")
    parser.add_argument("--work", type=Path, default=Path("runs/bench/vlm_checks"))
    arguments = parser.parse_args(argv)
    logging.basicConfig(level=logging.INFO, format="%(message)s")
    dataset, work = arguments.dataset.resolve(), arguments.work.resolve()
    rows = dict.fromkeys(arguments.parts, dataset)
    if UNSEEN in rows:
        if arguments.scenes is None:
            parser.error("unseen needs --scenes")
        rows[UNSEEN] = write_scene_pairs(arguments.scenes, dataset, work / UNSEEN)
    logs = [read_run_log(model) for model in arguments.models]
    names = [f"{arguments.recipe}-{number}" for number in range(len(logs))]
    first = load_pairs(str(dataset), "test", representatives=True)[0]
    report = {
        "models": [{name: log["recipe"].get(name) for name in TOLD + SHARES} for log in logs],
        "train_seconds": [log["train_seconds"] for log in logs],
        "captioner": [first["captioner"], first["captioner_revision"]],
        "hardware": describe_hardware(),
    }
    for part, read in rows.items():
        outputs = [work / name / f"{part}.json" for name in names]
        for model, output in zip(arguments.models, outputs):
            score(model.resolve(), part, read, output, arguments.pairs)
        report[part] = unseen_scores(outputs) if part == UNSEEN else needs(outputs)
    whole = json.loads(RESULT.read_text()) if RESULT.is_file() else {}
    RESULT.write_text(json.dumps(whole | {arguments.recipe: report}, indent=1) + "\n")
    logger.info("wrote %s", RESULT)


if __name__ == "__main__":
    main()
