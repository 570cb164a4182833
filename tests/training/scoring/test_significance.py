import numpy as np
import pytest

from training.scoring.significance import bootstrap_groups, bootstrap_mean, bootstrap_statistic, paired_bootstrap


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


@pytest.mark.parametrize(("groups", "most"), [(7, 2), (3, 1)])
def test_groups_come_and_go_as_wholes_by_a_slow_bootstrap(groups, most):
    """Two columns; a resample in which a column has no query counts by the other one, and one query is enough."""
    generator = np.random.default_rng(5)
    queries = generator.integers(0, most + 1, (groups, 2)).astype(float)
    queries[0] = 1, most
    hits = queries * generator.random((groups, 2))
    draws = np.random.default_rng(0).multinomial(groups, np.full(groups, 1 / groups), 60)
    means = []
    for times in draws:
        columns = [(times @ hits[:, c]) / (times @ queries[:, c]) for c in (0, 1) if times @ queries[:, c]]
        means.append(np.mean(columns))
    expected = (hits.sum(0) / queries.sum(0)).mean(), *np.quantile(means, [0.025, 0.975])
    assert bootstrap_groups(hits, queries, draws=60) == pytest.approx(expected)


def test_a_statistic_is_resampled_by_items_and_left_out_where_it_has_no_value():
    values = np.arange(9.0)
    seen = []

    def median_of_the_odd(rows):
        seen.append(rows)
        odd = [value for value in values[rows] if value % 2]
        return float(np.median(odd)) if len(odd) > 3 else None

    low, high = bootstrap_statistic(median_of_the_odd, 9, draws=50, seed=3)
    generator = np.random.default_rng(3)
    again = [generator.integers(0, 9, 9) for _ in range(50)]
    assert np.array_equal(seen, again)
    kept = [value for value in map(median_of_the_odd, again) if value is not None]
    assert 0 < len(kept) < 50 and [low, high] == np.quantile(kept, [0.025, 0.975]).tolist()
    assert bootstrap_statistic(lambda rows: None, 9) is None


@pytest.mark.parametrize("hit", [0, 1, 2])
def test_every_query_is_drawn_as_often_as_the_others(hit):
    """One of three scores 1: a resample has it k times with the chance of a binomial, so means are 0, 1/3, 2/3, 1."""
    values = np.eye(3)[hit]
    interval = bootstrap_mean(values, draws=20_000, level=0.3)  # ends at .35 and .65: 8/27 of resamples have no hit
    assert (interval.low, interval.high) == pytest.approx((1 / 3, 1 / 3))
    assert bootstrap_mean(values, draws=20_000, level=0.5)[1:] == pytest.approx((0, 2 / 3))  # 8/27 > .25, 7/27 > .25


def test_the_interval_is_the_quantiles_of_the_seeds_own_resamples():
    values = np.random.default_rng(7).random(11)
    found = {seed: bootstrap_mean(values, draws=700, seed=seed, level=0.8) for seed in (0, 1)}
    for seed, interval in found.items():
        generator = np.random.default_rng(seed)
        drawn = np.concatenate([generator.integers(0, 11, (500, 11)), generator.integers(0, 11, (200, 11))])
        assert interval[1:] == pytest.approx(tuple(np.quantile(values[drawn].mean(1), [0.1, 0.9])))
    assert found[0] != found[1]
    other = np.random.default_rng(8).random(11)
    assert paired_bootstrap(values, other, 700, seed=1) == bootstrap_mean(values - other, 700, seed=1)
