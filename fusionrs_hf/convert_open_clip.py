"""Checkpoints in open_clip's format (RemoteCLIP, GeoRSCLIP, LAION's) -> an ordinary FusionRS-CLIP folder.

Reads ViT image towers with the standard text tower; nothing of open_clip is imported. Stays home: no remote code.
"""

import gzip
import logging
import zlib
from collections.abc import Mapping
from pathlib import Path
from pickle import UnpicklingError
from typing import TYPE_CHECKING, Any

from fusionrs_hf.bounds import DEPTH, VOCABULARY_BYTES
from fusionrs_hf.errors import InputError
from fusionrs_hf.folder_scratch import scratch
from fusionrs_hf.output_folder import writing
from fusionrs_hf.stops import stops_in_a_line
from fusionrs_hf.weights import check_archive, check_tensors, load_tokenizer, loading, safetensors_header

if TYPE_CHECKING:
    from torch import Tensor
    from transformers import CLIPTokenizer

    from fusionrs_hf.modeling_fusionrs_clip import FusionRSCLIPModel

logger = logging.getLogger(__name__)

HEAD_SIZE = 64  # of every ViT and text tower that open_clip's standard configurations name
BPE_TOKENS = 49152 - 256 - 2  # merges of CLIP's vocabulary, after the header line of the file
LAYER_NAMES = {
    "ln_1": "layer_norm1",
    "ln_2": "layer_norm2",
    "attn.out_proj": "self_attn.out_proj",
    "mlp.c_fc": "mlp.fc1",
    "mlp.c_proj": "mlp.fc2",
}
NAMES = {
    "logit_scale": "logit_scale",
    "token_embedding.weight": "text_model.embeddings.token_embedding.weight",
    "positional_embedding": "text_model.embeddings.position_embedding.weight",
    "ln_final.weight": "text_model.final_layer_norm.weight",
    "ln_final.bias": "text_model.final_layer_norm.bias",
    "visual.class_embedding": "vision_model.embeddings.class_embedding",
    "visual.positional_embedding": "vision_model.embeddings.position_embedding.weight",
    "visual.conv1.weight": "vision_model.embeddings.patch_embedding.weight",
    "visual.ln_pre.weight": "vision_model.pre_layrnorm.weight",
    "visual.ln_pre.bias": "vision_model.pre_layrnorm.bias",
    "visual.ln_post.weight": "vision_model.post_layernorm.weight",
    "visual.ln_post.bias": "vision_model.post_layernorm.bias",
}
PROJECTIONS = {"text_projection": "text_projection.weight", "visual.proj": "visual_projection.weight"}
WRAPPERS = ("state_dict", "model", "model_state_dict", "module", "ema", "model_ema")  # keys of what training saves
WRAPPED = ("module", "_orig_mod", "_fsdp_wrapped_module", "_checkpoint_wrapped_module")  # parts of names, anywhere
PREFIXES = ("model.", "clip.", "clip_model.")  # of modules around the whole
SHAPES = {  # dimensions of what tells how large the model is
    **dict.fromkeys(
        ("token_embedding.weight", "positional_embedding", "visual.positional_embedding", "visual.proj"), 2
    ),
    **{"visual.conv1.weight": 4, "logit_scale": 0, "text_projection": 2},
    **dict.fromkeys(("transformer.resblocks.0.mlp.c_fc.bias", "visual.transformer.resblocks.0.mlp.c_fc.bias"), 1),
}
IGNORED = ("attn_mask", "input_resolution", "context_length", "vocab_size")  # buffers, and what OpenAI's files add


def convert_open_clip(
    checkpoint: Path, output: Path, tokenizer: str, quick_gelu: bool = False, overwrite: bool = False
) -> Path:
    """Writes a folder that `FusionRSCLIPModel`, `CLIPModel` and the Auto classes load.

    Args:
        checkpoint: `.pt`, `.bin` or `.safetensors` with the state dict of an open_clip model.
        output: Folder to write: new, empty, or of an earlier conversion that did not end.
        tokenizer: Hub id or folder of a CLIP tokenizer, or a `bpe_simple_vocab_16e6.txt.gz`.
        quick_gelu: Whether the model was trained with OpenAI's approximation (open_clip's `*-quickgelu` and its
            `openai` tags); the file does not say. RemoteCLIP and GeoRSCLIP were not.
        overwrite: Replace an earlier conversion: the files that it wrote, no others.

    Returns:
        `output`.

    Raises:
        InputError: The file cannot be read safely, or holds another architecture; or the folder holds something else.
    """
    from transformers import CLIPImageProcessor

    from fusionrs_hf import auto  # noqa: F401 - registers the classes, so that the folder carries their code
    from fusionrs_hf.processing_fusionrs_clip import FusionRSCLIPProcessor

    model = read_open_clip(read_state(checkpoint), quick_gelu, str(checkpoint))
    side = model.config.vision_config.image_size
    images = CLIPImageProcessor(size={"shortest_edge": side}, crop_size={"height": side, "width": side})
    texts = _tokenizer(tokenizer, model.config.text_config.max_position_embeddings)
    if len(texts) != model.config.text_config.vocab_size:
        raise InputError(
            f"tokenizer {tokenizer} has {len(texts)} tokens, the model {model.config.text_config.vocab_size}; give "
            "the tokenizer that it was trained with"
        )
    with stops_in_a_line(output, "convert open-clip"), writing(output, "convert open-clip", overwrite) as folder:
        if folder.manifest.finished:
            raise InputError(f"{output} holds a finished conversion; --overwrite replaces it, or give another folder")
        with scratch(folder.path) as prepared:
            model.save_pretrained(prepared)
            FusionRSCLIPProcessor(images, images, texts).save_pretrained(prepared)
            folder.move_in(prepared)
        folder.finish()
    logger.info("%s -> %s: %d px, %d wide", checkpoint.name, output, side, model.config.projection_dim)
    return output


def read_state(checkpoint: Path) -> "dict[str, Tensor]":
    """Reads a state dict, also one that training wrapped, under keys of `WRAPPERS` or names of `WRAPPED`.

    No code from the file is ever run.

    Raises:
        InputError: No such file, or one that is no plain state dict.
    """
    import torch
    from safetensors.torch import load_file

    if not checkpoint.is_file():
        raise InputError(f"checkpoint {checkpoint} does not exist; give a .pt, .bin or .safetensors file")
    with loading(checkpoint, "a plain state dict", "save it as one, or as safetensors"):
        if checkpoint.suffix == ".safetensors":
            safetensors_header(checkpoint)
            state: Any = load_file(checkpoint)
        else:
            check_archive(checkpoint)
            try:
                state = torch.load(checkpoint, map_location="cpu", weights_only=True)
            except UnpicklingError:  # its own words advise to run what the file names
                raise InputError(
                    f"{checkpoint} is no plain state dict: it is damaged, or names code, which is not run; save it as "
                    "one, or as safetensors"
                ) from None
    for _ in range(DEPTH):  # a file may hold itself
        inner = isinstance(state, Mapping) and next((name for name in WRAPPERS if _is_wrapped(state, name)), None)
        if not inner:
            break
        state = state[inner]
    if (
        not isinstance(state, Mapping)
        or not state
        or not all(isinstance(part, torch.Tensor) and isinstance(name, str) for name, part in state.items())
    ):
        raise InputError(f"{checkpoint} holds no state dict of tensors; give an open_clip checkpoint")
    return _without_prefixes(state)


def _is_wrapped(state: Mapping[str, Any], name: str) -> bool:
    return isinstance(state.get(name), Mapping) and bool(state[name])


def _without_prefixes(state: "Mapping[str, Tensor]") -> "dict[str, Tensor]":
    """Returns the tensors by their names in the model: without what wrappers of it, or of its towers, put in."""
    plain = {".".join(part for part in name.split(".") if part not in WRAPPED): part for name, part in state.items()}
    while prefix := next((prefix for prefix in PREFIXES if all(name.startswith(prefix) for name in plain)), None):
        plain = {name.removeprefix(prefix): part for name, part in plain.items()}
    return plain


def read_open_clip(
    state: "Mapping[str, Tensor]", quick_gelu: bool, where: str = "the checkpoint"
) -> "FusionRSCLIPModel":
    """Builds the model that a state dict of open_clip's CLIP describes, in fp32.

    Raises:
        InputError: Keys are missing or left over: another architecture, such as a ResNet or a foreign text tower.
    """
    import torch

    from fusionrs_hf.configuration_fusionrs_clip import FusionRSCLIPConfig
    from fusionrs_hf.modeling_fusionrs_clip import FusionRSCLIPModel

    needed = [*NAMES, *PROJECTIONS]
    if missing := [name for name in needed if name not in state]:
        raise InputError(
            f"{where} lacks {len(missing)} of the keys of a ViT CLIP, such as {missing[0]}; only open_clip's ViT "
            "models with their own text tower are read"
        )
    state = {name: value for name, value in state.items() if name not in IGNORED}
    check_tensors(state, where)
    with loading(where, "open_clip's ViT CLIP", "give the checkpoint as open_clip saved it"), torch.device("meta"):
        model = FusionRSCLIPModel(FusionRSCLIPConfig(**_configuration(state, quick_gelu)))
    renamed = {}
    for name, value in state.items():
        renamed |= _renamed(name, value.float())
    keys = set(model.state_dict())
    if strange := sorted(set(renamed) ^ keys):
        raise InputError(f"{where} is not open_clip's standard CLIP: {len(strange)} keys differ, such as {strange[0]}")
    for name, wanted in model.state_dict().items():
        if renamed[name].shape != wanted.shape:
            shapes = f"{tuple(renamed[name].shape)}, expected {tuple(wanted.shape)}"
            raise InputError(f"{where} is not open_clip's standard CLIP: {name} would be of shape {shapes}")
    model.load_state_dict(renamed, assign=True)
    for tower in (model.text_model, model.vision_model):
        positions = tower.embeddings.position_embedding.num_embeddings
        tower.embeddings.position_ids = torch.arange(positions).expand(1, -1)  # not in the file, so still on meta
    return model.eval()


def _configuration(state: "Mapping[str, Tensor]", quick_gelu: bool) -> dict[str, Any]:
    for name, dimensions in SHAPES.items():
        if state[name].ndim != dimensions or 0 in state[name].shape:
            raise ValueError(f"{name} has the shape {tuple(state[name].shape)}, expected {dimensions} dimensions")
    vocabulary, text_width = state["token_embedding.weight"].shape
    width, _, patch, _ = state["visual.conv1.weight"].shape
    side = round((len(state["visual.positional_embedding"]) - 1) ** 0.5)
    shared = {"hidden_act": "quick_gelu" if quick_gelu else "gelu", "projection_dim": state["visual.proj"].shape[1]}
    return {
        "text_config": {
            **shared,
            "model_type": "clip_text_model",
            "vocab_size": vocabulary,
            "hidden_size": text_width,
            "intermediate_size": len(state["transformer.resblocks.0.mlp.c_fc.bias"]),
            "num_hidden_layers": _layers(state, "transformer."),
            "num_attention_heads": max(1, text_width // HEAD_SIZE),
            "max_position_embeddings": len(state["positional_embedding"]),
            "bos_token_id": vocabulary - 2,
            "eos_token_id": vocabulary - 1,
            "pad_token_id": vocabulary - 1,
        },
        "vision_config": {
            **shared,
            "model_type": "clip_vision_model",
            "hidden_size": width,
            "intermediate_size": len(state["visual.transformer.resblocks.0.mlp.c_fc.bias"]),
            "num_hidden_layers": _layers(state, "visual.transformer."),
            "num_attention_heads": max(1, width // HEAD_SIZE),
            "image_size": side * patch,
            "patch_size": patch,
        },
        "projection_dim": state["visual.proj"].shape[1],
    }


def _layers(state: "Mapping[str, Tensor]", prefix: str) -> int:
    return sum(name.startswith(f"{prefix}resblocks.") and name.endswith(".ln_1.weight") for name in state)


def _renamed(name: str, value: "Tensor") -> "dict[str, Tensor]":
    """Returns the tensors that one of open_clip's becomes, by our names."""
    if name in NAMES:
        return {NAMES[name]: value}
    if name in PROJECTIONS:
        return {PROJECTIONS[name]: value.T.contiguous()}
    tower = "vision_model" if name.startswith("visual.") else "text_model"
    block = name.removeprefix("visual.").removeprefix("transformer.resblocks.")
    number, _, part = block.partition(".")
    start = f"{tower}.encoder.layers.{number}."
    if part.startswith("attn.in_proj_"):
        kind = part.removeprefix("attn.in_proj_")
        return {
            f"{start}self_attn.{letter}_proj.{kind}": chunk.contiguous()
            for letter, chunk in zip("qkv", value.chunk(3))
        }
    module, _, kind = part.rpartition(".")
    return {f"{start}{LAYER_NAMES.get(module, module)}.{kind}": value}


def _tokenizer(source: str, length: int) -> "CLIPTokenizer":
    from transformers import CLIPTokenizer

    if not source.endswith(".gz"):
        return load_tokenizer(source, model_max_length=length)
    try:
        with gzip.open(source) as file:
            data = file.read(VOCABULARY_BYTES + 1)
        lines = data.decode().split("\n")
    except (EOFError, zlib.error, gzip.BadGzipFile, UnicodeDecodeError) as error:
        raise InputError(f"vocabulary {source} cannot be read ({error}); get it again") from None
    merges = [tuple(line.split()) for line in lines[1 : 1 + BPE_TOKENS] if line]
    if len(data) > VOCABULARY_BYTES or not merges or any(len(pair) != 2 for pair in merges):
        raise InputError(f"vocabulary {source} holds no merges, a pair of words a line; get it again")
    letters = _byte_letters()
    words = [*letters, *(f"{letter}</w>" for letter in letters), *("".join(pair) for pair in merges)]
    vocabulary = {word: number for number, word in enumerate([*words, "<|startoftext|>", "<|endoftext|>"])}
    with loading(source, "CLIP's vocabulary", "get it again"):
        return CLIPTokenizer(vocabulary, merges, model_max_length=length)


def _byte_letters() -> list[str]:
    """The printable letter of each byte, in the order of CLIP's vocabulary: printable Latin-1 first, then the rest."""
    printable = [*range(ord("!"), ord("~") + 1), *range(0xA1, 0xAD), *range(0xAE, 0x100)]
    others = [byte for byte in range(256) if byte not in printable]
    return [chr(byte) for byte in printable] + [chr(256 + number) for number in range(len(others))]
