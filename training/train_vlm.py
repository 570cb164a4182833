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
from dataclasses import dataclass, field
from pathlib import Path

import torch
from datasets import Dataset
from peft import LoraConfig
from torch import Tensor, nn
from transformers import set_seed
from trl import SFTConfig, SFTTrainer

import fusionrs_hf.auto  # noqa: F401 - registers the classes, so that checkpoints carry their code
from fusionrs_hf.errors import InputError
from fusionrs_hf.modeling_fusionrs_vlm import FusionRSVLMForConditionalGeneration, FusionRSVLMModel
from fusionrs_hf.processing_fusionrs_vlm import FusionRSVLMProcessor
from training import release
from training.cards import write_vlm_card
from training.frozen import remember_layers
from training.pairs import load_pairs
from training.recipe import parse_recipe
from training.resume import last_whole_checkpoint
from training.run_log import write_run_log

logger = logging.getLogger(__name__)

PROMPT = "Describe the infrared."  # names no fact; short, since every token costs time
LANGUAGE_LINEARS = r"model\.language_model\..*\.(q|k|v|o|gate|up|down)_proj"  # anchored: the tower has q_proj too
PROJECTOR = "multi_modal_projector"


@dataclass
class VlmArguments:
    """What is trained on what; everything else is a field of `trl.SFTConfig`."""

    dataset: str = field(metadata={"help": "Hub id or folder of the dataset."})
    clip_model: str = field(
        metadata={"help": "Hub id or folder of the trained dual-modal CLIP, or of an image tower."}
    )
    language_model: str = field(metadata={"help": "Hub id or folder of a causal language model and its tokenizer."})
    num_language_layers: int | None = field(default=None, metadata={"help": "Lowest layers to keep; None: all."})
    pooling: str = field(default="grid", metadata={"help": "grid or patches."})
    grid_size: int = field(default=3, metadata={"help": "Cells per side for grid."})
    projector_context: bool = field(default=True, metadata={"help": "Each image token sees the whole image too."})
    prompt: str = field(default=PROMPT, metadata={"help": "What every caption answers."})
    lora_rank: int = field(default=16, metadata={"help": "Rank of the LoRA matrices."})
    lora_alpha: int = field(default=32, metadata={"help": "LoRA's update is scaled by lora_alpha / lora_rank."})
    projector_learning_rate: float | None = field(default=None, metadata={"help": "None: as learning_rate."})
    remember_images: bool = field(
        default=False, metadata={"help": "Keep the frozen tower's output for every image; it must fit into memory."}
    )
    attn_implementation: str | None = field(
        default=None, metadata={"help": "None: transformers' choice. On a CPU in bf16, eager trains a fifth faster."}
    )
    norm_samples: int = field(default=512, metadata={"help": "Training rows that set the standardisation."})


class CaptionTrainer(SFTTrainer):
    """TRL's trainer with logits at labelled positions only on any device, and the projectors' own learning rate."""

    def __init__(self, *args: object, projector_learning_rate: float | None = None, **kwargs: object) -> None:
        super().__init__(*args, **kwargs)
        self.projector_learning_rate = projector_learning_rate

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


def conversations(rows: Dataset, prompt: str) -> Dataset:
    """Returns the rows with an infrared caption as TRL takes them: `images` [RGB, infrared], `prompt`, `completion`.

    Raises:
        InputError: No row has a caption.
    """
    captioned = [index for index, captions in enumerate(rows["ir_captions"]) if captions]
    if not captioned:
        raise InputError(f"none of {len(rows)} training rows has ir_captions; run the build's caption stage")
    if len(captioned) < len(rows):
        logger.warning("%d of %d rows have no ir_captions and are left out", len(rows) - len(captioned), len(rows))

    def transform(batch: dict[str, list]) -> dict[str, list]:
        return {
            "images": [list(pair) for pair in zip(batch["rgb"], batch["ir"])],
            "prompt": [[{"role": "user", "content": prompt}] for _ in batch["rgb"]],
            "completion": [[{"role": "assistant", "content": captions[0]}] for captions in batch["ir_captions"]],
        }

    return rows.select(captioned).select_columns(["rgb", "ir", "ir_captions"]).with_transform(transform)


def fit_feature_norm(
    model: FusionRSVLMModel, processor: FusionRSVLMProcessor, examples: Dataset, count: int, seed: int
) -> None:
    """Sets the standardisation from `count` training examples drawn by `seed`."""
    pixels = []
    for example in examples.shuffle(seed=seed).select(range(min(count, len(examples)))):
        text = "<rgb><image><ir><image>"  # the processor checks that RGB comes first
        pixels.append(processor(images=example["images"], text=text, return_tensors="pt")["pixel_values"])
    rgb, ir = torch.stack(pixels).unbind(1)  # (examples, 3, height, width) each
    model.fit_feature_norm(rgb.to(model.device), ir.to(model.device))


def main(argv: Sequence[str] | None = None) -> None:
    """Trains as the recipe says; leaves the merged model, its adapter and base, log and card in `output_dir`."""
    arguments, training = parse_recipe((VlmArguments, SFTConfig), sys.argv[1:] if argv is None else argv)
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
    lora = LoraConfig(
        r=arguments.lora_rank,
        lora_alpha=arguments.lora_alpha,
        target_modules=LANGUAGE_LINEARS,
        modules_to_save=[PROJECTOR],
        task_type="CAUSAL_LM",
    )

    # Data
    rows = load_pairs(arguments.dataset, "train")
    examples = conversations(rows, arguments.prompt)
    fit_feature_norm(model.model, processor, examples, arguments.norm_samples, training.seed)
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
        peft_config=lora,
        projector_learning_rate=arguments.projector_learning_rate,
    )
    started, checkpoint = time.monotonic(), last_whole_checkpoint(folder)
    with remember_layers(model.model.vision_tower) if arguments.remember_images else nullcontext():
        trainer.train(resume_from_checkpoint=checkpoint)

    # Save
    write_run_log(trainer, folder, arguments, rows, towers, time.monotonic() - started)
    if training.should_save:
        adapted = trainer.accelerator.unwrap_model(trainer.model)
        adapted.save_pretrained(folder / "adapter")
        processor.save_pretrained(folder / "adapter")
        merged = adapted.merge_and_unload()
        for part in (merged, processor):
            part.save_pretrained(folder)

        # Push
        write_vlm_card(folder, model_id=training.hub_model_id)
        if push:
            release.push("vlm", folder, training.hub_model_id or folder.name, bool(training.hub_private_repo))


if __name__ == "__main__":
    main()
