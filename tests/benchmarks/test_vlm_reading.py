import json

from tests.benchmarks.vlm_reading import RESULT, averaged, longer_reading
from training.journey import LONGER_READING
from training.scoring.vlm_results import LongerReading


def test_the_package_ships_the_reading_of_the_committed_result():
    assert LongerReading.load(LONGER_READING) == longer_reading(json.loads(RESULT.read_text()))


def test_seeds_are_averaged_place_by_place():
    first, second = {"a": 1.0, "b": [0.0, 1.0], "c": None}, {"a": 2.0, "b": [1.0, 1.0], "c": 0.5}
    assert averaged([first, second]) == {"a": 1.5, "b": [0.5, 1.0], "c": None}
