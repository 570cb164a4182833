import numpy as np
import pytest

from training.scoring.significance import bootstrap_mean, paired_bootstrap


def test_interval_matches_the_normal_approximation():
    values = np.random.default_rng(0).random(400) < 0.3
    interval = bootstrap_mean(values)
    error = np.sqrt(values.mean() * (1 - values.mean()) / 400)
    assert interval.value == values.mean()
    assert interval.low == pytest.approx(values.mean() - 1.96 * error, abs=0.005)
    assert interval.high == pytest.approx(values.mean() + 1.96 * error, abs=0.005)


def test_seeds_are_averaged_and_queries_resampled():
    scores = np.random.default_rng(1).random((3, 50))
    assert bootstrap_mean(scores) == bootstrap_mean(scores.mean(0))


def test_pairing_removes_what_queries_share():
    generator = np.random.default_rng(2)
    shared = generator.normal(0, 10, 200)
    better = paired_bootstrap(shared + 0.5 + generator.normal(0, 0.1, 200), shared)
    assert better.low > 0.4 and better.high < 0.6


def test_equal_scores_do_not_exclude_zero():
    scores = np.random.default_rng(3).random(60)
    assert paired_bootstrap(scores, scores) == (0, 0, 0)
    noise = paired_bootstrap(scores, np.random.default_rng(4).permutation(scores))
    assert noise.low < 0 < noise.high


def test_unpaired_scores_are_refused():
    with pytest.raises(ValueError, match="same queries, got 3 and 4"):
        paired_bootstrap(np.ones(3), np.ones(4))


def test_no_query_is_refused():
    with pytest.raises(ValueError, match="at least one query"):
        bootstrap_mean(np.array([]))
