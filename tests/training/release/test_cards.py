import json

import pytest

from tests.made import tiny
from training.release.cards import write_clip_card
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
        "ranks": {},
    }


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
