"""Prototypical networks (Snell, Swersky, Zemel 2017)."""

from __future__ import annotations

import keras
import tensorflow as tf

from tfmeta import functional
from tfmeta.core.episode import count_classes
from tfmeta.training import copies, metric


def compute_prototypes(embeddings: tf.Tensor, labels: tf.Tensor, n_way: int | tf.Tensor) -> tf.Tensor:
    """Class means of the support embeddings, c_k.

    Args:
        embeddings: `[n_support, dim]`.
        labels: integers `[n_support]` from 0 to `n_way - 1`; classes may have different numbers of examples.
        n_way: number of classes.

    Returns:
        `[n_way, dim]`; zeros for a class without an example.

    References:
        Snell et al. (2017), equation 1. https://arxiv.org/abs/1703.05175
    """
    members = tf.one_hot(labels, n_way, dtype=embeddings.dtype)  # [n_support, n_way]
    sums = tf.matmul(members, embeddings, transpose_a=True)
    return tf.math.divide_no_nan(sums, tf.reduce_sum(members, axis=0)[:, None])


def squared_euclidean(a: tf.Tensor, b: tf.Tensor) -> tf.Tensor:
    """Squared distances between all rows of two matrices.

    Args:
        a: `[n, dim]`.
        b: `[m, dim]`.

    Returns:
        `[n, m]`, at least 0.

    References:
        Snell et al. (2017), section 2.3: a Bregman divergence, for which the class mean is the best prototype.
        https://arxiv.org/abs/1703.05175
    """
    squares = tf.reduce_sum(a**2, axis=1)[:, None] + tf.reduce_sum(b**2, axis=1)[None, :]
    # Rounding can leave a small negative number where a row meets itself.
    return tf.maximum(squares - 2.0 * tf.matmul(a, b, transpose_b=True), 0.0)


def prototypical_logits(support: tf.Tensor, labels: tf.Tensor, query: tf.Tensor, n_way: int | tf.Tensor) -> tf.Tensor:
    """Class scores of queries: minus the squared distance to each prototype.

    Args:
        support: embeddings `[n_support, dim]`.
        labels: integers `[n_support]`.
        query: embeddings `[n_query, dim]`.
        n_way: number of classes.

    Returns:
        Logits `[n_query, n_way]`; their softmax is p(y = k | x).

    References:
        Snell et al. (2017), equation 2. https://arxiv.org/abs/1703.05175
    """
    return -squared_euclidean(query, compute_prototypes(support, labels, n_way))


def prototypical_head(prototypes: tf.Tensor) -> tuple[tf.Tensor, tf.Tensor]:
    """The linear layer that classifies as prototypes do.

    Args:
        prototypes: c_k, `[n_way, dim]`.

    Returns:
        `W = 2 c_k` as a kernel `[dim, n_way]` and `b = -|c_k|^2` `[n_way]`: `x W + b` is minus the squared distance to
        each prototype but for `|x|^2`, which is the same for every class.

    References:
        Snell et al. (2017), equation 8. https://arxiv.org/abs/1703.05175
    """
    return 2.0 * tf.transpose(prototypes), -tf.reduce_sum(prototypes**2, axis=1)


@keras.saving.register_keras_serializable("tfmeta")
class PrototypicalNetwork(metric.MetricLearner):
    """Learns an embedding in which a class is a ball around the mean of its examples.

    Args:
        encoder: any built Keras model, `[batch, ...]` to embeddings `[batch, dim]`.
        name: Keras name.

    Raises:
        TypeError: if the encoder is no Keras model.
        ValueError: if the encoder is not built, or its output is not `[batch, dim]`.

    References:
        Snell et al. (2017), "Prototypical Networks for Few-shot Learning", algorithm 1.
        https://arxiv.org/abs/1703.05175

    Note:
        In training batch norm uses the statistics of one episode's support and query images together and updates its
        moving averages, which it uses in evaluation: each query is judged by itself, as in the authors' code. Dropout
        layers are active in training only.
    """

    def logits(self, support, labels, query, n_way, own) -> tf.Tensor:
        """Equation 2."""
        return prototypical_logits(support, labels, query, n_way)

    def adapt(self, support_x, support_y) -> keras.Model:
        """A classifier for a new task.

        Args:
            support_x: `[n, ...]`, scaled as in training.
            support_y: integer labels `[n]` from 0 to `n_way - 1`.

        Returns:
            An ordinary Keras model, `[batch, ...]` to logits `[batch, n_way]`: a copy of the encoder with a linear
            head. Its logits are those of `prototypical_logits` but for a term that is the same for every class, so
            probabilities are equal. The learner is unchanged.

        Raises:
            ValueError: if inputs and labels do not fit each other or the encoder.

        References:
            Snell et al. (2017), equation 8, the linear model W = 2 c_k, b = -|c_k|^2.
            https://arxiv.org/abs/1703.05175
        """
        task = self.checked_support(support_x, support_y)
        prototypes = compute_prototypes(self.embed(task.support_x), task.support_y, count_classes(task))
        theta = functional.values(self.encoder.trainable_variables)
        kernel, bias = prototypical_head(prototypes)
        return copies.with_linear_head(self.encoder, theta, kernel, bias, task.support_x, name="prototypes")
