"""Draws and divergence of Gaussians over weights: hand values, a hundred thousand samples, gradients."""

import math

import numpy as np
import pytest
import tensorflow as tf

from tests.algorithms.differences import assert_is_gradient
from tfmeta.core.gaussians import gaussian_kl, sample_gaussian
from tfmeta.core.inner_loop import meta_gradient

rng = np.random.default_rng(0)


def tensor(*shape):
    return tf.constant(rng.normal(size=shape))


SHAPES = ((2, 3), (4,), ())
Q, P = ([tensor(*s) for s in SHAPES], [tensor(*s) for s in SHAPES]), ([tensor(*s) for s in SHAPES],) * 2


def one(value):
    return [tf.constant([value], tf.float64)]


@pytest.mark.parametrize(
    ("mean", "variance", "other_mean", "other_variance", "expected"),
    [
        (0.0, 1.0, 0.0, 1.0, 0.0),
        (1.0, 1.0, 0.0, 1.0, 0.5),
        (0.0, 4.0, 0.0, 1.0, 0.5 * (4 - 1 - math.log(4))),
        (0.0, 1.0, 0.0, 4.0, 0.5 * (0.25 - 1 + math.log(4))),
        (3.0, 0.25, 1.0, 2.0, 0.5 * (math.log(8) + 0.125 + 2.0 - 1)),
    ],
)
def test_divergence_by_hand(mean, variance, other_mean, other_variance, expected):
    logs = one(math.log(variance)), one(math.log(other_variance))
    found = gaussian_kl(one(mean), logs[0], one(other_mean), logs[1])
    assert float(found) == pytest.approx(expected, abs=1e-12)


def test_divergence_is_the_mean_log_ratio_of_samples_and_not_symmetric():
    def log_density(x, means, logs):
        return -0.5 * sum(
            tf.reduce_sum((w - m) ** 2 / tf.exp(v) + v, axis=list(range(1, w.shape.rank)))
            for w, m, v in zip(x, means, logs, strict=True)
        )

    n = 100_000
    drawn = [m + tf.exp(0.5 * v) * tf.constant(rng.normal(size=(n, *m.shape))) for m, v in zip(*Q, strict=True)]
    ratios = log_density(drawn, *Q) - log_density(drawn, *P)
    exact, error = float(gaussian_kl(*Q, *P)), float(tf.math.reduce_std(ratios)) / math.sqrt(n)
    assert float(tf.reduce_mean(ratios)) == pytest.approx(exact, abs=4 * error)
    assert abs(exact - float(gaussian_kl(*P, *Q))) > 20 * error


def test_draws_have_the_mean_and_the_variance_and_one_key_one_draw():
    means, logs = one(2.0), one(math.log(9.0))
    found = np.array([sample_gaussian(means, logs, key)[0][0] for key in range(2000)])
    assert found.mean() == pytest.approx(2.0, abs=4 * 3 / math.sqrt(2000))
    assert found.std() == pytest.approx(3.0, rel=0.1)
    again = sample_gaussian(*Q, 7)
    for a, b, c in zip(again, sample_gaussian(*Q, tf.constant(7, tf.int64)), sample_gaussian(*Q, 8), strict=True):
        np.testing.assert_array_equal(a, b)
        assert np.abs(a - c).min() > 0
    twice = sample_gaussian([tf.zeros(5), tf.zeros(5)], [tf.zeros(5), tf.zeros(5)], 0)
    assert np.abs(twice[0] - twice[1]).min() > 0  # noise of its own for every tensor


def test_gradients_reach_means_and_variances():
    everything = [*Q[0], *Q[1], *P[0], *P[1]]

    def loss(values):
        values = [tf.convert_to_tensor(v) for v in values]
        q, p = (values[:3], values[3:6]), (values[6:9], values[9:])
        return gaussian_kl(*q, *p) + tf.add_n([tf.reduce_sum(tf.sin(w)) for w in sample_gaussian(*q, 3)])

    assert_is_gradient(meta_gradient(loss, everything)[1], loss, everything, rel=1e-7)


def test_lists_of_other_lengths_are_refused():
    with pytest.raises(ValueError, match=r"lists of as many tensors. Received: lists of 3, 2"):
        sample_gaussian(Q[0], Q[1][:2], 0)
    with pytest.raises(ValueError, match="Received: lists of 3, 3, 3, 1"):
        gaussian_kl(*Q, P[0], P[1][:1])
