import numpy as np
import pytest

from fusionrs_hf.encoders import Encoder
from tests.made import tiny
from tests.training.made.embedded import embedded, vectors
from training.scoring.embedded_rows import EmbeddedTexts
from training.scoring.recall_tables import (
    averaged_directions,
    choose_fusion_weight,
    mean_recall,
    mean_recalls,
    missing_modality,
    table,
)


def test_the_interval_of_mean_recall_counts_groups_not_queries():
    """With all rows in one group there is nothing to resample: the interval is the value."""
    part = embedded(rows=5)
    part.groups[:] = "one"
    value, low, high = table(part).mean_recall["scene"]
    assert value == low == high == 1.0


def test_mean_recall_of_queries_of_unequal_number_by_hand():
    """Row 0 has two captions: text queries hit 2 of 3 at 1; with k = 5 and 10 all hit, (2/3 + 1 + 1) / 3."""
    part = embedded(rows=2, captions=1)
    part.texts["scene"] = EmbeddedTexts(np.array([0, 0, 1]), np.array(["a", "b", "c"]), vectors(3, 0))
    value, _, _ = mean_recall(part, {"text_to_ir/scene": np.array([0, 1, 0])}, ("text_to_ir/scene",))
    assert value == pytest.approx((2 / 3 + 2) / 3)


def test_the_fusion_weight_is_the_best_on_the_grid_and_a_half_among_equals():
    """Captions lie on the infrared: the more of it the better; with equal images every weight is the same."""
    encoders = Encoder.for_scores(tiny.clip_model(), tiny.clip_processor())
    part = embedded(rows=40, captions=1)
    part.texts["scene"].embeds = part.images["ir"] + 0.5 * part.images["rgb"][::-1]
    found = choose_fusion_weight(encoders, part)
    assert found.weight > 0.5 and found.search.grid[found.weight] == max(found.search.grid.values())
    part.images["rgb"] = part.images["ir"]
    assert choose_fusion_weight(encoders, part).weight == 0.5


def test_a_learned_fusion_has_no_weight():
    encoders = Encoder.for_scores(tiny.clip_model(fusion="gated"), tiny.clip_processor())
    assert choose_fusion_weight(encoders, embedded()).weight is None


def test_missing_modality_compares_the_same_texts():
    ranks = {f"text_to_{m}/scene": np.array(r) for m, r in (("rgb", [0, 3]), ("ir", [2, 2]), ("fused", [0, 0]))}
    ranks |= {f"{m}_to_text/scene": np.array([0, 9]) for m in ("rgb", "ir", "fused")}
    found = missing_modality(ranks, ["scene"])["scene"]
    assert found.fused_minus["rgb"][0] == 0.5 and found.fused_minus["ir"] == (1.0, 1.0, 1.0)
    assert found.rgb.image_to_text["R@10"] == 1.0 and found.ir.text_to_image["R@1"] == 0.0


def test_the_published_mean_recall_is_of_four_directions_none_of_them_rgb_and_text():
    """By hand: 3/3 + 2/3 of two captions-directions and 1/3 + 0 of the two between images, at 1, 5 and 10."""
    part = embedded(rows=2, captions=1)
    ranks = {
        "ir_to_text/scene": np.array([0, 0]),  # 1, 1, 1
        "text_to_ir/scene": np.array([3, 3]),  # 0, 1, 1
        "rgb_to_ir": np.array([7, 7]),  # 0, 0, 1
        "ir_to_rgb": np.array([10, 10]),  # 0, 0, 0
        **{f"{name}/scene": np.array([99, 99]) for name in ("rgb_to_text", "text_to_rgb")},
    }
    found = mean_recalls(part, ranks)
    assert found["scene"].value == pytest.approx((1 + 2 / 3 + 1 / 3 + 0) / 4)
    assert found["rgb_ir"].value == pytest.approx((1 / 3 + 0) / 2)
    swapped = ranks | {"rgb_to_ir": ranks["ir_to_rgb"], "ir_to_rgb": ranks["ir_to_text/scene"]}
    assert mean_recalls(part, swapped)["scene"].value == pytest.approx((1 + 2 / 3 + 0 + 1) / 4)


def test_intervals_of_a_table_are_of_hits_at_one():
    """Row 0 and 1 take each other's infrared: none is first, all are within five."""
    part = embedded(rows=6)
    part.images["ir"] = np.roll(part.images["rgb"], 1, axis=0)
    found = table(part)
    assert found.scores["rgb_to_ir"]["R@5"] > 0
    assert found.intervals["rgb_to_ir"] == (found.scores["rgb_to_ir"]["R@1"],) * 3 == (0, 0, 0)


def test_rgb_and_scene_captions_are_averaged_where_there_are_scene_captions():
    assert averaged_directions(["ir_aware"]).keys() == {"rgb_ir", "ir_aware"}
    names = averaged_directions(["scene"])
    assert names["rgb_scene"] == ("rgb_to_text/scene", "text_to_rgb/scene")
    assert names["rgb_ir"] == ("rgb_to_ir", "ir_to_rgb") and len(names["scene"]) == 4
