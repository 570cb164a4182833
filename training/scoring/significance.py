"""Intervals and paired tests over queries: percentile bootstrap, so that every figure comes with its uncertainty."""

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
