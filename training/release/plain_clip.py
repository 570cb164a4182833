"""A shared-tower FusionRS-CLIP as a plain `CLIPModel` folder, for places that forbid remote code."""

import re
from pathlib import Path

from huggingface_hub import ModelCard
from transformers import AutoProcessor, CLIPConfig, CLIPModel, CLIPProcessor

import fusionrs_hf.auto  # noqa: F401 - registers the classes
from fusionrs_hf.configuration_fusionrs_clip import FusionRSCLIPConfig
from fusionrs_hf.errors import InputError, shown
from fusionrs_hf.modeling_fusionrs_clip import FusionRSCLIPModel
from model_cards import TEMPLATES

USE = TEMPLATES / "clip_plain_use.md"
PLAIN = {  # what a CLIPModel cannot be told
    "vision_pooling": "pooler",
    "text_pooling": "pooler",
    "ir_vision_config": None,
    "modality_embedding": False,
    "feature_norm": False,
    "fusion": "mean",
    "contrastive_loss": "info_nce",
}


def write_plain_clip(folder: Path, out: Path) -> Path:
    """Writes model, processor and card so that `CLIPModel` and `CLIPProcessor` load them without remote code.

    Infrared goes through `get_image_features`, as a grey image replicated to three channels.

    Args:
        folder: Of a saved FusionRS-CLIP, with its card.
        out: Folder to write.

    Returns:
        `out`.

    Raises:
        InputError: The model has something that `CLIPModel` has not.
    """
    config = FusionRSCLIPConfig.from_pretrained(folder)
    if more := [
        f"{name}={shown(getattr(config, name))}" for name, plain in PLAIN.items() if getattr(config, name) != plain
    ]:
        raise InputError(f"{folder} is no plain CLIP ({', '.join(more)[:200]}); push it without --as-clip")
    kinds = (config.text_config.model_type, config.vision_config.model_type)
    if kinds != ("clip_text_model", "clip_vision_model"):
        raise InputError(f"{folder} has towers {kinds[0]} and {kinds[1]}, not CLIP's; push it without --as-clip")
    plain = CLIPModel(
        CLIPConfig(
            text_config=config.text_config.to_dict(),
            vision_config=config.vision_config.to_dict(),
            projection_dim=config.projection_dim,
            logit_scale_init_value=config.logit_scale_init_value,
        )
    )
    plain.load_state_dict(FusionRSCLIPModel.from_pretrained(folder).state_dict())
    plain.save_pretrained(out)
    processor = AutoProcessor.from_pretrained(folder)
    CLIPProcessor(processor.image_processor, processor.tokenizer).save_pretrained(out)
    card = ModelCard.load(folder / "README.md", ignore_metadata_errors=True)
    card.data.library_name, card.data.pipeline_tag = "transformers", "zero-shot-image-classification"
    card.data.tags = [tag for tag in card.data.tags or [] if tag != "custom_code"]
    use = USE.read_text(encoding="utf-8").strip()
    text, count = re.subn(r"## Use\n.*?(?=\n## |\Z)", lambda _: use + "\n", card.text, count=1, flags=re.DOTALL)
    card.text = text if count else f"{card.text.rstrip()}\n\n{use}\n"
    card.save(out / "README.md")
    return out
