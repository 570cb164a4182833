import pytest
import torch
from torch.testing import assert_close
from transformers import CLIPVisionModel

from fusionrs_hf.errors import InputError
from tests import tiny, tiny_vlm
from training.frozen import freeze_lower_layers, remember_outputs


def test_freezing_more_layers_than_there_are_says_so():
    with pytest.raises(InputError, match="cannot freeze 3 layers of CLIPVisionModel: it has 2 layers"):
        freeze_lower_layers(CLIPVisionModel(tiny.vision_config()), 3)


def test_remembered_tower_gives_the_same_and_encodes_each_image_once():
    tower = tiny_vlm.vlm_model().model.vision_tower
    images, encoded, forward = torch.randn(4, 3, 24, 24), [], tower.forward
    tower.forward = lambda pixel_values: encoded.extend(pixel_values) or forward(pixel_values)
    expected = forward(images).last_hidden_state
    with remember_outputs(tower):
        for chosen in ([0, 1], [1, 2, 0], [3, 2]):
            assert_close(tower(pixel_values=images[chosen]).last_hidden_state, expected[chosen])
    assert len(encoded) == 4
    tower(images)
    assert len(encoded) == 8  # forgotten outside


def test_remembered_pooler_is_that_of_the_tower():
    tower = CLIPVisionModel(tiny.vision_config()).eval()
    size = tower.config.image_size
    images = torch.randn(3, 3, size, size)
    with torch.no_grad():
        expected = tower(pixel_values=images).pooler_output
    with remember_outputs(tower):
        assert_close(tower(pixel_values=images[[2, 0]]).pooler_output, expected[[2, 0]])
        assert_close(tower(pixel_values=images[[0, 1]]).pooler_output, expected[[0, 1]])
