"""Input of the build benchmark: local RGB and infrared files, mosaics of real sample tiles at their own resolution."""

import json
from pathlib import Path

import numpy as np
from PIL import Image

from tests.dataset_builder.made.sample_tiles import sample_rows

SIDE, GRID = 256, 4  # pixels; sample tiles of 64 px along a side


def write_tiles(folder: Path, count: int, seed: int = 0) -> None:
    """Writes `rgb/NNNNNN.jpg` (quality 90), `ir/NNNNNN.png`, and captions in `rgb/metadata.jsonl` and `pairs.jsonl`.

    Each image is 16 sample tiles, RGB beside the same tiles' near infrared, drawn and flipped by the seed: real noise
    and detail in every pixel, so that files have the sizes of real ones.
    """
    tiles = [(row["_rgb"], row["_ir"], row["captions"][0]) for row in sample_rows() if row["ir_band"] == "nir"]
    random = np.random.default_rng(seed)
    for name in ("rgb", "ir"):
        (folder / name).mkdir(parents=True)
    captions = []
    for number in range(count):
        chosen = [tiles[index] for index in random.integers(0, len(tiles), GRID * GRID)]
        flip = tuple(slice(None, None, int(step)) for step in random.choice([-1, 1], 2))
        rgb, ir = (np.ascontiguousarray(_mosaic([tile[which] for tile in chosen])[flip]) for which in (0, 1))
        name = f"{number:06d}"
        Image.fromarray(rgb).save(folder / "rgb" / f"{name}.jpg", quality=90)
        Image.fromarray(ir).save(folder / "ir" / f"{name}.png")
        captions.append((f"{name}.jpg", f"{chosen[0][2]} (number {name})"))
    for file, prefix in (("rgb/metadata.jsonl", ""), ("pairs.jsonl", "rgb/")):
        lines = [json.dumps({"file_name": prefix + name, "caption": caption}) for name, caption in captions]
        (folder / file).write_text("\n".join(lines) + "\n", encoding="utf-8")


def _mosaic(tiles: list[np.ndarray]) -> np.ndarray:
    lines = [np.concatenate(tiles[start : start + GRID], 1) for start in range(0, GRID * GRID, GRID)]
    return np.concatenate(lines)
