"""One prediction from those of several models."""

from __future__ import annotations

import math
from collections.abc import Sequence

import keras
import tensorflow as tf

from tfmeta.core.forward import full_precision


def averaged(outputs: tf.Tensor, classification: bool) -> tf.Tensor:
    """One prediction from several.

    Args:
        outputs: of each model, `[samples, batch, n_outputs]`.
        classification: whether they are logits.

    Returns:
        `[batch, n_outputs]`: logarithms of the mean probabilities, or the mean for regression.

    References:
        Lakshminarayanan et al. (2017), "Deep Ensembles", section 2.4. https://arxiv.org/abs/1612.01474
    """
    if not classification:
        return tf.reduce_mean(outputs, axis=0)
    return tf.reduce_logsumexp(tf.nn.log_softmax(outputs), axis=0) - math.log(outputs.shape[0])


def constant_variance(noise: float | None):
    """What a method whose models are all that is unsure says of the variance of an observation.

    Args:
        noise: standard deviation of the observations; None where it is not known.

    Returns:
        A function for `Method.variance`, that gives `noise**2` for each of `[batch]` inputs and one output; or None.
    """
    if noise is None:
        return None
    return lambda fast, x, run, k: tf.fill(
        [tf.shape(tf.nest.flatten(x)[0])[0], 1], tf.constant(noise**2, fast[-1].dtype)
    )


def output_dtype(network: keras.Model) -> tf.DType:
    """The type of a network's outputs, that of its last layer but at least float32."""
    return full_precision(tf.zeros([], network.trainable_variables[-1].dtype)).dtype


@keras.saving.register_keras_serializable("tfmeta")
class MeanPrediction(keras.layers.Layer):
    """One prediction from those of several models, each `[batch, n_outputs]`; see `averaged`.

    Args:
        classification: whether the models give logits; then this gives log-probabilities.
        options: of `keras.layers.Layer`.

    References:
        Lakshminarayanan et al. (2017), section 2.4. https://arxiv.org/abs/1612.01474
    """

    def __init__(self, classification: bool, **options):
        super().__init__(**options)
        self.classification = bool(classification)

    def call(self, outputs):
        """The mean of a list of outputs, `[batch, n_outputs]`."""
        return averaged(tf.stack(outputs), self.classification)

    def compute_output_shape(self, input_shape):
        """That of one model."""
        return input_shape[0]

    def get_config(self):
        """What it averages."""
        return super().get_config() | {"classification": self.classification}


def averaged_model(models: Sequence[keras.Model], example, classification: bool) -> keras.Model:
    """One Keras model whose prediction is the mean of several.

    Args:
        models: each `[batch, ...]` to outputs `[batch, n_outputs]`.
        example: inputs `[batch, ...]`, of which only type and shape are looked at.
        classification: whether they give logits.

    Returns:
        A Keras model; its `layers` hold the models.

    References:
        Lakshminarayanan et al. (2017), section 2.4. https://arxiv.org/abs/1612.01474
    """
    inputs = tf.nest.map_structure(lambda x: keras.Input(x.shape[1:], dtype=x.dtype.name), example)
    for i, model in enumerate(models):
        model.name = f"member_{i}"
    outputs = [model(inputs) for model in models]
    return keras.Model(inputs, MeanPrediction(classification, dtype=outputs[0].dtype, name="mean")(outputs))
