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
import torch.distributed as dist
from datasets import Dataset
from torch import Tensor, nn
from torch.distributed.nn.functional import all_gather
from transformers import (
    AutoImageProcessor,
    AutoTokenizer,
    EvalPrediction,
    Trainer,
    TrainerCallback,
    TrainerState,
    TrainingArguments,
    set_seed,
)

import fusionrs_hf.auto  # noqa: F401 - registers the classes, so that checkpoints carry their code
from fusionrs_hf.modeling_fusionrs_clip import FusionRSCLIPModel, trimodal_loss
from fusionrs_hf.processing_fusionrs_clip import FusionRSCLIPProcessor
from training import release
from training.cards import write_clip_card
from training.frozen import freeze_lower_layers, remember_outputs
from training.metrics.cross_modal_recall.cross_modal_recall import equal_id_positives, positive_ranks
from training.pairs import IR_VIEWS, PairCollator, ShuffledInfrared, fit_feature_norm, load_pairs
from training.recipe import parse_recipe
from training.resume import last_whole_checkpoint
from training.run_log import write_run_log

logger = logging.getLogger(__name__)


@dataclass
class ClipArguments:
    """What is trained on what; everything else is a field of `transformers.TrainingArguments`."""

    dataset: str = field(metadata={"help": "Hub id or folder of the dataset."})
    vision_tower: str = field(metadata={"help": "Hub id or folder of the image tower, shared by RGB and infrared."})
    text_tower: str = field(metadata={"help": "Hub id or folder of the text tower."})
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
    max_logit_scale: float = field(default=100.0, metadata={"help": "Clamp of the inverse temperature."})

    def __post_init__(self) -> None:
        """Checks what no other place can."""
        if self.ir_view not in IR_VIEWS:
            raise ValueError(f"ir_view must be one of {IR_VIEWS}, got {self.ir_view!r}")
        if not 0 <= self.ir_caption_probability <= 1:
            raise ValueError(f"ir_caption_probability must lie in [0, 1], got {self.ir_caption_probability}")


class ContrastiveTrainer(Trainer):
    """HF Trainer whose loss sees all processes' embeddings, and whose decay spares norms, biases and the scale."""

    def __init__(self, *args: object, head_learning_rate: float | None = None, **kwargs: object) -> None:
        super().__init__(*args, **kwargs)
        self.head_learning_rate = head_learning_rate
        self.loss_is_scaled_for_ga = False
        self.model_accepts_loss_kwargs = False

    def create_optimizer(self, model: nn.Module | None = None) -> torch.optim.Optimizer:
        """Groups parameters by weight decay (matrices only) and by learning rate (towers, heads)."""
        if self.optimizer is None:
            kind, options = self.get_optimizer_cls_and_kwargs(self.args, self.model)
            groups: dict[tuple[float, float], list[nn.Parameter]] = {}
            for name, parameter in self.model.named_parameters():
                if parameter.requires_grad:
                    is_tower = name.startswith(("vision_model.", "text_model."))
                    rate = (
                        self.args.learning_rate if is_tower else (self.head_learning_rate or self.args.learning_rate)
                    )
                    decay = self.args.weight_decay if parameter.ndim > 1 else 0.0
                    groups.setdefault((rate, decay), []).append(parameter)
            self.optimizer = kind(
                [{"params": params, "lr": rate, "weight_decay": decay} for (rate, decay), params in groups.items()],
                **options,
            )
        return self.optimizer

    def compute_loss(
        self, model: nn.Module, inputs: dict, return_outputs: bool = False, num_items_in_batch: Tensor | None = None
    ) -> Tensor | tuple[Tensor, object]:
        """Loss over the gathered batch; `all_gather` of torch.distributed.nn carries gradients to every process."""
        inputs = dict(inputs)
        ids = {name: inputs.pop(name) for name in ("image_ids", "caption_ids")}
        inputs.pop("return_loss", None)
        outputs = model(**inputs)
        embeds = {name: outputs[f"{name}_embeds"] for name in ("rgb", "ir", "text")}  # (batch, projection_dim) each
        if model.training and dist.is_initialized() and dist.get_world_size() > 1:
            embeds = {name: torch.cat(all_gather(tensor.contiguous())) for name, tensor in embeds.items()}
            ids = {name: torch.cat(all_gather(tensor)) for name, tensor in ids.items()}
        core = self.accelerator.unwrap_model(model)
        loss = trimodal_loss(embeds, core.logit_scale.exp(), core.loss_weights, **ids)
        return (loss, outputs) if return_outputs else loss

    def _load_from_checkpoint(self, resume_from_checkpoint: str, model: nn.Module | None = None) -> None:
        """Loads weights as `from_pretrained` does.

        The stock method reads the file's keys as they stand, but `save_pretrained` writes those of some backbones
        (DINOv2) under their published names: it would warn, and go on with the attention weights of the start.
        """
        core = self.accelerator.unwrap_model(self.model if model is None else model)
        core.load_state_dict(type(core).from_pretrained(resume_from_checkpoint).state_dict())

    def _load_best_model(self) -> None:
        """See `_load_from_checkpoint`."""
        self._load_from_checkpoint(self.state.best_model_checkpoint)


class CaptionEpoch(TrainerCallback):
    """Tells the collator which epoch it draws captions for."""

    def __init__(self, collator: PairCollator) -> None:
        self.collator = collator

    def on_epoch_begin(self, args: object, state: TrainerState, control: object, **kwargs: object) -> None:
        """A run resumed inside an epoch starts with that epoch's number."""
        self.collator.epoch = math.floor((state.epoch or 0) + 1e-6)


class LogitScaleClamp(TrainerCallback):
    """Keeps the inverse temperature at or below CLIP's limit after each step."""

    def __init__(self, maximum: float) -> None:
        self.log_maximum = math.log(maximum)

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


def main(argv: Sequence[str] | None = None) -> None:
    """Trains as the recipe says; leaves model, processor, log and card in `output_dir`."""
    arguments, training = parse_recipe((ClipArguments, TrainingArguments), sys.argv[1:] if argv is None else argv)
    training.label_names, training.remove_unused_columns = [], False
    push, training.push_to_hub = training.push_to_hub, False  # what is pushed is the finished folder, with its card
    set_seed(training.seed)

    # Model
    model = FusionRSCLIPModel.from_towers(
        arguments.vision_tower,
        arguments.text_tower,
        **{
            name: getattr(arguments, name)
            for name in FusionRSCLIPModel.config_class.__dataclass_fields__
            if hasattr(arguments, name)
        },
    )
    image_processor = AutoImageProcessor.from_pretrained(arguments.vision_tower)
    processor = FusionRSCLIPProcessor(
        image_processor, image_processor, AutoTokenizer.from_pretrained(arguments.text_tower)
    )
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
    )
    folder = Path(training.output_dir)
    started = time.monotonic()
    with remember_outputs(model.vision_model) if arguments.remember_images else nullcontext():
        if arguments.feature_norm:
            fit_feature_norm(model, train_rows, collator)
        trainer.train(resume_from_checkpoint=last_whole_checkpoint(folder))

    # Save
    trainer.save_model()
    towers = (arguments.vision_tower, arguments.text_tower)
    write_run_log(trainer, folder, arguments, train, towers, time.monotonic() - started)

    # Push
    if trainer.is_world_process_zero():
        write_clip_card(folder, model_id=training.hub_model_id)
        if push:
            release.push("clip", folder, training.hub_model_id or folder.name, bool(training.hub_private_repo))


if __name__ == "__main__":
    main()
