"""Limits of 16-bit infrared that a build measures, and where they are told."""

import json

import numpy as np
import pytest
from PIL import Image

from dataset_builder.pipeline import BuildRecipe, build
from dataset_builder.shards.limits import declared_ir_range
from fusionrs_hf.errors import InputError


def pairs(folder, dtype=np.uint16, held_out=0):
    """Four training pairs and two of test, whose infrared is warmer by `held_out`; returns the training values."""
    rng, trained = np.random.default_rng(0), []
    for split, count in (("train", 4), ("test", 2)):
        for index in range(count):
            for side in ("rgb", "ir"):
                (folder / side / split).mkdir(parents=True, exist_ok=True)
            name = f"{split}/{index}.png"
            Image.fromarray(rng.integers(0, 256, (64, 64, 3), np.uint8)).save(folder / "rgb" / name)
            values = rng.integers(100, 200, (64, 64)) if dtype == np.uint8 else rng.integers(28000, 31000, (64, 64))
            values = (values + (held_out if split == "test" else 0)).astype(dtype)
            Image.fromarray(values).save(folder / "ir" / name)
            trained += [values] if split == "train" else []
    return np.stack(trained)


def recipe(folder, ir_range):
    source = {"kind": "pairs", "path": "p", "rgb": "rgb", "ir": "ir", "ir_band": "lwir", "ir_unit": "dn"}
    return BuildRecipe.from_mapping(
        {
            "name": "x",
            "sources": [source | {"rights": "x"}],
            "ir_range": ir_range,
            "filters": {"caption_empty": False, "rgb_ir_misaligned": False},
            "groups": {"relations": ["bytes"]},
            "splits": {"by": "source", "validation": 0, "test": 0},
        },
        folder,
    )


@pytest.mark.parametrize("asked", ["auto", {"lwir": "auto"}])
def test_limits_are_of_the_training_rows_and_travel_with_the_dataset(tmp_path, asked):
    values = pairs(tmp_path / "p", held_out=9000)
    report = build(recipe(tmp_path, asked), tmp_path / "out", workers=1)
    low, high = np.percentile(values, (1, 99))
    expected = {"lwir": [float(np.floor(low)), float(np.ceil(high))]}
    assert declared_ir_range(tmp_path / "out") == expected == report.identity["recipe"]["ir_range"]
    card = (tmp_path / "out" / "README.md").read_text()
    assert f"`lwir` is read between {expected['lwir'][0]} and {expected['lwir'][1]}" in card and "8-bit view" in card
    assert build(recipe(tmp_path, asked), tmp_path / "out", workers=1).fingerprint == report.fingerprint


def test_infrared_of_8_bit_needs_none(tmp_path):
    pairs(tmp_path / "p", np.uint8)
    build(recipe(tmp_path, "auto"), tmp_path / "out", workers=1)
    assert declared_ir_range(tmp_path / "out") == {}
    assert json.loads((tmp_path / "out" / "build_report.json").read_text())["identity"]["recipe"]["ir_range"] == {}
    with pytest.raises(InputError, match="ir_range of lwir is auto, but no sampled image of it is above 8 bit"):
        build(recipe(tmp_path, {"lwir": "auto"}), tmp_path / "other", workers=1)


def test_other_words_than_auto_are_refused(tmp_path):
    pairs(tmp_path / "p")
    with pytest.raises(InputError, match="ir_range must be"):
        recipe(tmp_path, "best")


def test_what_will_leave_for_its_values_takes_no_part(tmp_path):
    values = pairs(tmp_path / "p")
    odd = np.random.default_rng(1).integers(280, 310, (64, 64)).astype(np.uint16)  # kelvin, not hundredths
    for side in ("rgb", "ir"):
        image = Image.open(tmp_path / "p" / side / "train/0.png") if side == "rgb" else Image.fromarray(odd)
        image.save(tmp_path / "p" / side / "train/odd.png")
    asked = recipe(tmp_path, "auto")
    asked.sources[0]["ir_unit"] = "kelvin_1e2"
    report = build(asked, tmp_path / "out", workers=1)
    assert report.quarantine == {"ir_unit_contradicted": 1}
    low, high = np.percentile(values, (1, 99))
    assert declared_ir_range(tmp_path / "out") == {"lwir": [float(np.floor(low)), float(np.ceil(high))]}
