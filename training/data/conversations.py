"""Rows -> conversations of two images and a caption, and the statistics that the VLM standardises features by."""

import logging

import torch
from datasets import Dataset

from fusionrs_hf.errors import InputError
from fusionrs_hf.modeling_fusionrs_vlm import FusionRSVLMModel
from fusionrs_hf.processing_fusionrs_vlm import FusionRSVLMProcessor

logger = logging.getLogger(__name__)


def conversations(rows: Dataset, prompt: str) -> Dataset:
    """Returns the rows with an infrared caption as TRL takes them: `images` [RGB, infrared], `prompt`, `completion`.

    Raises:
        InputError: No row has a caption.
    """
    captioned = [index for index, captions in enumerate(rows["ir_captions"]) if captions]
    if not captioned:
        raise InputError(f"none of {len(rows)} training rows has ir_captions; run the build's caption stage")
    if len(captioned) < len(rows):
        logger.warning("%d of %d rows have no ir_captions and are left out", len(rows) - len(captioned), len(rows))

    def transform(batch: dict[str, list]) -> dict[str, list]:
        return {
            "images": [list(pair) for pair in zip(batch["rgb"], batch["ir"])],
            "prompt": [[{"role": "user", "content": prompt}] for _ in batch["rgb"]],
            "completion": [[{"role": "assistant", "content": captions[0]}] for captions in batch["ir_captions"]],
        }

    return rows.select(captioned).select_columns(["rgb", "ir", "ir_captions"]).with_transform(transform)


def fit_vlm_norm(
    model: FusionRSVLMModel, processor: FusionRSVLMProcessor, examples: Dataset, count: int, seed: int
) -> None:
    """Sets the standardisation from `count` training examples drawn by `seed`."""
    pixels = []
    for example in examples.shuffle(seed=seed).select(range(min(count, len(examples)))):
        text = "<rgb><image><ir><image>"  # the processor checks that RGB comes first
        pixels.append(processor(images=example["images"], text=text, return_tensors="pt")["pixel_values"])
    rgb, ir = torch.stack(pixels).unbind(1)  # (examples, 3, height, width) each
    model.fit_feature_norm(rgb.to(model.device), ir.to(model.device))
