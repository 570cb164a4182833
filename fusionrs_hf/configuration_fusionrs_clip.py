"""Configuration of the dual-modal CLIP; apart from the model because remote code reads it first."""

from huggingface_hub.dataclasses import strict
from transformers import AutoConfig, PreTrainedConfig
from transformers.configuration_utils import SubConfigSpec

VISION_POOLINGS = ("pooler", "cls", "mean", "grid")
TEXT_POOLINGS = ("pooler", "cls", "mean")
CONTRASTIVE_LOSSES = ("info_nce", "sigmoid")
FUSIONS = ("mean", "gated")


@strict
class FusionRSCLIPConfig(PreTrainedConfig):
    """Configuration of `FusionRSCLIPModel`. With the defaults it describes OpenAI's CLIP, and reads its `config.json`.

    Args:
        text_config, vision_config: Configurations, or their dicts, of towers that `AutoModel.from_config` builds.
        projection_dim: Width of the joint embedding space.
        logit_scale_init_value: Start of the learnable log inverse temperature.
        vision_pooling: How an image's tokens become one vector: the tower's own `pooler`, `cls` (first token), `mean`
            (over patches) or `grid` (first token, then `grid_size` x `grid_size` means over patches, row by row). A
            convolutional tower's map has no first token: its mean stands there.
        text_pooling: `pooler`, `cls`, or `mean` over the tokens that are not padding.
        grid_size: Cells per side for `grid`.
        feature_norm: Standardise the pooled image features by each modality's own training statistics
            (`feature_norm.*` in the checkpoint; see `FusionRSCLIPModel.fit_feature_norm`).
        ir_vision_config: Of an infrared tower of its own, with `num_channels` 3 or 1; None: RGB's tower reads both.
        modality_embedding: Add a learned patch-sized tile to infrared pixels before the shared tower. As a patch stem
            is linear, this is the same as a learned vector added to every infrared patch embedding.
        fusion: How an RGB and an infrared embedding become one: `mean` (weighted), or `gated` (a learned gate a
            dimension, from both).
        fusion_weight: Weight of the infrared in `mean`, 0 to 1.
        contrastive_loss: `info_nce` (CLIP), or `sigmoid` (SigLIP, with a learned `logit_bias`).
        logit_bias_init_value: Its start (SigLIP: -10).
        rgb_text_weight, ir_text_weight, rgb_ir_weight: Weights of the three terms of the loss (the paper: 1 each).
        fused_text_weight: Weight of the term between the fused pair and the text (the paper has none).
    """

    model_type = "fusionrs_clip"
    sub_configs_defaults = {
        "text_config": SubConfigSpec(config_class=AutoConfig, model_type="clip_text_model"),
        "vision_config": SubConfigSpec(config_class=AutoConfig, model_type="clip_vision_model"),
        "ir_vision_config": SubConfigSpec(config_class=AutoConfig, model_type="clip_vision_model", optional=True),
    }

    text_config: dict | PreTrainedConfig | None = None
    vision_config: dict | PreTrainedConfig | None = None
    ir_vision_config: dict | PreTrainedConfig | None = None
    projection_dim: int = 512
    logit_scale_init_value: float | int = 2.6592
    vision_pooling: str = "pooler"
    text_pooling: str = "pooler"
    grid_size: int = 3
    feature_norm: bool = False
    modality_embedding: bool = False
    fusion: str = "mean"
    fusion_weight: float | int = 0.5
    contrastive_loss: str = "info_nce"
    logit_bias_init_value: float | int = -10.0
    rgb_text_weight: float | int = 1.0
    ir_text_weight: float | int = 1.0
    rgb_ir_weight: float | int = 1.0
    fused_text_weight: float | int = 0.0

    def __post_init__(self, **kwargs) -> None:  # noqa: ANN003 - transformers hands every unknown key of config.json on
        """Builds the towers' configurations; the logits stay out of gathered evaluation outputs."""
        super().__post_init__(**kwargs)
        self.keys_to_ignore_at_inference = ["logits_per_rgb", "logits_per_ir"]

    def to_diff_dict(self) -> dict:
        """Returns what `config.json` holds: the towers' settings, not the folders of this machine they came from."""
        values = super().to_diff_dict()
        for tower in self.sub_configs_defaults:
            (values.get(tower) or {}).pop("_name_or_path", None)
        return values

    def validate_pooling(self) -> None:
        """Raises ValueError where a choice, a size or a weight is not one this model has."""
        for name, choices in (
            ("vision_pooling", VISION_POOLINGS),
            ("text_pooling", TEXT_POOLINGS),
            ("fusion", FUSIONS),
            ("contrastive_loss", CONTRASTIVE_LOSSES),
        ):
            if getattr(self, name) not in choices:
                raise ValueError(f"{name} must be one of {choices}, got {getattr(self, name)!r}")
        for name in ("projection_dim", "grid_size"):
            if getattr(self, name) < 1:
                raise ValueError(f"{name} must be positive, got {getattr(self, name)}")
        if not 0 <= self.fusion_weight <= 1:
            raise ValueError(f"fusion_weight must lie in [0, 1], got {self.fusion_weight}")
        weights = (self.rgb_text_weight, self.ir_text_weight, self.rgb_ir_weight, self.fused_text_weight)
        if min(weights) < 0 or sum(weights) == 0:
            raise ValueError(f"loss weights must be non-negative and not all zero, got {weights}")

    def validate_infrared_tower(self) -> None:
        """Raises ValueError where the infrared tower does not fit beside RGB's."""
        if self.ir_vision_config is None:
            return
        if self.modality_embedding:
            raise ValueError(
                "modality_embedding tells infrared from RGB in a shared tower; with ir_vision_config leave it out"
            )
        sizes = tower_width(self.vision_config), tower_width(self.ir_vision_config)
        if sizes[0] != sizes[1]:
            raise ValueError(f"ir_vision_config must have RGB's hidden_size {sizes[0]}, got {sizes[1]}")
        if getattr(self.ir_vision_config, "num_channels", 3) not in (1, 3):
            raise ValueError(f"an infrared tower has 1 or 3 channels, got {self.ir_vision_config.num_channels}")

    @property
    def image_feature_size(self) -> int:
        """Length of a pooled image vector before the projection."""
        cells = 1 + self.grid_size**2 if self.vision_pooling == "grid" else 1
        return tower_width(self.vision_config) * cells


def tower_width(config: PreTrainedConfig) -> int:
    """Returns the channels of a tower's last hidden state: `hidden_size`, or the last of `hidden_sizes`.

    Raises:
        ValueError: The configuration has neither.
    """
    sizes = getattr(config, "hidden_sizes", None)
    width = getattr(config, "hidden_size", None) or (sizes[-1] if sizes else None)
    if width is None:
        raise ValueError(
            f"{type(config).__name__} has neither hidden_size nor hidden_sizes; add hidden_size to the tower's "
            "config.json, the number of channels of its last hidden state"
        )
    return width
