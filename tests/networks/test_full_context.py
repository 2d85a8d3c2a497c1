"""Full-context embeddings of matching networks against an LSTM written as loops over items."""

import keras
import numpy as np
import pytest
import tensorflow as tf

import tfmeta
from tests.algorithms.pieces import once, task
from tests.algorithms.test_matching import naive_probabilities
from tfmeta.networks import full_context


def sigmoid(x):
    return 1.0 / (1.0 + np.exp(-x))


def lstm_step(x, h, c, weights):
    """One item, one step; Keras keeps the gates side by side: input, forget, candidate, output."""
    kernel, recurrent, bias = weights
    i, f, g, o = np.split(x @ kernel + h @ recurrent + bias, 4)
    c = sigmoid(f) * c + sigmoid(i) * np.tanh(g)
    return sigmoid(o) * np.tanh(c), c


def naive_support(support, forwards, backwards):
    """Appendix A.2."""
    n, dim = support.shape
    found = support.copy()
    for weights, order in ((forwards, range(n)), (backwards, range(n - 1, -1, -1))):
        h, c = np.zeros(dim), np.zeros(dim)
        for i in order:
            h, c = lstm_step(support[i], h, c, weights)
            found[i] += h
    return found


def naive_query(query, support, weights, steps):
    """Appendix A.1, equations 3 to 6, with the hidden state [h, r] as in the paper."""
    kernel, recurrent, bias = weights
    dim = query.shape[1]
    kernel, recurrent = kernel[:dim], np.concatenate([recurrent, kernel[dim:]])
    found = []
    for x in query:
        h, c = x, np.zeros(dim)
        for _ in range(steps):
            attention = np.array([np.exp(h @ g) for g in support])
            r = sum(a * g for a, g in zip(attention / attention.sum(), support, strict=True))
            out, c = lstm_step(x, np.concatenate([h, r]), c, (kernel, recurrent, bias))
            h = out + x
        found.append(h)
    return np.array(found)


def weights_of(layer):
    """Three arrays an LSTM, biases away from their start."""
    rng = np.random.default_rng(1)
    for variable in layer.trainable_variables:
        variable.assign(rng.normal(0, 0.5, variable.shape))
    arrays = [v.numpy() for v in layer.trainable_variables]
    return [arrays[i : i + 3] for i in range(0, len(arrays), 3)]


def test_support_context_agrees_with_loops_and_depends_on_the_order():
    rng = np.random.default_rng(0)
    layer = full_context.SupportContext(dtype="float64")
    layer.build((None, 4))
    forwards, backwards = weights_of(layer)
    support = rng.normal(size=(6, 4))
    found = layer(tf.constant(support)).numpy()
    np.testing.assert_allclose(found, naive_support(support, forwards, backwards), rtol=1e-9)
    order = np.array([3, 0, 5, 1, 4, 2])
    assert np.abs(layer(tf.constant(support[order])).numpy() - found[order]).max() > 1e-3


@pytest.mark.parametrize("steps", [0, 1, 2, 5])
def test_query_context_agrees_with_loops_and_not_with_the_order(steps):
    rng = np.random.default_rng(0)
    layer = full_context.QueryContext(steps, dtype="float64")
    layer.build((None, 4))
    (weights,) = weights_of(layer)
    query, support = rng.normal(size=(3, 4)), rng.normal(size=(6, 4))
    found = layer(tf.constant(query), tf.constant(support)).numpy()
    np.testing.assert_allclose(found, naive_query(query, support, weights, steps), rtol=1e-9)
    np.testing.assert_allclose(layer(tf.constant(query), tf.constant(support[::-1])), found, rtol=1e-9)
    alone = [layer(tf.constant(query[j : j + 1]), tf.constant(support))[0] for j in range(3)]
    np.testing.assert_allclose(alone, found, rtol=1e-9, err_msg="queries see each other")
    assert (np.abs(found - query).max() > 1e-3) == (steps > 0)


def test_the_layers_return_to_themselves_from_their_configuration():
    layer = full_context.QueryContext(3, name="mine")
    again = keras.layers.deserialize(keras.layers.serialize(layer))
    assert (type(again), again.steps, again.name) == (full_context.QueryContext, 3, "mine")


def test_a_second_derivative_flows_through_both_contexts():
    """cuDNN's LSTM has none, so the layers must not use it wherever they run."""
    rng = np.random.default_rng(0)
    support_layer, query_layer = (
        full_context.SupportContext(dtype="float64"),
        full_context.QueryContext(2, dtype="float64"),
    )
    support, query = tf.constant(rng.normal(size=(4, 3))), tf.constant(rng.normal(size=(2, 3)))
    direction = tf.constant(rng.normal(size=(4, 3)))
    query_layer(query, support_layer(support))
    assert (support_layer.forwards.use_cudnn, support_layer.backwards.use_cudnn) == (False, False)

    def slope(x):
        with tf.GradientTape() as tape:
            tape.watch(x)
            value = tf.reduce_sum(query_layer(query, support_layer(x)) ** 2)
        return tape.gradient(value, x)

    with tf.GradientTape() as outer:
        outer.watch(support)
        along = tf.reduce_sum(slope(support) * direction)
    found = outer.gradient(along, support)
    e = 1e-4
    expected = (
        8 * (slope(support + e * direction) - slope(support - e * direction))
        - (slope(support + 2 * e * direction) - slope(support - 2 * e * direction))
    ) / (12 * e)
    np.testing.assert_allclose(found, expected, rtol=1e-7, atol=1e-10)


# -- in the learner -------------------------------------------------------------------------------------------------
@pytest.fixture
def double():
    """A learner in float64 without an encoder to speak of: one linear layer."""
    keras.utils.set_random_seed(0)
    encoder = keras.Sequential([keras.Input((6,), dtype="float64"), keras.layers.Dense(3, dtype="float64")])
    learner = tfmeta.MatchingNetwork(encoder, full_context=True, processing_steps=2, scale=2.0)
    learner.compile(optimizer=keras.optimizers.SGD(1.0))
    return learner


def naive_loss(arrays, episode):
    W, b, log_scale, *lstms = arrays
    support, query = episode.support_x.numpy() @ W + b, episode.query_x.numpy() @ W + b
    support = naive_support(support, lstms[:3], lstms[3:6])
    query = naive_query(query, support, lstms[6:], 2)
    found = naive_probabilities(support, episode.support_y.numpy(), query, np.exp(log_scale))
    return -np.mean(np.log(found[np.arange(len(query)), episode.query_y.numpy()])), found


def test_query_outputs_are_the_appendix_then_equation_1(double, random_episodes):
    one = task(random_episodes())
    arrays = [
        v.numpy()
        for v in (
            *double.encoder.trainable_variables,
            *double.meta_variables[len(double.encoder.trainable_variables) :],
        )
    ]
    np.testing.assert_allclose(np.exp(double.query_outputs(one)), naive_loss(arrays, one)[1], rtol=1e-9)


@pytest.mark.slow
def test_train_step_is_the_mean_gradient_by_finite_differences(double, random_episodes):
    """Of the encoder, the scale and all three LSTMs."""
    episodes = random_episodes(batch=2, k_shot=1, n_query=2)
    variables = double.meta_variables
    assert len(variables) == 2 + 1 + 9
    start = [v.numpy().copy() for v in variables]

    def loss(arrays):
        return np.mean([naive_loss(arrays, task(episodes, i))[0] for i in range(2)])

    reported = double.fit(once(episodes), verbose=0).history["loss"][0]
    assert reported == pytest.approx(loss(start), rel=1e-5)
    for k, (old, variable) in enumerate(zip(start, variables, strict=True)):
        slope = old - variable.numpy()
        # Along three random directions: all entries one by one would take a minute.
        for direction in np.random.default_rng(k).normal(size=(3, *old.shape)):
            ends = []
            for h in (1e-5, -1e-5):
                moved = list(start)
                moved[k] = old + h * direction
                ends.append(loss(moved))
            expected = (ends[0] - ends[1]) / 2e-5
            assert np.sum(slope * direction) == pytest.approx(expected, rel=1e-5, abs=1e-9)
        assert np.abs(slope).max() > 1e-6


def test_an_encoder_of_unknown_width_is_refused():
    @keras.saving.register_keras_serializable("tests")
    class Unknown(keras.Model):
        def __init__(self, **options):
            super().__init__(**options)
            self.dense = keras.layers.Dense(3)

        def call(self, x):
            return self.dense(x)

    encoder = Unknown(name="mystery")
    encoder(tf.zeros([1, 6]))
    tfmeta.MatchingNetwork(encoder)  # which needs no width
    with pytest.raises(ValueError, match=r"full_context=True needs.*Received: encoder='mystery' of type Unknown"):
        tfmeta.MatchingNetwork(encoder, full_context=True)
