import json

import numpy as np
import pytest

from fusionrs_hf import cli
from fusionrs_hf.encoders import Encoder
from fusionrs_hf.errors import InputError
from tests.made import scene_sets, tiny
from training.evaluate_zero_shot import accuracy, class_embeddings, read_templates


@pytest.fixture(scope="module")
def model(tmp_path_factory):
    folder = tmp_path_factory.mktemp("model")
    tiny.clip_model().save_pretrained(folder)
    tiny.clip_processor().save_pretrained(folder)
    return folder


@pytest.fixture
def scenes(tmp_path):
    return scene_sets.write_scenes(tmp_path / "set", "nwpu")


def score(model, scenes, output, *options):
    arguments = ["eval", "zero-shot", "--model", model, "--dataset", scenes, "--layout", "nwpu", "--output", output]
    code = cli.main([str(part) for part in (*arguments, *options)])
    return code, json.loads(output.read_text()) if output.is_file() else None


def test_zero_shot_and_probe_of_rgb_infrared_and_both(model, scenes, tmp_path):
    infrared = scene_sets.write_infrared(tmp_path / "ir", scenes, "nwpu")
    code, found = score(model, scenes, tmp_path / "out.json", "--infrared", infrared, "--probe")
    assert code == 0 and not found["complete"] and found["images"] == 4 and found["unreadable"] == 0
    assert set(found["zero_shot"]) == set(found["probe"]) == {"rgb", "ir", "fused"}
    assert found["probe"]["rgb"]["rows"] == {"train": 14, "validation": 2}
    assert found["probe"]["rgb"]["top1"] == 1.0  # one class is dark, the other bright
    assert found["class_titles"] == {"airplane": "airplane", "basketball_court": "basketball court"}
    assert len((tmp_path / "out.json.files.txt").read_text().splitlines()) == 4


def test_a_file_that_cannot_be_read_is_wrong_and_counted(model, scenes, tmp_path):
    _, whole = score(model, scenes, tmp_path / "whole.json", "--protocol", "skyscript")
    for broken in (scenes / "NWPU-RESISC45/airplane").iterdir():
        broken.write_bytes(b"no image")
    code, found = score(model, scenes, tmp_path / "out.json", "--protocol", "skyscript")
    assert code == 0 and found["images"] == 20 and found["unreadable"] == 10
    assert found["zero_shot"]["rgb"]["per_class"]["airplane"] == 0
    kept = whole["zero_shot"]["rgb"]["per_class"]["basketball_court"]
    assert found["zero_shot"]["rgb"]["per_class"]["basketball_court"] == kept
    assert found["zero_shot"]["rgb"]["top1"] == pytest.approx(kept / 2)
    assert found["list_sha256"] == whole["list_sha256"]


def test_grey_photographs_of_a_public_set_are_scored(model, scenes, tmp_path):
    path = scenes / "NWPU-RESISC45/airplane/airplane_010.jpg"
    tiny.ir_image(0).save(path)
    code, found = score(model, scenes, tmp_path / "out.json")
    assert code == 0 and found["unreadable"] == 0


def test_coloured_infrared_is_refused(model, scenes, tmp_path, capsys):
    code, _ = score(model, scenes, tmp_path / "out.json", "--infrared", scenes / "NWPU-RESISC45")
    assert code == 2 and "has colours, expected one-channel infrared" in capsys.readouterr().err


def test_infrared_must_be_there_for_each_image(model, scenes, tmp_path, capsys):
    (tmp_path / "empty").mkdir()
    code, _ = score(model, scenes, tmp_path / "out.json", "--infrared", tmp_path / "empty")
    assert code == 2 and "lacks the infrared of 4 of 4 images" in capsys.readouterr().err


def test_a_probe_needs_images_to_train_on(model, scenes, tmp_path, capsys):
    code, _ = score(model, scenes, tmp_path / "out.json", "--protocol", "skyscript", "--probe")
    assert code == 2 and "use --protocol remoteclip" in capsys.readouterr().err


def test_accuracy_by_hand():
    """Three images of classes 0, 0, 1; the second cannot be read, the third ties with the wrong class."""
    scores = np.array([[0.9, 0.1], [0.5, 0.5]])
    found = accuracy(scores, np.array([True, False, True]), np.array([0, 0, 1]), ["a", "b"])
    assert found["top1"] == pytest.approx(1 / 3) and found["top5"] == pytest.approx(2 / 3)
    assert found["per_class"] == {"a": 0.5, "b": 0.0} and found["mean_per_class"] == 0.25


def test_a_class_is_the_mean_of_its_prompts():
    encoders = Encoder.for_scores(tiny.clip_model(), tiny.clip_processor())
    found = class_embeddings(encoders, ["field", "water"], ["the {}", "dark {}"])
    prompts = encoders.text(["the field", "dark field", "the water", "dark water"])
    expected = np.stack([prompts[:2].mean(0), prompts[2:].mean(0)])
    np.testing.assert_allclose(found, expected / np.linalg.norm(expected, axis=1, keepdims=True), rtol=1e-6)


def test_templates_are_read_before_anything_is_embedded(tmp_path):
    path = tmp_path / "templates.txt"
    path.write_text("the {}\n\ndark {}\n")
    assert read_templates(path) == ["the {}", "dark {}"]
    for text, sentence in (("a field", "needs {} where the class name goes, got 'a field'"), ("\n", "no template")):
        path.write_text(text)
        with pytest.raises(InputError, match=sentence):
            read_templates(path)
