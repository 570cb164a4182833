"""What happens between the steps of a CLIP's training."""

import math

import torch
from torch import nn
from transformers import TrainerCallback, TrainerState

from training.data.pairs import PairCollator


class CaptionEpoch(TrainerCallback):
    """Tells the collator which epoch it draws captions for."""

    def __init__(self, collator: PairCollator) -> None:
        self.collator = collator

    def on_epoch_begin(self, args: object, state: TrainerState, control: object, **kwargs: object) -> None:
        """A run resumed inside an epoch starts with that epoch's number."""
        self.collator.epoch = math.floor((state.epoch or 0) + 1e-6)


class LogitScaleClamp(TrainerCallback):
    """Keeps the inverse temperature at or below CLIP's limit after each step."""

    def __init__(self, maximum: float | None) -> None:
        self.log_maximum = math.inf if maximum is None else math.log(maximum)

    def on_step_end(self, args: object, state: object, control: object, model: nn.Module, **kwargs: object) -> None:
        """Clamps in place."""
        with torch.no_grad():
            model.logit_scale.clamp_(max=self.log_maximum)
