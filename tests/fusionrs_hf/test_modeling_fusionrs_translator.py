import numpy as np
import pytest
import torch

from fusionrs_hf.modeling_fusionrs_translator import (
    Domain,
    FusionRSTranslator,
    domain_features,
    fit_relation,
    pinball_loss,
)
from tests.made import tiny_translator

NO_RELATION = torch.zeros(3, 10)


def rgb(*size, seed=0):
    return torch.rand(*size, generator=torch.Generator().manual_seed(seed))


@pytest.mark.parametrize("size", [(64, 64), (1, 1), (5, 30), (33, 7)])
def test_all_bands_come_in_one_pass_with_rising_quantiles_of_the_images_size(size):
    model = tiny_translator.translator()
    quantiles = model(rgb(2, 3, *size), torch.tensor([0, 1])).quantiles
    assert quantiles.shape == (2, 2, 3, *size)
    assert (quantiles.diff(dim=2) >= 0).all()
    assert (quantiles[:, :, 2] > quantiles[:, :, 0]).all()


def test_the_condition_changes_the_result():
    model, image = tiny_translator.translator(), rgb(1, 3, 16, 16)
    unknown, scene = (model(image, torch.tensor([place])).quantiles for place in (0, 1))
    assert (unknown - scene).abs().max() > 0.01


def test_level_is_information():
    """With an instance norm somewhere, a brighter image would give the same as a dark one."""
    model, image = tiny_translator.translator(), rgb(1, 3, 16, 16) * 0.4
    dark, bright = (model(image + level, torch.tensor([1])).quantiles[:, :, 1].mean() for level in (0.0, 0.5))
    assert abs(dark - bright) > 0.01


def test_pinball_loss_is_that_of_its_definition():
    generator = np.random.default_rng(0)
    quantiles, target = np.sort(generator.random((2, 1, 3, 2, 2)), axis=2), generator.random((2, 1, 2, 2))
    weight = np.array([1.0, 0.0])[:, None, None, None] * np.ones_like(target)
    slow = 0.0
    for place, value in np.ndenumerate(target):
        if weight[place]:
            for index, level in enumerate((0.1, 0.5, 0.9)):
                error = value - quantiles[place[0], place[1], index, place[2], place[3]]
                slow += level * error if error > 0 else (level - 1) * error
    result = pinball_loss(torch.from_numpy(quantiles), torch.from_numpy(target), torch.from_numpy(weight))
    assert float(result) == pytest.approx(slow / weight.sum())


def test_the_interval_scale_stretches_each_side_about_the_median():
    model, image = tiny_translator.translator(), rgb(1, 3, 8, 8)
    wide = model(image, torch.tensor([1])).quantiles
    model.interval_scale.fill_(1)
    plain = model(image, torch.tensor([1])).quantiles
    torch.testing.assert_close(wide[:, 0, 1] - wide[:, 0, 0], 1.5 * (plain[:, 0, 1] - plain[:, 0, 0]))
    torch.testing.assert_close(wide[:, 0, 2] - wide[:, 0, 1], 2.0 * (plain[:, 0, 2] - plain[:, 0, 1]))


def test_features_tell_means_spreads_and_steps():
    flat = torch.full((1, 3, 16, 16), 0.25)
    image = rgb(1, 3, 16, 16)
    features = domain_features(torch.cat([flat, image]), NO_RELATION)
    torch.testing.assert_close(features[0, :3], torch.full((3,), 0.25))
    torch.testing.assert_close(features[1, :3], image.mean(dim=(0, 2, 3)))
    torch.testing.assert_close(features[1, 3:6], (image.flatten(2).std(dim=2, correction=0)[0] + 0.01).log())
    grey = image.mean(dim=1)[0]
    step = (grey.diff(dim=0).abs().mean() + grey.diff(dim=1).abs().mean()) / 2 + 0.002
    torch.testing.assert_close(features[1, 9], step.log())
    correlation = np.corrcoef(image[0, 0].flatten(), image[0, 1].flatten())[0, 1]
    assert float(features[1, 6]) == pytest.approx(correlation, abs=0.1)


def related(count, seed, slope=0.5):
    """Tiles whose blue is told by red and green, all the tiles of one kind alike, with a little noise."""
    generator = torch.Generator().manual_seed(seed)
    tiles = torch.rand(count, 3, 16, 16, generator=generator) * (0.5 + torch.rand(count, 1, 1, 1, generator=generator))
    tiles[:, 2] = 0.2 + slope * tiles[:, 0] * tiles[:, 1] + 0.02 * tiles[:, 2]
    return tiles.clamp(0, 1)


def test_the_domain_is_what_lies_near_the_training_tiles_and_nearer_than_to_other_displays():
    model = tiny_translator.translator()
    assert torch.isinf(model.domain_distance(related(2, 0), 0)).all()  # no tiles are there
    domain = Domain.of(related(60, 1), related(60, 2, slope=0.3), related(40, 3), share=0.9)
    model.set_domains([Domain(), domain])
    assert model.config.domain_tiles == [[0, 0], [60, 60]]
    for condition in (0, 1):
        assert (model.domain_distance(related(40, 3), condition) <= 1).float().mean() >= 0.9
        assert (model.domain_distance(related(40, 4), condition) <= 1).float().mean() >= 0.7
        assert (model.domain_distance(related(40, 5, slope=0.3), condition) > 1).float().mean() >= 0.9
        assert (model.domain_distance(torch.full((1, 3, 16, 16), 0.5), condition) > 1).all()


def test_the_distance_is_the_larger_of_two_each_by_its_limit():
    own, foreign, held_out = related(20, 1), related(15, 2, slope=0.3), related(10, 3)
    domain = Domain.of(own, foreign, held_out, share=0.5)
    white = domain.whitening.numpy()

    def fifth(tile, others):
        features, *rest = (domain_features(part, domain.relation).numpy() for part in (tile[None], others))
        return sorted(np.linalg.norm((features[0] - other) @ white) for other in rest[0])[4]

    slow = np.array([(near := fifth(tile, own), near / fifth(tile, foreign)) for tile in held_out])
    ranks = slow.argsort(axis=0).argsort(axis=0).max(axis=1) / 9
    limits = np.quantile(slow, np.quantile(ranks, 0.5), axis=0)
    np.testing.assert_allclose(domain.limits, limits, rtol=1e-3)
    np.testing.assert_allclose(domain(held_out), (slow / limits).max(axis=1), rtol=1e-3)


def test_a_domain_without_other_tiles_asks_its_own_each_without_itself():
    own, foreign = related(30, 1), related(30, 2, slope=0.3)
    domain = Domain.of(own, foreign, None, share=1.0)
    measured = domain.distances(domain.features_of(own), rank=6)
    torch.testing.assert_close(domain.limits, measured.amax(dim=0))


def test_a_relation_that_is_a_cubic_is_found():
    tiles = rgb(3, 3, 16, 16)
    tiles[:, 2] = 0.1 + 0.3 * tiles[:, 0] + 0.2 * tiles[:, 0] * tiles[:, 1] ** 2
    relation = fit_relation(tiles)
    expected = torch.tensor([0.1, 0.3, 0, 0, 0, 0, 0, 0, 0.2, 0])
    torch.testing.assert_close(relation[2], expected, atol=2e-3, rtol=0)
    left = domain_features(tiles, relation)[:, 14:]
    assert left[:, 2].abs().max() < 1e-3 and left[:, 5].exp().max() < 0.004  # of blue: nothing


def test_a_start_takes_conditions_by_name_and_new_ones_from_unknown():
    start = tiny_translator.translator()
    options = dict(start.config) | {"conditions": ["unknown", "mine", "scene"], "condition_bands": None}
    model = FusionRSTranslator(**{name: options[name] for name in ("bands", "conditions", "channels")}).eval()
    model.start_from(start)
    image = rgb(1, 3, 12, 12)
    for mine, theirs in ((0, 0), (1, 0), (2, 1)):
        torch.testing.assert_close(
            model(image, torch.tensor([mine])).quantiles, start(image, torch.tensor([theirs])).quantiles
        )


def test_wrong_conditions_are_refused():
    with pytest.raises(ValueError, match="begin with 'unknown'"):
        FusionRSTranslator(conditions=["scene"])
    with pytest.raises(ValueError, match="one of unknown, scene, got 'mars'"):
        tiny_translator.translator().condition_index("mars")


def test_all_features_are_those_of_their_definition():
    image = rgb(1, 3, 20, 12)[0]
    image[:, :3] = torch.tensor([0.0, 0.3, 1.0])[:, None, None]  # some values at the ends
    values = image.flatten(1).double().numpy()
    mean, spread = values.mean(1), values.std(1) + 0.01
    centred = values - mean[:, None]

    def correlation(one, other):
        return (centred[one] * centred[other]).mean() / spread[one] / spread[other]

    def step(pixels):
        grey = image.double().numpy().mean(0)
        down, across = grey[pixels:] - grey[:-pixels], grey[:, pixels:] - grey[:, :-pixels]
        return (np.abs(down).mean() + np.abs(across).mean()) / 2 + 0.002

    expected = [*mean, *np.log(spread), correlation(0, 1), correlation(0, 2), correlation(1, 2)]
    expected += [np.log(step(1)), np.log(step(2) / step(1))]
    expected += [np.abs(centred[0] - centred[1]).mean(), np.abs(centred[2] - centred[1]).mean()]
    expected += [((values < 0.01) | (values > 0.99)).mean()]
    left = values - 0.1 - 0.5 * values[[1, 0, 0]]  # by the first of the other two channels
    expected += [*left.mean(1), *np.log(left.std(1) + 0.003)]
    relation = torch.tensor([0.1, 0.5, *[0.0] * 8]).repeat(3, 1)
    np.testing.assert_allclose(domain_features(image[None], relation)[0], expected, rtol=1e-4, atol=1e-5)


def test_images_too_small_for_a_step_have_the_least_one():
    features = domain_features(rgb(1, 3, 9, 1), NO_RELATION)[0]
    assert features[9] == pytest.approx(np.log(0.002)) and features[10] == pytest.approx(0)
    steps = domain_features(rgb(1, 3, 9, 2), NO_RELATION)[0]
    assert steps[9] > np.log(0.01) and steps[10] == pytest.approx(np.log(0.002) - float(steps[9]), abs=1e-4)
