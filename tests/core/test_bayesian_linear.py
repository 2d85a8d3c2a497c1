"""Closed forms against other ways to the same numbers, and at their limits."""

import numpy as np
import pytest
import tensorflow as tf
from sklearn.linear_model import Ridge

from tests.algorithms.differences import assert_is_gradient
from tfmeta.core.bayesian_linear import bayesian_linear, predictive_factor, ridge_weights
from tfmeta.core.inner_loop import meta_gradient

rng = np.random.default_rng(0)
DIM, OUT = 4, 2


def tensor(*shape):
    return tf.constant(rng.normal(size=shape))


def data(n):
    return tensor(n, DIM), tensor(n, OUT)


ROOT = rng.normal(size=(DIM, DIM))
MEAN, PRECISION = tensor(DIM, OUT), tf.constant(ROOT @ ROOT.T + 0.1 * np.eye(DIM))


def test_ridge_is_that_of_scikit_learn():
    for n in (2, DIM, 9):  # by the n x n system, at equal sizes, and by the dim x dim one
        features, targets = data(n)
        for strength in (0.1, 3.0):
            expected = Ridge(alpha=strength, fit_intercept=False).fit(features, targets).coef_.T
            np.testing.assert_allclose(ridge_weights(features, targets, strength), expected, rtol=1e-8)
            prior = tf.zeros([DIM, OUT], tf.float64), strength * tf.eye(DIM, dtype=tf.float64)
            np.testing.assert_allclose(bayesian_linear(features, targets, *prior).mean, expected, rtol=1e-8)


def test_ridge_makes_its_loss_least():
    features, targets = data(3)
    found = ridge_weights(features, targets, 0.7)
    with tf.GradientTape() as tape:
        tape.watch(found)
        loss = tf.reduce_sum((features @ found - targets) ** 2) + 0.7 * tf.reduce_sum(found**2)
    np.testing.assert_allclose(tape.gradient(loss, found), 0.0, atol=1e-12)


def test_sizes_that_are_not_known_beforehand_give_the_same():
    features, targets = data(2)
    spec = [tf.TensorSpec([None, DIM], tf.float64), tf.TensorSpec([None, OUT], tf.float64)]
    unknown = tf.function(lambda x, y: ridge_weights(x, y, 0.5), input_signature=spec, autograph=False)
    np.testing.assert_allclose(unknown(features, targets), ridge_weights(features, targets, 0.5), rtol=1e-9)


def test_the_posterior_by_hand():
    """One weight, prior N(1, 1/2), two observations of noise 1: precision 2 + 1 + 4, mean (2 + 3 + 2 * 5) / 7."""
    column = lambda *values: tf.constant([[v] for v in values], tf.float64)  # noqa: E731
    mean, precision = bayesian_linear(column(1, 2), column(3, 5), column(1), column(2))
    np.testing.assert_allclose(precision, [[7.0]])
    np.testing.assert_allclose(mean, [[15 / 7]])
    np.testing.assert_allclose(predictive_factor(column(0, 3), precision), [1.0, 1 + 9 / 7])


def test_no_data_and_a_prior_that_is_sure_return_the_prior():
    features, targets = data(5)
    posterior = bayesian_linear(features[:0], targets[:0], MEAN, PRECISION)
    np.testing.assert_array_equal(posterior.mean, MEAN)
    np.testing.assert_array_equal(posterior.precision, PRECISION)
    sure = bayesian_linear(features, targets, MEAN, 1e14 * PRECISION)
    np.testing.assert_allclose(sure.mean, MEAN, rtol=1e-10)
    np.testing.assert_allclose(predictive_factor(features, sure.precision), 1.0, rtol=1e-10)


def test_data_one_by_one_are_data_together():
    features, targets = data(6)
    together, one_by_one = bayesian_linear(features, targets, MEAN, PRECISION), (MEAN, PRECISION)
    for i in range(6):
        one_by_one = bayesian_linear(features[i : i + 1], targets[i : i + 1], *one_by_one)
    np.testing.assert_allclose(one_by_one.mean, together.mean, rtol=1e-10)
    np.testing.assert_allclose(one_by_one.precision, together.precision, rtol=1e-10)
    order = rng.permutation(6)
    again = bayesian_linear(tf.gather(features, order), tf.gather(targets, order), MEAN, PRECISION)
    np.testing.assert_allclose(again.mean, together.mean, rtol=1e-10)


def test_enough_points_and_no_noise_interpolate():
    features, targets = data(DIM)
    # In units of the noise's variance, which goes to 0, the prior's precision does, too.
    posterior = bayesian_linear(features, targets, MEAN, 1e-10 * PRECISION)
    np.testing.assert_allclose(features @ posterior.mean, targets, atol=1e-6)
    far = bayesian_linear(features[:2], targets[:2], MEAN, 1e-10 * PRECISION)
    np.testing.assert_allclose(features[:2] @ far.mean, targets[:2], atol=1e-6)
    assert np.abs(features[2:] @ far.mean - targets[2:]).max() > 1e-2


def test_the_posterior_is_that_of_many_draws():
    """Weights drawn from the prior and weighted by their likelihood."""
    features, targets, noise = tensor(3, 2), tensor(3, 1), 0.8
    prior_mean, prior_precision = tensor(2, 1), tf.constant([[2.0, 0.3], [0.3, 1.0]], tf.float64)
    posterior = bayesian_linear(features, targets, prior_mean, prior_precision)
    spread = np.linalg.cholesky(np.linalg.inv(prior_precision) * noise**2)
    draws = prior_mean.numpy()[:, 0] + rng.normal(size=(400_000, 2)) @ spread.T
    log_weights = -0.5 * np.sum((draws @ features.numpy().T - targets.numpy()[:, 0]) ** 2, axis=1) / noise**2
    weights = np.exp(log_weights - log_weights.max())
    weights /= weights.sum()
    error = 1 / np.sqrt(1 / np.sum(weights**2))
    np.testing.assert_allclose(weights @ draws, posterior.mean[:, 0], atol=4 * error)
    new = np.array([0.5, -1.0])
    variance = weights @ (draws @ new - weights @ draws @ new) ** 2 + noise**2
    expected = float(predictive_factor(tf.constant(new[None]), posterior.precision)[0]) * noise**2
    assert variance == pytest.approx(expected, rel=0.05)


@pytest.mark.parametrize("n", [2, 7])
def test_gradients_flow_through_the_solution(n):
    everything = [tensor(n, DIM), tensor(n, OUT), tf.constant(0.3, tf.float64), MEAN, tf.constant(ROOT)]

    def loss(values):
        features, targets, strength, mean, root = (tf.convert_to_tensor(v) for v in values)
        posterior = bayesian_linear(features, targets, mean, root @ tf.transpose(root) + tf.eye(DIM, dtype=tf.float64))
        factor = predictive_factor(features, posterior.precision)
        ridge = ridge_weights(features, targets, tf.exp(strength))
        return tf.reduce_sum(tf.sin(posterior.mean)) + tf.reduce_sum(factor) + tf.reduce_sum(tf.cos(ridge))

    assert_is_gradient(meta_gradient(loss, everything)[1], loss, everything, rel=1e-6)


@pytest.mark.parametrize(
    ("call", "words"),
    [
        (lambda: ridge_weights(*data(3), 0.0), "strength must be a number above 0"),
        (lambda: ridge_weights(tensor(3, DIM), tensor(2, OUT), 1.0), "must have as many rows"),
        (lambda: ridge_weights(tensor(3), tensor(3, OUT), 1.0), "features must be float matrices"),
        (lambda: bayesian_linear(tensor(3, DIM), tensor(2, OUT), MEAN, PRECISION), r"Received: \(3, 4\), \(2, 2\)"),
        (lambda: bayesian_linear(*data(3), MEAN[:2], PRECISION), r"\(2, 2\), \(4, 4\)"),
        (lambda: bayesian_linear(*data(3), MEAN, PRECISION[:3]), r"shapes must be features"),
        (lambda: predictive_factor(tensor(2, 3), PRECISION), "of one dim"),
    ],
)
def test_shapes_that_do_not_fit_are_refused(call, words):
    with pytest.raises(ValueError, match=words):
        call()
