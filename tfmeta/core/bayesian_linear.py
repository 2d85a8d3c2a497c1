"""Linear models in closed form: ridge regression, and the posterior of a linear layer with a Gaussian prior.

Both are an inner loop that has run to its end: the weights are the exact minimum of a support loss. A gradient flows
through the solution into features, prior and strength.
"""

from __future__ import annotations

from typing import NamedTuple

import tensorflow as tf

from tfmeta.core.tensor_checks import check_rows
from tfmeta.core.updates import number
from tfmeta.core.validation import check_number


class LinearPosterior(NamedTuple):
    """What is known of the weights of a linear layer, in units of the noise's variance.

    Args:
        mean: `[dim, n_outputs]`.
        precision: Lambda, the inverse covariance of the weights of each output, times the variance of its noise,
            `[dim, dim]`.
    """

    mean: tf.Tensor
    precision: tf.Tensor


def bayesian_linear(
    features: tf.Tensor, targets: tf.Tensor, prior_mean: tf.Tensor, prior_precision: tf.Tensor
) -> LinearPosterior:
    """The posterior of y = phi W + noise for a Gaussian prior of W. Used as the next prior, it takes more data in.

    Args:
        features: phi, `[n, dim]`; n may be 0, which gives the prior.
        targets: `[n, n_outputs]`.
        prior_mean: `[dim, n_outputs]`.
        prior_precision: Lambda_0, `[dim, dim]`, symmetric and positive definite, as `LinearPosterior.precision`.

    Returns:
        The posterior: Lambda = Lambda_0 + phi' phi, and the mean Lambda^-1 (Lambda_0 W_0 + phi' y).

    Raises:
        ValueError: if shapes do not fit each other.

    References:
        Harrison, Sharma, Pavone (2018), "Meta-Learning Priors for Efficient Online Bayesian Regression", the posterior
        of the last layer. https://arxiv.org/abs/1807.08912; Bishop (2006), "Pattern Recognition and Machine Learning",
        section 3.3.1.
    """
    features, prior_precision = check_rows(features=features, prior_precision=prior_precision)
    targets, prior_mean = check_rows(targets=targets, prior_mean=prior_mean)
    fits = (
        features.shape[:1].is_compatible_with(targets.shape[:1])
        and prior_precision.shape.is_compatible_with([features.shape[1]] * 2)
        and prior_mean.shape[:1].is_compatible_with(features.shape[1:])
    )
    if not fits:
        raise ValueError(
            "shapes must be features [n, dim], targets [n, n_outputs], prior_mean [dim, n_outputs], prior_precision "
            f"[dim, dim]. Received: {tuple(features.shape)}, {tuple(targets.shape)}, {tuple(prior_mean.shape)}, "
            f"{tuple(prior_precision.shape)}"
        )
    precision = prior_precision + tf.matmul(features, features, transpose_a=True)
    # As a change of the prior's mean, so that a prior that is very sure is returned to its last digit.
    surprise = targets - features @ prior_mean
    change = _solve(precision, tf.matmul(features, surprise, transpose_a=True))
    return LinearPosterior(prior_mean + change, precision)


def predictive_factor(features: tf.Tensor, precision: tf.Tensor) -> tf.Tensor:
    """By how much a prediction's variance is larger than the noise's: 1 + phi' Lambda^-1 phi.

    Args:
        features: of new inputs `[n, dim]`.
        precision: of a `LinearPosterior`.

    Returns:
        `[n]`, each above 1. Times the variance of an output's noise it is that of an observation.

    Raises:
        ValueError: if shapes do not fit each other.

    References:
        Harrison, Sharma, Pavone (2018), the posterior's prediction. https://arxiv.org/abs/1807.08912
    """
    features, precision = check_rows(features=features, precision=precision)
    root = tf.linalg.cholesky(precision)
    spread = tf.linalg.triangular_solve(root, tf.transpose(features))  # [dim, n]
    return 1.0 + tf.reduce_sum(spread**2, axis=0)


def ridge_weights(features: tf.Tensor, targets: tf.Tensor, strength: float | tf.Tensor) -> tf.Tensor:
    """Ridge regression: the W that makes |phi W - y|^2 + lambda |W|^2 least.

    Args:
        features: phi, `[n, dim]`.
        targets: y, `[n, n_outputs]`.
        strength: lambda, a number above 0.

    Returns:
        W `[dim, n_outputs]`. With fewer rows than columns a system of n equations is solved instead of dim: the same W.

    Raises:
        ValueError: if shapes do not fit each other, or the strength is not positive.

    References:
        Bertinetto et al. (2019), "Meta-learning with differentiable closed-form solvers", equations 4 and 5.
        https://arxiv.org/abs/1805.08136
    """
    features, targets = check_rows(features=features)[0], check_rows(targets=targets)[0]
    if not features.shape[:1].is_compatible_with(targets.shape[:1]):
        raise ValueError(
            "features and targets must have as many rows. "
            f"Received: features with shape={tuple(features.shape)}, targets with shape={tuple(targets.shape)}"
        )
    if not tf.is_tensor(strength):
        check_number("strength", strength, above=True)
    strength = number(strength, features.dtype)
    n, dim = features.shape
    if n is not None and dim is not None and n < dim:
        gram = tf.matmul(features, features, transpose_b=True)
        return tf.matmul(features, _solve(gram + strength * tf.eye(n, dtype=gram.dtype), targets), transpose_a=True)
    gram = tf.matmul(features, features, transpose_a=True)
    gram += strength * tf.eye(tf.shape(features)[1], dtype=gram.dtype)
    return _solve(gram, tf.matmul(features, targets, transpose_a=True))


def _solve(matrix: tf.Tensor, right: tf.Tensor) -> tf.Tensor:
    """The solution of a symmetric positive definite system."""
    return tf.linalg.cholesky_solve(tf.linalg.cholesky(matrix), right)
