"""The dual-modal CLIP: one image tower for RGB and infrared, a text tower, and losses as functions of embeddings.

Copied to the Hub as remote code: imports torch, transformers and its sibling only.
"""

import math
from dataclasses import dataclass

import torch
import torch.nn.functional as F
from torch import Tensor, nn
from transformers import AutoModel, PreTrainedModel
from transformers import initialization as init
from transformers.utils import ModelOutput

from .configuration_fusionrs_clip import FusionRSCLIPConfig


@dataclass
class FusionRSCLIPOutput(ModelOutput):
    """What `FusionRSCLIPModel` returns; a field is None where its modality was not given.

    Args:
        loss: Scalar, weighted mean of the symmetric contrastive terms of the modalities given (`return_loss=True`).
        rgb_embeds, ir_embeds, text_embeds: Unit-length embeddings, `(batch, projection_dim)`.
        logits_per_rgb, logits_per_ir: `exp(logit_scale)` times cosine of every image to every text, `(images, texts)`.
    """

    loss: Tensor | None = None
    rgb_embeds: Tensor | None = None
    ir_embeds: Tensor | None = None
    text_embeds: Tensor | None = None
    logits_per_rgb: Tensor | None = None
    logits_per_ir: Tensor | None = None


def pool_tokens(hidden: Tensor, how: str, grid_size: int = 3) -> Tensor:
    """Pools an image tower's tokens, of which the first is the class token and the rest a square of patches.

    Args:
        hidden: Last hidden state, `(batch, 1 + patches, hidden_size)`, patches row by row.
        how: `cls`, `mean` (over patches) or `grid` (class token, then `grid_size` x `grid_size` means, row by row).
        grid_size: Cells per side; where it does not divide the side, cells overlap by a patch (adaptive pooling).

    Returns:
        `(batch, hidden_size)`, or for `grid` `(batch, (1 + grid_size ** 2) * hidden_size)`.

    Raises:
        ValueError: `how` is unknown, or the patches are not a square of at least `grid_size` a side.
    """
    if how == "cls":
        return hidden[:, 0]
    patches = hidden[:, 1:]  # (batch, patches, hidden_size)
    if how == "mean":
        return patches.mean(1)
    if how != "grid":
        raise ValueError(f"pooling must be cls, mean or grid, got {how!r}")
    side = math.isqrt(patches.shape[1])
    if side * side != patches.shape[1] or side < grid_size:
        raise ValueError(
            f"grid pooling needs a square of at least {grid_size} x {grid_size} patches, got {patches.shape[1]}"
        )
    square = patches.transpose(1, 2).unflatten(2, (side, side))  # (batch, hidden_size, side, side)
    cells = F.adaptive_avg_pool2d(square, grid_size).flatten(2).transpose(1, 2)  # (batch, grid_size^2, hidden_size)
    return torch.cat([hidden[:, :1], cells], dim=1).flatten(1)


class FeatureNorm(nn.Module):
    """Standardises pooled image features by per-modality statistics, kept in the checkpoint as buffers.

    RGB and infrared features of one tower differ in mean and scale; without this, cosine between them mostly measures
    modality. Identity until the statistics are set.
    """

    def __init__(self, size: int) -> None:
        super().__init__()
        for name, value in self.identity(size).items():
            self.register_buffer(name, value)

    @staticmethod
    def identity(size: int) -> dict[str, Tensor]:
        """Statistics that change nothing, by buffer name, each `(size,)`."""
        return {
            f"{modality}_{name}": fill(size)
            for modality in ("rgb", "ir")
            for name, fill in (("mean", torch.zeros), ("std", torch.ones))
        }

    def forward(self, features: Tensor, modality: str) -> Tensor:
        """Returns `(features - mean) / std` of the modality, `rgb` or `ir`; shape `(..., size)` is kept."""
        return (features - getattr(self, f"{modality}_mean")) / getattr(self, f"{modality}_std")


def info_nce(left: Tensor, right: Tensor, logit_scale: Tensor, positives: Tensor | None = None) -> Tensor:
    """Symmetric InfoNCE (CLIP, arXiv 2103.00020) between two sets of unit-length embeddings, group-aware.

    With `positives`, each row's target is uniform over its positives (SupCon's outer sum, arXiv 2004.11362, eq. 2);
    with none, or with only the diagonal set, it is the plain loss.

    Args:
        left, right: `(batch, projection_dim)`; row i of each is the same scene.
        logit_scale: Inverse temperature, already exponentiated; scalar.
        positives: Bool, `(batch, batch)`, symmetric, diagonal true: which rows are not negatives of each other.

    Returns:
        Scalar loss.
    """
    logits = logit_scale * left @ right.T  # (batch, batch)
    if positives is None:
        target = torch.arange(len(left), device=left.device)  # (batch,)
    else:
        target = positives / positives.sum(1, keepdim=True)  # (batch, batch), rows sum to one
    return (F.cross_entropy(logits, target) + F.cross_entropy(logits.T, target)) / 2


def same_id(ids: Tensor) -> Tensor:
    """Returns the bool matrix `(batch, batch)` of equal ids, from integer ids `(batch,)`."""
    return ids[:, None] == ids[None, :]


def trimodal_loss(
    embeds: dict[str, Tensor],
    logit_scale: Tensor,
    weights: dict[tuple[str, str], float],
    image_ids: Tensor | None = None,
    caption_ids: Tensor | None = None,
) -> Tensor:
    """Weighted mean of `info_nce` over pairs of modalities (arXiv 2606.17020: RGB-text, IR-text and RGB-IR).

    Args:
        embeds: Unit-length embeddings `(batch, projection_dim)` by modality, `rgb`, `ir`, `text`; any subset.
        logit_scale: Inverse temperature, already exponentiated; scalar.
        weights: Non-negative weight by pair of modalities; pairs of which a modality is missing do not count.
        image_ids: Integers `(batch,)`: rows with one id show the same thing and are no negatives of each other.
        caption_ids: Integers `(batch,)`: the same for rows with equal text; used where text is one side.

    Returns:
        Scalar loss.

    Raises:
        ValueError: No weighted pair is complete.
    """
    terms = {pair: weight for pair, weight in weights.items() if weight and embeds.keys() >= set(pair)}
    if not terms:
        raise ValueError(f"a loss needs two modalities with a weighted pair, got {sorted(embeds)} and {weights}")
    image_positives = None if image_ids is None else same_id(image_ids)  # (batch, batch)
    text_positives = image_positives
    if caption_ids is not None:
        text_positives = same_id(caption_ids) if image_positives is None else image_positives | same_id(caption_ids)
    total = 0.0
    for (left, right), weight in terms.items():
        positives = text_positives if "text" in (left, right) else image_positives
        total = total + weight * info_nce(embeds[left], embeds[right], logit_scale, positives)
    return total / sum(terms.values())


class FusionRSCLIPPreTrainedModel(PreTrainedModel):
    """Base class: initialisation of what is ours; the towers initialise themselves."""

    config_class = FusionRSCLIPConfig
    base_model_prefix = "fusionrs_clip"
    input_modalities = ("image", "text")
    supports_gradient_checkpointing = True
    _supports_sdpa = True
    _supports_flash_attn = True
    _supports_attention_backend = True

    @torch.no_grad()
    def _init_weights(self, module: nn.Module) -> None:
        if isinstance(module, FusionRSCLIPModel):
            for projection in (module.visual_projection, module.text_projection):
                init.normal_(projection.weight, std=projection.in_features**-0.5)
            init.constant_(module.logit_scale, self.config.logit_scale_init_value)
        elif isinstance(module, FeatureNorm):
            for name, value in FeatureNorm.identity(len(module.rgb_mean)).items():
                init.copy_(getattr(module, name), value)


class FusionRSCLIPModel(FusionRSCLIPPreTrainedModel):
    """RGB, infrared and text in one embedding space (arXiv 2606.17020, section on dual-modal CLIP).

    One image tower serves both modalities. With a default configuration the checkpoint's keys are `CLIPModel`'s, and
    each class loads the other's folder.
    """

    def __init__(self, config: FusionRSCLIPConfig) -> None:
        super().__init__(config)
        self.text_model = _build_tower(config.text_config, "text_config")
        self.vision_model = _build_tower(config.vision_config, "vision_config")
        self.visual_projection = nn.Linear(config.image_feature_size, config.projection_dim, bias=False)
        self.text_projection = nn.Linear(config.text_config.hidden_size, config.projection_dim, bias=False)
        self.logit_scale = nn.Parameter(torch.tensor(float(config.logit_scale_init_value)))
        self.feature_norm = FeatureNorm(config.image_feature_size) if config.feature_norm else None
        self.post_init()

    @classmethod
    def from_towers(cls, rgb: str, text: str, **options: object) -> "FusionRSCLIPModel":
        """Starts a model from two pretrained towers; the projections are new.

        Args:
            rgb: Hub id or folder of the image tower, shared by RGB and infrared.
            text: Hub id or folder of the text tower.
            **options: Fields of `FusionRSCLIPConfig`.
        """
        vision_model, text_model = AutoModel.from_pretrained(rgb), AutoModel.from_pretrained(text)
        config = FusionRSCLIPConfig(
            vision_config=vision_model.config.to_dict(), text_config=text_model.config.to_dict(), **options
        )
        model = cls(config)
        model.vision_model.load_state_dict(vision_model.state_dict())
        model.text_model.load_state_dict(text_model.state_dict())
        return model

    def get_pooled_features(self, pixel_values: Tensor) -> Tensor:
        """Returns the tower's pooled features of images of either modality.

        Args:
            pixel_values: `(batch, 3, height, width)`, normalised by the processor.

        Returns:
            `(batch, config.image_feature_size)`, before `feature_norm` and projection.
        """
        outputs = self.vision_model(pixel_values=pixel_values)
        if self.config.vision_pooling == "pooler":
            return outputs.pooler_output
        return pool_tokens(outputs.last_hidden_state, self.config.vision_pooling, self.config.grid_size)

    def _image_features(self, pixel_values: Tensor, modality: str) -> Tensor:
        features = self.get_pooled_features(pixel_values)  # (batch, image_feature_size)
        if self.feature_norm is not None:
            features = self.feature_norm(features, modality)
        return self.visual_projection(features)  # (batch, projection_dim)

    def get_rgb_features(self, pixel_values: Tensor) -> Tensor:
        """Returns embeddings of RGB images `(batch, 3, height, width)`: `(batch, projection_dim)`, not normalised."""
        return self._image_features(pixel_values, "rgb")

    def get_ir_features(self, ir_pixel_values: Tensor) -> Tensor:
        """Returns embeddings of infrared images `(batch, 3, height, width)`: `(batch, projection_dim)`, as RGB's."""
        return self._image_features(ir_pixel_values, "ir")

    def get_text_features(self, input_ids: Tensor, attention_mask: Tensor | None = None) -> Tensor:
        """Returns embeddings of texts.

        Args:
            input_ids: Token ids, `(batch, length)`.
            attention_mask: 1 for tokens, 0 for padding, `(batch, length)`; None: no padding.

        Returns:
            `(batch, projection_dim)`, not normalised.
        """
        outputs = self.text_model(input_ids=input_ids, attention_mask=attention_mask)
        if self.config.text_pooling == "pooler":
            pooled = outputs.pooler_output  # (batch, hidden_size)
        elif self.config.text_pooling == "cls":
            pooled = outputs.last_hidden_state[:, 0]
        else:
            hidden = outputs.last_hidden_state  # (batch, length, hidden_size)
            mask = torch.ones_like(input_ids) if attention_mask is None else attention_mask
            mask = mask.unsqueeze(-1).to(hidden.dtype)
            pooled = (hidden * mask).sum(1) / mask.sum(1)
        return self.text_projection(pooled)

    def forward(
        self,
        input_ids: Tensor | None = None,
        attention_mask: Tensor | None = None,
        pixel_values: Tensor | None = None,
        ir_pixel_values: Tensor | None = None,
        image_ids: Tensor | None = None,
        caption_ids: Tensor | None = None,
        return_loss: bool = False,
    ) -> FusionRSCLIPOutput:
        """Embeds what is given; any subset of the three modalities is legal.

        Args:
            input_ids, attention_mask: Texts, `(texts, length)`.
            pixel_values: RGB images, `(images, 3, height, width)`.
            ir_pixel_values: Infrared images replicated to three channels, `(images, 3, height, width)`.
            image_ids, caption_ids: Integers `(batch,)`, see `trimodal_loss`.
            return_loss: Also compute the loss; then row i of every modality is the same scene.

        Raises:
            ValueError: Nothing was given, or the loss lacks a pair of modalities.
        """
        embeds = {}
        if pixel_values is not None:
            embeds["rgb"] = F.normalize(self.get_rgb_features(pixel_values), dim=-1)
        if ir_pixel_values is not None:
            embeds["ir"] = F.normalize(self.get_ir_features(ir_pixel_values), dim=-1)
        if input_ids is not None:
            embeds["text"] = F.normalize(self.get_text_features(input_ids, attention_mask), dim=-1)
        if not embeds:
            raise ValueError("give at least one of pixel_values, ir_pixel_values and input_ids, got none")
        scale = self.logit_scale.exp()
        logits = {
            name: scale * embeds[name] @ embeds["text"].T for name in ("rgb", "ir") if {name, "text"} <= set(embeds)
        }
        loss = trimodal_loss(embeds, scale, self.loss_weights, image_ids, caption_ids) if return_loss else None
        return FusionRSCLIPOutput(
            loss=loss,
            rgb_embeds=embeds.get("rgb"),
            ir_embeds=embeds.get("ir"),
            text_embeds=embeds.get("text"),
            logits_per_rgb=logits.get("rgb"),
            logits_per_ir=logits.get("ir"),
        )

    @property
    def loss_weights(self) -> dict[tuple[str, str], float]:
        """The configured weight of each pair of modalities, as `trimodal_loss` takes it."""
        return {
            ("rgb", "text"): self.config.rgb_text_weight,
            ("ir", "text"): self.config.ir_text_weight,
            ("rgb", "ir"): self.config.rgb_ir_weight,
        }

    @torch.no_grad()
    def fit_feature_norm(self, rgb_features: Tensor, ir_features: Tensor) -> None:
        """Sets the statistics of `feature_norm` from pooled features of the training split.

        Args:
            rgb_features, ir_features: `get_pooled_features` of training images, `(images, image_feature_size)`.

        Raises:
            ValueError: The configuration has no `feature_norm`.
        """
        if self.feature_norm is None:
            raise ValueError("config.feature_norm is false; build the model with feature_norm=True first")
        for modality, features in (("rgb", rgb_features), ("ir", ir_features)):
            getattr(self.feature_norm, f"{modality}_mean").copy_(features.mean(0))
            getattr(self.feature_norm, f"{modality}_std").copy_(features.std(0).clamp_min(1e-6))


def _build_tower(config: object, name: str) -> PreTrainedModel:
    try:
        return AutoModel.from_config(config)
    except ValueError as error:
        kind = type(config).__name__
        raise ValueError(
            f"{name} of class {kind} is not a backbone that AutoModel.from_config builds: {error}"
        ) from error
