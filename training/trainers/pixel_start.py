"""A translator's start: what colour alone tells is learned on scattered pixels first, at a fraction of the cost."""

import logging

import numpy as np
import torch

from fusionrs_hf.modeling_fusionrs_translator import FusionRSTranslator
from training.data.translation_tiles import TileCollator, TileImages
from training.trainers.translator_fit import batches

logger = logging.getLogger(__name__)
PIXELS_PER_TILE = 400
STEP_PIXELS = 4096
RATE = 5e-3


def fit_pixels(
    model: FusionRSTranslator, tiles: TileImages, collators: list[TileCollator], steps: int, seed: int
) -> None:
    """Trains the pixel path and its head on pixels drawn from tiles.

    Args:
        model: In place.
        tiles: Trained on.
        collators: Ways of showing them; pixels are drawn of each.
        steps: Of 4096 pixels each.
        seed: Of which pixels are drawn.
    """
    draw = np.random.default_rng(seed)
    parts: list[list[torch.Tensor]] = [[], [], [], []]
    for collator in collators:
        for batch in batches(tiles, collator):
            count, _, height, width = batch["rgb"].shape
            place = torch.from_numpy(draw.integers(height * width, size=min(PIXELS_PER_TILE, height * width)))
            for target, name in zip(parts, ("rgb", "target", "weight")):
                picked = batch[name].flatten(2)[:, :, place]  # (batch, channels, pixels)
                target.append(picked.transpose(1, 2).flatten(0, 1))
            parts[3].append(batch["condition"].repeat_interleave(len(place)))
    rgb, target, weight, condition = (torch.cat(values) for values in parts)
    trained = [*model.pixel.parameters(), *model.pixel_head.parameters()]
    optimizer = torch.optim.AdamW(trained, lr=RATE, weight_decay=1e-4)
    schedule = torch.optim.lr_scheduler.OneCycleLR(optimizer, RATE, total_steps=steps, pct_start=0.1)
    losses = []
    for step in range(steps):
        pick = torch.from_numpy(draw.integers(len(rgb), size=STEP_PIXELS))
        shown = (values[pick][..., None, None] for values in (rgb, target, weight))
        pixels, wanted, counts = shown
        loss = model.forward_pixels(pixels, condition[pick], wanted, counts).loss
        optimizer.zero_grad()
        loss.backward()
        optimizer.step()
        schedule.step()
        losses.append(loss.item())
        if (step + 1) % 500 == 0:
            logger.info("pixels, step %d: loss %.4f", step + 1, np.mean(losses[-500:]))
