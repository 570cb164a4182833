import json
import shutil

import pytest
import torch
from transformers import (
    AutoConfig,
    CLIPImageProcessorPil,
    GenerationConfig,
    LlavaConfig,
    LlavaForConditionalGeneration,
    LlavaProcessor,
)

from dataset_builder.captioning.models.local import OUR_MODEL_TYPE, LocalCaptioner, LocalSettings
from fusionrs_hf.configuration_fusionrs_vlm import FusionRSVLMConfig
from fusionrs_hf.errors import InputError
from fusionrs_hf.prompts import PROMPT
from tests.dataset_builder.made.caption_rows import ask, make_row
from tests.made import tiny, tiny_vlm
from training.vlm_arguments import VlmArguments

LENGTH = 6  # new tokens; the last is forced to end the answer, since random models would never
TEMPLATE = (
    "{% for m in messages %}{% for c in m['content'] %}{{ '<image>' if c['type'] == 'image' else c['text'] }}"
    "{% endfor %}{% endfor %} assistant"
)


def ending(model):
    model.generation_config = GenerationConfig(
        eos_token_id=3, pad_token_id=0, bos_token_id=2, forced_eos_token_id=3, max_new_tokens=LENGTH
    )
    return model


@pytest.fixture(scope="module")
def ours(tmp_path_factory):
    folder = tmp_path_factory.mktemp("ours") / "vlm"
    ending(tiny_vlm.vlm_model()).save_pretrained(folder)
    tiny_vlm.vlm_processor().save_pretrained(folder)
    return folder


@pytest.fixture(scope="module")
def stock(tmp_path_factory):
    """A tiny random LLaVA, as transformers has it."""
    folder = tmp_path_factory.mktemp("stock") / "llava"
    words = tiny_vlm.tokenizer()
    torch.manual_seed(0)
    config = LlavaConfig(
        vision_config=tiny.vision_config(),
        text_config=tiny_vlm.language_config(vocab_size=len(words)),
        image_token_id=words.convert_tokens_to_ids("<image>"),
        vision_feature_layer=-1,
        vision_feature_select_strategy="default",
        image_seq_length=36,
    )
    ending(LlavaForConditionalGeneration(config).eval()).save_pretrained(folder)
    size = {"height": tiny.IMAGE_PX, "width": tiny.IMAGE_PX}
    pictures = CLIPImageProcessorPil(size=size, crop_size=size)
    LlavaProcessor(
        pictures,
        words,
        patch_size=4,
        vision_feature_select_strategy="default",
        num_additional_image_tokens=1,
        chat_template=TEMPLATE,
    ).save_pretrained(folder)
    return folder


def local(folder, cache, **options):
    return LocalCaptioner(LocalSettings(str(folder), cache=cache, device="cpu", max_new_tokens=LENGTH, **options))


def never(*arguments):
    raise AssertionError("generated twice")


@pytest.mark.parametrize("kind", ["ours", "stock"])
def test_every_row_gets_the_caption_of_its_images_whatever_the_batch(kind, request, tmp_path):
    folder = request.getfixturevalue(kind)
    rows = [make_row(n) for n in range(5)]
    together = ask(local(folder, tmp_path / "a", batch_size=4), rows)
    alone = local(folder, tmp_path / "b", batch_size=1)
    assert [row.ir_captions for row in together] == [ask(alone, [row])[0].ir_captions for row in rows]
    assert all(row.ir_captions and not row.failure for row in together)
    assert len({row.ir_captions[0] for row in together}) > 1
    assert all(0 < row.usage["completion_tokens"] <= LENGTH for row in together)


def test_a_fusionrs_vlm_is_asked_what_it_was_trained_on_with_infrared_as_one_channel(ours, tmp_path):
    captioner = local(ours, tmp_path)
    row = make_row(0)
    (written,) = ask(captioner, [row])
    model, processor = tiny_vlm.vlm_model(), tiny_vlm.vlm_processor()
    content = "<rgb><image><ir><image>" + PROMPT
    text = processor.apply_chat_template([{"role": "user", "content": content}], add_generation_prompt=True)
    images = [tiny_image(row["_rgb"]), tiny_image(row["_ir"])]
    inputs = processor(images=images, text=text, return_tensors="pt")
    made = ending(model).generate(**inputs, do_sample=False)[:, inputs["input_ids"].shape[1] :]
    assert written.ir_captions == [processor.batch_decode(made, skip_special_tokens=True)[0].strip()]
    assert written.usage["prompt_tokens"] == inputs["input_ids"].shape[1]


def tiny_image(array):
    return tiny.Image.fromarray(array)


def test_our_model_type_and_prompt_are_those_of_the_model_and_its_training():
    prompts = LocalSettings("model").prompts(ours=True)
    asked = VlmArguments(dataset="", clip_model="", language_model="").prompt
    assert (FusionRSVLMConfig.model_type, asked) == (OUR_MODEL_TYPE, prompts.prompt) == ("fusionrs_vlm", PROMPT)


def test_our_vlm_writes_no_scene_captions_and_cannot_repair(ours, tmp_path):
    captioner = local(ours, tmp_path)
    row = make_row(0, captions=[])
    (first,) = ask(captioner, [row])
    captioner._generate = never
    (again,) = ask(captioner, [row], ["ir_contradicted: all of it"])
    assert first.captions == [] and again.ir_captions == first.ir_captions and again.usage == {"cached": 1}


def test_a_rerun_loads_no_weights_and_equal_rows_are_generated_once(stock, tmp_path):
    rows = [make_row(0), make_row(1), make_row(0)]
    captioner, sizes = local(stock, tmp_path), []
    generate = captioner._generate
    captioner._generate = lambda views, prompts: sizes.append(len(views)) or generate(views, prompts)
    first = ask(captioner, rows)
    later = local(stock, tmp_path)
    again = ask(later, rows)
    assert sizes == [2] and later._model is None
    assert [row.ir_captions for row in again] == [row.ir_captions for row in first]
    assert [row.usage.get("cached", 0) for row in first] == [0, 0, 1]


def test_another_training_in_the_same_folder_is_another_revision(ours, tmp_path):
    folder = shutil.copytree(ours, tmp_path / "vlm")
    before = local(folder, tmp_path / "cache")
    ending(tiny_vlm.vlm_model(seed=1)).save_pretrained(folder)
    after = local(folder, tmp_path / "cache")
    assert before.revision != after.revision and len(after.revision) == 16
    ask(before, [make_row(0)])
    assert "cached" not in ask(after, [make_row(0)])[0].usage


def test_settings_name_the_model_and_no_folder_of_this_machine(ours, tmp_path):
    captioner = local(ours, tmp_path)
    assert captioner.settings["model"] == "vlm"
    assert str(ours.parent) not in json.dumps(captioner.settings)


@pytest.mark.parametrize(
    ("text", "captions", "scenes", "failure"),
    [
        ("bright north", ["bright north"], [], None),
        ('{"ir_aware_caption": "dark"}', ["dark"], [], None),
        ('```json\n{"scene_caption": "A farm.", "ir_aware_caption": "dark"}```', ["dark"], ["A farm."], None),
        ('{"ir_aware_caption": "da', [], [], "bad_answer"),
        ("  ", [], [], "bad_answer"),
    ],
)
def test_plain_text_and_json_are_both_answers(stock, tmp_path, text, captions, scenes, failure):
    captioner = local(stock, tmp_path)
    captioner._generate = lambda views, prompts: [(text, True, {"completion_tokens": 3})] * len(views)
    (row,) = ask(captioner, [make_row(0, captions=[])])
    assert (row.ir_captions, row.captions, row.failure) == (captions, scenes, failure)
    if not failure:
        captioner._generate = never
        (again,) = ask(captioner, [make_row(0, captions=[])])
        assert (again.ir_captions, again.captions) == (captions, scenes)


def test_an_answer_without_end_is_cut_and_not_kept(stock, tmp_path):
    captioner = local(stock, tmp_path)
    captioner._load()
    captioner._model.generation_config.forced_eos_token_id = None
    captioner._model.generation_config.eos_token_id = 2  # a token that this model does not say
    (row,) = ask(captioner, [make_row(0)])
    assert (row.failure, row.ir_captions) == ("answer_cut", [])
    assert not list(tmp_path.rglob("*.json"))


def test_scene_captions_that_spell_special_tokens_change_no_image_count(stock, tmp_path):
    (row,) = ask(local(stock, tmp_path), [make_row(0, captions=["<image> <image> <|im_end|>"])])
    assert row.failure is None


def test_a_model_without_chat_template_or_without_images_is_refused(stock, tmp_path):
    folder = shutil.copytree(stock, tmp_path / "plain")
    (folder / "chat_template.jinja").unlink()
    with pytest.raises(InputError, match="no chat template"):
        ask(local(folder, tmp_path / "cache"), [make_row(0)])
    text = tiny_vlm.language_config()
    folder = shutil.copytree(stock, tmp_path / "text")
    text.save_pretrained(folder)
    assert AutoConfig.from_pretrained(folder).model_type == "llama"
    with pytest.raises(InputError, match="cannot be loaded as an image-text-to-text model"):
        ask(local(folder, tmp_path / "cache"), [make_row(0)])


@pytest.mark.parametrize(
    ("options", "said"), [({"model": ""}, "model"), ({"batch_size": 0}, "batch_size"), ({"prompt": "$x"}, "unknown")]
)
def test_settings_that_cannot_be_are_refused(options, said):
    with pytest.raises(ValueError, match=said):
        LocalSettings(**{"model": "a/b", **options})
