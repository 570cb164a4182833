from collections import Counter

import numpy as np
import pytest

from training.scoring.image_need import NEEDS, ClaimSupport, needed


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
