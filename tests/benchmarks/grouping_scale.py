"""Time and memory of joint groups, from 10,000 to 10 million rows, and beside imagededup's search.

    make bench        (or: python -m tests.benchmarks.grouping_scale --peer path/to/python-with-imagededup)

Rows have two hashes and a caption key. *Uniform*: all random. *Skewed*: 10 % of the rows at 0 to 6 bits from one hash
(both hashes), 5 % copies of other rows. Every measurement is a process of its own; its peak memory counts everything,
the rows too. With `--peer`, 10,000 hashes with planted near ones, and as many skewed ones, go to imagededup as well:
the fastest of its searches, five interleaved repeats. Writes tests/benchmarks/results/grouping_scale.json.
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
from collections.abc import Sequence
from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
from scipy import sparse

from dataset_builder.groups.grouping import group

logger = logging.getLogger(__name__)
RESULT = Path(__file__).parent / "results" / "grouping_scale.json"
SIZES = (10_000, 100_000, 600_000, 2_000_000, 10_000_000)
KINDS = ("uniform", "skewed")
RADIUS, RELATIONS = 4, ("rgb_phash", "ir_phash", "caption")
PEER_IMAGES, TRIAL_IMAGES = 10_000, 2_000
SEARCHES = [("brute_force_cython", 0), ("brute_force_cython", 2), ("bktree", 0), ("bktree", 2)]  # method, workers
CHUNK = 100_000


def flipped(rng: np.random.Generator, hashes: np.ndarray, counts: np.ndarray) -> np.ndarray:
    """The hashes, each with so many distinct bits flipped."""
    found = hashes.copy()
    for start in range(0, len(hashes), CHUNK):
        own = counts[start : start + CHUNK, None]
        bits = np.uint64(1) << rng.random((len(own), 64), np.float32).argsort(1)[:, :8].astype(np.uint64)
        found[start : start + CHUNK] ^= np.bitwise_or.reduce(np.where(np.arange(8) < own, bits, np.uint64(0)), axis=1)
    return found


def make_hashes(kind: str, count: int, rng: np.random.Generator) -> np.ndarray:
    """Hashes of a kind in a fixed order: the crowded ones come first. `planted`: near ones of the rest instead."""
    hashes = rng.integers(0, 1 << 64, count, dtype=np.uint64)
    some = count // 10 if kind != "uniform" else 0
    seeds = hashes[some : 2 * some] if kind == "planted" else hashes[-1:].repeat(some)
    hashes[:some] = flipped(rng, seeds, rng.integers(0, 7, some))
    return hashes


def fixed_width(values: np.ndarray, kind: pa.DataType) -> pa.Array:
    """Hex strings of uint64 `(n,)`, or binary of two uint64 `(n, 2)`."""
    if pa.types.is_fixed_size_binary(kind):
        return pa.Array.from_buffers(kind, len(values), [None, pa.py_buffer(np.ascontiguousarray(values))])
    text = pa.py_buffer(values.astype(">u8").tobytes().hex().encode())
    return pa.Array.from_buffers(
        kind, len(values), [None, pa.py_buffer(np.arange(len(values) + 1, dtype=np.int32) * 16), text]
    )


def make_rows(kind: str, count: int) -> pa.Table:
    """Rows as `group` reads them, shuffled."""
    rng = np.random.default_rng(0)
    source = np.arange(count)
    if kind == "skewed":
        copies = slice(count // 10, count // 10 + count // 20)
        source[copies] = rng.integers(copies.stop, count, count // 20)
    order = rng.permutation(count)
    source = source[order]
    columns = {name: fixed_width(make_hashes(kind, count, rng)[source], pa.string()) for name in RELATIONS[:2]}
    keys = fixed_width(rng.integers(0, 1 << 64, (count, 2), dtype=np.uint64)[source], pa.binary(16))
    columns["_caption_keys"] = pa.ListArray.from_arrays(pa.array(np.arange(count + 1, dtype=np.int32)), keys)
    columns["sample_id"] = pc.binary_join_element_wise("corpus", pa.array(order).cast(pa.string()), "/")
    columns["ir_band"] = pa.DictionaryArray.from_arrays(np.zeros(count, np.int8), ["lwir"]).cast(pa.string())
    return pa.table(columns)


def measure(kind: str, count: int) -> dict:
    """Groups rows once, in this process."""
    rows = make_rows(kind, count)
    group(rows[:1000], RADIUS, RELATIONS)  # imports and thread pools are not what is measured
    cpu, began = time.process_time(), time.perf_counter()
    groups = group(rows, RADIUS, RELATIONS)
    seconds, cpu = time.perf_counter() - began, time.process_time() - cpu
    return {
        "seconds": seconds,
        "cpu_seconds": cpu,
        "peak_mib": resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024,
        "rows_mib": rows.nbytes / 2**20,
        "joint_groups": int(groups.joint.max()) + 1,
        "largest": groups.components[0]["size"] if groups.components else 1,
    }


def measure_alone(kind: str, count: int) -> dict:
    """Runs `measure` in a fresh process, with the allocator as a user has it."""
    environment = {name: value for name, value in os.environ.items() if not name.startswith("MALLOC_")}
    command = [sys.executable, "-m", "tests.benchmarks.grouping_scale", "--measure", kind, str(count)]
    done = subprocess.run(command, check=True, stdout=subprocess.PIPE, env=environment)
    return json.loads(done.stdout)


def curve(kind: str, sizes: Sequence[int], repeats: int) -> list[dict]:
    """Medians by size; a million rows and more are measured once."""
    points = []
    for size in sizes:
        runs = [measure_alone(kind, size) for _ in range(repeats if size < 1_000_000 else 1)]
        middle = {name: round(statistics.median_low(run[name] for run in runs), 3) for name in runs[0]}
        points.append({"rows": size, **middle, "runs": [round(run["seconds"], 3) for run in runs]})
        logger.info("%s, %d rows: %.2f s, %.0f MiB", kind, size, middle["seconds"], middle["peak_mib"])
    return points


def beside_peer(python: str, kind: str, repeats: int) -> dict:
    """Ours and imagededup's groups of the same hashes, interleaved; the peer by its fastest search, found by trial."""
    hashes = fixed_width(make_hashes(kind, PEER_IMAGES, np.random.default_rng(0)), pa.string())
    names = [f"{number:05d}.jpg" for number in range(PEER_IMAGES)]
    rows = pa.table({"sample_id": names, "rgb_phash": hashes})
    group(rows[:1000], RADIUS, ["rgb_phash"])  # as in `measure`
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "hashes.json"
        path.write_text(json.dumps(dict(zip(names, hashes.to_pylist(), strict=True))))
        command = [python, str(Path(__file__).with_name("imagededup_search.py"))]
        with subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True) as peer:

            def ask(request: object) -> object:
                peer.stdin.write(json.dumps(request) + "\n")
                peer.stdin.flush()
                return json.loads(peer.stdout.readline())

            version = ask(str(path))
            trial = {search: ask([TRIAL_IMAGES, *search, RADIUS])["seconds"] for search in SEARCHES}
            near = [search for search in SEARCHES if trial[search] < 3 * min(trial.values())]
            whole = {search: ask([PEER_IMAGES, *search, RADIUS])["seconds"] for search in near}
            best = min(whole, key=whole.get)
            ours, theirs = [], []
            for _ in range(repeats):
                began = time.perf_counter()
                groups = group(rows, RADIUS, ["rgb_phash"])
                ours.append(time.perf_counter() - began)
                answer = ask([PEER_IMAGES, *best, RADIUS])
                theirs.append(answer["seconds"])
            peer.stdin.close()
    return {
        "version": version,
        "ours": {"median": statistics.median(ours), "runs": ours},
        "imagededup": {"median": statistics.median(theirs), "runs": theirs},
        "ratio": statistics.median(theirs) / statistics.median(ours),
        "search": " ".join(map(str, best)),
        "searches": {
            f"{images} images": {" ".join(map(str, search)): seconds for search, seconds in found.items()}
            for images, found in ((TRIAL_IMAGES, trial), (PEER_IMAGES, whole))
        },
        "joint_groups": len(np.unique(groups.joint)),
        "same_groups": same_groups(groups.joint, answer["pairs"]),
    }


def same_groups(labels: np.ndarray, pairs: Sequence[Sequence[str]]) -> bool:
    """Whether the components of pairs of image names are the labelled ones."""
    left, right = np.array([[int(name[:5]) for name in pair] for pair in pairs]).reshape(-1, 2).T
    graph = sparse.coo_array((np.ones(len(left), bool), (left, right)), shape=(len(labels), len(labels)))
    count, parts = sparse.csgraph.connected_components(graph, directed=False)
    return len(np.unique(np.stack([labels, parts]), axis=1).T) == count == len(np.unique(labels))


def main(argv: Sequence[str] | None = None) -> None:
    """Measures all sizes, and the peer if there is one, and writes the result."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--sizes", type=int, nargs="+", default=SIZES)
    parser.add_argument("--repeats", type=int, default=5)
    parser.add_argument("--peer", help="a Python with imagededup")
    parser.add_argument("--out", type=Path, default=RESULT)
    parser.add_argument("--measure", nargs=2, metavar=("KIND", "ROWS"), help=argparse.SUPPRESS)
    arguments = parser.parse_args(argv)
    if arguments.measure:
        sys.stdout.write(json.dumps(measure(arguments.measure[0], int(arguments.measure[1]))))
        return
    logging.basicConfig(level=logging.INFO, format="%(message)s")
    report = {
        "what": "joint groups of rows with two hashes and a caption key; peak memory of the process with its rows",
        "radius": RADIUS,
        "relations": RELATIONS,
        "hardware": f"{os.cpu_count()} processors, {platform.machine()}",
        "curves": {kind: curve(kind, arguments.sizes, arguments.repeats) for kind in KINDS},
    }
    if arguments.peer:
        report["peer"] = {
            "what": f"groups of {PEER_IMAGES} hashes within {RADIUS} bits; seconds",
            **{kind: beside_peer(arguments.peer, kind, arguments.repeats) for kind in ("planted", "skewed")},
        }
        for kind in ("planted", "skewed"):
            logger.info("%s: %.0f times faster than imagededup", kind, report["peer"][kind]["ratio"])
    arguments.out.parent.mkdir(exist_ok=True)
    arguments.out.write_text(json.dumps(report, indent=1) + "\n")


if __name__ == "__main__":
    main()
