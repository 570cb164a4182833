"""What a recipe of the VLM may say; read without torch, for the help."""

from dataclasses import dataclass, field

from fusionrs_hf.prompts import PROMPT


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
    overwrite: bool = field(
        default=False, metadata={"help": "Start anew: replace what an earlier run has left in output_dir, no more."}
    )
