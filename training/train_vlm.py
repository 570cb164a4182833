"""Trains the two-image VLM in three stages: texts alone, the projectors alone, then both, by TRL's SFT with LoRA.

    fusionrs train vlm --config training/recipes/vlm_demo.yaml --output_dir runs/vlm

Leaves the merged model in OUTPUT; OUTPUT/adapter with the OUTPUT/base that it belongs to, which has read the texts and
seen no image: the blind baseline; and what the projectors learned alone in OUTPUT/projector. A run that was stopped
goes on after its last finished stage, or from its last checkpoint. Also runs under
`torchrun --nproc_per_node N -m training.train_vlm ...`.
"""

import logging
import sys
import time
from collections import Counter
from collections.abc import Sequence
from contextlib import nullcontext
from pathlib import Path

import torch
from peft import LoraConfig
from transformers import set_seed
from trl import SFTConfig

import fusionrs_hf.auto  # noqa: F401 - registers the classes, so that checkpoints carry their code
from dataset_builder.claims.grounding import CELLS
from dataset_builder.shards.limits import declared_ir_range, reading_limits
from fusionrs_hf.errors import InputError
from fusionrs_hf.modeling_fusionrs_vlm import FusionRSVLMForConditionalGeneration
from fusionrs_hf.processing_fusionrs_vlm import FusionRSVLMProcessor
from fusionrs_hf.weights import check_model, check_source, loading
from model_cards.facts import place_name
from training.data.conversations import Lessons, fact_examples
from training.data.fact_features import FactFeatures
from training.data.fact_texts import count_values
from training.data.held_folders import holding
from training.data.vlm_rows import TrainingRows, rows_a_step
from training.recipe import parse_recipe, refusing
from training.release.cards import write_vlm_card
from training.release.trained import release
from training.scoring.validation_reading import ValidationReading, validation_rows
from training.trainers.captioning import PROJECTOR, CaptionTrainer
from training.trainers.distributed import leave_processes
from training.trainers.layer_memory import remember_layers
from training.trainers.projector_stage import load_projectors, save_projectors, train_projectors
from training.trainers.reading_watch import ReadingWatch, unread_cost
from training.trainers.run_folder import RunFolder, settle_tokenizer
from training.trainers.run_log import write_run_log
from training.trainers.text_stage import stage_arguments, train_on_texts
from training.vlm_arguments import VlmArguments, layer_numbers

logger = logging.getLogger(__name__)

RECIPE = (VlmArguments, SFTConfig)
WATCHED = 32  # training rows whose loss is watched where no validation rows are
LANGUAGE_LINEARS = r"model\.language_model\..*\.(q|k|v|o|gate|up|down)_proj"  # anchored: the tower has q_proj too


def language_adapters(arguments: VlmArguments) -> LoraConfig:
    """Returns what is trained last: adapters beside the language model's linear layers, and the projectors whole."""
    return LoraConfig(
        r=arguments.lora_rank,
        lora_alpha=arguments.lora_alpha,
        target_modules=LANGUAGE_LINEARS,
        modules_to_save=[PROJECTOR],
        task_type="CAUSAL_LM",
    )


def save_merged(trainer: CaptionTrainer, processor: FusionRSVLMProcessor, folder: Path) -> None:
    """Saves the adapter beside the base, then merges it into the trained model and saves that."""
    adapted = trainer.accelerator.unwrap_model(trainer.model)
    settle_tokenizer(processor)
    adapted.save_pretrained(folder / "adapter")
    processor.save_pretrained(folder / "adapter")
    for part in (adapted.merge_and_unload(), processor):
        part.save_pretrained(folder)


def main(argv: Sequence[str] | None = None) -> None:
    """Trains as the recipe says; leaves the merged model, its adapter and base, log and card in `output_dir`."""
    arguments, training = parse_recipe(RECIPE, sys.argv[1:] if argv is None else argv)
    training.remove_unused_columns, training.max_length = False, None  # cutting a text would cut an image's tokens
    training.train_sampling_strategy = "sequential"  # the course is in order
    if training.eval_strategy != "no" and not arguments.validation_pairs:
        raise InputError("eval_strategy scores validation rows: give validation_pairs, or set eval_strategy: no")
    push, training.push_to_hub = training.push_to_hub, False  # what is pushed is the finished folder, with its card
    with holding(arguments.dataset, arguments.clip_model, arguments.language_model):
        splits = ("train", "validation") if arguments.validation_pairs else ("train",)
        run = RunFolder("train vlm", arguments, training, splits)
        if not run.is_finished():
            train(run, arguments, training)
    leave_processes()
    if push and run.leads:
        release("vlm", run.path, arguments.dataset, training)


def train(run: RunFolder, arguments: VlmArguments, training: SFTConfig) -> None:
    """Does what is left of a run, from the model to its card.

    Args:
        run: Folder to write.
        arguments, training: The recipe.
    """
    started = time.monotonic()
    rows = TrainingRows.load(arguments, training)
    with run.writing():
        # Texts alone
        features = train_base(run, arguments, training, rows) if run.stage("base") is None else None
        model, processor = load_base(run, arguments, training)

        with remember_layers(model.model.vision_tower) if arguments.remember_images else nullcontext():
            # Projectors alone
            if run.stage("projector") is None:
                told = {}
                if arguments.projector_steps and arguments.shown:
                    features = features or encode_sample(model, processor, rows, arguments)
                    held = encode_validation(model, processor, rows, arguments, training)
                    set_seed(training.seed)
                    told = train_projectors(model, processor.tokenizer, features, held, arguments, training)
                if run.leads:
                    save_projectors(model, run.model_path / "projector")
                run.finish_stage("projector", told)
            load_projectors(model, run.path / "projector")

            # Both
            trainer = make_trainer(run, arguments, training, rows, model, processor)
            trainer.train(resume_from_checkpoint=run.last_checkpoint)

        # Save
        run.model_path.mkdir(parents=True, exist_ok=True)
        towers = (arguments.clip_model, arguments.language_model)
        write_run_log(trainer, run.model_path, arguments, rows.table, towers, time.monotonic() - started)
        if run.leads:
            save_merged(trainer, processor, run.model_path)
            write_vlm_card(run.model_path, model_id=training.hub_model_id or place_name(run.path))
        run.finish(trainer.state.best_model_checkpoint)


def train_base(run: RunFolder, arguments: VlmArguments, training: SFTConfig, rows: TrainingRows) -> FactFeatures:
    """Starts the model from its towers and trains it on the texts alone; returns the pairs that it encoded."""
    set_seed(training.seed)

    # Model
    towers = (arguments.clip_model, arguments.language_model)
    options = {name: getattr(arguments, name) for name in ("pooling", "grid_size", "projector_context")}
    layers = layer_numbers(arguments.keep_language_layers)
    for tower in towers:
        check_source(tower)
    with loading(towers, "a CLIP and a language model"):
        model = FusionRSVLMForConditionalGeneration.from_towers(*towers, layers, **options)
        processor = FusionRSVLMProcessor.from_towers(*towers, model.config.num_image_tokens)
    processor.ir_range = reading_limits({}, processor.ir_range, declared_ir_range(arguments.dataset))
    check_model(model, " and ".join(towers))
    model.to(training.device)
    if arguments.attn_implementation:
        with refusing():
            model.set_attn_implementation(arguments.attn_implementation)

    # Data
    features = encode_sample(model, processor, rows, arguments)
    for place, modality in enumerate(("rgb", "ir")):
        model.model.set_feature_norm(modality, features.hidden[:, place])
    counts = count_values(features.values)

    # Train
    history = []
    if arguments.text_steps:
        stage = stage_arguments(training, max_steps=arguments.text_steps, learning_rate=arguments.text_learning_rate)
        lessons = Lessons(arguments.shares, counts, processor, training.seed, prompt=arguments.prompt, images=())
        history = train_on_texts(model, processor, rows.examples(lessons, stage, stage.max_steps), stage)

    # Save
    if run.leads:
        settle_tokenizer(processor)
        for part in (model, processor):
            part.save_pretrained(run.model_path / "base")
    run.finish_stage("base", {"counts": counts, "example": features.values[0], "history": history})
    return features


def load_base(
    run: RunFolder, arguments: VlmArguments, training: SFTConfig
) -> tuple[FusionRSVLMForConditionalGeneration, FusionRSVLMProcessor]:
    """Returns the blind baseline, which has learnt the texts and seen no image, as the next stages go on from it."""
    folder = run.path / "base"
    model = FusionRSVLMForConditionalGeneration.from_pretrained(folder, dtype=torch.float32).to(training.device)
    if arguments.attn_implementation:
        with refusing():
            model.set_attn_implementation(arguments.attn_implementation)
    return model, FusionRSVLMProcessor.from_pretrained(folder)


def encode_sample(
    model: FusionRSVLMForConditionalGeneration,
    processor: FusionRSVLMProcessor,
    rows: TrainingRows,
    arguments: VlmArguments,
) -> FactFeatures:
    """Returns the training rows that the projectors learn from, encoded and measured; all of them in each process."""
    return FactFeatures.encode(model.model, processor, rows.sample(arguments.sample_rows))


def encode_validation(
    model: FusionRSVLMForConditionalGeneration,
    processor: FusionRSVLMProcessor,
    rows: TrainingRows,
    arguments: VlmArguments,
    training: SFTConfig,
) -> FactFeatures | None:
    """Returns the validation rows that projectors are scored on, encoded and measured; None: there are none."""
    if not arguments.validation_pairs:
        return None
    held = validation_rows(arguments.dataset, rows.origin, arguments.validation_pairs)
    part = held.shard(training.world_size, training.process_index, contiguous=False)
    return FactFeatures.encode(model.model, processor, part)


def make_trainer(
    run: RunFolder,
    arguments: VlmArguments,
    training: SFTConfig,
    rows: TrainingRows,
    model: FusionRSVLMForConditionalGeneration,
    processor: FusionRSVLMProcessor,
) -> CaptionTrainer:
    """Returns the trainer of the last stage, with what it is taught and how it is watched."""
    set_seed(training.seed)
    base = run.stage("base")
    counts = {kind: Counter(values) for kind, values in base["counts"].items()}
    steps = rows.steps(training)
    firsts = {name: getattr(arguments, name) * rows_a_step(training) for name in ("questions_after", "joint_after")}
    asked = {"prompt": arguments.prompt, "images": arguments.shown, **firsts}
    lessons = Lessons(arguments.shares, counts, processor, training.seed, **asked)
    held = arguments.validation_pairs
    watched = validation_rows(arguments.dataset, rows.origin, held) if held else rows.first(WATCHED)
    reading, watches = ValidationReading(watched, processor, arguments.shown), []
    if arguments.shown:
        unread = unread_cost(counts, base["example"], processor.tokenizer)
        marks = (reading.cost(model, with_images=False), unread, model.config.text_config.vocab_size)
        watches = [ReadingWatch(reading, *marks, arguments.warn_after, arguments.stop_unread)]
    training.max_steps = steps
    return CaptionTrainer(
        model=model,
        args=training,
        train_dataset=rows.examples(lessons, training, steps),
        eval_dataset=fact_examples(watched, processor, arguments.shown) if held else None,
        processing_class=processor,
        peft_config=language_adapters(arguments),
        projector_learning_rate=arguments.projector_learning_rate,
        weighted_words=CELLS,
        word_weight=arguments.place_weight,
        reading=reading,
        callbacks=watches,
        run=run,
    )


if __name__ == "__main__":
    main()
