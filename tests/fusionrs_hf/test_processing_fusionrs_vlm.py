"""The VLM's processor: the modality it writes, the images it refuses, scaling, chat, and the stock tools around it."""

import logging

import numpy as np
import pytest
import torch
from PIL import Image
from torch.testing import assert_close
from transformers import AutoProcessor, pipeline
from trl.trainer.sft_trainer import DataCollatorForVisionLanguageModeling

import fusionrs_hf.auto  # noqa: F401 - registers the classes
from fusionrs_hf import processing_fusionrs_images
from tests.made import tiny, tiny_vlm

RGB, IR = tiny.rgb_image(0), tiny.ir_image(0)
RUN = "<image>" * 9


@pytest.fixture(scope="module")
def processor():
    return tiny_vlm.vlm_processor()


def wide_infrared(seed: int = 0) -> Image.Image:
    return Image.fromarray(np.random.default_rng(seed).integers(0, 4000, (32, 32), dtype=np.uint16))


def chat(*images: Image.Image, answer: str | None = None) -> list[dict]:
    content = [{"type": "image", "image": image} for image in images] + [
        {"type": "text", "text": "Describe the image"}
    ]
    messages = [{"role": "user", "content": content}]
    return messages + ([{"role": "assistant", "content": [{"type": "text", "text": answer}]}] if answer else [])


def test_mode_writes_the_modality_before_each_run(processor):
    batch = processor(images=[[IR, RGB], [RGB], []], text=["<image> over <image>", "dry<image>", "wet"], padding=True)
    written = [processor.tokenizer.decode(ids).replace("<pad>", "").replace(" ", "") for ids in batch["input_ids"]]
    assert written == [f"<ir>{RUN}over<rgb>{RUN}", f"dry<rgb>{RUN}", "wet"]


def test_pixel_values_follow_the_text_and_each_modalitys_normalisation(processor):
    pixels = processor(images=[IR, RGB], text="<image><image>", return_tensors="pt")["pixel_values"]
    assert pixels.shape == (2, 3, tiny.IMAGE_PX, tiny.IMAGE_PX) and pixels.dtype == torch.float32
    ir = processor.ir_image_processor(IR.convert("RGB"), return_tensors="pt")["pixel_values"][0]
    rgb = processor.image_processor(RGB, return_tensors="pt")["pixel_values"][0]
    assert_close(pixels, torch.stack([ir, rgb]))
    assert torch.equal(pixels[0, 0], pixels[0, 2])  # one channel, replicated


@pytest.mark.parametrize("image, said, is_", [(RGB, "ir", "rgb"), (IR, "rgb", "ir")])
def test_image_given_as_the_other_modality_is_refused(processor, image, said, is_):
    with pytest.raises(ValueError, match=f"image 0 is given as <{said}> but its mode makes it {is_}"):
        processor(images=[image], text=f"<{said}><image>")


def test_a_marker_already_written_is_not_written_twice(processor):
    once = processor(images=[RGB, IR], text="<rgb><image><ir><image>")["input_ids"]
    assert once == processor(images=[RGB, IR], text="<image><image>")["input_ids"]


def test_infrared_converted_to_rgb_is_refused(processor):
    with pytest.raises(ValueError, match="three equal channels.*messages"):
        processor(images=[IR.convert("RGB")], text="<image>")


@pytest.mark.parametrize("mode", ["RGBA", "P", "1", "CMYK"])
def test_other_modes_are_refused_by_name(processor, mode):
    with pytest.raises(ValueError, match=f"mode RGB .* got {mode}"):
        processor(images=[RGB.convert(mode)], text="<image>")


def test_deep_infrared_without_limits_names_the_argument(processor):
    with pytest.raises(ValueError, match="ir_range"):
        processor(images=[wide_infrared()], text="<image>")


def test_deep_infrared_is_scaled_between_the_limits_and_clipping_is_logged(caplog, monkeypatch):
    monkeypatch.setattr(processing_fusionrs_images, "_TOLD", set())
    deep = wide_infrared()
    processor = tiny_vlm.vlm_processor(ir_range=(1000, 3000))
    values = np.asarray(deep).astype(float)
    by_hand = np.rint(np.clip((values - 1000) / 2000, 0, 1) * 255).astype(np.uint8)
    with caplog.at_level(logging.WARNING):
        scaled = processor(images=[deep], text="<image>", return_tensors="pt")
    expected = processor(images=[Image.fromarray(by_hand)], text="<image>", return_tensors="pt")
    assert_close(scaled["pixel_values"], expected["pixel_values"])
    outside = 100 * ((values < 1000) | (values > 3000)).mean()
    assert f"clips {outside:.1f} %" in caplog.text


def test_limits_by_band_need_the_bands_name():
    processor = tiny_vlm.vlm_processor(ir_range={"nir": (0, 2000), "lwir": (1000, 4000)})
    deep = wide_infrared()
    batch = processor(images=[RGB, deep, deep], text="<image>" * 3, ir_bands=["nir", "lwir"], return_tensors="pt")
    assert not torch.allclose(batch["pixel_values"][1], batch["pixel_values"][2])
    alone = tiny_vlm.vlm_processor(ir_range=(1000, 4000))(images=[deep], text="<image>", return_tensors="pt")
    assert_close(batch["pixel_values"][2], alone["pixel_values"][0])
    with pytest.raises(ValueError, match="ir_bands="):
        processor(images=[deep], text="<image>")
    with pytest.raises(ValueError, match=r"images\[0\] of ir_bands='swir': infrared of dtype uint16 needs limits"):
        processor(images=[deep], text="<image>", ir_bands="swir")
    assert len(processor(images=[IR], text="<image>", ir_bands="swir")["pixel_values"]) == 1  # 8 bit needs none


def test_counts_of_images_and_placeholders_must_agree(processor):
    with pytest.raises(ValueError, match="1 <image> tokens and 2 images"):
        processor(images=[RGB, IR], text="<image>")


ARRAYS = np.asarray(RGB), np.asarray(IR)
SAME = {  # forms of two texts with RGB and infrared each
    "flat": [RGB, IR, RGB, IR],
    "nested": [[RGB, IR], [RGB, IR]],
    "tuples": ((RGB, IR), (RGB, IR)),
    "arrays": [list(ARRAYS), list(ARRAYS)],
    "tensors": [torch.tensor(array) for array in ARRAYS] * 2,
    "channels first": [[torch.tensor(ARRAYS[0]).permute(2, 0, 1), ARRAYS[1][None]]] * 2,
}


@pytest.mark.parametrize("form", SAME)
def test_images_in_every_form_that_stock_processors_take_are_the_same(processor, form):
    texts = ["<image> over <image>", "dry <image><image>"]
    wanted = processor(images=SAME["flat"], text=texts, padding=True, return_tensors="pt")
    given = processor(images=SAME[form], text=texts, padding=True, return_tensors="pt")
    assert all(torch.equal(given[name], wanted[name]) for name in wanted)


def test_a_batch_in_one_array_is_as_many_images(processor):
    batch = np.stack([np.asarray(tiny.rgb_image(seed)) for seed in range(2)])
    wanted = processor(images=list(batch), text="<image><image>", return_tensors="pt")
    for given, text in ((batch, "<image><image>"), ([batch], ["<image><image>"])):
        assert_close(processor(images=given, text=text, return_tensors="pt")["pixel_values"], wanted["pixel_values"])
    one = processor(images=RGB, text="<image>", return_tensors="pt")["pixel_values"]
    assert_close(one, processor(images=[[RGB]], text=["<image>"], return_tensors="pt")["pixel_values"])


def test_texts_without_images_take_empty_lists(processor):
    assert processor(images=[[], []], text=["dry", "wet"])["input_ids"] == processor(text=["dry", "wet"])["input_ids"]
    with pytest.raises(ValueError, match="1 <image> tokens in the text but no images"):
        processor(images=[], text="<image>")


@pytest.mark.parametrize(
    ("images", "text", "message"),
    [
        ([[RGB], [RGB, IR]], ["<image><image>", "<image>"], r"text\[0\] has 2 <image> but images\[0\] holds 1 images"),
        ([[RGB, IR]], ["<image>", "<image>"], "got 1 lists and 2 texts"),
        ([[RGB], None], ["<image>", "dry"], r"images\[1\] is NoneType; give \[\]"),
        ([[RGB], IR], ["<image>", "<image>"], r"images\[1\] is Image"),
        ([RGB, None], "<image><image>", r"images\[1\]: it is None"),
        ([[RGB, None]], ["<image><image>"], r"images\[1\]: it is None"),
        ([RGB, {}], "<image><image>", r"images\[1\]: an image is a PIL image.*got dict"),
        (np.zeros((32, 32, 3), np.uint8), "<image>", r"images\[0\]: an RGB image has three equal channels"),
    ],
)
def test_images_that_do_not_fit_the_texts_are_told(processor, images, text, message):
    with pytest.raises(ValueError, match=message):
        processor(images=images, text=text)


def test_there_are_as_many_bands_as_infrared_images():
    processor = tiny_vlm.vlm_processor(ir_range={"nir": (0, 2000)})
    with pytest.raises(ValueError, match="a band for each of 1 infrared images, got .'nir', 'nir'"):
        processor(images=[RGB, IR], text="<image><image>", ir_bands=["nir", "nir"])


def test_chat_supervises_the_answer_and_its_end_alone(processor):
    batch = processor.apply_chat_template(
        chat(RGB, IR, answer="Infrared : bright"),
        tokenize=True,
        return_dict=True,
        return_tensors="pt",
        return_assistant_tokens_mask=True,
    )
    answered = batch["input_ids"][0][batch["assistant_masks"][0].bool()]
    assert processor.tokenizer.convert_ids_to_tokens(answered) == ["Infrared", ":", "bright", "<|im_end|>"]


def test_generation_prompt_is_a_prefix_of_the_whole_chat(processor):
    prompt = processor.apply_chat_template(chat(RGB, IR), add_generation_prompt=True)
    whole = processor.apply_chat_template(chat(RGB, IR, answer="dry field"))
    assert whole == prompt + "dry field<|im_end|>"
    assert prompt == "<|im_start|>user\n<image><image>Describe the image<|im_end|>\n<|im_start|>assistant\n"


@pytest.mark.parametrize("conversational", [True, False])
def test_trl_collator_labels_the_completion_only(processor, conversational):
    prompt, completion = "Describe the image", "Infrared : bright"
    example = {"images": [RGB, IR], "prompt": f"<image><image>{prompt}", "completion": completion}
    if conversational:
        example |= {
            "prompt": [{"role": "user", "content": prompt}],
            "completion": [{"role": "assistant", "content": completion}],
        }
    batch = DataCollatorForVisionLanguageModeling(processor, completion_only_loss=True)([example])
    labelled = batch["labels"][0][batch["labels"][0] != -100]
    end = ["<|im_end|>"] if conversational else []
    assert processor.tokenizer.convert_ids_to_tokens(labelled) == ["Infrared", ":", "bright", *end]
    assert batch["pixel_values"].shape[0] == 2


def test_round_trip_keeps_range_tokens_and_template(tmp_path):
    processor = tiny_vlm.vlm_processor(4, ir_range={"nir": [0, 2000]}, chat_template="{{ 'short' }}")
    processor.save_pretrained(tmp_path)
    loaded = AutoProcessor.from_pretrained(tmp_path)
    assert loaded.ir_range == {"nir": [0, 2000]}
    assert loaded.chat_template == "{{ 'short' }}"
    assert list(loaded.ir_image_processor.image_mean) == [0.2] * 3
    assert loaded(images=[RGB], text="<image>")["input_ids"][0].count(processor.image_token_id) == 4


def test_pipeline_takes_messages_and_refuses_images_it_converted(tmp_path):
    tiny_vlm.vlm_model().save_pretrained(tmp_path)
    tiny_vlm.vlm_processor().save_pretrained(tmp_path)
    pipe = pipeline("image-text-to-text", model=str(tmp_path), device="cpu")
    (answer,) = pipe(text=chat(RGB, IR), max_new_tokens=3, return_full_text=False)
    assert isinstance(answer["generated_text"], str)
    with pytest.raises(ValueError, match="three equal channels"):
        pipe(images=[RGB, IR], text="<image><image>Describe the image")
