"""Scores of tasks with targets: mean losses against NumPy."""

import json
import math

import keras
import numpy as np
import pytest

import tfmeta
from tests.algorithms.pieces import task
from tfmeta.datasets import sinusoid_episodes
from tfmeta.evaluation import RegressionScore


def sine_maml(**options):
    keras.utils.set_random_seed(0)
    return tfmeta.MAML(tfmeta.networks.mlp(hidden=(8,)), inner_lr=0.02, inner_steps=2, **options)


@pytest.fixture(scope="module")
def waves():
    return sinusoid_episodes(k_shot=5, n_query=8, meta_batch_size=4, seed=0).take(3).cache()


def naive_losses(learner, waves):
    losses = []
    for batch in waves:
        for i in range(4):
            one = task(batch, i)
            model = learner.adapt(one.support_x.numpy(), one.support_y.numpy())
            losses.append(np.mean((model.predict_on_batch(one.query_x) - one.query_y.numpy()) ** 2))
    return losses


def test_the_loss_is_the_mean_over_episodes_with_its_interval(waves):
    learner = sine_maml()
    losses = naive_losses(learner, waves)
    score = tfmeta.evaluate(learner, waves)
    assert isinstance(score, RegressionScore)
    assert not hasattr(score, "accuracy")
    assert score.loss == pytest.approx(np.mean(losses), rel=1e-5)
    assert score.interval == pytest.approx(1.959964 * np.std(losses, ddof=1) / math.sqrt(12), rel=1e-5)
    assert (score.episodes, score.k_shot, score.n_query) == (12, 5, 8)
    assert score.losses is None
    assert str(score) == (
        f"mean squared error {score.loss:.4g} +- {score.interval:.2g} (5-shot regression, 95 % interval over 12 "
        "episodes, 8 queries a task, given episodes, MAML, inner steps 2, inner lr 0.02, batch norm: none in the "
        "network, single model)"
    )


def test_losses_of_episodes_are_kept_on_request_and_survive_json(waves):
    learner = sine_maml()
    score = tfmeta.evaluate(learner, waves, details=True)
    np.testing.assert_allclose(score.losses, naive_losses(learner, waves), rtol=1e-5)
    read = RegressionScore(**json.loads(json.dumps(score.to_dict())))
    assert read == score == tfmeta.evaluate(learner, waves)
    np.testing.assert_array_equal(read.losses, score.losses)
    assert "losses" not in tfmeta.evaluate(learner, waves).to_dict()


def test_the_loss_is_the_learners_own_and_is_named(waves):
    learner = sine_maml(loss="mean_absolute_error")
    score = tfmeta.evaluate(learner, waves)
    expected = []
    for batch in waves:
        for i in range(4):
            outputs = learner.query_outputs(task(batch, i)).numpy()
            expected.append(np.mean(np.abs(outputs - task(batch, i).query_y.numpy())))
    assert score.loss == pytest.approx(np.mean(expected), rel=1e-5)
    assert score.loss_name == "mean absolute error"
    assert str(score).startswith("mean absolute error ")


class MeanTarget:
    """Adapts to a model that answers the mean target."""

    def __init__(self, shape=(1,)):
        self.shape = shape

    def adapt(self, support_x, support_y):
        self.mean = support_y.mean()
        return self

    def predict_on_batch(self, x):
        return np.full((len(x), *self.shape), self.mean)


def test_what_adapts_is_scored_by_its_squared_error(waves):
    tasks = [task(batch, i) for batch in waves for i in range(4)]
    expected = [np.mean((one.query_y - np.mean(one.support_y)) ** 2) for one in tasks]
    score = tfmeta.evaluate(MeanTarget(), waves)
    assert score.loss == pytest.approx(np.mean(expected), rel=1e-5)
    assert (score.method, score.loss_name) == ("MeanTarget", "mean squared error")


def test_outputs_of_another_shape_are_refused(waves):
    """[8] minus [8, 1] would be a matrix, with no error."""
    with pytest.raises(
        ValueError, match=r"shape of the targets. Received: outputs with shape=\(8,\), query_y with shap"
    ):
        tfmeta.evaluate(MeanTarget(()), waves)


def test_a_loss_that_has_run_to_infinity_is_no_number_of_the_score(waves):
    learner = sine_maml()
    learner.network.trainable_variables[-1].assign([np.nan])
    score = tfmeta.evaluate(learner, waves)
    assert math.isnan(score.loss)
    assert str(score).startswith("mean squared error nan")


def test_learners_that_classify_say_so(waves):
    with pytest.raises(ValueError, match=r"NearestNeighbour classifies, and needs integer labels"):
        tfmeta.evaluate(tfmeta.NearestNeighbour(), waves)
