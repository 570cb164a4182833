"""How a two-image VLM starts: from a trained CLIP, or a bare image tower, and a language model.

Copied to the Hub as remote code: imports torch, transformers and siblings only.
"""

from collections.abc import Sequence
from typing import Self

import torch
from torch import nn
from transformers import AutoModel, AutoModelForCausalLM, AutoTokenizer, PreTrainedModel

from .configuration_fusionrs_vlm import IMAGE_TOKEN, MODALITY_TOKENS


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


def keep_layers(language: PreTrainedModel, numbers: Sequence[int]) -> None:
    """Takes all other layers out of a decoder, in place.

    Args:
        language: A causal language model.
        numbers: Of the layers that stay, counted from 0, ascending.

    Raises:
        ValueError: There is no such layer, none at all, or they are out of order.
    """
    depth = language.config.num_hidden_layers
    lists = {name: part for name, part in language.base_model.named_modules() if isinstance(part, nn.ModuleList)}
    name = next((name for name, layers in lists.items() if len(layers) == depth), None)
    if name is None:
        raise ValueError(f"{type(language).__name__} has no list of {depth} layers; keep all of them")
    if list(numbers) != sorted({*numbers} & {*range(depth)}) or not numbers:
        raise ValueError(f"layers to keep must ascend and lie between 0 and {depth - 1}, got {list(numbers)}")
    layers = nn.ModuleList([lists[name][number] for number in numbers])
    for place, layer in enumerate(layers):
        for part in layer.modules():
            if hasattr(part, "layer_idx"):  # its place in the cache
                part.layer_idx = place
    language.base_model.set_submodule(name, layers)
    language.config.num_hidden_layers = len(layers)
    if (kinds := getattr(language.config, "layer_types", None)) is not None:
        language.config.layer_types = [kinds[number] for number in numbers]
