"""Weights in other projects' file formats, read into tensors under transformers' names.

Imports torch, transformers and the formats' own packages (extra `demo`) only when called.
"""

from importlib import import_module
from pathlib import Path
from types import ModuleType
from typing import TYPE_CHECKING, Any

from fusionrs_hf.errors import InputError

if TYPE_CHECKING:
    from torch import Tensor
    from transformers import PreTrainedConfig, PreTrainedTokenizerFast

ATTENTION_NAMES = (  # names of the exported graph -> names of transformers 5's Dinov2Model
    ("attention.attention.query", "attention.q_proj"),
    ("attention.attention.key", "attention.k_proj"),
    ("attention.attention.value", "attention.v_proj"),
    ("attention.output.dense", "attention.o_proj"),
)
LLAMA_NAMES = {  # names of a GGUF file -> names of transformers' LlamaForCausalLM
    "token_embd": "model.embed_tokens",
    "output_norm": "model.norm",
    "attn_norm": "input_layernorm",
    "attn_q": "self_attn.q_proj",
    "attn_k": "self_attn.k_proj",
    "attn_v": "self_attn.v_proj",
    "attn_output": "self_attn.o_proj",
    "ffn_norm": "post_attention_layernorm",
    "ffn_gate": "mlp.gate_proj",
    "ffn_up": "mlp.up_proj",
    "ffn_down": "mlp.down_proj",
}
GGUF_CONTROL_TOKEN = 3  # llama.cpp's LLAMA_TOKEN_TYPE_CONTROL


def read_mobilenet(source: Path) -> "dict[str, Tensor]":
    """Reads torchvision's MobileNetV2, without its classifier, under the names of transformers' `MobileNetV2Model`.

    Args:
        source: State dict as torchvision publishes it, `mobilenet_v2-*.pth`.

    Returns:
        Tensors by name: fp32, and the number of batches that each norm saw.
    """
    import torch

    # Both have the same layers in the same order, each a convolution and a norm, under names of their own.
    names = [f"conv_stem.{name}" for name in ("first_conv", "conv_3x3", "reduce_1x1")]
    names += [f"layer.{block}.{name}" for block in range(16) for name in ("expand_1x1", "conv_3x3", "reduce_1x1")]
    ours = iter([f"{name}.{kind}" for name in (*names, "conv_1x1") for kind in ("convolution", "normalization")])
    state, modules = {}, {}
    for name, value in torch.load(source, map_location="cpu", weights_only=True).items():
        theirs, _, tensor = name.rpartition(".")
        if not theirs.startswith("classifier"):
            module = modules.get(theirs) or modules.setdefault(theirs, next(ours))
            state[f"{module}.{tensor}"] = value
    return state


def read_onnx_vit(source: Path, layers: int) -> "dict[str, Tensor]":
    """Reads the first layers of the ONNX graph's ViT under the names of transformers' `Dinov2Model`.

    Args:
        source: ONNX file whose backbone was exported from transformers: named initialisers under `backbone.`, linear
            weights as nameless operands of `MatMul` nodes, the position table as two nameless operands.
        layers: How many layers to keep.

    Returns:
        fp32 tensors by name; linear weights `(out, in)`, positions `(1, 1 + patches, hidden_size)` with CLS first. The
        last norm is a plain standardisation (weight 1, bias 0): the file's own was trained for the last layer.
    """
    import torch

    onnx = demo_package("onnx")
    graph = onnx.load(source).graph
    values = {item.name: onnx.numpy_helper.to_array(item) for item in graph.initializer}
    arrays = {name.removeprefix("backbone."): value for name, value in values.items() if name.startswith("backbone.")}
    positions = {}
    for node in graph.node:
        for name in values.keys() & set(node.input):
            scope, _, operation = node.name.removeprefix("/backbone/").rpartition("/")
            if node.op_type == "MatMul":
                arrays[f"{scope.replace('/', '.')}.weight"] = values[name].T
            elif scope == "embeddings" and name.startswith("onnx::"):
                positions[operation.partition("_")[0]] = values[name]  # Concat: CLS; Reshape: patches
    state = {}
    for name, value in arrays.items():
        for old, new in ATTENTION_NAMES:
            name = name.replace(old, new)
        if not name.startswith("encoder.layer.") or int(name.split(".")[2]) < layers:
            state[name] = torch.tensor(value)
    table = [torch.tensor(positions[name]) for name in ("Concat", "Reshape")]  # (1, 1, hidden), (1, patches, hidden)
    state["embeddings.position_embeddings"] = torch.cat(table, dim=1)
    state["layernorm.weight"] = torch.ones_like(state["layernorm.weight"])
    state["layernorm.bias"] = torch.zeros_like(state["layernorm.bias"])
    return state


def read_gguf_llama(reader: object, config: "PreTrainedConfig") -> "dict[str, Tensor]":
    """Dequantises a GGUF file of the Llama family under the names of transformers' `LlamaForCausalLM`.

    Args:
        reader: `gguf.GGUFReader` of the file.
        config: `LlamaConfig` of the model; tensors beyond its `num_hidden_layers` are left out.

    Returns:
        bf16 tensors by name; linear weights `(out, in)`.
    """
    import torch

    gguf = demo_package("gguf")
    heads = {"attn_q": config.num_attention_heads, "attn_k": config.num_key_value_heads}
    state = {}
    for tensor in reader.tensors:
        *block, name, kind = tensor.name.split(".")  # "blk.7.attn_q.weight" or "output_norm.weight"
        if block and int(block[1]) >= config.num_hidden_layers:
            continue
        value = torch.tensor(gguf.dequantize(tensor.data, tensor.tensor_type))
        if name in heads:  # llama.cpp interleaves the two halves that transformers' rotary embedding keeps apart
            value = value.unflatten(0, (heads[name], -1, 2)).transpose(1, 2).flatten(0, 2)
        prefix = f"model.layers.{block[1]}." if block else ""
        state[f"{prefix}{LLAMA_NAMES[name]}.{kind}"] = value.to(torch.bfloat16)
    return state


def read_gguf_tokenizer(facts: dict[str, Any]) -> "PreTrainedTokenizerFast":
    """Rebuilds the byte-level BPE tokenizer, chat template included, that a SmolLM file carries.

    Args:
        facts: Metadata of the file by key, as its fields' `contents()`.
    """
    from tokenizers import Tokenizer, decoders, models, pre_tokenizers
    from transformers import PreTrainedTokenizerFast

    tokens = facts["tokenizer.ggml.tokens"]
    merges = [tuple(pair.split(" ")) for pair in facts["tokenizer.ggml.merges"]]
    tokenizer = Tokenizer(models.BPE(vocab={token: index for index, token in enumerate(tokens)}, merges=merges))
    tokenizer.pre_tokenizer = pre_tokenizers.Sequence(  # llama.cpp's pre-tokenizer "smollm"
        [pre_tokenizers.Digits(individual_digits=True), pre_tokenizers.ByteLevel(add_prefix_space=False)]
    )
    tokenizer.decoder = decoders.ByteLevel()
    control = zip(tokens, facts["tokenizer.ggml.token_type"], strict=True)
    return PreTrainedTokenizerFast(
        tokenizer_object=tokenizer,
        bos_token=tokens[facts["tokenizer.ggml.bos_token_id"]],
        eos_token=tokens[facts["tokenizer.ggml.eos_token_id"]],
        unk_token=tokens[facts["tokenizer.ggml.unknown_token_id"]],
        pad_token=tokens[facts["tokenizer.ggml.padding_token_id"]],
        additional_special_tokens=[token for token, kind in control if kind == GGUF_CONTROL_TOKEN],
        chat_template=facts["tokenizer.chat_template"],
        model_max_length=facts["llama.context_length"],
        clean_up_tokenization_spaces=False,
    )


def demo_package(name: str) -> ModuleType:
    """Imports a package of the `demo` extra; raises InputError with the remedy where it is not installed."""
    try:
        return import_module(name)
    except ImportError as error:
        raise InputError(
            f"the demo weights need `{name}`, which is not installed: pip install fusionrs-hf[demo]"
        ) from error
