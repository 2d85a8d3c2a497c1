"""What an agent may do: one of n actions, or a vector of numbers between bounds; and its random choice of it."""

from __future__ import annotations

import dataclasses
import math
from typing import ClassVar

import numpy as np
import tensorflow as tf

from tfmeta.core.validation import check_sizes


@dataclasses.dataclass(frozen=True)
class Discrete:
    """One of n actions, drawn from a softmax.

    Args:
        n: number of actions, which are 0 to n - 1.

    Raises:
        ValueError: if n is not positive.

    References:
        Williams (1992), "Simple statistical gradient-following algorithms for connectionist reinforcement learning",
        section 4. https://doi.org/10.1007/BF00992696
    """

    n: int
    dtype: ClassVar[tf.DType] = tf.int32
    shape: ClassVar[tuple[int, ...]] = ()

    def __post_init__(self):
        check_sizes(n=self.n)

    n_outputs = property(lambda self: self.n, doc="Numbers that a policy gives for its choice: the logits.")
    code_size = property(lambda self: self.n, doc="Numbers with which an action is told to a network.")

    def sample(self, outputs: tf.Tensor, key: tf.Tensor) -> tf.Tensor:
        """Draw actions.

        Args:
            outputs: logits `[batch, n]`.
            key: integers `[2]`.

        Returns:
            int32 `[batch]`.
        """
        return tf.random.stateless_categorical(outputs, 1, key, dtype=tf.int32)[:, 0]

    def log_prob(self, outputs: tf.Tensor, actions: tf.Tensor) -> tf.Tensor:
        """Logarithm of the probability of actions.

        Args:
            outputs: logits `[..., n]`.
            actions: int32 `[...]`.

        Returns:
            `[...]`.
        """
        return -tf.nn.sparse_softmax_cross_entropy_with_logits(labels=actions, logits=outputs)

    def entropy(self, outputs: tf.Tensor) -> tf.Tensor:
        """Entropy of the choice in nats.

        Args:
            outputs: logits `[..., n]`.

        Returns:
            `[...]`.
        """
        log_probs = tf.nn.log_softmax(outputs)
        return -tf.reduce_sum(tf.exp(log_probs) * log_probs, axis=-1)

    def encode(self, actions: tf.Tensor) -> tf.Tensor:
        """Actions as a network reads them.

        Args:
            actions: int32 `[...]`.

        Returns:
            One-hot float32 `[..., n]`.
        """
        return tf.one_hot(actions, self.n)

    def check(self, actions) -> None:
        """Refuse actions that there are not.

        Args:
            actions: an array or a tensor whose values are known.

        Raises:
            ValueError: naming the first that is outside.
        """
        given = np.asarray(actions)
        if not np.issubdtype(given.dtype, np.integer):
            raise ValueError(f"actions must be whole numbers from 0 to {self.n - 1}. Received: actions={actions!r}")
        outside = given[(given < 0) | (given >= self.n)]
        if outside.size:
            raise ValueError(f"actions must be whole numbers from 0 to {self.n - 1}. Received: {outside.flat[0]}")


@dataclasses.dataclass(frozen=True)
class Box:
    """A vector of numbers between bounds, drawn from a Gaussian with independent coordinates.

    The Gaussian knows no bounds: an environment cuts what is drawn (`inside`).

    Args:
        dim: length of the vector.
        low: lowest value of every coordinate.
        high: highest.

    Raises:
        ValueError: if there is no coordinate, or nothing between the bounds.

    References:
        Williams (1992), section 6. https://doi.org/10.1007/BF00992696
    """

    dim: int
    low: float = -1.0
    high: float = 1.0
    dtype: ClassVar[tf.DType] = tf.float32

    def __post_init__(self):
        check_sizes(dim=self.dim)
        if not -math.inf < self.low < self.high < math.inf:
            raise ValueError(f"low must be below high, both finite. Received: low={self.low!r}, high={self.high!r}")

    shape = property(lambda self: (self.dim,), doc="Of one action.")
    n_outputs = property(lambda self: 2 * self.dim, doc="Numbers that a policy gives: means and log deviations.")
    code_size = property(lambda self: self.dim, doc="Numbers with which an action is told to a network.")

    def _parts(self, outputs: tf.Tensor) -> tuple[tf.Tensor, tf.Tensor]:
        # Means are in units of half the box from its centre, deviations relative to that half, so that a network whose
        # outputs are about 0 to 1 fits a box of any size.
        half, centre = (self.high - self.low) / 2, (self.high + self.low) / 2
        mean, log_deviation = tf.split(outputs, 2, axis=-1)
        return centre + half * mean, tf.clip_by_value(log_deviation, -5.0, 1.0) + math.log(half)

    def sample(self, outputs: tf.Tensor, key: tf.Tensor) -> tf.Tensor:
        """Draw actions; some may lie outside of the bounds.

        Args:
            outputs: `[batch, 2 dim]`.
            key: integers `[2]`.

        Returns:
            `[batch, dim]`.
        """
        mean, log_deviation = self._parts(outputs)
        return mean + tf.exp(log_deviation) * tf.random.stateless_normal(tf.shape(mean), key, dtype=mean.dtype)

    def log_prob(self, outputs: tf.Tensor, actions: tf.Tensor) -> tf.Tensor:
        """Logarithm of the Gaussian's density at actions.

        Args:
            outputs: `[..., 2 dim]`.
            actions: `[..., dim]`.

        Returns:
            `[...]`.
        """
        mean, log_deviation = self._parts(outputs)
        scaled = (actions - mean) * tf.exp(-log_deviation)
        return -tf.reduce_sum(0.5 * scaled**2 + log_deviation + 0.5 * math.log(2 * math.pi), axis=-1)

    def entropy(self, outputs: tf.Tensor) -> tf.Tensor:
        """Entropy of the Gaussian in nats.

        Args:
            outputs: `[..., 2 dim]`.

        Returns:
            `[...]`.
        """
        _, log_deviation = self._parts(outputs)
        return tf.reduce_sum(log_deviation + 0.5 * math.log(2 * math.pi * math.e), axis=-1)

    def encode(self, actions: tf.Tensor) -> tf.Tensor:
        """Actions as a network reads them: from -1 to 1 inside of the bounds.

        Args:
            actions: `[..., dim]`.

        Returns:
            `[..., dim]`.
        """
        return (self.inside(actions) - (self.high + self.low) / 2) / ((self.high - self.low) / 2)

    def inside(self, actions: tf.Tensor) -> tf.Tensor:
        """Actions cut at the bounds.

        Args:
            actions: `[..., dim]`.

        Returns:
            `[..., dim]`.
        """
        return tf.clip_by_value(actions, self.low, self.high)

    def check(self, actions) -> None:
        """Refuse actions outside of the bounds.

        Args:
            actions: an array or a tensor whose values are known, `[..., dim]`.

        Raises:
            ValueError: naming the first that is outside.
        """
        given = np.asarray(actions)
        if not np.issubdtype(given.dtype, np.number) or given.shape[-1:] != (self.dim,):
            raise ValueError(f"actions must be numbers [..., {self.dim}]. Received: actions={actions!r}")
        outside = given[~((given >= self.low) & (given <= self.high))]
        if outside.size:
            raise ValueError(f"actions must be from {self.low} to {self.high}. Received: {outside.flat[0]}")
