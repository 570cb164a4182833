import math
from copy import deepcopy

import pytest
import torch
import torch.nn.functional as F
from transformers import AutoModel, CLIPConfig, CLIPModel, MobileNetV2Config, ResNetConfig, pipeline

import fusionrs_hf.auto  # noqa: F401
from fusionrs_hf.configuration_fusionrs_clip import FusionRSCLIPConfig, tower_width
from fusionrs_hf.modeling_fusionrs_clip import FusionRSCLIPModel
from fusionrs_hf.modeling_fusionrs_features import GatedFusion, patch_size, pool_tokens, tiled, whitening
from fusionrs_hf.modeling_fusionrs_losses import info_nce, sigmoid_loss, trimodal_loss
from tests.made import tiny

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


def test_a_map_is_pooled_as_tokens_whose_first_is_its_mean():
    cells = torch.randn(2, 36, 5)
    tokens = torch.cat([cells.mean(1, keepdim=True), cells], dim=1)
    as_map = cells.transpose(1, 2).unflatten(2, (6, 6))
    for how in ("cls", "mean", "grid"):
        torch.testing.assert_close(pool_tokens(as_map, how), pool_tokens(tokens, how))


@pytest.mark.parametrize("pooling", ["pooler", "grid"])
def test_a_convolutional_tower_serves_as_image_tower(pooling, tmp_path):
    tower = ResNetConfig(embedding_size=4, hidden_sizes=[4, 6], depths=[1, 1], layer_type="basic")
    model = tiny.clip_model(vision_config=tower, vision_pooling=pooling, grid_size=2).eval()
    model.save_pretrained(tmp_path)
    again = FusionRSCLIPModel.from_pretrained(tmp_path).eval()
    pixels = torch.randn(2, 3, 32, 32)
    with torch.no_grad():
        hidden = model.vision_model(pixels)
        pooled = model.get_pooled_features(pixels)
        torch.testing.assert_close(again.get_rgb_features(pixels), model.get_rgb_features(pixels))
    assert pooled.shape == (2, 6 if pooling == "pooler" else 30)
    torch.testing.assert_close(pooled[:, :6], hidden.pooler_output.flatten(1))  # the first of the grid is the mean


def test_a_tower_without_a_width_says_what_to_add():
    with pytest.raises(
        ValueError, match="MobileNetV2Config has neither hidden_size nor hidden_sizes; add hidden_size"
    ):
        tower_width(MobileNetV2Config())
    assert tower_width(MobileNetV2Config(hidden_size=1280)) == 1280


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


def features_about(mean: list[float], spread: list[float], seed: int) -> torch.Tensor:
    generator = torch.Generator().manual_seed(seed)
    return torch.tensor(mean) + torch.tensor(spread) * torch.randn(400, len(mean), generator=generator)


def test_whitened_directions_vary_alike_and_modalities_agree_in_mean():
    rgb = features_about([5.0, 0, 0, 0, 0, 0], [1.0, 1, 9, 4, 0.2, 1], seed=1)
    ir = features_about([5.0, 3, 0, 0, 0, 0], [1.0, 1, 9, 4, 0.2, 1], seed=2)
    weight = whitening(rgb, ir, 3)
    both = [side @ weight.T for side in (rgb, ir)]
    for side in both:  # though RGB and infrared lie apart, and both far from zero
        torch.testing.assert_close(side.mean(0), torch.zeros(3), atol=1e-3, rtol=0)
    covariance = torch.cat(both).T.cov()
    torch.testing.assert_close(covariance / covariance.trace() * 3, torch.eye(3), atol=2e-2, rtol=0)
    kept = weight.abs().max(0).values  # the fifth varies least, the first two tell what kind of image it is
    assert kept[4] < 0.05 * kept[5] and weight.norm() == pytest.approx(3**0.5, rel=1e-5)


def test_whitening_draws_nothing_from_the_caller():
    rgb, ir = torch.randn(20, 6), torch.randn(20, 6)
    before = torch.get_rng_state()
    first, second = whitening(rgb, ir, 4), whitening(rgb, ir, 4)
    assert torch.equal(first, second) and torch.equal(torch.get_rng_state(), before)


def test_more_dimensions_than_features_cannot_be_whitened():
    with pytest.raises(ValueError, match="of 7 dimensions needs as many .* got 20 and 6; lower projection_dim"):
        whitening(torch.randn(10, 6), torch.randn(10, 6), 7)


@pytest.mark.parametrize("options", [{}, {"ir_vision_config": tiny.vision_config()}, {"feature_norm": True}])
def test_a_whitened_head_reads_standardised_features_and_serves_both_towers(options):
    model = tiny.clip_model(**options)
    rgb, ir = torch.randn(30, 16), 2 + 3 * torch.randn(30, 16)
    if model.feature_norm is not None:
        model.fit_feature_norm(rgb, ir)
        standard = [model.feature_norm(rgb, "rgb"), model.feature_norm(ir, "ir")]
    model.whiten_projection(rgb, ir)
    assert torch.equal(
        model.visual_projection.weight, whitening(*(standard if options.get("feature_norm") else (rgb, ir)), 8)
    )
    if model.ir_visual_projection is not None:
        assert torch.equal(model.ir_visual_projection.weight, model.visual_projection.weight)


def test_a_whitened_model_is_a_plain_clip(tmp_path, batch):
    model = tiny.clip_model()
    model.whiten_projection(torch.randn(30, 16), torch.randn(30, 16))
    model.save_pretrained(tmp_path)
    stock, info = CLIPModel.from_pretrained(tmp_path, output_loading_info=True)
    assert not info["missing_keys"] and not info["unexpected_keys"]
    theirs = stock.eval().get_image_features(batch["pixel_values"]).pooler_output
    assert torch.equal(theirs, model.get_rgb_features(batch["pixel_values"]))


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


def double_loop_sigmoid(left, right, scale, bias, positives):
    """SigLIP's sum over all pairs, divided by the rows, by plain loops."""
    total = 0.0
    for i in range(len(left)):
        for j in range(len(right)):
            score = float(scale * left[i] @ right[j]) + float(bias)
            total += math.log1p(math.exp(-score if positives[i, j] else score))
    return total / len(left)


@pytest.mark.parametrize("groups", [[0, 1, 2, 3, 4], [0, 0, 2, 3, 2]])
def test_sigmoid_loss_and_gradient_equal_a_double_loop(groups):
    left, right = unit(5, 7, seed=1), unit(5, 7, seed=2)
    ids = torch.tensor(groups)
    positives = ids[:, None] == ids[None]
    scale, bias = torch.tensor(9.0, dtype=torch.float64), torch.tensor(-3.0, dtype=torch.float64, requires_grad=True)
    loss = sigmoid_loss(left, right, scale, bias, positives)
    assert loss.item() == pytest.approx(double_loop_sigmoid(left, right, scale, -3.0, positives), rel=1e-12)
    (gradient,) = torch.autograd.grad(loss, bias)
    step = 1e-6
    slope = double_loop_sigmoid(left, right, scale, -3 + step, positives)
    slope -= double_loop_sigmoid(left, right, scale, -3 - step, positives)
    assert gradient.item() == pytest.approx(slope / (2 * step), rel=1e-6)
    if len(set(groups)) == 5:
        assert sigmoid_loss(left, right, scale, bias).item() == loss.item()


def test_a_model_with_the_sigmoid_loss_has_a_bias_and_uses_it(batch):
    model = tiny.clip_model(contrastive_loss="sigmoid", logit_bias_init_value=-4.0)
    assert model.logit_bias.item() == -4.0
    outputs = model(**batch, return_loss=True)
    eye = torch.eye(3, dtype=torch.bool)
    pairs = (("rgb", "text"), ("ir", "text"), ("rgb", "ir"))
    embeds = {name: outputs[f"{name}_embeds"].detach().double() for name in ("rgb", "ir", "text")}
    terms = [double_loop_sigmoid(embeds[a], embeds[b], model.logit_scale.detach().exp(), -4.0, eye) for a, b in pairs]
    assert outputs.loss.item() == pytest.approx(sum(terms) / 3, rel=1e-5)


def test_a_tile_on_the_pixels_is_a_vector_on_every_patch_embedding(batch):
    model = tiny.clip_model(modality_embedding=True)
    stem = model.vision_model.get_input_embeddings()
    tile = torch.randn(3, 4, 4, generator=torch.Generator().manual_seed(5))
    pixels = batch["ir_pixel_values"]
    with torch.no_grad():
        shift = stem(pixels + tiled(tile, *pixels.shape[-2:])) - stem(pixels)  # (batch, hidden_size, rows, columns)
    vector = torch.einsum("ocij,cij->o", stem.weight, tile)
    torch.testing.assert_close(shift, vector.view(1, -1, 1, 1).expand_as(shift), atol=1e-5, rtol=0)


def test_modality_embedding_starts_as_the_shared_tower_and_moves_infrared_only(tmp_path, batch):
    plain, model = tiny.clip_model(), tiny.clip_model(modality_embedding=True)
    model.load_state_dict(plain.state_dict(), strict=False)
    torch.testing.assert_close(model(**batch).ir_embeds, plain(**batch).ir_embeds, rtol=0, atol=0)
    torch.nn.init.normal_(model.modality_embedding)
    moved = model(**batch)
    torch.testing.assert_close(moved.rgb_embeds, plain(**batch).rgb_embeds, rtol=0, atol=0)
    assert (moved.ir_embeds - plain(**batch).ir_embeds).abs().max() > 1e-3
    model.save_pretrained(tmp_path)
    again = FusionRSCLIPModel.from_pretrained(tmp_path).eval()
    torch.testing.assert_close(again(**batch).ir_embeds, moved.ir_embeds, rtol=0, atol=0)


def test_modality_embedding_needs_patches():
    with pytest.raises(ValueError, match="ResNetConfig has no patch_size; use a ViT"):
        patch_size(ResNetConfig())


@pytest.mark.parametrize("channels", [3, 1])
@pytest.mark.parametrize("vision", [tiny.vision_config, tiny.dinov2_config])
def test_a_separate_tower_starts_as_rgb_s_and_then_goes_its_own_way(tmp_path, batch, channels, vision):
    tiny.clip_model(vision_config=vision()).save_pretrained(tmp_path / "shared")
    shared = FusionRSCLIPModel.from_pretrained(tmp_path / "shared").eval()
    model = FusionRSCLIPModel.from_clip(tmp_path / "shared", ir_channels=channels).eval()
    grey = batch["ir_pixel_values"][:, :1].expand(-1, 3, -1, -1)
    torch.testing.assert_close(
        model.get_ir_features(grey), shared.get_ir_features(grey), atol=1e-5, rtol=0
    )  # replicated grey
    rgb = model.get_rgb_features(batch["pixel_values"])
    with torch.no_grad():
        model.ir_visual_projection.weight.mul_(torch.rand_like(model.ir_visual_projection.weight))
    assert (model.get_ir_features(grey) - shared.get_ir_features(grey)).abs().max() > 1e-2
    torch.testing.assert_close(model.get_rgb_features(batch["pixel_values"]), rgb, rtol=0, atol=0)
    model.save_pretrained(tmp_path / "separate")
    again = FusionRSCLIPModel.from_pretrained(tmp_path / "separate").eval()
    torch.testing.assert_close(again.get_ir_features(grey), model.get_ir_features(grey), rtol=0, atol=0)


def test_an_infrared_tower_is_never_left_random(tmp_path):
    model = tiny.clip_model()
    model.save_pretrained(tmp_path)
    config = FusionRSCLIPConfig(**model.config.to_dict() | {"ir_vision_config": model.config.vision_config.to_dict()})
    with pytest.raises(ValueError, match="lacks the infrared tower .*from_clip"):
        FusionRSCLIPModel.from_pretrained(tmp_path, config=config)


def test_three_towers_start_as_they_were_saved(tmp_path):
    model = tiny.clip_model()
    other = tiny.clip_model(seed=7)
    model.vision_model.save_pretrained(tmp_path / "rgb")
    other.vision_model.save_pretrained(tmp_path / "ir")
    model.text_model.save_pretrained(tmp_path / "text")
    three = FusionRSCLIPModel.from_towers(tmp_path / "rgb", tmp_path / "text", tmp_path / "ir", projection_dim=8)
    for name, tower in (("vision_model", model.vision_model), ("ir_vision_model", other.vision_model)):
        for key, value in tower.state_dict().items():
            torch.testing.assert_close(getattr(three, name).state_dict()[key], value, rtol=0, atol=0)


def test_mean_fusion_is_the_unit_length_weighted_mean(batch):
    model = tiny.clip_model(fusion_weight=0.25)
    outputs = model(**batch)
    expected = 0.75 * outputs.rgb_embeds + 0.25 * outputs.ir_embeds
    torch.testing.assert_close(outputs.fused_embeds, expected / expected.norm(dim=-1, keepdim=True))
    fused = model.get_fused_features(batch["pixel_values"], batch["ir_pixel_values"])
    torch.testing.assert_close(fused, outputs.fused_embeds)


def test_one_modality_alone_is_its_own_fusion(batch):
    model = tiny.clip_model(fusion="gated")
    outputs = model(**batch)
    torch.testing.assert_close(model.get_fused_features(pixel_values=batch["pixel_values"]), outputs.rgb_embeds)
    torch.testing.assert_close(model.get_fused_features(ir_pixel_values=batch["ir_pixel_values"]), outputs.ir_embeds)
    with pytest.raises(ValueError, match="pixel_values, ir_pixel_values or both"):
        model.get_fused_features()
    assert model(input_ids=batch["input_ids"], pixel_values=batch["pixel_values"]).fused_embeds is None


def test_an_untrained_gate_is_the_mean_and_a_closed_one_is_rgb():
    rgb, ir = unit(4, 6, seed=1).float(), unit(4, 6, seed=2).float()
    head = GatedFusion(6)
    torch.nn.init.zeros_(head.gate.weight)
    torch.nn.init.zeros_(head.gate.bias)
    torch.testing.assert_close(head(rgb, ir), (rgb + ir) / 2)
    torch.nn.init.constant_(head.gate.bias, -50)
    torch.testing.assert_close(head(rgb, ir), rgb)


def test_modality_dropout_gives_the_embedding_that_is_left():
    model = tiny.clip_model(fusion="gated")
    rgb, ir = unit(3, 8, seed=1).float(), unit(3, 8, seed=2).float()
    fused = model.fuse(rgb, ir, torch.tensor([[True, False], [False, True], [True, True]]))
    torch.testing.assert_close(fused[0], rgb[0])
    torch.testing.assert_close(fused[1], ir[1])
    torch.testing.assert_close(fused[2], F.normalize(rgb[2] + ir[2], dim=-1))


def test_fused_text_is_a_term_of_the_loss(batch):
    model = tiny.clip_model(rgb_text_weight=0, ir_text_weight=0, rgb_ir_weight=0, fused_text_weight=1)
    outputs = model(**batch, return_loss=True)
    expected = info_nce(outputs.fused_embeds, outputs.text_embeds, model.logit_scale.exp())
    torch.testing.assert_close(outputs.loss, expected)


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"fusion": "sum"}, "fusion must be one of"),
        ({"fusion_weight": 1.5}, r"fusion_weight must lie in \[0, 1\], got 1.5"),
        ({"contrastive_loss": "triplet"}, "contrastive_loss must be one of"),
        (
            {"modality_embedding": True, "ir_vision_config": {"model_type": "clip_vision_model"}},
            "with ir_vision_config leave it out",
        ),
        ({"ir_vision_config": {"model_type": "clip_vision_model", "hidden_size": 24}}, "hidden_size 16, got 24"),
    ],
)
def test_bad_infrared_towers_fusions_and_losses_say_what_is_wrong(options, message):
    with pytest.raises(Exception, match=message):
        FusionRSCLIPConfig(text_config=tiny.text_config(), vision_config=tiny.vision_config(), **options)


@pytest.mark.parametrize("loss", ["info_nce", "sigmoid"])
@pytest.mark.parametrize("grouped", [False, True])
def test_a_batch_of_one_has_a_defined_loss(batch, loss, grouped):
    model = tiny.clip_model(contrastive_loss=loss).train()
    ids = {"image_ids": torch.tensor([7]), "caption_ids": torch.tensor([9])} if grouped else {}
    outputs = model(**{name: value[:1] for name, value in batch.items()}, **ids, return_loss=True)
    if loss == "info_nce":
        assert outputs.loss.item() == 0  # no negatives
    else:
        embeds = {name: outputs[f"{name}_embeds"].detach().double() for name in ("rgb", "ir", "text")}
        scale, one = model.logit_scale.detach().exp(), torch.ones(1, 1, dtype=torch.bool)
        terms = [double_loop_sigmoid(embeds[a], embeds[b], scale, -10.0, one) for a, b in WEIGHTS]
        assert outputs.loss.item() == pytest.approx(sum(terms) / 3, rel=1e-5)
    outputs.loss.backward()
    assert all(parameter.grad is None or parameter.grad.isfinite().all() for parameter in model.parameters())


def test_unequal_numbers_of_rows_embed_but_have_no_loss(batch):
    model = tiny.clip_model()
    fewer = batch | {"ir_pixel_values": batch["ir_pixel_values"][:2]}
    outputs = model(**fewer)
    assert outputs.fused_embeds is None and outputs.logits_per_ir.shape == (2, 3)
    with pytest.raises(ValueError, match="got 3 RGB and 2 infrared images"):
        model.get_fused_features(fewer["pixel_values"], fewer["ir_pixel_values"])
    with pytest.raises(ValueError, match=r"row i of every modality .* numbers of rows {'rgb': 3, 'ir': 2, 'text': 3}"):
        model(**fewer, return_loss=True)
    with pytest.raises(ValueError, match=r"'text': 3, 'fused': 3, 'image_ids': 2}"):
        model(**batch, image_ids=torch.arange(2), return_loss=True)


def test_a_feature_extraction_pipeline_gives_the_embeddings_of_texts(tmp_path):
    model, processor = tiny.clip_model(), tiny.clip_processor()
    for part in (model, processor):
        part.save_pretrained(tmp_path)
    pipe = pipeline("feature-extraction", model=str(tmp_path), device="cpu")
    pipe.tokenizer.model_input_names = ["input_ids", "token_type_ids", "attention_mask"]  # as BERT's
    assert "token_type_ids" in pipe.tokenizer("dark water")
    wanted = model(**processor(text="dark water")).text_embeds
    torch.testing.assert_close(torch.tensor(pipe("dark water")), wanted)


@pytest.mark.parametrize("name", ["pixel_values", "ir_pixel_values"])
@pytest.mark.parametrize(
    ("change", "message"),
    [
        (lambda x: (x * 255).to(torch.uint8), r"floating point images .* got torch.uint8 \(3, 3, 24, 24\)"),
        (lambda x: x[:, :1], r"got torch.float32 \(3, 1, 24, 24\)"),
        (lambda x: x[0], r"\(batch, 3, height, width\).* got torch.float32 \(3, 24, 24\)"),
        (lambda x: x[..., :20, :20], "Input image size .20.20. doesn't match model"),
    ],
)
def test_pixels_of_another_dtype_shape_or_size_are_refused(batch, name, change, message):
    with pytest.raises(ValueError, match=message):
        tiny.clip_model()(**{name: change(batch[name])})


def test_a_nan_pixel_spoils_its_own_embedding_alone_and_is_seen_in_the_loss(batch):
    model, pixels = tiny.clip_model(), batch["pixel_values"].clone()
    pixels[1, 0, 0, 0] = torch.nan
    outputs = model(**batch | {"pixel_values": pixels}, return_loss=True)
    assert outputs.rgb_embeds[1].isnan().all() and outputs.fused_embeds[1].isnan().all() and outputs.loss.isnan()
    clean = model(**batch)
    for rows, wanted in ((outputs.rgb_embeds, clean.rgb_embeds), (outputs.fused_embeds, clean.fused_embeds)):
        torch.testing.assert_close(rows[[0, 2]], wanted[[0, 2]], rtol=0, atol=1e-6)
    torch.testing.assert_close(outputs.ir_embeds, clean.ir_embeds, rtol=0, atol=0)


def test_one_image_has_no_statistics():
    with pytest.raises(ValueError, match="at least two images of each modality, got 1"):
        tiny.clip_model(feature_norm=True).fit_feature_norm(torch.zeros(1, 16), torch.zeros(5, 16))


OPTIONS = {
    "shared": {},
    "tile": {"modality_embedding": True},
    "own tower": {"ir_vision_config": {**tiny.vision_config().to_dict(), "num_channels": 1}},
    "gated": {"fusion": "gated"},
    "sigmoid": {"contrastive_loss": "sigmoid"},
    "grid of DINOv2, standardised": {
        "feature_norm": True,
        "vision_config": tiny.dinov2_config(),
        "vision_pooling": "grid",
        "text_pooling": "mean",
    },
}


@pytest.mark.parametrize("options", OPTIONS.values(), ids=OPTIONS)
def test_attention_kinds_agree_and_bfloat16_takes_what_the_processor_gives(tmp_path, batch, options):
    tiny.clip_model(**options).save_pretrained(tmp_path)
    loaded = {kind: AutoModel.from_pretrained(tmp_path, attn_implementation=kind).eval() for kind in ("sdpa", "eager")}
    for kind, model in loaded.items():
        towers = [tower for tower in (model.text_model, model.vision_model, model.ir_vision_model) if tower]
        assert {tower.config._attn_implementation for tower in towers} == {kind}
    sdpa, eager = (model(**batch, return_loss=True) for model in loaded.values())
    half = AutoModel.from_pretrained(tmp_path, dtype="bfloat16", attn_implementation="eager").eval()
    assert {parameter.dtype for parameter in half.parameters()} == {torch.bfloat16}
    short = half(**batch, return_loss=True)  # float32 pixels, as the processor gives them
    for name in ("rgb_embeds", "ir_embeds", "text_embeds", "fused_embeds", "loss"):
        torch.testing.assert_close(sdpa[name], eager[name], rtol=0, atol=1e-5)
        assert short[name].dtype == torch.bfloat16
        torch.testing.assert_close(short[name].float(), eager[name], rtol=0.05, atol=0.05)


@pytest.mark.parametrize("options", [OPTIONS["own tower"], OPTIONS["grid of DINOv2, standardised"]])
def test_gradient_checkpointing_reaches_every_tower_and_changes_no_gradient(batch, options):
    model = tiny.clip_model(**options).train()
    grads = []
    for checkpointing in (False, True):
        if checkpointing:
            model.gradient_checkpointing_enable({"use_reentrant": False})
            towers = [tower for tower in (model.text_model, model.vision_model, model.ir_vision_model) if tower]
            assert all(
                any(getattr(part, "gradient_checkpointing", False) for part in tower.modules()) for tower in towers
            )
        model.zero_grad()
        model(**batch, return_loss=True).loss.backward()
        grads.append({name: p.grad.clone() for name, p in model.named_parameters() if p.grad is not None})
    assert grads[0].keys() == grads[1].keys()
    for name, value in grads[0].items():
        torch.testing.assert_close(grads[1][name], value, rtol=1e-4, atol=1e-6)


def test_equal_captions_are_no_negatives_also_where_no_image_ids_are_known():
    embeds, scale = {name: unit(4, 5, seed=seed) for seed, name in enumerate(("rgb", "ir", "text"))}, torch.tensor(7.0)
    captions = torch.tensor([3, 8, 3, 9])
    weights = {("rgb", "text"): 1.0, ("rgb", "ir"): 2.0, ("ir", "text"): 0.0}
    equal = captions[:, None] == captions[None, :]
    with_text = info_nce(embeds["rgb"], embeds["text"], scale, equal)
    by_hand = (with_text + 2 * info_nce(embeds["rgb"], embeds["ir"], scale)) / 3
    torch.testing.assert_close(trimodal_loss(embeds, scale, weights, None, captions), by_hand)
    assert abs(with_text - info_nce(embeds["rgb"], embeds["text"], scale)) > 1e-3
    bias = torch.tensor(-2.0)
    sigmoid = sigmoid_loss(embeds["rgb"], embeds["text"], scale, bias, equal)
    sigmoid = (sigmoid + 2 * sigmoid_loss(embeds["rgb"], embeds["ir"], scale, bias)) / 3
    torch.testing.assert_close(trimodal_loss(embeds, scale, weights, None, captions, bias), sigmoid)
