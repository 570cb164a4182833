import numpy as np

from training.scoring.boosted_trees import LEVELS, BoostedTrees, look_up


def pixels(count, seed=0):
    return np.random.default_rng(seed).integers(0, 256, (count, 3), dtype=np.uint8)


def test_a_step_of_one_colour_is_found_where_it_is():
    rgb = pixels(4000)
    target = np.where(rgb[:, 1] >= 128, 0.9, 0.1)
    table = BoostedTrees(trees=60, depth=1).fit(rgb, target)
    np.testing.assert_allclose(look_up(table, rgb), target, atol=0.01)


def test_one_tree_of_full_rate_is_the_best_split_of_all():
    """By hand: every threshold of every channel is tried, and the leaves are the means."""
    rgb = pixels(300)
    target = rgb @ [0.001, 0.003, 0.0005] + np.random.default_rng(1).normal(0, 0.02, 300)
    table = BoostedTrees(trees=1, depth=1, rate=1.0, least=1).fit(rgb, target)
    best = np.inf
    for channel in range(3):
        for edge in range(1, LEVELS):
            left = (rgb[:, channel] >> 2) < edge
            if left.any() and not left.all():
                error = sum(((target[side] - target[side].mean()) ** 2).sum() for side in (left, ~left))
                best = min(best, error)
    np.testing.assert_allclose(((look_up(table, rgb) - target) ** 2).sum(), best, rtol=1e-5)


def test_interactions_need_depth_and_get_it():
    rgb = pixels(6000)
    target = ((rgb[:, 0] > 127) ^ (rgb[:, 2] > 127)).astype(float)
    error = {}
    for depth in (1, 4):
        table = BoostedTrees(trees=50, depth=depth).fit(rgb, target)
        error[depth] = ((look_up(table, rgb) - target) ** 2).mean()
    assert error[1] > 0.2 and error[4] < 0.01


def test_leaves_hold_enough_pixels():
    rgb = pixels(200)
    target = np.zeros(200)
    target[0] = 100.0
    table = BoostedTrees(trees=1, depth=5, rate=1.0, least=50).fit(rgb, target)
    assert look_up(table, rgb).max() <= 2.0 + 1e-6


def test_a_table_answers_images_of_any_size():
    rgb = pixels(100)
    table = BoostedTrees(trees=5).fit(rgb, rgb[:, 0] / 255)
    assert look_up(table, rgb.reshape(10, 10, 3)).shape == (10, 10)
