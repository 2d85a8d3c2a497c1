"""Small Markov decision processes with random transitions and rewards."""

from __future__ import annotations

import dataclasses
from typing import NamedTuple

import keras
import tensorflow as tf

from tfmeta.core.actions import Discrete
from tfmeta.core.trials import Environment, Moment, fold_in
from tfmeta.core.validation import check_sizes


class MDP(NamedTuple):
    """Tasks of `TabularMDPs`.

    Args:
        transitions: probabilities of the next state `[n_tasks, n_states, n_actions, n_states]`.
        rewards: mean rewards `[n_tasks, n_states, n_actions]`.

    References:
        Duan et al. (2016), section 3.2. https://arxiv.org/abs/1611.02779
    """

    transitions: tf.Tensor
    rewards: tf.Tensor


@keras.saving.register_keras_serializable(package="tfmeta")
@dataclasses.dataclass(frozen=True)
class TabularMDPs(Environment):
    """Processes with transitions from a flat Dirichlet and rewards N(m, 1), their means m from N(1, 1).

    An episode has `horizon` steps and begins in state 0. The observation is the state, one-hot.

    Args:
        n_states: number of states.
        n_actions: number of actions.
        horizon: steps of an episode.

    Raises:
        ValueError: if a number is not positive.

    References:
        Duan et al. (2016), section 3.2; Osband et al. (2013), section 6.
        https://arxiv.org/abs/1611.02779, https://arxiv.org/abs/1306.0940
    """

    n_states: int = 10
    n_actions: int = 5
    horizon: int = 10

    def __post_init__(self):
        check_sizes(n_states=self.n_states, n_actions=self.n_actions, horizon=self.horizon)

    actions = property(lambda self: Discrete(self.n_actions), doc="The actions.")
    observation_size = property(lambda self: self.n_states, doc="Length of the one-hot state.")
    episode_length = property(lambda self: self.horizon, doc="Steps of an episode.")

    def get_config(self):
        """The constructor's arguments."""
        return dataclasses.asdict(self)

    @classmethod
    def from_config(cls, config):
        """Rebuild from `get_config()`."""
        return cls(**config)

    def sample_tasks(self, n_tasks, key):
        """Draw `n_tasks` processes, an `MDP`."""
        table = [n_tasks, self.n_states, self.n_actions]
        # Normalised exponential numbers are a draw from the flat Dirichlet.
        waits = -tf.math.log1p(-tf.random.stateless_uniform([*table, self.n_states], fold_in(key, 0)))
        means = 1.0 + tf.random.stateless_normal(table, fold_in(key, 1))
        return MDP(waits / tf.reduce_sum(waits, axis=-1, keepdims=True), means)

    def reset(self, tasks, key):
        """State 0 at step 0."""
        n_trials = tf.shape(tasks.rewards)[0]
        place = tf.zeros([n_trials], tf.int32)
        return (place, tf.zeros([n_trials], tf.int32)), tf.one_hot(place, self.n_states)

    def step(self, tasks, state, actions, key):
        """Take `actions`, `[n_trials]`."""
        place, t = state
        here = tf.stack([place, actions], axis=1)
        mean = tf.gather_nd(tasks.rewards, here, batch_dims=1)
        reward = mean + tf.random.stateless_normal(tf.shape(mean), fold_in(key, 0))
        chances = tf.math.log(tf.gather_nd(tasks.transitions, here, batch_dims=1) + 1e-30)
        place = tf.random.stateless_categorical(chances, 1, fold_in(key, 1), dtype=tf.int32)[:, 0]
        return Moment((place, t + 1), tf.one_hot(place, self.n_states), reward, t + 1 >= self.horizon)

    def best_return(self, tasks):
        """The expected return of the best policy, by value iteration from the end."""
        return best_values(tasks, self.horizon)[0][:, 0]


def best_values(tasks: MDP, horizon: int) -> tuple[tf.Tensor, tf.Tensor]:
    """Value iteration from the end of an episode.

    Args:
        tasks: an `MDP`, or beliefs in its form.
        horizon: steps that are left.

    Returns:
        The value of every state `[n_tasks, n_states]`, and the best action with 1, 2, ... `horizon` steps to go, int32
        `[horizon, n_tasks, n_states]`.

    References:
        Sutton, Barto (2018), section 4.4. http://incompleteideas.net/book/the-book-2nd.html
    """
    values, best = tf.zeros_like(tasks.rewards[:, :, 0]), []
    for _ in range(horizon):
        of_actions = tasks.rewards + tf.einsum("nsaz,nz->nsa", tasks.transitions, values)
        best.append(tf.argmax(of_actions, axis=-1, output_type=tf.int32))
        values = tf.reduce_max(of_actions, axis=-1)
    return values, tf.stack(best)
