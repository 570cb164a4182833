import pytest

from model_cards.clip import Retrieval
from model_cards.facts import Estimate
from training.release.result_rows import fact_scores, mean_recall_cells, retrieval_rows
from training.scoring.clip_results import ClipResults, TrainedControls
from training.scoring.vlm_results import LongerReading, VlmResults

RECALLS = {"R@1": 0.1, "R@5": 0.2, "R@10": 0.3, "median_rank": 30.0, "queries": 250}
SUBSET = {
    "queries": 250,
    "scores": {
        "rgb_to_ir": RECALLS | {"R@1": 0.612},
        "rgb_to_text/scene": RECALLS,
        "text_to_rgb/scene": RECALLS | {"queries": 400},
    },
    "intervals": {
        "rgb_to_ir": [0.612, 0.55, 0.67],
        "rgb_to_text/scene": [0.1, 0.07, 0.14],
        "text_to_rgb/scene": [0.11, 0.08, 0.15],
    },
    "ranks": {},
    "fused": {
        "queries": 250,
        "scores": {"fused_to_text/scene": RECALLS, "text_to_fused/scene": RECALLS | {"queries": 400}},
        "intervals": {"fused_to_text/scene": [0.2, 0.1, 0.3], "text_to_fused/scene": [0.21, 0.2, 0.22]},
        "ranks": {},
    },
    "mean_recall": {"rgb_ir": [0.77, 0.7, 0.84], "scene": [0.5, 0.45, 0.55]},
}


def image_subset(recall):
    return {
        "queries": 4,
        "scores": {"rgb_to_ir": {"R@1": recall, "R@5": 1.0, "R@10": 1.0, "median_rank": 1.0, "queries": 4}},
        "intervals": {"rgb_to_ir": [recall, recall - 0.1, recall + 0.1]},
        "ranks": {},
    }


def shipped(subsets):
    return TrainedControls.from_json({"what": "R@1", "seeds": [0], "hardware": "a machine", "subsets": subsets})


def test_controls_come_from_the_run_and_from_what_is_shipped():
    row = {
        "grayscale": {"mean": [0.3, 0.2, 0.4], "difference": [0.5, 0.4, 0.6]},
        "shuffled": {"mean": [0.1, 0.0, 0.2], "difference": [0.7, 0.6, 0.8]},
    }
    trained, pretrained = {"held_out_region/nir": image_subset(0.75)}, {"held_out_region/nir": image_subset(0.5)}
    results = ClipResults.from_json({"trained": trained, "pretrained": pretrained})
    (found,) = retrieval_rows(results, shipped({"held_out_region/nir": {"rgb_to_ir": row}}))
    assert found.recall["R@1"] == 0.75
    assert found.controls == {"pretrained": 0.5, "grayscale": 0.3, "shuffled": 0.1}
    assert found.margins["grayscale"] == (0.5, 0.4, 0.6) and found.margins["shuffled"].low == 0.6


def test_without_shipped_controls_there_is_only_what_the_run_measured(tmp_path):
    results = ClipResults.from_json({"held_out_region/nir": image_subset(0.75)})
    (found,) = retrieval_rows(results, TrainedControls.load(tmp_path / "none.json"))
    assert found.controls == {} and found.margins == {}


def test_a_row_leaves_out_what_a_control_did_not_run():
    rows = retrieval_rows(ClipResults.from_json({"held_out_region/nir": SUBSET}), shipped({}))
    assert rows[0] == Retrieval(
        "held_out_region/nir", "rgb_to_ir", 250, SUBSET["scores"]["rgb_to_ir"], Estimate(0.612, 0.55, 0.67)
    )
    assert rows[1].controls == {"chance": 1 / 400}


def test_rows_are_in_order_with_fused_pairs_last():
    rows = retrieval_rows(ClipResults.from_json({"held_out_region/nir": SUBSET}))
    assert [row.direction for row in rows] == [*SUBSET["scores"], *SUBSET["fused"]["scores"]]
    assert rows[-1].interval == (0.21, 0.2, 0.22) and rows[-1].controls["chance"] == 1 / 250


def test_mean_recall_has_a_cell_a_kind():
    cells = mean_recall_cells(ClipResults.from_json({"held_out_region/nir": SUBSET}))
    assert [(cell.kind, cell.recall) for cell in cells] == [
        ("rgb_ir", (0.77, 0.7, 0.84)),
        ("scene", (0.5, 0.45, 0.55)),
    ]
    assert mean_recall_cells(ClipResults.from_json({"held_out_region/nir": image_subset(0.5)})) == []


def test_fact_scores_end_with_the_mean_and_its_margins():
    names = ("own_images", "constant", "ir_shuffled", "ir_blanked", "rgb_shuffled")
    accuracy = {
        name: {"level": value, "mean": value, "interval": [value - 0.05, value + 0.05], "by_band": {}}
        for name, value in zip(names, (0.8, 0.2, 0.3, 0.25, 0.6))
    }
    differences = {name: {"value": 0.5, "low": 0.4, "high": 0.6} for name in names[1:]}
    rest = {"pairs": 1, "seed": 0, "prompt": "Describe.", "constant_caption": {}, "examples": []}
    level, mean = fact_scores(VlmResults.from_json({"accuracy": accuracy, "differences": differences, **rest}))
    assert (level.kind, level.model.value, mean.kind) == ("level", 0.8, "mean")
    assert mean.controls["infrared blanked"] == (0.25, 0.2, 0.3)
    assert mean.margins["another tile's infrared"] == (0.5, 0.4, 0.6)


@pytest.mark.parametrize("rows", [retrieval_rows, mean_recall_cells, fact_scores])
def test_before_an_evaluation_there_are_no_rows(rows):
    assert rows(None) == []


def test_a_longer_run_stands_beside_as_a_column_of_its_own():
    kinds = {"level": 0.5, "contrast": 0.5, "brightest": 0.5, "darkest": 0.5, "relation": 0.5}
    scores = kinds | {"mean": 0.5, "interval": [0.4, 0.6], "by_band": {"nir": 0.5}}
    names = ("constant", "ir_shuffled", "ir_blanked", "rgb_shuffled", "blind")
    gap = {"value": 0.2, "low": 0.1, "high": 0.3}
    rest = {"pairs": 2, "seed": 0, "prompt": "p", "constant_caption": {}, "examples": []}
    accuracy, differences = dict.fromkeys(("own_images", *names), scores), dict.fromkeys(names, gap)
    results = VlmResults.from_json({"accuracy": accuracy, "differences": differences, **rest})
    longer = LongerReading("bench", [0, 1], 702, 330, "a machine", {**kinds, "mean": 0.66})
    *_, mean = fact_scores(results, longer)
    assert mean.controls["longer training, 702 pairs"] == Estimate(0.66)
    assert "longer training, 702 pairs" not in mean.margins
    assert mean.margins["the model before it saw images"] == (0.2, 0.1, 0.3)
    assert all("longer" not in name for row in fact_scores(results) for name in row.controls)
