import numpy as np
import pytest

from fusionrs_hf.encoders import Encoder
from tests.made import tiny
from tests.training.made.embedded import embedded, vectors
from training.scoring.embedded_rows import EmbeddedTexts
from training.scoring.recall_tables import (
    choose_fusion_weight,
    mean_recall,
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
