"""Heads of the dual-modal CLIP trained on features of towers as loaded: seconds where a training takes minutes."""

from collections.abc import Callable, Sequence

import torch
import torch.nn.functional as F
from torch import Tensor
from transformers import get_cosine_schedule_with_warmup

from fusionrs_hf.modeling_fusionrs_clip import FusionRSCLIPModel

BATCH, WARMUP, DECAY = 64, 5, 0.05  # of the demo's recipe


def embed(model: FusionRSCLIPModel, features: Tensor, modality: str) -> Tensor:
    """Returns unit-length embeddings `(rows, projection_dim)` of pooled features `(rows, features)`, `rgb` or `ir`."""
    return F.normalize(model.visual_projection(model.feature_norm(features, modality)), dim=-1)


@torch.no_grad()
def start_anew(model: FusionRSCLIPModel, generator: torch.Generator) -> None:
    """Gives both projections a random start, and the scale its first value."""
    for weight in (model.visual_projection.weight, model.text_projection.weight):
        weight.normal_(std=weight.shape[1] ** -0.5, generator=generator)
    model.logit_scale.fill_(model.config.logit_scale_init_value)


def descend(
    rates: Sequence[tuple[Tensor, float]],
    loss: Callable[[Tensor], Tensor],
    rows: int,
    steps: int,
    generator: torch.Generator,
) -> None:
    """Trains by AdamW with warm-up and cosine, as the demo's recipe does; matrices decay.

    Args:
        rates: What is trained, in place, with its learning rate.
        loss: Of a batch, given its places among the rows, int64 `(BATCH,)`.
        rows: To draw from.
        steps: Of training.
        generator: Draws the batches.
    """
    groups = [{"params": [part], "lr": rate, "weight_decay": DECAY * (part.ndim > 1)} for part, rate in rates]
    optimiser = torch.optim.AdamW(groups)
    schedule = get_cosine_schedule_with_warmup(optimiser, WARMUP, steps)
    for _ in range(steps):
        optimiser.zero_grad()
        loss(torch.randperm(rows, generator=generator)[:BATCH]).backward()
        optimiser.step()
        schedule.step()
