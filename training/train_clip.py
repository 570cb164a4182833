"""Trains the dual-modal CLIP on RGB-infrared-text rows.

    fusionrs train clip --config training/recipes/clip_demo.yaml --output_dir runs/clip

The same `main` runs under `torchrun --nproc_per_node N -m training.train_clip ...`: embeddings are gathered with
gradients, so N processes give the loss of one with the whole batch. A run that was stopped goes on from its last
checkpoint; one that is finished is left as it is, see `training/trainers/run_folder.py`.
"""

import dataclasses
import logging
import sys
import time
from collections.abc import Iterable, Iterator, Mapping, Sequence
from contextlib import ExitStack, contextmanager
from pathlib import Path
from typing import Any

from datasets import Dataset
from torch import nn
from torch.utils.data import Dataset as TorchDataset
from transformers import AutoImageProcessor, TrainingArguments, set_seed

import fusionrs_hf.auto  # noqa: F401 - registers the classes, so that checkpoints carry their code
from dataset_builder.shards.limits import declared_ir_range
from fusionrs_hf.encoders import load_clip
from fusionrs_hf.errors import InputError
from fusionrs_hf.modeling_fusionrs_clip import FusionRSCLIPModel
from fusionrs_hf.processing_fusionrs_clip import FusionRSCLIPProcessor
from fusionrs_hf.weights import check_folder, check_model, check_source, load_tokenizer, loading
from model_cards.facts import place_name
from training.clip_arguments import ClipArguments
from training.data.augmentation import PairAugmentation
from training.data.dataset_contents import chosen_origin, split_names
from training.data.held_folders import holding
from training.data.pairs import PairCollator, ShuffledInfrared, first_rows, load_pairs, pooled_features
from training.data.scenes import without_scenes
from training.data.streaming import EndlessRows, read_facts, stream_pairs
from training.recipe import parse_recipe, refusing
from training.release.cards import write_clip_card
from training.release.trained import release
from training.scoring.embedded_rows import require_groups
from training.scoring.validation_recall import make_recall
from training.trainers.adapters import AdapterTrainer, add_adapters
from training.trainers.callbacks import CaptionEpoch, LogitScaleClamp
from training.trainers.contrastive import ContrastiveTrainer
from training.trainers.contrastive_arguments import ClipTrainingArguments
from training.trainers.distributed import leave_processes
from training.trainers.frozen import freeze_lower_layers, keep_norm_statistics
from training.trainers.layer_memory import remember_layers
from training.trainers.run_folder import RunFolder
from training.trainers.run_log import write_run_log

logger = logging.getLogger(__name__)

RECIPE = (ClipArguments, ClipTrainingArguments)
AS_LOADED = ("vision_pooling", "text_pooling", "projection_dim", "logit_scale_init_value")  # where `clip` is given
STAYS = ("feature_norm", "modality_embedding")  # what a finished CLIP has is not taken from it


def load_start(arguments: ClipArguments) -> tuple[FusionRSCLIPModel, FusionRSCLIPProcessor]:
    """Returns the model as training begins, and its processor."""
    fields = FusionRSCLIPModel.config_class.__dataclass_fields__
    options = {name: getattr(arguments, name) for name in fields if hasattr(arguments, name)}
    ir_range = arguments.ir_range or declared_ir_range(arguments.dataset) or None
    if arguments.clip is None:
        towers = (arguments.vision_tower, arguments.text_tower)
        for tower in towers:
            check_source(tower)
            check_folder(Path(tower))
        with loading(towers, "towers"):
            model = FusionRSCLIPModel.from_towers(*towers, vision_layers=arguments.vision_layers, **options)
            image_processor = AutoImageProcessor.from_pretrained(arguments.vision_tower)
        check_model(model, " and ".join(towers))
        tokenizer = load_tokenizer(arguments.text_tower)
    else:
        model, theirs = load_clip(arguments.clip)
        image_processor, tokenizer = theirs.image_processor, theirs.tokenizer
        ir_range = ir_range or theirs.ir_range
        options = {name: value for name, value in options.items() if name not in AS_LOADED}
        options |= {name: True for name in STAYS if getattr(model.config, name)}
    with refusing():
        model = model.with_options(arguments.ir_channels, arguments.text_positions, **options)
    if arguments.text_positions is not None:
        tokenizer.model_max_length = arguments.text_positions
    return model, FusionRSCLIPProcessor(image_processor, image_processor, tokenizer, ir_range)


def load_training_rows(
    arguments: ClipArguments, training: TrainingArguments, origin: str | None
) -> tuple[TorchDataset, Dataset, Iterable[Mapping[str, Any]]]:
    """Returns what is trained on, a table that tells of it, and the rows that `feature_norm` is fitted on.

    Raises:
        InputError: A stream has no end of training.
    """
    if not arguments.streaming:
        table = without_scenes(load_pairs(arguments.dataset, "train", origin), arguments.leave_out_scenes or ())
        table = first_rows(table, arguments.train_rows)
        rows = ShuffledInfrared(table, training.seed) if arguments.ir_view == "shuffled" else table
        return rows, table, rows
    if training.max_steps <= 0:
        raise InputError(f"streaming needs max_steps, got {training.max_steps}; give the number of optimiser steps")
    source = (arguments.dataset, origin, training.seed, arguments.shuffle_buffer)
    rows = EndlessRows(stream_pairs(*source, training.process_index, training.world_size))
    return rows, read_facts(arguments.dataset, origin), stream_pairs(*source).take(arguments.norm_rows)


def load_validation_rows(dataset: str, training: TrainingArguments, origin: str | None) -> Dataset | None:
    """Returns the validation rows; None where the dataset has none and the recipe does not ask for them.

    Raises:
        InputError: There are none, and the recipe evaluates while it trains.
    """
    if "validation" in split_names(dataset):
        return load_pairs(dataset, "validation", origin)
    if training.eval_strategy != "no":
        raise InputError(
            f"{dataset} has no validation split, and eval_strategy is {training.eval_strategy.value}; give "
            "--eval_strategy no, or build the dataset with validation rows"
        )
    return None


def frozen_image_layers(arguments: ClipArguments) -> int:
    """Returns how many of an image tower's lowest layers are kept as loaded; -1: all of them."""
    return arguments.frozen_vision_layers or (-1 if arguments.remember_images else 0)


def limit_training(model: FusionRSCLIPModel, arguments: ClipArguments) -> None:
    """Freezes what the recipe keeps as loaded, norms' statistics always; adapters go beside the rest, if it wants."""
    for tower in image_towers(model):
        freeze_lower_layers(tower, frozen_image_layers(arguments))
        keep_norm_statistics(tower)
    freeze_lower_layers(model.text_model, arguments.frozen_text_layers)
    if arguments.lora_rank:
        add_adapters(model, arguments.lora_rank, arguments.lora_alpha, arguments.lora_dropout, arguments.lora_modules)


def image_towers(model: FusionRSCLIPModel) -> list[nn.Module]:
    """Returns the tower of RGB and, where infrared has one of its own, that."""
    return [tower for tower in (model.vision_model, model.ir_vision_model) if tower is not None]


def start_projection(
    model: FusionRSCLIPModel, arguments: ClipArguments, rows: Iterable[Mapping[str, Any]], collator: PairCollator
) -> None:
    """Fits on training rows what the recipe wants of the image head before it learns: statistics, a whitening."""
    whitened = arguments.projection_start == "whitened"
    if not (arguments.feature_norm or whitened):
        return
    features = pooled_features(model, rows, collator)
    if arguments.feature_norm:
        model.fit_feature_norm(*features)
    if whitened:
        model.whiten_projection(*features)


@contextmanager
def remembered_images(model: FusionRSCLIPModel, arguments: ClipArguments) -> Iterator[None]:
    """While in the context, what the frozen image layers give is kept, if the recipe says so."""
    layers = frozen_image_layers(arguments)
    with ExitStack() as memory:
        for tower in image_towers(model) if arguments.remember_images else ():
            memory.enter_context(remember_layers(tower, None if layers == -1 else layers))
        yield


def make_collators(
    arguments: ClipArguments, processor: FusionRSCLIPProcessor, seed: int
) -> tuple[PairCollator, PairCollator]:
    """Returns what shows rows in training, and what shows them as they are."""
    view = "sensor" if arguments.ir_view == "shuffled" else arguments.ir_view
    plain = PairCollator(processor, arguments.ir_caption_probability, view, seed, group_aware=arguments.group_aware)
    kinds = (getattr(arguments, f"augment_{name}") for name in ("crop", "flip", "color", "radiometry"))
    changes, versions = PairAugmentation(*kinds) or None, arguments.augment_versions
    changing = dataclasses.replace(
        plain, augmentation=changes, versions=versions, texts_per_row=arguments.texts_per_row
    )
    return changing, plain


def main(argv: Sequence[str] | None = None) -> None:
    """Trains as the recipe says; leaves model, processor, log and card in `output_dir`."""
    arguments, training = parse_recipe(RECIPE, sys.argv[1:] if argv is None else argv)
    push, training.push_to_hub = training.push_to_hub, False  # what is pushed is the finished folder, with its card
    towers = [tower for tower in (arguments.clip, arguments.vision_tower, arguments.text_tower) if tower]
    with holding(arguments.dataset, *towers):
        run = RunFolder("train clip", arguments, training, splits=("train", "validation"))
        if not run.is_finished():
            train(run, arguments, training, towers)
    leave_processes()
    if push and run.leads:
        release("clip", run.path, arguments.dataset, training)


def train(run: RunFolder, arguments: ClipArguments, training: ClipTrainingArguments, towers: Sequence[str]) -> None:
    """Does what is left of a run, from the model to its card.

    Args:
        run: Folder to write.
        arguments, training: The recipe.
        towers: Folders or Hub ids that training starts from.
    """
    set_seed(training.seed)

    # Model
    model, processor = load_start(arguments)
    limit_training(model, arguments)

    # Data
    origin = chosen_origin(arguments.dataset, arguments.ir_origin, "train")
    rows, facts, sample = load_training_rows(arguments, training, origin)
    validation = load_validation_rows(arguments.dataset, training, origin)
    for table in (facts if arguments.group_aware else None, validation):
        if table is not None:
            require_groups(table)
    collator, plain = make_collators(arguments, processor, training.seed)

    with run.writing():
        # Train
        trainer = (AdapterTrainer if arguments.lora_rank else ContrastiveTrainer)(
            model=model,
            args=training,
            data_collator=collator,
            eval_collator=plain,
            train_dataset=rows,
            eval_dataset=validation,
            processing_class=processor,
            compute_metrics=None if validation is None else make_recall(validation, plain),
            callbacks=[LogitScaleClamp(arguments.max_logit_scale), CaptionEpoch(collator)],
            head_learning_rate=arguments.head_learning_rate,
            text_head_learning_rate=arguments.text_head_learning_rate,
            decay_all=arguments.decay_all,
            encode_rows=arguments.encode_rows,
            modality_dropout=arguments.modality_dropout,
            run=run,
        )
        if arguments.remember_images and trainer.is_fsdp_enabled:  # processes would wait for layers that others skip
            raise InputError("remember_images does not run with sharded parameters; use DDP, or drop it under FSDP")
        started = time.monotonic()
        with remembered_images(model, arguments):
            start_projection(model, arguments, sample, plain)
            trainer.train(resume_from_checkpoint=run.last_checkpoint)

        # Save
        trainer.save_model(str(run.model_path))
        settled = {name: getattr(model.config, name) for name in AS_LOADED} if arguments.clip else None
        write_run_log(trainer, run.model_path, arguments, facts, towers, time.monotonic() - started, settled)
        if run.leads:
            write_clip_card(run.model_path, model_id=training.hub_model_id or place_name(run.path))
        run.finish(trainer.state.best_model_checkpoint)


if __name__ == "__main__":
    main()
