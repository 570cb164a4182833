import numpy as np
import pytest
from skimage.metrics import structural_similarity

from training.scoring.translation_scores import (
    Predictions,
    affine_better_by,
    affine_r2,
    area_under_curve,
    better_by,
    gradient_agreement,
    gray_gradient,
    pooled_r2,
    score_tiles,
    ssim,
    summarise,
)


def tiles(count=6, noise=0.1, seed=0):
    generator = np.random.default_rng(seed)
    truth = [generator.random((12, 14)) for _ in range(count)]
    return truth, [np.clip(image + generator.normal(0, noise, image.shape), 0, 1) for image in truth]


def everywhere(truth):
    return [np.ones(image.shape, bool) for image in truth]


def test_r2_is_one_less_the_share_of_the_error():
    truth, guess = tiles()
    scores = score_tiles(truth, everywhere(truth), Predictions(guess))
    y, p = (np.concatenate([image.ravel() for image in images]) for images in (truth, guess))
    assert pooled_r2(scores.sums.sum(0)) == pytest.approx(1 - ((y - p) ** 2).sum() / ((y - y.mean()) ** 2).sum())
    assert affine_r2(scores.sums.sum(0)) == pytest.approx(np.corrcoef(y, p)[0, 1] ** 2)
    np.testing.assert_allclose(scores.squared, [((a - b) ** 2).mean() for a, b in zip(truth, guess)])


def test_affine_r2_forgives_scale_and_offset_and_not_a_falling_line():
    truth, _ = tiles()
    for line, expected in ((lambda image: 0.3 + 0.2 * image, 1.0), (lambda image: 1 - image, 0.0)):
        scores = score_tiles(truth, everywhere(truth), Predictions([line(image) for image in truth]))
        assert affine_r2(scores.sums.sum(0)) == pytest.approx(expected, abs=1e-6)


def test_pixels_that_do_not_count_have_no_say():
    truth, guess = tiles(1)
    use = np.zeros(truth[0].shape, bool)
    use[:6] = True
    spoilt = guess[0].copy()
    spoilt[6:] = 1
    first, second = (score_tiles(truth, [use], Predictions([image])) for image in (guess[0], spoilt))
    np.testing.assert_allclose(first.sums, second.sums)


def test_coverage_and_width_are_counted():
    truth, guess = tiles(3)
    low, high = ([image + step for image in guess] for step in (-0.1, 0.2))
    scores = score_tiles(truth, everywhere(truth), Predictions(guess, low, high))
    result = summarise(scores, np.arange(3))
    inside = [((a <= y) & (y <= b)).mean() for a, y, b in zip(low, truth, high)]
    assert result["coverage"] == pytest.approx(np.mean(inside)) and result["interval_width"] == pytest.approx(0.3)
    assert result["coverage_interval"][0] <= result["coverage"] <= result["coverage_interval"][1]


def test_blocks_are_resampled_as_wholes():
    truth, guess = tiles(8)
    scores = score_tiles(truth, everywhere(truth), Predictions(guess))
    together, apart = (summarise(scores, blocks)["r2_interval"] for blocks in (np.zeros(8), np.arange(8)))
    assert together[0] == pytest.approx(together[1]) and apart[1] - apart[0] > 1e-3


def test_the_better_one_is_better_beyond_chance():
    truth, near = tiles(20, noise=0.05)
    _, far = tiles(20, noise=0.2)
    ours, theirs = (score_tiles(truth, everywhere(truth), Predictions(guess)) for guess in (near, far))
    assert better_by(ours, theirs).low > 0 > better_by(theirs, ours).high
    assert affine_better_by(ours, theirs, np.arange(20)).low > 0
    same = better_by(ours, ours)
    assert same.low == same.high == 0


def test_ssim_is_that_of_wang():
    (truth,), (guess,) = tiles(1)
    truth, guess = (np.tile(image, (4, 4)) for image in (truth, guess))
    options = {"gaussian_weights": True, "sigma": 1.5, "use_sample_covariance": False, "data_range": 1.0}
    assert ssim(truth, guess) == pytest.approx(structural_similarity(truth, guess, **options), abs=0.02)
    assert ssim(truth, truth) == pytest.approx(1)


def test_gradients_agree_up_to_scale_and_offset():
    (truth,), _ = tiles(1)
    assert gradient_agreement(truth, 0.2 + 0.5 * truth) == pytest.approx(1)
    assert gradient_agreement(truth, 1 - truth) == pytest.approx(-1)
    assert gradient_agreement(truth, np.full_like(truth, 0.5)) == 0


def test_area_under_the_curve_is_the_chance_of_the_right_order():
    score = np.array([1, 2, 2, 3, 5, 1])
    positive = np.array([0, 1, 0, 1, 1, 0], bool)
    pairs = [(a > b) + 0.5 * (a == b) for a in score[positive] for b in score[~positive]]
    assert area_under_curve(score, positive) == pytest.approx(np.mean(pairs))
    assert area_under_curve(score, np.zeros(6, bool)) is None


def test_the_gradient_of_gray_is_that_of_a_plane_by_hand():
    """Sobel's weights sum to 8 times the step: one level across and two down a pixel; of green .587 of that."""
    down, across = np.mgrid[:6, :7]
    plane = (across + 2 * down).astype(np.uint8)
    gray = gray_gradient(np.stack([plane] * 3, axis=-1))
    np.testing.assert_allclose(gray[1:-1, 1:-1], 8 * np.hypot(1, 2))
    green = gray_gradient(np.stack([0 * plane, plane, 0 * plane], axis=-1))
    np.testing.assert_allclose(green, 0.587 * gray)
