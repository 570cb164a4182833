import json

import numpy as np
import pytest

from fusionrs_hf import cli
from tests.made import scene_sets, tiny
from training.evaluate_caltech_pairs import read_pairs, score_pairs


@pytest.fixture(scope="module")
def model(tmp_path_factory):
    folder = tmp_path_factory.mktemp("model")
    tiny.clip_model().save_pretrained(folder)
    tiny.clip_processor().save_pretrained(folder)
    return folder


def run(*arguments):
    return cli.main(["eval", *(str(part) for part in arguments)])


def test_caltech_pairs_are_joined_by_mask(tmp_path):
    pairs = read_pairs(*scene_sets.write_caltech(tmp_path, 4), "thermal8")
    assert [left.name[-9:] for left, _ in pairs] == ["00000.jpg", "00001.jpg", "00002.jpg", "00003.jpg"]
    assert all(left.name[-9:] == right.name[-9:] for left, right in pairs)


def test_caltech_pairs_are_scored_both_ways(model, tmp_path):
    dataset, splits = scene_sets.write_caltech(tmp_path, 12)
    where = ("--dataset", dataset, "--splits", splits, "--output", tmp_path / "out.json")
    assert run("caltech-pairs", "--model", model, *where) == 0
    found = json.loads((tmp_path / "out.json").read_text())
    assert found["queries"] == 12 and not found["complete"]
    scores = [found["scores"][name][f"R@{k}"] for name in ("rgb_to_ir", "ir_to_rgb") for k in (1, 5, 10)]
    assert found["mean_recall"] == pytest.approx(np.mean(scores))


def test_caltech_pairs_by_hand():
    """The second infrared image lies nearest to the first RGB image: one direction misses once, the other twice."""
    rgb, ir = np.array([[1.0, 0], [0, 1.0]]), np.array([[0.8, 0.6], [1.0, 0]])
    found = score_pairs(rgb, ir)
    assert found["ranks"] == {"rgb_to_ir": [1, 1], "ir_to_rgb": [0, 1]}


def test_lists_of_different_splits_are_refused(model, tmp_path, capsys):
    dataset, splits = scene_sets.write_caltech(tmp_path, 3)
    (splits / "thermal8_test.txt").write_text("thermal8/a.jpg,annotations/other.png\n")
    where = ("--dataset", dataset, "--splits", splits, "--output", tmp_path / "out.json")
    assert run("caltech-pairs", "--model", model, *where) == 2
    assert "4 masks have an image of one kind only" in capsys.readouterr().err
