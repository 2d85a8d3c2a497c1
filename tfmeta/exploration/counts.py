"""Rules for bandits that count: they remember each arm's successes and failures and nothing of their order.

A reward from 0 to 1 counts as that part of a success, and the rest of the pull as a failure.
"""

from __future__ import annotations

import math
from collections.abc import Callable
from typing import NamedTuple

import tensorflow as tf

from tfmeta.core.trials import Agent, fold_in
from tfmeta.core.validation import check_number, check_sizes


class Counts(NamedTuple):
    """What a counting rule remembers.

    Args:
        successes: `[n_trials, n_arms]`, the sum of an arm's rewards.
        failures: `[n_trials, n_arms]`, an arm's pulls less its rewards.

    References:
        Auer, Cesa-Bianchi, Fischer (2002), section 1. https://doi.org/10.1023/A:1013689704352
    """

    successes: tf.Tensor
    failures: tf.Tensor

    pulls = property(lambda self: self.successes + self.failures, doc="Pulls of every arm, `[n_trials, n_arms]`.")
    total = property(lambda self: tf.reduce_sum(self.pulls, -1, keepdims=True), doc="Pulls so far, `[n_trials, 1]`.")
    # Of Beta(1 + successes, 1 + failures), the posterior if an arm's probability is uniform.
    mean = property(
        lambda self: (self.successes + 1.0) / (self.pulls + 2.0),
        doc="Posterior mean of every arm's probability, `[n_trials, n_arms]`.",
    )


def no_counts(n_arms: int) -> Callable[[tf.Tensor], Counts]:
    """The memory before the first pull.

    Args:
        n_arms: k.

    Returns:
        A function of the number of trials to `Counts` of zeros.
    """
    return lambda n_trials: Counts(tf.zeros([n_trials, n_arms]), tf.zeros([n_trials, n_arms]))


def counted(memory: Counts, actions: tf.Tensor, rewards: tf.Tensor, dones: tf.Tensor) -> Counts:
    """Add a pull to the counts.

    Args:
        memory: `Counts`.
        actions: the arms, int32 `[n_trials]`.
        rewards: from 0 to 1, `[n_trials]`.
        dones: bool `[n_trials]`, of no importance here.

    Returns:
        `Counts`.

    Raises:
        tf.errors.InvalidArgumentError: if a reward is not from 0 to 1.
    """
    inside = tf.reduce_all((rewards >= 0.0) & (rewards <= 1.0))
    assertion = tf.debugging.Assert(
        inside, ["rewards must be from 0 to 1: they are counted as parts of a success. Received: rewards=", rewards]
    )
    with tf.control_dependencies([] if assertion is None else [assertion]):  # None where it runs at once
        pulled = tf.one_hot(actions, memory.successes.shape[-1])
    rewards = rewards[:, None]
    return Counts(memory.successes + rewards * pulled, memory.failures + (1.0 - rewards) * pulled)


def best_arm(scores: tf.Tensor, key: tf.Tensor) -> tf.Tensor:
    """The arm with the highest score, one of them at random where several have it.

    Args:
        scores: `[n_trials, n_arms]`, infinite ones allowed.
        key: integers `[2]`.

    Returns:
        int32 `[n_trials]`.
    """
    lots = tf.random.stateless_uniform(tf.shape(scores), key)
    best = scores >= tf.reduce_max(scores, axis=-1, keepdims=True)
    return tf.argmax(tf.where(best, lots, -1.0), axis=-1, output_type=tf.int32)


def counting_agent(n_arms: int, score: Callable[[Counts, tf.Tensor], tf.Tensor], name: str) -> Agent:
    """An agent that pulls the arm with the highest score.

    Args:
        n_arms: k.
        score: of (counts, key) to `[n_trials, n_arms]`.
        name: for tables and figures.

    Returns:
        An `Agent`. Ties are broken at random.

    Raises:
        ValueError: if there is no arm.
    """
    check_sizes(n_arms=n_arms)

    def act(memory, observation, key):
        return best_arm(score(memory, fold_in(key, 0)), fold_in(key, 1)), memory

    return Agent(no_counts(n_arms), act, counted, name)


def random_agent(n_arms: int) -> Agent:
    """Every action with the same probability, in any environment with `n_arms` actions.

    Args:
        n_arms: number of actions.

    Returns:
        An `Agent` without a memory, so that rewards may be any numbers.

    Raises:
        ValueError: if there is no arm.

    References:
        Duan et al. (2016), table 1. https://arxiv.org/abs/1611.02779
    """
    check_sizes(n_arms=n_arms)

    def act(memory, observation, key):
        n_trials = tf.shape(observation)[:1]
        return tf.random.stateless_uniform(n_trials, key, maxval=n_arms, dtype=tf.int32), memory

    return Agent(lambda n_trials: (), act, lambda memory, actions, rewards, dones: memory, "random")


def greedy(n_arms: int) -> Agent:
    """The arm with the highest posterior mean, from a uniform prior.

    An arm that was never pulled has the mean 1/2: it is tried as soon as all others look worse than that.

    Args:
        n_arms: k.

    Returns:
        An `Agent` for rewards from 0 to 1. Ties are broken at random.

    Raises:
        ValueError: if there is no arm.

    References:
        Duan et al. (2016), section 3.1; Sutton, Barto (2018), section 2.2. https://arxiv.org/abs/1611.02779
    """
    return counting_agent(n_arms, lambda counts, key: counts.mean, "greedy")


def epsilon_greedy(n_arms: int, epsilon: float) -> Agent:
    """A random arm with probability epsilon, else the greedy one.

    Args:
        n_arms: k.
        epsilon: from 0, which is `greedy`, to 1, which is `random_agent`.

    Returns:
        An `Agent` for rewards from 0 to 1. Ties are broken at random.

    Raises:
        ValueError: if there is no arm, or `epsilon` is not from 0 to 1.

    References:
        Sutton, Barto (2018), section 2.2. http://incompleteideas.net/book/the-book-2nd.html
    """
    check_number("epsilon", epsilon)
    if epsilon > 1:
        raise ValueError(f"epsilon must be from 0 to 1, a probability. Received: epsilon={epsilon!r}")

    def score(counts, key):
        # With all scores the same, the lots that break ties draw the arm.
        tried = tf.random.stateless_uniform(tf.shape(counts.total), key) < epsilon
        return tf.where(tried, 0.0, counts.mean)

    return counting_agent(n_arms, score, "epsilon-greedy")


def ucb1(n_arms: int, constant: float = 2.0) -> Agent:
    """The highest upper confidence bound: mean reward + sqrt(constant ln t / N), after one pull of each arm.

    N is an arm's pulls and t those of all arms so far. The first pull of each arm comes in random order.

    Args:
        n_arms: k.
        constant: 2 in the paper; a smaller one explores less.

    Returns:
        An `Agent` for rewards from 0 to 1. Ties are broken at random.

    Raises:
        ValueError: if there is no arm, or `constant` is negative.

    References:
        Auer, Cesa-Bianchi, Fischer (2002), "Finite-time Analysis of the Multiarmed Bandit Problem", figure 1.
        https://doi.org/10.1023/A:1013689704352
    """
    check_number("constant", constant)

    def score(counts, key):
        pulls = tf.maximum(counts.pulls, 1.0)
        bound = counts.successes / pulls + tf.sqrt(constant * tf.math.log(tf.maximum(counts.total, 1.0)) / pulls)
        return tf.where(counts.pulls < 0.5, math.inf, bound)

    return counting_agent(n_arms, score, "UCB1 (textbook)" if constant == 2.0 else f"UCB1 (constant {constant:g})")


def tuned_ucb1(n_arms: int, constant: float = 0.1) -> Agent:
    """An upper confidence bound for few pulls: m + sqrt(constant ln t / (N + 2)) from the first pull on.

    Each arm counts as if it had paid once and failed once before: m = (successes + 1) / (N + 2). N is the arm's pulls,
    and t the number of the pull that comes, from 1. No arm has to be tried.

    Args:
        n_arms: k.
        constant: 0 is `greedy`.

    Returns:
        An `Agent` for rewards from 0 to 1. Ties are broken at random.

    Raises:
        ValueError: if there is no arm, or `constant` is negative.

    References:
        Auer, Cesa-Bianchi, Fischer (2002), figure 1, with constants of our own. https://doi.org/10.1023/A:1013689704352

    Note:
        The constant fits 10 and 100 pulls of 5 arms. This is not the paper's UCB1-TUNED, which measures variances.
    """
    check_number("constant", constant)

    def score(counts, key):
        return counts.mean + tf.sqrt(constant * tf.math.log(counts.total + 1.0) / (counts.pulls + 2.0))

    return counting_agent(n_arms, score, "UCB1 (tuned)")


def thompson(n_arms: int) -> Agent:
    """Draw every arm's probability from its posterior, with a uniform prior, and pull the arm with the highest draw.

    Args:
        n_arms: k.

    Returns:
        An `Agent` for rewards from 0 to 1.

    Raises:
        ValueError: if there is no arm.

    References:
        Thompson (1933); Chapelle, Li (2011).
        https://doi.org/10.1093/biomet/25.3-4.285, https://papers.nips.cc/paper/4321-an-empirical-evaluation-of-thompson-sampling
    """
    return counting_agent(n_arms, posterior_draw, "Thompson")


def optimistic_thompson(n_arms: int) -> Agent:
    """Thompson sampling in which no draw is below the arm's posterior mean.

    Args:
        n_arms: k.

    Returns:
        An `Agent` for rewards from 0 to 1. Ties are broken at random.

    Raises:
        ValueError: if there is no arm.

    References:
        May et al. (2012), "Optimistic Bayesian Sampling in Contextual-Bandit Problems".
        https://jmlr.org/papers/v13/may12a.html
    """
    return counting_agent(
        n_arms, lambda counts, key: tf.maximum(posterior_draw(counts, key), counts.mean), "optimistic Thompson"
    )


def posterior_draw(counts: Counts, key: tf.Tensor) -> tf.Tensor:
    """Draw every arm's probability from Beta(1 + successes, 1 + failures).

    Args:
        counts: of the arms.
        key: integers `[2]`.

    Returns:
        `[n_trials, n_arms]`.
    """
    # A Beta number is the share of one Gamma number in the sum of two.
    shapes = 1.0 + tf.stack(counts)
    waits = tf.random.stateless_gamma(tf.shape(shapes), key, alpha=shapes)
    return waits[0] / (waits[0] + waits[1])
