"""The checks of the cell-state update and of the preprocessed gradient reject the known wrong ways."""

import functools

import numpy as np
import pytest
import tensorflow as tf

from tests.checks.table import assert_right, assert_wrong
from tfmeta import checks
from tfmeta.core import learned_updates

sigmoid, mean = tf.sigmoid, tf.reduce_mean


def cell(theta, gradient, forget, gain):
    return sigmoid(forget) * theta - sigmoid(gain) * gradient


def in_double(theta, gradient, forget, gain):
    theta, gradient, forget, gain = (tf.cast(t, tf.float64) for t in (theta, gradient, forget, gain))
    return cell(theta, gradient, forget, gain)


@tf.function(input_signature=[tf.TensorSpec(None, tf.float64)] * 4)
def for_double_alone(theta, gradient, forget, gain):
    return cell(theta, gradient, forget, gain)


def by_the_library(theta, gradient, forget, gain):
    """The library's step with an LSTM that says nothing, and gates that say what was asked for."""
    flat = [tf.reshape(t, [-1]) for t in (theta, gradient, forget, gain)]
    n = len(flat[0])
    rule = [tf.zeros(shape) for shape in ((4, 4), (1, 4), (4,))]
    echo = tf.constant([0.0, 0.0, 1.0])  # each gate repeats its own value before
    network = learned_updates.UpdateNetwork(*rule, echo, tf.zeros(()), echo, tf.zeros(()))
    state = learned_updates.first_state(n, 1)._replace(forget=flat[2], gain=flat[3])
    return tf.reshape(learned_updates.lstm_step(flat[0], flat[1], tf.ones(()), state, network)[0], theta.shape)


RIGHT_CELL = [
    ("as on the page", cell),
    ("the library", by_the_library),
    ("add minus", lambda w, g, f, i: tf.add(sigmoid(f) * w, -(sigmoid(i) * g))),
    ("by hand", lambda w, g, f, i: w / (1 + tf.exp(-f)) - g / (1 + tf.exp(-i))),
    ("with a tanh of half", lambda w, g, f, i: (tf.tanh(f / 2) + 1) / 2 * w - (1 + tf.tanh(i / 2)) / 2 * g),
    ("a constant gradient", lambda w, g, f, i: cell(w, tf.stop_gradient(g), f, i)),
    ("double precision", in_double),
    ("for double precision alone", for_double_alone),
    ("a graph", tf.function(cell)),
    ("a partial", functools.partial(lambda sign, *args: cell(*args), 1)),
    ("rows in a list", lambda *args: [cell(*rows) for rows in zip(*map(tf.unstack, args), strict=True)]),
    ("rows in a tuple", lambda *args: tuple(cell(*rows) for rows in zip(*map(tf.unstack, args), strict=True))),
]
WRONG_CELL = [
    ("this climbs", lambda w, g, f, i: sigmoid(f) * w + sigmoid(i) * g),
    ("f = 1 - i, as a gated", lambda w, g, f, i: (1 - sigmoid(i)) * w - sigmoid(i) * g),
    ("f = 1 - i, and climb", lambda w, g, f, i: (1 - sigmoid(i)) * w + sigmoid(i) * g),
    ("i = 1 - f. Use both", lambda w, g, f, i: sigmoid(f) * w - (1 - sigmoid(f)) * g),
    ("i = 1 - f, and climb", lambda w, g, f, i: sigmoid(f) * w + (1 - sigmoid(f)) * g),
    ("the gates are exchanged", lambda w, g, f, i: sigmoid(i) * w - sigmoid(f) * g),
    ("before* their sigmoid", lambda w, g, f, i: f * w - i * g),
    ("lie between 0 and 1", lambda w, g, f, i: sigmoid(f) * w - i * g),
    ("a gate went through the sigmoid twice", lambda w, g, f, i: cell(w, g, sigmoid(f), sigmoid(i))),
    ("so take it once", lambda w, g, f, i: cell(w, g, f, sigmoid(i))),
    ("been through none", lambda w, g, f, i: cell(w, g, sigmoid(f), i)),
    ("one gate for the whole tensor", lambda w, g, f, i: mean(sigmoid(f)) * w - mean(sigmoid(i)) * g),
    ("Every weight has its own", lambda w, g, f, i: cell(w, g, mean(f), mean(i))),
    ("multiply element by element", lambda w, g, f, i: sigmoid(f) * w - mean(sigmoid(i)) * g),
    ("the forget gate is missing", lambda w, g, f, i: w - sigmoid(i) * g),
    ("the gain is missing", lambda w, g, f, i: sigmoid(f) * w - g),
    ("the gradient is missing", lambda w, g, f, i: sigmoid(f) * w),
    ("this is the step alone", lambda w, g, f, i: -sigmoid(i) * g),
    ("What the forget gate keeps", lambda w, g, f, i: sigmoid(i) * g),
    ("also weakens the step", lambda w, g, f, i: sigmoid(f) * (w - sigmoid(i) * g)),
    ("with a tanh around what comes in", lambda w, g, f, i: cell(w, tf.tanh(g), f, i)),
    ("the gradient's sign alone", lambda w, g, f, i: cell(w, tf.sign(g), f, i)),
    ("yours is a tanh", lambda w, g, f, i: tf.tanh(f) * w - tf.tanh(i) * g),
    ("yours is an exp", lambda w, g, f, i: tf.exp(f) * w - tf.exp(i) * g),
    ("theta came back unchanged", lambda w, g, f, i: w),
    ("this is not sigmoid(forget)", lambda w, g, f, i: sigmoid(f) * w - 2 * sigmoid(i) * g),
    ("theta' must have theta's shape", lambda w, g, f, i: tf.reduce_sum(cell(w, g, f, i), axis=-1)),
    ("no gradient reaches the theta or the forget gate or the gain", lambda *args: cell(*args).numpy()),
    ("no gradient reaches the gain", lambda w, g, f, i: cell(w, g, f, tf.stop_gradient(i))),
    ("no gradient reaches the forget gate", lambda w, g, f, i: cell(w, g, tf.stop_gradient(f), i)),
    ("which holds all earlier ones", lambda w, g, f, i: cell(tf.stop_gradient(w), g, f, i)),
    ("a part of the way is cut", lambda w, g, f, i: cell((w + tf.stop_gradient(w)) / 2, g, f, i)),
    ("there is a NaN", lambda w, g, f, i: cell(w, g, f, tf.math.log(-tf.abs(i)))),
]

AT = float(np.exp(-10.0))


def parts(x):
    """What the right answer is made of: |x|, whether it is large, and log|x| / 10 where it is."""
    size = tf.abs(x)
    large = size >= tf.cast(AT, x.dtype)
    return size, large, tf.math.log(tf.where(large, size, tf.ones_like(x))) / 10


def made(first=None, second=None, *, stop=True, axis=-1):
    """An answer from two numbers, each a function of x, |x|, the mask and the logarithm; right where none is given."""

    def answer(x):
        size, large, logarithm = parts(x)
        one = tf.where(large, logarithm, -tf.ones_like(x)) if first is None else first(x, size, large, logarithm)
        two = tf.where(large, tf.sign(x), x / AT) if second is None else second(x, size, large, logarithm)
        found = tf.stack([one, two], axis=axis)
        return tf.stop_gradient(found) if stop else found

    return answer


def branches(large_of):
    """An answer with another choice between large and small numbers."""

    def answer(x):
        size = tf.abs(x)
        large = large_of(x, size)
        logarithm = tf.math.log(tf.where(size > 0, size, tf.ones_like(x))) / 10
        first = tf.where(large, logarithm, -tf.ones_like(x))
        return tf.stop_gradient(tf.stack([first, tf.where(large, tf.sign(x), x / AT)], axis=-1))

    return answer


def one_by_one(x):
    pairs = [
        (np.log(abs(v)) / 10, np.sign(v)) if abs(v) >= AT else (-1.0, v / AT) for v in np.ravel(x).astype(np.float64)
    ]
    return np.reshape(pairs, (*x.shape, 2))


def masked(x):
    """A mask that multiplies: minus infinity times 0 is no number."""
    large = tf.cast(tf.abs(x) >= AT, x.dtype)
    first = large * tf.math.log(tf.abs(x)) / 10 - (1 - large)
    return tf.stop_gradient(tf.stack([first, large * tf.sign(x) + (1 - large) * x / AT], axis=-1))


RIGHT_PREPROCESS = [
    ("as on the page", made()),
    ("the library", learned_updates.preprocess),
    ("x is stopped first", lambda x: made(stop=False)(tf.stop_gradient(x))),
    ("a logarithm cut off", made(lambda x, s, big, g: tf.maximum(tf.math.log(s) / 10, -1.0))),
    ("a clipped sign", made(second=lambda x, s, big, g: tf.clip_by_value(x / AT, -1, 1))),
    ("NumPy, one by one", lambda x: one_by_one(x.numpy())),
    ("a list of pairs", lambda x: one_by_one(x.numpy()).tolist()),
    ("in double precision", lambda x: made()(tf.cast(x, tf.float64))),
    ("a graph", tf.function(made())),
    ("concatenated", lambda x: tf.concat([made()(x)[..., :1], made()(x)[..., 1:]], axis=-1)),
]
WRONG_PREPROCESS = [
    ("the sign is lost", made(second=lambda x, s, big, g: tf.ones_like(x))),
    ("it is small.", made(second=lambda x, s, big, g: tf.where(big, tf.ones_like(x), s / AT))),
    ("e^10 x where it is small", made(second=lambda x, s, big, g: tf.where(big, tf.sign(x), s / AT))),
    ("a NaN where x is negative", lambda x: tf.stop_gradient(tf.stack([
        tf.where(tf.abs(x) >= AT, tf.math.log(x) / 10, -tf.ones_like(x)), tf.sign(x)], axis=-1))),
    ("an infinity where x is 0", made(lambda x, s, big, g: tf.math.log(s) / 10)),
    ("a harmless number there", masked),
    ("the branches are exchanged", branches(lambda x, s: s < AT)),
    ("negative numbers all take the branch", branches(lambda x, s: x >= AT)),
    ("the wrong branch", branches(lambda x, s: s >= np.exp(-1))),
    ("the threshold is on |x|, e^-10", branches(lambda x, s: s >= 1e-10)),
    ("yours sends numbers", branches(lambda x, s: s >= 0.1)),
    ("small numbers get their sign alone", made(second=lambda x, s, big, g: tf.sign(x))),
    ("not x, which would jump", made(second=lambda x, s, big, g: tf.where(big, tf.sign(x), x))),
    ("not by e^-10", made(second=lambda x, s, big, g: tf.where(big, tf.sign(x), x * AT))),
    ("grows without bound", made(second=lambda x, s, big, g: x / AT)),
    ("sign x, not x", made(second=lambda x, s, big, g: tf.where(big, x, x / AT))),
    ("the two numbers are exchanged", lambda x: made()(x)[..., ::-1]),
    ("not divided by p", made(lambda x, s, big, g: tf.where(big, 10 * g, -10 * tf.ones_like(x)))),
    ("must give -1", made(lambda x, s, big, g: tf.where(big, 10 * g, -tf.ones_like(x)))),
    ("to base 10", made(lambda x, s, big, g: tf.where(big, g / np.log(10), -tf.ones_like(x)))),
    ("to base 2", made(lambda x, s, big, g: tf.where(big, g / np.log(2), -tf.ones_like(x)))),
    ("the logarithm has the wrong sign", made(lambda x, s, big, g: tf.where(big, -g, tf.ones_like(x)))),
    ("is -1, not 1", made(lambda x, s, big, g: tf.where(big, g, tf.ones_like(x)))),
    ("is -1, not 0", made(lambda x, s, big, g: tf.where(big, g, tf.zeros_like(x)))),
    ("goes on below the threshold", made(lambda x, s, big, g: tf.math.log(tf.where(s > 0, s, tf.ones_like(s))) / 10)),
    ("has the sign in it", made(lambda x, s, big, g: tf.where(big, g * tf.sign(x), -tf.ones_like(x)))),
    ("in the *last* axis", made(axis=0)),
    ("two numbers each, shape", lambda x: made()(x)[..., 0]),
    ("a gradient flows back", made(stop=False)),
    ("second derivatives", tf.function(made(stop=False))),
    ("the first number is right", made(second=lambda x, s, big, g: 2 * tf.sign(x))),
    ("the second number is right", made(lambda x, s, big, g: 2 * g)),
    ("this is not (log|x|", made(lambda x, s, big, g: s, lambda x, s, big, g: s)),
]  # fmt: skip

CASES = [
    (checks.cell_update, RIGHT_CELL, WRONG_CELL),
    (checks.preprocess, RIGHT_PREPROCESS, WRONG_PREPROCESS),
]


def parameters(column):
    return [
        pytest.param(case[0], *row, id=f"{case[0].__name__}-{row[0]}") for case in CASES for row in case[column]
    ]  # fmt: skip


@pytest.mark.parametrize(("check", "words", "answer"), parameters(1))
def test_right(check, words, answer):
    assert_right(check, answer)


@pytest.mark.parametrize(("check", "words", "answer"), parameters(2))
def test_wrong(check, words, answer):
    assert_wrong(check, answer, words)


@pytest.mark.parametrize("check", [check for check, _, _ in CASES])
def test_unfilled(check):
    assert check(lambda *_: ...).status == "not filled in yet"


def test_open_and_shut_gates_are_what_the_praise_says():
    theta, gradient = tf.constant([1.0, -2.0]), tf.constant([0.5, 4.0])
    logit = np.log(0.1 / 0.9)
    found = cell(theta, gradient, tf.fill([2], 40.0), tf.fill([2], np.float32(logit)))
    np.testing.assert_allclose(found, theta - 0.1 * gradient, rtol=1e-6)
    assert "With f = 1 and i = alpha it is SGD" in checks.cell_update(cell).message
