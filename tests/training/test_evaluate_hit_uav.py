import json

import numpy as np
import pytest

from fusionrs_hf import cli
from tests.made import scene_sets, tiny
from training.evaluate_hit_uav import read_presence, zero_shot

SHOWN = {
    "train": [["Person", "Car"], ["Bicycle"], ["OtherVehicle", "Person"], ["DontCare"], []],
    "val": [["Person"], ["Car", "OtherVehicle"], ["Bicycle"]],
    "test": [["Car"], ["Bicycle", "Bicycle"], ["Person"], ["OtherVehicle"]],
}


@pytest.fixture(scope="module")
def model(tmp_path_factory):
    folder = tmp_path_factory.mktemp("model")
    tiny.clip_model().save_pretrained(folder)
    tiny.clip_processor().save_pretrained(folder)
    return folder


def run(*arguments):
    return cli.main(["eval", *(str(part) for part in arguments)])


def test_hit_uav_presence_is_read_from_the_official_annotations(tmp_path):
    data = read_presence(scene_sets.write_hit_uav(tmp_path, SHOWN))
    assert len(data) == 12 and data.splits.tolist() == ["train"] * 5 + ["val"] * 3 + ["test"] * 4
    assert data.present[0].tolist() == [True, False, True, False]  # person, bicycle, car, other vehicle
    assert not data.present[3].any() and not data.present[4].any()  # DontCare is nothing
    assert all(path.is_file() for path in data.paths)


def test_hit_uav_is_scored_by_prompts_and_by_a_probe(model, tmp_path):
    scene_sets.write_hit_uav(tmp_path, SHOWN)
    assert run("hit-uav", "--model", model, "--dataset", tmp_path, "--output", tmp_path / "out.json") == 0
    found = json.loads((tmp_path / "out.json").read_text())
    assert found["images"] == {"train": 5, "val": 3, "test": 4} and not found["complete"]
    assert found["zero_shot"]["hit_images"] == 10
    assert found["zero_shot"]["positives"] == {"person": 4, "bicycle": 3, "car": 3, "other vehicle": 3}
    assert found["probe"]["positives"] == {"person": 1, "bicycle": 1, "car": 1, "other vehicle": 1}
    assert found["probe"]["mAP"] == pytest.approx(np.mean(list(found["probe"]["AP"].values())))


def test_hit_uav_zero_shot_by_hand():
    """Prompts are the axes; image 2 has no object, image 1 shows its second-best class only."""
    features = np.array([[1.0, 0, 0, 0], [0.8, 0.6, 0, 0], [0, 0, 1.0, 0], [0, 0, 0.6, 0.8]])
    present = np.array([[1, 0, 0, 0], [0, 1, 0, 0], [0, 0, 0, 0], [0, 0, 1, 1]], bool)
    found = zero_shot(features, np.eye(4), present)
    assert found["AP"] == {"person": 1.0, "bicycle": 1.0, "car": 0.5, "other vehicle": 1.0}
    assert found["mAP"] == 0.875 and found["top1_hit"][0] == pytest.approx(2 / 3)


def test_hit_uav_without_annotations_says_what_is_expected(model, tmp_path, capsys):
    assert run("hit-uav", "--model", model, "--dataset", tmp_path, "--output", tmp_path / "out.json") == 2
    assert "--dataset must be a clone of HIT-UAV, or its normal_json" in capsys.readouterr().err
