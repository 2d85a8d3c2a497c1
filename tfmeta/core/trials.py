"""Reinforcement learning in many tasks at once: an environment, an agent, and the trials that they play.

A *trial* is several episodes in one task. An agent's memory lives through the trial and begins anew with the next. All
functions take a batch of trials, a leading axis `[n_trials]` on every tensor, and run inside a graph.
"""

from __future__ import annotations

import abc
from collections.abc import Callable
from typing import Any, NamedTuple

import tensorflow as tf

from tfmeta.core.actions import Box, Discrete
from tfmeta.core.validation import check_sizes

fold_in = tf.random.experimental.stateless_fold_in


class Moment(NamedTuple):
    """What an environment answers to an action.

    Args:
        state: a nest of tensors `[n_trials, ...]`, the environment's own.
        observation: `[n_trials, observation_size]`, what the agent sees of it.
        reward: `[n_trials]`.
        done: bool `[n_trials]`, whether the episode is over.

    References:
        Sutton, Barto (2018), "Reinforcement Learning: An Introduction", section 3.1.
        http://incompleteideas.net/book/the-book-2nd.html
    """

    state: Any
    observation: tf.Tensor
    reward: tf.Tensor
    done: tf.Tensor


class Environment(abc.ABC):
    """A distribution of tasks for agents, as pure functions on a batch. Abstract.

    `episode_length` is the largest number of steps of an episode, `actions` a `Discrete` or a `Box`, and
    `observation_size` the length of an observation (0 where there is nothing to see).

    References:
        Duan et al. (2016), section 2.2. https://arxiv.org/abs/1611.02779
    """

    actions: Discrete | Box
    observation_size: int
    episode_length: int

    @abc.abstractmethod
    def sample_tasks(self, n_tasks: int, key: tf.Tensor) -> Any:
        """Draw tasks.

        Args:
            n_tasks: how many.
            key: integers `[2]`.

        Returns:
            A nest of tensors `[n_tasks, ...]`.
        """

    @abc.abstractmethod
    def reset(self, tasks: Any, key: tf.Tensor) -> tuple[Any, tf.Tensor]:
        """Begin an episode in each task.

        Args:
            tasks: of `sample_tasks`.
            key: integers `[2]`.

        Returns:
            The state, a nest of tensors `[n_trials, ...]`, and the observation `[n_trials, observation_size]`.
        """

    @abc.abstractmethod
    def step(self, tasks: Any, state: Any, actions: tf.Tensor, key: tf.Tensor) -> Moment:
        """Answer an action in each task.

        Args:
            tasks: of `sample_tasks`.
            state: of `reset` or of the step before.
            actions: `[n_trials]`, or `[n_trials, dim]` of a `Box`.
            key: integers `[2]`.

        Returns:
            A `Moment`.
        """

    def best_return(self, tasks: Any) -> tf.Tensor | None:
        """The expected return of an episode for whoever knows the task, `[n_trials]`; None if that is not known."""
        return None


class Agent(NamedTuple):
    """Somebody who plays, as three functions on a batch of trials.

    Args:
        begin: of the number of trials to a memory, a nest of tensors `[n_trials, ...]`.
        act: of (memory, observation, key) to actions `[n_trials]` and the memory.
        learn: of (memory, actions, rewards, dones), each `[n_trials]`, to the memory. It keeps types and shapes.
        name: for tables and figures.

    References:
        Duan et al. (2016), section 2.2. https://arxiv.org/abs/1611.02779
    """

    begin: Callable[[Any], Any]
    act: Callable[[Any, tf.Tensor, tf.Tensor], tuple[tf.Tensor, Any]]
    learn: Callable[[Any, tf.Tensor, tf.Tensor, tf.Tensor], Any]
    name: str = "agent"


class Trial(NamedTuple):
    """What happened in a batch of trials.

    Args:
        actions: `[n_trials, n_steps]`, or `[n_trials, n_steps, dim]` of a `Box`.
        rewards: `[n_trials, n_steps]`.
        dones: bool `[n_trials, n_steps]`, whether an episode ended with this step.
        kept: what `play` was asked to keep, a nest of tensors `[n_trials, n_steps, ...]`.

    References:
        Duan et al. (2016), figure 1. https://arxiv.org/abs/1611.02779
    """

    actions: tf.Tensor
    rewards: tf.Tensor
    dones: tf.Tensor
    kept: Any = ()


def play(
    agent: Agent,
    environment: Environment,
    tasks: Any,
    n_steps: int,
    key: tf.Tensor,
    *,
    keep: Callable[[Any], Any] = lambda memory: (),
) -> Trial:
    """Let an agent play one trial in each task. An episode that ends is followed by the next in the same task.

    Args:
        agent: whose memory begins anew.
        environment: whose tasks they are.
        tasks: of `environment.sample_tasks`, `[n_trials, ...]`.
        n_steps: steps of a trial: episodes times `episode_length` where every episode has that length.
        key: integers `[2]`; the same key gives the same trials.
        keep: of the memory after `act` to a nest of tensors `[n_trials, ...]` that is kept of every step.

    Returns:
        A `Trial`.

    Raises:
        ValueError: if `n_steps` is not positive.
        tf.errors.InvalidArgumentError: if a reward is not finite, or an agent chooses an action that there is not.

    References:
        Duan et al. (2016), figure 1. https://arxiv.org/abs/1611.02779
    """
    check_sizes(n_steps=n_steps)
    n_trials = tf.shape(tf.nest.flatten(tasks)[0])[0]
    key = tf.cast(key, tf.int64)
    memory = agent.begin(n_trials)
    state, observation = environment.reset(tasks, fold_in(key, 0))

    def arrays(like):
        return tf.nest.map_structure(lambda t: tf.TensorArray(t.dtype, n_steps, element_shape=t.shape), like)

    def write(all_of, t, values):
        return tf.nest.map_structure(lambda array, value: array.write(t, value), all_of, values)

    def one_step(t, memory, state, observation, written):
        chosen, answered, begun = (fold_in(key, 3 * t + i) for i in (1, 2, 3))
        actions, memory = agent.act(memory, observation, chosen)
        actions = _known(actions, spaces)
        moment = environment.step(tasks, state, actions, answered)
        reward = tf.debugging.check_numerics(moment.reward, "rewards must be finite")
        written = write(written, t, (actions, reward, moment.done, keep(memory)))
        memory = agent.learn(memory, actions, reward, moment.done)
        fresh = environment.reset(tasks, begun)
        state, observation = tf.nest.map_structure(
            lambda new, old: tf.where(tf.reshape(moment.done, [-1] + [1] * (new.shape.rank - 1)), new, old),
            fresh,
            (moment.state, moment.observation),
        )
        return t + 1, memory, state, observation, written

    n = tasks_known(tasks)
    spaces = environment.actions
    written = (
        tf.TensorArray(spaces.dtype, n_steps, element_shape=(n, *spaces.shape)),
        tf.TensorArray(tf.float32, n_steps, element_shape=(n,)),
        tf.TensorArray(tf.bool, n_steps, element_shape=(n,)),
        arrays(keep(memory)),
    )
    *_, written = tf.while_loop(
        lambda t, *_: t < n_steps,
        one_step,
        (tf.constant(0), memory, state, observation, written),
        maximum_iterations=n_steps,
    )
    return Trial(*tf.nest.map_structure(lambda array: _trials_first(array.stack()), written))


def _known(actions: tf.Tensor, spaces: Discrete | Box) -> tf.Tensor:
    """The actions themselves; an environment would take one that there is not for another."""
    if not isinstance(spaces, Discrete):
        return actions
    there = tf.debugging.assert_equal(
        tf.logical_and(actions >= 0, actions < spaces.n),
        True,
        f"actions must be whole numbers from 0 to {spaces.n - 1}",
    )
    with tf.control_dependencies([there] if there is not None else []):  # there is no operation in eager mode
        return tf.identity(actions)


def tasks_known(tasks: Any) -> int | None:
    """The number of tasks, where the graph knows it."""
    return tf.nest.flatten(tasks)[0].shape[0]


def _trials_first(steps: tf.Tensor) -> tf.Tensor:
    return tf.transpose(steps, [1, 0, *range(2, steps.shape.rank)])
