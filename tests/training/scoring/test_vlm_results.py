"""What metrics.json of a VLM looks like, key by key, and that it is read back to the byte."""

import json

import numpy as np
import pytest

from dataset_builder.captioning.grounded import compact_caption
from dataset_builder.claims.grounding import measure
from fusionrs_hf.errors import InputError
from tests.made import tiny
from training.scoring.fact_tables import match_table
from training.scoring.vlm_results import Difference, FactAccuracy, VlmResults

ACCURACY = {
    "level": 0.5,
    "contrast": 1.0,
    "brightest": 0.0,
    "darkest": 0.0,
    "relation": 1.0,
    "mean": 0.5,
    "interval": [0.4, 0.6],
    "by_band": {"lwir": 0.25, "nir": 0.75},
}
METRICS = {
    "pairs": 2,
    "seed": 0,
    "prompt": "Describe the infrared.",
    "constant_caption": {"level": "dark"},
    "accuracy": {"own_images": ACCURACY, "constant": ACCURACY},
    "differences": {"constant": {"value": 0.0, "low": -0.1, "high": 0.1}},
    "examples": [
        {
            "sample_id": "a/nir",
            "ir_band": "nir",
            "reference": None,
            "captions": {"own_images": "Infrared: dark.", "ir_blanked": ""},
            "matches": {"level": True},
            "facts": {"level": "dark", "cell_means": [1.0, 2.0], "brightest": None},
            "donor": "b/nir",
        }
    ],
}


def test_metrics_come_back_to_the_byte(tmp_path):
    text = json.dumps(METRICS, indent=1)
    (tmp_path / "metrics.json").write_text(text)
    VlmResults.load(tmp_path / "metrics.json").save(tmp_path / "again.json")
    assert (tmp_path / "again.json").read_text() == text


@pytest.mark.parametrize(
    "content",
    [
        METRICS | {"bleu": 1.0},
        METRICS | {"accuracy": {"own_images": ACCURACY | {"bleu": 1.0}}},
        METRICS | {"examples": [METRICS["examples"][0] | {"bleu": 1.0}]},
    ],
    ids=["at the top", "in an accuracy", "in an example"],
)
def test_an_unknown_key_is_refused(content):
    with pytest.raises(InputError, match="has no key 'bleu'.*evaluate again"):
        VlmResults.from_json(content)


def test_a_missing_key_is_refused():
    with pytest.raises(InputError, match="FactAccuracy needs the key 'mean'"):
        FactAccuracy.from_json({name: value for name, value in ACCURACY.items() if name != "mean"})


def test_true_caption_matches_all_and_accuracy_averages_over_kinds_and_bands():
    facts = [measure(np.asarray(tiny.ir_image(seed)), np.asarray(tiny.rgb_image(seed))) for seed in range(4)]
    right, silent = [compact_caption(fact) for fact in facts[:2]], ["nothing", "nothing"]
    scores = FactAccuracy.of_matches(match_table(right + silent, facts), np.array(["nir", "lwir", "nir", "lwir"]))
    assert scores.mean == 0.5 and scores.kinds["level"] == 0.5
    assert scores.by_band == {"lwir": 0.5, "nir": 0.5}
    assert scores.interval[0] <= 0.5 <= scores.interval[1]


def test_a_difference_is_of_the_means_over_kinds():
    first, second = np.array([[True, True], [True, False]]), np.array([[True, False], [False, False]])
    assert Difference.between(first, second, seed=0) == Difference(0.5, 0.5, 0.5)
