"""Bandits: a task is a set of arms, an episode is one pull, and a trial is as many pulls as there are."""

from __future__ import annotations

import dataclasses
from typing import ClassVar

import keras
import tensorflow as tf

from tfmeta.core.actions import Discrete
from tfmeta.core.trials import Environment, Moment
from tfmeta.core.validation import check_number, check_sizes


class Bandit(Environment):
    """Arms without anything to see: every pull is an episode. Abstract.

    References:
        Duan et al. (2016), section 3.1. https://arxiv.org/abs/1611.02779
    """

    episode_length = 1
    observation_size = 0

    actions = property(lambda self: Discrete(self.n_arms), doc="The arms.")

    def reset(self, tasks, key):
        """There is no state and nothing to see."""
        return (), tf.zeros([tf.shape(tasks)[0], 0])

    def _answer(self, reward: tf.Tensor) -> Moment:
        return Moment((), tf.zeros([tf.shape(reward)[0], 0]), reward, tf.ones_like(reward, tf.bool))

    def get_config(self):
        """The constructor's arguments."""
        return dataclasses.asdict(self)

    @classmethod
    def from_config(cls, config):
        """Rebuild from `get_config()`."""
        return cls(**config)


@keras.saving.register_keras_serializable(package="tfmeta")
@dataclasses.dataclass(frozen=True)
class BernoulliBandits(Bandit):
    """Arms that pay 1 with a probability of their own, uniform in [0, 1], and else 0.

    A task is the arms' probabilities, float32 `[n_arms]`.

    Args:
        n_arms: k.

    Raises:
        ValueError: if there is no arm.

    References:
        Duan et al. (2016), section 3.1. https://arxiv.org/abs/1611.02779
    """

    n_arms: int = 5

    def __post_init__(self):
        check_sizes(n_arms=self.n_arms)

    def sample_tasks(self, n_tasks, key):
        """Probabilities `[n_tasks, n_arms]`."""
        return tf.random.stateless_uniform([n_tasks, self.n_arms], key)

    def step(self, tasks, state, actions, key):
        """Pull the arms `actions`, `[n_trials]`."""
        chance = tf.gather(tasks, actions, batch_dims=1)
        return self._answer(tf.cast(tf.random.stateless_uniform(tf.shape(chance), key) < chance, tf.float32))

    def best_return(self, tasks):
        """The best arm's probability."""
        return tf.reduce_max(tasks, axis=1)


@keras.saving.register_keras_serializable(package="tfmeta")
@dataclasses.dataclass(frozen=True)
class InformativeBandits(Bandit):
    """The last arm pays little, and how little tells which of the others is the good one.

    One of the first n_arms - 1 arms pays 1, the others of them pay `rest`. The last arm pays `scale` times the good
    arm's number over their count: with the defaults never more than the others, so that nobody who looks at each arm by
    itself gains by returning to it, or has any use for what it said. Whoever knows the rule pulls it once, and then the
    good arm.

    A task is the good arm's index, int32 `[]`. Rewards are not random.

    Args:
        n_arms: k, at least 3.
        rest: what an arm pays that is neither good nor the last.
        scale: the most that the last arm pays.

    Raises:
        ValueError: if there are fewer than three arms, or an arm pays more than it should.

    References:
        Wang et al. (2016), "Learning to reinforcement learn", section 3.1, has the idea of an arm that informs.
        https://arxiv.org/abs/1611.05763

    Note:
        The number of arms and what they pay are our own.
    """

    n_arms: int = 11
    rest: float = 0.2
    scale: float = 0.2
    good: ClassVar[float] = 1.0

    def __post_init__(self):
        check_sizes(n_arms=self.n_arms)
        if self.n_arms < 3:
            raise ValueError(f"n_arms must be at least 3: two arms and one that tells. Received: n_arms={self.n_arms}")
        for name in ("rest", "scale"):
            check_number(name, getattr(self, name))
            if getattr(self, name) >= self.good:
                raise ValueError(f"{name} must be below 1, the good arm's pay. Received: {name}={getattr(self, name)}")

    def sample_tasks(self, n_tasks, key):
        """Indices of the good arms, int32 `[n_tasks]`."""
        return tf.random.stateless_uniform([n_tasks], key, maxval=self.n_arms - 1, dtype=tf.int32)

    def step(self, tasks, state, actions, key):
        """Pull the arms `actions`, `[n_trials]`."""
        told = self.scale * tf.cast(tasks + 1, tf.float32) / (self.n_arms - 1)
        others = tf.where(actions == tasks, self.good, self.rest)
        return self._answer(tf.where(actions == self.n_arms - 1, told, others))

    def best_return(self, tasks):
        """What the good arm pays."""
        return tf.fill(tf.shape(tasks), self.good)
