"""Datasets of small images whose hashes are chosen bit by bit, so that what an audit must find is known."""

import io
import json

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
from PIL import Image
from scipy.fft import idctn

from dataset_builder.groups.keys import perceptual_hash
from dataset_builder.schema import FEATURES, new_row

NEAR, FAR = 0b1111, 0b11111  # four bits, and five
NINE = [f"{split}/{number}" for split in ("train", "validation", "test") for number in range(3)]


def mirrored(bits, size=32):
    """uint8 `(size, size)`, mirrored along both axes: of its hash, only DC and the 15 even-even bits can be set.

    All other coefficients are zeros, as is then the median, so the given bits are exactly those of the hash.
    """
    spectrum = np.zeros((32, 32))
    even = [(u, v) for u in range(0, 8, 2) for v in range(0, 8, 2)]
    for number, place in enumerate(even[1:]):
        spectrum[place] = 60 if bits >> number & 1 else -60
    spectrum[0, 0] = 128 * 32
    return np.rint(idctn(spectrum, norm="ortho")).clip(0, 255).astype(np.uint8)


def noise(seed):
    return np.random.default_rng(seed).integers(0, 256, (32, 32), dtype=np.uint8)


def encoded(array, form="PNG", **options):
    buffer = io.BytesIO()
    Image.fromarray(array).save(buffer, form, **options)
    return {"bytes": buffer.getvalue(), "path": None}


def colour(array):
    return np.stack([array] * 3, axis=-1)


def make_row(name, rgb=None, ir=None, **known):
    """A row as a build writes it: images of their own unless given as grey arrays, and groups of their own."""
    seed = sum(name.encode()) * 1000 + len(name)
    rgb = noise(seed) if rgb is None else rgb
    ir = noise(seed + 1) if ir is None else ir
    captions = known.pop("captions", [])
    defaults = {
        "source_dataset": "planted",
        "source_locator": name,
        "rights": "CC0-1.0",
        "rgb": encoded(colour(rgb)),
        "ir": encoded(ir),
        "ir_origin": "sensor",
        "ir_band": "nir",
        "ir_unit": "display",
        "captions": captions,
        "caption_origin": ["source"] * len(captions),
        "rgb_phash": perceptual_hash([colour(rgb)])[0],
        "ir_phash": perceptual_hash([ir])[0],
        "image_group_id": f"image-group:{name}",
        "joint_group_id": f"joint-group:{name}",
        "is_eval_representative": not name.startswith("train"),
    }
    return new_row(sample_id=name, **{**defaults, **known})


def base(*others):
    """Nine rows that have nothing in common, three a split, and others."""
    return [*(make_row(name) for name in NINE), *others]


def write_dataset(folder, rows, **recipe):
    """Writes rows into the splits that their ids begin with; a recipe makes a build report."""
    (folder / "data").mkdir(parents=True)
    splits = {}
    for row in rows:
        splits.setdefault((row["sample_id"] or "train/").split("/")[0], []).append(row)
    for split, own in splits.items():
        table = pa.Table.from_pylist(own, schema=FEATURES.arrow_schema)
        pq.write_table(table, folder / "data" / f"{split}-00000-of-00001.parquet", row_group_size=2)
    if recipe:
        files = {f"data/{split}-00000-of-00001.parquet": {"rows": len(own)} for split, own in splits.items()}
        report = {"identity": {"recipe": recipe}, "files": files, "quarantine": {}}
        (folder / "build_report.json").write_text(json.dumps(report))
    return folder
