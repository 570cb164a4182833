"""The journey end to end on real imagery: what `make demo` runs.

    python -m training.journey --out runs/demo --packages .demo-packages

Weights -> dataset -> dual-modal CLIP -> retrieval -> two-image VLM -> captions -> cards and page. Each step leaves a
mark with a hash of what decides its result, so a second run reuses what is done, an interrupted one continues,
and a change upstream makes the steps below it run again.
"""

import argparse
import hashlib
import json
import logging
import os
import subprocess
import sys
import time
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any, NamedTuple

from fusionrs_hf.bounded_files import read_text
from fusionrs_hf.bounded_json import read_object
from fusionrs_hf.cpu_speed import CPU_ENVIRONMENT, free_cores
from fusionrs_hf.errors import InputError
from fusionrs_hf.output_folder import writing

logger = logging.getLogger(__name__)
ROOT = Path(__file__).resolve().parent.parent
BUILD_RECIPE = ROOT / "dataset_builder/recipes/demo.yaml"
CLIP_RECIPE = ROOT / "training/recipes/clip_demo.yaml"
VLM_RECIPE = ROOT / "training/recipes/vlm_demo.yaml"
TRAINED_CONTROLS = ROOT / "training/recipes/controls.json"
LONGER_READING = ROOT / "training/recipes/vlm_reading.json"
CLIP_BATCH, VLM_BATCH = 64, 16  # rows a step over all processes, as in the recipes
CODE = ("fusionrs_hf", "dataset_builder", "training")
FOLDERS = {"dataset": ("dataset", "build"), "train_clip": ("clip", "train clip"), "train_vlm": ("vlm", "train vlm")}

CHILD_ENVIRONMENT = {**CPU_ENVIRONMENT, "TOKENIZERS_PARALLELISM": "false", "HF_HUB_OFFLINE": "1"}


class Step(NamedTuple):
    """One stage of the journey: what it is called, how long it takes on two cores, and what decides its result."""

    name: str
    label: str
    minutes: float
    run: Callable[[], Any]
    inputs: tuple[Path, ...]


def run_module(module: str, *options: object, processes: int = 1) -> None:
    """Runs `python -m module options` with the environment that suits a CPU, so that its memory ends with it.

    Args:
        module: Module with a `main`.
        *options: Its arguments.
        processes: More than one: under torchrun, one thread each, which on a CPU beats one process of many threads.

    Raises:
        subprocess.CalledProcessError: The module failed; it has said why.
    """
    threads = str(free_cores() if processes == 1 else 1)
    launcher = (
        ["torch.distributed.run", "--standalone", f"--nproc_per_node={processes}", "-m"] if processes > 1 else []
    )
    subprocess.run(
        [sys.executable, "-m", *launcher, module, *map(str, options)],
        env={**os.environ, **CHILD_ENVIRONMENT, "OMP_NUM_THREADS": threads},
        check=True,
        cwd=ROOT,
    )


def steps(packages: Path, out: Path, seed: int) -> list[Step]:
    """Lists the stages in order."""
    dataset, clip, vlm, weights = (out / name for name in ("dataset", "clip", "vlm", "weights"))
    bf16 = ("--bf16", str(has_fast_bf16()).lower())
    processes = min(2, free_cores())

    def weigh() -> None:
        run_module("fusionrs_hf.cli", "convert", "demo-weights", "--packages", packages, "--output", weights)

    def build() -> None:
        run_module("fusionrs_hf.cli", "build", BUILD_RECIPE, dataset)

    def train_clip() -> None:
        towers = ("--vision_tower", weights / "vision", "--text_tower", weights / "text")
        options = ("--dataset", dataset, *towers, "--output_dir", clip, "--seed", seed, *bf16)
        rows = ("--per_device_train_batch_size", CLIP_BATCH // processes)
        run_module("training.train_clip", "--config", CLIP_RECIPE, *options, *rows, processes=processes)

    def score_clip() -> None:
        towers = ("--vision_tower", weights / "vision", "--text_tower", weights / "text")
        run_module(
            "training.evaluate_clip", "--model", clip, "--dataset", dataset, *towers, "--output", clip / "metrics.json"
        )

    def train_vlm() -> None:
        towers = ("--clip_model", clip, "--language_model", weights / "language")
        options = ("--dataset", dataset, *towers, "--output_dir", vlm, "--seed", seed, *bf16)
        rows = ("--per_device_train_batch_size", VLM_BATCH // processes)
        run_module("training.train_vlm", "--config", VLM_RECIPE, *options, *rows, processes=processes)

    def score_vlm() -> None:
        fast = ["--bf16"] if has_fast_bf16() else []
        named = ("--model", vlm, "--dataset", dataset, "--output", vlm / "metrics.json")
        run_module("training.evaluate_vlm", *named, *fast)

    return [
        Step("weights", "Converting the small real towers", 0.5, weigh, (ROOT / "requirements-demo.txt",)),
        Step("dataset", "Building the dataset from the shipped sample", 1, build, (BUILD_RECIPE, *_sample_files())),
        Step("train_clip", "Training the dual-modal CLIP", 2.5, train_clip, (CLIP_RECIPE,)),
        Step("score_clip", "Retrieval on held-out sensor infrared", 1, score_clip, ()),
        Step("train_vlm", "Training the two-image VLM, in three stages", 5, train_vlm, (VLM_RECIPE,)),
        Step("score_vlm", "Captions of held-out pairs", 1.5, score_vlm, ()),
    ]


def has_fast_bf16() -> bool:
    """Whether the processor multiplies bfloat16 in hardware; without that, float32 is faster."""
    cpuinfo = Path("/proc/cpuinfo")
    return cpuinfo.is_file() and any(flag in cpuinfo.read_text() for flag in ("avx512_bf16", "amx_bf16"))


def travel(stages: Sequence[Step], out: Path) -> list[tuple[str, float]]:
    """Runs the stages that are not done.

    Returns:
        Label and seconds of each stage; 0 where an earlier run's result was kept.
    """
    marks, inputs_hash, times = out / ".steps", _hash_files(_code_files()), []
    marks.mkdir(parents=True, exist_ok=True)
    for number, step in enumerate(stages, 1):
        inputs_hash = _combine(inputs_hash, step.name, _hash_files(step.inputs))  # of all steps so far
        mark = marks / f"{step.name}.json"
        if mark.is_file() and read_object(mark, "delete it").get("inputs_hash") == inputs_hash:
            logger.info("[%d/%d] %s: done before", number, len(stages), step.label)
            times.append((step.label, 0.0))
            continue
        logger.info("[%d/%d] %s (about %g min)", number, len(stages), step.label, step.minutes)
        started = time.monotonic()
        _discard_if_stale(out, step.name, inputs_hash)
        step.run()
        seconds = time.monotonic() - started
        mark.write_text(json.dumps({"inputs_hash": inputs_hash, "seconds": round(seconds, 1)}))
        times.append((step.label, seconds))
    return times


def _discard_if_stale(out: Path, name: str, inputs_hash: str) -> None:
    """Deletes what a half-finished step has written unless it was begun from the same inputs: then it is continued."""
    begun = out / ".steps" / f"{name}.begun"
    if not begun.is_file() or read_text(begun) != inputs_hash:
        folder, verb = FOLDERS.get(name, ("", ""))
        if folder and (out / folder).is_dir():
            with writing(out / folder, verb) as stale:
                stale.discard()
        begun.write_text(inputs_hash)


def present(out: Path, seed: int, times: Sequence[tuple[str, float]]) -> None:
    """Writes metrics.json, the cards and the page, and prints the table of retrieval beside its controls."""
    from training.data.held_folders import adding
    from training.demo_page import write_page
    from training.release.cards import write_clip_card, write_vlm_card
    from training.release.result_rows import retrieval_rows
    from training.scoring.clip_results import ClipResults, TrainedControls
    from training.scoring.results import METRICS_NAME
    from training.scoring.vlm_results import LongerReading, VlmResults

    clip, vlm = ClipResults.load(out / "clip" / METRICS_NAME), VlmResults.load(out / "vlm" / METRICS_NAME)
    metrics = {"seed": seed, "clip": clip.as_dict(), "vlm": vlm.as_dict()}
    (out / METRICS_NAME).write_text(json.dumps(metrics, indent=1))
    trained_controls = TrainedControls.load(TRAINED_CONTROLS)
    with adding(out / "clip" / "README.md"):
        write_clip_card(out / "clip", trained_controls)
    with adding(out / "vlm" / "README.md"):
        write_vlm_card(out / "vlm")
    write_page(out, clip, vlm, trained_controls, times, LongerReading.load(LONGER_READING))
    for line in retrieval_table(retrieval_rows(clip, trained_controls)):
        logger.info(line)
    logger.info(
        "\nInfrared facts stated as measured, %d held-out pairs (difference to ours, 95 %% interval):", vlm.pairs
    )
    for name, gap in vlm.differences.items():
        value = vlm.accuracy[name].mean
        logger.info("  %-14s %.3f  (%+.3f, %+.3f to %+.3f)", name, value, gap.value, gap.low, gap.high)
    logger.info("  %-14s %.3f", "VLM", vlm.accuracy["own_images"].mean)


def retrieval_table(rows: Sequence[Any]) -> list[str]:
    """Lines of a plain table: R@1 in percent of each direction beside its controls."""
    lines = [
        "",
        "R@1 in percent. (a) towers as loaded, this run (for text: chance); (b) trained on grayscale, (c) on",
        "shuffled pairs, from the committed bench result, mean of its seeds; -: not measured there.",
        f"{'':44s}{'queries':>8s}{'ours':>8s}{'(a)':>8s}{'(b)':>8s}{'(c)':>8s}",
    ]
    for row in rows:
        controls = {"a": row.controls.get("pretrained", row.controls.get("chance"))}
        controls |= {"b": row.controls.get("grayscale"), "c": row.controls.get("shuffled")}
        cells = "".join(f"{'-':>8s}" if value is None else f"{100 * value:8.1f}" for value in controls.values())
        name = f"{row.subset} {row.direction}"
        lines.append(f"{name:44s}{row.queries:8d}{100 * row.recall['R@1']:8.1f}{cells}")
    return lines


def main(argv: Sequence[str] | None = None) -> int:
    """Travels from weights to the page; a step that fails has said why, and the next run goes on from there."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--out", type=Path, default=Path("runs/demo"))
    parser.add_argument("--packages", type=Path, default=Path(".demo-packages"), help="folder of the weight packages")
    parser.add_argument("--seed", type=int, default=0)
    arguments = parser.parse_args(argv)
    logging.basicConfig(level=logging.INFO, format="%(message)s", stream=sys.stdout)
    started = time.monotonic()
    out, packages = arguments.out.resolve(), arguments.packages.resolve()
    try:
        with writing(out, "demo") as folder:
            stages = steps(packages, out, arguments.seed)
            folder.reopen()
            folder.list_files(_own_files(stages))
            times = travel(stages, out)
            logger.info("[%d] Cards and page", len(times) + 1)
            present(out, arguments.seed, times)
            folder.finish()
    except subprocess.CalledProcessError as error:
        logger.info("stopped: %s failed; mend what it names and run again, finished steps are kept", error.cmd[2])
        return 2
    except InputError as error:
        logger.info("error: %s", error)
        return 2
    logger.info("\n%.1f min in all. Open %s", (time.monotonic() - started) / 60, arguments.out / "index.html")
    return 0


def _own_files(stages: Sequence[Step]) -> list[str]:
    """Returns what the journey itself writes; the folders of its steps have manifests of their own."""
    marks = [f".steps/{step.name}.{kind}" for step in stages for kind in ("json", "begun")]
    return [*marks, "metrics.json", "index.html"]


def _sample_files() -> tuple[Path, ...]:
    return tuple(sorted((ROOT / "dataset_builder/sample/data").glob("*.parquet")))


def _code_files() -> tuple[Path, ...]:
    return tuple(sorted(path for name in CODE for path in (ROOT / name).rglob("*.py")))


def _hash_files(paths: Sequence[Path]) -> str:
    digest = hashlib.sha256()
    for path in paths:
        digest.update(path.read_bytes())
    return digest.hexdigest()


def _combine(*parts: str) -> str:
    return hashlib.sha256("\n".join(parts).encode()).hexdigest()


if __name__ == "__main__":
    sys.exit(main())
