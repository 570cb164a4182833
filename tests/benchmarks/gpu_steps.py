"""Steps of both models at real sizes on a GPU, in bf16, from random weights and random batches: time and memory.

    python -m tests.benchmarks.gpu_steps clip --output clip.json

The CLIP has the published B/32 towers; the VLM a CLIP L/14 tower and a language model of Qwen2-1.5B's size, of which
LoRA and the projectors are trained. Nothing is loaded and nothing learnt. `gpu.sh` runs all.
"""

import argparse
import json
import logging
import statistics
import tempfile
import time
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import torch
from peft import get_peft_model
from torch import nn
from torch.utils.data import Dataset
from transformers import (
    CLIPTextConfig,
    CLIPVisionConfig,
    LlamaConfig,
    Qwen2Config,
    Trainer,
    TrainerCallback,
    TrainingArguments,
)

from fusionrs_hf.configuration_fusionrs_clip import FusionRSCLIPConfig
from fusionrs_hf.configuration_fusionrs_vlm import FusionRSVLMConfig
from fusionrs_hf.modeling_fusionrs_clip import FusionRSCLIPModel
from fusionrs_hf.modeling_fusionrs_vlm import FusionRSVLMForConditionalGeneration
from training.train_vlm import language_adapters
from training.trainers.contrastive import ContrastiveTrainer
from training.vlm_arguments import VlmArguments

logger = logging.getLogger(__name__)
STEPS, WARM = 12, 4
TEXT_TOKENS, ANSWER_TOKENS = 77, 48
SMALL = {"hidden_size": 64, "intermediate_size": 128, "num_hidden_layers": 2, "num_attention_heads": 2}


class RandomRows(Dataset):
    """The same random row, as often as asked for; images are drawn once."""

    def __init__(self, row: dict[str, Any], count: int) -> None:
        self.row, self.count = row, count

    def __len__(self) -> int:
        return self.count

    def __getitem__(self, index: int) -> dict[str, Any]:
        return self.row


class Clock(TrainerCallback):
    """Seconds of each step."""

    def __init__(self) -> None:
        self.seconds: list[float] = []

    def on_step_begin(self, *args: object, **kwargs: object) -> None:
        """Starts."""
        self.started = _now()

    def on_step_end(self, *args: object, **kwargs: object) -> None:
        """Stops."""
        self.seconds.append(_now() - self.started)


def _now() -> float:
    if torch.cuda.is_available():
        torch.cuda.synchronize()
    return time.perf_counter()


def clip(small: bool) -> tuple[nn.Module, dict[str, Any], type[Trainer]]:
    """A CLIP with B/32 towers and a row of it."""
    size = SMALL if small else {}
    vision, text = CLIPVisionConfig(**size), CLIPTextConfig(**size)
    model = FusionRSCLIPModel(FusionRSCLIPConfig(vision_config=vision.to_dict(), text_config=text.to_dict()))
    pixels = torch.randn(3, vision.image_size, vision.image_size)
    ids = torch.randint(1, text.vocab_size - 2, (TEXT_TOKENS,))
    row = {"pixel_values": pixels, "ir_pixel_values": pixels, "input_ids": ids, "attention_mask": torch.ones_like(ids)}
    return model, row, ContrastiveTrainer


def vlm(small: bool) -> tuple[nn.Module, dict[str, Any], type[Trainer]]:
    """A two-image VLM with LoRA and a row of it."""
    if small:
        vision, text = CLIPVisionConfig(**SMALL), LlamaConfig(**SMALL, vocab_size=1000)
    else:
        vision = CLIPVisionConfig(
            hidden_size=1024, intermediate_size=4096, num_hidden_layers=24, num_attention_heads=16, patch_size=14
        )
        text = Qwen2Config(
            hidden_size=1536, intermediate_size=8960, num_hidden_layers=28, num_attention_heads=12,
            num_key_value_heads=2, vocab_size=151_936, tie_word_embeddings=True,
        )  # fmt: skip
    config = FusionRSVLMConfig(text_config=text.to_dict(), vision_config=vision.to_dict(), pooling="patches")
    model = FusionRSVLMForConditionalGeneration(config)
    model = get_peft_model(model, language_adapters(VlmArguments("", "", "")))
    run = [config.image_token_id] * config.num_image_tokens
    head = [config.rgb_token_id, *run, config.ir_token_id, *run]
    ids = torch.tensor([*head, *torch.randint(3, text.vocab_size, (ANSWER_TOKENS,)).tolist()])
    labels = torch.cat([torch.full((len(head),), -100), ids[len(head) :]])
    pixels = torch.randn(2, 3, vision.image_size, vision.image_size)
    row = {"input_ids": ids, "attention_mask": torch.ones_like(ids), "labels": labels, "pixel_values": pixels}
    return model, row, Trainer


def collate(rows: list[dict[str, Any]]) -> dict[str, Any]:
    """Rows -> a batch: pairs' images in text order for the VLM, ids of what is no negative for the CLIP."""
    batch = {name: torch.stack([row[name] for row in rows]) for name in rows[0]}
    if "labels" in batch:
        return batch | {"pixel_values": batch["pixel_values"].flatten(0, 1)}
    ids = torch.arange(len(rows))
    return batch | {"image_ids": ids, "caption_ids": ids, "return_loss": True}


def main(argv: Sequence[str] | None = None) -> None:
    """Measures one model and writes the result."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("model", choices=("clip", "vlm"))
    parser.add_argument("--batch", type=int, help="rows a step; default: 256 of the CLIP, 8 of the VLM")
    parser.add_argument("--small", action="store_true", help="tiny models: tries the script where no GPU is")
    parser.add_argument("--output", type=Path, required=True)
    arguments = parser.parse_args(argv)
    torch.manual_seed(0)
    model, row, kind = {"clip": clip, "vlm": vlm}[arguments.model](arguments.small)
    batch, clock = arguments.batch or {"clip": 256, "vlm": 8}[arguments.model], Clock()
    with tempfile.TemporaryDirectory() as folder:
        training = TrainingArguments(
            folder,
            max_steps=STEPS,
            per_device_train_batch_size=batch,
            bf16=True,
            report_to="none",
            save_strategy="no",
            remove_unused_columns=False,
            disable_tqdm=True,
            use_cpu=not torch.cuda.is_available(),
            logging_steps=STEPS,
        )
        rows = RandomRows(row, batch * STEPS)
        trainer = kind(model=model, args=training, train_dataset=rows, data_collator=collate, callbacks=[clock])
        trainer.train()
    found = {
        "model": arguments.model,
        "small": arguments.small,
        "sharded": bool(trainer.is_fsdp_enabled),
        "batch": batch,
        "parameters": sum(value.numel() for value in model.parameters()),
        "median_ms": round(1000 * statistics.median(clock.seconds[WARM:]), 1),
        "peak_gib": round(torch.cuda.max_memory_allocated() / 2**30, 2) if torch.cuda.is_available() else None,
        "hardware": torch.cuda.get_device_name() if torch.cuda.is_available() else "no GPU",
    }
    arguments.output.write_text(json.dumps(found, indent=1) + "\n")


if __name__ == "__main__":
    main()
