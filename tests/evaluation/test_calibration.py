"""Calibration on arrays: hand values, limits, naive loops, and temperatures that are known."""

import math

import numpy as np
import pytest

from tfmeta.evaluation import (
    brier_score,
    expected_calibration_error,
    fitted_temperature,
    negative_log_likelihood,
    reliability,
    temperature_scaled,
)
from tfmeta.evaluation.calibration import log_softmax

SCORES = (negative_log_likelihood, brier_score, expected_calibration_error)
# Four queries of two classes, worked out by hand below.
LABELS = np.array([0, 1, 1, 0])
PROBABILITIES = np.array([[0.9, 0.1], [0.2, 0.8], [0.6, 0.4], [0.3, 0.7]])


def sure(labels, n_way):
    return np.eye(n_way)[labels]


def calibrated(n=40_000, n_way=5, sharpness=2.0, seed=0):
    """Labels drawn from the very probabilities that are predicted, and their logits."""
    rng = np.random.default_rng(seed)
    logits = sharpness * rng.normal(size=(n, n_way))
    probabilities = np.exp(log_softmax(logits))
    labels = (probabilities.cumsum(axis=1) < rng.random((n, 1))).sum(axis=1).clip(max=n_way - 1)
    return labels, logits, probabilities


def test_perfect_is_0_in_all_three():
    labels = np.array([2, 0, 1, 1])
    assert [score(labels, sure(labels, 3)) for score in SCORES] == [0.0, 0.0, 0.0]


def test_always_sure_and_wrong_is_1_of_the_error_2_of_brier_and_infinite():
    labels = np.array([2, 0, 1, 1])
    wrong = sure((labels + 1) % 3, 3)
    assert expected_calibration_error(labels, wrong) == 1.0
    assert brier_score(labels, wrong) == 2.0
    assert negative_log_likelihood(labels, wrong) == math.inf


def test_guessing_is_what_it_is_called():
    labels = np.repeat(np.arange(4), 5)
    alike = np.full((20, 4), 0.25)
    assert negative_log_likelihood(labels, alike) == pytest.approx(math.log(4))
    assert brier_score(labels, alike) == pytest.approx(0.75)
    # The first of equal outputs counts as chosen: right in a quarter of balanced labels, as sure as it is right.
    assert expected_calibration_error(labels, alike) == pytest.approx(0.0)


def test_hand_values_with_two_bins():
    assert negative_log_likelihood(LABELS, PROBABILITIES) == pytest.approx(
        -(math.log(0.9) + math.log(0.8) + math.log(0.4) + math.log(0.3)) / 4
    )
    # 2 (1 - p)^2 of two classes: 0.02, 0.08, 0.72, 0.98.
    assert brier_score(LABELS, PROBABILITIES) == pytest.approx(1.8 / 4)
    # All confidences are above a half: mean 0.75, accuracy 0.5.
    assert expected_calibration_error(LABELS, PROBABILITIES, bins=2) == pytest.approx(0.25)
    found = reliability(LABELS, PROBABILITIES, bins=2)
    assert found.count.tolist() == [0, 4]
    assert found.confidence[1] == pytest.approx(0.75)
    assert found.accuracy[1] == 0.5
    assert np.isnan([found.confidence[0], found.accuracy[0]]).all()
    # Three classes, so that both bins are met: confidences 0.4 and 0.5 (right, wrong), 0.6 and 1.0 (wrong, right).
    labels = np.array([0, 1, 1, 2])
    rows = [[0.4, 0.3, 0.3], [0.5, 0.25, 0.25], [0.6, 0.4, 0.0], [0.0, 0.0, 1.0]]
    found = reliability(labels, rows, bins=2)
    assert found.count.tolist() == [2, 2], "a bin holds its upper end"
    np.testing.assert_allclose(found.confidence, [0.45, 0.8])
    np.testing.assert_allclose(found.accuracy, [0.5, 0.5])
    assert expected_calibration_error(labels, rows, bins=2) == pytest.approx(0.5 * 0.05 + 0.5 * 0.3)


def test_the_error_is_that_of_a_naive_loop():
    rng = np.random.default_rng(1)
    rows = np.exp(log_softmax(2 * rng.normal(size=(300, 3))))
    labels = rng.integers(3, size=300)
    for bins in (1, 7, 15):
        wanted = 0.0
        for b in range(bins):
            inside = [(rows[i].max(), rows[i].argmax() == labels[i]) for i in range(300)
                      if b / bins < rows[i].max() <= (b + 1) / bins]  # fmt: skip
            if inside:
                confidence, accuracy = np.mean(inside, axis=0)
                wanted += len(inside) / 300 * abs(confidence - accuracy)
        assert expected_calibration_error(labels, rows, bins=bins) == pytest.approx(wanted)
    assert expected_calibration_error(labels, rows) == pytest.approx(wanted), "15 bins by default"


def test_errors_of_opposite_sign_do_not_cancel_in_bins_of_their_own():
    rows = np.array([[0.6, 0.4]] * 10 + [[0.9, 0.1]] * 10)
    labels = np.array([0] * 9 + [1] + [0] * 6 + [1] * 4)  # accuracies 0.9 and 0.6: each off by 0.3
    assert expected_calibration_error(labels, rows, bins=1) == pytest.approx(0.0)
    assert expected_calibration_error(labels, rows) == pytest.approx(0.3)


def test_a_calibrated_simulation_has_a_small_error_and_a_surer_one_a_large_one():
    labels, logits, probabilities = calibrated()
    # In each of 15 bins chance alone is at most 0.5 sqrt(15 / n) together.
    assert expected_calibration_error(labels, probabilities) < 2 * 0.5 * math.sqrt(15 / len(labels))
    surer = temperature_scaled(logits, 0.4)
    assert expected_calibration_error(labels, surer) > 0.1
    assert negative_log_likelihood(labels, surer) > negative_log_likelihood(labels, probabilities)
    assert brier_score(labels, surer) > brier_score(labels, probabilities)


def test_of_few_queries_even_a_calibrated_one_has_an_error():
    errors = [expected_calibration_error(*calibrated(50, seed=seed)[::2]) for seed in range(30)]
    assert np.mean(errors) > 0.05, "the bias that the docstring names"


def test_temperature_1_changes_nothing():
    _, logits, probabilities = calibrated(100)
    np.testing.assert_allclose(temperature_scaled(logits, 1.0), probabilities, rtol=1e-12)
    np.testing.assert_allclose(temperature_scaled(np.log(probabilities), 1), probabilities, rtol=1e-12)


def test_a_temperature_moves_sureness_and_never_the_answer():
    _, logits, probabilities = calibrated(100)
    hot, cold = temperature_scaled(logits, 3.0), temperature_scaled(logits, 0.3)
    for rows in (hot, cold):
        np.testing.assert_allclose(rows.sum(axis=1), 1.0)
        np.testing.assert_array_equal(rows.argmax(axis=1), logits.argmax(axis=1))
    assert (hot.max(axis=1) < probabilities.max(axis=1)).all()
    assert (cold.max(axis=1) > probabilities.max(axis=1)).all()
    np.testing.assert_allclose(temperature_scaled(logits, 1e9), 0.2, rtol=1e-6)
    np.testing.assert_allclose(temperature_scaled(logits, 1e-9), sure(logits.argmax(axis=1), 5), atol=1e-12)
    np.testing.assert_allclose(temperature_scaled([[2.0, 0.0]], 2.0), [[math.e / (1 + math.e), 1 / (1 + math.e)]])
    np.testing.assert_array_equal(temperature_scaled([[1e300, 0.0]], 1.0), [[1.0, 0.0]])


@pytest.mark.parametrize("scale", [1e-6, 0.2, 1.0, 3.0, 1e6])
def test_the_fitted_temperature_finds_the_scale_of_logits_and_is_the_least_of_a_grid(scale):
    labels, logits, _ = calibrated(10_000)
    found = fitted_temperature(labels, scale * logits)
    assert found == pytest.approx(scale, rel=0.05)
    losses = [negative_log_likelihood(labels, temperature_scaled(scale * logits, found * t))
              for t in (0.9, 0.99, 1.0, 1.01, 1.1)]  # fmt: skip
    assert np.argmin(losses) == 2


def test_the_fitted_temperature_by_hand():
    # Three of four right with logits (z, 0): e^(z / T) = 3.
    assert fitted_temperature([0, 0, 0, 1], [[2.0, 0.0]] * 4) == pytest.approx(2.0 / math.log(3.0), rel=1e-9)


def test_where_no_temperature_is_best_it_says_so():
    with pytest.raises(ValueError, match=r"the colder the better. Received: logits right in 2 of 2 queries"):
        fitted_temperature([0, 1], [[1.0, 0.0], [0.0, 0.1]])
    with pytest.raises(ValueError, match=r"the hotter the better. Received: .* -0.1 above the mean"):
        fitted_temperature([1, 0, 1], [[1.0, 0.0], [1.0, 0.0], [0.6, 0.0]])
    with pytest.raises(ValueError, match=r"the (hotter|colder) the better"):
        fitted_temperature([1, 0], [[1.0, 1.0], [1.0, 1.0]])


BAD = [
    ([0, 1], PROBABILITIES, r"integers \[n\].*Received: labels with shape=\(2,\), dtype=int64.*shape=\(4, 2\)"),
    ([0.0, 1.0, 1.0, 0.0], PROBABILITIES, r"Received: labels with shape=\(4,\), dtype=float64"),
    (LABELS[:, None], PROBABILITIES, r"Received: labels with shape=\(4, 1\)"),
    ([0, 1, 2, 0], PROBABILITIES, r"from 0 to 1, the columns.*Received: labels from 0 to 2"),
    ([0, -1, 1, 0], PROBABILITIES, r"Received: labels from -1 to 1"),
    (None, PROBABILITIES, r"Received: labels with shape=\(\)"),
]


@pytest.mark.parametrize("function", [*SCORES, reliability])
@pytest.mark.parametrize(
    ("labels", "probabilities", "message"),
    [
        *BAD,
        (LABELS, 10 * PROBABILITIES, r"sum to 1.*temperature_scaled.*Received: probabilities from 1 to 9, rows that"),
        (LABELS, PROBABILITIES - 0.5, "Received: probabilities from -0.4"),
        (LABELS, PROBABILITIES * math.nan, r"finite numbers \[n, n_way\].*shape=\(4, 2\), 8 of them not finite"),
        (LABELS, PROBABILITIES[:, 0], r"Received: probabilities with shape=\(4,\)"),
        (LABELS[:0], PROBABILITIES[:0], r"Received: probabilities with shape=\(0, 2\)"),
        (LABELS, "sure", "Received: probabilities='sure'"),
    ],
)
def test_bad_arguments_are_named(function, labels, probabilities, message):
    with pytest.raises(ValueError, match=message):
        function(labels, probabilities)


@pytest.mark.parametrize("function", [expected_calibration_error, reliability])
@pytest.mark.parametrize("bins", [0, -1, 1.5, True, None])
def test_bad_bins_are_named(function, bins):
    with pytest.raises(ValueError, match=f"bins must be a whole number of at least 1. Received: bins={bins}"):
        function(LABELS, PROBABILITIES, bins=bins)


@pytest.mark.parametrize(("labels", "logits", "message"), [(a, b, m.split(".*shape")[0]) for a, b, m in BAD])
def test_bad_arguments_of_the_temperature_are_named(labels, logits, message):
    with pytest.raises(ValueError, match=message):
        fitted_temperature(labels, logits)
    with pytest.raises(ValueError, match="logits must be finite numbers"):
        temperature_scaled([[math.inf, 0.0]], 1.0)
    for temperature in (0, -1.0, math.nan, "1", None):
        with pytest.raises(ValueError, match=f"temperature must be a number above 0. Received: .*{temperature}"):
            temperature_scaled(PROBABILITIES, temperature)
