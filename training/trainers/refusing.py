"""A Trainer that ends in a line: where a value of the recipe is refused, and where weights are no numbers."""

from typing import Any

import torch
from torch import nn
from transformers import Trainer, TrainingArguments

from fusionrs_hf.errors import InputError, shown
from training.recipe import refusing


class RefusingTrainer(Trainer):
    """As `Trainer`; what it does not take of its arguments, and a training that has diverged, is an InputError."""

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        with refusing():
            super().__init__(*args, **kwargs)

    @staticmethod
    def get_optimizer_cls_and_kwargs(args: TrainingArguments, model: nn.Module | None = None) -> tuple[Any, Any]:
        """As in `Trainer`; raises InputError for what no optimizer takes."""
        with refusing():
            return Trainer.get_optimizer_cls_and_kwargs(args, model)

    def create_scheduler(self, *args: Any, **kwargs: Any) -> Any:
        """As in `Trainer`; raises InputError for what the schedule does not take."""
        with refusing():
            return super().create_scheduler(*args, **kwargs)

    def train(self, *args: Any, **kwargs: Any) -> Any:
        """As in `Trainer`.

        Raises:
            InputError: A weight is not finite at the end.
        """
        result = super().train(*args, **kwargs)
        for name, weight in self.model.named_parameters():
            if not torch.isfinite(weight).all():
                raise InputError(
                    f"training has diverged: {shown(name)} holds NaN or infinity after {self.state.global_step} "
                    "steps, and no model is saved; add --overwrite to start anew, with a lower learning_rate"
                )
        return result
