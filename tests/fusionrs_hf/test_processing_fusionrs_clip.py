import numpy as np
import pytest
import torch
from PIL import Image
from transformers import AutoProcessor

import fusionrs_hf.auto  # noqa: F401
from fusionrs_hf import processing_fusionrs_images
from fusionrs_hf.processing_fusionrs_images import check_infrared, check_rgb, scale_infrared
from tests.made import tiny


def test_scaling_is_linear_between_the_limits_and_reports_what_it_clips():
    scaled, clipped = scale_infrared(np.array([[100, 200], [300, 401]], np.uint16), (100, 300))
    assert scaled.tolist() == [[0, 128], [255, 255]] and scaled.dtype == np.uint8
    assert clipped == 0.25


def test_scaling_does_not_depend_on_the_rest_of_the_image():
    ramp = np.arange(0, 4000, 10, dtype=np.uint16).reshape(20, 20)
    whole, _ = scale_infrared(ramp, (500, 3000))
    part, _ = scale_infrared(ramp[5:9], (500, 3000))
    assert np.array_equal(whole[5:9], part)
    assert len(np.unique(whole)) > 200  # 16 bit is not saturated


@pytest.mark.parametrize("limits", [(3, 3), (5, 1)])
def test_scaling_refuses_limits_that_do_not_increase(limits):
    with pytest.raises(ValueError, match="low < high"):
        scale_infrared(np.zeros((2, 2), np.uint16), limits)


def test_every_subset_gives_its_tensors():
    processor = tiny.clip_processor()
    rgb, ir = [tiny.rgb_image(), tiny.rgb_image(1)], [tiny.ir_image(), tiny.ir_image(1)]
    batch = processor(images=rgb, ir_images=ir, text="dark water")
    assert batch["pixel_values"].shape == batch["ir_pixel_values"].shape == (2, 3, tiny.IMAGE_PX, tiny.IMAGE_PX)
    assert batch["input_ids"].tolist() == [[7, 12, tiny.EOS_ID]]
    assert set(processor(text=["water"])) == {"input_ids", "attention_mask"}
    with pytest.raises(ValueError, match="at least one"):
        processor()


def test_infrared_is_replicated_to_three_equal_channels():
    grey = Image.fromarray(np.full((32, 32), 51, np.uint8))
    values = tiny.clip_processor()(ir_images=grey)["ir_pixel_values"][0]
    processor = tiny.image_processor()
    expected = [(0.2 - mean) / std for mean, std in zip(processor.image_mean, processor.image_std)]
    torch.testing.assert_close(values[:, 0, 0], torch.tensor(expected), atol=1e-5, rtol=0)


def test_sixteen_bit_infrared_equals_its_declared_scaling_and_clipping_is_logged_once(caplog, monkeypatch):
    monkeypatch.setattr(processing_fusionrs_images, "_TOLD", set())
    wide = Image.fromarray((np.arange(1024, dtype=np.uint16) * 3).reshape(32, 32))
    processor = tiny.clip_processor(ir_range=[0, 2000])
    batch = processor(ir_images=[wide])
    assert "ir_range (0, 2000) clips 34.9 % of an infrared image" in caplog.text
    by_hand, clipped = scale_infrared(np.asarray(wide), (0, 2000))
    torch.testing.assert_close(batch["ir_pixel_values"], processor(ir_images=[by_hand])["ir_pixel_values"])
    assert clipped == 357 / 1024  # 3 i > 2000 from i = 667 on
    tiny.clip_processor(ir_range=[0, 3000])(ir_images=[wide])  # 2.2 %
    assert caplog.text.count("clips") == 1


def test_sixteen_bit_without_limits_names_the_argument():
    with pytest.raises(ValueError, match="ir_range"):
        tiny.clip_processor()(ir_images=[np.zeros((8, 8), np.uint16)])


def test_limits_by_band_need_the_band():
    processor = tiny.clip_processor(ir_range={"nir": [0, 10], "swir": [0, 20]})
    wide = np.full((32, 32), 10, np.uint16)
    assert processor(ir_images=[wide], ir_bands="nir")["ir_pixel_values"].max() > 1.5
    assert processor(ir_images=[wide], ir_bands=["swir"])["ir_pixel_values"].max() < 1.0
    with pytest.raises(ValueError, match="ir_range"):
        processor(ir_images=[wide])
    with pytest.raises(ValueError, match=r"ir_images\[1\]: infrared of dtype uint16 needs limits"):
        processor(ir_images=[tiny.ir_image(0), wide], ir_bands=["lwir", "lwir"])  # 8 bit needs none
    with pytest.raises(ValueError, match="a band for each of 1 images, got"):
        processor(ir_images=[wide], ir_bands=["nir", "swir"])


def test_the_wrong_modality_is_refused_on_both_sides():
    processor = tiny.clip_processor()
    with pytest.raises(ValueError, match="infrared goes into ir_images="):
        processor(images=[tiny.ir_image()])
    with pytest.raises(ValueError, match="one channel.*got RGB"):
        processor(ir_images=[tiny.rgb_image()])
    with pytest.raises(ValueError, match="three equal channels"):
        processor(images=[tiny.ir_image().convert("RGB")])


def test_long_text_is_an_error_never_a_silent_cut():
    with pytest.raises(ValueError, match="18 tokens but the text tower reads 16"):
        tiny.clip_processor()(text=["water " * 17])
    assert tiny.clip_processor()(text=["water " * 17], truncation=True)["input_ids"].shape == (1, 16)


def test_eight_bit_infrared_passes_unchanged():
    image = tiny.ir_image()
    assert check_infrared(image) is image


def test_processor_round_trips_with_its_limits(tmp_path):
    tiny.clip_processor(ir_range={"lwir": [100, 200]}).save_pretrained(tmp_path)
    again = AutoProcessor.from_pretrained(tmp_path)
    assert again.ir_range == {"lwir": [100, 200]}
    image = tiny.ir_image()
    torch.testing.assert_close(
        again(ir_images=image)["ir_pixel_values"], tiny.clip_processor()(ir_images=image)["ir_pixel_values"]
    )


@pytest.mark.parametrize(
    ("given", "message"),
    [
        ({"images": "rgb.png"}, r"images\[0\]: .* got str"),
        ({"images": [np.zeros((8, 8, 3), np.uint8)]}, r"images\[0\]: an RGB image has three equal channels"),
        ({"images": [tiny.rgb_image().convert("RGBA")]}, r'mode \'RGBA\'; give image.convert\("RGB"\)'),
        ({"images": [tiny.rgb_image(), tiny.ir_image()]}, r"images\[1\]: .*'L'; infrared goes into ir_images="),
        ({"images": [np.zeros((8, 8), np.uint16)]}, r"images\[0\]: .*'one channel'; infrared goes into ir_images="),
        ({"images": []}, "images= is empty; leave it out"),
        ({"ir_images": [tiny.ir_image(), tiny.rgb_image()]}, r"ir_images\[1\]: .* got RGB; RGB goes into images="),
        ({"ir_images": tiny.ir_image().convert("RGB")}, r'three grey channels goes in as image.convert\("L"\)'),
        ({"ir_images": [np.asarray(tiny.rgb_image())]}, r"ir_images\[0\]: .* got RGB; RGB goes into images="),
        ({"ir_images": [np.zeros((8, 8), np.uint16)]}, r"ir_images\[0\]: infrared of dtype uint16 needs limits"),
        ({"ir_images": []}, "ir_images= is empty"),
        ({"text": ["water", ""]}, r"text\[1\] must be a text that is not empty, got ''"),
        ({"text": " \n"}, r"text\[0\] must be a text that is not empty, got ' \\n'"),
        ({"text": ["water", None]}, r"text\[1\] must be a text that is not empty, got None"),
        ({"text": []}, "text= is empty"),
        ({"text": ["dry", "water " * 17, "wet"]}, r"18 tokens but the text tower reads 16: text\[1\], 'water water"),
    ],
)
def test_what_is_wrong_is_named_with_its_place(given, message):
    with pytest.raises(ValueError, match=message):
        tiny.clip_processor()(**given)


@pytest.mark.parametrize("value", [np.nan, np.inf, -np.inf])
def test_values_that_are_no_numbers_are_refused_and_counted(value):
    heat = np.full((8, 8), 290.0, np.float32)
    heat[0, :3] = value
    with pytest.raises(ValueError, match=r"ir_images\[1\]: 3 of 64 values of an infrared image are NaN or infinite"):
        tiny.clip_processor(ir_range=[250, 330])(ir_images=[np.full((8, 8), 290.0, np.float32), heat])


def test_infrared_in_three_equal_channels_is_the_same_as_in_one_after_the_named_remedy():
    processor, grey = tiny.clip_processor(), tiny.ir_image()
    three = grey.convert("RGB")
    assert torch.equal(
        processor(ir_images=three.convert("L"))["ir_pixel_values"], processor(ir_images=grey)["ir_pixel_values"]
    )


def test_one_thing_is_a_list_of_one():
    processor = tiny.clip_processor()
    rgb, ir, text = tiny.rgb_image(), tiny.ir_image(), "dark water"
    alone = processor(images=rgb, ir_images=ir, text=text)
    for kind in (list, tuple):
        listed = processor(images=kind([rgb]), ir_images=kind([ir]), text=kind([text]))
        assert alone.keys() == listed.keys() and all(torch.equal(alone[name], listed[name]) for name in alone)
    assert all(len(tensor) == 1 for tensor in alone.values())
    array = processor(ir_images=np.asarray(ir))["ir_pixel_values"]
    assert torch.equal(array, alone["ir_pixel_values"])


def test_a_batch_in_one_array_is_a_list():
    processor = tiny.clip_processor()
    rgb, ir = (np.stack([np.asarray(make(seed)) for seed in range(2)]) for make in (tiny.rgb_image, tiny.ir_image))
    listed = processor(images=list(rgb), ir_images=list(ir))
    batch = processor(images=torch.tensor(rgb).permute(0, 3, 1, 2), ir_images=ir[:, None])
    assert all(torch.equal(batch[name], listed[name]) for name in listed)


def test_what_is_missing_or_has_no_partner_is_told():
    processor, rgb, ir = tiny.clip_processor(), tiny.rgb_image(), tiny.ir_image()
    with pytest.raises(ValueError, match=r"ir_images\[1\]: it is None; a missing modality is left out"):
        processor(images=[rgb, rgb], ir_images=[ir, None])
    with pytest.raises(ValueError, match=r"images\[0\]: it is None"):
        processor(images=[None, rgb])
    with pytest.raises(ValueError, match="is one scene, got 2 RGB and 1 infrared images"):
        processor(images=[rgb, rgb], ir_images=ir)


def test_a_column_of_a_dataset_is_a_list():
    from datasets import Dataset, Image

    rows = Dataset.from_dict({"rgb": [tiny.rgb_image(0), tiny.rgb_image(1)]}).cast_column("rgb", Image())
    processor = tiny.clip_processor()
    wanted = processor(images=[tiny.rgb_image(0), tiny.rgb_image(1)])["pixel_values"]
    assert torch.equal(processor(images=rows["rgb"])["pixel_values"], wanted)


@pytest.mark.parametrize("odd", range(3))
def test_two_equal_channels_are_a_colour_and_three_are_none(odd):
    pixels = np.full((24, 24, 3), 90, np.uint8)
    with pytest.raises(ValueError, match="three equal channels"):
        check_rgb(Image.fromarray(pixels))
    pixels[3, 5, odd] = 91
    image = Image.fromarray(pixels)
    assert check_rgb(image) is image


def test_a_text_as_long_as_the_table_of_positions_is_read_whole():
    limit = tiny.clip_processor().tokenizer.model_max_length
    ids = tiny.clip_processor()(text="water " * (limit - 1))["input_ids"]
    assert ids.shape == (1, limit) and ids[0, -1] == tiny.EOS_ID


def test_limits_go_to_their_images_by_band():
    by_band = tiny.clip_processor(ir_range={"nir": [0, 10], "swir": [0, 20]})
    assert by_band.limits(["swir", "lwir", "nir"], 3) == [[0, 20], None, [0, 10]]
    assert by_band.limits("nir", 2) == [[0, 10]] * 2
    assert by_band.limits(None, 2) == [None, None]
    for bands in (None, "nir", ["nir", "swir"]):  # one pair for all bands
        assert tiny.clip_processor(ir_range=[5, 6]).limits(bands, 2) == [[5, 6]] * 2
    assert tiny.clip_processor().limits("nir", 1) == [None]


def test_infrared_has_two_dimensions_and_what_lies_on_a_limit_is_not_clipped():
    with pytest.raises(ValueError, match=r"two dimensions \(height, width\), got shape \(2, 2, 1\)"):
        scale_infrared(np.zeros((2, 2, 1)), (0, 1))
    with pytest.raises(ValueError, match="low < high"):
        scale_infrared(np.zeros((2, 2)), (0, float("nan")))
    scaled, clipped = scale_infrared(np.array([[-3, -2], [7, 8]], np.int16), (-2, 7))
    assert (scaled.tolist(), clipped) == ([[0, 0], [255, 255]], 0.5)
