"""The most that anybody can expect to win in a trial with arms that pay 1 or 0, and the agent that does.

What one knows of an arm is its successes and failures, its *kind* here. What one knows of a trial is the kinds of its
arms, in any order. Dynamic programming from the last pull to the first gives the value of each such state.
"""

from __future__ import annotations

import functools
from typing import NamedTuple

import numpy as np
import tensorflow as tf

from tfmeta.core.trials import Agent, fold_in
from tfmeta.core.validation import check_sizes
from tfmeta.exploration.counts import best_arm, counted, no_counts

MOST_STATES = 3_000_000


class _Solution(NamedTuple):
    value: float
    keys: np.ndarray  # of all states before the last pull, in ascending order
    best: np.ndarray  # the kind of arm to pull in each
    words: np.ndarray  # a random number for each kind; those of a state's arms add up to its key


def n_states(n_arms: int, n_pulls: int) -> int:
    """Number of states before each of the pulls of a trial, together.

    Args:
        n_arms: k.
        n_pulls: n.

    Returns:
        How many ways there are to have pulled k arms, in any order, less than n times.

    Raises:
        ValueError: if a number is not positive.
    """
    check_sizes(n_arms=n_arms, n_pulls=n_pulls)
    # Arms that nobody pulled are all alike, so that more arms than pulls make no difference.
    n_arms = min(n_arms, n_pulls)
    ways = [[0] * n_pulls for _ in range(n_arms + 1)]  # [arms that were pulled][pulls], of the kinds so far
    ways[0][0] = 1
    for pulls in range(1, n_pulls):
        for _ in range(pulls + 1):  # a kind: 0 to `pulls` successes
            for arms in range(1, n_arms + 1):
                for t in range(pulls, n_pulls):
                    ways[arms][t] += ways[arms - 1][t - pulls]
    return sum(map(sum, ways))


def bayes_optimal_reward(n_arms: int, n_pulls: int) -> float:
    """The largest expected total reward of a trial with Bernoulli arms whose probabilities are uniform in [0, 1].

    No agent that does not know the arms gets more, on average over such arms.

    Args:
        n_arms: k.
        n_pulls: length of a trial, n.

    Returns:
        The exact value.

    Raises:
        ValueError: if a number is not positive, or there are more than 3,000,000 states.

    References:
        Bellman (1956), "A Problem in the Sequential Design of Experiments". Duan et al. (2016), table 1.
        https://arxiv.org/abs/1611.02779
    """
    _check(n_arms, n_pulls)
    return _solve(min(n_arms, n_pulls), n_pulls).value


def _check(n_arms, n_pulls):
    check_sizes(n_arms=n_arms, n_pulls=n_pulls)
    # The count takes long for many arms and pulls. Fewer arms have fewer states: see whether they are too many already.
    found = n_pulls**2 // 2 if n_arms == 1 else n_pulls**4 // 48
    for arms in range(1, min(n_arms, n_pulls) + 1):
        found = found if found > MOST_STATES else n_states(arms, n_pulls)
    if found > MOST_STATES:
        raise ValueError(
            f"n_arms and n_pulls must give at most {MOST_STATES:,} states; these give {found:,} or more. "
            f"Received: n_arms={n_arms}, n_pulls={n_pulls}"
        )


def _kind(successes, failures):
    """A number for each kind, ascending with its pulls."""
    pulls = successes + failures
    return pulls * (pulls + 1) // 2 + successes


@functools.lru_cache(maxsize=4)
def _solve(n_arms: int, n_pulls: int) -> _Solution:
    pulls = np.repeat(np.arange(n_pulls + 1), np.arange(1, n_pulls + 2))
    kinds = np.arange(len(pulls))
    successes = kinds - pulls * (pulls + 1) // 2
    after = np.stack([kinds + pulls + 2, kinds + pulls + 1])  # a success, a failure; of use before the last pull only
    words = np.random.default_rng(0).integers(-(2**63), 2**63, len(kinds), dtype=np.int64)

    levels, rows = [], np.zeros([1, n_arms], np.int32)
    for t in range(n_pulls):
        levels.append(rows)
        if t < n_pulls - 1:
            rows = _next_states(rows, after, words)

    value, keys_after = np.zeros(1), None
    found = []
    for t, rows in zip(reversed(range(n_pulls)), reversed(levels), strict=True):
        keys = words[rows].sum(-1)
        chance = (successes[rows] + 1) / (pulls[rows] + 2)
        gains = chance.copy()
        if t < n_pulls - 1:
            for outcome, weight in zip(after, (chance, 1.0 - chance), strict=True):
                reached = keys[:, None] - words[rows] + words[outcome[rows]]
                gains += weight * value[np.searchsorted(keys_after, reached)]
        order = np.argsort(keys)
        value, keys_after = gains.max(-1)[order], keys[order]
        chosen = np.take_along_axis(rows, gains.argmax(-1)[:, None], axis=-1)[order, 0]
        found.append((keys_after, chosen))
    keys, best = (np.concatenate(parts) for parts in zip(*found, strict=True))
    order = np.argsort(keys)
    return _Solution(float(value[0]), keys[order], best[order].astype(np.int32), words)


def _next_states(rows: np.ndarray, after: np.ndarray, words: np.ndarray) -> np.ndarray:
    """All states that one pull leads to, each once, their kinds in ascending order."""
    children = []
    for outcome in after:
        for arm in range(rows.shape[1]):
            child = rows.copy()
            child[:, arm] = outcome[rows[:, arm]]
            children.append(child)
    children = np.sort(np.concatenate(children), axis=-1)
    _, first, copies = np.unique(words[children].sum(-1), return_index=True, return_inverse=True)
    distinct = children[first]
    if not np.array_equal(distinct[copies], children):
        raise RuntimeError("two states have the same key: the words need another seed")
    return distinct


def bayes_optimal(n_arms: int, n_pulls: int) -> Agent:
    """The agent that `bayes_optimal_reward` is the value of, for arms that pay 1 or 0.

    Args:
        n_arms: k.
        n_pulls: length of a trial, n. Pulls after it are greedy.

    Returns:
        An `Agent`. Among arms with the same counts it pulls one at random.

    Raises:
        ValueError: if a number is not positive, or there are more than 3,000,000 states.

    References:
        Bellman (1956), "A Problem in the Sequential Design of Experiments". Duan et al. (2016), table 1.
        https://arxiv.org/abs/1611.02779
    """
    _check(n_arms, n_pulls)
    solution = _solve(min(n_arms, n_pulls), n_pulls)
    # Arms beyond the number of pulls add the word of the arm that nobody pulled.
    keys = solution.keys + max(n_arms - n_pulls, 0) * solution.words[:1]
    order = np.argsort(keys)

    def act(memory, observation, key):
        successes, failures = (tf.cast(tf.round(counts), tf.int32) for counts in memory)
        kinds = tf.minimum(_kind(successes, failures), len(solution.words) - 1)
        state = tf.reduce_sum(tf.gather(tf.constant(solution.words), kinds), axis=-1)
        place = tf.minimum(tf.searchsorted(tf.constant(keys[order]), state), len(keys) - 1)
        wanted = tf.gather(tf.constant(solution.best[order]), place)
        known = tf.where(kinds == wanted[:, None], 1.0, 0.0)
        return best_arm(tf.where(memory.total < n_pulls, known, memory.mean), fold_in(key, 0)), memory

    def learn(memory, actions, rewards, dones):
        whole = tf.reduce_all((rewards == 0.0) | (rewards == 1.0))
        assertion = tf.debugging.Assert(whole, ["rewards must be 0 or 1. Received: rewards=", rewards])
        with tf.control_dependencies([] if assertion is None else [assertion]):
            return counted(memory, actions, rewards, dones)

    return Agent(no_counts(n_arms), act, learn, "Bayes optimum")
