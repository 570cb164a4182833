"""Captions that a VLM writes of pairs, as they are and tampered with."""

from collections.abc import Sequence

import numpy as np
import torch
from datasets import Dataset
from torch import Tensor
from tqdm.auto import tqdm

from fusionrs_hf.modeling_fusionrs_vlm import FusionRSVLMForConditionalGeneration
from fusionrs_hf.processing_fusionrs_vlm import FusionRSVLMProcessor
from training.data.conversations import BOTH
from training.trainers.layer_memory import remember_layers

CONDITIONS = ("own_images", "ir_shuffled", "ir_blanked", "rgb_shuffled", "ir_inverted", "rgb_gray")
SENTENCE_TOKENS = 64  # a sentence of facts has about half of them
LUMINANCE = (0.299, 0.587, 0.114)  # ITU-R BT.601


def tampered(
    pixels: Tensor, donors: np.ndarray, condition: str, processor: FusionRSVLMProcessor | None = None
) -> Tensor:
    """Applies a control to pixels, after the processor, so that no image is mislabelled.

    Args:
        pixels: `(rows, 2, 3, height, width)`, RGB then infrared.
        donors: Row from which each row's shuffled image comes, `(rows,)`.
        condition: One of `CONDITIONS`; blanked is zero, the mean grey of the processor's normalisation, inverted is
            white for black, and gray is the RGB's luminance in all channels.
        processor: Whose normalisation the last two undo.
    """
    pixels = pixels.clone()
    if condition == "ir_shuffled":
        pixels[:, 1] = pixels[donors, 1]
    elif condition == "rgb_shuffled":
        pixels[:, 0] = pixels[donors, 0]
    elif condition == "ir_blanked":
        pixels[:, 1] = 0
    elif condition == "ir_inverted":
        mean, spread = _normalisation(processor.ir_image_processor)
        pixels[:, 1] = (1 - 2 * mean) / spread - pixels[:, 1]
    elif condition == "rgb_gray":
        mean, spread = _normalisation(processor.image_processor)
        weights = torch.tensor(LUMINANCE).view(3, 1, 1)
        luminance = ((pixels[:, 0] * spread + mean) * weights).sum(1, keepdim=True)  # (rows, 1, height, width)
        pixels[:, 0] = (luminance - mean) / spread
    return pixels


def _normalisation(processor: object) -> tuple[Tensor, Tensor]:
    """Mean and spread of an image processor, `(3, 1, 1)` each."""
    return tuple(torch.tensor(values).view(3, 1, 1) for values in (processor.image_mean, processor.image_std))


def encode_pairs(
    processor: FusionRSVLMProcessor, rows: Dataset, prompt: str, images: Sequence[str] = BOTH
) -> tuple[Tensor, Tensor]:
    """Returns the rows' pixels `(rows, images, 3, height, width)`, and the prompt with their tokens, `(1, n)`."""
    content = [*({"type": "image"} for _ in images), {"type": "text", "text": prompt}]
    text = processor.apply_chat_template([{"role": "user", "content": content}], add_generation_prompt=True)
    inputs = [
        processor(images=[row[name] for name in images], text=text, ir_bands=row.get("ir_band"), return_tensors="pt")
        for row in rows
    ]
    return torch.stack([part["pixel_values"] for part in inputs]), inputs[0]["input_ids"]


def write_under_conditions(
    model: FusionRSVLMForConditionalGeneration,
    processor: FusionRSVLMProcessor,
    pixels: Tensor,
    prompt_ids: Tensor,
    donors: np.ndarray,
    batch_size: int,
) -> dict[str, list[str]]:
    """Returns captions of all rows under each of `CONDITIONS`; arguments as of `tampered` and `write_captions`."""
    model.eval()
    with remember_layers(model.model.vision_tower):
        return {
            name: write_captions(
                model, processor, tampered(pixels, donors, name, processor), prompt_ids, batch_size, name
            )
            for name in CONDITIONS
        }


@torch.inference_mode()
def write_captions(
    model: FusionRSVLMForConditionalGeneration,
    processor: FusionRSVLMProcessor,
    pixels: Tensor,
    prompt_ids: Tensor,
    batch_size: int,
    name: str,
    quiet: bool = False,
    longest: int = SENTENCE_TOKENS,
) -> list[str]:
    """Generates greedily.

    Args:
        model, processor: The VLM.
        pixels: `(rows, images, 3, height, width)`.
        prompt_ids: The prompt with the images' tokens, `(1, length)`, equal for all rows.
        batch_size: Rows at a time.
        name: Of the progress bar.
        quiet: Show none.
        longest: Tokens of a caption.
    """
    captions: list[str] = []
    for start in tqdm(range(0, len(pixels), batch_size), desc=name, disable=quiet):
        batch = pixels[start : start + batch_size].to(model.device)
        ids = prompt_ids.to(model.device).expand(len(batch), -1)
        written = model.generate(
            input_ids=ids,
            attention_mask=torch.ones_like(ids),
            pixel_values=batch.flatten(0, 1),  # (batch * images, 3, height, width)
            max_new_tokens=longest,
            do_sample=False,
        )
        captions += processor.batch_decode(written[:, ids.shape[1] :], skip_special_tokens=True)
    return captions


@torch.inference_mode()
def write_blind(
    model: FusionRSVLMForConditionalGeneration,
    processor: FusionRSVLMProcessor,
    prompt: str,
    longest: int = SENTENCE_TOKENS,
) -> str:
    """Returns what a model writes to a prompt without images, greedily: the same for every row."""
    turns = [{"role": "user", "content": [{"type": "text", "text": prompt}]}]
    text = processor.apply_chat_template(turns, add_generation_prompt=True)
    ids = processor.tokenizer(text, add_special_tokens=False, return_tensors="pt")["input_ids"].to(model.device)
    model.eval()
    written = model.generate(
        input_ids=ids, attention_mask=torch.ones_like(ids), max_new_tokens=longest, do_sample=False
    )
    return processor.decode(written[0, ids.shape[1] :], skip_special_tokens=True)
