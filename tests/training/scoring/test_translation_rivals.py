import numpy as np

from training.scoring.translation_rivals import z_scored_mean


def test_answers_are_brought_to_one_level_and_spread_before_their_mean():
    first = [np.array([[0.0, 1.0]]), np.array([[2.0, 3.0]])]
    assert np.allclose(z_scored_mean([first, [10 - 4 * tile for tile in first]]), np.mean(first))  # they cancel out
    np.testing.assert_allclose(z_scored_mean([first, [10 + 4 * tile for tile in first]]), first)
    flat = [np.full((1, 2), 0.5)] * 2
    centred = [1.5 + (tile - 1.5) / 2 for tile in first]
    np.testing.assert_allclose(z_scored_mean([first, flat]), centred)
