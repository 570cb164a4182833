"""Arrays and tensors as images: every layout and dtype of the stock processors, by the PIL image it stands for."""

import numpy as np
import pytest
import torch
from PIL import Image

from fusionrs_hf.processing_fusionrs_arrays import as_picture, unbatched
from tests.made import tiny

RGB, IR = np.asarray(tiny.rgb_image()), np.asarray(tiny.ir_image())  # (32, 32, 3) and (32, 32), uint8
FORMS = {
    "HWC": lambda array: array,
    "CHW": lambda array: np.moveaxis(array, -1, 0),
    "tensor HWC": torch.tensor,
    "tensor CHW": lambda array: torch.tensor(array).permute(2, 0, 1),
}
NUMBERS = {
    "uint8": lambda array: array.astype(np.uint8),
    "int64": lambda array: array.astype(np.int64),
    "uint16": lambda array: array.astype(np.uint16),
    "0 to 1": lambda array: (array / 255).astype(np.float32),
    "0 to 255": lambda array: array.astype(np.float64),
}


@pytest.mark.parametrize("form", FORMS)
@pytest.mark.parametrize("numbers", NUMBERS)
def test_three_channels_in_any_layout_and_numbers_are_the_rgb_image(form, numbers):
    picture = as_picture(FORMS[form](NUMBERS[numbers](RGB)))
    assert picture.mode == "RGB" and np.array_equal(np.asarray(picture), RGB)


@pytest.mark.parametrize("dtype", ["uint8", "uint16", "int32", "float32"])
@pytest.mark.parametrize("add", [None, 0, 2])
@pytest.mark.parametrize("kind", [np.asarray, torch.tensor])
def test_one_channel_keeps_its_values_and_dtype(dtype, add, kind):
    infrared = IR.astype(dtype)
    picture = as_picture(kind(infrared if add is None else np.expand_dims(infrared, add)))
    assert picture.dtype == dtype and np.array_equal(picture, infrared)


def test_half_precision_of_torch_alone_is_read():
    levels = torch.tensor([[0.0, 128.0]], dtype=torch.bfloat16)
    assert as_picture(levels).tolist() == [[0, 128]]


@pytest.mark.parametrize(
    ("image", "message"),
    [
        (None, "it is None; a missing modality is left out"),
        ([[1, 2], [3, 4]], "got list"),
        ("a.png", "got str"),
        (np.zeros((4, 4, 4)), "neither its first nor its last side is 1 or 3"),
        (np.zeros((3, 9, 3)), "either side may hold the channels"),
        (np.zeros((2, 3, 9, 9)), r"got float64 of shape \(2, 3, 9, 9\)"),
        (np.zeros((0, 9)), r"got float64 of shape \(0, 9\)"),
        (np.zeros((9, 9), bool), "got bool of shape"),
        (RGB.astype(np.uint16) * 257, r"got uint16 from 0 to 65535; .* colour above 8 bit"),
        ((RGB / 255 - 0.5) / 0.25, "got float64 from -2.0 to 2.0; .* before normalisation"),
        (np.full((4, 4, 3), np.nan), "got float64 from nan to nan"),
    ],
)
def test_what_is_no_image_is_told(image, message):
    with pytest.raises(ValueError, match=message):
        as_picture(image)


def test_both_processors_give_of_an_array_what_they_give_of_its_image():
    processor = tiny.clip_processor(ir_range=[0, 4000])
    wanted = processor(images=Image.fromarray(RGB), ir_images=Image.fromarray(IR))
    for rgb, infrared in ((RGB, IR), (torch.tensor(RGB).permute(2, 0, 1) / 255, torch.tensor(IR)[None])):
        given = processor(images=rgb, ir_images=infrared)
        assert all(torch.equal(given[name], wanted[name]) for name in wanted)
    deep = (IR.astype(np.uint16) * 15)[None]
    again = processor(ir_images=[deep, torch.tensor(deep[0])])["ir_pixel_values"]
    assert torch.equal(again[0], again[1])
    assert torch.equal(again[:1], processor(ir_images=Image.fromarray(deep[0]))["ir_pixel_values"])


@pytest.mark.parametrize("kind", [np.asarray, torch.tensor])
def test_one_array_of_four_dimensions_is_a_batch_and_any_other_is_not(kind):
    batch = kind(np.stack([RGB, 255 - RGB]))
    images = unbatched(batch)
    assert len(images) == 2 and np.array_equal(np.asarray(as_picture(images[1])), 255 - RGB)
    for other in (batch[0], batch[0][..., 0], [batch[0]], Image.fromarray(RGB), None):
        assert unbatched(other) is None
