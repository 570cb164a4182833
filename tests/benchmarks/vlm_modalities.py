"""What each image brings a captioning VLM, and captions of both: after the third experiment of arXiv 2606.17020.

    make bench        (or: python -m tests.benchmarks.vlm_modalities --packages .demo-packages)

One recipe (training/recipes/vlm_joint.yaml); an arm is what is shown (both images, RGB alone, infrared alone,
none) and what its captions speak of (the infrared, `ir_aware`, or mostly both images, `joint`). Each is asked
as it was trained: for the facts of the infrared, and for its kind of caption, whose claims about the pair are judged
by both images, whatever it was shown; `things` are those about parts alone, since one safe claim about the whole (that
infrared is brighter) is supported of most pairs. BLEU against the dataset's caption gates nothing. Held-out pairs of
scenes that training saw another region of; intervals over tiles. The first seed runs all arms, the others those that
are shown both or RGB. Runs are kept under --work, so an interrupted bench continues. Writes
tests/benchmarks/results/vlm_modalities.json.
"""

import json
import logging
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np

from dataset_builder.claims.grounding import FACT_KINDS, measure
from fusionrs_hf.prompts import FACTS_PROMPT, JOINT_PROMPT, PROMPT
from tests.benchmarks.ngrams import bleu
from tests.benchmarks.runs import make_parser, run_missing
from tests.benchmarks.vlm_variants import answers, of_steps, train_variant
from training.evaluate_vlm import rows_where
from training.journey import steps, travel
from training.recipe import read_recipe
from training.scoring.fact_tables import balanced_sample, match_table
from training.scoring.generation import SENTENCE_TOKENS
from training.scoring.held_out import representative_rows
from training.scoring.image_need import pair_claims
from training.scoring.significance import clustered_mean
from training.trainers.run_log import describe_hardware
from training.vlm_arguments import IMAGES

logger = logging.getLogger(__name__)
RESULT = Path(__file__).parent / "results" / "vlm_modalities.json"
RECIPE = "training/recipes/vlm_joint.yaml"
UPSTREAM = 3  # steps of the demo that come before its VLM
PAIRS = 150
TEXTS = {  # what captions speak of: the prompt, the dataset's column, the longest answer in tokens
    "joint": (JOINT_PROMPT, "joint_captions", 128),
    "ir_aware": (PROMPT, "ir_captions", 96),
}
REPEATED = ("both", "rgb")  # shown in the arms that further seeds run
SCORES = ("facts", "pair_claims", "things", "bleu")


def jobs_of(seeds: Sequence[int]) -> list[tuple[str, int]]:
    """Returns arms with their seeds, those that matter most first."""
    return [
        (f"{shown}-{text}", seed)
        for number, seed in enumerate(seeds)
        for text in TEXTS
        for shown in IMAGES
        if number == 0 or shown in REPEATED
    ]


def options_of(arm: str, max_steps: int) -> dict[str, Any]:
    """Returns the recipe's fields that an arm of so many steps changes."""
    shown, text = arm.split("-")
    fields = of_steps(RECIPE, max_steps) | {"images": shown}
    if text == "joint":
        return fields
    shares = read_recipe(Path(RECIPE))
    captions = round(shares["captions_share"] + shares["joint_share"], 6)
    return fields | {"captions_share": captions, "joint_share": 0}


def run_one(arm: str, seed: int, demo: Path, folder: Path, max_steps: int) -> None:
    """Trains and asks one arm; the result, row by row, is `folder/result.json`."""
    shown, text = arm.split("-")
    prompt, column, longest = TEXTS[text]
    train_variant(RECIPE, options_of(arm, max_steps), seed, demo, folder)
    dataset = str(demo / "dataset")
    rows = rows_where(representative_rows(dataset, "test", "sensor"), dataset, "region", "sensor")
    rows = rows.select(balanced_sample(rows["ir_band"], PAIRS, 0))
    told = answers(folder, rows, IMAGES[shown], {FACTS_PROMPT: SENTENCE_TOKENS, prompt: longest})
    facts = [measure(np.asarray(row["ir"]), np.asarray(row["rgb"].convert("RGB"))) for row in rows]
    supported, counts = pair_claims(told[prompt], facts)
    matches = match_table(told[FACTS_PROMPT], facts)
    references = [captions[0] if captions else "" for captions in rows[column]]
    result = {
        "tiles": list(rows["image_group_id"]),
        "matches": matches.tolist(),
        "pair_claims": supported.tolist(),
        "claims": counts.tolist(),
        "things": pair_claims(told[prompt], facts, ("thing",))[0].tolist(),
        "bleu": [bleu(*texts) for texts in zip(told[prompt], references)],
        "first": {"sample_id": rows[0]["sample_id"], "reference": references[0], "caption": told[prompt][0]},
        "steps": max_steps,
        "captioner": [rows[0]["captioner"], rows[0]["captioner_revision"]],
    }
    (folder / "result.json").write_text(json.dumps(result))


def scores_of(runs: Sequence[Mapping[str, Any]]) -> dict[str, np.ndarray]:
    """Returns each of `SCORES` row by row, `(rows,)`, the mean over an arm's seeds."""
    tables = [{**run, "facts": np.mean(run["matches"], axis=1)} for run in runs]
    return {name: np.mean([table[name] for table in tables], axis=0) for name in SCORES}


def summarised(results: Mapping[tuple[str, int], Mapping[str, Any]]) -> dict[str, Any]:
    """Returns by arm its scores with intervals, facts by kind, and what `both` with the same text has more."""
    by_arm: dict[str, list[Mapping[str, Any]]] = {}
    for (arm, _), result in results.items():
        by_arm.setdefault(arm, []).append(result)
    tiles = next(iter(results.values()))["tiles"]
    arms = {}
    for arm, runs in by_arm.items():
        own, both = scores_of(runs), scores_of(by_arm.get(f"both-{arm.split('-')[1]}", runs))
        arms[arm] = {
            "seeds": len(runs),
            "by_kind": dict(zip(FACT_KINDS, np.mean([run["matches"] for run in runs], axis=(0, 1)).tolist())),
            "claims": float(np.mean([run["claims"] for run in runs])),
            **{name: list(clustered_mean(values, tiles)) for name, values in own.items()},
            "both_minus": {name: list(clustered_mean(both[name] - own[name], tiles)) for name in SCORES},
            "example": runs[0]["first"],
        }
    return {"pairs": len(tiles), "tiles": len({*tiles}), "arms": arms}


def main(argv: Sequence[str] | None = None) -> None:
    """Runs what is missing, then writes the result of the arms that are there."""
    parser = make_parser(__doc__.splitlines()[0], "runs/bench/vlm_modalities", "ARM")
    parser.set_defaults(seeds=[0, 1])
    parser.add_argument(
        "--max-steps", type=int, default=read_recipe(Path(RECIPE))["max_steps"], help="of the last stage"
    )
    parser.add_argument("--arms", nargs="+", help="such as both-joint rgb-joint; default: all")
    arguments = parser.parse_args(argv)
    logging.basicConfig(level=logging.INFO, format="%(message)s")
    if arguments.one:
        arm, seed = arguments.one[0], int(arguments.one[1])
        run_one(arm, seed, arguments.demo, arguments.work / f"{arm}-{seed}", arguments.max_steps)
        return
    demo = arguments.demo.resolve()
    if not (demo / "clip" / "config.json").is_file():
        travel(steps(arguments.packages.resolve(), demo, 0)[:UPSTREAM], demo)
    jobs = [job for job in jobs_of(arguments.seeds) if not arguments.arms or job[0] in arguments.arms]
    results = run_missing(
        "tests.benchmarks.vlm_modalities", jobs, arguments, ("--max-steps", str(arguments.max_steps))
    )
    report = {
        "what": "facts: share stated as measured; pair_claims and things: share of a caption's supported",
        "recipe": RECIPE,
        **{name: next(iter(results.values()))[name] for name in ("steps", "captioner")},
        "hardware": describe_hardware(),
        **summarised(results),
    }
    RESULT.write_text(json.dumps(report, indent=1) + "\n")
    logger.info("wrote %s", RESULT)


if __name__ == "__main__":
    main()
