"""The two-image VLM: transformers' LLaVA with a projector for each modality, chosen by the token before the image.

The modality travels in `input_ids` (`<rgb>` or `<ir>` before each run of `<image>`), so that the image tower, caching,
beam search and every trainer see one plain LLaVA. Copied to the Hub as remote code: imports torch, transformers and
siblings only.
"""

import torch
from torch import Tensor, nn
from transformers import AutoModel
from transformers import initialization as init
from transformers.activations import ACT2FN
from transformers.cache_utils import Cache
from transformers.modeling_outputs import BaseModelOutputWithPooling
from transformers.models.llava.modeling_llava import (
    LlavaForConditionalGeneration,
    LlavaModel,
    LlavaModelOutputWithPast,
    LlavaPreTrainedModel,
)

from .configuration_fusionrs_vlm import IMAGE_TOKEN, MODALITY_TOKENS, FusionRSVLMConfig
from .modeling_fusionrs_features import FeatureNorm, pool_tokens
from .modeling_fusionrs_vlm_start import StartFromTowers


class FusionRSVLMProjector(nn.Module):
    """Projects image features to word embeddings by two layers of a modality's own, and says which token it is."""

    def __init__(self, config: FusionRSVLMConfig) -> None:
        super().__init__()
        vision, text, tokens = (
            config.vision_config.hidden_size,
            config.text_config.hidden_size,
            config.num_image_tokens,
        )
        whole_tokens = 0 if not config.projector_context else 1 + tokens if config.pooling == "grid" else 1
        self.whole = nn.Linear(whole_tokens * vision, text, bias=False) if whole_tokens else None
        self.own = nn.Linear(vision, text)
        self.act = ACT2FN["gelu"]
        self.out = nn.Linear(text, text)
        self.position = nn.Parameter(torch.zeros(tokens, text))  # learned; modality and place of each token
        self.whole_tokens, self.scale = whole_tokens, config.projector_scale

    def forward(self, features: Tensor) -> Tensor:
        """Returns word embeddings `(images, tokens, text hidden_size)`.

        Args:
            features: Standardised features, the class token first, `(images, 1 + tokens, vision hidden_size)`.
        """
        hidden = self.own(features[:, 1:])  # (images, tokens, text hidden_size)
        if self.whole is not None:
            hidden = hidden + self.whole(features[:, : self.whole_tokens].flatten(1)).unsqueeze(1)
        return self.scale * (self.out(self.act(hidden)) + self.position)


class FusionRSVLMModalityProjector(nn.Module):
    """The two projectors as one module, so that PEFT trains and saves both under one name."""

    def __init__(self, config: FusionRSVLMConfig) -> None:
        super().__init__()
        self.rgb, self.ir = FusionRSVLMProjector(config), FusionRSVLMProjector(config)

    def forward(self, rgb: Tensor, ir: Tensor) -> tuple[Tensor, Tensor]:
        """Projects each modality's features `(images, 1 + tokens, hidden_size)`; either may hold no image."""
        return self.rgb(rgb), self.ir(ir)


class FusionRSVLMPreTrainedModel(LlavaPreTrainedModel):
    """Base class: initialisation of what is ours; tower and language model initialise themselves."""

    config_class = FusionRSVLMConfig
    config: FusionRSVLMConfig
    _can_compile_fullgraph = False  # images are sorted by modality at run time

    @torch.no_grad()
    def _init_weights(self, module: nn.Module) -> None:
        if isinstance(module, FusionRSVLMProjector):
            inputs = module.own.in_features + (module.whole.in_features if module.whole is not None else 0)
            for layer in (module.own, module.whole):
                if layer is not None:
                    init.normal_(layer.weight, std=inputs**-0.5)  # unit variance in, unit variance out
            init.normal_(module.out.weight, std=1.7 * module.out.in_features**-0.5)  # 1.7: a gelu keeps 0.35 of power
            for parameter in (module.own.bias, module.out.bias):
                init.zeros_(parameter)
            init.normal_(module.position, std=0.3)
        elif isinstance(module, FeatureNorm):
            for name, value in FeatureNorm.identity(len(module.rgb_mean)).items():
                init.copy_(getattr(module, name), value)
        else:
            super()._init_weights(module)


class FusionRSVLMModel(FusionRSVLMPreTrainedModel, LlavaModel):
    """Image tower, standardisation and projection by modality, and language model, without the output head."""

    def __init__(self, config: FusionRSVLMConfig) -> None:
        LlavaPreTrainedModel.__init__(self, config)  # not LlavaModel's, which builds another projector
        self.vision_tower = AutoModel.from_config(config.vision_config)
        rows = 1 + config.num_image_tokens if config.pooling == "grid" else 1  # patches share their statistics
        self.feature_norm = FeatureNorm(rows * config.vision_config.hidden_size)
        self.multi_modal_projector = FusionRSVLMModalityProjector(config)
        self.language_model = AutoModel.from_config(config.text_config)
        self.post_init()

    def get_image_features(self, pixel_values: Tensor, **kwargs: object) -> BaseModelOutputWithPooling:
        """Encodes images of either modality; the projection, which differs, is left to `forward`.

        Args:
            pixel_values: `(images, 3, height, width)`, normalised by the processor.
            **kwargs: `return_dict`, accepted for transformers' sake; a dict is always returned.

        Returns:
            `pooler_output`: for each image `(num_image_tokens, features)`, as `generate` expects when it copies images
            for beams. The class token stands beside each token's own features: features is `2 * hidden_size`.
        """
        hidden = self.vision_tower(pixel_values=pixel_values).last_hidden_state  # (images, 1 + patches, hidden_size)
        if self.config.pooling == "grid":
            hidden = pool_tokens(hidden, "grid", self.config.grid_size).unflatten(1, (-1, hidden.shape[-1]))
        tokens = hidden[:, 1:]  # (images, num_image_tokens, hidden_size)
        features = torch.cat([hidden[:, :1].expand_as(tokens), tokens], dim=-1)
        return BaseModelOutputWithPooling(last_hidden_state=hidden, pooler_output=list(features))

    def project(self, features: Tensor, is_infrared: Tensor) -> Tensor:
        """Standardises and projects features by modality.

        Args:
            features: Of `get_image_features`, stacked, `(images, num_image_tokens, 2 * hidden_size)`.
            is_infrared: bool `(images,)`.

        Returns:
            Word embeddings `(images, num_image_tokens, text hidden_size)`, in the order given.
        """
        class_token, tokens = features.chunk(2, dim=-1)
        return self.project_hidden(torch.cat([class_token[:, :1], tokens], dim=1), is_infrared)

    def project_hidden(self, hidden: Tensor, is_infrared: Tensor) -> Tensor:
        """As `project`, of encoded images, `last_hidden_state`, `(images, 1 + num_image_tokens, hidden_size)`."""
        by_modality = [
            self._standardise(hidden[mask], name) for name, mask in (("rgb", ~is_infrared), ("ir", is_infrared))
        ]
        rgb, ir = self.multi_modal_projector(*by_modality)
        projected = rgb.new_empty(len(hidden), *rgb.shape[1:])
        return projected.index_put((~is_infrared,), rgb).index_put((is_infrared,), ir)

    def _standardise(self, features: Tensor, modality: str) -> Tensor:
        if self.config.pooling == "patches":
            return self.feature_norm(features, modality)
        return self.feature_norm(features.flatten(1), modality).unflatten(1, features.shape[1:2] + (-1,))

    def find_infrared(self, input_ids: Tensor) -> Tensor:
        """Reads each image's modality from the token before its run of `<image>`.

        Args:
            input_ids: `(batch, length)`.

        Returns:
            bool `(images,)` in text order, true for infrared.

        Raises:
            ValueError: A run follows neither `<rgb>` nor `<ir>`.
        """
        previous = nn.functional.pad(input_ids[:, :-1], (1, 0), value=-1)  # (batch, length)
        starts = (input_ids == self.config.image_token_id) & (previous != self.config.image_token_id)
        markers = previous[starts]  # (images,)
        is_infrared = markers == self.config.ir_token_id
        if not (is_infrared | (markers == self.config.rgb_token_id)).all():
            raise ValueError(
                f"each run of {IMAGE_TOKEN} must follow {' or '.join(MODALITY_TOKENS.values())}, got token ids "
                f"{markers.tolist()} before the runs; let the processor write the text"
            )
        return is_infrared

    def forward(
        self,
        input_ids: Tensor | None = None,
        pixel_values: Tensor | None = None,
        attention_mask: Tensor | None = None,
        position_ids: Tensor | None = None,
        past_key_values: Cache | None = None,
        inputs_embeds: Tensor | None = None,
        mm_encoder_outputs: dict[str, BaseModelOutputWithPooling] | None = None,
        **kwargs: object,
    ) -> tuple | LlavaModelOutputWithPast:
        """Runs the language model over text and projected images.

        Args:
            input_ids: `(batch, length)`; images need it, since it names their modality.
            pixel_values: `(total images, 3, height, width)` in text order; any mix of pairs and single images.
            attention_mask: `(batch, length)`, 1 for tokens.
            position_ids, past_key_values, inputs_embeds: As in `LlavaModel`.
            mm_encoder_outputs: `{"image": get_image_features(...)}`, which `generate` gives instead of `pixel_values`.
            **kwargs: As in `LlavaModel`.

        Raises:
            ValueError: Images without `input_ids`, without a marker, or of another number than their runs.
        """
        encoded = (mm_encoder_outputs or {}).get("image")
        if pixel_values is not None:
            if encoded is not None:
                raise ValueError("give images as pixel_values or as mm_encoder_outputs, got both")
            encoded = self.get_image_features(pixel_values)
        projected = None
        if encoded is not None:
            if input_ids is None:
                raise ValueError("images need input_ids, which names their modality, got inputs_embeds alone")
            is_infrared = self.find_infrared(input_ids)
            if len(is_infrared) != len(encoded.pooler_output):
                raise ValueError(f"{len(encoded.pooler_output)} images for {len(is_infrared)} runs of {IMAGE_TOKEN}")
            embeds = self.project(torch.stack(tuple(encoded.pooler_output)), is_infrared)
            projected = {"image": BaseModelOutputWithPooling(pooler_output=list(embeds))}
        return super().forward(
            input_ids=input_ids,
            attention_mask=attention_mask,
            position_ids=position_ids,
            past_key_values=past_key_values,
            inputs_embeds=inputs_embeds,
            mm_encoder_outputs=projected,
            **kwargs,
        )

    @torch.no_grad()
    def fit_feature_norm(self, rgb_pixels: Tensor, ir_pixels: Tensor, batch_size: int = 64) -> None:
        """Sets the standardisation from training images.

        Args:
            rgb_pixels, ir_pixels: Normalised by the processor, `(images, 3, height, width)`; a modality without images
                keeps its statistics.
            batch_size: Images at a time.
        """
        for modality, pixels in (("rgb", rgb_pixels), ("ir", ir_pixels)):
            if len(pixels):
                parts = [self.get_image_features(batch).last_hidden_state for batch in pixels.split(batch_size)]
                self.set_feature_norm(modality, torch.cat(parts))

    @torch.no_grad()
    def set_feature_norm(self, modality: str, hidden: Tensor) -> None:
        """Sets a modality's standardisation from encoded training images.

        Args:
            modality: `rgb` or `ir`.
            hidden: Of `get_image_features`, `last_hidden_state`, `(images, 1 + num_image_tokens, hidden_size)`.
        """
        hidden = hidden.float()
        rows = hidden.flatten(1) if self.config.pooling == "grid" else hidden.flatten(0, 1)
        getattr(self.feature_norm, f"{modality}_mean").copy_(rows.mean(0))
        getattr(self.feature_norm, f"{modality}_std").copy_(rows.std(0).clamp_min(1e-6))


class FusionRSVLMForConditionalGeneration(StartFromTowers, FusionRSVLMPreTrainedModel, LlavaForConditionalGeneration):
    """Writes about an RGB image, an infrared image, or any number of both (arXiv 2606.17020, two-image VLM)."""

    def __init__(self, config: FusionRSVLMConfig) -> None:
        LlavaPreTrainedModel.__init__(self, config)
        self.model = FusionRSVLMModel(config)
        self.lm_head = nn.Linear(config.text_config.hidden_size, config.text_config.vocab_size, bias=False)
        self.post_init()

    def get_image_features(self, pixel_values: Tensor, **kwargs: object) -> BaseModelOutputWithPooling:
        """See `FusionRSVLMModel.get_image_features`."""
        return self.model.get_image_features(pixel_values, **kwargs)
