import pytest
from transformers import CLIPVisionModel

from fusionrs_hf.errors import InputError
from tests.made import tiny
from training.trainers.frozen import freeze_lower_layers


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
