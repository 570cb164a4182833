"""Rows a second of a build without neural stages, beside what does less with the same local files.

    make bench        (or: python -m tests.benchmarks.build_throughput [--peer VENV])

4,000 RGB JPEGs of 256 px and as many infrared PNGs, mosaics of real sample tiles. Each run has a process of its own
and two workers, and counts from the first file to the last byte written, start of the workers included; a second run
of a quarter of the images tells what each further row costs. Five repeats, interleaved; medians.

    pairs        infrared files: the bytes of both images pass through unchanged
    translate    infrared made from the RGB, encoded as PNG

    build        decodes, judges and hashes both images of a row, embeds them in Parquet; groups, splits, writes a card
                 and Croissant, writes all images twice (it can be killed), syncs to disk
    map          `datasets.map(num_proc=2)` row by row to Parquet with the same columns; rules as one writes them
    map-quick    the same with this project's rules and PNG encoder
    Pillow       decodes and encodes only: both images of a pair, or RGB in and its gray out
    img2dataset  RGB only: no second image, no perceptual hash, no rules. `http`: from a loopback server, as it is
                 meant, each image encoded anew; `kept`: with `disable_all_reencoding`; `file`: from `file://`

img2dataset lives in an environment of its own (--peer). Writes tests/benchmarks/results/build_throughput.json.
"""

import argparse
import ctypes
import json
import logging
import os
import platform
import resource
import shutil
import statistics
import subprocess
import sys
import time
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager, suppress
from pathlib import Path

import pyarrow as pa
import pyarrow.parquet as pq

from tests.benchmarks.build_peers import IMG2DATASET, files_of, map_rows, pillow_alone, quiet, serving
from tests.benchmarks.build_tiles import SIDE, write_tiles

logger = logging.getLogger(__name__)
RESULT = Path(__file__).parent / "results" / "build_throughput.json"
TASKS = ("pairs", "translate")
LOCAL = [f"{subject} {task}" for task in TASKS for subject in ("build", "map", "map-quick", "Pillow")]
PEER = {
    "img2dataset http": ("http.parquet", {}),
    "img2dataset kept": ("http.parquet", {"disable_all_reencoding": True}),
    "img2dataset file": ("file.parquet", {}),
}
WORKERS = 2
ROWS_PER_SHARD = 200  # several shards in the smaller run, too: both sizes are read by all workers
PR_SET_CHILD_SUBREAPER = 36  # of Linux: processes whose parent ends become children of this one


def recipe_of(task: str, tiles: Path) -> dict:
    """Returns the recipe of a build; both pass the same rules."""
    if task == "pairs":
        source = {"kind": "pairs", "path": str(tiles), "rgb": "rgb", "ir": "ir", "ir_band": "nir"}
        source |= {"captions": str(tiles / "pairs.jsonl"), "pairs_per_shard": ROWS_PER_SHARD}
    else:
        source = {"kind": "folder", "path": str(tiles / "rgb"), "images_per_shard": ROWS_PER_SHARD}
    recipe = {"name": task, "sources": [{**source, "source_dataset": "tiles", "rights": "CC0-1.0"}]}
    recipe |= {"translate": {"translator": "radiometric", "band": "nir"}} if task == "translate" else {}
    return {**recipe, "splits": {"by": "hash"}}


def run_here(name: str, tiles: Path, out: Path) -> dict:
    """Does one run of `LOCAL` in this process; returns seconds, rows, and what else it tells."""
    subject, task = name.split(" ")
    quiet()
    if subject == "build":
        from dataset_builder.pipeline import BuildRecipe, build

        recipe = BuildRecipe.from_mapping(recipe_of(task, tiles))
        start = time.perf_counter()
        report = build(recipe, out, WORKERS, timings_file=out.with_suffix(".json"))
        seconds = time.perf_counter() - start
        found = {"read": report.rows_read, "kept": report.rows_kept, "left": report.quarantine}
        found["stages"] = json.loads(out.with_suffix(".json").read_text())
        return {"seconds": seconds, **found, "bytes": image_bytes(out)}
    start = time.perf_counter()
    if subject == "Pillow":
        found = pillow_alone(tiles, task == "translate")
    else:
        found = map_rows(tiles, out, task == "translate", quick=subject == "map-quick")
    return {"seconds": time.perf_counter() - start, **found}


def image_bytes(out: Path) -> dict[str, int]:
    """Returns bytes of the images published, as they came and encoded by the build."""
    sizes = {"unchanged": 0, "encoded": 0}
    for path in out.glob("data/*.parquet"):
        for row in pq.read_table(path, columns=["rgb", "ir", "ir_origin"]).to_pylist():
            sizes["unchanged"] += len(row["rgb"]["bytes"])
            sizes["encoded" if row["ir_origin"] == "translated" else "unchanged"] += len(row["ir"]["bytes"])
    return sizes


def run(name: str, work: Path, peer: Path | None) -> dict:
    """Does one run in a process of its own, from a clean folder."""
    out = work / "out"
    for path in (out, work / "cache"):
        shutil.rmtree(path, ignore_errors=True)
    environment = {**os.environ, "OMP_NUM_THREADS": "1", "HF_DATASETS_CACHE": str(work / "cache")}
    environment |= {"HF_HUB_OFFLINE": "1", "NO_ALBUMENTATIONS_UPDATE": "1"}
    if name in PEER:
        urls, options = PEER[name]
        command = [str(peer / "bin" / "python"), str(work / "img2dataset_run.py"), str(work / urls), str(out)]
        command.append(json.dumps(options))
    else:
        command = [sys.executable, "-m", "tests.benchmarks.build_throughput", "--work", str(work), "--one", name]
    before = _cpu_seconds()
    told = _output(command, environment).splitlines()
    found = json.loads(told[-1]) | {"cpu": _cpu_seconds() - before}
    if name in PEER:
        counts = [json.loads(path.read_text()) for path in out.glob("*_stats.json")]
        found |= {"read": sum(one["count"] for one in counts), "kept": sum(one["successes"] for one in counts)}
    return found


def _output(command: Sequence[str], environment: Mapping[str, str]) -> str:
    """Returns what a command writes, when all processes of its group have ended: also those that outlive it.

    A build's workers are forked by a server that is still there when the build ends; what they spent counts only when
    that server has been waited for.
    """
    ctypes.CDLL(None).prctl(PR_SET_CHILD_SUBREAPER, 1, 0, 0, 0)
    pipes = {"stdout": subprocess.PIPE, "stderr": subprocess.PIPE, "text": True}
    process = subprocess.Popen(command, **pipes, env=environment, start_new_session=True)
    told, errors = process.communicate()
    if process.returncode:
        raise subprocess.CalledProcessError(process.returncode, command, told, errors)
    with suppress(ChildProcessError):
        while True:
            os.waitpid(-process.pid, 0)
    return told


def _cpu_seconds() -> float:
    spent = resource.getrusage(resource.RUSAGE_CHILDREN)
    return spent.ru_utime + spent.ru_stime


@contextmanager
def prepared(work: Path, images: int) -> Iterator[None]:
    """Makes the input, unless it is there, and serves it while the block runs."""
    if not (work / "tiles" / "pairs.jsonl").exists():
        shutil.rmtree(work, ignore_errors=True)
        write_tiles(work / "tiles", images)
    (work / "img2dataset_run.py").write_text(IMG2DATASET)
    with serving(work / "tiles") as address:
        for name, root in (("http", address), ("file", f"file://{work / 'tiles'}")):
            rows = [{"url": f"{root}/rgb/{Path(row['rgb']).name}", "caption": row["caption"]}
                    for row in files_of(work / "tiles")]  # fmt: skip
            pq.write_table(pa.Table.from_pylist(rows), work / f"{name}.parquet")
        yield


def summary(large: dict[str, list[dict]], small: dict[str, list[dict]]) -> dict:
    """Returns the result: rows a second of the large runs, ratios of medians, and what each further row costs."""
    images, fewer = (next(iter(runs.values()))[0]["read"] for runs in (large, small))
    rates = {name: [one["read"] / one["seconds"] for one in found] for name, found in large.items()}
    median = {name: statistics.median(found) for name, found in rates.items()}
    further = {}
    for name, found in large.items():
        extra = [(a["seconds"] - b["seconds"]) / (images - fewer) for a, b in zip(found, small[name], strict=True)]
        further[name] = 1000 * statistics.median(extra)
    others = {task: [name for name in median if name.endswith(task) or name in PEER] for task in TASKS}
    last = {name: found[-1] for name, found in large.items()}
    return {
        "what": "rows a second from local files to Parquet with embedded images, no neural stages",
        "images": images,
        "side_px": SIDE,
        "processes": WORKERS,
        "hardware": f"{os.cpu_count()} processors, {platform.machine()}",
        "rows_per_second": {
            name: {"median": round(median[name], 1), "runs": [round(rate, 1) for rate in found]}
            for name, found in rates.items()
        },
        "build_to": {
            task: {name: round(median[f"build {task}"] / median[name], 2) for name in others[task]} for task in TASKS
        },
        "ms_per_further_row": {name: round(spent, 3) for name, spent in further.items()},
        "cpu_ms_per_row": {
            name: round(1000 * statistics.median(one["cpu"] for one in found) / images, 2)
            for name, found in large.items()
        },
        "rows": {name: {key: one[key] for key in ("read", "kept") if key in one} for name, one in last.items()},
        "image_bytes": {name: one["bytes"] for name, one in last.items() if "bytes" in one},
        "stages": {name: one["stages"] for name, one in last.items() if "stages" in one},
    }


def main(argv: Sequence[str] | None = None) -> None:
    """Measures all subjects and writes the result."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--work", type=Path, default=Path("runs/build_throughput"))
    parser.add_argument("--images", type=int, default=4_000)
    parser.add_argument("--repeats", type=int, default=5)
    parser.add_argument("--peer", type=Path, help="virtual environment with img2dataset; without it, it is left out")
    parser.add_argument("--result", type=Path, default=RESULT)
    parser.add_argument("--one", choices=LOCAL, help=argparse.SUPPRESS)
    arguments = parser.parse_args(argv)
    work = arguments.work.absolute()
    if arguments.one:
        sys.stdout.write(json.dumps(run_here(arguments.one, work / "tiles", work / "out")))
        return
    logging.basicConfig(level=logging.INFO, format="%(message)s")
    names = [*LOCAL, *(PEER if arguments.peer else ())]
    runs = [{name: [] for name in names} for _ in range(2)]
    sizes = (arguments.images, arguments.images // 4)
    with prepared(work / "large", sizes[0]), prepared(work / "small", sizes[1]):
        for _ in range(arguments.repeats):
            for name in names:
                for found, folder, images in zip(runs, (work / "large", work / "small"), sizes, strict=True):
                    one = run(name, folder, arguments.peer)
                    if one["read"] != images:
                        raise RuntimeError(f"{name} read {one['read']} of {images} images; delete {folder}")
                    found[name].append(one)
                    rate, cpu = images / one["seconds"], 1000 * one["cpu"] / images
                    logger.info("%-20s %d images: %.0f rows/s, %.2f ms of CPU a row", name, images, rate, cpu)
    arguments.result.parent.mkdir(exist_ok=True)
    arguments.result.write_text(json.dumps(summary(*runs), indent=1) + "\n")


if __name__ == "__main__":
    main()
