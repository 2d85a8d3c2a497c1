"""What a learner is given, and what is refused."""

import keras
import numpy as np
import pytest
import tensorflow as tf

import tfmeta
from tfmeta.core.validation import check_steps
from tfmeta.datasets import sinusoid_episodes
from tfmeta.training import episode_checks, inputs, network_checks


class Silent(keras.Model):
    """Says nothing about its shapes."""

    def call(self, x):
        return x


def test_known_shapes():
    network = tfmeta.networks.conv4(3, filters=2, input_shape=(16, 18, 2))
    assert network_checks.known_shape(network, "input_shape") == (16, 18, 2)
    assert network_checks.known_shape(network, "output_shape") == (3,)
    a, b = keras.Input((2,)), keras.Input((3,))
    two = keras.Model([a, b], keras.layers.Concatenate()([a, b]))
    assert network_checks.known_shape(two, "input_shape") is None
    assert network_checks.known_shape(Silent(), "input_shape") is None
    assert network_checks.known_shape(Silent(), "output_shape") is None


def test_support_sets_become_tensors_of_the_types_of_training():
    x, y = inputs.check_support([[0, 1], [2, 3], [4, 5]], np.array([1, 0, 1], np.int64))
    assert (x.dtype, y.dtype) == (tf.float32, tf.int32)
    np.testing.assert_array_equal(x, [[0.0, 1.0], [2.0, 3.0], [4.0, 5.0]])
    np.testing.assert_array_equal(y, [1, 0, 1])
    _, targets = inputs.check_support(np.zeros((2, 1)), np.array([[0.5], [1.5]]))
    assert targets.dtype.is_floating
    np.testing.assert_array_equal(targets, [[0.5], [1.5]])


@pytest.mark.parametrize(
    ("x", "y", "message"),
    [
        (1.0, 1, r"same number of examples, at least one. Received: support_x with shape=\(\)"),
        (np.zeros((0, 16, 16, 1)), [], r"at least one. Received: support_x with shape=\(0, 16"),
        (np.zeros((3, 2), np.uint8), [0, 1, 2], r"floats in \[0, 1\]. Received: support_x with dtype=uint8"),
        (np.zeros((2, 1)), np.zeros((3, 1)), r"support_x with shape=\(2, 1\), support_y with shape=\(3, 1\)"),
        ([[0.0], [1.0, 2.0]], [0, 1], r"support_x must be an array of numbers"),
        ([["a"], ["b"]], [0, 1], r"support_x must be numbers. Received: support_x with dtype=<U1"),
        (np.zeros((2, 1)), ["cat", "dog"], r"return_inverse=True\) turns names into them. Received: .*'cat'"),
        (np.zeros((2, 1)), tf.constant(["cat", "dog"]), r"support_y must be whole numbers.*dtype=string"),
    ],
)
def test_bad_support_sets_are_named(x, y, message):
    with pytest.raises(ValueError, match=message):
        inputs.check_support(x, y)


@pytest.mark.parametrize(
    ("x", "y", "message"),
    [
        (np.zeros((3, 2)), [0, 1, 3], r"every class present. Received: labels \[0, 1, 3\] in task 0"),
        (np.zeros((3, 2)), [1, 2, 3], r"labels must run from 0 to n_way - 1.*Received: labels \[1, 2, 3\]"),
        (np.full((3, 2), np.nan), [0, 1, 2], r"support_x must be finite. Received: support_x with 6 NaN"),
        (np.array([[np.inf, 0.0], [0.0, 0.0]]), [0, 1], r"support_x must be finite. Received: support_x with 1 NaN"),
        (np.zeros((2, 2)), [[0.5], [np.nan]], r"support_y must be finite. Received: support_y with 1 NaN or infinite"),
    ],
)
def test_bad_support_sets_are_named_by_every_learner(x, y, message):
    network = keras.Sequential([keras.Input((2,)), keras.layers.Dense(3)])
    for learner in (tfmeta.MAML(network), tfmeta.PrototypicalNetwork(network)):
        with pytest.raises(ValueError, match=message):
            learner.adapt(x, y)


@pytest.mark.parametrize("value", [-1, 1.5, True, "3", None])
def test_numbers_of_steps(value):
    check_steps(inner_steps=0)
    check_steps(inner_steps=np.int64(3))
    with pytest.raises(ValueError, match=r"at least 0. Received: inner_steps="):
        check_steps(inner_steps=value)


def test_classification_or_regression(random_episodes):
    assert episode_checks.is_classification(random_episodes())
    waves = next(iter(sinusoid_episodes(k_shot=2, n_query=3, meta_batch_size=2, seed=0)))
    assert not episode_checks.is_classification(waves)


def test_targets_that_would_be_stretched_over_the_outputs_are_refused():
    """Targets [n] minus outputs [n, 1] is a matrix [n, n], whose mean is a loss of nothing."""
    learner = tfmeta.MAML(tfmeta.networks.mlp(1), inner_lr=0.01)
    x = np.linspace(-1.0, 1.0, 4)[:, None]
    learner.adapt(x, np.sin(x))
    with pytest.raises(ValueError, match=r"shape of the outputs, \(1,\).*Received: support_y with \(\), dtype=float"):
        learner.adapt(x, np.sin(x[:, 0]))
    classifier = tfmeta.MAML(tfmeta.networks.mlp(2), inner_lr=0.01)
    with pytest.raises(ValueError, match=r"integers.*Received: support_y with \(\), dtype=float"):
        classifier.adapt(x, [0.0, 1.0, 0.0, 1.0])
