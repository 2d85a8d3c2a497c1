"""Prototypical networks (Snell, Swersky, Zemel 2017): a class is the mean of its examples' embeddings."""

from __future__ import annotations

import keras
import tensorflow as tf

from tfmeta.core.distances import squared_euclidean
from tfmeta.core.forward import values
from tfmeta.core.tensor_checks import check_members, check_rows
from tfmeta.training import copies, network_checks
from tfmeta.training.comparison import comparison, embed
from tfmeta.training.episodic import EpisodicLearner
from tfmeta.training.method import Method
from tfmeta.training.scale import check_range


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
    (embeddings,) = check_rows(embeddings=embeddings)
    check_members(labels, embeddings, n_way)
    members = tf.one_hot(labels, n_way, dtype=embeddings.dtype)  # [n_support, n_way]
    sums = tf.matmul(members, embeddings, transpose_a=True)
    return tf.math.divide_no_nan(sums, tf.reduce_sum(members, axis=0)[:, None])


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
class PrototypicalNetwork(EpisodicLearner):
    """Learns an embedding in which a class is a ball around the mean of its examples.

    Args:
        encoder: any built Keras model, `[batch, ...]` to embeddings `[batch, dim]`.
        name: Keras name.

    Raises:
        TypeError: if the encoder is not a Keras model.
        ValueError: if the encoder is not built, or its output is not `[batch, dim]`.

    References:
        Snell et al. (2017), "Prototypical Networks for Few-shot Learning", algorithm 1.
        https://arxiv.org/abs/1703.05175

    Note:
        In training batch norm uses the statistics of one episode's support and query images together and updates its
        moving averages, which it uses in evaluation: each query is judged by itself, as in the authors' code. Dropout
        layers are active in training only.
    """

    def __init__(self, encoder: keras.Model, *, name: str | None = None):
        network_checks.check_network(encoder, "encoder")
        network_checks.check_embedding(encoder)
        super().__init__(encoder, name=name)
        self.encoder = encoder

    def embed(self, x: tf.Tensor) -> tf.Tensor:
        """Embeddings `[batch, dim]` of inputs `[batch, ...]` in the range of training, in inference mode."""
        check_range(self.input_scale, x)
        return embed(self.encoder, x)

    @property
    def method(self) -> Method:
        """Equation 2."""
        return comparison(self, self.logits, to_keras=self._to_keras)

    def logits(self, support, labels, query, n_way, own) -> tf.Tensor:
        """Equation 2: class scores `[n_query, n_way]`."""
        return prototypical_logits(support, labels, query, n_way)

    def _to_keras(self, fast, support_x, support_y) -> keras.Model:
        """Equation 8: a copy of the encoder with the linear head W = 2 c_k, b = -|c_k|^2.

        Its logits are those of `prototypical_logits` but for a term that is the same for every class, so probabilities
        are equal. Where embeddings are much farther from the origin than from each other, that term would be larger
        than float32 can tell them apart: then the head is W = 2 (c_k - m), of x - m, with m the prototypes' mean.
        """
        support, labels, n_way = fast
        prototypes = compute_prototypes(support, labels, n_way)
        middle = tf.reduce_mean(prototypes, axis=0)
        spread = tf.reduce_max(tf.reduce_sum((prototypes - middle) ** 2, axis=1))
        if tf.reduce_sum(middle**2) <= 1000.0 * spread:
            kernel, bias = prototypical_head(prototypes)
        else:
            kernel, bias = prototypical_head(prototypes - middle)
            bias -= tf.linalg.matvec(kernel, middle, transpose_a=True)
        phi = values(self.encoder.trainable_variables)
        return copies.with_linear_head(self.encoder, phi, kernel, bias, support_x, name="prototypes")
