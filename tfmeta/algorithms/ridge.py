"""Ridge regression as the inner loop (Bertinetto, Henriques, Torr, Vedaldi 2019: R2-D2).

Parameters: phi, those of the encoder, the strength of the penalty, and a scale. A task's head is the exact solution of
a ridge regression from embeddings to one-hot labels. Outer gradient: that of the query loss, through the solution.
"""

from __future__ import annotations

import math

import keras
import tensorflow as tf

from tfmeta.core.bayesian_linear import ridge_weights
from tfmeta.core.forward import values
from tfmeta.core.tensor_checks import check_members, check_rows
from tfmeta.core.validation import check_number
from tfmeta.training import copies, network_checks
from tfmeta.training.comparison import comparison, embed
from tfmeta.training.episodic import EpisodicLearner
from tfmeta.training.method import Method
from tfmeta.training.scale import check_range


def ridge_head(support: tf.Tensor, labels: tf.Tensor, n_way: int | tf.Tensor, strength: float | tf.Tensor) -> tf.Tensor:
    """The linear layer that a ridge regression from embeddings to one-hot labels gives.

    Args:
        support: embeddings `[n_support, dim]`.
        labels: integers `[n_support]` from 0 to `n_way - 1`; classes may have different numbers of examples.
        n_way: number of classes.
        strength: lambda, above 0.

    Returns:
        W `[dim, n_way]`.

    References:
        Bertinetto et al. (2019), equations 4 and 5. https://arxiv.org/abs/1805.08136
    """
    (support,) = check_rows(support=support)
    check_members(labels, support, n_way)
    return ridge_weights(support, tf.one_hot(labels, n_way, dtype=support.dtype), strength)


@keras.saving.register_keras_serializable("tfmeta")
class RidgeClassifier(EpisodicLearner):
    """Learns an embedding in which a ridge regression on a few examples tells the classes apart.

    Args:
        encoder: any built Keras model, `[batch, ...]` to embeddings `[batch, dim]`.
        initial_strength: lambda, the ridge's penalty before training; its logarithm is learned. It works against
            squared lengths of embeddings: 50 suits a conv4 of 64 filters in its first hundreds of steps.
        initial_scale: of the logits before training: a regression's outputs lie about 0 and 1. It is learned likewise.
        name: Keras name.

    Raises:
        TypeError: if the encoder is not a Keras model.
        ValueError: if the encoder is not built, its output is not `[batch, dim]`, or a number is not above 0.

    References:
        Bertinetto et al. (2019), "Meta-learning with differentiable closed-form solvers", section 3.
        https://arxiv.org/abs/1805.08136

    Note:
        The paper also learns an offset of the logits. It is the same for all classes, so a softmax does not see it.
        Batch norm and dropout are as in `PrototypicalNetwork`.
    """

    def __init__(
        self,
        encoder: keras.Model,
        *,
        initial_strength: float = 50.0,
        initial_scale: float = 10.0,
        name: str | None = None,
    ):
        network_checks.check_network(encoder, "encoder")
        network_checks.check_embedding(encoder)
        check_number("initial_strength", initial_strength, above=True)
        check_number("initial_scale", initial_scale, above=True)
        super().__init__(encoder, name=name)
        self.encoder = encoder
        self.initial_strength, self.initial_scale = float(initial_strength), float(initial_scale)

        def logarithm(of, called):
            start = keras.initializers.Constant(math.log(of))
            return self.add_weight(shape=(), initializer=start, dtype=encoder.variables[0].dtype, name=called)

        self.log_strength = logarithm(initial_strength, "log_strength")
        self.log_scale = logarithm(initial_scale, "log_scale")

    def embed(self, x: tf.Tensor) -> tf.Tensor:
        """Embeddings `[batch, dim]` of inputs `[batch, ...]` in the range of training, in inference mode."""
        check_range(self.input_scale, x)
        return embed(self.encoder, x)

    @property
    def method(self) -> Method:
        """Equations 4 to 6; weight decay would draw strength and scale to 1."""
        return comparison(
            self,
            self.logits,
            {"ridge": [self.log_strength, self.log_scale]},
            undecayed=("ridge",),
            to_keras=self._to_keras,
        )

    def logits(self, support, labels, query, n_way, own) -> tf.Tensor:
        """Class scores `[n_query, n_way]`."""
        strength, scale = (tf.exp(tf.cast(logarithm, support.dtype)) for logarithm in own["ridge"])
        return scale * (query @ ridge_head(support, labels, n_way, strength))

    def _to_keras(self, fast, support_x, support_y) -> keras.Model:
        """A copy of the encoder with the ridge's weights, times the scale, as its head."""
        support, labels, n_way, log_strength, log_scale = fast
        strength, scale = (tf.exp(tf.cast(logarithm, support.dtype)) for logarithm in (log_strength, log_scale))
        kernel = scale * ridge_head(support, labels, n_way, strength)
        phi = values(self.encoder.trainable_variables)
        return copies.with_linear_head(self.encoder, phi, kernel, tf.zeros_like(kernel[0]), support_x, name="ridge")
