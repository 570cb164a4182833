"""The builder's groups and the audit's components, found by two methods, on random rows related in every way."""

import hashlib

import numpy as np
import pyarrow as pa
import pytest

from dataset_builder.audit.checks import find_components
from dataset_builder.audit.keys import KEYS, Keys
from dataset_builder.audit.overlaps import RELATIONS, Rows
from dataset_builder.groups.grouping import group

ROWS = 300


def hashes(rng, centres):
    """Hex: some within 8 bits of a few centres, most anywhere, a few unknown."""
    found = []
    for _ in range(ROWS):
        value = int(rng.choice(centres)) if rng.random() < 0.3 else int(rng.integers(0, 1 << 63))
        for bit in rng.choice(64, rng.integers(0, 5), replace=False):
            value ^= 1 << int(bit)
        found.append(None if rng.random() < 0.05 else f"{value:016x}")
    return found


def box(rng):
    """Of a few sizes, many of them at the antimeridian."""
    width = float(rng.choice([0.01, 0.05, 3.0]))
    west = rng.uniform(-180, 180) if rng.random() < 0.5 else rng.uniform(178, 182)
    south = rng.uniform(0, 10)
    west, east = ((edge + 180) % 360 - 180 for edge in (west, west + width))
    return [west, south, east, south + width]


def random_rows(seed):
    """Rows as the builder groups them, and the same as an audit reads them."""
    rng = np.random.default_rng(seed)
    centres = rng.integers(0, 1 << 63, 30)
    columns = {"sample_id": [f"row{number}" for number in range(ROWS)]}
    columns |= {name: hashes(rng, centres) for name in ("rgb_phash", "ir_phash")}
    columns["ir_band"] = [["nir", "swir", "lwir"][number] for number in rng.choice(3, ROWS, p=[0.6, 0.3, 0.1])]
    columns["bbox"] = [box(rng) if rng.random() < 0.6 else None for _ in range(ROWS)]
    columns["source_locator"] = [
        f"scene{rng.integers(0, 4)}@r{32 * rng.integers(0, 30)}c{32 * rng.integers(0, 30)}s{rng.choice([64, 128])}"
        if rng.random() < 0.4
        else f"image{number}"
        for number in range(ROWS)
    ]
    columns["gsd_m"] = [float(rng.uniform(0.3, 2) * 1100) if rng.random() < 0.7 else None for _ in range(ROWS)]
    texts = [[f"text {rng.integers(0, 2000)}" for _ in range(rng.integers(0, 3))] for _ in range(ROWS)]
    images = [[bytes(rng.integers(0, 40, 2, dtype=np.uint8)) for _ in range(ROWS)] for _ in range(2)]
    digests = {
        name: pa.array([hashlib.sha256(data).digest() for data in own], pa.binary(32))
        for name, own in zip(("_rgb_sha256", "_ir_sha256"), images)
    }
    keys = [[hashlib.sha256(text.encode()).digest()[:16] for text in row] for row in texts]
    built = pa.table({**columns, **digests, "_caption_keys": pa.array(keys, pa.list_(pa.binary(16)))})
    make = Keys({}, strict=False)  # bytes that are no images: the stored hashes are taken
    read = []
    for number, (rgb, ir) in enumerate(zip(*images)):
        row = {name: values[number] for name, values in columns.items()}
        row |= {"captions": texts[number], "caption_origin": ["source"] * len(texts[number])}
        read.append(make(row | {"rgb": {"bytes": rgb}, "ir": {"bytes": ir}, "_split": "train"}))
    return built, Rows(pa.Table.from_pylist(read, schema=KEYS))


def partition(labels):
    members = {}
    for row, label in enumerate(labels):
        members.setdefault(label, set()).add(row)
    return {frozenset(own) for own in members.values()}


@pytest.mark.parametrize("seed", range(3))
def test_two_methods_find_the_same_groups(seed):
    built, read = random_rows(seed)
    for relations in (*((name,) for name in RELATIONS), RELATIONS):
        groups, (image, joint, _) = group(built, 4, relations), find_components(read, relations, 4, 1)
        assert partition(groups.image_group_id.to_pylist()) == partition(image.tolist()), relations
        assert partition(groups.joint_group_id.to_pylist()) == partition(joint.tolist()), relations
        assert 1 < len(set(joint.tolist())) < ROWS, relations
