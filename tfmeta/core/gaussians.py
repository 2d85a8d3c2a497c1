"""Gaussians over the weights of a network, one mean and one variance for each weight: draws and divergence."""

from __future__ import annotations

import tensorflow as tf

from tfmeta.core.forward import Tensors
from tfmeta.core.validation import check_sequence


def sample_gaussian(means: Tensors, log_variances: Tensors, key: int | tf.Tensor) -> list[tf.Tensor]:
    """Draw weights by reparameterisation: mean + standard deviation * noise, so that gradients reach both.

    Args:
        means: tensors.
        log_variances: natural logarithms of the variances, tensors like `means`.
        key: randomness, a whole number; the same key gives the same noise.

    Returns:
        Tensors like `means`, with noise of its own for every entry.

    Raises:
        ValueError: if there are not as many of one as of the other.

    References:
        Kingma, Welling (2014), "Auto-Encoding Variational Bayes", section 2.4. https://arxiv.org/abs/1312.6114
    """
    _check(means, log_variances)
    drawn = []
    for i, (mean, log_variance) in enumerate(zip(means, log_variances, strict=True)):
        seed = tf.stack([tf.cast(key, tf.int64), tf.constant(i, tf.int64)])
        noise = tf.random.stateless_normal(tf.shape(mean), seed, dtype=mean.dtype)
        drawn.append(mean + tf.exp(0.5 * log_variance) * tf.reshape(noise, mean.shape))
    return drawn


def gaussian_kl(
    means: Tensors, log_variances: Tensors, other_means: Tensors, other_log_variances: Tensors
) -> tf.Tensor:
    """KL(q || p) of two Gaussians with a variance for each weight, summed over all weights.

    Args:
        means: of q, tensors.
        log_variances: of q, natural logarithms of its variances, tensors like `means`.
        other_means: of p, likewise.
        other_log_variances: of p, likewise.

    Returns:
        A scalar of at least 0, in nats: half the sum of log(v_p / v_q) + (v_q + (m_q - m_p)^2) / v_p - 1. KL(p || q) is
        another number.

    Raises:
        ValueError: if there are not as many of each.

    References:
        Kingma, Welling (2014), appendix B. https://arxiv.org/abs/1312.6114
    """
    _check(means, log_variances, other_means, other_log_variances)
    parts = []
    for m_q, l_q, m_p, l_p in zip(means, log_variances, other_means, other_log_variances, strict=True):
        # exp(x) - 1 - x, without loss of digits where the variances are nearly equal.
        ratio = l_q - l_p
        parts.append(0.5 * tf.reduce_sum(tf.math.expm1(ratio) - ratio + (m_q - m_p) ** 2 * tf.exp(-l_p)))
    return tf.add_n(parts)


def _check(*groups: Tensors) -> None:
    for name, group in zip(("means", "log_variances", "other_means", "other_log_variances"), groups, strict=False):
        check_sequence(name, group)
    if len({len(group) for group in groups}) > 1:
        raise ValueError(
            "means and variances must be lists of as many tensors. "
            f"Received: lists of {', '.join(str(len(group)) for group in groups)}"
        )
