"""What metrics.json of a CLIP looks like, key by key, and that it is read back to the byte."""

import json

import numpy as np
import pytest

from fusionrs_hf.errors import InputError
from training.scoring.clip_results import ClipResults, DirectionScores, SubsetScores, TrainedControls

RECALLS = {"R@1": 0.5, "R@5": 1.0, "R@10": 1.0, "mean_recall": 0.8333333333333334, "median_rank": 1.5, "queries": 2}
IMAGES = {
    "queries": 2,
    "scores": {"rgb_to_ir": RECALLS},
    "intervals": {"rgb_to_ir": [0.5, 0.0, 1.0]},
    "ranks": {"rgb_to_ir": [0, 1]},
}
FUSED = {
    "queries": 2,
    "scores": {"fused_to_text/scene": RECALLS},
    "intervals": {"fused_to_text/scene": [0.5, 0.0, 1.0]},
    "ranks": {"fused_to_text/scene": [1, 0]},
}
TWO_WAYS = {"text_to_image": RECALLS, "image_to_text": RECALLS}
TABLE = {
    "queries": 2,
    "scores": {"rgb_to_ir": RECALLS},
    "intervals": {"rgb_to_ir": [0.5, 0.0, 1.0]},
    "mean_recall": {"rgb_ir": [0.8, 0.7, 0.9]},
}
METRICS = {
    "trained": {
        "held_out_region/nir": {
            **IMAGES,
            "fused": FUSED,
            "mean_recall": {"rgb_ir": [0.8, 0.7, 0.9], "scene": [0.6, 0.5, 0.7]},
            "missing_modality": {
                "scene": {
                    "rgb": TWO_WAYS,
                    "ir": TWO_WAYS,
                    "fused": TWO_WAYS,
                    "fused_minus": {"rgb": [0.0, -0.5, 0.5], "ir": [0.5, 0.0, 1.0]},
                }
            },
        },
        "held_out_scene/nir": IMAGES,
    },
    "fusion": {
        "weight": 0.4,
        "grid": {"0.0": 0.1, "0.4": 0.3},
        "text_kind": "scene",
        "fusion": "mean",
        "chosen_on": "validation",
    },
    "by_band": {"nir": TABLE},
    "by_source": {"scene/nir": TABLE},
    "pretrained": {"held_out_region/nir": IMAGES},
}
CONTROL = {"mean": [0.3, 0.2, 0.4], "difference": [0.5, 0.4, 0.6]}
SHIPPED = {
    "what": "R@1",
    "seeds": [0, 1],
    "hardware": "2 processors",
    "subsets": {"held_out_region/nir": {"rgb_to_ir": {"grayscale": CONTROL, "shuffled": CONTROL}}},
}


@pytest.mark.parametrize(
    "changes",
    [
        {},
        {"fusion": {"weight": 0.2, "chosen_on": "command line"}},
        {"fusion": METRICS["fusion"] | {"weight": None, "grid": {}, "text_kind": None, "fusion": "gated"}},
    ],
    ids=["all", "a stated weight", "no weight"],
)
def test_metrics_come_back_to_the_byte(tmp_path, changes):
    text = json.dumps(METRICS | changes, indent=1)
    (tmp_path / "metrics.json").write_text(text)
    ClipResults.load(tmp_path / "metrics.json").save(tmp_path / "again.json")
    assert (tmp_path / "again.json").read_text() == text


def test_shipped_controls_come_back_to_the_byte():
    assert json.dumps(TrainedControls.from_json(SHIPPED).as_dict()) == json.dumps(SHIPPED)


def test_before_an_evaluation_there_is_no_result(tmp_path):
    assert ClipResults.load(tmp_path / "metrics.json") is None


def test_a_file_of_subsets_alone_is_what_was_trained():
    flat = ClipResults.from_json(METRICS["trained"])
    assert flat == ClipResults.from_json({"trained": METRICS["trained"]})
    assert flat.fusion is None and flat.as_dict() == {"trained": METRICS["trained"]}


@pytest.mark.parametrize(
    "content",
    [
        METRICS | {"by_sensor": {}},
        METRICS["trained"] | {"by_sensor": {}},
        METRICS | {"by_band": {"nir": TABLE | {"by_sensor": 1}}},
        METRICS | {"fusion": METRICS["fusion"] | {"by_sensor": 1}},
        METRICS | {"trained": {"held_out_region/nir": IMAGES | {"by_sensor": 1}}},
    ],
    ids=["at the top", "beside subsets", "in a table", "in the fusion", "in a subset"],
)
def test_an_unknown_key_is_refused(content):
    with pytest.raises(InputError, match="no key '(by_sensor|held_out_region/nir)'.*evaluate again"):
        ClipResults.from_json(content)


def test_a_missing_key_is_refused():
    with pytest.raises(InputError, match="DirectionScores needs the key 'ranks'"):
        DirectionScores.from_json({name: value for name, value in IMAGES.items() if name != "ranks"})
    with pytest.raises(InputError, match="ClipResults needs the key 'trained'"):
        ClipResults.from_json({})
    with pytest.raises(InputError, match="FusionChoice needs the key 'chosen_on'"):
        ClipResults.from_json(METRICS | {"fusion": {"weight": 0.2}})


def test_ranks_are_summarised_by_direction():
    scores = SubsetScores.of_ranks({"rgb_to_ir": np.array([0, 7]), "ir_to_rgb": np.array([0, 0])})
    assert scores.queries == 2 and scores.ranks == {"rgb_to_ir": [0, 7], "ir_to_rgb": [0, 0]}
    assert (scores.scores["rgb_to_ir"]["R@1"], scores.scores["rgb_to_ir"]["R@10"]) == (0.5, 1.0)
    assert scores.intervals["ir_to_rgb"] == (1, 1, 1)


def test_fused_directions_stand_behind_single_ones():
    part = ClipResults.from_json(METRICS).trained["held_out_region/nir"]
    assert list(part.with_fused().scores) == ["rgb_to_ir", "fused_to_text/scene"]
    assert part.with_fused().ranks["fused_to_text/scene"] == [1, 0]
