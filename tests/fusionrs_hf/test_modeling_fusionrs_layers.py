import pytest
import torch
from torch.testing import assert_close
from transformers import AutoModel, AutoModelForCausalLM

from fusionrs_hf.modeling_fusionrs_layers import keep_layers
from tests.made import tiny, tiny_vlm


@pytest.mark.parametrize("numbers", [[2, 0], [0, 0], [0, 3], []])
def test_layers_that_are_not_there_or_out_of_order_are_refused(tmp_path, numbers):
    language = AutoModelForCausalLM.from_pretrained(tiny_vlm.save_language_model(tmp_path, layers=3))
    with pytest.raises(ValueError, match="must ascend and lie between 0 and 2"):
        keep_layers(language, numbers)


def test_kept_layers_count_anew_in_the_cache_and_after_loading(tmp_path):
    language = AutoModelForCausalLM.from_pretrained(tiny_vlm.save_language_model(tmp_path / "whole", layers=3))
    keep_layers(language, [0, 2])
    words = torch.tensor([[4, 5, 6]])
    with torch.no_grad():
        whole = language(words).logits[:, -1]
        start = language(words[:, :2], use_cache=True)
        following = language(words[:, 2:], past_key_values=start.past_key_values).logits[:, -1]
    assert_close(following, whole)
    language.save_pretrained(tmp_path / "cut")
    loaded = AutoModelForCausalLM.from_pretrained(tmp_path / "cut")
    with torch.no_grad():
        assert_close(loaded(words).logits[:, -1], whole)


@pytest.mark.parametrize("config", [tiny.dinov2_config(), tiny.vision_config()])
def test_the_lowest_layers_of_a_tower_go_on_as_a_tower(config):
    tower = AutoModel.from_config(config).eval()
    pixels = torch.randn(2, 3, tiny.IMAGE_PX, tiny.IMAGE_PX)
    with torch.no_grad():
        first = tower(pixels, output_hidden_states=True).hidden_states[1]
        keep_layers(tower, range(1))
        rebuilt = AutoModel.from_config(type(config)(**tower.config.to_dict())).eval()
        rebuilt.load_state_dict(tower.state_dict())
        outputs = rebuilt(pixels, output_hidden_states=True)
    assert len(outputs.hidden_states) == 2 and torch.equal(outputs.hidden_states[1], first)
