import keras
import numpy as np
import pytest
import tensorflow as tf

from tfmeta import functional
from tfmeta.core import forward as stateless
from tfmeta.core import moments
from tfmeta.core.episode import Episode


@pytest.mark.parametrize("keepdims", [False, True])
@pytest.mark.parametrize("dtype", ["float16", "float32", "float64"])
def test_values_are_those_of_tensorflow(keepdims, dtype):
    x = tf.constant(np.random.default_rng(0).normal(3.0, 2.0, (4, 5, 6)), dtype)
    for ours, theirs in zip(
        moments.moments(x, [0, 1], keepdims=keepdims), tf.nn.moments(x, [0, 1], keepdims=keepdims), strict=True
    ):
        assert ours.dtype == theirs.dtype
        np.testing.assert_allclose(ours, theirs, rtol=1e-3 if dtype == "float16" else 1e-5)


def test_hessian_of_the_variance_has_its_closed_form_and_tensorflows_has_not():
    x = tf.constant(np.random.default_rng(0).normal(size=5))

    def hessian(function):
        with tf.GradientTape() as outer:
            outer.watch(x)
            with tf.GradientTape() as inner:
                inner.watch(x)
                variance = function(x, [0])[1]
            gradient = inner.gradient(variance, x)
        return outer.jacobian(gradient, x).numpy()

    exact = 2 / 5 * (np.eye(5) - np.ones((5, 5)) / 5)
    np.testing.assert_allclose(hessian(moments.moments), exact, atol=1e-14)
    assert np.abs(hessian(tf.nn.moments) - exact).max() > 0.05


def test_the_replacement_lasts_as_long_as_the_block():
    before = tf.nn.moments
    with moments.exact_moments():
        assert tf.nn.moments is moments.moments
        with moments.exact_moments():
            pass
        assert tf.nn.moments is moments.moments
    assert tf.nn.moments is before


@pytest.mark.parametrize("layer", ["BatchNormalization", "LayerNormalization", "GroupNormalization"])
def test_meta_gradient_through_each_normalisation_equals_finite_differences(layer):
    options = {"groups": 2} if layer == "GroupNormalization" else {}
    keras.utils.set_random_seed(0)
    network = keras.Sequential(
        [
            keras.Input((6,), dtype="float64"),
            keras.layers.Dense(8, activation="tanh", dtype="float64"),
            getattr(keras.layers, layer)(dtype="float64", **options),
            keras.layers.Dense(3, dtype="float64"),
        ]
    )
    rng = np.random.default_rng(0)
    x, y = tf.constant(rng.normal(size=(6, 6))), tf.constant([0, 1, 2] * 2)
    q = tf.constant(rng.normal(size=(9, 6)))
    episode = Episode(x, y, q, tf.constant([0, 1, 2] * 3))
    params = functional.values(network.trainable_variables)
    direction = [tf.constant(rng.normal(size=w.shape)) for w in params]

    def loss(t):
        moved = [w + t * d for w, d in zip(params, direction, strict=True)]
        fast = functional.adapt(network, moved, x, y, inner_lr=0.3, inner_steps=2)
        return float(functional.cross_entropy(episode.query_y, functional.forward(network, fast, q)))

    e = 1e-4
    expected = (8 * (loss(e) - loss(-e)) - (loss(2 * e) - loss(-2 * e))) / (12 * e)
    result = functional.meta_gradient(network, params, episode, inner_lr=0.3, inner_steps=2)
    found = sum(float(tf.reduce_sum(g * d)) for g, d in zip(result.gradients, direction, strict=True))
    assert found == pytest.approx(expected, rel=1e-8, abs=1e-10)


def test_the_difference_matters_for_conv4(monkeypatch):
    """How wrong a MAML step is that trusts Keras's batch norm: some 20 to 60 % on real characters."""
    import contextlib

    from tfmeta import networks

    keras.utils.set_random_seed(0)
    network = networks.conv4(3, filters=8, input_shape=(16, 16, 1))
    rng = np.random.default_rng(0)
    x, y = tf.constant(rng.normal(size=(3, 16, 16, 1)).astype(np.float32)), tf.constant([0, 1, 2])
    q = tf.constant(rng.normal(size=(6, 16, 16, 1)).astype(np.float32))

    def gradient():
        episode = Episode(x, y, q, tf.constant([0, 1, 2] * 2))
        params = functional.values(network.trainable_variables)
        result = functional.meta_gradient(network, params, episode, inner_lr=0.4, inner_steps=1)
        return np.concatenate([np.ravel(g) for g in result.gradients])

    exact = gradient()
    monkeypatch.setattr(stateless, "exact_derivatives", contextlib.nullcontext)
    assert np.linalg.norm(gradient() - exact) > 0.05 * np.linalg.norm(exact)
