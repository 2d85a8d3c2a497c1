"""The learned update rule: its preprocessing by hand, its gates at their limits, coordinates that share one LSTM."""

import math

import numpy as np
import pytest
import tensorflow as tf

from tests.algorithms.differences import assert_is_gradient, assert_same
from tfmeta.core.constant_memory import adapt_in_constant_memory
from tfmeta.core.inner_loop import adapt, meta_gradient
from tfmeta.core.learned_updates import UpdateNetwork, first_state, lstm, lstm_step, preprocess
from tfmeta.core.updates import sgd

UNITS, STEPS = 3, 4
rng = np.random.default_rng(0)


def tensor(*shape, scale=0.5):
    return tf.constant(scale * rng.normal(size=shape))


def rule(forget_bias=3.0, gain_bias=-2.0, scale=0.5, gates=0.5):
    wide = [tensor(4, 4 * UNITS, scale=scale), tensor(UNITS, 4 * UNITS, scale=scale), tensor(4 * UNITS, scale=scale)]
    forget, gain = (tensor(UNITS + 2, scale=gates) for _ in range(2))
    return UpdateNetwork(*wide, forget, number(forget_bias), gain, number(gain_bias))


def number(value):
    return tf.constant(value, tf.float64)


X, Y, XQ, YQ = tensor(7, 3), tensor(7, 2), tensor(9, 3), tensor(9, 2)
THETA = [tensor(3, 4), tensor(4), tensor(4, 2)]


def squared_error(params, x, y):
    return tf.reduce_mean((tf.tanh(x @ params[0] + params[1]) @ params[2] - y) ** 2)


def support_loss(params, k):
    return squared_error(params, X, Y)


def test_weights_of_several_tasks_move_together_each_with_its_own_loss():
    network, alone = rule(), []
    thetas, gradients, losses = tensor(2, 5), tensor(2, 5), tensor(2)
    joined = first_state(10, UNITS, tf.float64)
    states = [first_state(5, UNITS, tf.float64)] * 2
    theta, rows = tf.reshape(thetas, [-1]), tf.unstack(thetas)
    for _ in range(3):
        theta, joined = lstm_step(theta, tf.reshape(gradients, [-1]), tf.repeat(losses, 5), joined, network)
        alone = [lstm_step(*each, network) for each in zip(rows, gradients, losses, states, strict=True)]
        rows, states = (list(part) for part in zip(*alone, strict=True))
    np.testing.assert_allclose(theta, np.concatenate(rows), rtol=1e-12)
    assert np.abs(np.diff(losses)) > 1e-3, "both losses are the same, so that it does not matter which is read"


# -- preprocessing -----------------------------------------------------------------------------------------------------
def test_preprocess_by_hand():
    x = tf.constant([1.0, -math.e, math.exp(-5), 0.0, -math.exp(-12), math.exp(-11)], tf.float64)
    expected = [[0, 1], [0.1, -1], [-0.5, 1], [-1, 0], [-1, -math.exp(-2)], [-1, math.exp(-1)]]
    np.testing.assert_allclose(preprocess(x), expected, rtol=1e-12, atol=1e-15)


@pytest.mark.parametrize("sign", [1, -1])
@pytest.mark.parametrize("p", [10.0, 7.0])
def test_preprocess_is_continuous_at_the_threshold(sign, p):
    edge = sign * math.exp(-p)
    below, above = preprocess(tf.constant([edge * (1 - 1e-9), edge * (1 + 1e-9)], tf.float64), p).numpy()
    np.testing.assert_allclose(below, [-1, sign], rtol=1e-8)
    np.testing.assert_allclose(above, [-1, sign], rtol=1e-8)


def test_preprocess_is_a_constant_and_keeps_shape_and_type():
    x = tf.Variable(tensor(2, 3))
    with tf.GradientTape() as tape:
        found = preprocess(x)
    assert found.shape == (2, 3, 2)
    assert found.dtype == tf.float64
    assert tape.gradient(found, x) is None
    assert np.isfinite(preprocess(tf.zeros(4))).all()


def test_bad_input_of_preprocess_is_refused():
    with pytest.raises(ValueError, match=r"p must be a number above 0\. Received: p=0"):
        preprocess(tf.constant(1.0), 0)
    with pytest.raises(ValueError, match=r"x must be floating-point numbers\. Received: x with dtype=int32"):
        preprocess(tf.constant([1, 2]))


# -- limits of the gates -----------------------------------------------------------------------------------------------
def logit(share):
    return math.log(share / (1 - share))


def test_open_forget_gate_and_constant_gain_is_gradient_descent():
    rate = 0.1
    still = rule(40.0, logit(rate), gates=0.0)
    assert_same(
        adapt(support_loss, THETA, lstm(still), STEPS).params,
        adapt(support_loss, THETA, sgd(rate), STEPS).params,
        rtol=1e-12,
    )

    def outer(update):
        def loss(theta):
            return squared_error(adapt(support_loss, theta, update, STEPS, first_order=True).params, XQ, YQ)

        return meta_gradient(loss, THETA)[1]

    # FOMAML's gradient: the rule has no second derivative even where nobody asks for the first order.
    assert_same(outer(lstm(still)), outer(sgd(rate)), rtol=1e-12)


@pytest.mark.parametrize(("forget", "gain", "kept"), [(40.0, -40.0, 1.0), (-40.0, -40.0, 0.0)])
def test_closed_gates_keep_or_forget_everything(forget, gain, kept):
    found = adapt(lambda params, k: 1e3 * support_loss(params, k), THETA, lstm(rule(forget, gain, gates=0.0)), STEPS)
    assert_same(found.params, [kept * w for w in THETA], rtol=1e-12, atol=1e-10)


# -- one LSTM for all coordinates --------------------------------------------------------------------------------------
def test_coordinates_permute():
    n, network = 6, rule()
    theta, gradient, order = tensor(n), tensor(n), rng.permutation(6)
    state = first_state(n, UNITS, tf.float64)
    for loss in (number(2.0), number(1e-7)):
        moved, after = lstm_step(theta, gradient, loss, state, network)
        permuted = type(state)(*(tf.gather(part, order) for part in state))
        again, after_again = lstm_step(tf.gather(theta, order), tf.gather(gradient, order), loss, permuted, network)
        np.testing.assert_allclose(again, tf.gather(moved, order), rtol=1e-12)
        assert_same(after_again, [tf.gather(part, order) for part in after], rtol=1e-12)
        theta, state = moved, after
    # Different gradients are told apart; the loss is read, too.
    assert len(set(np.round(after.gain.numpy(), 12))) == n
    other, _ = lstm_step(theta, gradient, number(3.0), state, network)
    assert np.abs(other - lstm_step(theta, gradient, number(0.3), state, network)[0]).max() > 1e-6


def test_a_step_is_the_papers_equations():
    """A naive NumPy loop over coordinates."""
    n, network = 5, [np.array(part) for part in rule()]
    kernel, recurrent, bias, forget, forget_bias, gain, gain_bias = network
    theta, gradients, losses = tensor(n).numpy(), tensor(3, n, scale=0.1).numpy(), [0.5, 1e-6, 20.0]
    sigmoid = lambda x: 1 / (1 + np.exp(-x))  # noqa: E731

    def rho(x):
        return [math.log(abs(x)) / 10, np.sign(x)] if abs(x) >= math.exp(-10) else [-1, math.exp(10) * x]

    state, found = first_state(n, UNITS, tf.float64), tf.constant(theta)
    h, c, f, i = np.zeros((n, UNITS)), np.zeros((n, UNITS)), np.zeros(n), np.zeros(n)
    for gradient, loss in zip(gradients, losses, strict=True):
        found, state = lstm_step(found, tf.constant(gradient), number(loss), state, UpdateNetwork(*network))
        for j in range(n):
            parts = np.split(np.array([*rho(gradient[j]), *rho(loss)]) @ kernel + h[j] @ recurrent + bias, 4)
            c[j] = sigmoid(parts[1]) * c[j] + sigmoid(parts[0]) * np.tanh(parts[2])
            h[j] = sigmoid(parts[3]) * np.tanh(c[j])
            f[j] = forget @ [*h[j], theta[j], f[j]] + forget_bias
            i[j] = gain @ [*h[j], theta[j], i[j]] + gain_bias
            theta[j] = sigmoid(f[j]) * theta[j] - sigmoid(i[j]) * gradient[j]
        np.testing.assert_allclose(found, theta, rtol=1e-12)
        assert_same(state, [h, c, f, i], rtol=1e-12)


# -- gradients ---------------------------------------------------------------------------------------------------------
def recorded(theta, network):
    """Gradients and losses along the way, as constants."""
    found, moving = [], [tf.identity(w) for w in theta]
    update = lstm(network)
    state = update.init(moving)
    for k in range(STEPS):
        with tf.GradientTape() as tape:
            tape.watch(moving)
            value = support_loss(moving, k)
        found.append((tape.gradient(value, moving), value))
        moving, state = update.step(k, moving, *found[-1][:1], state, update.learned, value)
    return found


def test_gradients_are_those_of_the_replayed_gradients_and_not_of_live_ones():
    network = rule()
    everything, n = [*THETA, *network], len(THETA)
    path = recorded(THETA, network)

    def replayed(values):
        values = [tf.convert_to_tensor(v) for v in values]
        update, moving = lstm(values[n:]), values[:n]
        state = update.init(moving)
        for k, (gradients, value) in enumerate(path):
            moving, state = update.step(k, moving, gradients, state, update.learned, value)
        return squared_error(moving, XQ, YQ)

    def live(values):
        values = [tf.convert_to_tensor(v) for v in values]
        return squared_error(adapt(support_loss, values[:n], lstm(values[n:]), STEPS).params, XQ, YQ)

    value, gradients = meta_gradient(live, everything)
    assert float(value) == pytest.approx(float(replayed(everything)), rel=1e-12)
    assert_is_gradient(gradients, replayed, everything, rel=1e-6)
    with pytest.raises(AssertionError):
        assert_is_gradient(gradients, live, everything, rel=1e-3)


def test_constant_memory_gives_the_same_gradient():
    network = rule()

    def outer(loop):
        def loss(values):
            return squared_error(loop(support_loss, values[:3], lstm(values[3:]), STEPS).params, XQ, YQ)

        return meta_gradient(loss, [*THETA, *network])

    (value, gradients), (again, found) = outer(adapt), outer(adapt_in_constant_memory)
    np.testing.assert_allclose(again, value, rtol=1e-12)
    # Not second derivatives of the support loss, which two tapes leave out because the rule cuts them.
    assert_same(found, gradients, rtol=1e-9, atol=1e-14)
