import evaluate
import numpy as np
import pytest

from training.metrics.cross_modal_recall.cross_modal_recall import equal_id_positives, positive_ranks, summarize


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
    assert summarize(ranks, (1, 2)) == {"R@1": pytest.approx(1 / 3), "R@2": 1.0, "median_rank": 2.0, "queries": 3}


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
