import json

import pytest

from tests.made import tiny
from training.release.cards import fact_scores, retrieval_rows, write_clip_card
from training.trainers.run_log import LOG_NAME

LOG = {
    "recipe": {"dataset": "someone/pairs", "group_aware": False, "modality_dropout": 0.25},
    "bands": ["nir"],
    "ir_origins": ["sensor"],
    "seed": 0,
    "steps": 5,
    "batch_size": 4,
    "train_rows": 20,
    "train_seconds": 1.5,
    "hardware": "a machine",
    "parameters": 10,
    "trainable_parameters": 5,
    "versions": {"torch": "2"},
    "base_models": [{"name": "A tower"}],
}


def subset(recall):
    return {
        "queries": 4,
        "scores": {"rgb_to_ir": {"R@1": recall, "R@5": 1.0, "R@10": 1.0, "median_rank": 1.0, "queries": 4}},
        "intervals": {"rgb_to_ir": [recall, recall - 0.1, recall + 0.1]},
    }


def test_controls_come_from_the_run_and_from_the_committed_bench(tmp_path):
    bench = tmp_path / "bench.json"
    row = {
        "grayscale": {"mean": [0.3, 0.2, 0.4], "difference": [0.5, 0.4, 0.6]},
        "shuffled": {"mean": [0.1, 0.0, 0.2], "difference": [0.7, 0.6, 0.8]},
    }
    bench.write_text(json.dumps({"subsets": {"held_out_region/nir": {"directions": {"rgb_to_ir": row}}}}))
    metrics = {"trained": {"held_out_region/nir": subset(0.75)}, "pretrained": {"held_out_region/nir": subset(0.5)}}
    (found,) = retrieval_rows(metrics, bench)
    assert found.recall["R@1"] == 0.75
    assert found.controls == {"pretrained": 0.5, "grayscale": 0.3, "shuffled": 0.1}
    assert found.margins["grayscale"] == (0.5, 0.4, 0.6) and found.margins["shuffled"].low == 0.6


def test_without_a_bench_there_is_only_what_the_run_measured(tmp_path):
    (found,) = retrieval_rows({"held_out_region/nir": subset(0.75)}, tmp_path / "none.json")
    assert found.controls == {} and found.margins == {}


def test_fact_scores_end_with_the_mean_and_its_margins():
    names = ("own_images", "constant", "ir_shuffled", "ir_blanked", "rgb_shuffled")
    accuracy = {
        name: {"level": value, "mean": value, "interval": [value - 0.05, value + 0.05], "by_band": {}}
        for name, value in zip(names, (0.8, 0.2, 0.3, 0.25, 0.6))
    }
    differences = {name: {"value": 0.5, "low": 0.4, "high": 0.6} for name in names[1:]}
    level, mean = fact_scores({"accuracy": accuracy, "differences": differences})
    assert (level.kind, level.model.value, mean.kind) == ("level", 0.8, "mean")
    assert mean.controls["infrared blanked"] == (0.25, 0.2, 0.3)
    assert mean.margins["another tile's infrared"] == (0.5, 0.4, 0.6)
    assert fact_scores({}) == []


@pytest.mark.parametrize(
    ("fusion", "scored"),
    [
        (
            {"weight": 0.4, "chosen_on": "validation"},
            "the mean of both embeddings, infrared by 0.4, chosen on the va",
        ),
        ({"weight": 0.4, "chosen_on": "command line"}, "the mean of both embeddings, infrared by 0.4, as given."),
        ({"weight": None, "chosen_on": "validation"}, "what the model's gate makes of both."),
    ],
)
def test_a_trained_clip_s_card_tells_its_options_and_its_mean_recall(tmp_path, fusion, scored):
    tower = tiny.vision_config().to_dict() | {"num_channels": 1}
    model = tiny.clip_model(ir_vision_config=tower, fusion="gated", fused_text_weight=0.5, text_pooling="mean")
    model.save_pretrained(tmp_path)
    tiny.clip_processor().save_pretrained(tmp_path)
    (tmp_path / LOG_NAME).write_text(json.dumps(LOG))
    metrics = subset(0.75) | {"mean_recall": {"scene": [0.5, 0.4, 0.6]}}
    (tmp_path / "metrics.json").write_text(json.dumps({"trained": {"held_out_region/nir": metrics}, "fusion": fusion}))
    write_clip_card(tmp_path, model_id="someone/clip")
    text = (tmp_path / "README.md").read_text()
    for line in (
        "| image tower | `clip_vision_model`, 2 layers of 16, 24 px, tokens pooled by `pooler` |",
        "| infrared tower | its own, 1 channel |",
        "| text tower | `clip_text_model`, 2 layers of 16, tokens pooled by `mean` |",
        "| fusion of a pair | a learned gate, trained with one modality left out in 25 % of the rows |",
        "| loss | weighted mean of symmetric InfoNCE terms: RGB-text, infrared-text, RGB-infrared, fused-text by 0.5",
        "| negatives | all other rows |",
        "| Held-out region, near infrared | 50.0 [40.0, 60.0] |",
        f"In the tables RGB + IR is {scored}",
        "A text has at most 16 tokens.",
    ):
        assert line in text, line
