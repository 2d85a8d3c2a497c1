"""Squared distances near and far from the origin."""

import keras
import numpy as np
import pytest
import tensorflow as tf

import tfmeta


def pair(offset, dtype=np.float32):
    rng = np.random.default_rng(0)
    return (tf.constant((rng.normal(size=(n, 8)) + offset).astype(dtype)) for n in (20, 5))


@pytest.mark.parametrize(("offset", "error"), [(0, 1e-5), (10, 1e-4), (1000, 1e-2)])
def test_distances_are_right_far_from_the_origin(offset, error):
    a, b = pair(offset)
    wanted = np.sum((np.asarray(a, np.float64)[:, None] - np.asarray(b, np.float64)) ** 2, axis=-1)
    np.testing.assert_allclose(tfmeta.squared_euclidean(a, b), wanted, atol=error)


def test_first_and_second_derivatives_are_those_of_the_definition():
    a, b = pair(3, np.float64)
    weights = tf.constant(np.random.default_rng(1).normal(size=(20, 5)))

    def derivatives(distances):
        with tf.GradientTape() as outer:
            outer.watch([a, b])
            with tf.GradientTape() as inner:
                inner.watch([a, b])
                value = tf.reduce_sum(weights * distances(a, b) ** 2)
            first = inner.gradient(value, [a, b])
            total = tf.add_n([tf.reduce_sum(g**2) for g in first])
        return [*first, *outer.gradient(total, [a, b])]

    found = derivatives(tfmeta.squared_euclidean)
    wanted = derivatives(lambda a, b: tf.reduce_sum((a[:, None] - b) ** 2, axis=-1))
    for x, y in zip(found, wanted, strict=True):
        np.testing.assert_allclose(x, y, rtol=1e-9, atol=1e-6)


def test_an_adapted_prototypical_network_is_right_far_from_the_origin():
    """There its linear head is seen from the prototypes' mean: the plain one would be off by tens."""
    encoder = keras.Sequential([keras.Input((8,)), keras.layers.Dense(8)])
    encoder.layers[0].set_weights([np.eye(8), np.full(8, 1000.0)])
    learner = tfmeta.PrototypicalNetwork(encoder)
    rng = np.random.default_rng(0)
    support, query, y = rng.normal(size=(6, 8)), rng.normal(size=(40, 8)).astype(np.float32), [0, 1, 2] * 2
    logits = learner.adapt(support, y).predict(query, verbose=0)
    prototypes = np.stack([support[np.array(y) == k].mean(0) for k in range(3)])
    wanted = -np.sum((query[:, None] - prototypes) ** 2, axis=-1)
    np.testing.assert_allclose(tf.nn.softmax(logits), tf.nn.softmax(wanted), atol=0.01)
