"""Time, memory and equality of our recall beside open_clip's metric and CLIP_benchmark's, and at 100,000 x 100,000.

    make bench        (or: python -m tests.benchmarks.recall_speed --peer PYTHON)

PYTHON is the interpreter of an environment with torch, open_clip_torch, clip_benchmark and torchvision (the two last
installed with --no-deps); without it, what the committed result has beside a peer stays as it is. Both sides get the
same normalised embeddings of 512 numbers, one process each, and take turns; medians of the repeats. Writes
tests/benchmarks/results/recall_speed.json.
"""

import argparse
import json
import logging
import os
import platform
import resource
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from functools import cache
from pathlib import Path

import numpy as np

logger = logging.getLogger(__name__)
ROOT = Path(__file__).resolve().parents[2]
RESULT = Path(__file__).parent / "results" / "recall_speed.json"
SIZE, KS = 512, (1, 5, 10)


@dataclass(frozen=True, slots=True)
class Contest:
    """Which peer, how many items and captions an item, how many repeats."""

    peer: str | None
    items: int
    captions: int = 1
    repeats: int = 5


CONTESTS = {
    "pairs": Contest("open_clip", 9_553),  # the published test split
    "five_captions": Contest("clip_benchmark", 1_093, 5),  # as many as RSICD's test split
    "five_captions_9553": Contest("clip_benchmark", 9_553, 5, repeats=1),  # the peer takes minutes and 17 GB
    "25000": Contest(None, 25_000, repeats=1),
    "100000": Contest(None, 100_000, repeats=1),
}


def unit(vectors: np.ndarray) -> np.ndarray:
    """Scales rows to unit length, in float32."""
    return (vectors / np.linalg.norm(vectors, axis=1, keepdims=True)).astype(np.float32)


def make_embeddings(items: int, captions: int, folder: Path, noise: float = 0.35) -> None:
    """Writes `left.npy` `(items, 512)` and `right.npy` `(items * captions, 512)`; a right is its left plus noise."""
    generator = np.random.default_rng(0)
    left = unit(generator.standard_normal((items, SIZE), dtype=np.float32))
    right = np.empty((items * captions, SIZE), np.float32)
    for start in range(0, items, 10_000):  # a part at a time: the large sizes fit beside nothing else
        part = np.repeat(left[start : start + 10_000], captions, axis=0)
        spread = noise * generator.standard_normal(part.shape, dtype=np.float32)
        right[start * captions : start * captions + len(part)] = unit(part + spread)
    folder.mkdir(parents=True, exist_ok=True)
    np.save(folder / "left.npy", left)
    np.save(folder / "right.npy", right)


def ours(left: np.ndarray, right: np.ndarray) -> dict[str, float]:
    """Recall of both directions by `both_ranks`, from embeddings and owners: nothing is prepared outside the time."""
    sys.path.insert(0, str(ROOT))
    from training.metrics.cross_modal_recall.cross_modal_recall import both_ranks, equal_id_positives

    owners = np.arange(len(right)) // (len(right) // len(left))
    forward, backward = both_ranks(left, right, equal_id_positives(np.arange(len(left)), owners))
    recalls = {f"left_to_right_R@{k}": float((forward < k).mean()) for k in KS}
    return recalls | {f"right_to_left_R@{k}": float((backward < k).mean()) for k in KS}


def open_clip(left: np.ndarray, right: np.ndarray) -> dict[str, float]:
    """The same by `open_clip_train.train.get_clip_metrics`, for one right a left."""
    import torch

    declare_torchvision()
    from open_clip_train.train import get_clip_metrics

    found = get_clip_metrics(torch.from_numpy(left), torch.from_numpy(right), torch.tensor(1.0))
    names = {"left_to_right": "image_to_text", "right_to_left": "text_to_image"}
    return {f"{ours}_R@{k}": float(found[f"{theirs}_R@{k}"]) for ours, theirs in names.items() for k in KS}


def clip_benchmark(left: np.ndarray, right: np.ndarray) -> dict[str, float]:
    """The same by CLIP_benchmark's whole `evaluate` around a model that hands embeddings over, in batches of 64."""
    import torch
    from clip_benchmark.metrics.zeroshot_retrieval import evaluate

    captions = len(right) // len(left)

    class Stub:
        encode_image = staticmethod(lambda indices: torch.from_numpy(left)[indices])
        encode_text = staticmethod(lambda indices: torch.from_numpy(right)[indices])

    batches = [
        (
            torch.arange(start, min(start + 64, len(left))),
            [[str(i * captions + j) for j in range(captions)] for i in range(start, min(start + 64, len(left)))],
        )
        for start in range(0, len(left), 64)
    ]
    tokenizer = lambda texts: torch.tensor([int(text) for text in texts])  # noqa: E731
    found = evaluate(Stub, batches, tokenizer, "cpu", amp=False, recall_k_list=list(KS))
    names = {"left_to_right": "text_retrieval", "right_to_left": "image_retrieval"}
    return {f"{ours}_R@{k}": float(found[f"{theirs}_recall@{k}"]) for ours, theirs in names.items() for k in KS}


@cache
def declare_torchvision() -> None:
    """Declares the operators that torchvision's CUDA-linked wheel lacks on a CPU build of torch; else its import dies.

    What is declared is never called.
    """
    import torch

    for name in ("nms", "qnms"):
        torch.library.define(f"torchvision::{name}", "(Tensor dets, Tensor scores, float iou_threshold) -> Tensor")


SIDES: dict[str, Callable[[np.ndarray, np.ndarray], dict[str, float]]] = {
    "ours": ours,
    "open_clip": open_clip,
    "clip_benchmark": clip_benchmark,
}


def serve(side: str, folder: Path) -> None:
    """Child process: measures once for each line on stdin; answers on stdout with seconds, recalls and peak memory."""
    left, right = np.load(folder / "left.npy"), np.load(folder / "right.npy")
    warm = slice(0, 32)
    SIDES[side](left[warm], right[: 32 * (len(right) // len(left))])  # imports and thread pools
    before = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    for _ in sys.stdin:
        began = time.perf_counter()
        recalls = SIDES[side](left, right)
        seconds = time.perf_counter() - began
        peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
        answer = {"seconds": seconds, "recalls": recalls, "extra_peak_mib": (peak - before) / 1024}
        sys.stdout.write(json.dumps(answer) + "\n")
        sys.stdout.flush()


class Side:
    """A child process that measures when asked."""

    def __init__(self, python: str, side: str, folder: Path) -> None:
        command = [python, str(Path(__file__).resolve()), "--serve", side, str(folder)]
        self.process = subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True)

    def measure(self) -> dict:
        """One measurement."""
        self.process.stdin.write("run\n")
        self.process.stdin.flush()
        if not (line := self.process.stdout.readline()):
            raise RuntimeError(f"{self.process.args} ended without an answer; see its messages above")
        return json.loads(line)

    def close(self) -> None:
        """Ends the process."""
        self.process.stdin.close()
        self.process.wait()


def compete(name: str, contest: Contest, peer: str | None, work: Path) -> dict:
    """Measures both sides in turns; returns medians, ratio and whether the recalls are identical."""
    folder = work / name
    make_embeddings(contest.items, contest.captions, folder)
    sides = {"ours": Side(sys.executable, "ours", folder)}
    if peer and contest.peer:
        sides[contest.peer] = Side(peer, contest.peer, folder)
    runs: dict[str, list[dict]] = {side: [] for side in sides}
    for _ in range(contest.repeats):
        for side, process in sides.items():
            runs[side].append(process.measure())
            logger.info("%s, %s: %.2f s", name, side, runs[side][-1]["seconds"])
    for process in sides.values():
        process.close()
    report = {"items": contest.items, "texts": contest.items * contest.captions}
    for side, found in runs.items():
        seconds = [run["seconds"] for run in found]
        report[side] = {
            "median_s": round(statistics.median(seconds), 3),
            "runs_s": [round(value, 3) for value in seconds],
            "extra_peak_mib": round(found[-1]["extra_peak_mib"]),
            "recalls": found[-1]["recalls"],
        }
    if len(sides) > 1:
        theirs = report[contest.peer]
        report["times_faster"] = round(theirs["median_s"] / report["ours"]["median_s"], 2)
        gap = [abs(report["ours"]["recalls"][key] - value) for key, value in theirs["recalls"].items()]
        report["identical"] = max(gap) < 0.5 / report["texts"]  # theirs are means in float32: less than half a query
    return report


def main(argv: Sequence[str] | None = None) -> None:
    """Measures and writes the result."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--peer", help="interpreter that has open_clip_torch and clip_benchmark")
    parser.add_argument("--only", nargs="*", choices=CONTESTS, default=list(CONTESTS), help="measure these alone")
    parser.add_argument("--output", type=Path, default=RESULT)
    parser.add_argument("--serve", nargs=2, metavar=("SIDE", "FOLDER"), help=argparse.SUPPRESS)
    arguments = parser.parse_args(argv)
    if arguments.serve:
        serve(arguments.serve[0], Path(arguments.serve[1]))
        return
    logging.basicConfig(level=logging.INFO, format="%(message)s")
    committed = json.loads(arguments.output.read_text())["contests"] if arguments.output.is_file() else {}
    found = dict(committed)
    with tempfile.TemporaryDirectory() as work:
        for name in arguments.only:
            if arguments.peer or CONTESTS[name].peer is None or name not in committed:  # a ratio is of one run
                found[name] = compete(name, CONTESTS[name], arguments.peer, Path(work))
    report = {
        "what": "seconds for R@1/5/10 in both directions from embeddings of 512 numbers, exact; medians, in turns",
        "hardware": f"{os.cpu_count()} processors, {platform.machine()}",
        "threads": int(os.environ.get("OMP_NUM_THREADS", os.cpu_count() or 1)),
        "peak": "extra_peak_mib is beyond the embeddings and the imports",
        "contests": {name: found[name] for name in CONTESTS if name in found},
    }
    arguments.output.parent.mkdir(exist_ok=True)
    arguments.output.write_text(json.dumps(report, indent=1) + "\n")
    logger.info("wrote %s", arguments.output)


if __name__ == "__main__":
    main()
