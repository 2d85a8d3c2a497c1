"""An environment of this library as a `gymnasium.Env`, for agents and tools of other libraries."""

from __future__ import annotations

import functools
from typing import Any

import gymnasium
import numpy as np
import tensorflow as tf

from tfmeta.core.actions import Box, Discrete
from tfmeta.core.own_task import as_task
from tfmeta.core.trials import Environment
from tfmeta.core.validation import check_seed

_SAME_TASK = {"new_task": False}
_CHOICES = ("task", "new_task")
_WIDEST = float(np.finfo(np.float32).max)  # Gymnasium warns of infinite bounds


def as_gymnasium(environment: Environment, *, seed: int | None = None) -> TaskEnv:
    """One of our environments as a `gymnasium.Env`, one task at a time.

    `reset()` draws a new task and begins an episode in it. `reset(options={"new_task": False})` begins one more episode
    in the same task, and `reset(options={"task": task})` one in a task of yours, which is nested and shaped like one
    of `environment.sample_tasks` without the leading axis. `TrialWrapper` and `play_gymnasium` keep the task for all
    episodes of a trial.

    Args:
        environment: a distribution of tasks.
        seed: of all that is drawn, until `reset(seed=...)` gives another one; by default a random one.

    Returns:
        A `gymnasium.Env`. Its observations are float32 `[observation_size]`, which is `[0]` where there is nothing to
        see. Its actions are those of `environment.actions`: whole numbers, or float32 `[dim]`.

    Raises:
        TypeError: if it is not an `Environment`.
        ValueError: if the seed is not a non-negative whole number.

    References:
        Gymnasium, "Env". https://gymnasium.farama.org/api/env/

    Note:
        Where an episode ends, that is its end (`terminated`): a bandit's pull, or the horizon of a small decision
        process, belongs to the task. It is a limit of time (`truncated`) in an environment that has a method
        `terminated(tasks, state)`, wherever that says False: `Navigation2D` says whether the goal is reached.
    """
    if not isinstance(environment, Environment):
        raise TypeError(f"environment must be an Environment. Received: environment={environment!r}")
    if seed is not None:
        check_seed(seed)
    return TaskEnv(environment, seed)


def same_task(env: gymnasium.Env) -> dict[str, Any] | None:
    """Options that keep the task in the next `reset`; None for an environment of others, whose task is itself.

    Args:
        env: perhaps within wrappers.

    Returns:
        For `reset(options=...)`.
    """
    return dict(_SAME_TASK) if isinstance(env.unwrapped, TaskEnv) else None


def space_of(actions: Discrete | Box) -> gymnasium.Space:
    """Our actions as a Gymnasium space."""
    if isinstance(actions, Discrete):
        return gymnasium.spaces.Discrete(actions.n)
    return gymnasium.spaces.Box(actions.low, actions.high, actions.shape, np.float32)


class TaskEnv(gymnasium.Env):
    """What `as_gymnasium` makes.

    Args:
        environment: a distribution of tasks.
        seed: of the first `reset` that is given none.

    References:
        Gymnasium, "Env". https://gymnasium.farama.org/api/env/
    """

    metadata = {"render_modes": []}  # noqa: RUF012  (Gymnasium's own form)

    def __init__(self, environment: Environment, seed: int | None = None):
        self.environment = environment
        self.action_space = space_of(environment.actions)
        shape = (environment.observation_size,)
        self.observation_space = gymnasium.spaces.Box(-_WIDEST, _WIDEST, shape, np.float32)
        # A recipe for copies, which `check_env` and wrappers ask for.
        self.spec = gymnasium.envs.registration.EnvSpec(
            f"tfmeta/{type(environment).__name__}-v0", functools.partial(as_gymnasium, environment, seed=seed)
        )
        self._seed, self._tasks, self._state, self._steps = seed, None, None, None
        graph = functools.partial(tf.function, autograph=False)
        self._sample_tasks = graph(lambda key: environment.sample_tasks(1, key))
        self._reset = graph(environment.reset)
        self._step = graph(environment.step)
        self._reached = graph(environment.terminated) if hasattr(environment, "terminated") else None

    @property
    def task(self) -> Any:
        """The present task as NumPy arrays without a leading axis; None before the first `reset`."""
        return None if self._tasks is None else tf.nest.map_structure(lambda tensor: tensor.numpy()[0], self._tasks)

    def _key(self) -> tf.Tensor:
        return tf.constant(self.np_random.integers(2**31, size=2), tf.int64)

    def reset(self, *, seed: int | None = None, options: dict[str, Any] | None = None):
        """Begin an episode, in a new task unless `options` say another thing. See `as_gymnasium`.

        Raises:
            ValueError: if the options are unknown, or a task is not like those of the environment.
        """
        options = {} if options is None else options
        if unknown := sorted(map(str, set(options) - set(_CHOICES))):
            raise ValueError(f"options must be among {', '.join(_CHOICES)}. Received: options with {unknown[0]!r}")
        new = options.get("new_task", "task" not in options)
        if not isinstance(new, bool):
            raise ValueError(f"new_task must be True or False. Received: new_task={new!r}")
        if new and "task" in options:
            raise ValueError("options must have either a task or new_task=True. Received: both")
        given = as_task(self.environment, options["task"]) if "task" in options else None
        super().reset(seed=self._seed if seed is None else seed)
        self._seed = None  # further numbers go on from it
        if given is not None:
            self._tasks = tf.nest.map_structure(lambda part: part[None], given)
        elif new or self._tasks is None:
            self._tasks = self._sample_tasks(self._key())
        self._state, observation = self._reset(self._tasks, self._key())
        self._steps = 0
        return observation.numpy()[0], {}

    def step(self, action):
        """Take an action.

        Raises:
            ValueError: if the action is none of the environment's.
            gymnasium.error.ResetNeeded: before the first `reset`, and after the end of an episode.
        """
        actions, length = self.environment.actions, self.environment.episode_length
        if np.shape(action) != actions.shape:
            raise ValueError(f"an action must have the shape {list(actions.shape)}. Received: action={action!r}")
        actions.check(action)
        if self._steps is None:
            raise gymnasium.error.ResetNeeded("reset() must begin an episode before step(). Received: no episode")
        action = tf.constant(np.asarray(action)[None], actions.dtype)
        moment = self._step(self._tasks, self._state, action, self._key())
        self._state, self._steps = moment.state, self._steps + 1
        done = bool(moment.done[0])
        terminated = done and (self._reached is None or bool(self._reached(self._tasks, moment.state)[0]))
        truncated = not terminated and (done or self._steps >= length)
        if terminated or truncated:
            self._steps = None
        return moment.observation.numpy()[0], float(moment.reward[0]), terminated, truncated, {}
