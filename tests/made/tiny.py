"""Tiny random models, tokenizers and images, made in the test process: no network, no weights."""

import numpy as np
import torch
from PIL import Image
from tokenizers import Tokenizer
from tokenizers.models import WordLevel
from tokenizers.pre_tokenizers import Whitespace
from tokenizers.processors import TemplateProcessing
from transformers import CLIPImageProcessorPil, CLIPTextConfig, CLIPVisionConfig, Dinov2Config, PreTrainedTokenizerFast

from fusionrs_hf.configuration_fusionrs_clip import FusionRSCLIPConfig
from fusionrs_hf.modeling_fusionrs_clip import FusionRSCLIPModel
from fusionrs_hf.processing_fusionrs_clip import FusionRSCLIPProcessor

WORDS = [
    "a",
    "the",
    "bright",
    "dark",
    "dry",
    "wet",
    "field",
    "forest",
    "water",
    "ground",
    "infrared",
    "image",
    "north",
]
WORDS += ["south", "east", "west", "centre", "and", "over"]
EOS_ID = 3
IMAGE_PX = 24


def tokenizer() -> PreTrainedTokenizerFast:
    """Word-level tokenizer; id 0 pads, 1 is unknown, every text ends with `EOS_ID`."""
    vocabulary = {"<pad>": 0, "<unk>": 1, "<s>": 2, "</s>": EOS_ID, **{word: 4 + i for i, word in enumerate(WORDS)}}
    backend = Tokenizer(WordLevel(vocabulary, unk_token="<unk>"))
    backend.pre_tokenizer = Whitespace()
    backend.post_processor = TemplateProcessing(single="$A </s>", special_tokens=[("</s>", EOS_ID)])
    return PreTrainedTokenizerFast(
        tokenizer_object=backend, pad_token="<pad>", unk_token="<unk>", eos_token="</s>", model_max_length=16
    )


def text_config() -> CLIPTextConfig:
    return CLIPTextConfig(
        vocab_size=4 + len(WORDS),
        hidden_size=16,
        intermediate_size=32,
        num_hidden_layers=2,
        num_attention_heads=2,
        max_position_embeddings=16,
        pad_token_id=0,
        bos_token_id=2,
        eos_token_id=EOS_ID,
    )


def vision_config() -> CLIPVisionConfig:
    return CLIPVisionConfig(
        hidden_size=16,
        intermediate_size=32,
        num_hidden_layers=2,
        num_attention_heads=2,
        image_size=IMAGE_PX,
        patch_size=4,
    )


def dinov2_config() -> Dinov2Config:
    return Dinov2Config(
        hidden_size=16, num_hidden_layers=2, num_attention_heads=2, mlp_ratio=2, image_size=IMAGE_PX, patch_size=4
    )


def clip_model(seed: int = 0, **options: object) -> FusionRSCLIPModel:
    torch.manual_seed(seed)
    options = {"text_config": text_config(), "vision_config": vision_config(), "projection_dim": 8, **options}
    return FusionRSCLIPModel(FusionRSCLIPConfig(**options)).eval()


def image_processor() -> CLIPImageProcessorPil:
    size = {"height": IMAGE_PX, "width": IMAGE_PX}
    return CLIPImageProcessorPil(size={"shortest_edge": IMAGE_PX}, crop_size=size)


def clip_processor(**options: object) -> FusionRSCLIPProcessor:
    return FusionRSCLIPProcessor(image_processor(), image_processor(), tokenizer(), **options)


def rgb_image(seed: int = 0, size: int = 32) -> Image.Image:
    return Image.fromarray(np.random.default_rng(seed).integers(0, 256, (size, size, 3), dtype=np.uint8))


def ir_image(seed: int = 0, size: int = 32) -> Image.Image:
    return Image.fromarray(np.random.default_rng(1000 + seed).integers(0, 256, (size, size), dtype=np.uint8))
