"""VLM evaluation: the sample, the controls, the constant, and a run on a tiny model."""

import json
from collections import Counter

import numpy as np
import pytest
import torch

from dataset_builder.claims.grounding import FACT_KINDS, measure
from tests.made import tiny
from tests.training.test_train_vlm import vlm_run  # noqa: F401 - a fixture
from training.evaluate_vlm import main
from training.scoring.fact_tables import balanced_sample, best_constant, match_table, other_of_band
from training.scoring.generation import CONDITIONS, tampered
from training.scoring.vlm_results import VlmResults


@pytest.mark.parametrize("count, expected", [(9, (2, 4, 3)), (6, (2, 2, 2)), (0, (2, 5, 13)), (100, (2, 5, 13))])
def test_sample_is_balanced_and_small_bands_leave_their_share(count, expected):
    bands = ["lwir"] * 2 + ["nir"] * 5 + ["swir"] * 13
    chosen = balanced_sample(bands, count, seed=0)
    counted = Counter(bands[index] for index in chosen)
    assert (counted["lwir"], counted["nir"], counted["swir"]) == expected
    assert len(set(chosen)) == len(chosen)
    assert chosen == balanced_sample(bands, count, seed=0)


def test_donor_is_another_tile_of_the_same_band():
    bands = ["nir", "nir", "nir", "lwir", "lwir", "swir"]
    tiles = ["a", "a", "b", "a", "c", "a"]
    for seed in range(20):
        donors = other_of_band(bands, tiles, seed)
        for row in range(5):
            assert bands[donors[row]] == bands[row] and tiles[donors[row]] != tiles[row]
        assert donors[5] == 5  # the only one of its band


def test_tampering_changes_the_named_image_only():
    pixels = torch.randn(3, 2, 3, 4, 4)
    donors = np.array([1, 2, 0])
    before = pixels.clone()
    assert torch.equal(tampered(pixels, donors, "own_images"), before)
    shuffled = tampered(pixels, donors, "ir_shuffled")
    assert torch.equal(shuffled[:, 0], before[:, 0]) and torch.equal(shuffled[0, 1], before[1, 1])
    assert torch.equal(tampered(pixels, donors, "rgb_shuffled")[2, 0], before[0, 0])
    blanked = tampered(pixels, donors, "ir_blanked")
    assert torch.equal(blanked[:, 0], before[:, 0]) and not blanked[:, 1].any()
    assert torch.equal(pixels, before)


def test_constant_is_the_majority_and_scores_as_its_caption_would():
    facts = [measure(np.full((9, 9), level, np.uint8)) for level in (10, 100, 100)]  # uniform: no brightest cell
    facts += [measure(np.asarray(tiny.ir_image(seed)), np.asarray(tiny.rgb_image(seed))) for seed in range(3)]
    constant = best_constant(facts)
    assert constant["contrast"] == Counter(fact.contrast for fact in facts).most_common(1)[0][0]
    as_caption = (
        f"Infrared: {constant['level']}, {constant['contrast']} contrast, brightest {constant['brightest']}, "
        f"darkest {constant['darkest']}."
    )
    table = match_table([as_caption] * len(facts), facts)
    for kind in ("level", "contrast", "brightest", "darkest"):
        by_value = [getattr(fact, kind) == constant[kind] for fact in facts]
        assert table[:, FACT_KINDS.index(kind)].tolist() == by_value


def test_run_reports_every_condition_and_writes_captions_beside_references(vlm_run, tmp_path):  # noqa: F811
    output = tmp_path / "metrics.json"
    arguments = ["--model", vlm_run["output"], "--dataset", vlm_run["dataset"], "--pairs", "4", "--batch_size", "3"]
    results = main([*arguments, "--output", str(output)])
    assert json.loads(output.read_text()) == json.loads(json.dumps(results.as_dict()))
    assert results.pairs == 4
    assert set(results.accuracy) == {*CONDITIONS, "constant", "ir_shuffled_donor"}
    assert set(results.differences) == {*CONDITIONS[1:], "constant"}
    for name, difference in results.differences.items():
        expected = results.accuracy["own_images"].mean - results.accuracy[name].mean
        assert difference.value == pytest.approx(expected)
    for example in results.examples:
        assert set(example.captions) == set(CONDITIONS)
        assert example.reference.startswith("Infrared:")
        assert example.sample_id.split("/")[-1] == example.ir_band
        assert example.donor != example.sample_id


def test_metrics_keep_their_keys_in_their_order(vlm_run, tmp_path):  # noqa: F811
    output = tmp_path / "metrics.json"
    arguments = ["--model", vlm_run["output"], "--dataset", vlm_run["dataset"], "--pairs", "2", "--batch_size", "2"]
    main([*arguments, "--output", str(output)])
    metrics = json.loads(output.read_text())
    assert list(metrics) == ["pairs", "seed", "prompt", "constant_caption", "accuracy", "differences", "examples"]
    assert list(metrics["accuracy"]) == [*CONDITIONS, "constant", "ir_shuffled_donor"]
    for scores in metrics["accuracy"].values():
        assert list(scores) == [*FACT_KINDS, "mean", "interval", "by_band"] and len(scores["interval"]) == 2
    assert all(list(difference) == ["value", "low", "high"] for difference in metrics["differences"].values())
    keys = ["sample_id", "ir_band", "reference", "captions", "matches", "facts", "donor"]
    assert all(list(example) == keys for example in metrics["examples"])
    assert json.dumps(VlmResults.load(output).as_dict(), indent=1) == output.read_text()
