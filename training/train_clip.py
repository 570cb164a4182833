"""Trains the dual-modal CLIP on RGB-infrared-text rows.

    fusionrs train clip --config training/recipes/clip_demo.yaml --output_dir runs/clip

The same `main` runs under `torchrun --nproc_per_node N -m training.train_clip ...`: embeddings are gathered with
gradients, so N processes give the loss of one with the whole batch.
"""

import logging
import math
import sys
import time
from collections.abc import Sequence
from contextlib import nullcontext
from dataclasses import dataclass, field
from pathlib import Path

import numpy as np
import torch
from datasets import Dataset
from torch import nn
from transformers import (
    AutoImageProcessor,
    AutoTokenizer,
    EvalPrediction,
    TrainerCallback,
    TrainerState,
    TrainingArguments,
    set_seed,
)

import fusionrs_hf.auto  # noqa: F401 - registers the classes, so that checkpoints carry their code
from fusionrs_hf.encoders import load_clip
from fusionrs_hf.modeling_fusionrs_clip import FusionRSCLIPModel
from fusionrs_hf.processing_fusionrs_clip import FusionRSCLIPProcessor
from training import release
from training.cards import write_clip_card
from training.contrastive import ContrastiveTrainer
from training.frozen import freeze_lower_layers, remember_outputs
from training.metrics.cross_modal_recall.cross_modal_recall import equal_id_positives, positive_ranks
from training.pairs import IR_VIEWS, PairCollator, ShuffledInfrared, fit_feature_norm, load_pairs
from training.recipe import parse_recipe
from training.resume import last_whole_checkpoint
from training.run_log import write_run_log

logger = logging.getLogger(__name__)

AS_LOADED = ("vision_pooling", "text_pooling", "projection_dim", "logit_scale_init_value")  # where `clip` is given


@dataclass
class ClipArguments:
    """What is trained on what; everything else is a field of `transformers.TrainingArguments`."""

    dataset: str = field(metadata={"help": "Hub id or folder of the dataset."})
    clip: str | None = field(
        default=None, metadata={"help": "Hub id or folder of a CLIP or FusionRS-CLIP to start from."}
    )
    vision_tower: str | None = field(
        default=None, metadata={"help": "Instead of clip, with text_tower: Hub id or folder of an image tower."}
    )
    text_tower: str | None = field(default=None, metadata={"help": "Hub id or folder of a text tower."})
    vision_pooling: str = field(default="pooler", metadata={"help": "pooler, cls, mean or grid."})
    text_pooling: str = field(default="pooler", metadata={"help": "pooler, cls or mean."})
    projection_dim: int = field(default=512, metadata={"help": "Width of the joint space."})
    feature_norm: bool = field(default=False, metadata={"help": "Standardise image features by modality."})
    rgb_text_weight: float = field(default=1.0, metadata={"help": "Weight of the RGB-text term."})
    ir_text_weight: float = field(default=1.0, metadata={"help": "Weight of the IR-text term."})
    rgb_ir_weight: float = field(default=1.0, metadata={"help": "Weight of the RGB-IR term."})
    ir_caption_probability: float = field(default=0.5, metadata={"help": "Share of texts that are IR-aware captions."})
    ir_view: str = field(
        default="sensor", metadata={"help": "sensor, or a control: grayscale, rgb_duplicate, shuffled."}
    )
    frozen_vision_layers: int = field(default=0, metadata={"help": "Lowest image-tower layers kept as loaded."})
    remember_images: bool = field(
        default=False, metadata={"help": "Freeze the image tower whole, and encode each image once; needs memory."}
    )
    frozen_text_layers: int = field(default=0, metadata={"help": "Lowest text-tower layers kept as loaded."})
    head_learning_rate: float | None = field(
        default=None, metadata={"help": "Of projections and scale; None: as towers."}
    )
    max_logit_scale: float | None = field(
        default=100.0, metadata={"help": "Clamp of the inverse temperature, or none."}
    )
    decay_all: bool = field(default=False, metadata={"help": "Weight decay on norms, biases and the scale, too."})
    encode_rows: int = field(
        default=0, metadata={"help": "Rows encoded at a time: batches larger than memory, same loss; 0: all at once."}
    )
    modality_embedding: bool = field(default=False, metadata={"help": "Learned infrared tile in the shared tower."})
    ir_channels: int | None = field(
        default=None, metadata={"help": "Give infrared a tower of its own, started from RGB's, of 1 or 3 channels."}
    )
    fusion: str = field(default="mean", metadata={"help": "mean or gated."})
    fusion_weight: float = field(default=0.5, metadata={"help": "Weight of infrared in the mean."})
    fused_text_weight: float = field(default=0.0, metadata={"help": "Weight of the fused-text term."})
    modality_dropout: float = field(default=0.0, metadata={"help": "Chance that a fused row has one modality only."})
    contrastive_loss: str = field(default="info_nce", metadata={"help": "info_nce or sigmoid."})
    logit_scale_init_value: float = field(default=2.6592, metadata={"help": "Log inverse temperature at the start."})
    logit_bias_init_value: float = field(default=-10.0, metadata={"help": "Bias of the sigmoid loss at the start."})

    def __post_init__(self) -> None:
        """Checks what no other place can."""
        if bool(self.clip) == bool(self.vision_tower and self.text_tower) or (self.clip and self.vision_tower):
            raise ValueError(
                "give clip, or vision_tower and text_tower, to start from; got "
                f"clip={self.clip!r}, vision_tower={self.vision_tower!r}, text_tower={self.text_tower!r}"
            )
        if self.ir_view not in IR_VIEWS:
            raise ValueError(f"ir_view must be one of {IR_VIEWS}, got {self.ir_view!r}")
        if not 0 <= self.ir_caption_probability <= 1:
            raise ValueError(f"ir_caption_probability must lie in [0, 1], got {self.ir_caption_probability}")
        if not 0 <= self.modality_dropout < 1:
            raise ValueError(f"modality_dropout must lie in [0, 1), got {self.modality_dropout}")
        if self.encode_rows < 0:
            raise ValueError(f"encode_rows must not be negative, got {self.encode_rows}")


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


def make_recall(rows: Dataset) -> "callable":
    """Returns `compute_metrics` for these validation rows: recall within each `ir_band`, averaged over bands."""
    bands, groups = np.asarray(rows["ir_band"]), np.asarray(rows["image_group_id"])

    def compute(prediction: EvalPrediction) -> dict[str, float]:
        embeds = dict(zip(("rgb", "ir", "text"), prediction.predictions))
        scores = {}
        for left, right in (("rgb", "ir"), ("ir", "rgb"), ("ir", "text"), ("text", "ir")):
            hits = []
            for band in np.unique(bands):
                inside = bands == band
                positives = equal_id_positives(groups[inside], groups[inside])
                hits.append(positive_ranks(embeds[left][inside], embeds[right][inside], positives))
            for k in (1, 5):
                scores[f"{left}_to_{right}_R@{k}"] = float(np.mean([(ranks < k).mean() for ranks in hits]))
        scores["mean_recall"] = float(np.mean(list(scores.values())))
        return scores

    return compute


def load_start(arguments: ClipArguments) -> tuple[FusionRSCLIPModel, FusionRSCLIPProcessor]:
    """Returns the model as training begins, and its processor."""
    known = FusionRSCLIPModel.config_class.__dataclass_fields__
    options = {name: getattr(arguments, name) for name in known if hasattr(arguments, name)}
    if arguments.clip is None:
        model = FusionRSCLIPModel.from_towers(arguments.vision_tower, arguments.text_tower, **options)
        image_processor = AutoImageProcessor.from_pretrained(arguments.vision_tower)
        tokenizer = AutoTokenizer.from_pretrained(arguments.text_tower)
    else:
        model, theirs = load_clip(arguments.clip)
        image_processor, tokenizer = theirs.image_processor, theirs.tokenizer
        options = {name: value for name, value in options.items() if name not in AS_LOADED}
    model = model.with_options(arguments.ir_channels, **options)
    return model, FusionRSCLIPProcessor(image_processor, image_processor, tokenizer)


def main(argv: Sequence[str] | None = None) -> None:
    """Trains as the recipe says; leaves model, processor, log and card in `output_dir`."""
    arguments, training = parse_recipe((ClipArguments, TrainingArguments), sys.argv[1:] if argv is None else argv)
    training.label_names, training.remove_unused_columns = [], False
    training.ddp_broadcast_buffers = False  # equal in all processes; written anew, they would spoil cached gradients
    push, training.push_to_hub = training.push_to_hub, False  # what is pushed is the finished folder, with its card
    set_seed(training.seed)

    # Model
    model, processor = load_start(arguments)
    freeze_lower_layers(model.vision_model, arguments.frozen_vision_layers)
    if arguments.remember_images:
        model.vision_model.requires_grad_(False)
    freeze_lower_layers(model.text_model, arguments.frozen_text_layers)

    # Data
    train, validation = (load_pairs(arguments.dataset, split) for split in ("train", "validation"))
    shuffled = arguments.ir_view == "shuffled"
    train_rows = ShuffledInfrared(train, training.seed) if shuffled else train
    view = "sensor" if shuffled else arguments.ir_view
    collator = PairCollator(processor, arguments.ir_caption_probability, view, training.seed)

    # Train
    trainer = ContrastiveTrainer(
        model=model,
        args=training,
        data_collator=collator,
        train_dataset=train_rows,
        eval_dataset=validation,
        processing_class=processor,
        compute_metrics=make_recall(validation),
        callbacks=[LogitScaleClamp(arguments.max_logit_scale), CaptionEpoch(collator)],
        head_learning_rate=arguments.head_learning_rate,
        decay_all=arguments.decay_all,
        encode_rows=arguments.encode_rows,
        modality_dropout=arguments.modality_dropout,
    )
    folder = Path(training.output_dir)
    started = time.monotonic()
    with remember_outputs(model.vision_model) if arguments.remember_images else nullcontext():
        if arguments.feature_norm:
            fit_feature_norm(model, train_rows, collator)
        trainer.train(resume_from_checkpoint=last_whole_checkpoint(folder))

    # Save
    trainer.save_model()
    towers = [tower for tower in (arguments.clip, arguments.vision_tower, arguments.text_tower) if tower]
    write_run_log(trainer, folder, arguments, train, towers, time.monotonic() - started)

    # Push
    if trainer.is_world_process_zero():
        write_clip_card(folder, model_id=training.hub_model_id)
        if push:
            release.push("clip", folder, training.hub_model_id or folder.name, bool(training.hub_private_repo))


if __name__ == "__main__":
    main()
