"""What a recipe of the VLM may say; read without torch, for the help."""

import re
from collections.abc import Sequence
from dataclasses import dataclass, field

from fusionrs_hf.errors import InputError, shown
from fusionrs_hf.prompts import PROMPT
from training.clip_arguments import IR_ORIGINS
from training.run_arguments import KEEP_CHECKPOINTS, OVERWRITE

IMAGES = {"both": ("rgb", "ir"), "rgb": ("rgb",), "ir": ("ir",), "none": ()}  # of `VlmArguments.images`: what is shown


@dataclass
class VlmArguments:
    """What is trained on what, in three stages; everything else is a field of `trl.SFTConfig`, of the last stage."""

    dataset: str = field(metadata={"help": "Hub id or folder of the dataset."})
    clip_model: str = field(
        metadata={"help": "Hub id or folder of the trained dual-modal CLIP, or of an image tower."}
    )
    language_model: str = field(metadata={"help": "Hub id or folder of a causal language model and its tokenizer."})
    ir_origin: str = field(
        default="auto",
        metadata={"help": "Which infrared: sensor, translated, any or auto, the sensor's where there is some."},
    )
    keep_language_layers: list[str] | None = field(
        default=None,
        metadata={"help": "Layers to keep, counted from 0: numbers and ranges such as 0-2 27-29; None: all."},
    )
    pooling: str = field(default="grid", metadata={"help": "grid or patches."})
    grid_size: int = field(default=3, metadata={"help": "Cells per side for grid."})
    projector_context: bool = field(default=True, metadata={"help": "Each image token sees the whole image too."})
    # What is taught
    images: str = field(
        default="both", metadata={"help": "What is shown: both, rgb or ir alone, or none: the same model, blind."}
    )
    facts_share: float = field(default=0.5, metadata={"help": "Examples that ask for all measured facts; relative."})
    questions_share: float = field(default=0.2, metadata={"help": "Examples that ask for one fact; relative."})
    captions_share: float = field(default=0.2, metadata={"help": "Examples of the dataset's ir_captions; relative."})
    joint_share: float = field(default=0.1, metadata={"help": "Examples of its joint_captions; relative."})
    questions_after: int = field(default=0, metadata={"help": "Steps of the last stage before the first question."})
    joint_after: int = field(
        default=0,
        metadata={"help": "Steps of it before the first joint caption: long captions drown what is not read."},
    )
    prompt: str = field(default=PROMPT, metadata={"help": "What a caption of the infrared answers."})
    place_weight: float = field(default=4.0, metadata={"help": "Weight in the loss of words that name a cell."})
    # The text stage
    text_steps: int = field(default=60, metadata={"help": "Steps of the language model on texts alone; 0: none."})
    text_learning_rate: float = field(default=5e-4, metadata={"help": "Its peak; cosine."})
    # The projector stage
    projector_steps: int = field(default=400, metadata={"help": "Steps of the projectors alone on facts; 0: none."})
    projector_batch_size: int = field(default=64, metadata={"help": "Pairs a step, over all processes."})
    projector_stage_learning_rate: float = field(default=1e-3, metadata={"help": "Its peak; cosine."})
    rearranged: float = field(
        default=0.8, metadata={"help": "Share of pairs whose cells change places there, and their names with them."}
    )
    sample_rows: int = field(
        default=4096, metadata={"help": "Training rows that it learns from, and that set the standardisation."}
    )
    # The language stage
    lora_rank: int = field(default=16, metadata={"help": "Rank of the LoRA matrices."})
    lora_alpha: int = field(default=32, metadata={"help": "LoRA's update is scaled by lora_alpha / lora_rank."})
    projector_learning_rate: float | None = field(
        default=0.0, metadata={"help": "Of the projectors in the last stage; 0: frozen, None: as learning_rate."}
    )
    validation_pairs: int = field(
        default=0, metadata={"help": "Validation rows whose facts every evaluation scores; 0: none."}
    )
    warn_after: int = field(
        default=150, metadata={"help": "Step at which images should have lowered the loss below the blind model's."}
    )
    stop_unread: bool = field(default=False, metadata={"help": "Stop there if they have not."})
    # How it runs
    streaming: bool = field(default=False, metadata={"help": "Read training rows as needed; takes max_steps."})
    shuffle_buffer: int = field(default=1000, metadata={"help": "Rows a stream keeps to draw the next from."})
    remember_images: bool = field(
        default=False, metadata={"help": "Keep the frozen tower's output for every image; it must fit into memory."}
    )
    attn_implementation: str | None = field(
        default=None, metadata={"help": "None: transformers' choice. On a CPU in bf16, eager trains a fifth faster."}
    )
    keep_checkpoints: bool = field(default=False, metadata=KEEP_CHECKPOINTS)
    overwrite: bool = field(default=False, metadata=OVERWRITE)

    def __post_init__(self) -> None:
        """Raises InputError where projectors would never learn, or a field has no such value."""
        if self.ir_origin not in IR_ORIGINS:
            raise InputError(f"ir_origin must be one of {tuple(IR_ORIGINS)}, got {shown(self.ir_origin)}")
        if self.images not in IMAGES:
            raise InputError(f"images must be one of {tuple(IMAGES)}, got {shown(self.images)}")
        if self.shown and self.projector_steps == 0 and self.projector_learning_rate == 0:
            raise InputError("projectors that skip their stage must learn in the last: give projector_learning_rate")
        counts = ("text_steps", "projector_steps", "validation_pairs")
        for name in (*counts, "questions_after", "joint_after", "warn_after"):
            if getattr(self, name) < 0:
                raise InputError(f"{name} must not be negative, got {getattr(self, name)}")
        if not 0 <= self.rearranged <= 1:
            raise InputError(f"rearranged is a share between 0 and 1, got {self.rearranged}")

    @property
    def shown(self) -> tuple[str, ...]:
        """Which images a conversation shows, `rgb` before `ir`."""
        return IMAGES[self.images]

    @property
    def shares(self) -> dict[str, float]:
        """Of each kind of lesson."""
        return {name: getattr(self, f"{name}_share") for name in ("facts", "questions", "captions", "joint")}


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
            raise InputError(f"keep_language_layers takes numbers and ranges such as 0-2 27-29, got {shown(part)}")
        numbers += range(first, last + 1)
    if len({*numbers}) < len(numbers) or not numbers:
        raise InputError(f"keep_language_layers must name each layer once, and at least one, got {list(ranges)}")
    return sorted(numbers)
