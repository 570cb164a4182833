import numpy as np

from training.data.other_displays import disturb, other_displays, stretched


def test_disturbed_colours_stay_in_range_and_differ():
    rgb = np.random.default_rng(0).random((3, 8, 8)).astype(np.float32)
    for seed in range(20):
        changed = disturb(rgb, np.random.default_rng(seed), 0.25, 0.2)
        assert changed.min() >= 0 and changed.max() <= 1 and np.abs(changed - rgb).max() > 0.01
    np.testing.assert_allclose(disturb(rgb, np.random.default_rng(0), 0.0, 0.0), rgb, atol=1e-6)


def test_neighbours_are_stretched_together_between_their_percentiles():
    tiles = [0.2 + 0.04 * index + 0.1 * np.random.default_rng(index).random((3, 16, 16)) for index in range(9)]
    result = np.stack(stretched(tiles, np.random.default_rng(0)))
    assert result.shape == (9, 3, 16, 16) and result.dtype == np.float32
    low, high = np.percentile(np.stack(tiles).swapaxes(0, 1).reshape(3, -1), [1, 99], axis=1)
    slow = [(tile - low[:, None, None]) / (high - low)[:, None, None] for tile in tiles]
    np.testing.assert_allclose(result, np.clip(slow, 0, 1), atol=1e-5)


def test_a_flat_group_is_not_stretched_to_noise():
    tiles = [np.full((3, 4, 4), 0.5) + 0.01 * np.random.default_rng(0).random((3, 4, 4))]
    assert np.max(stretched(tiles, np.random.default_rng(0))) <= 0.1


def test_each_tile_comes_in_three_other_displays_the_last_in_false_colour():
    tiles = [np.random.default_rng(index).random((3, 8, 8)).astype(np.float32) for index in range(12)]
    shown = other_displays(tiles, np.random.default_rng(0))
    assert len(shown) >= 36
    for tile, false_colour in zip(tiles, shown[-12:]):
        assert np.abs(tile - false_colour).max() > 0.1
        np.testing.assert_allclose(np.sort(tile, axis=0), np.sort(false_colour, axis=0))
