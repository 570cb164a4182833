import json

from tests.benchmarks.retrieval_controls import RESULT, trained_controls
from training.journey import TRAINED_CONTROLS
from training.scoring.clip_results import TrainedControls


def test_the_package_ships_the_controls_of_the_committed_result():
    assert TrainedControls.load(TRAINED_CONTROLS) == trained_controls(json.loads(RESULT.read_text()))
