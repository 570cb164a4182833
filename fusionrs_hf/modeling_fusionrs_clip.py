"""The dual-modal CLIP: RGB and infrared in one image tower or two, a text tower, and a head that fuses the pair.

Copied to the Hub as remote code: imports torch, transformers and its siblings only.
"""

from dataclasses import dataclass

import torch
import torch.nn.functional as F
from torch import Tensor, nn
from transformers import PreTrainedModel
from transformers import initialization as init
from transformers.utils import ModelOutput

from .configuration_fusionrs_clip import FusionRSCLIPConfig
from .modeling_fusionrs_features import (
    FeatureNorm,
    GatedFusion,
    check_pairs,
    check_pixels,
    patch_size,
    pool_text,
    pool_tokens,
    tiled,
    whitening,
)
from .modeling_fusionrs_losses import trimodal_loss
from .modeling_fusionrs_start import StartFromWeights, build_tower, text_limit


@dataclass
class FusionRSCLIPOutput(ModelOutput):
    """What `FusionRSCLIPModel` returns; a field is None where its modality was not given.

    Args:
        loss: Scalar, weighted mean of the symmetric contrastive terms of the modalities given (`return_loss=True`).
        rgb_embeds, ir_embeds, text_embeds: Unit-length embeddings, `(batch, projection_dim)`.
        fused_embeds: Unit-length, of RGB and infrared together, `(batch, projection_dim)`; None unless as many of the
            one are given as of the other.
        logits_per_rgb, logits_per_ir: `exp(logit_scale)` times cosine of every image to every text, `(images, texts)`.
    """

    loss: Tensor | None = None
    rgb_embeds: Tensor | None = None
    ir_embeds: Tensor | None = None
    text_embeds: Tensor | None = None
    fused_embeds: Tensor | None = None
    logits_per_rgb: Tensor | None = None
    logits_per_ir: Tensor | None = None


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
            for projection in (module.visual_projection, module.text_projection, module.ir_visual_projection):
                if projection is not None:
                    init.normal_(projection.weight, std=projection.in_features**-0.5)
            init.constant_(module.logit_scale, self.config.logit_scale_init_value)
            if module.logit_bias is not None:
                init.constant_(module.logit_bias, self.config.logit_bias_init_value)
            if module.modality_embedding is not None:
                init.zeros_(module.modality_embedding)
            if module.fusion is not None:  # from here: a module without parameters of its own is not visited
                init.zeros_(module.fusion.gate.weight)
                init.zeros_(module.fusion.gate.bias)
        elif isinstance(module, FeatureNorm):
            for name, value in FeatureNorm.identity(len(module.rgb_mean)).items():
                init.copy_(getattr(module, name), value)


class FusionRSCLIPModel(StartFromWeights, FusionRSCLIPPreTrainedModel):
    """RGB, infrared and text in one embedding space (arXiv 2606.17020, section on dual-modal CLIP).

    One image tower serves both modalities, unless the configuration gives infrared its own. With a default
    configuration the checkpoint's keys are `CLIPModel`'s, and each class loads the other's folder.
    """

    def __init__(self, config: FusionRSCLIPConfig) -> None:
        super().__init__(config)
        self.text_model = build_tower(config.text_config, "text_config")
        self.vision_model = build_tower(config.vision_config, "vision_config")
        self.visual_projection = nn.Linear(config.image_feature_size, config.projection_dim, bias=False)
        self.text_projection = nn.Linear(config.text_config.hidden_size, config.projection_dim, bias=False)
        self.logit_scale = nn.Parameter(torch.tensor(float(config.logit_scale_init_value)))
        self.ir_vision_model = self.ir_visual_projection = self.modality_embedding = self.logit_bias = None
        if config.ir_vision_config is not None:
            self.ir_vision_model = build_tower(config.ir_vision_config, "ir_vision_config")
            self.ir_visual_projection = nn.Linear(config.image_feature_size, config.projection_dim, bias=False)
        if config.modality_embedding:
            self.modality_embedding = nn.Parameter(torch.zeros(3, *patch_size(config.vision_config)))
        if config.contrastive_loss == "sigmoid":
            self.logit_bias = nn.Parameter(torch.tensor(float(config.logit_bias_init_value)))
        self.fusion = GatedFusion(config.projection_dim) if config.fusion == "gated" else None
        self.feature_norm = FeatureNorm(config.image_feature_size) if config.feature_norm else None
        self.text_limit = text_limit(self.text_model)
        self.post_init()

    def get_input_embeddings(self) -> nn.Module:
        """Returns the text tower's token embeddings; FSDP and PEFT ask for them."""
        return self.text_model.get_input_embeddings()

    def get_pooled_features(self, pixel_values: Tensor, modality: str = "rgb") -> Tensor:
        """Returns the tower's pooled features of images.

        Args:
            pixel_values: `(batch, 3, height, width)`, normalised by the processor.
            modality: `rgb` or `ir`; without infrared tower and modality embedding both give the same.

        Returns:
            `(batch, config.image_feature_size)`, before `feature_norm` and projection.

        Raises:
            ValueError: Shape or dtype is another, or the size is not one that the tower reads.
        """
        check_pixels(pixel_values)
        tower = self.vision_model
        if modality == "ir" and self.ir_vision_model is not None:
            tower = self.ir_vision_model
            if getattr(tower.config, "num_channels", 3) == 1:
                pixel_values = pixel_values.mean(1, keepdim=True)  # (batch, 1, height, width)
        elif modality == "ir" and self.modality_embedding is not None:
            pixel_values = pixel_values + tiled(self.modality_embedding, *pixel_values.shape[-2:])
        outputs = tower(pixel_values=pixel_values)
        if self.config.vision_pooling == "pooler":
            return outputs.pooler_output.flatten(1)  # some convolutional towers keep height and width, of 1
        return pool_tokens(outputs.last_hidden_state, self.config.vision_pooling, self.config.grid_size)

    def _image_features(self, pixel_values: Tensor, modality: str) -> Tensor:
        features = self.get_pooled_features(pixel_values, modality)  # (batch, image_feature_size)
        if self.feature_norm is not None:
            features = self.feature_norm(features, modality)
        ir_head = modality == "ir" and self.ir_visual_projection is not None
        return (self.ir_visual_projection if ir_head else self.visual_projection)(features)  # (batch, projection_dim)

    def get_rgb_features(self, pixel_values: Tensor) -> Tensor:
        """Returns embeddings of RGB images `(batch, 3, height, width)`: `(batch, projection_dim)`, not normalised."""
        return self._image_features(pixel_values, "rgb")

    def get_ir_features(self, ir_pixel_values: Tensor) -> Tensor:
        """Returns embeddings of infrared images `(batch, 3, height, width)`: `(batch, projection_dim)`, as RGB's."""
        return self._image_features(ir_pixel_values, "ir")

    def get_fused_features(self, pixel_values: Tensor | None = None, ir_pixel_values: Tensor | None = None) -> Tensor:
        """Returns unit-length embeddings of RGB-infrared pairs, `(batch, projection_dim)`.

        Args:
            pixel_values: RGB, `(batch, 3, height, width)`.
            ir_pixel_values: Infrared of the same scenes, the same shape. Of one modality alone it is that one's.

        Raises:
            ValueError: Neither is given.
        """
        if pixel_values is None and ir_pixel_values is None:
            raise ValueError("give pixel_values, ir_pixel_values or both, got none")
        rgb = None if pixel_values is None else F.normalize(self.get_rgb_features(pixel_values), dim=-1)
        ir = None if ir_pixel_values is None else F.normalize(self.get_ir_features(ir_pixel_values), dim=-1)
        if rgb is None or ir is None:
            return ir if rgb is None else rgb
        return self.fuse(rgb, ir)

    def fuse(self, rgb: Tensor, ir: Tensor, present: Tensor | None = None) -> Tensor:
        """Fuses unit-length embeddings of pairs.

        Args:
            rgb, ir: `(batch, projection_dim)`.
            present: Bool `(batch, 2)`, whether a row's RGB and its infrared count (modality dropout); a row with one
                is that one, and at least one must be true. None: both do.

        Returns:
            `(batch, projection_dim)`, unit length.

        Raises:
            ValueError: RGB and infrared differ in number.
        """
        check_pairs(rgb, ir)
        weight = self.config.fusion_weight
        fused = self.fusion(rgb, ir) if self.fusion is not None else weight * ir + (1 - weight) * rgb
        if present is not None:
            single = torch.where(present[:, :1], rgb, ir)  # (batch, projection_dim)
            fused = torch.where(present.all(1, keepdim=True), fused, single)
        return F.normalize(fused, dim=-1)

    def get_text_features(self, input_ids: Tensor, attention_mask: Tensor | None = None) -> Tensor:
        """Returns embeddings of texts.

        Args:
            input_ids: Token ids, `(batch, length)`.
            attention_mask: 1 for tokens, 0 for padding, `(batch, length)`; None: no padding.

        Returns:
            `(batch, projection_dim)`, not normalised.

        Raises:
            ValueError: A text is longer than the text tower's table of positions.
        """
        if self.text_limit is not None and input_ids.shape[1] > self.text_limit:
            raise ValueError(
                f"a text has {input_ids.shape[1]} tokens but the text tower reads {self.text_limit}; shorten it, or "
                "stretch the tower's positions: model.with_options(text_positions=248)"
            )
        outputs = self.text_model(input_ids=input_ids, attention_mask=attention_mask)
        if self.config.text_pooling == "pooler":
            return self.text_projection(outputs.pooler_output)
        return self.text_projection(pool_text(outputs.last_hidden_state, attention_mask, self.config.text_pooling))

    def forward(
        self,
        input_ids: Tensor | None = None,
        attention_mask: Tensor | None = None,
        pixel_values: Tensor | None = None,
        ir_pixel_values: Tensor | None = None,
        image_ids: Tensor | None = None,
        caption_ids: Tensor | None = None,
        return_loss: bool = False,
        token_type_ids: Tensor | None = None,
    ) -> FusionRSCLIPOutput:
        """Embeds what is given; any subset of the three modalities is legal.

        The values of pixels are not looked at: a NaN among them makes that image's embedding NaN, and the loss.

        Args:
            input_ids, attention_mask: Texts, `(texts, length)`.
            pixel_values: RGB images, `(images, 3, height, width)`.
            ir_pixel_values: Infrared images replicated to three channels, `(images, 3, height, width)`.
            image_ids, caption_ids: Integers `(batch,)`, see `trimodal_loss`.
            return_loss: Also compute the loss; then row i of every modality is the same scene. One row has no
                negatives, and a symmetric InfoNCE of zero.
            token_type_ids: Not read; tokenizers of BERT's kind give them, all zero, to a feature-extraction pipeline.

        Raises:
            ValueError: Nothing was given, a shape or dtype is wrong, or the loss lacks a pair of modalities or finds
                unequal numbers of rows.
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
        if {"rgb", "ir"} <= set(embeds) and len(embeds["rgb"]) == len(embeds["ir"]):
            embeds["fused"] = self.fuse(embeds["rgb"], embeds["ir"])
        scale = self.logit_scale.exp()
        logits = {
            name: scale * embeds[name] @ embeds["text"].T for name in ("rgb", "ir") if {name, "text"} <= set(embeds)
        }
        loss = self.contrastive_loss(embeds, image_ids, caption_ids) if return_loss else None
        return FusionRSCLIPOutput(
            loss=loss,
            rgb_embeds=embeds.get("rgb"),
            ir_embeds=embeds.get("ir"),
            text_embeds=embeds.get("text"),
            fused_embeds=embeds.get("fused"),
            logits_per_rgb=logits.get("rgb"),
            logits_per_ir=logits.get("ir"),
        )

    def contrastive_loss(
        self, embeds: dict[str, Tensor], image_ids: Tensor | None = None, caption_ids: Tensor | None = None
    ) -> Tensor:
        """Returns the configured loss of embeddings, gathered over processes or not; see `trimodal_loss`.

        Raises:
            ValueError: The modalities, or their ids, differ in number of rows, or no weighted pair is complete.
        """
        batch = embeds | {"image_ids": image_ids, "caption_ids": caption_ids}
        counts = {name: len(rows) for name, rows in batch.items() if rows is not None}
        if len(set(counts.values())) > 1:
            raise ValueError(f"in a loss row i of every modality is the same scene, got numbers of rows {counts}")
        scale = self.logit_scale.exp()
        return trimodal_loss(embeds, scale, self.loss_weights, image_ids, caption_ids, self.logit_bias)

    @property
    def loss_weights(self) -> dict[tuple[str, str], float]:
        """The configured weight of each pair of modalities, as `trimodal_loss` takes it."""
        return {
            ("rgb", "text"): self.config.rgb_text_weight,
            ("ir", "text"): self.config.ir_text_weight,
            ("rgb", "ir"): self.config.rgb_ir_weight,
            ("fused", "text"): self.config.fused_text_weight,
        }

    @torch.no_grad()
    def fit_feature_norm(self, rgb_features: Tensor, ir_features: Tensor) -> None:
        """Sets the statistics of `feature_norm` from pooled features of the training split.

        Args:
            rgb_features, ir_features: `get_pooled_features` of training images, `(images, image_feature_size)`.

        Raises:
            ValueError: The configuration has no `feature_norm`, or a modality has fewer than two images.
        """
        if self.feature_norm is None:
            raise ValueError("config.feature_norm is false; build the model with feature_norm=True first")
        if (count := min(len(rgb_features), len(ir_features))) < 2:
            raise ValueError(f"feature_norm needs at least two images of each modality, got {count}")
        for modality, features in (("rgb", rgb_features), ("ir", ir_features)):
            getattr(self.feature_norm, f"{modality}_mean").copy_(features.mean(0))
            getattr(self.feature_norm, f"{modality}_std").copy_(features.std(0).clamp_min(1e-6))

    @torch.no_grad()
    def whiten_projection(self, rgb_features: Tensor, ir_features: Tensor) -> None:
        """Sets the image projection to a `whitening` of the towers' features, so that embeddings keep what these tell.

        Args:
            rgb_features, ir_features: As of `fit_feature_norm`, which comes first where the model has that.

        Raises:
            ValueError: There are fewer training images or features than dimensions of the projection.
        """
        features = {"rgb": rgb_features, "ir": ir_features}
        if self.feature_norm is not None:
            features = {modality: self.feature_norm(rows, modality) for modality, rows in features.items()}
        weight = whitening(**features, size=self.config.projection_dim)
        for projection in filter(None, (self.visual_projection, self.ir_visual_projection)):
            projection.weight.copy_(weight)
