"""What a recipe of the dual-modal CLIP may say; read without torch, for the help."""

from dataclasses import dataclass, field

from fusionrs_hf.bounded_json import parse_json_field
from fusionrs_hf.errors import shown
from training.run_arguments import KEEP_CHECKPOINTS, OVERWRITE

PROJECTION_STARTS = ("random", "whitened")
IR_VIEWS = ("sensor", "grayscale", "rgb_duplicate", "shuffled")
# As options name them -> as columns do; `auto` is settled by the dataset, see `data.dataset_contents.chosen_origin`.
IR_ORIGINS = {"auto": None, "sensor": "sensor", "translated": "translated", "any": None}
IR_ORIGIN_SCORED = "which infrared is scored (default: the sensor's where there is some, else translated)"


@dataclass
class ClipArguments:
    """What is trained on what; everything else is a field of `transformers.TrainingArguments`."""

    dataset: str = field(metadata={"help": "Hub id or folder of the dataset."})
    ir_origin: str = field(
        default="auto",
        metadata={"help": "Which infrared: sensor, translated, any or auto, the sensor's where there is some."},
    )
    ir_range: dict | str | None = field(
        default=None,
        metadata={"help": "Limits of infrared above 8 bit, in its unit: [low, high], or a pair by ir_band (JSON)."},
    )
    train_rows: int | None = field(
        default=None, metadata={"help": "Train on so many rows only: a prefix of one shuffle, so that scales nest."}
    )
    leave_out_scenes: list[str] | None = field(
        default=None,
        metadata={"help": "Scenes of which no row is trained on, as their rows' source_locator names them."},
    )
    streaming: bool = field(
        default=False, metadata={"help": "Read training rows from their files as they are needed; needs max_steps."}
    )
    shuffle_buffer: int = field(default=1_000, metadata={"help": "Rows of a stream that the next is drawn from."})
    clip: str | None = field(
        default=None, metadata={"help": "Hub id or folder of a CLIP or FusionRS-CLIP to start from."}
    )
    vision_tower: str | None = field(
        default=None, metadata={"help": "Instead of clip, with text_tower: Hub id or folder of an image tower."}
    )
    text_tower: str | None = field(default=None, metadata={"help": "Hub id or folder of a text tower."})
    vision_layers: int | None = field(
        default=None, metadata={"help": "With vision_tower: keep so many of its lowest layers; None: all."}
    )
    vision_pooling: str = field(default="pooler", metadata={"help": "pooler, cls, mean or grid."})
    text_pooling: str = field(default="pooler", metadata={"help": "pooler, cls or mean."})
    projection_dim: int = field(default=512, metadata={"help": "Width of the joint space."})
    projection_start: str = field(
        default="random",
        metadata={"help": "Of the images, with vision_tower: random, or whitened: it keeps what features tell."},
    )
    feature_norm: bool = field(
        default=False,
        metadata={"help": "Standardise image features by modality; what a CLIP to start from has stays."},
    )
    norm_rows: int = field(default=10_000, metadata={"help": "Rows of a stream that feature_norm is fitted on."})
    rgb_text_weight: float = field(default=1.0, metadata={"help": "Weight of the RGB-text term."})
    ir_text_weight: float = field(default=1.0, metadata={"help": "Weight of the IR-text term."})
    rgb_ir_weight: float = field(default=1.0, metadata={"help": "Weight of the RGB-IR term."})
    group_aware: bool = field(
        default=True, metadata={"help": "Rows that show or tell the same are no negatives of each other."}
    )
    ir_caption_probability: float = field(default=0.5, metadata={"help": "Share of texts that are IR-aware captions."})
    texts_per_row: int = field(default=1, metadata={"help": "Captions that each row is shown with in a step."})
    ir_view: str = field(
        default="sensor", metadata={"help": "sensor, or a control: grayscale, rgb_duplicate, shuffled."}
    )
    augment_crop: float = field(
        default=1.0, metadata={"help": "Smallest share of a random window, one for RGB and infrared; 1: none."}
    )
    augment_flip: bool = field(
        default=False,
        metadata={"help": "Turn and mirror RGB and infrared alike, unless the caption names a direction."},
    )
    augment_color: float = field(
        default=0.0, metadata={"help": "Brightness, contrast and saturation of the RGB change by up to this share."}
    )
    augment_radiometry: float = field(
        default=0.0,
        metadata={
            "help": "Gamma, contrast and level of RGB and of infrared change, apart, by this strength, such as 0.5."
        },
    )
    augment_versions: int = field(
        default=0,
        metadata={"help": "Changed versions of each image, shown as often as itself; 0: a new one every time."},
    )
    frozen_vision_layers: int = field(
        default=0, metadata={"help": "Lowest image-tower layers kept as loaded; -1: the whole tower."}
    )
    remember_images: bool = field(
        default=False,
        metadata={
            "help": "Keep in memory what the frozen layers give for each image; without frozen_vision_layers the "
            "image tower is frozen whole."
        },
    )
    frozen_text_layers: int = field(
        default=0, metadata={"help": "Lowest text-tower layers kept as loaded; -1: the whole tower."}
    )
    lora_rank: int = field(
        default=0, metadata={"help": "Train the towers by low-rank adapters, but for what is frozen; 0: in full."}
    )
    lora_alpha: int | None = field(
        default=None, metadata={"help": "Adapters count lora_alpha / lora_rank; None: twice the rank."}
    )
    lora_dropout: float = field(default=0.0, metadata={"help": "Of the adapters' input."})
    lora_modules: list[str] | None = field(
        default=None, metadata={"help": "Names of the linear layers to adapt, such as q_proj v_proj; None: all."}
    )
    head_learning_rate: float | None = field(
        default=None, metadata={"help": "Of projections and scale; None: as towers."}
    )
    text_head_learning_rate: float | None = field(
        default=None, metadata={"help": "Of the text projection; None: as the other heads."}
    )
    max_logit_scale: float | None = field(
        default=100.0, metadata={"help": "Clamp of the inverse temperature, or none."}
    )
    decay_all: bool = field(default=False, metadata={"help": "Weight decay on norms, biases and the scale, too."})
    encode_rows: int = field(
        default=0, metadata={"help": "Rows encoded at a time: batches larger than memory, same loss; 0: all at once."}
    )
    text_positions: int | None = field(
        default=None, metadata={"help": "Tokens of the longest text: the text tower's positions are stretched to it."}
    )
    modality_embedding: bool = field(default=False, metadata={"help": "Learned infrared tile in the shared tower."})
    ir_channels: int | None = field(
        default=None, metadata={"help": "Give infrared a tower of its own, started from RGB's, of 1 or 3 channels."}
    )
    fusion: str = field(default="mean", metadata={"help": "mean or gated."})
    fusion_weight: float = field(default=0.5, metadata={"help": "Weight of infrared in the mean."})
    fused_text_weight: float = field(default=0.0, metadata={"help": "Weight of the fused-text term."})
    modality_dropout: float = field(default=0.0, metadata={"help": "Chance that a fused row has one modality only."})
    contrastive_loss: str = field(default="info_nce", metadata={"help": "info_nce or sigmoid."})
    logit_scale_init_value: float = field(default=2.6592, metadata={"help": "Log inverse temperature at the start."})
    logit_bias_init_value: float = field(default=-10.0, metadata={"help": "Bias of the sigmoid loss at the start."})
    keep_checkpoints: bool = field(default=False, metadata=KEEP_CHECKPOINTS)
    overwrite: bool = field(default=False, metadata=OVERWRITE)

    def __post_init__(self) -> None:
        """Checks what no other place can."""
        if bool(self.clip) == bool(self.vision_tower and self.text_tower) or (self.clip and self.vision_tower):
            raise ValueError(
                "give clip, or vision_tower and text_tower, to start from; got "
                f"clip={shown(self.clip)}, vision_tower={shown(self.vision_tower)}, "
                f"text_tower={shown(self.text_tower)}"
            )
        if isinstance(self.ir_range, str):
            self.ir_range = parse_json_field("ir_range", self.ir_range)
        if self.ir_view not in IR_VIEWS:
            raise ValueError(f"ir_view must be one of {IR_VIEWS}, got {shown(self.ir_view)}")
        if self.ir_origin not in IR_ORIGINS:
            raise ValueError(f"ir_origin must be one of {tuple(IR_ORIGINS)}, got {shown(self.ir_origin)}")
        if self.projection_start not in PROJECTION_STARTS:
            raise ValueError(
                f"projection_start must be one of {PROJECTION_STARTS}, got {shown(self.projection_start)}"
            )
        if self.texts_per_row < 1:
            raise ValueError(f"texts_per_row must be positive, got {self.texts_per_row}")
        if not 0 <= self.ir_caption_probability <= 1:
            raise ValueError(f"ir_caption_probability must lie in [0, 1], got {self.ir_caption_probability}")
        for name in ("modality_dropout", "lora_dropout", "augment_color", "augment_radiometry"):
            if not 0 <= getattr(self, name) < 1:
                raise ValueError(f"{name} must lie in [0, 1), got {getattr(self, name)}")
        if not 0 < self.augment_crop <= 1:
            raise ValueError(f"augment_crop must lie in (0, 1], got {self.augment_crop}")
        least = {
            "encode_rows": 0,
            "lora_rank": 0,
            "augment_versions": 0,
            "frozen_vision_layers": -1,
            "frozen_text_layers": -1,
        }
        for name, value in {**least, "shuffle_buffer": 1, "norm_rows": 2}.items():
            if getattr(self, name) < value:
                raise ValueError(f"{name} must be {value} or more, got {getattr(self, name)}")
        self._check_together()

    def _check_together(self) -> None:
        changes = self.augment_crop < 1 or self.augment_flip or self.augment_color or self.augment_radiometry
        if self.augment_versions and not changes:
            raise ValueError("augment_versions is of changed images; say how they change, as augment_radiometry: 0.5")
        if self.remember_images and changes and not self.augment_versions:
            raise ValueError(
                "remember_images needs images that come again; give augment_versions, such as 2, or drop it or the "
                "augment_ options"
            )
        if not self.lora_rank and (self.lora_alpha or self.lora_dropout or self.lora_modules):
            raise ValueError("lora_alpha, lora_dropout and lora_modules need adapters; give lora_rank, such as 8")
        if self.clip and (self.vision_layers is not None or self.projection_start != "random"):
            raise ValueError("vision_layers and projection_start are of new projections; give towers instead of clip")
        if self.streaming and (self.train_rows is not None or self.leave_out_scenes or self.ir_view == "shuffled"):
            raise ValueError(
                "train_rows, leave_out_scenes and ir_view: shuffled need all rows at hand; drop them, or streaming"
            )
