"""VLM evaluation: a run on a tiny model, and the metrics that it writes."""

import json
import logging
import shutil

import pytest

from dataset_builder.claims.grounding import FACT_KINDS
from fusionrs_hf.errors import InputError
from tests.training.made.captioned_rows import make_rows
from tests.training.test_train_vlm import deep_dataset, vlm_run  # noqa: F401 - fixtures
from training.evaluate_vlm import ASKED, IN_SENTENCES, main
from training.scoring.fact_groups import GROUPS
from training.scoring.generation import CONDITIONS
from training.scoring.vlm_results import VlmResults


def test_run_reports_every_condition_and_writes_captions_beside_references(vlm_run, tmp_path):  # noqa: F811
    output = tmp_path / "metrics.json"
    arguments = ["--model", vlm_run["output"], "--dataset", vlm_run["dataset"], "--pairs", "4", "--batch_size", "3"]
    results = main([*arguments, "--output", str(output)])
    assert json.loads(output.read_text()) == json.loads(json.dumps(results.as_dict()))
    assert results.pairs == 4
    controls = {"blind", "constant", "constant_same_rows"}
    assert set(results.accuracy) == {*CONDITIONS, *controls, "ir_shuffled_donor", "ir_inverted_measured"}
    assert set(results.differences) == {*CONDITIONS[1:], *controls}
    assert set(results.likelihood) == set(results.likelihood_places) == {*IN_SENTENCES, "blind"}
    assert set(results.questions) == {*ASKED, "blind"} and set(results.question_groups) == set(GROUPS)
    assert set(results.places) == {*CONDITIONS, "blind"}
    assert set(results.groups) == set(GROUPS)
    assert results.tiles == len({example.sample_id.rsplit("/", 1)[0] for example in results.examples})
    for name, difference in results.differences.items():
        expected = results.accuracy["own_images"].mean - results.accuracy[name].mean
        assert difference.value == pytest.approx(expected)
    for example in results.examples:
        assert set(example.captions) == {*CONDITIONS, "blind"}
        assert example.reference.startswith("Infrared:")
        assert example.sample_id.split("/")[-1] == example.ir_band
        assert example.donor != example.sample_id


def test_metrics_keep_their_keys_in_their_order(vlm_run, tmp_path):  # noqa: F811
    output = tmp_path / "metrics.json"
    arguments = ["--model", vlm_run["output"], "--dataset", vlm_run["dataset"], "--pairs", "2", "--batch_size", "2"]
    main([*arguments, "--output", str(output)])
    metrics = json.loads(output.read_text())
    first = ["pairs", "seed", "prompt", "constant_caption", "accuracy", "differences", "examples"]
    later = ["tiles", "places", "inversion", "groups"]
    later += ["likelihood", "likelihood_places", "questions", "question_groups"]
    assert list(metrics) == [*first, *later]
    assert {*CONDITIONS, "constant", "ir_shuffled_donor"} < metrics["accuracy"].keys()
    for scores in metrics["accuracy"].values():
        assert list(scores) == [*FACT_KINDS, "mean", "interval", "by_band", "by_source"]
        assert len(scores["interval"]) == 2
    assert all(list(difference) == ["value", "low", "high"] for difference in metrics["differences"].values())
    keys = ["sample_id", "ir_band", "reference", "captions", "matches", "facts", "donor"]
    assert all(list(example) == keys for example in metrics["examples"])
    assert json.dumps(VlmResults.load(output).as_dict(), indent=1) == output.read_text()


def test_a_test_split_alone_is_scored_against_its_own_constant_and_without_likelihood(vlm_run, tmp_path):  # noqa: F811
    (tmp_path / "data").mkdir()
    name = "data/test-00000-of-00001.parquet"
    shutil.copyfile(f"{vlm_run['dataset']}/{name}", tmp_path / name)
    results = main(
        ["--model", vlm_run["output"], "--dataset", str(tmp_path), "--pairs", "4", "--no-likelihood", "--bf16"]
    )
    assert results.accuracy["constant"] == results.accuracy["constant_same_rows"]
    assert results.likelihood is None and results.questions is None and results.places and results.groups


def test_16_bit_with_declared_limits_scores_as_its_grey_levels(vlm_run, deep_dataset):  # noqa: F811
    arguments = ["--model", vlm_run["output"], "--pairs", "4", "--no-likelihood", "--dataset"]
    deep, grey = (main([*arguments, dataset]) for dataset in (deep_dataset, vlm_run["dataset"]))
    assert deep.as_dict() == grey.as_dict()


def test_infrared_style_alone_is_scored_and_said_to_be_such(vlm_run, tmp_path, caplog):  # noqa: F811
    caplog.set_level(logging.INFO)
    (tmp_path / "data").mkdir()
    make_rows(6, ir_origin="translated").to_parquet(tmp_path / "data" / "validation-00000-of-00001.parquet")
    command = ["--model", vlm_run["output"], "--dataset", str(tmp_path), "--pairs", "4", "--no-likelihood"]
    assert main(command).pairs == 4
    assert "no test split: validation is scored" in caplog.text
    assert "infrared-style images made from RGB (6 rows of validation)" in caplog.text
    with pytest.raises(InputError, match="no validation rows with ir_origin sensor"):
        main([*command, "--ir_origin", "sensor"])
