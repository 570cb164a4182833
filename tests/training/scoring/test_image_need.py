from collections import Counter

import numpy as np
import pytest

from dataset_builder.claims.grounding import FACT_KINDS, measure
from training.scoring.image_need import NEEDS, ClaimSupport, PairSupport, needed, pair_claims, swap_costs


def test_every_pair_has_one_need():
    rows = 64
    generator = np.random.default_rng(0)
    matches = {name: generator.random((rows, 5)) < 0.5 for name in ("both", "ir_alone", "rgb_alone", "neither")}
    for shares in needed(matches).values():
        assert list(shares) == list(NEEDS) and sum(shares.values()) == pytest.approx(1)


def test_needs_are_told_by_which_images_suffice():
    def column(*values):
        return np.array(values, bool)[:, None].repeat(5, 1)

    matches = {
        "both": column(1, 1, 1, 1, 1, 0),
        "ir_alone": column(0, 1, 0, 1, 0, 1),
        "rgb_alone": column(0, 0, 1, 1, 0, 1),
        "neither": column(0, 0, 0, 0, 1, 0),
    }
    assert list(needed(matches)["level"].values()) == pytest.approx([1 / 6] * 6)


def test_support_is_of_all_claims_made():
    support = ClaimSupport.of_verdicts(Counter(supported=3, contradicted=1, unverifiable=4))
    assert support == ClaimSupport(8, 0.375, 0.125)


def test_claims_about_the_pair_are_counted_and_those_about_infrared_alone_are_not():
    dark, bright = np.full((48, 48), 60, np.uint8), np.full((48, 48), 180, np.uint8)
    facts = measure(bright, np.repeat(dark[..., None], 3, 2))
    texts = [
        "The infrared image is bright overall. It is brighter than the visible image.",
        "The infrared image is darker than the visible image.",
        "The infrared image is bright overall.",
    ]
    shares, counts = pair_claims(texts, [facts] * 3)
    assert counts.tolist() == [1, 1, 0] and shares.tolist() == [1, 0, 0]
    assert pair_claims(texts, [facts] * 3, ("thing",))[1].tolist() == [0, 0, 0]
    support = PairSupport.of_shares(shares, counts, ["a", "b", "c"], 0)
    assert support.supported == pytest.approx(1 / 3) and support.claims == pytest.approx(2 / 3)


def test_a_swap_costs_what_both_images_had_more():
    both, lost = np.ones((4, 5), bool), np.ones((4, 5), bool)
    lost[:2, FACT_KINDS.index("relation")] = False
    supports = {"both": np.array([1.0, 1, 0.5, 0.5]), "rgb_shuffled": np.array([0.5, 0.5, 0.5, 0.5])}
    costs = swap_costs({"both": both, "rgb_shuffled": lost}, supports, ["a", "b", "c", "d"], 0)
    assert set(costs) == {"rgb_shuffled"}
    values = {name: cost.value for name, cost in costs["rgb_shuffled"].items()}
    assert values == pytest.approx(dict.fromkeys(FACT_KINDS, 0) | {"relation": 0.5, "mean": 0.1, "pair_claims": 0.25})
