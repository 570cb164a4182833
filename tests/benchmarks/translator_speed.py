"""Time, memory and exactness of the shipped translator.

    python -m tests.benchmarks.translator_speed --scratch FOLDER

Images are mosaics of the sample's tiles. Time: tiles of 128 px as in a build, one thread, by the wall and by the
processor, which other work on the machine lengthens less. Memory: `fusionrs translate` of a GeoTIFF, the peak
of the process. Exactness: between batch sizes, between a whole image and its parts, and of an interrupted run. Writes
tests/benchmarks/results/translator_speed.json.
"""

import argparse
import json
import logging
import os
import platform
import subprocess
import sys
import time
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
import torch
from PIL import Image

from dataset_builder.translators.learned import LearnedTranslator
from fusionrs_hf.pipeline_fusionrs_translator import to_grey
from training.data.pairs import load_pairs
from training.data.translation_tiles import TileImages, find_tiles

logger = logging.getLogger(__name__)
RESULT = Path(__file__).parent / "results" / "translator_speed.json"
SAMPLE = "dataset_builder/sample"
TILES, SIDE, BATCH = 1_000, 128, 16
SCENES = (2_500, 5_000, 10_000)  # sides in pixels
PARTS = ("time", "exactness", "resume", "memory")
CHILD = (  # VmHWM is of this process alone; ru_maxrss begins with what its parent held
    "import sys; from fusionrs_hf.cli import main; main(sys.argv[1:]); "
    "print(next(line.split()[1] for line in open('/proc/self/status') if line.startswith('VmHWM')))"
)


def sample_tiles() -> np.ndarray:
    """Returns the sample's held-out RGB tiles, uint8 `(tiles, 64, 64, 3)`."""
    rows = load_pairs(SAMPLE, "test")
    images = TileImages(rows, find_tiles(rows, ["nir"]), ["nir"])
    return np.stack([images[index]["rgb"] for index in range(len(images))])


def mosaic(tiles: np.ndarray, height: int, width: int, seed: int) -> np.ndarray:
    """Returns an image laid out with drawn tiles, uint8 `(height, width, 3)`."""
    side = tiles.shape[1]
    down, across = -(-height // side), -(-width // side)
    drawn = tiles[np.random.default_rng(seed).integers(len(tiles), size=(down, across))]
    whole = drawn.swapaxes(1, 2).reshape(down * side, across * side, 3)
    return np.ascontiguousarray(whole[:height, :width])


def measure_time(model: str | None, tiles: np.ndarray, count: int) -> dict[str, Any]:
    """Returns how long tiles of `SIDE` pixels take, with interval and verdict, in one thread."""
    torch.set_num_threads(1)  # more would wait for each other on a busy machine, and the processor's time tell that
    translator = LearnedTranslator(model)
    images = [mosaic(tiles, SIDE, SIDE, seed) for seed in range(BATCH)]
    translator.translate_with_trust(images, "nir")
    wall, processor = time.perf_counter(), time.process_time()
    for _ in range(-(-count // BATCH)):
        translator.translate_with_trust(images, "nir")
    wall, processor = time.perf_counter() - wall, time.process_time() - processor
    return {"tiles": count, "side": SIDE, "wall_s": wall, "processor_s": processor, "load": os.getloadavg()[0]}


def measure_memory(model: str | None, tiles: np.ndarray, side: int, scratch: Path) -> dict[str, Any]:
    """Returns the peak of a process that translates a raster of so many pixels a side, in MB, and its seconds."""
    import rasterio
    from rasterio.transform import from_origin

    path, strip = scratch / f"{side}.tif", 256
    profile = {"driver": "GTiff", "count": 3, "dtype": "uint8", "height": side, "width": side, "photometric": "RGB"}
    profile |= {"tiled": True, "crs": "EPSG:32618", "transform": from_origin(400_000, 4_200_000, 10, 10)}
    with rasterio.open(path, "w", **profile) as raster:
        for row in range(0, side, strip):
            height = min(strip, side - row)
            part = np.moveaxis(mosaic(tiles, height, side, row), -1, 0)
            raster.write(part, window=((row, row + height), (0, side)))
    command = [sys.executable, "-c", CHILD, "translate", path, scratch / f"{side}-out", "--band", "nir"]
    command += ["--model", model] if model else []
    started = time.perf_counter()
    run = subprocess.run(list(map(str, command)), check=True, capture_output=True, text=True)
    with rasterio.open(next((scratch / f"{side}-out").glob("*.tif"))) as raster:
        if raster.transform != profile["transform"] or raster.shape != (side, side):
            raise RuntimeError("the georeference was not kept")
    peak = int(run.stdout.split()[-1]) / 1000
    return {"side": side, "peak_mb": peak, "wall_s": time.perf_counter() - started}


def measure_exactness(model: str | None, tiles: np.ndarray) -> dict[str, Any]:
    """Returns how far grey levels differ between batch sizes, and between a whole image and its parts."""
    pipeline = LearnedTranslator(model).pipeline
    images = [mosaic(tiles, SIDE, SIDE, seed).astype(np.float32) / 255 for seed in range(32)]

    def grey(batch_size: int) -> np.ndarray:
        return to_grey(np.stack(pipeline.predict(images, "nir", "unknown", batch_size)))

    alone, large = grey(1), mosaic(tiles, 1_000, 1_100, 0).astype(np.float32) / 255
    batches = [np.abs(alone.astype(int) - grey(size)) for size in (2, 5, 16)]
    whole, *parts = (
        to_grey(pipeline.predict([large], "nir", "unknown", core_px=core)[0]) for core in (2_048, 256, 128)
    )
    seams = [np.abs(whole.astype(int) - part) for part in parts]
    return {
        "batch_sizes": [1, 2, 5, 16],
        "batch_largest_difference": max(int(part.max()) for part in batches),
        "batch_pixels_in_10000": 10_000 * max(float((part > 0).mean()) for part in batches),
        "seam_largest_difference": max(int(part.max()) for part in seams),
    }


def measure_resume(model: str | None, tiles: np.ndarray, scratch: Path) -> dict[str, Any]:
    """Returns whether a run that was killed half-way, and continued, leaves the bytes of one that was not."""
    source = scratch / "images"
    source.mkdir(parents=True)
    for index in range(120):
        Image.fromarray(mosaic(tiles, SIDE, SIDE, index)).save(source / f"{index:03d}.png")
    outputs = scratch / "once", scratch / "killed"
    commands = [[sys.executable, "-m", "fusionrs_hf.cli", "translate", str(source), str(out)] for out in outputs]
    commands = [command + (["--model", model] if model else []) for command in commands]
    subprocess.run(commands[0], check=True, capture_output=True)
    run = subprocess.Popen(commands[1], stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
    while run.poll() is None and len(list(outputs[1].glob("*.png"))) < 30:
        time.sleep(0.05)
    run.kill()
    run.wait()
    there = len(list(outputs[1].glob("*.png")))
    subprocess.run(commands[1], check=True, capture_output=True)
    names = sorted(path.name for path in outputs[0].glob("*.png")) + ["translations.jsonl"]
    same = all((outputs[0] / name).read_bytes() == (outputs[1] / name).read_bytes() for name in names)
    return {"images": len(names) - 1, "there_when_killed": there, "same_bytes": same}


def main(argv: Sequence[str] | None = None) -> None:
    """Measures and writes."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--scratch", type=Path, required=True, help="empty folder for rasters, 1 GB")
    parser.add_argument("--model", help="folder or Hub id (default: the one that ships)")
    parser.add_argument("--scenes", type=int, nargs="+", default=SCENES, help="sides of the rasters of memory, px")
    parser.add_argument("--parts", nargs="+", default=PARTS, choices=PARTS, help="others stay as --output has them")
    parser.add_argument("--output", type=Path, default=RESULT, help=f"JSON to write (default: {RESULT.name})")
    options = parser.parse_args(argv)
    logging.basicConfig(level=logging.INFO, format="%(message)s")
    options.scratch.mkdir(parents=True, exist_ok=True)
    tiles = sample_tiles()
    results: dict[str, Any] = json.loads(options.output.read_text()) if options.output.is_file() else {}
    results["hardware"] = f"{os.cpu_count()} processors, {platform.machine()}, no GPU"
    measures = {
        "time": lambda: measure_time(options.model, tiles, TILES),
        "exactness": lambda: measure_exactness(options.model, tiles),
        "resume": lambda: measure_resume(options.model, tiles, options.scratch),
        "memory": lambda: [measure_memory(options.model, tiles, side, options.scratch) for side in options.scenes],
    }
    for name in options.parts:
        results[name] = measures[name]()
        logger.info("%s: %s", name, json.dumps(results[name]))
    options.output.write_text(json.dumps(results, indent=1) + "\n")


if __name__ == "__main__":
    main()
