"""Against hands and against dice."""

import itertools

import numpy as np
import pytest
from scipy import sparse

from tests.training.made.embedded import embedded
from training.metrics.cross_modal_recall.cross_modal_recall import positive_ranks
from training.scoring.chance import chance_of, chances


def test_nine_tiles_have_the_chance_that_hands_find():
    found = chance_of(sparse.csr_array(np.eye(9, dtype=bool)))
    assert found["R@1"] == pytest.approx(1 / 9) and found["R@5"] == pytest.approx(5 / 9) and found["R@10"] == 1
    assert found["mean_recall"] == pytest.approx((1 / 9 + 5 / 9 + 1) / 3) and found["gallery"] == 9


def test_it_is_the_mean_over_all_orders_of_a_small_gallery():
    positives = np.array([[1, 1, 0, 0, 0], [0, 0, 1, 0, 0], [1, 0, 1, 1, 0]], bool)
    hits = {k: [] for k in (1, 2)}
    for order in itertools.permutations(range(5)):
        for row in positives:
            ahead = next(count for count, item in enumerate(order) if row[item])  # others before the first positive
            for k, found in hits.items():
                found.append(ahead < k)
    found = chance_of(sparse.csr_array(positives), (1, 2))
    assert [found["R@1"], found["R@2"]] == pytest.approx([np.mean(hits[1]), np.mean(hits[2])])


def test_random_embeddings_score_it():
    rng = np.random.default_rng(0)
    groups = rng.integers(0, 12, 30)
    positives = sparse.csr_array(groups[:, None] == groups[None])
    draws = []
    for _ in range(400):
        queries, gallery = (rng.standard_normal((30, 16)) for _ in range(2))
        draws.append(np.mean(positive_ranks(queries, gallery, positives) < 5))
    assert chance_of(positives)["R@5"] == pytest.approx(np.mean(draws), abs=0.01)


def test_queries_without_a_positive_are_not_asked():
    assert chance_of(sparse.csr_array(np.array([[1, 0], [0, 0]], bool)))["R@1"] == 0.5


def test_chance_counts_what_answers_each_direction():
    """Four rows, whose first two have one caption: their texts answer each other, their images do not."""
    part = embedded(rows=4, captions=1)
    part.texts["scene"].keys = np.array(["a", "a", "b", "c"])
    found = chances(part, dict.fromkeys(["rgb_to_ir", "rgb_to_text/scene", "text_to_ir/scene", "rgb_to_ir_hard"]), 4)
    scores = {direction: (score["R@1"], score["gallery"]) for direction, score in found.items()}
    texts = (pytest.approx((2 / 4 + 2 / 4 + 1 / 4 + 1 / 4) / 4), 4)
    assert scores["rgb_to_text/scene"] == texts and scores["text_to_ir/scene"] == texts
    assert scores["rgb_to_ir"] == (pytest.approx(1 / 4), 4) and scores["rgb_to_ir_hard"] == (pytest.approx(1 / 8), 8)
