"""What can be set in the inner loop: rates, clipping, dropout and noise."""

import keras
import numpy as np
import pytest
import tensorflow as tf

from tests.algorithms.differences import assert_same, smooth_network
from tests.algorithms.pieces import task as one
from tfmeta import functional


def test_without_dropout_keeps_everything_and_puts_rates_back():
    network = keras.Sequential([keras.Input((1000,)), keras.layers.Dropout(0.5)])
    ones = np.ones((1, 1000), np.float32)
    with functional.without_dropout(network):
        np.testing.assert_array_equal(network(ones, training=True), ones)
    assert float(tf.reduce_min(network(ones, training=True))) == 0.0


def test_a_clipped_step_has_the_norm_asked_for(random_episodes):
    network, episode = smooth_network(), one(random_episodes())
    params = functional.values(network.trainable_variables)
    support = {"support_x": episode.support_x, "support_y": episode.support_y, "inner_steps": 1}
    free = functional.adapt(network, params, **support, inner_lr=1.0)
    rule = functional.clipped(functional.sgd(1.0), 0.01)
    clipped = functional.adapt(network, params, **support, inner_lr=rule)
    step = [a - b for a, b in zip(clipped, params, strict=True)]
    assert float(tf.linalg.global_norm(step)) == pytest.approx(0.01)
    longer = [a - b for a, b in zip(free, params, strict=True)]
    assert_same(step, [s * 0.01 / tf.linalg.global_norm(longer) for s in longer], rtol=1e-9, atol=1e-12)


def test_noise_and_dropout_inside_of_recurrent_layers_are_off_too():
    keras.utils.set_random_seed(0)
    noise = {"dropout": 0.5, "recurrent_dropout": 0.5}
    layers = [keras.layers.GaussianNoise(1.0), keras.layers.LSTM(4, **noise)]
    network = keras.Sequential([keras.Input((5, 3)), *layers, keras.layers.Dense(2)])
    x = np.random.default_rng(0).normal(size=(4, 5, 3)).astype(np.float32)
    plain = network(x, training=False)
    with functional.without_dropout(network):
        np.testing.assert_allclose(network(x, training=True), plain, rtol=1e-5, atol=1e-6)
    assert np.abs(network(x, training=True) - plain).max() > 1e-3
    assert (layers[0].stddev, layers[1].cell.dropout, layers[1].cell.recurrent_dropout) == (1.0, 0.5, 0.5)


@pytest.mark.parametrize("which", ["ConvLSTM2D", "Attention", "Bidirectional", "MultiHeadAttention"])
def test_dropout_of_these_layers_is_off_too(which):
    keras.utils.set_random_seed(0)
    noise = {"dropout": 0.5, "recurrent_dropout": 0.5}
    inputs = keras.Input((4, 5, 6, 1) if which == "ConvLSTM2D" else (5, 8))
    outputs = {
        "ConvLSTM2D": lambda: keras.layers.ConvLSTM2D(2, 3, **noise)(inputs),
        "Attention": lambda: keras.layers.Attention(dropout=0.5)([inputs, inputs]),
        "Bidirectional": lambda: keras.layers.Bidirectional(keras.layers.GRU(3, **noise))(inputs),
        "MultiHeadAttention": lambda: keras.layers.MultiHeadAttention(2, 4, dropout=0.5)(inputs, inputs),
    }[which]()
    network = keras.Model(inputs, outputs)
    x = np.random.default_rng(0).normal(size=(3, *inputs.shape[1:])).astype(np.float32)
    plain = network(x, training=False)
    with functional.without_dropout(network):
        np.testing.assert_allclose(network(x, training=True), plain, rtol=1e-4, atol=1e-5)
    assert np.abs(network(x, training=True) - plain).max() > 1e-3


@pytest.mark.parametrize("mode", ["nested", "mixed"])
def test_dropout_keeps_one_mask_through_the_steps_of_a_task(random_episodes, mode):
    """Support and queries of equal size, so that one mask fits: a naive loop with that mask gives the same gradient."""
    keras.utils.set_random_seed(0)
    drop, head = keras.layers.Dropout(0.5, dtype="float64"), keras.layers.Dense(3, dtype="float64")
    network = keras.Sequential([keras.Input((6,), dtype="float64"), drop, head])
    episode = one(random_episodes(n_query=2))
    params = functional.values(network.trainable_variables)
    state = functional.values(network.non_trainable_variables)
    body = keras.Sequential([keras.Input((6,), dtype="float64"), drop])
    mask, _ = body.stateless_call([], state, tf.ones_like(episode.support_x), training=True)
    assert 0 < float(tf.reduce_mean(tf.cast(mask == 0, tf.float64))) < 1
    with tf.GradientTape() as outer:
        outer.watch(params)
        kernel, bias = params
        for _ in range(3):
            with tf.GradientTape() as tape:
                tape.watch([kernel, bias])
                value = functional.cross_entropy(episode.support_y, (episode.support_x * mask) @ kernel + bias)
            slopes = tape.gradient(value, [kernel, bias])
            kernel, bias = kernel - 0.5 * slopes[0], bias - 0.5 * slopes[1]
        value = functional.cross_entropy(episode.query_y, (episode.query_x * mask) @ kernel + bias)
    wanted = outer.gradient(value, params)

    def with_mask(params, x):
        return functional.forward(network, params, x, non_trainable=state)

    found = functional.meta_gradient(with_mask, params, episode, inner_lr=0.5, inner_steps=3, gradient_mode=mode)
    assert float(found.loss) == pytest.approx(float(value), rel=1e-10)
    assert_same(found.gradients, wanted, rtol=1e-9, atol=1e-12)


@pytest.mark.parametrize("rates", [[0.1] * 4, [1, 1, 1, 1], [np.float32(0.5)] * 4])
def test_plain_numbers_as_rates_have_the_parameters_precision_and_a_gradient(random_episodes, rates):
    network, episode = smooth_network(), one(random_episodes())
    params = functional.values(network.trainable_variables)
    inner = {"inner_lr": rates, "inner_steps": 2}
    nested, mixed = (
        functional.meta_gradient(network, params, episode, **inner, gradient_mode=mode) for mode in ("nested", "mixed")
    )
    assert all(np.abs(g) > 0 for g in nested.rate_gradients)
    for a, b in zip(
        [*nested.gradients, *nested.rate_gradients], [*mixed.gradients, *mixed.rate_gradients], strict=True
    ):
        np.testing.assert_allclose(a, b, rtol=1e-9, atol=1e-12)


def test_an_array_of_rates_is_refused(random_episodes):
    """It would be broadcast along the columns of a kernel."""
    network, episode = smooth_network(), one(random_episodes())
    params = functional.values(network.trainable_variables)
    for rates in (np.full(3, 0.1), tf.fill([3], 0.1)):
        with pytest.raises(ValueError, match=r"one number; per_weight takes .* with shape=\(3,\)"):
            functional.adapt(network, params, episode.support_x, episode.support_y, inner_lr=rates, inner_steps=1)


def test_clipping_has_a_derivative_where_the_gradient_is_zero():
    def slope(w):
        with tf.GradientTape() as outer:
            outer.watch(w)
            with tf.GradientTape() as tape:
                tape.watch(w)
                value = tf.reduce_sum(tf.nn.relu(w - 1.0) ** 2)
            (step,) = functional.clip_gradients([tape.gradient(value, w)], 1.0)
            value = tf.reduce_sum((w - step) ** 2)
        return outer.gradient(value, w)

    np.testing.assert_array_equal(slope(tf.constant([0.5, -2.0])), [1.0, -4.0])
    found = functional.clip_gradients([tf.constant([3.0]), tf.constant([4.0])], 1.0)
    np.testing.assert_allclose(tf.concat(found, 0), [0.6, 0.8], rtol=1e-6)
    np.testing.assert_array_equal(functional.clip_gradients([tf.constant([0.3])], 1.0)[0], [np.float32(0.3)])


def test_clipping_neither_overflows_nor_underflows():
    huge = tf.constant([3e19, 4e19])
    with tf.GradientTape() as tape:
        tape.watch(huge)
        (found,) = functional.clip_gradients([huge], 10.0)
    np.testing.assert_allclose(found, [6, 8], rtol=1e-6)
    assert np.isfinite(tape.gradient(found, huge)).all()
    half = functional.clip_gradients([tf.constant([300.0, 400.0], tf.float16)], 1.0)[0]
    assert half.dtype == tf.float16
    np.testing.assert_allclose(half, [0.6, 0.8], rtol=1e-3)
    np.testing.assert_array_equal(functional.clip_gradients([tf.zeros(2, tf.float16)], 1e-4)[0], [0, 0])
