"""Likelihoods of Gaussian predictions."""

from __future__ import annotations

import math

import tensorflow as tf

from tfmeta.core.losses import check_same_shape


def gaussian_nll(targets: tf.Tensor, means: tf.Tensor, variances: tf.Tensor) -> tf.Tensor:
    """Minus the mean log density of targets under a Gaussian for each.

    Args:
        targets: `[batch, n_outputs]`.
        means: `[batch, n_outputs]`.
        variances: `[batch, n_outputs]`, above 0.

    Returns:
        A scalar in nats.

    Raises:
        ValueError: if targets and means have different shapes.

    References:
        Harrison, Sharma, Pavone (2018), the loss of algorithm 1. https://arxiv.org/abs/1807.08912
    """
    check_same_shape(targets, means)
    errors = tf.math.squared_difference(means, tf.cast(targets, means.dtype))
    return 0.5 * tf.reduce_mean(errors / variances + tf.math.log(variances)) + 0.5 * math.log(2.0 * math.pi)
