"""The VLM's configuration: what it refuses, what it derives, and that it survives a round trip."""

import pytest
from huggingface_hub.errors import StrictDataclassError

from fusionrs_hf.configuration_fusionrs_vlm import FusionRSVLMConfig
from tests.made import tiny, tiny_vlm


def test_num_image_tokens_is_the_grid_or_all_patches():
    assert tiny_vlm.vlm_config(grid_size=3).num_image_tokens == 9
    side = tiny.IMAGE_PX // 4
    assert tiny_vlm.vlm_config(pooling="patches").num_image_tokens == side * side


@pytest.mark.parametrize(
    "wrong, message",
    [
        ({"pooling": "mean"}, "pooling must be one of"),
        ({"grid_size": 7}, "grid_size must lie in 1 to 6"),
        ({"grid_size": 0}, "grid_size must lie in 1 to 6"),
        ({"projector_scale": 0.0}, "projector_scale must be positive"),
        ({"projector_context": "yes"}, "projector_context"),
    ],
)
def test_wrong_value_is_refused_by_name(wrong, message):
    with pytest.raises(StrictDataclassError, match=message):
        tiny_vlm.vlm_config(**wrong)


def test_equal_token_ids_are_refused():
    with pytest.raises(StrictDataclassError, match="must differ"):
        FusionRSVLMConfig(
            text_config=tiny_vlm.language_config(), vision_config=tiny.dinov2_config(), image_token_id=5, ir_token_id=5
        )


def test_round_trip_keeps_every_field_and_the_tie(tmp_path):
    config = tiny_vlm.vlm_config(pooling="patches", projector_context=False, projector_scale=0.125)
    config.save_pretrained(tmp_path)
    loaded = FusionRSVLMConfig.from_pretrained(tmp_path)
    assert loaded.tie_word_embeddings is True  # as its text configuration says
    for name in ("pooling", "projector_context", "projector_scale", "image_token_id", "rgb_token_id", "ir_token_id"):
        assert getattr(loaded, name) == getattr(config, name)
    assert loaded.vision_config.to_diff_dict() == config.vision_config.to_diff_dict()
