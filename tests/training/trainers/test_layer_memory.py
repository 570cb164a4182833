import pytest
import torch
from torch.testing import assert_close
from transformers import CLIPVisionModel

from tests.made import tiny, tiny_vlm
from training.trainers.frozen import freeze_lower_layers
from training.trainers.layer_memory import remember_layers


def counted(layer):
    """Makes a layer note how many images it has read."""
    images, forward = [], layer.forward
    layer.forward = lambda hidden, *args, **kwargs: images.extend(hidden) or forward(hidden, *args, **kwargs)
    return images


def test_remembered_tower_gives_the_same_and_encodes_each_image_once():
    tower = tiny_vlm.vlm_model().model.vision_tower
    images = torch.randn(4, 3, 24, 24)
    expected = tower(images).last_hidden_state
    encoded = counted(next(module for module in tower.modules() if isinstance(module, torch.nn.ModuleList))[-1])
    with remember_layers(tower):
        for chosen in ([0, 1], [1, 2, 0], [3, 2]):
            assert_close(tower(pixel_values=images[chosen]).last_hidden_state, expected[chosen])
    assert len(encoded) == 4
    tower(images)
    assert len(encoded) == 8  # forgotten outside


@pytest.mark.parametrize("count", [1, 2, None])
def test_upper_layers_learn_as_without_memory(count):
    tower = CLIPVisionModel(tiny.vision_config())
    freeze_lower_layers(tower, count or 2)
    size = tower.config.image_size
    images = torch.randn(3, 3, size, size)
    trained = [parameter for parameter in tower.parameters() if parameter.requires_grad]
    expected = tower(pixel_values=images[[2, 0]])
    gradients = torch.autograd.grad(expected.pooler_output.square().sum(), trained)
    with remember_layers(tower, count):
        tower(pixel_values=images[[0, 1]])
        found = tower(pixel_values=images[[2, 0]])
        assert_close(found.last_hidden_state, expected.last_hidden_state)
        assert_close(torch.autograd.grad(found.pooler_output.square().sum(), trained), gradients)


def test_an_image_with_a_gradient_passes_through_the_frozen_layers():
    tower = CLIPVisionModel(tiny.vision_config())
    freeze_lower_layers(tower, 1)
    size = tower.config.image_size
    tile = torch.zeros(3, size, size, requires_grad=True)
    with remember_layers(tower, 1):
        for _ in range(2):
            pooled = tower(pixel_values=torch.ones(2, 3, size, size) + tile).pooler_output
            (gradient,) = torch.autograd.grad(pooled[:, 0].sum(), tile)  # of all features the norm fixes the sum
            assert gradient.abs().max() > 0
