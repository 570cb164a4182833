"""Rows with compact infrared captions."""

import io

from datasets import Dataset
from PIL import Image

from dataset_builder.schema import FEATURES, new_row
from tests.made import tiny

CAPTIONS = ("Infrared: dark, low contrast.", "Infrared: very bright, high contrast, brightest north.")


def png(image: Image.Image) -> dict:
    buffer = io.BytesIO()
    image.save(buffer, "PNG")
    return {"bytes": buffer.getvalue(), "path": None}


def make_rows(count: int, **changes: object) -> Dataset:
    rows = [
        new_row(
            **{
                "sample_id": f"scene/{index}/{band}",
                "source_dataset": "synthetic",
                "source_locator": f"scene@r{64 * index}c0s64",
                "rights": "CC0-1.0",
                "rgb": png(tiny.rgb_image(index)),
                "ir": png(tiny.ir_image(2 * index + offset)),
                "ir_origin": "sensor",
                "ir_band": band,
                "ir_unit": "display",
                "ir_captions": [CAPTIONS[index % 2], "a fluent caption that is not learnt"],
                "image_group_id": f"tile{index}",
                "joint_group_id": f"tile{index}",
                "is_eval_representative": True,
                **changes,
            }
        )
        for index in range(count // 2)
        for offset, band in enumerate(("nir", "lwir"))
    ]
    return Dataset.from_list(rows, features=FEATURES)
