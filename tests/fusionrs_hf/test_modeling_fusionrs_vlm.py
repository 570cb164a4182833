"""The VLM: modality by the token before the run, no meaning in the order, caching, beams, padding, and round trips."""

import os
import subprocess
import sys

import numpy as np
import pytest
import torch
from torch.testing import assert_close
from transformers import AutoModelForCausalLM, GenerationConfig, LlamaForCausalLM

import fusionrs_hf.auto  # noqa: F401 - registers the classes
from fusionrs_hf.modeling_fusionrs_clip import FusionRSCLIPModel
from fusionrs_hf.modeling_fusionrs_vlm import FusionRSVLMForConditionalGeneration
from fusionrs_hf.processing_fusionrs_vlm import FusionRSVLMProcessor
from tests.made import tiny, tiny_vlm

RGB, IR = tiny.rgb_image(0), tiny.ir_image(0)
OTHER_RGB, OTHER_IR = tiny.rgb_image(1), tiny.ir_image(1)


@pytest.fixture(scope="module")
def model():
    made = tiny_vlm.vlm_model()
    made.model.fit_feature_norm(torch.randn(16, 3, 24, 24), 2 + torch.randn(16, 3, 24, 24))
    return made


@pytest.fixture(scope="module")
def processor():
    return tiny_vlm.vlm_processor()


def prompts(processor, *samples, **options):
    """Each sample is a list of images; the text names as many."""
    texts = ["<image>" * len(images) + "Describe the infrared image." for images in samples]
    images = [list(images) for images in samples if images]
    return processor(images=images or None, text=texts, return_tensors="pt", padding=True, **options)


def generate(model, inputs, **options):
    options = {"max_new_tokens": 6, "min_new_tokens": 6, "do_sample": False, **options}
    return model.generate(**inputs, **options, return_dict_in_generate=True, output_scores=True)


def test_swapped_images_give_swapped_runs(model, processor):
    with torch.no_grad():
        runs = [model(**prompts(processor, pair)).image_hidden_states for pair in ([RGB, IR], [IR, RGB])]
    assert_close(runs[0][:9], runs[1][9:])
    assert_close(runs[0][9:], runs[1][:9])
    assert not torch.allclose(runs[0][:9], runs[0][9:])


@pytest.mark.parametrize("options", [{}, {"projector_context": False}, {"pooling": "patches"}])
def test_projection_equals_a_loop_over_images(options):
    model = tiny_vlm.vlm_model(**options)
    torch.manual_seed(3)
    model.model.fit_feature_norm(torch.randn(8, 3, 24, 24), torch.randn(8, 3, 24, 24))
    inputs = prompts(tiny_vlm.vlm_processor(model.config.num_image_tokens), [RGB, IR], [OTHER_IR], [OTHER_RGB])
    with torch.no_grad():
        projected = model(**inputs).image_hidden_states.unflatten(0, (4, -1))
        for pixels, name, run in zip(inputs["pixel_values"], ("rgb", "ir", "ir", "rgb"), projected):
            hidden = model.model.vision_tower(pixels[None]).last_hidden_state[0]  # (1 + 36, 16)
            if model.config.pooling == "grid":
                patches = hidden[1:].reshape(3, 2, 3, 2, 16)  # rows of cells, rows inside, columns, columns inside
                hidden = torch.cat([hidden[:1], patches.mean((1, 3)).flatten(0, 1)])
            norm, projector = model.model.feature_norm, getattr(model.model.multi_modal_projector, name)
            mean, std = (getattr(norm, f"{name}_{figure}").reshape(-1, 16) for figure in ("mean", "std"))
            hidden = (hidden - mean) / std
            for place, token in enumerate(run):
                summed = projector.own(hidden[1 + place])
                if model.config.projector_context:
                    whole = hidden if model.config.pooling == "grid" else hidden[:1]
                    summed = summed + projector.whole(whole.flatten())
                expected = projector.out(torch.nn.functional.gelu(summed)) + projector.position[place]
                assert_close(token, model.config.projector_scale * expected, atol=1e-5, rtol=1e-4)


def test_the_other_modalitys_projector_is_not_touched(model, processor):
    inputs = prompts(processor, [IR])
    model.zero_grad()
    model(**inputs, labels=inputs["input_ids"]).loss.backward()
    projectors = model.model.multi_modal_projector
    assert projectors.ir.own.weight.grad.abs().sum() > 0
    assert projectors.rgb.own.weight.grad.abs().sum() == 0
    model.zero_grad()


def test_left_padded_mix_of_pairs_singles_and_text_equals_each_alone(model, processor):
    samples = ([RGB, IR], [OTHER_IR], [], [OTHER_RGB])
    together = generate(model, prompts(processor, *samples))
    for index, sample in enumerate(samples):
        alone = generate(model, prompts(processor, sample))
        assert together.sequences[index, -6:].tolist() == alone.sequences[0, -6:].tolist()
        for step in range(6):
            assert_close(together.scores[step][index], alone.scores[step][0], atol=1e-4, rtol=1e-4)


def test_cached_generation_equals_uncached(model, processor):
    inputs = prompts(processor, [RGB, IR], [OTHER_RGB, OTHER_IR])
    cached, uncached = generate(model, inputs), generate(model, inputs, use_cache=False)
    assert torch.equal(cached.sequences, uncached.sequences)
    assert_close(torch.stack(cached.scores), torch.stack(uncached.scores), atol=1e-4, rtol=1e-4)


def test_beams_keep_each_samples_images_and_encode_once(model, processor, monkeypatch):
    samples, calls = ([RGB, IR], [OTHER_IR]), []
    encode = model.model.vision_tower.forward
    monkeypatch.setattr(model.model.vision_tower, "forward", lambda **inputs: calls.append(1) or encode(**inputs))
    options = {"num_beams": 3, "num_return_sequences": 2, "length_penalty": 0.0}
    found = generate(model, prompts(processor, *samples), **options)
    assert len(calls) == 1
    for index, sample in enumerate(samples):
        alone = prompts(processor, sample)
        for beam in (2 * index, 2 * index + 1):
            written = found.sequences[beam, -6:]
            ids = torch.cat([alone["input_ids"], written[None]], dim=1)
            with torch.no_grad():
                logits = model(input_ids=ids, pixel_values=alone["pixel_values"]).logits[0, -7:-1]
            score = logits.log_softmax(-1).gather(1, written[:, None]).sum()
            assert_close(found.sequences_scores[beam], score, atol=1e-4, rtol=1e-4)


@pytest.mark.parametrize(
    "change, message",
    [
        (lambda inputs: {"input_ids": inputs["input_ids"][:, 1:]}, "must follow <rgb> or <ir>"),
        (lambda inputs: {"pixel_values": inputs["pixel_values"][:1]}, "1 images for 2 runs"),
        (lambda inputs: {"input_ids": None, "inputs_embeds": torch.zeros(1, 25, 16)}, "images need input_ids"),
        (lambda inputs: {"mm_encoder_outputs": {"image": object()}}, "got both"),
    ],
)
def test_images_that_do_not_fit_the_text_are_refused(model, processor, change, message):
    inputs = {name: prompts(processor, [RGB, IR])[name] for name in ("input_ids", "pixel_values")}
    with pytest.raises(ValueError, match=message):
        model(**{**inputs, **change(inputs)})


def test_fitted_features_have_no_mean_and_unit_spread(model):
    torch.manual_seed(5)
    model = tiny_vlm.vlm_model()
    rgb, ir = torch.randn(40, 3, 24, 24), torch.randn(40, 3, 24, 24) * 3
    model.model.fit_feature_norm(rgb, ir, batch_size=7)
    for name, pixels in (("rgb", rgb), ("ir", ir)):
        features = model.model.get_image_features(pixels).last_hidden_state
        features = model.model._standardise(features, name).flatten(1)
        assert_close(features.mean(0), torch.zeros(160), atol=1e-4, rtol=0)
        assert_close(features.std(0), torch.ones(160), atol=1e-4, rtol=0)
    kept = model.model.feature_norm.rgb_mean.clone()
    model.model.fit_feature_norm(rgb[:0], ir[:20])
    assert torch.equal(model.model.feature_norm.rgb_mean, kept)


def test_new_projectors_speak_at_the_volume_of_words():
    model = tiny_vlm.vlm_model(projector_scale=0.1)
    features = torch.randn(64, 9, 32)
    spread = model.model.project(features, torch.arange(64) % 2 == 0).std()
    assert 0.05 < spread < 0.2


def test_from_towers_takes_tower_statistics_and_the_layers_to_keep(tmp_path):
    clip_folder = tiny_vlm.save_clip(tmp_path / "clip")
    language_folder = tiny_vlm.save_language_model(tmp_path / "language", layers=3)
    towers = str(clip_folder), str(language_folder)
    model = FusionRSVLMForConditionalGeneration.from_towers(*towers, [0, 2], grid_size=3)
    processor = FusionRSVLMProcessor.from_towers(*towers, 9)
    clip = FusionRSCLIPModel.from_pretrained(clip_folder)
    language = AutoModelForCausalLM.from_pretrained(language_folder)
    assert len(model.model.language_model.layers) == model.config.text_config.num_hidden_layers == 2
    for ours, theirs in (
        (model.model.vision_tower, clip.vision_model),
        (model.model.feature_norm, clip.feature_norm),
        (model.model.language_model.layers[0], language.model.layers[0]),
        (model.model.language_model.layers[1], language.model.layers[2]),
    ):
        for name, value in theirs.state_dict().items():
            assert torch.equal(ours.state_dict()[name], value), name
    words = language.get_input_embeddings().weight
    assert torch.equal(model.get_input_embeddings().weight[: len(words)], words)
    assert model.config.projector_scale == pytest.approx(words.std().item())
    assert list(processor.image_processor.image_mean) == [0.5] * 3
    assert list(processor.ir_image_processor.image_mean) == [0.2] * 3
    with torch.no_grad():  # token ids of model and processor agree, or this raises
        assert model(**prompts(processor, [RGB, IR])).image_hidden_states.shape == (18, 16)


def test_other_pooling_leaves_statistics_to_be_fitted(tmp_path):
    folders = tiny_vlm.save_clip(tmp_path / "clip"), tiny_vlm.save_language_model(tmp_path / "language")
    model = FusionRSVLMForConditionalGeneration.from_towers(*map(str, folders), pooling="patches")
    assert torch.equal(model.model.feature_norm.rgb_mean, torch.zeros(16))
    assert len(model.model.language_model.layers) == 3


def test_bfloat16_and_eager_attention_reach_all_parts(tmp_path, model):
    model.save_pretrained(tmp_path)
    loaded = FusionRSVLMForConditionalGeneration.from_pretrained(
        tmp_path, dtype=torch.bfloat16, attn_implementation="eager"
    )
    assert {value.dtype for value in loaded.state_dict().values()} == {torch.bfloat16}
    assert loaded.model.vision_tower.config._attn_implementation == "eager"
    assert loaded.model.language_model.config._attn_implementation == "eager"


def test_a_saved_folder_holds_only_the_code_that_it_needs(tmp_path, model, processor):
    model.save_pretrained(tmp_path)
    processor.save_pretrained(tmp_path)
    assert {path.name for path in tmp_path.glob("*.py")} == {
        "configuration_fusionrs_vlm.py",
        "modeling_fusionrs_features.py",
        "modeling_fusionrs_layers.py",
        "modeling_fusionrs_vlm.py",
        "modeling_fusionrs_vlm_start.py",
        "processing_fusionrs_arrays.py",
        "processing_fusionrs_images.py",
        "processing_fusionrs_vlm.py",
    }


LOAD_REMOTE = """
import sys
sys.modules["fusionrs_hf"] = None  # as for a user who never installed the package
import numpy as np, torch
from PIL import Image
from transformers import AutoModelForImageTextToText, AutoProcessor
folder = sys.argv[1]
model = AutoModelForImageTextToText.from_pretrained(folder, trust_remote_code=True)
processor = AutoProcessor.from_pretrained(folder, trust_remote_code=True)
assert type(model).__module__.startswith("transformers_modules."), type(model)
images = [Image.open(f"{folder}/rgb.png"), Image.open(f"{folder}/ir.png")]
content = [{"type": "image", "image": image} for image in images] + [{"type": "text", "text": "Describe the infrared"}]
inputs = processor.apply_chat_template([{"role": "user", "content": content}], add_generation_prompt=True,
                                       tokenize=True, return_dict=True, return_tensors="pt")
with torch.no_grad():
    np.savez(f"{folder}/remote.npz", ids=inputs["input_ids"], logits=model(**inputs).logits,
             written=model.generate(**inputs, max_new_tokens=5, do_sample=False))
"""


def test_a_process_without_the_package_gets_the_same_numbers(tmp_path, model, processor):
    model.save_pretrained(tmp_path)
    processor.save_pretrained(tmp_path)
    RGB.save(tmp_path / "rgb.png")
    IR.save(tmp_path / "ir.png")
    environment = {**os.environ, "HF_MODULES_CACHE": str(tmp_path / "modules"), "HF_HUB_OFFLINE": "1"}
    command = [sys.executable, "-c", LOAD_REMOTE, str(tmp_path)]
    ended = subprocess.run(
        command, env=environment, cwd=tmp_path, stdin=subprocess.DEVNULL, capture_output=True, text=True, check=False
    )
    assert ended.returncode == 0, ended.stderr
    remote = np.load(tmp_path / "remote.npz")
    content = [{"type": "image", "image": image} for image in (RGB, IR)]
    inputs = processor.apply_chat_template(
        [{"role": "user", "content": [*content, {"type": "text", "text": "Describe the infrared"}]}],
        add_generation_prompt=True,
        tokenize=True,
        return_dict=True,
        return_tensors="pt",
    )
    assert inputs["input_ids"].tolist() == remote["ids"].tolist()
    with torch.no_grad():
        assert_close(model(**inputs).logits, torch.from_numpy(remote["logits"]))
        written = model.generate(**inputs, generation_config=GenerationConfig(max_new_tokens=5), do_sample=False)
    assert written.tolist() == remote["written"].tolist()


def test_from_towers_takes_an_untied_head_and_how_the_language_model_generates(tmp_path):
    config = tiny_vlm.language_config()
    config.tie_word_embeddings = False
    torch.manual_seed(4)
    language = LlamaForCausalLM(config)
    language.generation_config.update(max_new_tokens=7, repetition_penalty=1.3)
    language.save_pretrained(tmp_path / "language")
    tiny_vlm.tokenizer(with_image_tokens=False).save_pretrained(tmp_path / "language")
    clip = tiny_vlm.save_clip(tmp_path / "clip")
    model = FusionRSVLMForConditionalGeneration.from_towers(str(clip), str(tmp_path / "language"), grid_size=3)
    words, head = language.get_input_embeddings().weight, language.lm_head.weight
    assert not torch.equal(words, head)
    assert torch.equal(model.get_input_embeddings().weight[: len(words)], words)
    assert torch.equal(model.lm_head.weight[: len(head)], head)
    assert (model.generation_config.max_new_tokens, model.generation_config.repetition_penalty) == (7, 1.3)
    assert len(model.lm_head.weight) % 64 == 0
