"""What IR-aware captions bring a dual-modal CLIP: caption policies at equal steps, against facts of other images.

    make bench        (or: python -m tests.benchmarks.caption_effect --packages .demo-packages)

One recipe (training/recipes/clip_captions.yaml), three seeds. A policy is the probability with which a training text
is IR-aware rather than the scene caption. `wrong_facts` is the control that matters: the same captioner, frames, words
and scene, but the facts of another tile of the band, so that new vocabulary is not mistaken for grounding. Beside it
stand the controls of every experiment: infrared replaced by the grayscale of the RGB, and pairs shuffled. The mixing
probability is chosen on the validation region. Runs are kept under --work, so an interrupted bench continues. Writes
tests/benchmarks/results/caption_effect.json.
"""

import json
import logging
import time
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow.parquet as pq

from dataset_builder.captioning import GroundedCaptioner
from dataset_builder.claims.grounding import measure
from dataset_builder.shards.parquet import write_shard
from tests.benchmarks.runs import HARDWARE, make_parser, run_missing
from training.data.pairs import donors_within, load_pairs
from training.journey import has_fast_bf16, steps, travel
from training.scoring.significance import bootstrap_mean, paired_bootstrap

logger = logging.getLogger(__name__)
RESULT = Path(__file__).parent / "results" / "caption_effect.json"
RECIPE = "training/recipes/clip_captions.yaml"
POLICIES: dict[str, dict[str, Any]] = {
    "scene_only": {"ir_caption_probability": 0.0},
    "mix_25": {"ir_caption_probability": 0.25},
    "mix_50": {"ir_caption_probability": 0.5},
    "mix_75": {"ir_caption_probability": 0.75},
    "ir_aware_only": {"ir_caption_probability": 1.0},
    "wrong_facts": {"ir_caption_probability": 0.5, "dataset": "wrong_facts"},
    "grayscale": {"ir_caption_probability": 0.5, "ir_view": "grayscale"},
    "shuffled": {"ir_caption_probability": 0.5, "ir_view": "shuffled"},
}
MIXES = ("mix_25", "mix_50", "mix_75")
DIRECTIONS = ("ir_to_text/scene", "text_to_ir/scene", "ir_to_text/ir_aware", "text_to_ir/ir_aware")
CUTOFFS = (1, 5, 10)


def write_wrong_facts(dataset: Path, folder: Path) -> None:
    """Writes the training split of `dataset` to `folder`, each IR-aware caption with the facts of another tile.

    Words and scene are the row's own; facts are those of the row from which control (c) would take the infrared.
    Other splits are linked.
    """
    if (folder / "done").is_file():
        return
    captioner = GroundedCaptioner()
    rows = load_pairs(str(dataset), "train", ir_origin=None)
    facts = [measure(np.asarray(row["ir"]), np.asarray(row["rgb"].convert("RGB"))) for row in rows]
    light = rows.remove_columns(["rgb", "ir"])
    bands = [f"{band} {origin}" for band, origin in zip(light["ir_band"], light["ir_origin"])]
    donors = donors_within(bands, seed=0)
    written = captioner.caption(list(light), [facts[donor] for donor in donors])
    captions = dict(zip(light["sample_id"], (answer.ir_captions for answer in written), strict=True))
    for path in sorted((dataset / "data").glob("*.parquet")):
        target = folder / "data" / path.name
        target.parent.mkdir(parents=True, exist_ok=True)
        target.unlink(missing_ok=True)
        if not path.name.startswith("train-"):
            target.symlink_to(path)
            continue
        table = pq.read_table(path)
        wrong = [captions[name] for name in table["sample_id"].to_pylist()]
        column = table.schema.get_field_index("ir_captions")
        field = table.schema.field(column)
        write_shard(target, table.set_column(column, field, [wrong]))
    (folder / "done").touch()


def run_one(policy: str, seed: int, demo: Path, folder: Path) -> None:
    """Trains and scores one run in this process; the result is `folder/result.json`."""
    from transformers import AutoModel, AutoProcessor

    from fusionrs_hf.encoders import Encoder
    from training import train_clip
    from training.evaluate_clip import score_texts
    from training.scoring.held_out import held_out

    started = time.monotonic()
    dataset = demo / "dataset"
    options = {**POLICIES[policy], "seed": seed, "output_dir": folder, "bf16": has_fast_bf16()}
    options["dataset"] = folder.parent / "wrong_facts" if "dataset" in options else dataset
    options |= {"vision_tower": demo / "weights/vision", "text_tower": demo / "weights/text"}
    train_clip.main(
        ["--config", RECIPE, *(part for key, value in options.items() for part in (f"--{key}", str(value)))]
    )
    result: dict[str, Any] = {"train_s": round(time.monotonic() - started, 1), "subsets": {}}
    encoders = Encoder.for_scores(AutoModel.from_pretrained(folder), AutoProcessor.from_pretrained(folder))
    for split in ("validation", "test"):
        for name, rows in held_out(str(dataset), split).items():
            ranks = score_texts(encoders, rows)
            counts = {"scene": list(map(len, rows["captions"])), "ir_aware": list(map(len, rows["ir_captions"]))}
            where = f"{split}/{name}"
            result["subsets"][where] = {"tiles": list(rows["image_group_id"]), "texts": counts}
            result["subsets"][where]["ranks"] = {direction: ranks[direction].tolist() for direction in DIRECTIONS}
    (folder / "result.json").write_text(json.dumps(result))


def tile_recall(subsets: Mapping[str, Mapping], prefix: str, direction: str, k: int) -> np.ndarray:
    """Recall at k of each tile, `(tiles,)`: the mean over its queries in all bands, in the order of tile ids.

    Bands of one tile, and captions of one row, are not independent; a bootstrap over tiles counts each tile once.
    """
    hits: dict[str, list[bool]] = {}
    for name, subset in subsets.items():
        if not name.startswith(prefix):
            continue
        counts = subset["texts"][direction.split("/")[1]]
        owners = [tile for tile, count in zip(subset["tiles"], counts, strict=True) if count]
        if direction.startswith("text_"):
            owners = [tile for tile, count in zip(subset["tiles"], counts, strict=True) for _ in range(count)]
        for tile, rank in zip(owners, subset["ranks"][direction], strict=True):
            hits.setdefault(tile, []).append(rank < k)
    return np.array([np.mean(hits[tile]) for tile in sorted(hits)])


def table(runs: Mapping[tuple[str, int], Mapping], seeds: Sequence[int], prefix: str) -> dict[str, Any]:
    """Recall of every policy in every direction, with its differences to `scene_only` and to `wrong_facts`."""
    report: dict[str, Any] = {}
    for direction in DIRECTIONS:
        for k in CUTOFFS:
            scores = {
                policy: np.stack([tile_recall(runs[policy, seed]["subsets"], prefix, direction, k) for seed in seeds])
                for policy in POLICIES
            }  # (seeds, tiles) each
            for policy, values in scores.items():
                cell = {"by_seed": values.mean(1).round(4).tolist(), "mean": bootstrap_mean(values)}
                for other in ("scene_only", "wrong_facts"):
                    if policy != other:
                        cell[f"minus_{other}"] = paired_bootstrap(values, scores[other])
                        cell[f"minus_{other}_by_seed"] = [
                            paired_bootstrap(ours, theirs) for ours, theirs in zip(values, scores[other])
                        ]
                report.setdefault(policy, {}).setdefault(direction, {})[f"R@{k}"] = cell
    for policy, directions in report.items():
        cells = [directions[direction][f"R@{k}"]["mean"][0] for direction in DIRECTIONS for k in CUTOFFS]
        report[policy]["mean_recall"] = round(float(np.mean(cells)), 4)
    return report


def main(argv: Sequence[str] | None = None) -> None:
    """Runs what is missing, two one-thread processes at a time, then writes the table."""
    parser = make_parser(__doc__.splitlines()[0], "runs/bench/captions", "POLICY")
    arguments = parser.parse_args(argv)
    logging.basicConfig(level=logging.INFO, format="%(message)s")
    demo = arguments.demo.resolve()
    if arguments.one:
        policy, seed = arguments.one[0], int(arguments.one[1])
        run_one(policy, seed, demo, arguments.work / f"{policy}-{seed}")
        return

    travel(steps(arguments.packages.resolve(), demo, seed=0)[:2], demo)  # weights and dataset
    write_wrong_facts(demo / "dataset", arguments.work / "wrong_facts")
    jobs = [(policy, seed) for seed in arguments.seeds for policy in POLICIES]
    runs = run_missing("tests.benchmarks.caption_effect", jobs, arguments)
    validation = table(runs, arguments.seeds, "validation/held_out_region")
    report = {
        "what": "recall between sensor infrared and captions by caption policy; 95 % bootstrap over tiles",
        "policies": POLICIES,
        "recipe": RECIPE,
        "seeds": arguments.seeds,
        "hardware": HARDWARE,
        "train_s": {f"{policy}-{seed}": run["train_s"] for (policy, seed), run in runs.items()},
        "chosen": max(MIXES, key=lambda policy: validation[policy]["mean_recall"]),
        "validation": validation,
        "held_out_region": table(runs, arguments.seeds, "test/held_out_region"),
        "held_out_scene": table(runs, arguments.seeds, "test/held_out_scene"),
    }
    RESULT.parent.mkdir(exist_ok=True)
    RESULT.write_text(json.dumps(report, indent=1) + "\n")
    logger.info("wrote %s", RESULT)


if __name__ == "__main__":
    main()
