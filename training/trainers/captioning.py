"""The VLM's trainer."""

import torch
from torch import Tensor, nn
from trl import SFTTrainer

from training.trainers.run_folder import KeptCheckpoints

PROJECTOR = "multi_modal_projector"


class CaptionTrainer(KeptCheckpoints, SFTTrainer):
    """TRL's trainer with logits at labelled positions only on any device, and the projectors' own learning rate."""

    def __init__(self, *args: object, projector_learning_rate: float | None = None, **kwargs: object) -> None:
        super().__init__(*args, **kwargs)
        self.projector_learning_rate = projector_learning_rate

    def create_model_card(self, *args: object, **kwargs: object) -> None:
        """Writes none: TRL would put its own into the folder with each checkpoint; ours is written in the end."""

    def compute_loss(
        self, model: nn.Module, inputs: dict, return_outputs: bool = False, num_items_in_batch: Tensor | None = None
    ) -> Tensor | tuple[Tensor, object]:
        """Mean negative log-likelihood of the labels.

        TRL's own loss skips unlabelled positions on CUDA only; elsewhere it computes a vocabulary of logits for every
        prompt and image token, a third of a step here.
        """
        shifted = inputs["labels"][:, 1:]  # (batch, length - 1): what each position predicts
        columns = (shifted != -100).any(0).nonzero().squeeze(1)  # (positions,), labelled in any row
        inputs = {**inputs, "logits_to_keep": columns, "shift_labels": shifted[:, columns], "use_cache": False}
        return super(SFTTrainer, self).compute_loss(model, inputs, return_outputs, num_items_in_batch)

    def create_optimizer(self, model: nn.Module | None = None) -> torch.optim.Optimizer:
        """Groups parameters by learning rate: projectors, and LoRA."""
        if self.optimizer is None:
            kind, options = self.get_optimizer_cls_and_kwargs(self.args, self.model)
            rate = self.projector_learning_rate or self.args.learning_rate
            groups: dict[float, list[nn.Parameter]] = {}
            for name, parameter in self.model.named_parameters():
                if parameter.requires_grad:
                    groups.setdefault(rate if PROJECTOR in name else self.args.learning_rate, []).append(parameter)
            self.optimizer = kind(
                [
                    {"params": params, "lr": lr, "weight_decay": self.args.weight_decay}
                    for lr, params in groups.items()
                ],
                **options,
            )
        return self.optimizer
