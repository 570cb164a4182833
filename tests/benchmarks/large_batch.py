"""Batches larger than memory: cached gradients (`encode_rows`) beside open_clip's accumulation (`--accum-freq`).

    make bench        (or: python -m tests.benchmarks.large_batch --peer PYTHON)

Towers, captions and peer as in train_step.py, its settings `same`, bf16. Contest: a step on one batch of 512 pairs, 64
or 32 at a time, the sides in turns; time and peak memory. Flat: the peak of steps on RGB, infrared and text, 64 at a
time, for batches of 64 to 1,024, less the batch's own bytes. Gradients: largest difference from those of the whole
batch, in fp32. Writes tests/benchmarks/results/large_batch.json.
"""

import argparse
import json
import logging
import sys
import tempfile
from collections.abc import Mapping, Sequence
from pathlib import Path

from tests.benchmarks.open_clip_peer import SIDE_PX, TOKENS
from tests.benchmarks.sides import HARDWARE, Side, per_step, take_turns
from tests.benchmarks.train_step import OURS, THEIRS, environment_of, prepare

logger = logging.getLogger(__name__)
RESULT = Path(__file__).parent / "results" / "large_batch.json"
ROWS, PART, GRADIENT_ROWS = 512, 64, 256
PARTS = (64, 32)
SIZES = (64, 128, 256, 512, 1024)


def batch_mib(rows: int) -> float:
    """MiB of a batch: two float32 images, token ids and mask in int64, two integer ids a row."""
    return rows * (2 * 3 * SIDE_PX**2 * 4 + 2 * TOKENS * 8 + 2 * 8) / 2**20


def contest(peer: Path, folder: Path, repeats: int, environment: Mapping[str, str]) -> dict:
    """A step of both sides on 512 rows, by rows at a time."""
    sides = {}
    for part in PARTS:
        sides[f"ours {part}"] = Side(
            sys.executable, OURS, "train", folder, "--encode-rows", part, environment=environment
        )
        sides[f"open_clip {part}"] = Side(
            peer, THEIRS, "train", folder, "--parts", ROWS // part, environment=environment
        )
    found = {side: per_step(runs) for side, runs in take_turns(sides, repeats, 1, warm=1).items()}
    return {str(part): compared(found[f"ours {part}"], found[f"open_clip {part}"]) for part in PARTS}


def compared(ours: Mapping, theirs: Mapping) -> dict:
    """Both sides with how many times as fast we are and our share of their peak memory."""
    return {
        "ours": ours,
        "open_clip": theirs,
        "times_as_fast": round(theirs["median_ms"] / ours["median_ms"], 2),
        "peak_share": round(ours["peak_mib"] / theirs["peak_mib"], 2),
    }


def flatness(folder: Path, rows: int, environment: Mapping[str, str]) -> dict:
    """Peak memory of two steps on a batch of so many rows."""
    side = Side(sys.executable, OURS, "train", folder, "--encode-rows", PART, "--infrared", environment=environment)
    peak, own = take_turns({"ours": side}, 1, 2)["ours"][0]["peak_mib"], batch_mib(rows)
    return {"rows": rows, "batch_mib": round(own), "rest_mib": round(peak - own)}


def gradients(folder: Path, environment: Mapping[str, str]) -> dict:
    """What `compare_gradients` of our side answers."""
    side = Side(sys.executable, OURS, "gradients", folder, "--encode-rows", PART, environment=environment)
    told = json.loads(side.process.stdout.readline())
    side.close()
    return {"rows": GRADIENT_ROWS, **told}


def main(argv: Sequence[str] | None = None) -> None:
    """Measures and writes the result."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--peer", type=Path, required=True, help="Python of an environment with open_clip_torch")
    parser.add_argument("--repeats", type=int, default=5)
    parser.add_argument("--threads", type=int, default=2)
    parser.add_argument("--result", type=Path, default=RESULT)
    arguments = parser.parse_args(argv)
    logging.basicConfig(level=logging.INFO, format="%(message)s")
    environment, flat = environment_of(arguments.threads), []
    with tempfile.TemporaryDirectory(prefix="fusionrs-large-") as name:
        folder = Path(name)
        prepare(arguments.peer, folder, 1, GRADIENT_ROWS, environment)
        exact = gradients(folder, environment)
        logger.info("gradients: %s", exact)
        told = prepare(arguments.peer, folder, 1, ROWS, environment)
        found = contest(arguments.peer, folder, arguments.repeats, environment)
        logger.info("contest: %s", found)
        for rows in SIZES:
            prepare(arguments.peer, folder, 1, rows, environment)
            flat.append(flatness(folder, rows, environment))
            logger.info("memory: %s", flat[-1])
    report = {
        "what": "a training step on a large batch, some rows at a time, bf16 autocast; medians, interleaved",
        "hardware": HARDWARE,
        "threads": arguments.threads,
        "rows": ROWS,
        "part": PART,
        "open_clip": told["version"],
        "parameters": told["parameters"],
        "memory": "peak_mib is the process's; start_mib what it had before the first step (imports, model, batch)",
        "contest": found,
        "gradients_fp32": exact,
        "flat": flat,
    }
    arguments.result.parent.mkdir(exist_ok=True)
    arguments.result.write_text(json.dumps(report, indent=1) + "\n")


if __name__ == "__main__":
    main()
