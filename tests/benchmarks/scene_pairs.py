"""Near-infrared pairs of scenes that no training saw, as a dataset with a test split alone: for benchmarks."""

from pathlib import Path

import numpy as np
from datasets import Dataset, concatenate_datasets

from dataset_builder.images.png import encode_png
from dataset_builder.schema import FEATURES, new_row
from tests.benchmarks.translator_quality import SCENES, scene_tiles
from training.evaluate_vlm import rows_where
from training.scoring.held_out import representative_rows

BAND = "nir"


def write_scene_pairs(scenes: Path, dataset: Path, folder: Path) -> Path:
    """Writes whole tiles of further scenes, and the held-out rows of the dataset's unseen scene; returns the folder.

    Args:
        scenes: Folder of the further scenes' packages; each scene's display is its 1st to 99th percentile.
        dataset: The demo's.
        folder: To write.

    Raises:
        FileNotFoundError: A scene is not there.
    """
    rows = rows_where(representative_rows(str(dataset), "test", "sensor"), str(dataset), "scene", "sensor")
    parts = [rows.select(np.flatnonzero(np.asarray(rows["ir_band"]) == BAND)).cast(FEATURES)]
    for name, read in SCENES.items():
        if (read_scene := read(scenes)) is None:
            raise FileNotFoundError(f"{scenes} has no {name}: install requirements-tiles.txt into it")
        tiles = scene_tiles(*read_scene)
        shown = zip(tiles.blocks, tiles.rgb, tiles.infrared, tiles.valid)
        made = [pair_row(name, block, rgb, infrared) for block, rgb, infrared, valid in shown if valid.all()]
        parts.append(Dataset.from_list(made, features=FEATURES))
    path = folder / "data" / "test-00000-of-00001.parquet"
    path.parent.mkdir(parents=True, exist_ok=True)
    concatenate_datasets(parts).to_parquet(path)
    return folder


def pair_row(scene: str, block: str, rgb: np.ndarray, infrared: np.ndarray) -> dict:
    """Returns a row of one tile, uint8 `(height, width, 3)` and `(height, width)`."""
    name = f"{scene}@{block}"
    return new_row(
        sample_id=f"{name}/{BAND}",
        source_dataset=scene,
        source_locator=name,
        rights="see the package",
        rgb={"bytes": encode_png(rgb), "path": None},
        ir={"bytes": encode_png(infrared), "path": None},
        ir_origin="sensor",
        ir_band=BAND,
        ir_unit="display",
        image_group_id=name,
        joint_group_id=name,
        is_eval_representative=True,
    )
