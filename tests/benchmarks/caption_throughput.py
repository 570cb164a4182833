"""Rows a second of the default captioner, with measured facts and all caption rules, decoding excluded.

    make bench        (or: python -m tests.benchmarks.caption_throughput)

Real tiles of the sample, enlarged to 128 px and flipped so that no two rows of a round are alike, in one process per
core. Time is the processor's, so that what else the machine does counts little. Three repeats of 500 rows and one of
1,000; medians. Writes
tests/benchmarks/results/caption_throughput.json.
"""

import argparse
import json
import logging
import os
import platform
import statistics
import time
from collections.abc import Sequence
from concurrent.futures import ProcessPoolExecutor
from multiprocessing import get_context
from pathlib import Path

import numpy as np
from datasets import load_dataset
from PIL import Image

from dataset_builder.captioning import CaptionStage, GroundedCaptioner
from dataset_builder.captioning.rules.caption_rules import make_caption_rules

logger = logging.getLogger(__name__)
RESULT = Path(__file__).parent / "results" / "caption_throughput.json"
SIDE, BATCH, TILES = 128, 64, 800
SIZES = {500: 3, 1_000: 1}  # rows, and how often they are captioned
FLIPS = (np.s_[:, :], np.s_[::-1, :], np.s_[:, ::-1], np.s_[::-1, ::-1])

_tiles: list[dict] = []


def load_tiles() -> int:
    """Decodes and enlarges sample tiles once per process; returns how many."""
    if not _tiles:
        rows = load_dataset("dataset_builder/sample", split="train").shuffle(seed=0).select(range(TILES))
        for row in rows:
            images = {
                "_rgb": np.asarray(row["rgb"].convert("RGB").resize((SIDE, SIDE), Image.Resampling.BICUBIC)),
                "_ir": np.asarray(row["ir"].convert("L").resize((SIDE, SIDE), Image.Resampling.BICUBIC)),
            }
            _tiles.append({**{name: value for name, value in row.items() if name not in ("rgb", "ir")}, **images})
    return len(_tiles)


def caption_rows(count: int) -> tuple[float, int]:
    """Captions `count` rows; returns seconds of processor time and captions accepted."""
    load_tiles()
    stage = CaptionStage(GroundedCaptioner(), make_caption_rules())
    spent, accepted = 0.0, 0
    for start in range(0, count, BATCH):
        rows = []
        for number in range(start, min(start + BATCH, count)):
            tile, flip = _tiles[number % TILES], FLIPS[number // TILES % len(FLIPS)]
            flipped = {name: np.ascontiguousarray(tile[name][flip]) for name in ("_rgb", "_ir")}
            rows.append({**tile, **flipped, "sample_id": f"{tile['sample_id']}#{number}", "_reason": None})
        batch = {name: [row[name] for row in rows] for name in rows[0]}
        began = time.process_time()
        done = stage(batch)
        spent += time.process_time() - began
        accepted += sum(map(len, done["ir_captions"]))
    return spent, accepted


def main(argv: Sequence[str] | None = None) -> None:
    """Measures all sizes and writes the result."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.parse_args(argv)
    logging.basicConfig(level=logging.INFO, format="%(message)s")
    workers = max(1, min(2, os.cpu_count() or 1))
    rates: dict[int, list[float]] = {size: [] for size in SIZES}
    with ProcessPoolExecutor(workers, get_context("spawn"), load_tiles) as pool:
        for repeat in range(max(SIZES.values())):
            for size in (size for size, repeats in SIZES.items() if repeat < repeats):
                parts = list(pool.map(caption_rows, [size // workers] * workers))
                rates[size].append(size // workers * workers / max(seconds for seconds, _ in parts))
                share = sum(count for _, count in parts) / (2 * (size // workers * workers))
                logger.info("%d rows: %.0f rows/s, %.2f %% of captions accepted", size, rates[size][-1], 100 * share)
    report = {
        "what": "rows a second of processor time: measured facts, captions, all rules; decoding excluded",
        "side_px": SIDE,
        "processes": workers,
        "hardware": f"{os.cpu_count()} processors, {platform.machine()}",
        "rows_per_second": {size: {"median": round(statistics.median(r), 1), "runs": r} for size, r in rates.items()},
    }
    RESULT.parent.mkdir(exist_ok=True)
    RESULT.write_text(json.dumps(report, indent=1) + "\n")


if __name__ == "__main__":
    main()
