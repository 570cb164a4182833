"""What each part of the VLM's recipe brings: the demo's recipe, and the same without one part, at equal steps.

    make bench        (or: python -m tests.benchmarks.vlm_changes --packages .demo-packages)

Scored is how often the facts of validation pairs are written as measured, of regions that no training row is of; the
held-out rows are not touched. Runs are kept under --work, so an interrupted bench continues. Writes
tests/benchmarks/results/vlm_changes.json.
"""

import json
import logging
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np

from dataset_builder.claims.grounding import FACT_KINDS, measure
from fusionrs_hf.prompts import FACTS_PROMPT
from tests.benchmarks.runs import make_parser, run_missing
from tests.benchmarks.vlm_variants import answers, of_steps, train_variant
from training.journey import VLM_RECIPE, steps, travel
from training.recipe import read_recipe
from training.scoring.fact_tables import match_table
from training.scoring.generation import SENTENCE_TOKENS
from training.scoring.significance import clustered_mean
from training.scoring.validation_reading import validation_rows
from training.trainers.run_log import describe_hardware

logger = logging.getLogger(__name__)
RESULT = Path(__file__).parent / "results" / "vlm_changes.json"
UPSTREAM = 3  # steps of the demo that come before its VLM
PAIRS = 240
WHOLE = "whole"
CHANGES: dict[str, tuple[str, dict[str, Any]]] = {  # a name, in words, and the recipe's fields that undo it
    WHOLE: ("the recipe", {}),
    "projector_stage": (
        "without the projector stage, projectors learning in the last",
        {"projector_steps": 0, "projector_learning_rate": "null"},
    ),
    "layers": ("the first six layers, not the first and the last three", {"keep_language_layers": "0-5"}),
    "text_stage": ("without the text stage", {"text_steps": 0}),
    "frozen_projectors": ("projectors go on learning in the last stage", {"projector_learning_rate": "null"}),
    "rearranged": ("no cells change places in the projector stage", {"rearranged": 0}),
    "mix": (
        "a third each of facts, questions and captions",
        {"facts_share": 1, "questions_share": 1, "captions_share": 1},
    ),
    "questions": ("no questions", {"questions_share": 0}),
    "place_weight": ("words of places weigh as all others", {"place_weight": 1}),
    "schedule": (
        "a cosine from a third of the rate",
        {"lr_scheduler_type": "cosine", "lr_scheduler_kwargs": "{}", "learning_rate": 1e-3},
    ),
}


def options_of(name: str, max_steps: int) -> dict[str, Any]:
    """Returns the recipe's fields for so many steps without one part."""
    return of_steps(str(VLM_RECIPE), max_steps) | CHANGES[name][1]


def run_one(name: str, seed: int, demo: Path, folder: Path, max_steps: int) -> None:
    """Trains and asks one variant; the result, row by row, is `folder/result.json`."""
    train_variant(str(VLM_RECIPE), options_of(name, max_steps), seed, demo, folder)
    rows = validation_rows(str(demo / "dataset"), "sensor", PAIRS)
    facts = [measure(np.asarray(row["ir"]), np.asarray(row["rgb"].convert("RGB"))) for row in rows]
    told = answers(folder, rows, ("rgb", "ir"), {FACTS_PROMPT: SENTENCE_TOKENS})[FACTS_PROMPT]
    matches = match_table(told, facts)
    result = {"tiles": list(rows["image_group_id"]), "matches": matches.tolist(), "steps": max_steps}
    (folder / "result.json").write_text(json.dumps(result))


def summarised(results: Mapping[tuple[str, int], Mapping[str, Any]]) -> dict[str, Any]:
    """Returns by variant its accuracy by kind and their mean, and what the whole recipe has more, with intervals."""
    tables: dict[str, list[np.ndarray]] = {}
    for (name, _), result in results.items():
        tables.setdefault(name, []).append(np.asarray(result["matches"], float))
    first = next(iter(results.values()))
    means = {name: np.mean(runs, axis=0) for name, runs in tables.items()}  # (rows, kinds) each
    return {
        "pairs": len(first["tiles"]),
        "tiles": len({*first["tiles"]}),
        "steps": first["steps"],
        "variants": {
            name: {
                "what": CHANGES[name][0],
                "seeds": len(tables[name]),
                "by_kind": dict(zip(FACT_KINDS, table.mean(0).tolist())),
                "mean": float(table.mean()),
                "whole_minus": list(clustered_mean((means[WHOLE] - table).mean(1), first["tiles"])),
            }
            for name, table in means.items()
        },
    }


def main(argv: Sequence[str] | None = None) -> None:
    """Runs what is missing, then writes the result."""
    parser = make_parser(__doc__.splitlines()[0], "runs/bench/vlm_changes", "VARIANT")
    parser.set_defaults(seeds=[0])
    parser.add_argument(
        "--max-steps", type=int, default=read_recipe(VLM_RECIPE)["max_steps"], help="of the last stage"
    )
    parser.add_argument("--only", nargs="+", choices=list(CHANGES), default=list(CHANGES))
    arguments = parser.parse_args(argv)
    logging.basicConfig(level=logging.INFO, format="%(message)s")
    if arguments.one:
        name, seed = arguments.one[0], int(arguments.one[1])
        run_one(name, seed, arguments.demo, arguments.work / f"{name}-{seed}", arguments.max_steps)
        return
    demo = arguments.demo.resolve()
    if not (demo / "clip" / "config.json").is_file():
        travel(steps(arguments.packages.resolve(), demo, 0)[:UPSTREAM], demo)
    jobs = [(name, seed) for name in dict.fromkeys([WHOLE, *arguments.only]) for seed in arguments.seeds]
    options = ("--max-steps", str(arguments.max_steps))
    results = run_missing("tests.benchmarks.vlm_changes", jobs, arguments, options)
    report = {
        "recipe": VLM_RECIPE.name,
        "seeds": arguments.seeds,
        "hardware": describe_hardware(),
        **summarised(results),
    }
    RESULT.write_text(json.dumps(report, indent=1) + "\n")
    logger.info("wrote %s", RESULT)


if __name__ == "__main__":
    main()
