"""Gittins indices of arms that pay 0 or 1: what a known arm must pay to be as good as an unknown one."""

from __future__ import annotations

import functools

import numpy as np
import tensorflow as tf

from tfmeta.core.trials import Agent
from tfmeta.core.validation import check_number, check_sizes
from tfmeta.exploration.counts import Counts, counting_agent

MOST_PULLS = 200  # of which the table takes 32 MB
GRID = np.sin(np.linspace(0.0, np.pi / 2, 201)) ** 2  # finer at its ends, where the indices of many equal rewards crowd


def gittins_indices(n_pulls: int, discount: float = 1.0) -> np.ndarray:
    """Indices of an arm for a finite horizon, by calibration against a known arm.

    Somebody has m pulls to go and two arms: a known one that pays c at every pull, and one that paid `a` times and
    failed `b` times, with a uniform prior. The index is the c at which both are equally good to begin with. Whoever
    takes the known arm learns nothing and stays with it, so that dynamic programming over (m, a, b) solves this for
    each c of a grid; the index is read between two c of the grid, to within 0.001.

    Args:
        n_pulls: length of a trial, n.
        discount: what a reward is worth one pull later, above 0 and at most 1. With a discount and many pulls to go the
            index is nearly Gittins's own, that of a trial without an end.

    Returns:
        float32 `[n_pulls, n_pulls, n_pulls]`: entry `[m - 1, a, b]` is the index with m pulls to go, and NaN where
        m + a + b is above `n_pulls`.

    Raises:
        ValueError: if `n_pulls` is not from 1 to 200, or `discount` not above 0 and at most 1.

    References:
        Gittins (1979), "Bandit Processes and Dynamic Allocation Indices"; Gittins, Glazebrook, Weber (2011),
        "Multi-armed Bandit Allocation Indices".
        https://doi.org/10.1111/j.2517-6161.1979.tb01068.x, https://doi.org/10.1002/9780470980033
    """
    check_sizes(n_pulls=n_pulls)
    if n_pulls > MOST_PULLS:
        raise ValueError(f"n_pulls must be from 1 to {MOST_PULLS}: its cube is kept. Received: n_pulls={n_pulls}")
    check_number("discount", discount, above=True)
    if discount > 1:
        raise ValueError(f"discount must be above 0 and at most 1. Received: discount={discount!r}")
    return _table(int(n_pulls), float(discount)).copy()


@functools.lru_cache(maxsize=4)
def _table(n_pulls: int, discount: float) -> np.ndarray:
    table = np.full([n_pulls] * 3, np.nan, np.float32)
    a, b = np.indices([n_pulls, n_pulls], sparse=True)
    chance = ((a + 1) / (a + b + 2))[..., None]
    known, value = 0.0, np.zeros([n_pulls + 1, n_pulls + 1, 1])  # of the known arm, and of the better one
    for to_go in range(1, n_pulls + 1):
        n = n_pulls - to_go + 1  # counts 0 to n - 1; those whose sum is above that are computed for nothing
        known = GRID + discount * known
        play = chance[:n, :n] * (1.0 + discount * value[1 : n + 1, :n])
        play += (1.0 - chance[:n, :n]) * discount * value[:n, 1 : n + 1]
        reached = np.where((a + b)[:n, :n] < n, _crossing(play - known), np.nan)
        table[to_go - 1, :n, :n] = reached
        value = np.maximum(play, known)
    return table


def _crossing(gain: np.ndarray) -> np.ndarray:
    """Where the gain over the known arm, which falls along the last axis, is zero."""
    last = np.clip((gain > 0.0).sum(-1) - 1, 0, len(GRID) - 2)
    above, below = (np.take_along_axis(gain, last[..., None] + i, axis=-1)[..., 0] for i in (0, 1))
    return GRID[last] + above / (above - below) * (GRID[last + 1] - GRID[last])


def gittins(n_arms: int, n_pulls: int) -> Agent:
    """The arm with the highest Gittins index for the pulls that are left.

    That is optimal against one known arm, and nearly so among unknown ones in a trial that ends.

    Args:
        n_arms: k.
        n_pulls: length of a trial. Pulls after it are greedy.

    Returns:
        An `Agent` for rewards from 0 to 1; between whole counts the index is interpolated. Ties are broken at random.

    Raises:
        ValueError: if there is no arm, or `n_pulls` is not from 1 to 200.

    References:
        Gittins (1979); Duan et al. (2016), table 1.
        https://doi.org/10.1111/j.2517-6161.1979.tb01068.x, https://arxiv.org/abs/1611.02779
    """
    indices = gittins_indices(n_pulls)

    def score(counts: Counts, key):
        table = tf.constant(indices)
        done = tf.cast(tf.round(counts.total), tf.int32)
        pulls = tf.minimum(tf.cast(tf.round(counts.pulls), tf.int32), n_pulls - 1)
        to_go = tf.broadcast_to(tf.maximum(n_pulls - done, 1), tf.shape(pulls))
        # An arm's pulls are whole: what lies between two entries is on the line of so many pulls.
        low = tf.minimum(tf.cast(counts.successes, tf.int32), pulls)
        high = tf.minimum(low + 1, pulls)
        beside, above = (tf.gather_nd(table, tf.stack([to_go - 1, a, pulls - a], axis=-1)) for a in (low, high))
        index = beside + (counts.successes - tf.cast(low, tf.float32)) * (above - beside)
        return tf.where(done < n_pulls, index, counts.mean)

    return counting_agent(n_arms, score, "Gittins")
