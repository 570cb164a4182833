import evaluate
import numpy as np
import pytest

from training.metrics.cross_modal_recall import cross_modal_recall
from training.metrics.cross_modal_recall.cross_modal_recall import (
    both_ranks,
    equal_id_positives,
    positive_ranks,
    summarize,
)


def unit(rows, size=8, seed=0):
    values = np.random.default_rng(seed).normal(size=(rows, size))
    return values / np.linalg.norm(values, axis=1, keepdims=True)


def slow_rank(scores, positive):
    """Sorts the gallery without the query's other positives, the best positive last among equals."""
    best = max(score for score, flag in zip(scores, positive) if flag)
    return sum(score >= best for score, flag in zip(scores, positive) if not flag)


@pytest.mark.parametrize("chunk_size", [1, 7, 100])
def test_ranks_equal_a_sort_for_any_chunk_size(chunk_size):
    queries, gallery = unit(40, seed=1), unit(60, seed=2)
    query_ids, gallery_ids = np.arange(40) % 20, np.arange(60) % 25
    positives = equal_id_positives(query_ids, gallery_ids)
    ranks = positive_ranks(queries, gallery, positives, chunk_size)
    expected = [slow_rank(queries[i] @ gallery.T, gallery_ids == query_ids[i]) for i in range(40)]
    assert ranks.tolist() == expected


def test_by_hand():
    gallery = np.eye(3)
    queries = np.array([[1.0, 0, 0], [0.6, 0.8, 0], [0.8, 0.0, 0.6]])
    ranks = positive_ranks(queries, gallery, equal_id_positives(np.array([0, 0, 2]), np.arange(3)))
    assert ranks.tolist() == [0, 1, 1]
    rest = {"mean_recall": pytest.approx(2 / 3), "median_rank": 2.0, "queries": 3}
    assert summarize(ranks, (1, 2)) == {"R@1": pytest.approx(1 / 3), "R@2": 1.0, **rest}


@pytest.mark.parametrize("chunk_size", [1, 7, None])
@pytest.mark.parametrize("dtype", [np.float32, np.float64])
def test_both_directions_of_one_product_equal_two(chunk_size, dtype):
    """Small integers: products are exact and ties many; groups of five, doubled items, items without a positive."""
    generator = np.random.default_rng(1)
    left, right = (generator.integers(-3, 4, (rows, 8)).astype(dtype) for rows in (40, 90))
    left[20:] = left[:20]
    right[45:] = right[:45]
    left_ids, right_ids = np.arange(40), np.repeat(np.arange(18), 5)
    left_ids[18:] = 99 + np.arange(22)
    right_ids[-1] = 77
    positives = equal_id_positives(left_ids, right_ids)
    forward, backward = both_ranks(left, right, positives, chunk_size)
    assert (forward[18:] == -1).all() and backward[-1] == -1
    assert forward[:18].tolist() == positive_ranks(left[:18], right, positives[:18]).tolist()
    back = positives.T.tocsr()[:-1]
    assert backward[:-1].tolist() == positive_ranks(right[:-1], left, back).tolist()


def test_near_ties_are_judged_by_the_product_itself(monkeypatch):
    """Scores apart by rounding alone fall into the bracket; with too many of them a second product counts."""
    generator = np.random.default_rng(0)
    left = np.repeat(unit(4, 64, seed=5), 30, axis=0) + 1e-7 * generator.normal(size=(120, 64))
    left = left.astype(np.float32)
    positives = equal_id_positives(np.arange(120), np.arange(120))
    _, backward = both_ranks(left, left, positives)
    scores = left @ left.T
    expected = [slow_rank(scores[:, j], np.arange(120) == j) for j in range(120)]
    assert backward.tolist() == expected
    monkeypatch.setattr(cross_modal_recall, "NEAR_LIMIT", 0)
    scores = left.copy() @ left.T  # not the symmetric product, which rounds otherwise
    expected = [slow_rank(scores[j], np.arange(120) == j) for j in range(120)]
    assert both_ranks(left, left, positives)[1].tolist() == expected


def test_collapsed_embeddings_score_worst_in_both_directions():
    same = np.ones((300, 2), np.float32) / np.sqrt(2).astype(np.float32)
    for ranks in both_ranks(same, same, equal_id_positives(np.arange(300), np.arange(300))):
        assert ranks.tolist() == [299] * 300


def test_memory_does_not_grow_with_the_product(monkeypatch):
    """No chunk of scores is larger than the limit, however many items there are."""
    monkeypatch.setattr(cross_modal_recall, "SCORES_AT_A_TIME", 500)
    vectors = unit(100, seed=6)
    shapes = [scores.shape for _, scores in cross_modal_recall._chunks(vectors, vectors, None)]
    assert shapes == [(5, 100)] * 20


def test_constant_embeddings_score_worst_not_best():
    same = np.ones((5, 2)) / np.sqrt(2)
    assert positive_ranks(same, same, equal_id_positives(np.arange(5), np.arange(5))).tolist() == [4] * 5


def test_other_positives_never_count_as_ahead():
    queries = gallery = unit(6, seed=3)
    positives = equal_id_positives(np.zeros(6), np.zeros(6))
    assert positive_ranks(queries, gallery, positives).tolist() == [0] * 6


def test_a_query_without_a_positive_is_named():
    with pytest.raises(ValueError, match="query 1 has no positive"):
        positive_ranks(np.eye(2), np.eye(2), equal_id_positives(np.array([0, 9]), np.arange(2)))


def test_values_that_are_not_finite_are_refused():
    with pytest.raises(ValueError, match="not finite"):
        positive_ranks(np.full((1, 2), np.nan), np.eye(2)[:1], equal_id_positives(np.zeros(1), np.zeros(1)))


def test_loads_as_an_evaluate_module_by_path():
    metric = evaluate.load("training/metrics/cross_modal_recall")
    vectors = unit(5).tolist()
    assert metric.compute(predictions=vectors, references=vectors)["R@1"] == 1.0
    assert metric.compute(predictions=vectors, references=vectors[::-1])["R@1"] == pytest.approx(0.2)


def test_more_items_ahead_than_a_byte_counts_are_counted():
    """600 rows of the left all beat the one positive of the first column: its rank is 600, far from 600 mod 256."""
    angles = np.linspace(0.1, 0.5, 601)
    left = np.stack([np.cos(angles), np.sin(angles)], axis=1)
    right = np.array([[1.0, 0.0]])
    ids = np.r_[np.arange(1, 601), 0]  # the last, farthest away, is the positive
    _, backward = both_ranks(left, right, equal_id_positives(ids, np.zeros(1, int)))
    assert backward.tolist() == [600]


def test_lengths_of_vectors_play_no_part_in_the_module():
    metric = evaluate.load("training/metrics/cross_modal_recall")
    queries, gallery = [[1.0, 0.2], [0.1, 1.0]], [[0.01, 0.0], [5.0, 9.0]]  # by length the second item wins both
    assert metric.compute(predictions=queries, references=gallery)["R@1"] == 1.0
