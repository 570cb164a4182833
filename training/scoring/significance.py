"""Intervals and paired tests: percentile bootstrap, so that every figure comes with its uncertainty."""

from collections.abc import Callable, Sequence
from typing import NamedTuple

import numpy as np


class Interval(NamedTuple):
    """An estimate and the ends of its percentile interval."""

    value: float
    low: float
    high: float


def bootstrap_mean(values: np.ndarray, draws: int = 10_000, seed: int = 0, level: float = 0.95) -> Interval:
    """Returns the mean and its percentile bootstrap interval (Efron and Tibshirani 1993, chapter 13).

    Args:
        values: One score a query `(queries,)`, or `(seeds, queries)`: seeds are averaged, queries are resampled.
        draws: Bootstrap resamples.
        seed: Of the resampling.
        level: Coverage, in (0, 1).

    Raises:
        ValueError: There is no query.
    """
    scores = np.atleast_2d(np.asarray(values, np.float64)).mean(0)  # (queries,)
    if not len(scores):
        raise ValueError("a bootstrap needs at least one query, got none")
    generator = np.random.default_rng(seed)
    means = np.empty(draws)
    for start in range(0, draws, 500):  # 500 resamples at a time bound the memory
        size = (min(500, draws - start), len(scores))
        means[start : start + size[0]] = scores[generator.integers(0, len(scores), size)].mean(1)
    low, high = np.quantile(means, [(1 - level) / 2, (1 + level) / 2])
    return Interval(float(scores.mean()), float(low), float(high))


def paired_bootstrap(a: np.ndarray, b: np.ndarray, draws: int = 10_000, seed: int = 0) -> Interval:
    """Returns mean(a) - mean(b) with its 95 % interval, resampling queries and keeping the pairs.

    Args:
        a, b: Scores of the same queries in the same order, `(queries,)` or `(seeds, queries)`.
        draws, seed: See `bootstrap_mean`.

    Raises:
        ValueError: The two do not have the same queries.
    """
    a, b = np.atleast_2d(np.asarray(a, np.float64)), np.atleast_2d(np.asarray(b, np.float64))
    if a.shape[1] != b.shape[1]:
        raise ValueError(f"paired scores must be of the same queries, got {a.shape[1]} and {b.shape[1]}")
    return bootstrap_mean(a.mean(0) - b.mean(0), draws, seed)


def clustered_mean(values: np.ndarray, clusters: Sequence[str] | None, seed: int = 0) -> Interval:
    """Returns the mean of `values` `(queries,)` with its 95 % interval; queries of one cluster are resampled together.

    Args:
        values: One score a query.
        clusters: Of each query; None: each query for itself.
        seed: Of the resampling.
    """
    if clusters is None:
        return bootstrap_mean(values, seed=seed)
    _, member = np.unique(np.asarray(clusters), return_inverse=True)
    hits, counts = np.bincount(member, values)[:, None], np.bincount(member)[:, None].astype(float)
    return bootstrap_groups(hits, counts, 10_000, seed)


def bootstrap_groups(hits: np.ndarray, queries: np.ndarray, draws: int, seed: int = 0) -> Interval:
    """Returns the mean over columns of hits per query, with its 95 % interval; groups come and go as wholes.

    Of the difference of two models' hits it is the paired difference of their means.

    Args:
        hits: Sum over a group's queries of their scores, `(groups, columns)`.
        queries: How many these are, `(groups, columns)`.
        draws, seed: See `bootstrap_mean`.
    """
    generator = np.random.default_rng(seed)
    drawn, groups = [], len(hits)
    for start in range(0, draws, 100):  # 100 resamples at a time bound the memory
        times = generator.multinomial(groups, np.full(groups, 1 / groups), min(100, draws - start))
        asked = times @ queries  # (resamples, columns)
        drawn.append(np.where(asked > 0, times @ hits / np.maximum(asked, 1), np.nan))
    low, high = np.nanquantile(np.nanmean(np.concatenate(drawn), axis=1), [0.025, 0.975])
    return Interval(float((hits.sum(0) / queries.sum(0)).mean()), float(low), float(high))


def bootstrap_statistic(
    statistic: Callable[[np.ndarray], float | None], items: int, draws: int = 1_000, seed: int = 0
) -> tuple[float, float] | None:
    """Returns the ends of the 95 % percentile interval of what is no mean, None where no resample has a value.

    Args:
        statistic: Of the items with these indices, `(items,)`; None where it has no value: left out.
        items: How many there are.
        draws, seed: See `bootstrap_mean`.
    """
    generator = np.random.default_rng(seed)
    drawn = (statistic(generator.integers(0, items, items)) for _ in range(draws))
    values = [value for value in drawn if value is not None]
    return tuple(np.quantile(values, [0.025, 0.975]).tolist()) if values else None
