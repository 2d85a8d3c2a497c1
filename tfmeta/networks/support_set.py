"""A Keras layer that keeps a support set, and which of its items belong to which class."""

from __future__ import annotations

import abc

import keras
import tensorflow as tf


def members(labels: tf.Tensor, n_way: int | tf.Tensor) -> tf.Tensor:
    """Which support items belong to which class.

    Args:
        labels: integers `[n_support]`.
        n_way: number of classes.

    Returns:
        Booleans `[n_support, n_way]`.
    """
    return tf.one_hot(labels, n_way, on_value=True, off_value=False, dtype=tf.bool)


def only_members(values: tf.Tensor, labels: tf.Tensor, n_way: int | tf.Tensor) -> tf.Tensor:
    """One column a class, in which the support items of other classes are as good as minus infinity.

    Args:
        values: `[n_query, n_support]`.
        labels: integers `[n_support]`.
        n_way: number of classes.

    Returns:
        `[n_query, n_support, n_way]`. A number near the smallest of its type rather than minus infinity stands for
        "not a member", so that no gradient is not-a-number.
    """
    return tf.where(members(labels, n_way)[None], values[:, :, None], values.dtype.min / 2)


class SupportSet(keras.layers.Layer, abc.ABC):
    """A layer that keeps the embeddings and labels of a support set, the last one of an adapted model. Abstract.

    Args:
        n_support: number of support items.
        n_way: number of classes.
        distance: `"cosine"` or `"euclidean"`.
        options: of `keras.layers.Layer`.

    References:
        Vinyals et al. (2016), section 2.1: the support set as an external memory. https://arxiv.org/abs/1606.04080
    """

    def __init__(self, n_support: int, n_way: int, distance: str, **options):
        super().__init__(**options)
        self.n_support, self.n_way, self.distance = n_support, n_way, distance

    def build(self, input_shape):
        """Make room for embeddings as wide as the inputs."""
        dim = input_shape[-1]
        self.support = self.add_weight(
            shape=(self.n_support, dim), initializer="zeros", trainable=False, name="support"
        )
        self.labels = self.add_weight(
            shape=(self.n_support,), initializer="zeros", dtype="int32", trainable=False, name="labels"
        )

    @abc.abstractmethod
    def call(self, x):
        """Class scores `[batch, n_way]` of embeddings `[batch, dim]`."""

    def compute_output_shape(self, input_shape):
        """`[batch, n_way]`."""
        return (*input_shape[:-1], self.n_way)

    def get_config(self):
        """Sizes and distance; the support set itself is in the weights."""
        return super().get_config() | {"n_support": self.n_support, "n_way": self.n_way, "distance": self.distance}
