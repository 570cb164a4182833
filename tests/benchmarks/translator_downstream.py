"""What a CLIP learns from translated infrared: the share of the gap between gray and the sensor's that it closes.

    python -m tests.benchmarks.translator_downstream --packages .demo-packages --steps 100

The demo's recipe is trained on near infrared rows whose infrared is the sensor's, the gray of the RGB, the formula's,
or the learned translator's (`unknown`, as a build gives it; `scene`, told each row's scene), RGB-IR term alone, and
scored on the sensor's of the held-out region, RGB to infrared, R@1. The translator was trained on the very tiles that
the CLIP is trained on, which favours it. Every run is kept under --work. Writes
tests/benchmarks/results/translator_downstream.json.
"""

import json
import logging
import time
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np
from PIL import Image

from dataset_builder.translators.learned import LearnedTranslator
from dataset_builder.translators.radiometric import RadiometricTranslator
from fusionrs_hf.modeling_fusionrs_translator import UNKNOWN
from tests.benchmarks.runs import HARDWARE, make_parser, run_missing
from training.data.pairs import load_pairs
from training.data.translation_tiles import scene_of
from training.journey import has_fast_bf16, steps, travel
from training.scoring.significance import Interval, bootstrap_mean

logger = logging.getLogger(__name__)
RESULT = Path(__file__).parent / "results" / "translator_downstream.json"
BAND, SUBSET, DIRECTION = "nir", "held_out_region/nir", "rgb_to_ir"
VIEWS = ("sensor", "gray", "formula", "unknown", "scene")
DRAWS = 10_000


def infrared_of(view: str, rgb: np.ndarray, scene: str, translators: dict[str, Any]) -> np.ndarray:
    """Returns what a view shows in the place of a tile's infrared, uint8 `(h, w)`.

    Args:
        view: One of `VIEWS` but `sensor`.
        rgb: uint8 `(h, w, 3)`.
        scene: Of the tile.
        translators: Those made so far, by what they are asked for.
    """
    if view == "gray":
        return np.asarray(Image.fromarray(rgb).convert("L"))
    key = {"formula": "formula", "unknown": UNKNOWN, "scene": scene}[view]
    if key not in translators:
        translators[key] = RadiometricTranslator() if key == "formula" else LearnedTranslator(condition=key)
    return translators[key].translate([rgb], BAND, [0])[0]


def write_view(dataset: str, view: str, out: Path) -> None:
    """Writes the near infrared rows of a dataset's training split, their infrared replaced as the view says."""
    rows = load_pairs(dataset, "train")
    rows = rows.select([index for index, band in enumerate(rows["ir_band"]) if band == BAND])
    translators: dict[str, Any] = {}

    def replaced(row: dict[str, Any]) -> dict[str, Any]:
        scene = scene_of(row["source_locator"], row["source_dataset"])
        image = infrared_of(view, np.asarray(row["rgb"].convert("RGB")), scene, translators)
        return {"ir": Image.fromarray(image), "ir_origin": "translated"}

    if view != "sensor":
        rows = rows.map(replaced, features=rows.features, load_from_cache_file=False)
    (out / "data").mkdir(parents=True, exist_ok=True)
    rows.to_parquet(out / "data" / "train-00000-of-00001.parquet")


def run_one(view: str, seed: int, demo: Path, folder: Path, count: int) -> None:
    """Trains and scores one run in this process; the result is `folder/result.json`."""
    from transformers import AutoModel, AutoProcessor

    from training import train_clip
    from training.evaluate_clip import evaluate

    started, rows = time.monotonic(), folder / "rows"
    write_view(str(demo / "dataset"), view, rows)
    options = {"vision_tower": demo / "weights/vision", "text_tower": demo / "weights/text", "dataset": rows}
    options |= {"output_dir": folder / "clip", "ir_origin": "any", "seed": seed, "max_steps": count}
    options |= {"ir_text_weight": 0, "rgb_text_weight": 0, "eval_strategy": "no", "bf16": has_fast_bf16()}
    arguments = [part for name, value in options.items() for part in (f"--{name}", str(value))]
    train_clip.main(["--config", "training/recipes/clip_demo.yaml", *arguments])
    model, processor = (kind.from_pretrained(folder / "clip") for kind in (AutoModel, AutoProcessor))
    scores = evaluate(model, processor, str(demo / "dataset"), texts=False)[SUBSET].as_dict()
    result = {"seconds": round(time.monotonic() - started, 1), "ranks": scores["ranks"][DIRECTION]}
    (folder / "result.json").write_text(json.dumps(result))


def gap_closed(hits: Mapping[str, np.ndarray], view: str, seed: int = 0) -> Interval:
    """Returns the share of the gap between gray and sensor that a view closes, with its interval over queries.

    Args:
        hits: By view, `(seeds, queries)`.
        view: Whose share.
        seed: Of the resampling.
    """
    means = {name: values.mean(0) for name, values in hits.items()}
    count = len(means["gray"])
    times = np.random.default_rng(seed).multinomial(count, np.full(count, 1 / count), DRAWS)
    drawn = {name: times @ values / count for name, values in means.items()}

    def share(values: Mapping[str, Any]) -> Any:
        return (values[view] - values["gray"]) / (values["sensor"] - values["gray"])

    low, high = np.nanquantile(share(drawn), [0.025, 0.975])
    return Interval(float(share({name: values.mean() for name, values in means.items()})), float(low), float(high))


def summarise(runs: Mapping[tuple[str, int], Mapping], seeds: Sequence[int]) -> dict[str, Any]:
    """Returns R@1 of every view, by seed and pooled, and the share of the gap that it closes."""
    hits = {view: np.array([np.asarray(runs[view, seed]["ranks"]) < 1 for seed in seeds]) for view in VIEWS}
    table: dict[str, Any] = {}
    for view, values in hits.items():
        table[view] = {"R@1": values.mean(1).round(4).tolist(), "mean": bootstrap_mean(values.mean(0))}
        if view not in ("sensor", "gray"):
            table[view]["gap_closed"] = gap_closed(hits, view)
    return {"queries": hits["gray"].shape[1], "views": table}


def main(argv: Sequence[str] | None = None) -> None:
    """Runs what is missing, two one-thread processes at a time, then writes the table."""
    parser = make_parser(__doc__.splitlines()[0], "runs/bench/translator-downstream", "VIEW")
    parser.add_argument("--steps", type=int, default=100, help="of each training; of one --work always the same")
    arguments = parser.parse_args(argv)
    logging.basicConfig(level=logging.INFO, format="%(message)s")
    if arguments.one:
        view, seed = arguments.one[0], int(arguments.one[1])
        run_one(view, seed, arguments.demo, arguments.work / f"{view}-{seed}", arguments.steps)
        return
    demo = arguments.demo.resolve()
    travel(steps(arguments.packages.resolve(), demo, seed=0)[:2], demo)  # weights and dataset
    jobs = [(view, seed) for seed in arguments.seeds for view in VIEWS]
    extra = ["--steps", str(arguments.steps)]
    runs = run_missing("tests.benchmarks.translator_downstream", jobs, arguments, extra)
    report = {
        "what": "R@1 from RGB to sensor near infrared of the held-out region, by what the CLIP was trained on",
        "steps": arguments.steps,
        "seeds": arguments.seeds,
        "hardware": HARDWARE,
        "seconds": {f"{view}-{seed}": run["seconds"] for (view, seed), run in runs.items()},
        **summarise(runs, arguments.seeds),
    }
    RESULT.write_text(json.dumps(report, indent=1) + "\n")
    logger.info("wrote %s", RESULT)


if __name__ == "__main__":
    main()
