"""A point in the plane walks to a goal that it is not shown."""

from __future__ import annotations

import dataclasses
from typing import ClassVar

import keras
import tensorflow as tf

from tfmeta.core.actions import Box
from tfmeta.core.trials import Environment, Moment
from tfmeta.core.validation import check_sizes


@keras.saving.register_keras_serializable(package="tfmeta")
@dataclasses.dataclass(frozen=True)
class Navigation2D(Environment):
    """Goals uniform in [-0.5, 0.5]^2; a point begins at 0 and moves by at most 0.1 in each coordinate.

    The reward of a step is minus the distance to the goal after it. An episode ends within 0.01 of the goal, or after
    `horizon` steps. The observation is the point's place, float32 `[2]`: the goal shows in the rewards alone.

    A task is the goal, float32 `[2]`.

    Args:
        horizon: most steps of an episode.

    Raises:
        ValueError: if there is no step.

    References:
        Finn et al. (2017), section 5.3. https://arxiv.org/abs/1703.03400

    Note:
        The paper says "negative squared distance"; the authors' code, and with it this one, takes the distance itself.
        Moves beyond 0.1 are cut.
    """

    horizon: int = 100
    actions: ClassVar[Box] = Box(2, -0.1, 0.1)
    observation_size: ClassVar[int] = 2
    widest: ClassVar[float] = 0.5
    near: ClassVar[float] = 0.01

    def __post_init__(self):
        check_sizes(horizon=self.horizon)

    episode_length = property(lambda self: self.horizon, doc="Most steps of an episode.")

    def get_config(self):
        """The constructor's arguments."""
        return dataclasses.asdict(self)

    @classmethod
    def from_config(cls, config):
        """Rebuild from `get_config()`."""
        return cls(**config)

    def sample_tasks(self, n_tasks, key):
        """Goals `[n_tasks, 2]`."""
        return tf.random.stateless_uniform([n_tasks, 2], key, -self.widest, self.widest)

    def reset(self, tasks, key):
        """The point at 0, at step 0."""
        place = tf.zeros_like(tasks)
        return (place, tf.zeros([tf.shape(tasks)[0]], tf.int32)), place

    def step(self, tasks, state, actions, key):
        """Move by `actions`, `[n_trials, 2]`."""
        place, t = state[0] + self.actions.inside(actions), state[1] + 1
        far = tf.norm(place - tasks, axis=1)
        return Moment((place, t), place, -far, (far <= self.near) | (t >= self.horizon))

    def terminated(self, tasks, state):
        """Whether the goal is reached, bool `[n_trials]`; other ends are those of time."""
        return tf.norm(state[0] - tasks, axis=1) <= self.near

    def best_return(self, tasks):
        """Of a walk that is as near as it can be at every step."""
        steps = tf.range(1, self.horizon + 1, dtype=tf.float32)
        # A coordinate has nothing to do with the other: both go straight.
        left = tf.maximum(tf.abs(tasks)[:, None] - self.actions.high * steps[:, None], 0.0)
        far = tf.norm(left, axis=2)  # [n_tasks, horizon]
        begun = tf.concat([tf.ones_like(far[:, :1], tf.bool), far[:, :-1] > self.near], axis=1)
        return -tf.reduce_sum(tf.where(begun, far, 0.0), axis=1)
