"""An agent of this library plays in a Gymnasium environment."""

from __future__ import annotations

import contextlib
import copy
from collections.abc import Callable
from typing import Any, NamedTuple

import gymnasium
import numpy as np
import tensorflow as tf

from tfmeta.core.actions import Box, Discrete
from tfmeta.core.trials import Agent, fold_in
from tfmeta.core.validation import check_seed, check_sizes
from tfmeta.gym.environment import same_task, space_of

_SPACES = gymnasium.spaces


class PlayedTrial(NamedTuple):
    """What happened in a trial of several episodes in one Gymnasium environment.

    Args:
        actions: int32 `[n_steps]`, or float32 `[n_steps, dim]` as the agent drew them.
        rewards: float32 `[n_steps]`.
        dones: bool `[n_steps]`, whether an episode ended with this step.
        returns: float64 `[n_episodes]`, the sum of the rewards of each episode.

    References:
        Duan et al. (2016), figure 1. https://arxiv.org/abs/1611.02779
    """

    actions: np.ndarray
    rewards: np.ndarray
    dones: np.ndarray
    returns: np.ndarray


def play_gymnasium(
    agent: Agent,
    env: gymnasium.Env | Callable[[], gymnasium.Env],
    n_episodes: int,
    *,
    actions: Discrete | Box,
    seed: int,
    horizon: int = 1000,
    options: dict[str, Any] | None = None,
) -> PlayedTrial:
    """Let an agent play several episodes of one Gymnasium environment as one trial: its memory lives through all.

    The agent sees vectors: those of a `Box` are flattened, those of a `Discrete` space one-hot. What a Gaussian draws
    outside of the bounds is cut for the environment.

    Args:
        agent: as in `tfmeta.core.trials`; its functions run in a graph, on a batch of one trial.
        env: the environment, which stays open, or a function without arguments that makes it, which is closed.
        n_episodes: episodes of the trial.
        actions: what the agent may do, `environment.actions` of that in which it learned.
        seed: of the agent and of the environment.
        horizon: steps after which an episode is cut, for environments that might never end.
        options: for the first `reset`, such as `{"task": task}` of `as_gymnasium`, which else draws a task of the seed.

    Returns:
        A `PlayedTrial`, of NumPy arrays `[n_steps]` and `[n_episodes]`.

    Raises:
        TypeError: if the agent, the environment or the actions are something else.
        ValueError: if a number is out of range; if a space is neither `Discrete` nor a `Box`, or does not fit the
            agent; while it plays, if spaces change, or a reward or an observation is not finite.

    References:
        Duan et al. (2016), figure 1. https://arxiv.org/abs/1611.02779
    """
    check_sizes(n_episodes=n_episodes, horizon=horizon)
    check_seed(seed)
    if not isinstance(agent, Agent):
        raise TypeError(f"agent must be an Agent, such as learner.agent(). Received: agent={agent!r}")
    if not isinstance(actions, Discrete | Box):
        raise TypeError(f"actions must be a Discrete or a Box of tfmeta.core.actions. Received: actions={actions!r}")
    with _opened(env) as env:
        spaces = env.observation_space, env.action_space
        encode = _encoder(spaces[0])
        _check_actions(actions, spaces[1])
        act, learn = _graphs(agent, actions, encode.size)
        return _play(agent, env, int(n_episodes), int(seed), int(horizon), options, actions, encode, (act, learn))


@contextlib.contextmanager
def _opened(env):
    """The environment itself, or one that is made and closed."""
    if isinstance(env, gymnasium.Env):
        yield env
        return
    made = env() if callable(env) else env
    if not isinstance(made, gymnasium.Env):
        raise TypeError(f"env must be a gymnasium.Env, or a function that makes one. Received: {made!r}")
    try:
        yield made
    finally:
        made.close()


class _Vectors(NamedTuple):
    """How observations become vectors float32 `[size]`; None for an observation that there is not."""

    size: int
    of: Callable[[Any], np.ndarray | None]


def _encoder(space: gymnasium.Space) -> _Vectors:
    if isinstance(space, _SPACES.Discrete):
        n, start = int(space.n), int(space.start)
        return _Vectors(n, lambda seen: np.eye(n, dtype=np.float32)[seen - start] if seen in space else None)
    if isinstance(space, _SPACES.Box):
        size, shape = int(np.prod(space.shape)), space.shape

        def flat(seen):
            fits = np.shape(seen) == shape and np.isfinite(seen).all()
            return np.asarray(seen, np.float32).reshape(-1) if fits else None

        return _Vectors(size, flat)
    raise ValueError(
        "observations must be a Box or Discrete; gymnasium.wrappers.FlattenObservation makes a Box of others. "
        f"Received: observation_space={space}"
    )


def _check_actions(actions: Discrete | Box, space: gymnasium.Space) -> None:
    wanted = space_of(actions)
    if isinstance(actions, Discrete):
        fits = isinstance(space, _SPACES.Discrete) and space.n == actions.n
    else:
        fits = isinstance(space, _SPACES.Box) and space.shape == actions.shape
        fits = fits and np.allclose(space.low, actions.low) and np.allclose(space.high, actions.high)
    if not fits:
        raise ValueError(
            f"the environment's actions must be the agent's, {wanted}; gymnasium.wrappers.RescaleAction gives a Box "
            f"other bounds. Received: action_space={space}"
        )


def _graphs(agent: Agent, actions: Discrete | Box, size: int) -> tuple[Callable, Callable]:
    """The agent's functions as graphs, traced before anything is played."""
    spec = tf.TensorSpec
    try:
        act = tf.function(agent.act, autograph=False)
        learn = tf.function(agent.learn, autograph=False)
        memory = tf.nest.map_structure(lambda t: spec(t.shape, t.dtype), agent.begin(tf.constant(1)))
        given = spec([1, *actions.shape], actions.dtype)
        chosen, after = act.get_concrete_function(
            memory, spec([1, size], tf.float32), spec([2], tf.int64)
        ).structured_outputs
        learned = learn.get_concrete_function(
            after, given, spec([1], tf.float32), spec([1], tf.bool)
        ).structured_outputs
        tf.nest.assert_same_structure(memory, learned)
    except Exception as error:  # whatever an agent of anybody's raises where it does not fit
        raise ValueError(
            f"the agent must take observations [n_trials, {size}], and act and learn in a graph. "
            f"Received: agent={agent.name!r}, which says: {error}"
        ) from error
    if not chosen.shape.is_compatible_with(given.shape) or chosen.dtype != given.dtype:
        raise ValueError(
            f"the agent must give actions of the shape {[1, *actions.shape]} and {actions.dtype.name}. "
            f"Received: {chosen.shape} and {chosen.dtype.name}"
        )
    return act, learn


def _play(agent, env, n_episodes, seed, horizon, options, actions, encode, graphs) -> PlayedTrial:
    act, learn = graphs
    key = tf.constant([seed % 2**31, seed // 2**31], tf.int64)
    spaces = copy.deepcopy((env.observation_space, env.action_space))
    start = int(spaces[1].start) if isinstance(actions, Discrete) else 0
    memory, played, returns = agent.begin(tf.constant(1)), [], np.zeros(n_episodes)
    for episode in range(n_episodes):
        if episode == 0:
            # Gymnasium takes seeds of 32 bits everywhere.
            observation, _ = env.reset(seed=seed % 2**31, options=options)
        else:
            observation, _ = env.reset(options=same_task(env))
        if (env.observation_space, env.action_space) != spaces:
            raise ValueError(
                f"an environment's spaces must stay the same in a trial, {spaces[0]} and {spaces[1]}. "
                f"Received: {env.observation_space} and {env.action_space} in episode {episode}"
            )
        for t in range(horizon):
            seen = encode.of(observation)
            if seen is None:
                raise ValueError(
                    f"observations must be finite, like {spaces[0]}. "
                    f"Received: {observation!r} in episode {episode}, step {t}"
                )
            chosen, memory = act(memory, tf.constant(seen[None]), fold_in(key, len(played)))
            given = start + int(chosen[0]) if isinstance(actions, Discrete) else actions.inside(chosen)[0].numpy()
            observation, reward, terminated, truncated, _ = env.step(given)
            if np.shape(reward) != () or not np.isfinite(reward):
                raise ValueError(
                    f"rewards must be finite numbers. Received: reward={reward!r} in episode {episode}, step {t}"
                )
            done = bool(terminated or truncated or t + 1 == horizon)
            memory = learn(memory, chosen, tf.constant([reward], tf.float32), tf.constant([done]))
            played.append((chosen[0].numpy(), reward, done))
            returns[episode] += float(reward)
            if done:
                break
    taken, rewards, dones = (np.array(column) for column in zip(*played, strict=True))
    return PlayedTrial(taken, rewards.astype(np.float32), dones, returns)
