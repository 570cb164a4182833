"""Time, memory and equality of our recall beside open_clip's metric and CLIP_benchmark's, and at 100,000 x 100,000.

    make bench        (or: python -m tests.benchmarks.recall_speed --peer PYTHON)

PYTHON is the interpreter of an environment with open_clip_torch, clip_benchmark and torchvision; without it, what the
committed result has beside a peer stays as it is. Both sides get the same normalised embeddings of 512 numbers, a
process each with the same threads, and take turns; medians of the repeats. Recalls that differ end the run. Writes
tests/benchmarks/results/recall_speed.json.
"""

import argparse
import json
import logging
import statistics
import sys
import tempfile
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from tests.benchmarks.sides import HARDWARE, Side, answer, peak_mib, take_turns

logger = logging.getLogger(__name__)
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
    from training.metrics.cross_modal_recall.cross_modal_recall import both_ranks, equal_id_positives

    owners = np.arange(len(right)) // (len(right) // len(left))
    forward, backward = both_ranks(left, right, equal_id_positives(np.arange(len(left)), owners))
    recalls = {f"left_to_right_R@{k}": float((forward < k).mean()) for k in KS}
    return recalls | {f"right_to_left_R@{k}": float((backward < k).mean()) for k in KS}


def open_clip(left: np.ndarray, right: np.ndarray) -> dict[str, float]:
    """The same by `open_clip_train.train.get_clip_metrics`, for one right a left."""
    import torch
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


SIDES: dict[str, Callable[[np.ndarray, np.ndarray], dict[str, float]]] = {
    "ours": ours,
    "open_clip": open_clip,
    "clip_benchmark": clip_benchmark,
}


def serve(side: str, folder: Path) -> None:
    """Child process: measures once for each line on stdin; answers on stdout with seconds, recalls and peak memory."""
    left, right = np.load(folder / "left.npy"), np.load(folder / "right.npy")
    if side == "open_clip":
        from tests.benchmarks.open_clip_peer import declare_torchvision

        declare_torchvision()
    warm = slice(0, 32)
    SIDES[side](left[warm], right[: 32 * (len(right) // len(left))])  # imports and thread pools
    before = peak_mib()
    for _ in sys.stdin:
        began = time.perf_counter()
        recalls = SIDES[side](left, right)
        answer(seconds=time.perf_counter() - began, recalls=recalls, extra_peak_mib=peak_mib() - before)


def compete(name: str, contest: Contest, peer: Path | None, threads: int, work: Path) -> dict:
    """Measures both sides in turns and sums up."""
    folder = work / name
    make_embeddings(contest.items, contest.captions, folder)
    environment = {"OMP_NUM_THREADS": str(threads), "OPENBLAS_NUM_THREADS": str(threads)}
    pythons = {"ours": sys.executable} | ({contest.peer: peer} if peer and contest.peer else {})
    sides = {
        side: Side(python, "tests.benchmarks.recall_speed", "--serve", side, folder, environment=environment)
        for side, python in pythons.items()
    }
    return summary(contest, take_turns(sides, contest.repeats, "run"))


def summary(contest: Contest, runs: dict[str, list[dict]]) -> dict:
    """Medians of each side, and how many times as fast we are.

    Raises:
        RuntimeError: The recalls differ by half a query or more.
    """
    report: dict = {"items": contest.items, "texts": contest.items * contest.captions}
    for side, found in runs.items():
        seconds = [run["seconds"] for run in found]
        report[side] = {
            "median_s": round(statistics.median(seconds), 3),
            "runs_s": [round(value, 3) for value in seconds],
            "extra_peak_mib": round(found[-1]["extra_peak_mib"]),
            "recalls": found[-1]["recalls"],
        }
    if contest.peer in runs:
        ours, theirs = report["ours"], report[contest.peer]
        report["times_faster"] = round(theirs["median_s"] / ours["median_s"], 2)
        for key, value in theirs["recalls"].items():
            if abs(ours["recalls"][key] - value) >= 0.5 / report["texts"]:  # theirs are means in float32
                raise RuntimeError(f"{key}: {ours['recalls'][key]} here, {value} of {contest.peer}")
        report["identical"] = True
    return report


def main(argv: Sequence[str] | None = None) -> None:
    """Measures and writes the result."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--peer", type=Path, help="Python of an environment with open_clip_torch and clip_benchmark")
    parser.add_argument("--threads", type=int, default=2)
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
                found[name] = compete(name, CONTESTS[name], arguments.peer, arguments.threads, Path(work))
                logger.info("%s: %s", name, found[name])
    report = {
        "what": "seconds for R@1/5/10 in both directions from embeddings of 512 numbers, exact; medians, in turns",
        "hardware": HARDWARE,
        "threads": arguments.threads,
        "peak": "extra_peak_mib is beyond the embeddings and the imports",
        "contests": {name: found[name] for name in CONTESTS if name in found},
    }
    arguments.output.parent.mkdir(exist_ok=True)
    arguments.output.write_text(json.dumps(report, indent=1) + "\n")
    logger.info("wrote %s", arguments.output)


if __name__ == "__main__":
    main()
