"""Milliseconds of a contrastive training step beside open_clip's, in bf16 on a CPU.

    make bench        (or: python -m tests.benchmarks.train_step --peer PYTHON)

Both sides train the same two towers (22 million parameters, 128 px) from the same weights on the same batches of 64,
in memory, real captions in open_clip's tokens; that the losses agree is checked first. Ours is
`ContrastiveTrainer.train()`, theirs `open_clip_train.train.train_one_epoch`; a process each, in turns.

    same     open_clip's settings on both sides: AdamW, no gradient clipping, texts padded to 77 tokens
    fused    the same with PyTorch's fused AdamW on both sides
    ships    each as it comes: as `same` there; here transformers' defaults (fused AdamW, clipping), and texts padded
             to the longest of a batch

`trimodal` is a step on RGB, infrared and text, with three terms; beside it stand two steps of open_clip, RGB-text and
infrared-text. PYTHON is the interpreter of an environment with `open_clip_torch[training]`. Writes
tests/benchmarks/results/train_step.json.
"""

import argparse
import json
import logging
import sys
import tempfile
from collections.abc import Mapping, Sequence
from pathlib import Path

import pyarrow.parquet as pq

from tests.benchmarks.sides import HARDWARE, ROOT, Side, per_step, take_turns
from training.journey import CHILD_ENVIRONMENT

logger = logging.getLogger(__name__)
RESULT = Path(__file__).parent / "results" / "train_step.json"
SAMPLE = ROOT / "dataset_builder" / "sample" / "data"
OURS, THEIRS = "tests.benchmarks.fusionrs_side", "tests.benchmarks.open_clip_peer"
CONTESTS = {  # side -> its options
    "same": {"pair": [], "trimodal": ["--infrared"], "open_clip": []},
    "fused": {"pair": ["--fused"], "trimodal": ["--fused", "--infrared"], "open_clip": ["--fused"]},
    "ships": {"pair": ["--ships"], "trimodal": ["--ships", "--infrared"], "open_clip": []},
}
BATCHES, ROWS = 4, 64


def write_captions(folder: Path, count: int) -> None:
    """Writes the sample's first captions to `captions.json`.

    Raises:
        RuntimeError: There are too few.
    """
    texts = []
    for path in sorted(SAMPLE.glob("*.parquet")):
        texts += [captions[0] for captions in pq.read_table(path, columns=["captions"])["captions"].to_pylist()]
    if len(texts) < count:
        raise RuntimeError(f"the sample has {len(texts)} rows with a caption, {count} are needed")
    (folder / "captions.json").write_text(json.dumps(texts[:count]))


def prepare(peer: Path, folder: Path, batches: int, rows: int, environment: Mapping[str, str]) -> dict:
    """Has the peer write weights and batches; returns what it tells of them."""
    write_captions(folder, batches * rows)
    side = Side(peer, THEIRS, "prepare", folder, "--batches", batches, "--rows", rows, environment=environment)
    told = json.loads(side.process.stdout.readline() or "null")
    side.close()
    if told is None:
        raise RuntimeError(f"{peer} could not prepare the batches; see its messages above")
    return told


def environment_of(threads: int) -> dict[str, str]:
    """Variables of both sides: threads, and memory as this project's trainings have it."""
    return {**CHILD_ENVIRONMENT, "OMP_NUM_THREADS": str(threads)}


def ratios(sides: Mapping[str, Mapping]) -> dict[str, float]:
    """How many times as fast ours are: a pair against a step of theirs, RGB, infrared and text against two."""
    theirs = sides["open_clip"]["median_ms"]
    return {
        "pair": round(theirs / sides["pair"]["median_ms"], 2),
        "trimodal": round(2 * theirs / sides["trimodal"]["median_ms"], 2),
    }


def main(argv: Sequence[str] | None = None) -> None:
    """Measures the contests and writes the result."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--peer", type=Path, required=True, help="Python of an environment with open_clip_torch")
    parser.add_argument("--repeats", type=int, default=5)
    parser.add_argument("--steps", type=int, default=6, help="steps a turn")
    parser.add_argument("--threads", type=int, default=2)
    parser.add_argument("--result", type=Path, default=RESULT)
    arguments = parser.parse_args(argv)
    logging.basicConfig(level=logging.INFO, format="%(message)s")
    environment, found = environment_of(arguments.threads), {}
    with tempfile.TemporaryDirectory(prefix="fusionrs-step-") as name:
        folder = Path(name)
        told = prepare(arguments.peer, folder, BATCHES, ROWS, environment)
        for contest, options in CONTESTS.items():
            sides = {
                side: Side(arguments.peer, THEIRS, "train", folder, *extra, environment=environment)
                if side == "open_clip"
                else Side(sys.executable, OURS, "train", folder, *extra, environment=environment)
                for side, extra in options.items()
            }
            runs = take_turns(sides, arguments.repeats, arguments.steps, warm=2)
            summed = {side: per_step(answers) for side, answers in runs.items()}
            found[contest] = {"sides": summed, "times_as_fast": ratios(summed)}
            logger.info("%s: %s, times as fast %s", contest, summed, found[contest]["times_as_fast"])
    report = {
        "what": "milliseconds of a training step, bf16 autocast; ratios of medians, interleaved",
        "hardware": HARDWARE,
        "threads": arguments.threads,
        "rows": ROWS,
        "steps_a_turn": arguments.steps,
        "open_clip": told["version"],
        "parameters": told["parameters"],
        "longest_text": told["longest_text"],
        "memory": "peak_mib is the process's; start_mib what it had before the first step (imports, model, batches)",
        "contests": found,
    }
    arguments.result.parent.mkdir(exist_ok=True)
    arguments.result.write_text(json.dumps(report, indent=1) + "\n")


if __name__ == "__main__":
    main()
