"""Finite differences and small networks for the tests of gradient-based methods."""

from typing import NamedTuple

import keras
import numpy as np
import pytest
import tensorflow as tf

from tfmeta import functional
from tfmeta.training.method import Run
from tfmeta.training.randomness import state_of_task


class Contribution(NamedTuple):
    """What one task contributes to an outer step; gradients in the order of `meta_variables`."""

    loss: tf.Tensor
    gradients: list
    query_outputs: tf.Tensor
    statistics: list


def contribution(learner, episode, params=None, key=0):
    """One task's contribution, at the present values of the parameters or at others."""
    key = tf.cast(key, tf.int64)
    groups = learner.parameters()
    if params is not None:
        rest = iter(params)
        groups = {name: [next(rest) for _ in group] for name, group in groups.items()}
    found, gradients = learner.task_gradient(groups, episode, Run(True, key, state_of_task(learner.network, key)))
    loss = found.value if found.reported is None else found.reported
    in_order = [gradient for name in groups for gradient in gradients[name]]
    return Contribution(loss, in_order, found.outputs, list(found.statistics))


def smooth_network(n_outputs=3, dim=6, hidden=5, batch_norm=False, seed=0, dtype="float64"):
    """A network without kinks, in float64, so that finite differences are exact to rounding."""
    keras.utils.set_random_seed(seed)
    layers = [keras.Input((dim,), dtype=dtype), keras.layers.Dense(hidden, activation="tanh", dtype=dtype, name="body")]
    if batch_norm:
        layers.append(keras.layers.BatchNormalization(dtype=dtype, name="norm"))
    return keras.Sequential([*layers, keras.layers.Dense(n_outputs, dtype=dtype, name="head")])


def predict_with(learner, fast, x):
    """Outputs of a network with these fast weights, and of the head that follows them if there is one."""
    n = len(learner.network.trainable_variables)
    outputs = functional.forward(learner.network, fast[:n], x)
    return outputs @ fast[n] + fast[n + 1] if len(fast) > n else outputs


def assert_same(a, b, **tolerance):
    for x, y in zip(a, b, strict=True):
        np.testing.assert_allclose(x, y, **tolerance)


def largest_difference(a, b):
    return max(float(np.max(np.abs(np.subtract(x, y)))) for x, y in zip(a, b, strict=True))


def in_graph(function):
    """The same function of a list of tensors, traced once, for a difference that asks it many times."""
    compiled = tf.function(lambda *params: function(list(params)), autograph=False)
    return lambda params: compiled(*(tf.convert_to_tensor(w) for w in params))


def assert_is_gradient(gradients, function, params, *, rel=1e-7, epsilon=1e-4):
    """Along three random directions, and along one for each tensor, against a fourth-order central difference."""
    rng = np.random.default_rng(1)
    directions = [[rng.normal(size=w.shape) for w in params] for _ in range(3)]
    directions += [[d * (i == j) for j, d in enumerate(directions[0])] for i in range(len(params))]
    for direction in directions:

        def at(t, direction=direction):
            return float(function([w + t * d for w, d in zip(params, direction, strict=True)]))

        e = epsilon
        expected = (8 * (at(e) - at(-e)) - (at(2 * e) - at(-2 * e))) / (12 * e)
        found = sum(float(tf.reduce_sum(g * d)) for g, d in zip(gradients, direction, strict=True))
        assert found == pytest.approx(expected, rel=rel, abs=1e-9)
