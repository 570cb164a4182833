"""`transformers.TrainingArguments` of the dual-modal CLIP; its own fields stand elsewhere, as they need no torch."""

from dataclasses import dataclass

from transformers import TrainingArguments


@dataclass
class ClipTrainingArguments(TrainingArguments):
    """`TrainingArguments` whose best checkpoint is the one with the highest recall, unless another metric is named."""

    def __post_init__(self) -> None:
        """Sets what a contrastive training of three inputs needs.

        Raises:
            ValueError: Workers would outlive the epoch that they draw captions for.
        """
        if self.load_best_model_at_end and self.metric_for_best_model is None:
            self.metric_for_best_model = "mean_recall"
        super().__post_init__()
        if self.dataloader_persistent_workers:
            raise ValueError("dataloader_persistent_workers would draw the first epoch's captions for ever; drop it")
        self.label_names, self.remove_unused_columns = [], False
        self.ddp_broadcast_buffers = False  # equal in all processes; written anew, they would spoil cached gradients
        self.ddp_find_unused_parameters = True  # towers have some (DINOv2's mask token), with checkpointing, too
