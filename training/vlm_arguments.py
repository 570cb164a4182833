"""What a recipe of the VLM may say; read without torch, for the help."""

import re
from collections.abc import Sequence
from dataclasses import dataclass, field

from fusionrs_hf.errors import InputError
from fusionrs_hf.prompts import PROMPT


@dataclass
class VlmArguments:
    """What is trained on what; everything else is a field of `trl.SFTConfig`."""

    dataset: str = field(metadata={"help": "Hub id or folder of the dataset."})
    clip_model: str = field(
        metadata={"help": "Hub id or folder of the trained dual-modal CLIP, or of an image tower."}
    )
    language_model: str = field(metadata={"help": "Hub id or folder of a causal language model and its tokenizer."})
    keep_language_layers: list[str] | None = field(
        default=None,
        metadata={"help": "Layers to keep, counted from 0: numbers and ranges such as 0-2 27-29; None: all."},
    )
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
    overwrite: bool = field(
        default=False, metadata={"help": "Start anew: replace what an earlier run has left in output_dir, no more."}
    )


def layer_numbers(ranges: Sequence[str | int] | None) -> list[int] | None:
    """Returns the numbers that ranges name, ascending: `["0-2", "27-29"]` gives 0, 1, 2, 27, 28, 29; None: all layers.

    Raises:
        InputError: One is no number and no range, or a number comes twice.
    """
    if ranges is None:
        return None
    numbers: list[int] = []
    for part in ranges:
        bounds = re.fullmatch(r"(\d+)(?:-(\d+))?", str(part).strip(" ,"))
        first, last = (int(bounds[1]), int(bounds[2] or bounds[1])) if bounds else (1, 0)
        if last < first:
            raise InputError(f"keep_language_layers takes numbers and ranges such as 0-2 27-29, got {part!r}")
        numbers += range(first, last + 1)
    if len({*numbers}) < len(numbers) or not numbers:
        raise InputError(f"keep_language_layers must name each layer once, and at least one, got {list(ranges)}")
    return sorted(numbers)
