"""Finite differences and small networks for the tests of gradient-based methods."""

import keras
import numpy as np
import pytest
import tensorflow as tf

SALT = tf.constant(0, tf.int64)


def smooth_network(n_outputs=3, dim=6, hidden=5, batch_norm=False, seed=0, dtype="float64"):
    """A network without kinks, in float64, so that finite differences are exact to rounding."""
    keras.utils.set_random_seed(seed)
    layers = [keras.Input((dim,), dtype=dtype), keras.layers.Dense(hidden, activation="tanh", dtype=dtype, name="body")]
    if batch_norm:
        layers.append(keras.layers.BatchNormalization(dtype=dtype, name="norm"))
    return keras.Sequential([*layers, keras.layers.Dense(n_outputs, dtype=dtype, name="head")])


def assert_same(a, b, **tolerance):
    for x, y in zip(a, b, strict=True):
        np.testing.assert_allclose(x, y, **tolerance)


def largest_difference(a, b):
    return max(float(np.max(np.abs(np.subtract(x, y)))) for x, y in zip(a, b, strict=True))


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
