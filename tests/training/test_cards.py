import json

from training.cards import fact_scores, retrieval_rows


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
