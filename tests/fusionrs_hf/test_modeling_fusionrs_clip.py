import math
from copy import deepcopy

import pytest
import torch
import torch.nn.functional as F
from transformers import CLIPConfig, CLIPModel

import fusionrs_hf.auto  # noqa: F401
from fusionrs_hf.configuration_fusionrs_clip import FusionRSCLIPConfig
from fusionrs_hf.modeling_fusionrs_clip import FusionRSCLIPModel, info_nce, pool_tokens, trimodal_loss
from tests import tiny

WEIGHTS = {("rgb", "text"): 1.0, ("ir", "text"): 1.0, ("rgb", "ir"): 1.0}


@pytest.fixture(scope="module")
def batch():
    generator = torch.Generator().manual_seed(0)
    ids = torch.randint(4, 20, (3, 6), generator=generator)
    ids[:, -1] = tiny.EOS_ID
    images = torch.randn(2, 3, 3, tiny.IMAGE_PX, tiny.IMAGE_PX, generator=generator)
    return {
        "input_ids": ids,
        "attention_mask": torch.ones_like(ids),
        "pixel_values": images[0],
        "ir_pixel_values": images[1],
    }


def unit(*shape, seed=0):
    values = torch.randn(*shape, generator=torch.Generator().manual_seed(seed), dtype=torch.float64)
    return F.normalize(values, dim=-1)


def double_loop_info_nce(left, right, scale, positives):
    """Mean over rows and columns of minus the mean log-probability of the row's positives, by plain loops."""
    n, total = len(left), 0.0
    for a, b, mask in ((left, right, positives), (right, left, positives.T)):
        for i in range(n):
            scores = [float(scale * a[i] @ b[j]) for j in range(n)]
            log_sum = math.log(sum(math.exp(score) for score in scores))
            chosen = [scores[j] - log_sum for j in range(n) if mask[i, j]]
            total -= sum(chosen) / len(chosen) / n
    return total / 2


def test_a_clip_checkpoint_is_a_fusionrs_clip_checkpoint_and_back(tmp_path, batch):
    config = CLIPConfig(
        text_config=tiny.text_config().to_dict(), vision_config=tiny.vision_config().to_dict(), projection_dim=8
    )
    stock = CLIPModel(config).eval()
    stock.save_pretrained(tmp_path / "stock")
    ours, info = FusionRSCLIPModel.from_pretrained(tmp_path / "stock", output_loading_info=True)
    assert not info["missing_keys"] and not info["unexpected_keys"] and not info["mismatched_keys"]
    assert ours.state_dict().keys() == stock.state_dict().keys()
    expected = stock(**{name: batch[name] for name in ("input_ids", "attention_mask", "pixel_values")})
    outputs = ours.eval()(**batch)
    torch.testing.assert_close(outputs.rgb_embeds, expected.image_embeds, rtol=0, atol=1e-6)
    torch.testing.assert_close(outputs.text_embeds, expected.text_embeds, rtol=0, atol=1e-6)
    torch.testing.assert_close(outputs.logits_per_rgb, expected.logits_per_image, rtol=0, atol=1e-5)
    ours.save_pretrained(tmp_path / "ours")
    again = CLIPModel.from_pretrained(tmp_path / "ours").eval()
    torch.testing.assert_close(again.visual_projection.weight, stock.visual_projection.weight)


def test_pool_grid_is_the_class_token_then_block_means_row_by_row():
    hidden = torch.arange(1 + 36, dtype=torch.float32).view(1, 37, 1)  # patch (y, x) holds 1 + 6 y + x
    pooled = pool_tokens(hidden, "grid", 3)[0]
    expected = [0.0] + [1 + 6 * (2 * y + 0.5) + 2 * x + 0.5 for y in range(3) for x in range(3)]
    assert pooled.tolist() == expected
    assert pool_tokens(hidden, "cls")[0].item() == 0
    assert pool_tokens(hidden, "mean")[0].item() == pytest.approx(18.5)


def test_pool_grid_refuses_what_is_no_square():
    with pytest.raises(ValueError, match="square of at least 3 x 3 patches, got 7"):
        pool_tokens(torch.zeros(1, 8, 2), "grid", 3)


def test_feature_norm_standardises_each_modality_by_its_own_statistics():
    model = tiny.clip_model(feature_norm=True, vision_config=tiny.dinov2_config(), vision_pooling="grid")
    generator = torch.Generator().manual_seed(1)
    rgb = 3 + 2 * torch.randn(500, model.config.image_feature_size, generator=generator)
    ir = -1 + 5 * torch.randn(500, model.config.image_feature_size, generator=generator)
    model.fit_feature_norm(rgb, ir)
    for features, modality in ((rgb, "rgb"), (ir, "ir")):
        normed = model.feature_norm(features, modality)
        torch.testing.assert_close(normed.mean(0), torch.zeros_like(normed[0]), atol=1e-4, rtol=0)
        torch.testing.assert_close(normed.std(0), torch.ones_like(normed[0]), atol=1e-4, rtol=0)


def test_feature_norm_statistics_survive_save_and_load(tmp_path, batch):
    model = tiny.clip_model(feature_norm=True)
    model.fit_feature_norm(torch.randn(9, 16), 2 + torch.randn(9, 16))
    model.save_pretrained(tmp_path)
    again = FusionRSCLIPModel.from_pretrained(tmp_path).eval()
    torch.testing.assert_close(again(**batch).ir_embeds, model(**batch).ir_embeds, rtol=0, atol=0)


def test_fit_feature_norm_without_feature_norm_says_what_to_do():
    with pytest.raises(ValueError, match="feature_norm=True"):
        tiny.clip_model().fit_feature_norm(torch.zeros(2, 16), torch.zeros(2, 16))


@pytest.mark.parametrize("groups", [[0, 1, 2, 3, 4], [0, 0, 2, 3, 2]])
def test_info_nce_equals_a_double_loop(groups):
    left, right = unit(5, 7, seed=1), unit(5, 7, seed=2)
    ids = torch.tensor(groups)
    positives = ids[:, None] == ids[None]
    expected = double_loop_info_nce(left, right, 5.0, positives)
    assert info_nce(left, right, torch.tensor(5.0), positives).item() == pytest.approx(expected, abs=1e-12)


def test_group_aware_loss_equals_the_plain_one_when_all_groups_are_single():
    embeds = {name: unit(4, 6, seed=seed) for seed, name in enumerate(("rgb", "ir", "text"))}
    plain = trimodal_loss(embeds, torch.tensor(9.0), WEIGHTS)
    ids = torch.tensor([3, 1, 7, 5])
    torch.testing.assert_close(trimodal_loss(embeds, torch.tensor(9.0), WEIGHTS, ids, ids), plain)


def test_equal_captions_count_in_text_terms_only():
    embeds = {name: unit(4, 6, seed=seed) for seed, name in enumerate(("rgb", "ir", "text"))}
    single, captions = torch.arange(4), torch.tensor([0, 0, 1, 2])
    image_only = {("rgb", "ir"): 1.0}
    text_only = {("rgb", "text"): 1.0}
    scale = torch.tensor(9.0)
    same = trimodal_loss(embeds, scale, image_only, single, captions)
    torch.testing.assert_close(same, trimodal_loss(embeds, scale, image_only, single, single))
    changed = trimodal_loss(embeds, scale, text_only, single, captions)
    assert abs(changed - trimodal_loss(embeds, scale, text_only, single, single)) > 1e-3


def test_loss_is_the_weighted_mean_of_its_terms():
    embeds = {name: unit(4, 6, seed=seed) for seed, name in enumerate(("rgb", "ir", "text"))}
    scale, weights = torch.tensor(4.0), {("rgb", "text"): 1.0, ("ir", "text"): 2.0, ("rgb", "ir"): 0.5}
    by_hand = sum(weight * info_nce(embeds[a], embeds[b], scale) for (a, b), weight in weights.items()) / 3.5
    torch.testing.assert_close(trimodal_loss(embeds, scale, weights), by_hand)


def test_a_loss_without_a_pair_is_refused():
    with pytest.raises(ValueError, match="two modalities"):
        trimodal_loss({"rgb": unit(2, 3)}, torch.tensor(1.0), WEIGHTS)


@pytest.mark.parametrize("missing", ["pixel_values", "ir_pixel_values", "input_ids"])
def test_any_subset_is_legal_and_leaves_the_others_unchanged(batch, missing):
    model = tiny.clip_model()
    full = model(**batch)
    dropped = {"input_ids", "attention_mask"} if missing == "input_ids" else {missing}
    part = model(**{name: value for name, value in batch.items() if name not in dropped})
    name = {"pixel_values": "rgb_embeds", "ir_pixel_values": "ir_embeds", "input_ids": "text_embeds"}[missing]
    assert getattr(part, name) is None
    for other in {"rgb_embeds", "ir_embeds", "text_embeds"} - {name}:
        torch.testing.assert_close(part[other], full[other], rtol=0, atol=0)


def test_no_input_is_refused():
    with pytest.raises(ValueError, match="at least one"):
        tiny.clip_model()()


def test_permuting_a_batch_permutes_the_embeddings(batch):
    model, order = tiny.clip_model(), torch.tensor([2, 0, 1])
    straight = model(**batch)
    permuted = model(**{name: value[order] for name, value in batch.items()})
    torch.testing.assert_close(permuted.ir_embeds, straight.ir_embeds[order], atol=1e-6, rtol=0)


def test_padding_does_not_change_a_mean_pooled_text():
    model = tiny.clip_model(text_pooling="mean")
    processor = tiny.clip_processor()
    alone = model(**processor(text=["dark water"])).text_embeds
    padded = model(**processor(text=["dark water", "a bright dry field over the ground"])).text_embeds
    torch.testing.assert_close(padded[:1], alone, atol=1e-6, rtol=0)


def test_towers_start_as_they_were_saved(tmp_path):
    source = tiny.clip_model(seed=3)
    source.vision_model.save_pretrained(tmp_path / "vision")
    source.text_model.save_pretrained(tmp_path / "text")
    built = FusionRSCLIPModel.from_towers(tmp_path / "vision", tmp_path / "text", projection_dim=8)
    for name, value in source.state_dict().items():
        if name.startswith(("vision_model", "text_model")):
            torch.testing.assert_close(built.state_dict()[name], value, rtol=0, atol=0)


def test_gradients_reach_every_trainable_part(batch):
    model = deepcopy(tiny.clip_model(text_pooling="mean", vision_pooling="grid")).train()
    model(**batch, return_loss=True).loss.backward()
    for name in ("visual_projection.weight", "text_projection.weight", "logit_scale"):
        assert model.get_parameter(name).grad.abs().sum() > 0


def test_bfloat16_and_sdpa_reach_both_towers(tmp_path):
    tiny.clip_model().save_pretrained(tmp_path)
    model = FusionRSCLIPModel.from_pretrained(tmp_path, dtype=torch.bfloat16, attn_implementation="sdpa")
    assert {parameter.dtype for parameter in model.parameters()} == {torch.bfloat16}
    assert model.vision_model.config._attn_implementation == model.text_model.config._attn_implementation == "sdpa"


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"vision_pooling": "max"}, "vision_pooling must be one of"),
        ({"projection_dim": 0}, "projection_dim must be positive, got 0"),
        ({"rgb_ir_weight": -1.0}, "non-negative"),
    ],
)
def test_bad_configurations_say_what_is_wrong(options, message):
    with pytest.raises(Exception, match=message):
        FusionRSCLIPConfig(**options)


def test_a_backbone_that_auto_model_cannot_build_is_named():
    from transformers import SiglipTextConfig

    with pytest.raises(ValueError, match="text_config of class SiglipTextConfig is not a backbone"):
        FusionRSCLIPModel(FusionRSCLIPConfig(text_config=SiglipTextConfig(), vision_config=tiny.vision_config()))
