import pytest
import torch
from transformers import CLIPVisionModel, ResNetConfig, ResNetModel

from fusionrs_hf.errors import InputError
from tests.made import tiny
from training.trainers.frozen import freeze_lower_layers, keep_norm_statistics


def test_freezing_more_layers_than_there_are_says_so():
    with pytest.raises(InputError, match="cannot freeze 3 layers of CLIPVisionModel: it has 2 layers"):
        freeze_lower_layers(CLIPVisionModel(tiny.vision_config()), 3)


def test_what_comes_before_a_frozen_layer_is_frozen_too():
    tower = CLIPVisionModel(tiny.vision_config())
    freeze_lower_layers(tower, 1)
    free = {name.split(".")[-2] for name, parameter in tower.named_parameters() if parameter.requires_grad}
    assert "pre_layrnorm" not in free and "patch_embedding" not in free and "post_layernorm" in free
    names = [name for name, parameter in tower.named_parameters() if parameter.requires_grad]
    assert not [name for name in names if ".layers.0." in name] and [name for name in names if ".layers.1." in name]


def test_norms_in_training_use_and_keep_the_statistics_that_were_loaded():
    tower = ResNetModel(ResNetConfig(embedding_size=4, hidden_sizes=[4], depths=[1], layer_type="basic")).eval()
    pixels = 3 + torch.randn(2, 3, 16, 16)
    with torch.no_grad():
        before, loaded = tower(pixels).last_hidden_state, {**tower.state_dict()}
        keep_norm_statistics(tower.train())
        torch.testing.assert_close(tower(pixels).last_hidden_state, before)
    assert all(torch.equal(value, loaded[name]) for name, value in tower.state_dict().items())
