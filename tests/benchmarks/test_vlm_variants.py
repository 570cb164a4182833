"""Arms and variants of the VLM's benchmarks on tiny models, trained and asked for real."""

import json
from pathlib import Path

import pytest
import yaml

from tests.benchmarks import vlm_changes, vlm_checks, vlm_modalities
from tests.training.test_train_vlm import command, vlm_run  # noqa: F401 - a fixture
from training.evaluate_vlm_need import BOTH_SHUFFLED, SHOWN


@pytest.fixture
def demo(vlm_run, tmp_path, monkeypatch):  # noqa: F811
    """A demo of tiny models, and a recipe of both benches that suits them."""
    (tmp_path / "demo/weights").mkdir(parents=True)
    for name, place in (("dataset", "dataset"), ("clip", "clip"), ("weights/language", "language")):
        (tmp_path / "demo" / name).symlink_to(vlm_run[place])
    named = iter(command(vlm_run))
    fields = {name.removeprefix("--"): yaml.safe_load(value) for name, value in zip(named, named)}
    fields |= {
        "keep_language_layers": ["0-1"],
        "lr_scheduler_type": "warmup_stable_decay",
        "captions_share": 0.6,
        "joint_share": 0.2,
    }
    recipe = tmp_path / "tiny.yaml"
    recipe.write_text(yaml.safe_dump(fields | {"lr_scheduler_kwargs": {"decay_type": "cosine", "num_decay_steps": 1}}))
    monkeypatch.setattr(vlm_modalities, "RECIPE", str(recipe))
    monkeypatch.setattr(vlm_changes, "VLM_RECIPE", recipe)
    return tmp_path / "demo"


@pytest.mark.slow
@pytest.mark.parametrize("arm", ["both-joint", "none-ir_aware"])
def test_an_arm_is_trained_and_asked(demo, tmp_path, arm):
    vlm_modalities.run_one(arm, 0, demo, tmp_path / arm, 2)
    result = json.loads(Path(tmp_path / arm / "result.json").read_text())
    rows = len(result["tiles"])
    assert rows == 8 and result["steps"] == 2
    assert all(len(result[name]) == rows for name in ("matches", "pair_claims", "claims", "bleu"))
    told = vlm_modalities.summarised({(arm, 0): result})
    assert told["pairs"] == rows and told["arms"][arm]["both_minus"]["facts"][0] == 0


@pytest.mark.slow
def test_a_variant_is_trained_and_asked(demo, tmp_path):
    vlm_changes.run_one("projector_stage", 0, demo, tmp_path / "run", 2)
    result = json.loads(Path(tmp_path / "run/result.json").read_text())
    assert len(result["matches"]) == len(result["tiles"]) == 4


@pytest.mark.slow
def test_checks_of_one_recipe_leave_those_of_another(vlm_run, tmp_path, monkeypatch):  # noqa: F811
    result = tmp_path / "result.json"
    result.write_text(json.dumps({"other": 1}))
    monkeypatch.setattr(vlm_checks, "RESULT", result)
    options = ["--models", vlm_run["output"], "--dataset", vlm_run["dataset"], "--work", str(tmp_path / "work")]
    vlm_checks.main(["tiny", *options, "--parts", "joint"])
    told = json.loads(result.read_text())
    assert told["other"] == 1 and told["tiny"]["joint"]["pairs"] == 8
    assert told["tiny"]["models"][0]["max_steps"] == 2
    assert set(told["tiny"]["joint"]["costs"]) == {*SHOWN, BOTH_SHUFFLED} - {"both"}
    with pytest.raises(SystemExit):
        vlm_checks.main(["tiny", *options, "--parts", "unseen"])
