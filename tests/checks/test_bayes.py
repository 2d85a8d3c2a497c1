"""The checks of draws, divergences and posteriors accept right answers in any form and reject the known wrong ones."""

import numpy as np
import tensorflow as tf

from tests.checks.table import assert_right, assert_wrong, rows
from tfmeta import checks
from tfmeta.core import bayesian_linear as library
from tfmeta.core import gaussians


def draw(spread):
    return lambda means, logs, noise: [m + spread(v) * e for m, v, e in zip(means, logs, noise, strict=True)]


def in_place(means, logs, noise):
    for i in range(len(means)):
        means[i] = means[i] + tf.exp(logs[i] / 2) * noise[i]
    return means


DRAW = draw(lambda v: tf.exp(v / 2))
RIGHT_DRAWS = [
    ("as on the page", DRAW),
    ("a root", draw(lambda v: tf.sqrt(tf.exp(v)))),
    ("noise turned", draw(lambda v: -tf.exp(0.5 * v))),
    ("a tuple", lambda *args: tuple(DRAW(*args))),
    ("a graph", tf.function(DRAW)),
    ("a power", draw(lambda v: tf.exp(v) ** 0.5)),
]
WRONG_DRAWS = [
    ("by the variance", draw(tf.exp)),
    ("by the logarithm of the variance", draw(lambda v: v)),
    ("the exponential is missing", draw(lambda v: v / 2)),
    ("root of the logarithm", draw(lambda v: tf.sqrt(tf.abs(v)))),
    ("doubled the logarithm", draw(lambda v: tf.exp(2 * v))),
    ("divides the noise", draw(lambda v: tf.exp(-v / 2))),
    ("softplus", draw(tf.nn.softplus)),
    ("the variances are missing", draw(tf.ones_like)),
    ("these are the means", lambda m, v, e: m),
    ("the means are missing", lambda m, v, e: [tf.exp(a / 2) * b for a, b in zip(v, e, strict=True)]),
    ("is not mean + exp", draw(lambda v: 3 * tf.exp(v / 2))),
    ("wrote into the list `means`", in_place),
    ("no gradient reaches the means", lambda m, v, e: DRAW([tf.stop_gradient(t) for t in m], v, e)),
    ("no gradient reaches the log variances", lambda m, v, e: DRAW(m, [tf.stop_gradient(t) for t in v], e)),
    ("no gradient reaches", lambda m, v, e: [t.numpy() for t in DRAW(m, v, e)]),
    ("a list of 2 tensors", lambda m, v, e: m[0]),
]


@rows(RIGHT_DRAWS)
def test_right_draws(words, answer):
    assert_right(checks.sample_theta, answer, words)


@rows(WRONG_DRAWS)
def test_wrong_draws(words, answer):
    assert_wrong(checks.sample_theta, answer, words)


def each(m_q, l_q, m_p, l_p):
    return 0.5 * (l_p - l_q + (tf.exp(l_q) + (m_q - m_p) ** 2) / tf.exp(l_p) - 1)


def of(change):
    return lambda *four: tf.reduce_sum(change(each, *four))


def other(m_q, l_q, m_p, l_p):
    return each(m_p, l_p, m_q, l_q)


RIGHT_DIVERGENCES = [
    ("as on the page", lambda *four: tf.reduce_sum(each(*four))),
    ("the library", lambda *four: gaussians.gaussian_kl(*([t] for t in four))),
    ("one number in an array", lambda *four: tf.reduce_sum(each(*four), keepdims=True)),
    ("a graph", tf.function(lambda *four: tf.reduce_sum(each(*four)))),
    ("a sum of numbers", lambda *four: sum(tf.unstack(each(*four)))),
]
WRONG_DIVERGENCES = [
    ("the other direction", lambda *f: tf.reduce_sum(other(*f))),
    ("mean over weights", lambda *f: tf.reduce_mean(each(*f))),
    ("the mean of both directions", lambda *f: tf.reduce_sum(each(*f) + other(*f)) / 2),
    ("the sum of both directions", lambda *f: tf.reduce_sum(each(*f) + other(*f))),
    ("1/2 is missing", lambda *f: 2 * tf.reduce_sum(each(*f))),
    ("-1 is missing", lambda *f: tf.reduce_sum(each(*f) + 0.5)),
    ("not once to the sum", lambda *f: tf.reduce_sum(each(*f) + 0.5) - 0.5),
    ("logarithm of the two variances is missing", lambda a, b, c, d: tf.reduce_sum(each(a, b, c, d) - (d - b) / 2)),
    ("wrong sign: it is log", lambda a, b, c, d: tf.reduce_sum(each(a, b, c, d) - (d - b))),
    ("minus the divergence", lambda *f: -tf.reduce_sum(each(*f))),
    ("distance of the means is missing", lambda a, b, c, d: tf.reduce_sum(each(a, b, a, d))),
    ("is divided by v_p", lambda a, b, c, d: tf.reduce_sum(each(a, b, a, d) + (a - c) ** 2 / 2)),
    ("belongs to v_p", lambda a, b, c, d: tf.reduce_sum(each(a, b, a, d) + (a - c) ** 2 / tf.exp(b) / 2)),
    ("means is squared", lambda a, b, c, d: tf.reduce_sum(each(a, b, a, d) + tf.abs(a - c) / tf.exp(d) / 2)),
    ("of standard deviations", lambda a, b, c, d: tf.reduce_sum(each(a, 2 * b, c, 2 * d))),
    ("in bits", lambda *f: tf.reduce_sum(each(*f)) / np.log(2.0)),
    ("is not half the sum", lambda *f: 7 * tf.reduce_sum(each(*f))),
    ("one number", each),
    ("no gradient reaches the mean of p", lambda a, b, c, d: tf.reduce_sum(each(a, b, tf.stop_gradient(c), d))),
    ("no gradient reaches", lambda *f: float(tf.reduce_sum(each(*f)))),
]


@rows(RIGHT_DIVERGENCES)
def test_right_divergences(words, answer):
    assert_right(checks.gaussian_kl, answer, words)


@rows(WRONG_DIVERGENCES)
def test_wrong_divergences(words, answer):
    assert_wrong(checks.gaussian_kl, answer, words)


def sharper(x, p):
    return p + tf.transpose(x) @ x


def told(x, y):
    return tf.transpose(x) @ y


def joint(x, y, m, p):
    return p @ m + told(x, y)


def posterior(x, y, m, p):
    return tf.linalg.solve(sharper(x, p), joint(x, y, m, p)), sharper(x, p)


def with_mean(function):
    return lambda x, y, m, p: (function(x, y, m, p), posterior(x, y, m, p)[1])


def with_precision(function):
    return lambda x, y, m, p: (posterior(x, y, m, p)[0], function(x, p))


RIGHT_POSTERIORS = [
    ("as on the page", posterior),
    ("the library", lambda *four: library.bayesian_linear(*four)),
    ("a list", lambda *four: list(posterior(*four))),
    (
        "an inverse",
        with_mean(lambda x, y, m, p: tf.linalg.inv(sharper(x, p)) @ joint(x, y, m, p)),
    ),
    ("a graph", tf.function(posterior)),
]
WRONG_POSTERIORS = [
    ("the covariance", with_precision(lambda x, p: tf.linalg.inv(sharper(x, p)))),
    ("prior's precision is missing", with_precision(lambda x, p: tf.transpose(x) @ x)),
    ("this is the prior's precision", with_precision(lambda x, p: p)),
    ("mean over points", with_precision(lambda x, p: p + (sharper(x, p) - p) / max(len(x), 1))),
    ("added a covariance", with_precision(lambda x, p: tf.linalg.inv(p) + tf.transpose(x) @ x)),
    ("the sign is wrong", with_precision(lambda x, p: p - tf.transpose(x) @ x)),
    ("not L0 + X'X", with_precision(lambda x, p: p + sharper(x, p))),
    ("prior's mean is missing", lambda x, y, m, p: posterior(x, y, 0 * m, p)),
    ("weighted by its precision", with_mean(lambda x, y, m, p: tf.linalg.solve(sharper(x, p), m + told(x, y)))),
    ("the last step is missing", with_mean(lambda x, y, m, p: joint(x, y, m, p))),
    ("where its inverse belongs", with_mean(lambda x, y, m, p: sharper(x, p) @ joint(x, y, m, p))),
    ("points are not used", with_mean(lambda x, y, m, p: m)),
    ("own prediction is subtracted", with_mean(lambda x, y, m, p: m + tf.linalg.solve(sharper(x, p), told(x, y)))),
    ("least squares", with_mean(lambda x, y, m, p: tf.linalg.pinv(x) @ y)),
    ("solved with the prior's precision", with_mean(lambda x, y, m, p: tf.linalg.solve(p, joint(x, y, m, p)))),
    ("exchanged", lambda *four: posterior(*four)[::-1]),
    ("two things", lambda *four: posterior(*four)[0]),
    ("the mean must have shape", lambda *four: (tf.transpose(posterior(*four)[0]), posterior(*four)[1])),
    ("no gradient reaches the prior's mean", lambda x, y, m, p: posterior(x, y, tf.stop_gradient(m), p)),
    ("no gradient reaches", lambda *four: [t.numpy() for t in posterior(*four)]),
]  # fmt: skip


@rows(RIGHT_POSTERIORS)
def test_right_posteriors(words, answer):
    assert_right(checks.bayesian_linear, answer, words)


@rows(WRONG_POSTERIORS)
def test_wrong_posteriors(words, answer):
    assert_wrong(checks.bayesian_linear, answer, words)
