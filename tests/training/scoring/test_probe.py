import numpy as np
import pytest
from scipy.special import softmax

from training.scoring.probe import average_precision, choose, fit_binary, fit_softmax


def slow_average_precision(scores, present):
    """Precision and recall at each distinct threshold, the steps added up."""
    area, recall = 0.0, 0.0
    for threshold in sorted(set(scores), reverse=True):
        taken = [flag for score, flag in zip(scores, present) if score >= threshold]
        new = sum(taken) / sum(present)
        area += (new - recall) * sum(taken) / len(taken)
        recall = new
    return area


def test_average_precision_by_hand():
    """Positives at ranks 1 and 3: (1/1 + 2/3) / 2."""
    assert average_precision(np.array([0.9, 0.8, 0.7, 0.1]), [True, False, True, False]) == pytest.approx(5 / 6)


def test_average_precision_of_equal_scores_is_the_share_of_positives():
    assert average_precision(np.ones(4), np.array([True, False, False, False])) == 0.25


def test_average_precision_equals_a_slow_one_with_ties():
    generator = np.random.default_rng(0)
    scores, present = generator.integers(0, 6, 40) / 5, generator.random(40) < 0.3
    assert average_precision(scores, present) == pytest.approx(slow_average_precision(scores, present))


def test_average_precision_needs_a_positive():
    with pytest.raises(ValueError, match="at least one positive"):
        average_precision(np.ones(2), np.zeros(2, bool))


def test_the_softmax_probe_is_at_its_minimum():
    generator = np.random.default_rng(1)
    features, labels = generator.normal(size=(60, 4)), generator.integers(0, 3, 60)
    fitted = fit_softmax(features, labels, 3, l2=0.1)
    error = (softmax(fitted.scores(features), axis=1) - np.eye(3)[labels]) / 60
    np.testing.assert_allclose(features.T @ error + 0.1 * fitted.weights, 0, atol=1e-4)
    np.testing.assert_allclose(error.sum(0), 0, atol=1e-4)


def test_the_softmax_probe_separates_what_is_separable():
    features, labels = np.repeat(np.eye(3), 5, axis=0), np.repeat([0, 1, 2], 5)
    assert (fit_softmax(features, labels, 3, 1e-6).scores(features).argmax(1) == labels).all()


def test_the_binary_probe_minimises_liblinear_s_balanced_loss():
    generator = np.random.default_rng(2)
    features, present = generator.normal(size=(30, 3)), np.arange(30) < 6

    def loss(flat):
        margins = np.where(present, 1, -1) * (features @ flat[:3] + flat[3])
        weights = np.where(present, 30 / 12, 30 / 48)  # rows / (2 * rows of the kind)
        return 10 * (weights * np.log1p(np.exp(-margins))).sum() + (flat**2).sum() / 2

    fitted = fit_binary(features, present, 10.0)
    best = np.append(fitted.weights, fitted.bias)
    for direction in np.eye(4):
        assert loss(best) <= min(loss(best + 1e-3 * direction), loss(best - 1e-3 * direction))


def test_the_binary_probe_needs_both_kinds():
    with pytest.raises(ValueError, match="with and without the class, got 3 of 3"):
        fit_binary(np.ones((3, 2)), np.ones(3, bool), 1.0)


def test_of_equal_values_the_first_is_chosen():
    assert choose([1.0, 2.0, 3.0], lambda value: min(value, 2.0)) == (2.0, {1.0: 1.0, 2.0: 2.0, 3.0: 2.0})


def test_probes_and_average_precision_equal_scikit_learn_s():
    """Recorded from scikit-learn 1.9.1: `average_precision_score`, and `LogisticRegression` to a tolerance of 1e-10.

    The binary one is of liblinear with balanced classes; the other of lbfgs with C = 1 / (l2 rows).
    """
    generator = np.random.default_rng(7)
    features = generator.normal(size=(60, 3)).round(3)
    present = generator.random(60) < 1 / (1 + np.exp(-features[:, 0] - 0.5 * features[:, 1] + 1))
    assert average_precision(features[:, 0].round(1), present) == pytest.approx(0.3412052815959259, rel=1e-12)
    for c, expected in {
        0.01: (0.04766241544042139, 0.03277952897639476, 0.013045007551911425, 0.0018531851298746336),
        1.0: (0.6311098856910632, 0.3810733168291199, 0.3217331976339614, 0.17585672701744037),
        10.0: (0.7411938603155682, 0.4414289607590339, 0.40071329293907804, 0.21665944528466294),
    }.items():
        fitted = fit_binary(features, present, c)
        np.testing.assert_allclose([*fitted.weights, fitted.bias], expected, atol=1e-5)
    labels = np.clip((features[:, 0] + features[:, 2]).round() + 1, 0, 2).astype(int)
    for l2, expected in {
        0.001: [0.0857225892812352, 0.9108769084529543, 0.0034005022658104046],
        0.1: [0.30196209472830376, 0.5794951270392401, 0.11854277823245603],
    }.items():
        scores = fit_softmax(features, labels, 3, l2).scores(features[:1])
        np.testing.assert_allclose(softmax(scores, axis=1)[0], expected, atol=1e-4)
