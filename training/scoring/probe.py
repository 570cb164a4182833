"""Linear probes: logistic regression on frozen embeddings, by L-BFGS; its strength chosen on validation rows.

Weights, probabilities and average precision are those of scikit-learn, which is no dependency: its figures are
recorded in `test_probes_and_average_precision_equal_scikit_learn_s` of tests/training/scoring/test_probe.py.
"""

from collections.abc import Callable, Sequence
from typing import NamedTuple

import numpy as np
from scipy.optimize import minimize
from scipy.special import expit, log_softmax, softmax

L2_GRID = tuple(10.0**power for power in range(-7, 1))
C_GRID = (0.01, 0.1, 1.0, 10.0)  # the published grid of the HIT-UAV probe


class Linear(NamedTuple):
    """A linear classifier: scores are `features @ weights + bias`."""

    weights: np.ndarray  # (size, classes), or (size,) for one class against the rest
    bias: np.ndarray  # (classes,), or a scalar

    def scores(self, features: np.ndarray) -> np.ndarray:
        """Returns `(rows, classes)`, or `(rows,)`."""
        return features @ self.weights + self.bias


def fit_softmax(features: np.ndarray, labels: np.ndarray, classes: int, l2: float) -> Linear:
    """Minimises mean cross-entropy + `l2`/2 times the squared weights; the bias is free.

    Args:
        features: `(rows, size)`.
        labels: Class of each row, `(rows,)`.
        classes: How many there are; one that no row has gets a low bias.
        l2: Strength of the penalty.
    """
    features = np.asarray(features, np.float64)
    target = np.eye(classes)[labels]  # (rows, classes)
    size = features.shape[1]

    def loss(flat: np.ndarray) -> tuple[float, np.ndarray]:
        weights, bias = flat[:-classes].reshape(size, classes), flat[-classes:]
        logits = features @ weights + bias
        error = (softmax(logits, axis=1) - target) / len(features)
        value = -(log_softmax(logits, axis=1) * target).sum() / len(features) + l2 / 2 * (weights**2).sum()
        return value, np.concatenate([(features.T @ error + l2 * weights).ravel(), error.sum(0)])

    solution = minimize(loss, np.zeros((size + 1) * classes), jac=True, method="L-BFGS-B", options={"maxiter": 1000})
    return Linear(solution.x[:-classes].reshape(size, classes), solution.x[-classes:])


def fit_binary(features: np.ndarray, present: np.ndarray, c: float) -> Linear:
    """Minimises `c` times the class-balanced logistic loss + half the squared weights and bias, as liblinear does.

    Args:
        features: `(rows, size)`.
        present: Bool `(rows,)`; a row counts `rows / (2 * rows of its kind)` times.
        c: Inverse strength of the penalty.

    Raises:
        ValueError: All rows are of one kind.
    """
    present = np.asarray(present, bool)
    if present.all() or not present.any():
        raise ValueError(f"a probe needs rows with and without the class, got {present.sum()} of {len(present)} with")
    inputs = np.column_stack([np.asarray(features, np.float64), np.ones(len(present))])
    sign = np.where(present, 1.0, -1.0)
    weight = np.where(present, len(present) / (2 * present.sum()), len(present) / (2 * (~present).sum()))

    def loss(flat: np.ndarray) -> tuple[float, np.ndarray]:
        margin = sign * (inputs @ flat)
        value = c * (weight * np.logaddexp(0, -margin)).sum() + (flat**2).sum() / 2
        return value, flat - c * inputs.T @ (weight * sign * expit(-margin))

    solution = minimize(loss, np.zeros(inputs.shape[1]), jac=True, method="L-BFGS-B", options={"maxiter": 2000})
    return Linear(solution.x[:-1], solution.x[-1])


def choose(values: Sequence[float], score: Callable[[float], float]) -> tuple[float, dict[float, float]]:
    """Returns the value with the highest validation score (of equal ones the first), and the score of each."""
    scores = {value: score(value) for value in values}
    return max(scores, key=lambda value: scores[value]), scores


def average_precision(scores: np.ndarray, present: np.ndarray) -> float:
    """Returns the area under the precision-recall steps: the mean over positives of the precision at their rank.

    Rows of one score enter together, so the order of ties plays no part (as in scikit-learn).

    Args:
        scores: `(rows,)`, higher is more likely present.
        present: Bool `(rows,)`.

    Raises:
        ValueError: There is no positive.
    """
    present = np.asarray(present, bool)
    if not present.any():
        raise ValueError("average precision needs at least one positive, got none")
    order = np.argsort(-scores, kind="stable")
    last = np.append(np.flatnonzero(np.diff(scores[order])), len(scores) - 1)  # last row of each distinct score
    hits = np.cumsum(present[order])[last]
    return float((np.diff(hits, prepend=0) * hits / (last + 1)).sum() / present.sum())
