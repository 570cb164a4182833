"""How a two-image VLM starts: from a trained CLIP, or a bare image tower, and a language model.

Copied to the Hub as remote code: imports torch, transformers and siblings only.
"""

from collections.abc import Sequence
from typing import Self

import torch
from transformers import AutoModel, AutoModelForCausalLM, AutoTokenizer, PreTrainedModel

from .configuration_fusionrs_vlm import IMAGE_TOKEN, MODALITY_TOKENS
from .modeling_fusionrs_layers import keep_layers


class StartFromTowers:
    """How `FusionRSVLMForConditionalGeneration` starts from other models; a mix-in, to stand before LLaVA's."""

    @classmethod
    def from_towers(
        cls,
        clip_model: str | PreTrainedModel,
        language_model: str,
        keep_language_layers: Sequence[int] | None = None,
        **options: object,
    ) -> Self:
        """Starts a model from a trained CLIP and a language model; only the projectors and three words are new.

        Args:
            clip_model: A dual-modal CLIP, its folder or Hub id (`import fusionrs_hf.auto` first), or a bare image
                tower. A CLIP with the same grid also gives its standardisation.
            language_model: Folder or Hub id of a causal language model with its tokenizer.
            keep_language_layers: Keep these layers only, counted from 0, ascending; None keeps all. The first and the
                last ones together lose less than as many of the first alone.
            **options: Fields of `FusionRSVLMConfig`.

        Returns:
            The model, float32. `FusionRSVLMProcessor.from_towers` of the same towers gives the same token ids.
        """
        clip = AutoModel.from_pretrained(clip_model) if isinstance(clip_model, str) else clip_model
        tower = getattr(clip, "vision_model", clip)
        language = AutoModelForCausalLM.from_pretrained(language_model, dtype=torch.float32)
        if keep_language_layers is not None:
            keep_layers(language, keep_language_layers)
        scale = language.get_input_embeddings().weight.std().item()
        tokenizer = AutoTokenizer.from_pretrained(language_model)
        tokenizer.add_tokens([*MODALITY_TOKENS.values(), IMAGE_TOKEN], special_tokens=True)
        language.resize_token_embeddings(len(tokenizer), pad_to_multiple_of=64)
        names = {"image": IMAGE_TOKEN, **MODALITY_TOKENS}
        config = cls.config_class(
            text_config=language.config.to_dict(),
            vision_config=tower.config.to_dict(),
            **{f"{name}_token_id": tokenizer.convert_tokens_to_ids(token) for name, token in names.items()},
            **{"projector_scale": scale, **options},
        )
        model = cls(config)
        model.model.vision_tower.load_state_dict(tower.state_dict())
        model.model.language_model.load_state_dict(language.base_model.state_dict())
        model.lm_head.load_state_dict(language.get_output_embeddings().state_dict())
        norm = getattr(clip, "feature_norm", None)
        if norm is not None and norm.rgb_mean.shape == model.model.feature_norm.rgb_mean.shape:
            model.model.feature_norm.load_state_dict(norm.state_dict())
        model.generation_config = language.generation_config
        return model
