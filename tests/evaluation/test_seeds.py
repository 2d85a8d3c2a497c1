"""Means over trainings: their interval is Student's, over trainings and not over episodes."""

import dataclasses

import numpy as np
import pytest

import tfmeta
from tests.plotting.drawings import curve
from tfmeta.evaluation.regression import RegressionScore
from tfmeta.evaluation.seeds import student_95


def score(accuracy, **other):
    fields = {"interval": 0.001, "episodes": 600, "n_way": 5, "k_shot": 1, "n_query": 15, "data": "test",
              "method": "MAML", "settings": {}, "batch_norm": "none", "seed": 3} | other  # fmt: skip
    return tfmeta.Score(accuracy=accuracy, **fields)


def loss(value, **other):
    fields = {"interval": 0.1, "episodes": 10, "k_shot": 5, "n_query": 5, "data": "waves", "method": "MAML",
              "settings": {}, "batch_norm": "none", "loss_name": "mean squared error"} | other  # fmt: skip
    return RegressionScore(loss=value, **fields)


def test_three_accuracies_by_hand():
    """Mean 0.9, standard deviation 0.1, t = 4.303: half the width is 4.303 * 0.1 / sqrt(3)."""
    mean = tfmeta.mean_over_seeds([score(0.8), score(0.9), score(1.0)])
    assert mean.accuracy == pytest.approx(0.9)
    assert mean.interval == pytest.approx(4.303 * 0.1 / 3**0.5)
    assert "mean of 3 trainings and its 95 % interval over them" in str(mean)
    assert "1-shot, 600 episodes each, 15 queries" in str(mean), "the interval is not over episodes"
    assert (mean.seed, mean.details, mean.method) == (None, None, "MAML")


def test_losses_of_classification_are_averaged_where_all_have_one():
    with_loss = [score(0.8, loss=1.0, loss_interval=0.1), score(0.9, loss=3.0, loss_interval=0.2)]
    mean = tfmeta.mean_over_seeds(with_loss)
    assert mean.loss == 2.0
    assert mean.loss_interval == pytest.approx(12.706 * 2**0.5 / 2**0.5)
    mean = tfmeta.mean_over_seeds([with_loss[0], score(0.9)])
    assert (mean.loss, mean.loss_interval) == (None, None)


def test_two_losses_by_hand():
    mean = tfmeta.mean_over_seeds([loss(1.0), loss(3.0)])
    assert mean.loss == 2.0
    assert mean.interval == pytest.approx(12.706 * 2**0.5 / 2**0.5)
    assert "regression, 10 episodes each, 5 queries" in str(mean)


def test_curves_are_averaged_step_by_step():
    curves = [curve(seed=seed) for seed in range(4)]
    mean = tfmeta.mean_over_seeds(curves)
    for name in curves[0].mean:
        values = np.array([one.mean[name] for one in curves])
        np.testing.assert_allclose(mean.mean[name], values.mean(axis=0))
        np.testing.assert_allclose(mean.interval[name], 3.182 * values.std(axis=0, ddof=1) / 2)
    assert str(mean).endswith("(95 % interval over 4 trainings)")


@pytest.mark.parametrize(("trainings", "quantile"), [(12, 2.201), (21, 2.086), (31, 2.042), (1001, 1.962)])
def test_many_trainings_have_students_quantile_to_one_per_cent(trainings, quantile):
    assert student_95(trainings) == pytest.approx(quantile, rel=0.01)


@pytest.mark.parametrize(
    ("found", "error", "message"),
    [
        ([], ValueError, "at least two trainings. Received: 0"),
        ([score(0.5)], ValueError, "at least two trainings. Received: 1"),
        ([score(0.5), loss(1.0)], TypeError, "Received: RegressionScore, Score"),
        ([0.5, 0.6], TypeError, "Received: float"),
        ([score(0.5), score(0.5, k_shot=5)], ValueError, r"measured alike. Received: k_shot of \[1, 5\]"),
        ([score(0.5), score(0.5, method="ANIL")], ValueError, "Received: method of"),
        ([score(0.5), score(0.5, n_way=20)], ValueError, "Received: n_way of"),
        ([curve(), curve("FOMAML")], ValueError, "Received: label of"),
    ],
)
def test_what_cannot_be_averaged_is_named(found, error, message):
    with pytest.raises(error, match=message):
        tfmeta.mean_over_seeds(found)


def test_the_records_themselves_are_not_changed():
    one = score(0.5)
    tfmeta.mean_over_seeds([one, score(0.7)])
    assert one == dataclasses.replace(one)
    assert (one.accuracy, one.model) == (0.5, "single model")
