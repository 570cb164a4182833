"""Memory of a whole build over the number of its rows, and that none of a million stamped rows is lost.

    make bench        (or: python -m tests.benchmarks.build_memory --scratch FOLDER --rows 10000 1000000)

Every row has a 32 px RGB and infrared image in which its number is drawn in bits, a caption of its own and Parquet of
ten thousand rows a file as source. Each size is one `fusionrs build` by two processes; its resident memory is sampled
from /proc. Afterwards every number must be in the output once, and of every 500th row the images must show it. A
million rows need 3 GB of scratch disk. Writes tests/benchmarks/results/build_memory.json.
"""

import argparse
import io
import json
import logging
import os
import platform
import subprocess
import sys
import tempfile
import threading
import time
from collections.abc import Sequence
from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import yaml
from PIL import Image

from dataset_builder.schema import FEATURES, new_row
from dataset_builder.shards.parquet import write_shard

logger = logging.getLogger(__name__)
RESULT = Path(__file__).parent / "results" / "build_memory.json"
SIDE, CELL, LEVELS = 32, 4, (60, 190)  # 8 x 8 cells: 64 bits
FILE_ROWS, EVERY, PERIOD_S, CURVE_POINTS = 10_000, 500, 0.1, 60
WORKER_MB = 50  # what else runs below the main process (the tracker of semaphores) is smaller
RECIPE = {
    "name": "Stamped rows",
    "sources": [{"kind": "repository", "path": "source"}],
    "filters": {"image_too_small": {"min_side": SIDE}, "rgb_ir_misaligned": False, "ir_is_gray_of_rgb": False},
    "splits": {"by": "hash", "validation": 0.05, "test": 0.05},
    "max_shard_bytes": 50_000_000,
}
MASK = 2**64 - 1
PROCESSES = {"main": 2, "worker": 3}  # places in a sample


def scrambled(number: int) -> int:
    """Returns 64 bits, other ones for every number (the mixing of SplitMix64): neighbours must not look alike."""
    bits = (number * 0x9E3779B97F4A7C15 + 0x632BE59BD9B4E019) & MASK
    bits = ((bits ^ (bits >> 30)) * 0xBF58476D1CE4E5B9) & MASK
    bits = ((bits ^ (bits >> 27)) * 0x94D049BB133111EB) & MASK
    return bits ^ (bits >> 31)


def stamp(number: int, channels: int) -> np.ndarray:
    """Returns uint8 `(32, 32)` or `(32, 32, 3)`: the scrambled number as dark and bright cells, a channel each."""
    words = np.array([scrambled(4 * number + channel % 4) for channel in range(channels)], dtype=">u8")
    bits = np.unpackbits(words.view(np.uint8)).reshape(channels, 8, 8)
    image = np.asarray(LEVELS, np.uint8)[bits].repeat(CELL, 1).repeat(CELL, 2)
    return image[0] if channels == 1 else np.ascontiguousarray(image.transpose(1, 2, 0))


def png(array: np.ndarray) -> dict:
    """Returns an image as rows hold it."""
    buffer = io.BytesIO()
    Image.fromarray(array).save(buffer, "PNG", compress_level=1)
    return {"bytes": buffer.getvalue(), "path": None}


def write_source(folder: Path, rows: int) -> None:
    """Writes stamped rows as Parquet, `FILE_ROWS` a file; files that are there stay."""
    for start in range(0, rows, FILE_ROWS):
        path = folder / f"train-{start // FILE_ROWS:05d}.parquet"
        if path.exists():
            continue
        made = [
            new_row(
                sample_id=f"stamp/{number:08d}",
                source_dataset="stamps",
                source_locator=str(number),
                rights="CC0-1.0",
                rgb=png(stamp(number, 3)),
                ir=png(stamp(number + (1 << 40), 1)),
                ir_origin="sensor",
                ir_band="nir",
                ir_unit="display",
                captions=[f"a plate with the number {number}"],
                caption_origin=["source"],
            )
            for number in range(start, min(start + FILE_ROWS, rows))
        ]
        write_shard(path, pa.Table.from_pylist(made, schema=FEATURES.arrow_schema))


class Sampler(threading.Thread):
    """Samples resident memory, in MB, of a process and the largest of those below it, until it is stopped."""

    def __init__(self, main: int, out: Path) -> None:
        super().__init__(daemon=True)
        self.main, self.out, self.begun = main, out, time.monotonic()
        self.samples: list[tuple[float, str, float, float]] = []  # seconds, step, main, largest worker
        self.stopped, self.worked = threading.Event(), False

    def run(self) -> None:
        """Samples every `PERIOD_S`."""
        while not self.stopped.wait(PERIOD_S):
            sizes = {pid: resident_mb(pid) for pid in (self.main, *below(self.main))}
            own = sizes.pop(self.main)
            now, worker = round(time.monotonic() - self.begun, 1), max(sizes.values(), default=0.0)
            self.samples.append((now, self.step(worker > WORKER_MB), own, worker))

    def step(self, working: bool) -> str:
        """Which step the build is in, by what is in its folder and whether workers are there."""
        self.worked |= working
        reading = "read" if working or not self.worked else "merge"
        steps = {"README.md": "report", ".work/write": "write", ".work/plan": "merge", ".work/read": reading}
        return next((step for name, step in steps.items() if (self.out / name).exists()), "plan")

    def found(self) -> dict:
        """Returns peaks, by step too, and a curve over time."""
        steps = dict.fromkeys(step for _, step, _, _ in self.samples)
        parts = {step: [sample for sample in self.samples if sample[1] == step] for step in steps}
        every = max(1, len(self.samples) // CURVE_POINTS)
        return {
            "peak_mb": {name: max(sample[place] for sample in self.samples) for name, place in PROCESSES.items()},
            "peak_mb_by_step": {
                step: {name: max(sample[place] for sample in part) for name, place in PROCESSES.items()}
                for step, part in parts.items()
            },
            "over_time": [list(sample) for sample in self.samples[::every]],
        }


def resident_mb(pid: int) -> float:
    """Returns a process's resident memory; 0 where it has ended."""
    try:
        with open(f"/proc/{pid}/statm") as file:
            return round(int(file.read().split()[1]) * os.sysconf("SC_PAGE_SIZE") / 1e6, 1)
    except (OSError, IndexError):
        return 0.0


def below(pid: int) -> list[int]:
    """Returns the processes that a process started, and theirs."""
    children: list[int] = []
    for task in Path(f"/proc/{pid}/task").glob("*/children"):
        try:
            children += map(int, task.read_text().split())
        except OSError:
            continue
    return children + [grandchild for child in children for grandchild in below(child)]


def measure(scratch: Path, rows: int, workers: int) -> dict:
    """Builds from the first rows of the source; returns memory, seconds and what was checked."""
    folder = scratch / str(rows)
    (folder / "source" / "data").mkdir(parents=True)
    for file in sorted((scratch / "source").iterdir())[: -(-rows // FILE_ROWS)]:
        os.link(file, folder / "source" / "data" / file.name)
    (folder / "recipe.yaml").write_text(yaml.safe_dump(RECIPE))
    timings, log = folder / "timings.json", folder / "log.txt"
    command = [sys.executable, "-m", "fusionrs_hf.cli", "build", folder / "recipe.yaml", folder / "out"]
    command += ["--workers", workers, "--timings", timings]
    environment = {name: value for name, value in os.environ.items() if not name.startswith("MALLOC_")}
    with open(log, "w") as file:
        build = subprocess.Popen(list(map(str, command)), stderr=file, env=environment | {"OMP_NUM_THREADS": "1"})
        sampler = Sampler(build.pid, folder / "out")
        sampler.start()
        failed = build.wait()
        sampler.stopped.set()
        sampler.join()
    if failed:
        raise RuntimeError(f"the build of {rows} rows failed: {log.read_text()[-2000:]}")
    return {"rows": rows, **json.loads(timings.read_text()), **sampler.found(), **check(folder / "out", rows)}


def check(out: Path, rows: int) -> dict:
    """Returns how many rows were found and looked at; raises AssertionError where one is lost or another's."""
    numbers, looked_at = [], 0
    for path in sorted([*(out / "data").iterdir(), *(out / "quarantine").glob("*.parquet")]):
        ids = pq.read_table(path, columns=["sample_id"])["sample_id"].to_pylist()
        numbers.append(np.array([int(name.removeprefix("stamp/")) for name in ids]))
        wanted = np.flatnonzero(numbers[-1] % EVERY == 0)
        if len(wanted):
            images = pq.read_table(path, columns=["rgb", "ir"]).take(wanted).to_pylist()
            for number, row in zip(numbers[-1][wanted], images, strict=True):
                assert np.array_equal(pixels(row["rgb"]), stamp(int(number), 3)), f"row {number} shows another RGB"
                assert np.array_equal(pixels(row["ir"]), stamp(int(number) + (1 << 40), 1)), f"{number}: another IR"
            looked_at += len(wanted)
    found = np.sort(np.concatenate(numbers))
    assert np.array_equal(found, np.arange(rows)), f"{rows} rows went in, {len(found)} came out"
    left = json.loads((out / "build_report.json").read_text())["quarantine"]
    return {"found": len(found), "quarantined": left, "images_checked": 2 * looked_at}


def pixels(image: dict) -> np.ndarray:
    """Decodes an image of a row."""
    return np.asarray(Image.open(io.BytesIO(image["bytes"])))


def main(argv: Sequence[str] | None = None) -> None:
    """Builds every size, the smallest first, and writes the result."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--rows", type=int, nargs="+", default=[10_000, 100_000, 300_000, 1_000_000])
    parser.add_argument("--workers", type=int, default=2)
    parser.add_argument("--scratch", type=Path, help="folder for source and builds (default: a temporary one)")
    parser.add_argument("--result", type=Path, default=RESULT)
    arguments = parser.parse_args(argv)
    if any(rows < 1 or rows % FILE_ROWS for rows in arguments.rows):
        parser.error(f"rows come in files of {FILE_ROWS}: give multiples of it, got {arguments.rows}")
    logging.basicConfig(level=logging.INFO, format="%(message)s")
    runs = []
    with tempfile.TemporaryDirectory(prefix="fusionrs-bench-", dir=arguments.scratch) as scratch:
        write_source(Path(scratch) / "source", max(arguments.rows))
        for rows in sorted(arguments.rows):
            runs.append(measure(Path(scratch), rows, arguments.workers))
            logger.info("%s", {name: value for name, value in runs[-1].items() if name != "over_time"})
    report = {
        "what": "resident memory of a build, sampled; `over_time`: seconds, step, MB of main and of largest worker",
        "side_px": SIDE,
        "workers": arguments.workers,
        "hardware": f"{os.cpu_count()} processors, {platform.machine()}",
        "runs": runs,
    }
    arguments.result.parent.mkdir(exist_ok=True)
    arguments.result.write_text(json.dumps(report, indent=1) + "\n")


if __name__ == "__main__":
    main()
