"""The language model alone on the training texts: it heals what was cut out of it, and is then the blind baseline."""

import copy
from typing import Any

from datasets import Dataset, IterableDataset
from transformers import TrainingArguments
from transformers.trainer_utils import IntervalStrategy, SaveStrategy

from fusionrs_hf.modeling_fusionrs_vlm import FusionRSVLMForConditionalGeneration
from fusionrs_hf.processing_fusionrs_vlm import FusionRSVLMProcessor
from training.trainers.captioning import CaptionTrainer


def stage_arguments(training: TrainingArguments, **changes: Any) -> TrainingArguments:
    """Returns the Trainer's arguments for a stage before the last: no checkpoints, no evaluation, a cosine schedule.

    Args:
        training: Of the last stage.
        **changes: Fields that differ.
    """
    stage = copy.copy(training)
    fields = {
        "save_strategy": SaveStrategy.NO,
        "eval_strategy": IntervalStrategy.NO,
        "load_best_model_at_end": False,
        "lr_scheduler_type": "cosine",
        "lr_scheduler_kwargs": {},
        "warmup_steps": 0,
        "gradient_accumulation_steps": 1,
        **changes,
    }
    for name, value in fields.items():
        setattr(stage, name, value)
    return stage


def train_on_texts(
    model: FusionRSVLMForConditionalGeneration,
    processor: FusionRSVLMProcessor,
    examples: Dataset | IterableDataset,
    training: TrainingArguments,
) -> list[dict[str, float]]:
    """Trains all layers of the language model on conversations without images; returns the Trainer's log.

    Word embeddings and all that has to do with images stay as they are.
    """
    model.requires_grad_(False)
    language = model.model.language_model
    language.requires_grad_(True)
    language.get_input_embeddings().requires_grad_(False)
    trainer = CaptionTrainer(model=model, args=training, train_dataset=examples, processing_class=processor)
    trainer.train()
    return [entry for entry in trainer.state.log_history if "loss" in entry]
