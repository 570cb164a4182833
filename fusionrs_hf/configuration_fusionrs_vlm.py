"""Configuration of the two-image VLM, and the names of the tokens that carry images and their modality."""

from huggingface_hub.dataclasses import strict
from transformers import AutoConfig, PreTrainedConfig
from transformers.configuration_utils import SubConfigSpec

IMAGE_TOKEN = "<image>"
MODALITY_TOKENS = {"rgb": "<rgb>", "ir": "<ir>"}
POOLINGS = ("grid", "patches")


@strict
class FusionRSVLMConfig(PreTrainedConfig):
    """Configuration of `FusionRSVLMForConditionalGeneration`.

    Args:
        text_config, vision_config: Configurations, or their dicts, of models that `AutoModel.from_config` builds. The
            image tower gives a class token, then a square of patches.
        image_token_id: Id of `<image>`, repeated `num_image_tokens` times for each image.
        rgb_token_id, ir_token_id: Ids of `<rgb>` and `<ir>`, one before each image's run.
        pooling: What an image becomes: `grid`, the means of `grid_size` x `grid_size` blocks of patches, row by row,
            or `patches`, all of them.
        grid_size: Cells per side for `grid`.
        projector_context: Each image token sees the whole image beside its own features: the class token and, for
            `grid`, all cells.
        projector_scale: Spread of the projected features at the start; `from_towers` takes the word embeddings'.
        tie_word_embeddings: The output head is the embedding table; follows the text configuration when it says so.
    """

    model_type = "fusionrs_vlm"
    sub_configs_defaults = {
        "text_config": SubConfigSpec(config_class=AutoConfig, model_type="llama"),
        "vision_config": SubConfigSpec(config_class=AutoConfig, model_type="clip_vision_model"),
    }

    text_config: dict | PreTrainedConfig | None = None
    vision_config: dict | PreTrainedConfig | None = None
    image_token_id: int = 0
    rgb_token_id: int = 1
    ir_token_id: int = 2
    pooling: str = "grid"
    grid_size: int = 3
    projector_context: bool = True
    projector_scale: float | int = 1.0
    tie_word_embeddings: bool = False

    def __post_init__(self, **kwargs) -> None:  # noqa: ANN003 - transformers hands every unknown key of config.json on
        """Builds the towers' configurations, and ties the embeddings where the text configuration does."""
        super().__post_init__(**kwargs)
        self.tie_word_embeddings = self.tie_word_embeddings or self.text_config.tie_word_embeddings

    def to_diff_dict(self) -> dict:
        """Returns what `config.json` holds: the towers' settings, not the folders of this machine they came from."""
        values = super().to_diff_dict()
        for tower in self.sub_configs_defaults:
            (values.get(tower) or {}).pop("_name_or_path", None)
        return values

    def validate_images(self) -> None:
        """Raises ValueError where the tokens of an image cannot be told apart, or there are none."""
        ids = (self.image_token_id, self.rgb_token_id, self.ir_token_id)
        if len(set(ids)) < 3:
            raise ValueError(f"image_token_id, rgb_token_id and ir_token_id must differ, got {ids}")
        if self.pooling not in POOLINGS:
            raise ValueError(f"pooling must be one of {POOLINGS}, got {self.pooling!r}")
        if not 1 <= self.grid_size <= self.patches_per_side:
            raise ValueError(
                f"grid_size must lie in 1 to {self.patches_per_side} patches a side, got {self.grid_size}"
            )
        if self.projector_scale <= 0:
            raise ValueError(f"projector_scale must be positive, got {self.projector_scale}")

    @property
    def patches_per_side(self) -> int:
        """Patches along one side of the square image that the tower takes."""
        return self.vision_config.image_size // self.vision_config.patch_size

    @property
    def num_image_tokens(self) -> int:
        """How many `<image>` tokens stand for one image."""
        return self.grid_size**2 if self.pooling == "grid" else self.patches_per_side**2
