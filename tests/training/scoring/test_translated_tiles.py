import numpy as np
import pytest

from training.scoring.band_tiles import BandTiles
from training.scoring.translated_tiles import best_and_worst
from training.scoring.translation_scores import Predictions


def made(errors, valid=()):
    """Tiles of grey 100 that are answered with these errors, in grey levels, and an interval of 10 at either side."""
    truth = [np.full((4, 4), 100, np.uint8) for _ in errors]
    median = [(image + error) / 255 for image, error in zip(truth, errors)]
    low, high = ([part + side / 255 for part in median] for side in (-10, 10))
    tiles = BandTiles(rgb=[np.zeros((4, 4, 3), np.uint8)] * len(truth), infrared=truth, valid=list(valid))
    return tiles, Predictions(median=median, low=low, high=high)


def test_the_ends_of_the_order_are_shown_with_error_coverage_and_width():
    tiles = best_and_worst("scene", "nir", True, *made([30, 5, 80, 0, 12]))
    assert [tile.rank for tile in tiles] == ["best", "best", "worst", "worst"]
    assert [tile.error for tile in tiles] == pytest.approx([0, 5, 30, 80])
    assert [tile.covered for tile in tiles] == [1, 1, 0, 0]
    assert np.asarray(tiles[1].translated)[0, 0] == 105 and np.asarray(tiles[1].sensor)[0, 0] == 100
    assert np.asarray(tiles[2].wrong)[0, 0] == 60 and np.asarray(tiles[2].width)[0, 0] == 40  # white at half the range


def test_few_tiles_are_shown_once_and_unmeasured_ones_not():
    assert [tile.rank for tile in best_and_worst("scene", "nir", True, *made([1]))] == ["best"]
    valid = [np.ones((4, 4), bool), np.zeros((4, 4), bool), np.ones((4, 4), bool)]
    tiles = best_and_worst("scene", "nir", False, *made([1, 0, 3], valid))
    assert [tile.error for tile in tiles] == pytest.approx([1, 3])
