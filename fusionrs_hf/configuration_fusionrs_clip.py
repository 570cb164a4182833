"""Configuration of the dual-modal CLIP; apart from the model because remote code reads it first."""

from huggingface_hub.dataclasses import strict
from transformers import AutoConfig, PreTrainedConfig
from transformers.configuration_utils import SubConfigSpec

VISION_POOLINGS = ("pooler", "cls", "mean", "grid")
TEXT_POOLINGS = ("pooler", "cls", "mean")


@strict
class FusionRSCLIPConfig(PreTrainedConfig):
    """Configuration of `FusionRSCLIPModel`. With the defaults it describes OpenAI's CLIP, and reads its `config.json`.

    Args:
        text_config, vision_config: Configurations, or their dicts, of towers that `AutoModel.from_config` builds.
        projection_dim: Width of the joint embedding space.
        logit_scale_init_value: Start of the learnable log inverse temperature.
        vision_pooling: How an image's tokens become one vector: the tower's own `pooler`, `cls` (first token), `mean`
            (over patches) or `grid` (first token, then `grid_size` x `grid_size` means over patches, row by row).
        text_pooling: `pooler`, `cls`, or `mean` over the tokens that are not padding.
        grid_size: Cells per side for `grid`.
        feature_norm: Standardise the pooled image features by each modality's own training statistics
            (`feature_norm.*` in the checkpoint; see `FusionRSCLIPModel.fit_feature_norm`).
        rgb_text_weight, ir_text_weight, rgb_ir_weight: Weights of the three terms of the loss (the paper: 1 each).
    """

    model_type = "fusionrs_clip"
    sub_configs_defaults = {
        "text_config": SubConfigSpec(config_class=AutoConfig, model_type="clip_text_model"),
        "vision_config": SubConfigSpec(config_class=AutoConfig, model_type="clip_vision_model"),
    }

    text_config: dict | PreTrainedConfig | None = None
    vision_config: dict | PreTrainedConfig | None = None
    projection_dim: int = 512
    logit_scale_init_value: float | int = 2.6592
    vision_pooling: str = "pooler"
    text_pooling: str = "pooler"
    grid_size: int = 3
    feature_norm: bool = False
    rgb_text_weight: float | int = 1.0
    ir_text_weight: float | int = 1.0
    rgb_ir_weight: float | int = 1.0

    def __post_init__(self, **kwargs) -> None:  # noqa: ANN003 - transformers hands every unknown key of config.json on
        """Builds the towers' configurations; the logits stay out of gathered evaluation outputs."""
        super().__post_init__(**kwargs)
        self.keys_to_ignore_at_inference = ["logits_per_rgb", "logits_per_ir"]

    def validate_pooling(self) -> None:
        """Raises ValueError where a pooling, a size or a weight is not one this model has."""
        if self.vision_pooling not in VISION_POOLINGS:
            raise ValueError(f"vision_pooling must be one of {VISION_POOLINGS}, got {self.vision_pooling!r}")
        if self.text_pooling not in TEXT_POOLINGS:
            raise ValueError(f"text_pooling must be one of {TEXT_POOLINGS}, got {self.text_pooling!r}")
        for name in ("projection_dim", "grid_size"):
            if getattr(self, name) < 1:
                raise ValueError(f"{name} must be positive, got {getattr(self, name)}")
        weights = (self.rgb_text_weight, self.ir_text_weight, self.rgb_ir_weight)
        if min(weights) < 0 or sum(weights) == 0:
            raise ValueError(f"loss weights must be non-negative and not all zero, got {weights}")

    @property
    def image_feature_size(self) -> int:
        """Length of a pooled image vector before the projection."""
        cells = 1 + self.grid_size**2 if self.vision_pooling == "grid" else 1
        return self.vision_config.hidden_size * cells
