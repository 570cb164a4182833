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
from training.data.conversations import conversations, fit_vlm_norm
from training.data.pairs import load_pairs
from training.recipe import parse_recipe
from training.release import door
from training.release.cards import write_vlm_card
from training.trainers.captioning import PROJECTOR, CaptionTrainer
from training.trainers.checkpoints import last_whole_checkpoint
from training.trainers.layer_memory import remember_layers
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
    adapted.save_pretrained(folder / "adapter")
    processor.save_pretrained(folder / "adapter")
    for part in (adapted.merge_and_unload(), processor):
        part.save_pretrained(folder)


def main(argv: Sequence[str] | None = None) -> None:
    """Trains as the recipe says; leaves the merged model, its adapter and base, log and card in `output_dir`."""
    arguments, training = parse_recipe(RECIPE, sys.argv[1:] if argv is None else argv)
    training.remove_unused_columns, training.max_length = False, None  # cutting a text would cut an image's tokens
    push, training.push_to_hub = training.push_to_hub, False  # what is pushed is the finished folder, with its card
    folder = Path(training.output_dir)
    towers = (arguments.clip_model, arguments.language_model)
    set_seed(training.seed)

    # Model
    options = {name: getattr(arguments, name) for name in ("pooling", "grid_size", "projector_context")}
    model = FusionRSVLMForConditionalGeneration.from_towers(*towers, arguments.num_language_layers, **options)
    processor = FusionRSVLMProcessor.from_towers(*towers, model.config.num_image_tokens)
    if arguments.attn_implementation:
        model.set_attn_implementation(arguments.attn_implementation)

    # Data
    rows = load_pairs(arguments.dataset, "train")
    examples = conversations(rows, arguments.prompt)
    fit_vlm_norm(model.model, processor, examples, arguments.norm_samples, training.seed)
    if training.should_save:
        for part in (model, processor):
            part.save_pretrained(folder / "base")  # what the adapter is an adapter of
    model.name_or_path = str(folder / "base")

    # Train
    trainer = CaptionTrainer(
        model=model,
        args=training,
        train_dataset=examples,
        processing_class=processor,
        peft_config=language_adapters(arguments),
        projector_learning_rate=arguments.projector_learning_rate,
    )
    started = time.monotonic()
    with remember_layers(model.model.vision_tower) if arguments.remember_images else nullcontext():
        trainer.train(resume_from_checkpoint=last_whole_checkpoint(folder))

    # Save
    write_run_log(trainer, folder, arguments, rows, towers, time.monotonic() - started)
    if training.should_save:
        save_merged(trainer, processor, folder)

    # Push
    if trainer.is_world_process_zero():
        write_vlm_card(folder, model_id=training.hub_model_id)
        if push:
            door.push("vlm", folder, training.hub_model_id or folder.name, bool(training.hub_private_repo))


if __name__ == "__main__":
    main()
