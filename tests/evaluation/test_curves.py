"""Adaptation curves against a naive inner loop."""

import dataclasses
import math

import keras
import numpy as np
import pytest
import tensorflow as tf

import tfmeta
from tests.algorithms.pieces import task
from tfmeta import functional
from tfmeta.core.episode import Episode
from tfmeta.datasets import sinusoid_episodes
from tfmeta.evaluation.curves import AdaptationCurve

pytestmark = pytest.mark.slow

SIZES = {"n_way": 3, "k_shot": 2, "n_query": 4, "meta_batch_size": 4}
NAMES = ["support_loss", "query_loss", "support_accuracy", "query_accuracy"]


def small_maml(**options):
    keras.utils.set_random_seed(0)
    network = tfmeta.networks.conv4(3, filters=4, input_shape=(16, 16, 1))
    learner = tfmeta.MAML(network, **({"inner_lr": 0.2, "inner_steps": 1} | options))
    learner.compile(optimizer="adam")
    return learner


def sine_maml(**options):
    keras.utils.set_random_seed(0)
    learner = tfmeta.MAML(tfmeta.networks.mlp(), **({"inner_lr": 0.02, "inner_steps": 1} | options))
    learner.compile(optimizer="adam")
    return learner


@pytest.fixture
def stream(tiny):
    return tfmeta.episode_dataset(tiny, **SIZES, seed=0)


@pytest.fixture
def waves():
    return sinusoid_episodes(k_shot=5, n_query=8, meta_batch_size=4, seed=0)


def squared_error(targets, outputs):
    return tf.reduce_mean((targets - outputs) ** 2)


def naive_path(learner, one, steps):
    """What `adapt` of the public functions gives after 0, 1, ... steps, each from the start."""
    regression = one.support_y.dtype.is_floating
    loss = squared_error if regression else functional.cross_entropy
    path = {name: [] for name in (NAMES[:2] if regression else NAMES)}
    params = functional.values(learner.network.trainable_variables)
    for k in range(steps + 1):
        fast = functional.adapt(
            learner.network, params, one.support_x, one.support_y, inner_lr=learner.inner_lr, inner_steps=k, loss=loss
        )
        for part, x, y in (("support", *one[:2]), ("query", *one[2:])):
            outputs = functional.forward(learner.network, fast, x)
            path[f"{part}_loss"].append(float(loss(y, outputs)))
            if not regression:
                path[f"{part}_accuracy"].append(np.mean(outputs.numpy().argmax(axis=1) == y.numpy()))
    return path


def check_against_naive(learner, episodes, steps):
    curve = tfmeta.adaptation_curve(learner, episodes, steps)
    paths = [naive_path(learner, task(episodes, i), steps) for i in range(4)]
    assert (curve.inner_steps, curve.episodes, curve.label) == (steps, 4, "MAML")
    assert set(curve.mean) == set(curve.interval) == set(paths[0])
    for name in curve.mean:
        values = np.array([path[name] for path in paths])  # [4, steps + 1]
        np.testing.assert_allclose(curve.mean[name], values.mean(axis=0), rtol=1e-4, atol=1e-5)
        half = 1.959964 * values.std(axis=0, ddof=1) / math.sqrt(4)
        np.testing.assert_allclose(curve.interval[name], half, rtol=1e-3, atol=1e-5)
    return curve


def test_classification_follows_the_naive_inner_loop(stream):
    curve = check_against_naive(small_maml(), next(iter(stream)), 3)
    assert list(curve.mean) == NAMES
    assert curve.mean["support_loss"][3] < curve.mean["support_loss"][0]


def test_regression_follows_the_naive_inner_loop(waves):
    curve = check_against_naive(sine_maml(), next(iter(waves)), 4)
    assert curve.mean["support_loss"][4] < curve.mean["support_loss"][0]
    start, end = (f"{curve.mean['query_loss'][k]:.3g} +- {curve.interval['query_loss'][k]:.2g}" for k in (0, 4))
    line = f"MAML: query loss {start} before, {end} after 4 inner steps (95 % interval over 4 episodes)"
    assert str(curve) == line


@pytest.mark.parametrize("make", [small_maml, sine_maml])
def test_the_ends_are_what_evaluate_reports(make, stream, waves):
    learner = make(eval_inner_steps=3)
    data = (stream if make is small_maml else waves).take(2)
    curve = tfmeta.adaptation_curve(learner, data, 3)
    reported = learner.evaluate(data, return_dict=True, verbose=0)
    assert curve.episodes == 8
    for name, mean in curve.mean.items():
        assert mean[0] == pytest.approx(reported[f"{name}_before"], rel=1e-4)
        assert mean[-1] == pytest.approx(reported[f"{name}_after"], rel=1e-4)
    shorter = tfmeta.adaptation_curve(learner, data, 1)
    for name, mean in shorter.mean.items():
        np.testing.assert_allclose(mean, curve.mean[name][:2], rtol=1e-4, atol=1e-5)


def test_the_query_set_does_not_influence_the_path(stream):
    learner, episodes = small_maml(), next(iter(stream))
    curve = tfmeta.adaptation_curve(learner, episodes, 2)
    other = episodes._replace(query_y=(episodes.query_y + 1) % 3)
    changed = tfmeta.adaptation_curve(learner, other, 2)
    for name in ("support_loss", "support_accuracy"):
        np.testing.assert_array_equal(changed.mean[name], curve.mean[name])
    assert np.abs(changed.mean["query_loss"] - curve.mean["query_loss"]).min() > 0


def test_order_and_batching_of_tasks_do_not_matter(waves):
    learner, batches = sine_maml(), list(waves.take(2))
    joined = Episode(*(tf.concat(tensors, axis=0) for tensors in zip(*batches, strict=True)))
    reverse = Episode(*(tensor[::-1] for tensor in joined))
    curves = [tfmeta.adaptation_curve(learner, data, 2) for data in (waves.take(2), joined, reverse)]
    for other in curves[1:]:
        assert other.episodes == 8
        np.testing.assert_allclose(other.mean["query_loss"], curves[0].mean["query_loss"], rtol=1e-5)
        np.testing.assert_allclose(other.interval["query_loss"], curves[0].interval["query_loss"], rtol=1e-4)


def test_a_diverging_inner_loop_is_reported_and_does_not_warn(waves):
    learner = sine_maml(inner_lr=1e3)
    curve = tfmeta.adaptation_curve(learner, waves.take(1), 8)
    assert math.isfinite(curve.mean["query_loss"][0])
    assert not curve.mean["query_loss"][-1] < 1e20
    assert "after 8 inner steps" in str(curve)


def test_one_episode_has_a_mean_and_no_interval(waves):
    one = Episode(*(tensor[:1] for tensor in next(iter(waves))))
    curve = tfmeta.adaptation_curve(sine_maml(), one, 2)
    assert curve.episodes == 1
    assert np.isfinite(curve.mean["query_loss"]).all()
    assert np.isnan(curve.interval["query_loss"]).all()


@pytest.mark.parametrize("make", [small_maml, sine_maml])
def test_the_learner_is_not_changed(make, stream, waves):
    learner = make()
    before = [v.numpy() for v in learner.variables]
    tfmeta.adaptation_curve(learner, (stream if make is small_maml else waves).take(1), 3)
    for old, variable in zip(before, learner.variables, strict=True):
        np.testing.assert_array_equal(old, variable.numpy())


def test_accuracy_is_said_in_per_cent_and_a_curve_is_frozen():
    mean = {"query_loss": np.array([1.0, 0.5]), "query_accuracy": np.array([0.25, 0.875])}
    half = {"query_loss": np.array([0.1, 0.1]), "query_accuracy": np.array([0.02, 0.013])}
    curve = AdaptationCurve(mean=mean, interval=half, episodes=100, label="FOMAML")
    assert str(curve) == (
        "FOMAML: query accuracy 25 +- 2 % before, 87.5 +- 1.3 % after 1 inner step (95 % interval over 100 episodes)"
    )
    with pytest.raises(dataclasses.FrozenInstanceError):
        curve.episodes = 5


def test_bad_episodes_are_named(stream, waves):
    learner = small_maml()
    with pytest.raises(ValueError, match=r"at least one episode. Received: an empty list"):
        tfmeta.adaptation_curve(learner, [])
    with pytest.raises(ValueError, match=r"at least one meta-batch. Received: an empty dataset"):
        tfmeta.adaptation_curve(learner, stream.take(0))
    with pytest.raises(TypeError, match=r"an Episode or a dataset.*Received: episodes of type list"):
        tfmeta.adaptation_curve(learner, [1, 2])
    pairs = tf.data.Dataset.from_tensors((np.zeros(3), np.zeros(3)))
    with pytest.raises(
        TypeError, match=r"dataset of meta-batches.*Received: episodes of type _TensorDataset, elements"
    ):
        tfmeta.adaptation_curve(learner, pairs)
    with pytest.raises(ValueError, match=r"takes inputs of shape \(16, 16, 1\). Received: support_x with \(1,\)"):
        tfmeta.adaptation_curve(learner, waves.take(1))
    with pytest.raises(ValueError, match=r"must have a meta-batch axis.*\[episode\].*support_y with shape=\(6,\)"):
        tfmeta.adaptation_curve(learner, task(next(iter(stream))))  # one task, without a meta-batch axis


@pytest.mark.parametrize("steps", [0, -1, 2.0, True, None])
def test_bad_numbers_of_steps_are_named(waves, steps):
    with pytest.raises(ValueError, match=r"at least 1. Received: inner_steps="):
        tfmeta.adaptation_curve(sine_maml(), waves.take(1), steps)


def test_a_learner_without_an_inner_loop_is_named(stream):
    learner = tfmeta.PrototypicalNetwork(tfmeta.networks.conv4(filters=2, input_shape=(16, 16, 1)))
    with pytest.raises(TypeError, match=r"inner loop.*Received: learner of type PrototypicalNetwork"):
        tfmeta.adaptation_curve(learner, stream.take(1))
    with pytest.raises(TypeError, match=r"Received: learner of type Functional"):
        tfmeta.adaptation_curve(tfmeta.networks.conv4(3), stream.take(1))
