from tests.training.scoring.test_clip_results import METRICS
from training.scoring.clip_results import ClipResults
from training.scoring.score_lines import score_lines

CHANCE = {"R@1": 1 / 9, "R@5": 5 / 9, "R@10": 1.0, "mean_recall": 5 / 9, "gallery": 9}


def with_chance(gallery):
    metrics = {**METRICS, "trained": dict(METRICS["trained"])}
    part = metrics["trained"]["held_out_region/nir"]
    chance = {name: CHANCE | {"gallery": gallery} for name in ("rgb_to_ir", "scene", "rgb_ir")}
    metrics["trained"]["held_out_region/nir"] = part | {"chance": chance}
    return ClipResults.from_json(metrics)


def line(lines, *words):
    return next(text for text in lines if all(word in text for word in words))


def test_each_line_has_its_score_its_chance_and_its_gallery():
    lines = score_lines(with_chance(9))
    found = line(lines, "held_out_region/nir ", "RGB → IR").split()
    assert found[4:11] == ["50.0", "[0.0,", "100.0]", "11.1", "83.3", "55.6", "2"] and found[11] == "9"
    assert line(lines, "mean recall, scene captions").endswith("55.6             9        small gallery (under 100)")
    assert "as loaded" in line(lines, "held_out_region/nir, as loaded")


def test_the_warning_stands_where_the_gallery_is_small():
    assert sum("small gallery" in text for text in score_lines(with_chance(99))) >= 3
    assert not any("small gallery" in text for text in score_lines(with_chance(100)))
