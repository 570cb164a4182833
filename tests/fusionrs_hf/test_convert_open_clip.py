import gzip
import pickle
from pathlib import Path

import pytest
import torch
from safetensors.torch import load_file, save_file
from transformers import AutoModel, AutoProcessor, CLIPModel

import fusionrs_hf.auto  # noqa: F401
from fusionrs_hf.cli import main
from fusionrs_hf.convert_open_clip import convert_open_clip, read_open_clip, read_state
from fusionrs_hf.errors import InputError
from tests.made import tiny

FIXTURE = Path(__file__).parents[1] / "data" / "open_clip" / "tiny.safetensors"


@pytest.fixture(scope="module")
def tensors():
    return load_file(FIXTURE)


@pytest.fixture(scope="module")
def state(tensors):
    return {name.removeprefix("state."): value for name, value in tensors.items() if name.startswith("state.")}


def forty_words(folder):
    """A tokenizer of as many tokens as the fixture's text tower."""
    tokenizer = tiny.tokenizer()
    tokenizer.add_tokens([f"word{number}" for number in range(40 - len(tokenizer))])
    tokenizer.save_pretrained(folder)
    return str(folder)


def test_embeddings_equal_open_clip_s_own(tensors, state):
    model = read_open_clip(state, quick_gelu=False)
    with torch.no_grad():
        outputs = model(input_ids=tensors["texts"], pixel_values=tensors["images"], ir_pixel_values=tensors["images"])
    torch.testing.assert_close(outputs.rgb_embeds, tensors["image_embeds"], rtol=0, atol=1e-5)
    torch.testing.assert_close(outputs.ir_embeds, tensors["image_embeds"], rtol=0, atol=1e-5)
    torch.testing.assert_close(outputs.text_embeds, tensors["text_embeds"], rtol=0, atol=1e-5)


def test_quick_gelu_is_another_model(tensors, state):
    model = read_open_clip(state, quick_gelu=True)
    with torch.no_grad():
        embeds = model(pixel_values=tensors["images"]).rgb_embeds
    assert (embeds - tensors["image_embeds"]).abs().max() > 1e-3


def named(prefix):
    return lambda state: {f"{prefix}{name}": value for name, value in state.items()}


@pytest.mark.parametrize("suffix", [".pt", ".safetensors"])
@pytest.mark.parametrize(
    "prefix",
    ["", "module.", "_orig_mod.", "module._orig_mod.", "_orig_mod.module.", "model.", "clip_model._orig_mod."],
)
def test_what_wrappers_put_before_the_names_is_taken_off(state, tmp_path, prefix, suffix):
    path = tmp_path / f"weights{suffix}"
    torch.save(named(prefix)(state), path) if suffix == ".pt" else save_file(named(prefix)(state), path)
    read = read_state(path)
    assert set(read) == set(state) and all(torch.equal(read[name], state[name]) for name in state)


def test_towers_that_were_wrapped_alone_are_read(state, tmp_path):
    wrapped = {name.replace("visual.", "visual._orig_mod.module."): value for name, value in state.items()}
    torch.save(wrapped, tmp_path / "weights.pt")
    assert set(read_state(tmp_path / "weights.pt")) == set(state)


@pytest.mark.parametrize(
    "wrap",
    [
        lambda s: {"model": s},
        lambda s: {"state_dict": s, "epoch": 3, "optimizer": {"state": {}}},
        lambda s: {"model": {"state_dict": named("_orig_mod.")(s)}, "args": ["x"]},
        lambda s: {"state_dict": {"model": named("module.")(s)}},
        lambda s: {"model_state_dict": s, "model": None},
        lambda s: {"module": named("module.")(s), "step": 7},
    ],
)
def test_a_state_dict_is_found_in_what_training_saves(state, tmp_path, wrap):
    torch.save(wrap(state), tmp_path / "weights.pt")
    read = read_state(tmp_path / "weights.pt")
    assert set(read) == set(state) and all(torch.equal(read[name], state[name]) for name in state)


@pytest.mark.parametrize(
    "wrap", [lambda s: s, lambda s: {"epoch": 3, "state_dict": {f"module.{k}": v for k, v in s.items()}}]
)
def test_the_verb_writes_a_folder_that_clip_and_the_auto_classes_load(tensors, state, tmp_path, wrap):
    torch.save(wrap(state), tmp_path / "weights.pt")
    command = ["convert", "open-clip", str(tmp_path / "weights.pt"), "--output", str(tmp_path / "out")]
    assert main([*command, "--tokenizer", forty_words(tmp_path / "words")]) == 0
    for model in (AutoModel.from_pretrained(tmp_path / "out"), CLIPModel.from_pretrained(tmp_path / "out")):
        with torch.no_grad():
            features = model.eval().get_text_features(input_ids=tensors["texts"])
        features = getattr(features, "pooler_output", features)
        torch.testing.assert_close(
            torch.nn.functional.normalize(features, dim=-1), tensors["text_embeds"], rtol=0, atol=1e-5
        )
    processor = AutoProcessor.from_pretrained(tmp_path / "out")
    inputs = processor(images=tiny.rgb_image(), ir_images=tiny.ir_image(), text="dry ground")
    assert inputs["pixel_values"].shape == (1, 3, 32, 32)


def test_what_a_folder_holds_is_not_overwritten(state, tmp_path, capsys):
    torch.save(state, tmp_path / "weights.pt")
    out, words = tmp_path / "out", forty_words(tmp_path / "words")
    command = ["convert", "open-clip", str(tmp_path / "weights.pt"), "--output", str(out), "--tokenizer", words]
    out.mkdir()
    (out / "config.json").write_text("mine")
    for more in ([], ["--overwrite"]):
        assert main([*command, *more]) == 2
        assert "is not empty and not of `fusionrs convert open-clip` (config.json)" in capsys.readouterr().err
    assert [path.name for path in out.iterdir()] == ["config.json"] and (out / "config.json").read_text() == "mine"
    (out / "config.json").unlink()
    assert main(command) == 0
    weights = (out / "model.safetensors").read_bytes()
    assert main(command) == 2 and "--overwrite replaces it" in capsys.readouterr().err
    assert main([*command, "--overwrite"]) == 0 and (out / "model.safetensors").read_bytes() == weights
    (out / "notes.txt").write_text("mine")
    assert main([*command, "--overwrite"]) == 2 and "did not write (notes.txt)" in capsys.readouterr().err
    assert (out / "notes.txt").exists() and (out / "model.safetensors").read_bytes() == weights


def test_a_file_that_would_run_code_is_refused(tmp_path):
    class Evil:
        def __reduce__(self):
            return (Path.touch, (tmp_path / "ran",))

    with open(tmp_path / "evil.pt", "wb") as file:
        pickle.dump({"logit_scale": Evil()}, file)
    with pytest.raises(InputError, match="no plain state dict"):
        read_state(tmp_path / "evil.pt")
    assert not (tmp_path / "ran").exists()


def test_other_architectures_and_files_are_named(state, tmp_path):
    with pytest.raises(InputError, match="does not exist"):
        read_state(tmp_path / "none.pt")
    torch.save([1, 2], tmp_path / "list.pt")
    with pytest.raises(InputError, match="holds no state dict"):
        read_state(tmp_path / "list.pt")
    without = {name: value for name, value in state.items() if name != "visual.conv1.weight"}
    with pytest.raises(InputError, match="lacks 1 of the keys of a ViT CLIP, such as visual.conv1.weight"):
        read_open_clip(without, False)
    more = {**state, "visual.attn_pool.query": torch.zeros(1)}
    with pytest.raises(InputError, match="1 keys differ"):
        read_open_clip(more, False)


def test_a_tokenizer_of_another_size_is_refused(state, tmp_path):
    torch.save(state, tmp_path / "weights.pt")
    tiny.tokenizer().save_pretrained(tmp_path / "words")
    with pytest.raises(InputError, match="tokens, the model 40"):
        convert_open_clip(tmp_path / "weights.pt", tmp_path / "out", str(tmp_path / "words"))


def test_the_bpe_file_of_clip_becomes_its_tokenizer(tmp_path):
    """Two merges of the real file's form: "l o" and "lo w</w>"."""
    from fusionrs_hf.convert_open_clip import _tokenizer

    (tmp_path / "bpe.gz").write_bytes(gzip.compress(b'"bpe"#version: 0.2\nl o\nlo w</w>\n'))
    tokenizer = _tokenizer(str(tmp_path / "bpe.gz"), 8)
    assert len(tokenizer) == 512 + 2 + 2
    assert tokenizer("Low lot")["input_ids"] == [514, 513, 512, 256 + ord("t") - ord("!"), 515]
