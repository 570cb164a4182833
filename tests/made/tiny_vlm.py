"""A tiny random VLM, its processor and its towers, made in the test process."""

from pathlib import Path

import torch
from tokenizers import Tokenizer
from tokenizers.models import WordLevel
from tokenizers.pre_tokenizers import Whitespace
from transformers import CLIPImageProcessorPil, LlamaConfig, LlamaForCausalLM, PreTrainedTokenizerFast

from fusionrs_hf.configuration_fusionrs_vlm import IMAGE_TOKEN, MODALITY_TOKENS, FusionRSVLMConfig
from fusionrs_hf.modeling_fusionrs_vlm import FusionRSVLMForConditionalGeneration
from fusionrs_hf.processing_fusionrs_vlm import FusionRSVLMProcessor
from tests.made import tiny

SPECIAL = ["<pad>", "<unk>", "<|im_start|>", "<|im_end|>"]
WORDS = [
    *tiny.WORDS,
    *("user", "assistant", "Describe", "Infrared", "very", "medium", "high", "low", "contrast", "brightest"),
    *("darkest", ",", ":", "."),
]


def tokenizer(with_image_tokens: bool = True) -> PreTrainedTokenizerFast:
    """Word-level tokenizer without automatic special tokens; id 0 pads, `<|im_end|>` ends."""
    backend = Tokenizer(WordLevel({word: index for index, word in enumerate(SPECIAL + WORDS)}, unk_token="<unk>"))
    backend.pre_tokenizer = Whitespace()
    made = PreTrainedTokenizerFast(
        tokenizer_object=backend,
        pad_token="<pad>",
        unk_token="<unk>",
        bos_token="<|im_start|>",
        eos_token="<|im_end|>",
        padding_side="left",
    )
    if with_image_tokens:
        made.add_tokens([*MODALITY_TOKENS.values(), IMAGE_TOKEN], special_tokens=True)
    return made


def language_config(**options: object) -> LlamaConfig:
    options = {"vocab_size": len(SPECIAL + WORDS), "num_hidden_layers": 2, **options}
    return LlamaConfig(
        hidden_size=16,
        intermediate_size=32,
        num_attention_heads=2,
        num_key_value_heads=1,
        tie_word_embeddings=True,
        pad_token_id=0,
        bos_token_id=2,
        eos_token_id=3,
        initializer_range=0.5,  # peaked enough that greedy choices do not hang on rounding
        **options,
    )


def image_processor(mean: float = 0.5, std: float = 0.25) -> CLIPImageProcessorPil:
    size = {"height": tiny.IMAGE_PX, "width": tiny.IMAGE_PX}
    return CLIPImageProcessorPil(size=size, do_center_crop=False, image_mean=[mean] * 3, image_std=[std] * 3)


def vlm_config(**options: object) -> FusionRSVLMConfig:
    words = tokenizer()
    ids = {"image": IMAGE_TOKEN, **MODALITY_TOKENS}
    return FusionRSVLMConfig(
        text_config=language_config(vocab_size=len(words)),
        vision_config=tiny.dinov2_config(),
        **{f"{name}_token_id": words.convert_tokens_to_ids(token) for name, token in ids.items()},
        **options,
    )


def vlm_model(seed: int = 0, **options: object) -> FusionRSVLMForConditionalGeneration:
    torch.manual_seed(seed)
    return FusionRSVLMForConditionalGeneration(vlm_config(**options)).eval()


def vlm_processor(num_image_tokens: int = 9, **options: object) -> FusionRSVLMProcessor:
    return FusionRSVLMProcessor(image_processor(), image_processor(0.2, 0.5), tokenizer(), num_image_tokens, **options)


def save_language_model(folder: Path, layers: int = 3) -> Path:
    """Writes a tiny causal language model and its tokenizer, which know nothing of images."""
    torch.manual_seed(1)
    LlamaForCausalLM(language_config(num_hidden_layers=layers)).save_pretrained(folder)
    tokenizer(with_image_tokens=False).save_pretrained(folder)
    return folder


def save_clip(folder: Path) -> Path:
    """Writes a tiny CLIP with grid pooling and statistics that are not the identity."""
    clip = tiny.clip_model(vision_config=tiny.dinov2_config(), vision_pooling="grid", feature_norm=True)
    torch.manual_seed(2)
    clip.fit_feature_norm(torch.randn(8, 160), torch.randn(8, 160))
    clip.save_pretrained(folder)
    processor = tiny.clip_processor()
    processor.image_processor, processor.ir_image_processor = image_processor(), image_processor(0.2, 0.5)
    processor.save_pretrained(folder)
    return folder
