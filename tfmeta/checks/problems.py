"""Small networks and tasks on which answers are tried."""

from __future__ import annotations

import keras
import numpy as np
import tensorflow as tf

from tfmeta.core.episode import Episode


def squared_error(targets, outputs):
    """Mean squared error of a batch.

    Args:
        targets: `[batch, n_outputs]`.
        outputs: `[batch, n_outputs]`.

    Returns:
        A scalar.
    """
    return tf.reduce_mean(tf.math.squared_difference(outputs, targets))


def not_from_logits(labels, logits):
    """A loss of probabilities, given logits.

    Args:
        labels: integers `[batch]`.
        logits: `[batch, n_way]`.

    Returns:
        A scalar.
    """
    return tf.reduce_mean(keras.losses.sparse_categorical_crossentropy(labels, logits))


def small_regression(seed: int, dtype: str = "float64", tasks: tuple[int, ...] = ()) -> tuple[keras.Model, Episode]:
    """A built model with 13 parameters, and a task for it (or a meta-batch of `tasks`), the same for the same seed.

    Args:
        seed: of the numbers drawn.
        dtype: of weights and data.
        tasks: leading axes of a meta-batch, if there are any.

    Returns:
        The model and the episode.
    """
    rng = np.random.default_rng(seed)
    inputs = keras.Input((2,), dtype=dtype)
    hidden = keras.layers.Dense(3, activation="tanh", dtype=dtype)(inputs)
    network = keras.Model(inputs, keras.layers.Dense(1, dtype=dtype)(hidden))
    for variable in network.trainable_variables:
        variable.assign(rng.normal(size=variable.shape))
    parts = [rng.normal(size=(*tasks, *shape)) for shape in ((5, 2), (5, 1), (7, 2), (7, 1))]
    return network, Episode(*(tf.constant(part, dtype) for part in parts))


def small_forward(params, x):
    """The network of `small_regression` as a function of its weights: what answers are compared with, and quick.

    Args:
        params: parameters, a list of tensors.
        x: inputs `[batch, ...]`.

    Returns:
        `[batch, 1]`.
    """
    kernel, bias, second, second_bias = params
    return tf.matmul(tf.tanh(tf.matmul(x, kernel) + bias), second) + second_bias


def small_classification(seed: int, n_way: int, k_shot: int, n_query: int, dim: int) -> Episode:
    """A task of overlapping classes with shuffled labels, in single precision.

    Args:
        seed: of the numbers drawn.
        n_way: number of classes.
        k_shot: support examples of each class.
        n_query: queries of each class.
        dim: size of an input.

    Returns:
        An episode.
    """
    rng = np.random.default_rng(seed)
    centres = rng.normal(size=(n_way, dim))
    parts = []
    for each in (k_shot, n_query):
        labels = rng.permutation(np.repeat(np.arange(n_way), each))
        while np.array_equal(labels, np.sort(labels)):
            labels = rng.permutation(labels)
        x = centres[labels] + rng.normal(size=(len(labels), dim))
        parts += [tf.constant(x, tf.float32), tf.constant(labels, tf.int32)]
    return Episode(*parts)


def weights_of(*parts: keras.Layer) -> list[np.ndarray]:
    """Copies of the trainable weights of models or layers, in their order."""
    return [variable.numpy().copy() for part in parts for variable in part.trainable_variables]


def put_back(variables, values) -> float:
    """Write old values into variables; returns by how much the variables had moved.

    Args:
        variables: Keras variables.
        values: their old values.

    Returns:
        The largest change that was undone.
    """
    moved = max(float(np.abs(v.numpy() - old).max()) for v, old in zip(variables, values, strict=True))
    for variable, value in zip(variables, values, strict=True):
        variable.assign(value)
    return moved
