"""Fine-tunes the two-image VLM on infrared captions: TRL's SFT with LoRA on the language model, trained projectors.

    fusionrs train vlm --config training/recipes/vlm_demo.yaml --output_dir runs/vlm

Leaves the merged model in OUTPUT, and OUTPUT/adapter with the OUTPUT/base that it belongs to. A run that was stopped
goes on from its last checkpoint. Also runs under `torchrun --nproc_per_node N -m training.train_vlm ...`.
"""

import logging
import sys
import time
from collections.abc import Sequence
from contextlib import nullcontext
from pathlib import Path

from peft import LoraConfig
from transformers import set_seed
from trl import SFTConfig

import fusionrs_hf.auto  # noqa: F401 - registers the classes, so that checkpoints carry their code
from fusionrs_hf.modeling_fusionrs_vlm import FusionRSVLMForConditionalGeneration
from fusionrs_hf.processing_fusionrs_vlm import FusionRSVLMProcessor
from fusionrs_hf.weights import check_model, loading
from training.data.conversations import conversations, fit_vlm_norm
from training.data.held_folders import holding
from training.data.pairs import load_pairs
from training.recipe import parse_recipe
from training.release import door
from training.release.cards import write_vlm_card
from training.trainers.captioning import PROJECTOR, CaptionTrainer
from training.trainers.layer_memory import remember_layers
from training.trainers.run_folder import RunFolder, settle_tokenizer
from training.trainers.run_log import write_run_log
from training.vlm_arguments import VlmArguments

logger = logging.getLogger(__name__)

RECIPE = (VlmArguments, SFTConfig)
LANGUAGE_LINEARS = r"model\.language_model\..*\.(q|k|v|o|gate|up|down)_proj"  # anchored: the tower has q_proj too


def language_adapters(arguments: VlmArguments) -> LoraConfig:
    """Returns what is trained: adapters beside the language model's linear layers, and the projectors whole."""
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
    push, training.push_to_hub = training.push_to_hub, False  # what is pushed is the finished folder, with its card
    with holding(arguments.dataset, arguments.clip_model, arguments.language_model):
        run = RunFolder("train vlm", arguments, training, splits=("train",))
        if not run.is_finished():
            train(run, arguments, training)
    if push and run.leads:
        door.push("vlm", run.path, training.hub_model_id or run.path.name, bool(training.hub_private_repo))


def train(run: RunFolder, arguments: VlmArguments, training: SFTConfig) -> None:
    """Does what is left of a run, from the model to its card.

    Args:
        run: Folder to write.
        arguments, training: The recipe.
    """
    towers = (arguments.clip_model, arguments.language_model)
    set_seed(training.seed)

    # Model
    options = {name: getattr(arguments, name) for name in ("pooling", "grid_size", "projector_context")}
    with loading(" and ".join(towers), "a CLIP and a language model"):
        model = FusionRSVLMForConditionalGeneration.from_towers(*towers, arguments.num_language_layers, **options)
        processor = FusionRSVLMProcessor.from_towers(*towers, model.config.num_image_tokens)
    check_model(model, " and ".join(towers))
    if arguments.attn_implementation:
        model.set_attn_implementation(arguments.attn_implementation)

    # Data
    rows = load_pairs(arguments.dataset, "train")
    examples = conversations(rows, arguments.prompt)
    fit_vlm_norm(model.model, processor, examples, arguments.norm_samples, training.seed)

    with run.writing():
        # Base, which the adapter is an adapter of
        if run.leads:
            for part in (model, processor):
                part.save_pretrained(run.model_path / "base")
            run.add(run.model_path)
        model.name_or_path = str(run.path / "base")

        # Train
        trainer = CaptionTrainer(
            model=model,
            args=training,
            train_dataset=examples,
            processing_class=processor,
            peft_config=language_adapters(arguments),
            projector_learning_rate=arguments.projector_learning_rate,
            run=run,
        )
        started = time.monotonic()
        with remember_layers(model.model.vision_tower) if arguments.remember_images else nullcontext():
            trainer.train(resume_from_checkpoint=run.last_checkpoint)

        # Save
        write_run_log(trainer, run.model_path, arguments, rows, towers, time.monotonic() - started)
        if run.leads:
            save_merged(trainer, processor, run.model_path)
            write_vlm_card(run.model_path, model_id=training.hub_model_id or str(run.path))
        run.finish(trainer.state.best_model_checkpoint)


if __name__ == "__main__":
    main()
