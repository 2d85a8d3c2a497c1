"""How well an agent plays: rewards of trials with standard errors, step by step, and what exploring cost."""

from __future__ import annotations

import dataclasses
from typing import Any

import keras
import numpy as np
import tensorflow as tf

from tfmeta.core.actions import Discrete
from tfmeta.core.trials import Agent, Environment, fold_in, play
from tfmeta.core.validation import check_seed, check_sizes
from tfmeta.core.words import counted
from tfmeta.training.parallel import without_tracing_advice

_AT_ONCE = 2500  # trials in one graph call


@dataclasses.dataclass(frozen=True)
class TrialScore:
    """What an agent earns in trials of fresh tasks. `print` it for one line that says all.

    Args:
        reward: mean over trials of a trial's sum of rewards.
        standard_error: of that mean.
        trials: number of trials, each in a task of its own.
        n_episodes: episodes in a trial.
        episode_length: steps of an episode, at most.
        agent: its name.
        environment: the distribution of tasks in words.
        seed: of tasks, play and chance. With one seed all agents meet the same tasks.
        per_step: mean reward of every step, `[n_steps]`.
        per_step_error: its standard error, `[n_steps]`.
        regret: what whoever knows the task would have earned more until the end of every episode, `[n_episodes]`;
            None where that is not known.
        distinct: mean number of different actions until every step, `[n_steps]`; None for actions that are vectors.
        sums: a trial's sum of rewards `[trials]`, for comparisons in pairs.

    References:
        Duan et al. (2016), table 1. https://arxiv.org/abs/1611.02779
    """

    reward: float
    standard_error: float
    trials: int
    n_episodes: int
    episode_length: int
    agent: str
    environment: str
    seed: int
    per_step: np.ndarray = dataclasses.field(compare=False, repr=False)
    per_step_error: np.ndarray = dataclasses.field(compare=False, repr=False)
    regret: np.ndarray | None = dataclasses.field(default=None, compare=False, repr=False)
    distinct: np.ndarray | None = dataclasses.field(default=None, compare=False, repr=False)
    sums: np.ndarray | None = dataclasses.field(default=None, compare=False, repr=False)

    def __post_init__(self):
        for name in ("per_step", "per_step_error", "regret", "distinct", "sums"):
            if (value := getattr(self, name)) is not None:
                object.__setattr__(self, name, np.asarray(value, np.float64))

    def __str__(self):
        regret = "" if self.regret is None else f", regret {self.regret[-1]:.3f}"
        length = "" if self.episode_length == 1 else f" of {counted(self.episode_length, 'step')}"
        return (
            f"reward {self.reward:.3f}, standard error {self.standard_error:.3f} ({self.agent}, {self.environment}, "
            f"{counted(self.n_episodes, 'episode')}{length} a trial, {counted(self.trials, 'trial')}{regret})"
        )

    def to_dict(self) -> dict[str, Any]:
        """All fields but `sums`, ready for JSON."""
        fields = {field.name: getattr(self, field.name) for field in dataclasses.fields(self)}
        del fields["sums"]
        return {name: value.tolist() if isinstance(value, np.ndarray) else value for name, value in fields.items()}


def evaluate_agent(
    agent: Agent | keras.Model,
    environment: Environment | None = None,
    *,
    n_episodes: int | None = None,
    trials: int = 10_000,
    seed: int = 30_000,
) -> TrialScore:
    """Let an agent play one trial in each of many fresh tasks.

    Args:
        agent: an `Agent`, or a learner that has one, such as `RL2`.
        environment: the distribution of tasks; by default the learner's own.
        n_episodes: episodes in a trial; by default the learner's own. It may be more than in training.
        trials: number of tasks.
        seed: whole number; with one seed all agents meet the same tasks.

    Returns:
        A `TrialScore`.

    Raises:
        TypeError: if the agent is none, or an agent alone comes without an environment.
        ValueError: if a number is not positive, or the environment is not one that the learner can play.

    References:
        Duan et al. (2016), section 3.1. https://arxiv.org/abs/1611.02779
    """
    own = None
    if not isinstance(agent, Agent):
        if not callable(getattr(agent, "agent", None)):
            raise TypeError(f"agent must be an Agent or a learner with one. Received: agent={agent!r}")
        own, n_episodes = agent.environment, agent.n_episodes if n_episodes is None else n_episodes
        agent = agent.agent()
    environment = own if environment is None else environment
    if not isinstance(environment, Environment):
        raise TypeError(f"environment must be an Environment. Received: environment={environment!r}")
    if n_episodes is None:
        raise ValueError("n_episodes must be given with an agent that has no trial of its own. Received: None")
    check_sizes(n_episodes=n_episodes, trials=trials)
    check_seed(seed)
    if own is not None and (environment.actions, environment.observation_size) != (own.actions, own.observation_size):
        raise ValueError(
            f"environment must have the learner's own actions and observations, {own!r}. Received: {environment!r}"
        )
    n_steps = n_episodes * environment.episode_length

    @tf.autograph.experimental.do_not_convert
    def part(n: int, key: tf.Tensor):
        tasks = environment.sample_tasks(n, fold_in(key, 0))
        trial = play(agent, environment, tasks, n_steps, fold_in(key, 1))
        return trial.actions, trial.rewards, environment.best_return(tasks)

    graph, found = tf.function(part, autograph=False, jit_compile=False), []
    base = tf.constant([seed % 2**31, seed // 2**31], tf.int64)
    with without_tracing_advice():
        for i, first in enumerate(range(0, trials, _AT_ONCE)):
            actions, rewards, best = graph(min(_AT_ONCE, trials - first), fold_in(base, i))
            distinct = _distinct(actions.numpy(), environment.actions)
            found.append((rewards.numpy().astype(np.float64), None if best is None else best.numpy(), distinct))
    rewards = np.concatenate([part[0] for part in found])
    sums = rewards.sum(axis=1)
    return TrialScore(
        float(sums.mean()), _error(sums), trials, n_episodes, environment.episode_length, agent.name,
        repr(environment), seed, rewards.mean(axis=0), _error(rewards),
        _regret(rewards, [part[1] for part in found], n_episodes),
        None if found[0][2] is None else np.sum([part[2] for part in found], axis=0) / trials, sums,
    )  # fmt: skip


def _error(values: np.ndarray):
    if len(values) < 2:
        return np.full(values.shape[1:], np.nan)[()]
    found = values.std(axis=0, ddof=1) / np.sqrt(len(values))
    return float(found) if found.ndim == 0 else found


def _regret(rewards: np.ndarray, best: list[np.ndarray | None], n_episodes: int) -> np.ndarray | None:
    if best[0] is None:
        return None
    earned = rewards.reshape(len(rewards), n_episodes, -1).sum(axis=2)
    return np.cumsum((np.concatenate(best)[:, None] - earned).mean(axis=0))


def _distinct(actions: np.ndarray, spaces) -> np.ndarray | None:
    """Sum over trials of the number of different actions until every step."""
    if not isinstance(spaces, Discrete):
        return None
    tried = np.zeros((len(actions), spaces.n), bool)
    found = np.zeros(actions.shape[1])
    for t in range(actions.shape[1]):
        tried[np.arange(len(actions)), actions[:, t]] = True
        found[t] = tried.sum()
    return found
