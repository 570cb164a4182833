"""A tiny dataset folder in the published form, made in the test process: random tiles, two bands, three splits."""

import io
from pathlib import Path

from datasets import Dataset
from PIL import Image

from dataset_builder.schema import FEATURES, new_row
from tests.made import tiny

BANDS = ("nir", "swir")


def encoded(image: Image.Image) -> dict:
    buffer = io.BytesIO()
    image.save(buffer, "PNG")
    return {"bytes": buffer.getvalue(), "path": None}


def rows(split: str, tiles: int, start: int, unseen: int = 0) -> list[dict]:
    """Rows of tiles; the last `unseen` tiles are of a scene of their own."""
    made = []
    for index in range(start, start + tiles):
        for number, band in enumerate(BANDS):
            made.append(
                new_row(
                    sample_id=f"scene/{split}{index}/{band}",
                    source_dataset="scene",
                    source_locator=f"{'other' if index >= start + tiles - unseen else 'scene'}@r{32 * index}c0s32",
                    rights="CC0-1.0",
                    rgb=encoded(tiny.rgb_image(index)),
                    ir=encoded(tiny.ir_image(2 * index + number)),
                    ir_origin="sensor",
                    ir_band=band,
                    ir_unit="display",
                    captions=[f"dry ground {'north' if index % 2 else 'south'}"],
                    caption_origin=["rule"],
                    ir_captions=["the infrared image"],
                    image_group_id=f"{split}{index}",
                    joint_group_id=f"{split}{index}",
                    is_eval_representative=split != "train",
                )
            )
    return made


def write(folder: Path, train: int = 4, held_out: int = 3, unseen: int = 0) -> Path:
    """Writes the dataset; the last `unseen` tiles of the test split are of a scene that training has not."""
    (folder / "data").mkdir(parents=True)
    for start, (split, tiles) in zip((0, 100, 200), (("train", train), ("validation", held_out), ("test", held_out))):
        table = Dataset.from_list(rows(split, tiles, start, unseen if split == "test" else 0), features=FEATURES)
        table.to_parquet(folder / "data" / f"{split}-00000-of-00001.parquet")
    return folder
