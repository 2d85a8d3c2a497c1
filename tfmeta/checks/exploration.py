"""Checks of tutorial 12: returns that cross the ends of episodes, and upper confidence bounds."""

from __future__ import annotations

import numpy as np
import tensorflow as tf

from tfmeta.checks.report import SECONDS, Result, judge, require
from tfmeta.checks.stops import TENSOR_HINTS
from tfmeta.checks.values import as_array, in_either_precision


def returns(answer, *, quiet: bool = False, seconds: float = SECONDS) -> Result:
    """Check the returns of trials.

    Args:
        answer: `answer(rewards, dones, discount)` with rewards `[n_trials, n_steps]`, dones of the same shape (1 where
            an episode ended with this step, else 0) and a number; returns what each step's action led to,
            `[n_trials, n_steps]`.
        quiet: print nothing, for a script that grades.
        seconds: how long the answer may take before it counts as endless.

    Returns:
        A `Result`. Rejected with words of their own: returns cut at the end of an episode, leaking from trial to trial,
        sums of what came before, a step's own reward left out, no discount or one from the trial's beginning, one
        number for the whole trial, the wrong axis, the rewards themselves.

    References:
        Duan et al. (2016), section 2.2. https://arxiv.org/abs/1611.02779
    """
    return judge("returns", answer, in_either_precision(_examine_returns), TENSOR_HINTS, quiet=quiet, seconds=seconds)


def _backwards(rewards: np.ndarray, factors: np.ndarray) -> np.ndarray:
    """Returns with a factor of its own for every step's future."""
    found, later = np.zeros_like(rewards), np.zeros(len(rewards))
    for t in reversed(range(rewards.shape[1])):
        later = rewards[:, t] + factors[:, t] * later
        found[:, t] = later
    return found


def _examine_returns(call, dtype: str) -> str:
    rng = np.random.default_rng(0)
    for shape, discount in (((3, 4), 0.5), ((2, 7), 0.9), ((4, 5), 1.0), ((1, 1), 0.9)):
        rewards = rng.normal(size=shape)
        dones = (np.arange(shape[1]) % 2 * np.ones(shape)).astype(float)
        dones[:, -1] = 1.0
        found = as_array(call(tf.constant(rewards, dtype), tf.constant(dones, dtype), discount))
        _compare_returns(found, rewards, dones, discount)
    return "each step's return is all that comes after it in its trial, discounted, whichever episode it falls in."


def _compare_returns(found: np.ndarray, rewards: np.ndarray, dones: np.ndarray, discount: float) -> None:
    """Refuse an answer of the wrong shape or value."""
    n, t = rewards.shape
    one = "there must be a return for every step of every trial, shape {}; yours has {}."
    require(found.shape != (n,), one.format((n, t), found.shape) + " You gave one for each trial.")
    require(found.shape == rewards.shape, one.format((n, t), found.shape))

    def same(values):
        return np.allclose(found, values, rtol=1e-4, atol=1e-5)

    full = np.full_like(rewards, discount)
    right = _backwards(rewards, full)
    if same(right):
        return
    chained = _backwards(rewards.reshape(1, -1), np.full((1, n * t), discount)).reshape(n, t)
    weights = discount ** np.arange(t)
    shifted = np.concatenate([right[:, 1:], np.zeros((n, 1))], axis=1)
    for values, message in (
        (_backwards(rewards, discount * (1 - dones)),
         "you cut the return where an episode ends. In ordinary reinforcement learning that is right. Here the trial "
         "goes on in the same task, and what an episode teaches pays in the next: never look at dones."),
        (_backwards(rewards, discount * dones),
         "you let returns flow only where an episode ends. Never look at dones."),
        (chained, "returns leak from one trial into the one before it: the trials are rows, each with an end of its "
                  "own."),
        (shifted, "off by one: the reward of a step belongs to that step's return. Yours begins with the next one."),
        (discount * shifted,
         "off by one: the reward of a step belongs to that step's return. Yours begins with the next one."),
        (rewards + shifted, "the future is not discounted on its way: add `discount` times the next return."),
        (_backwards(rewards, np.ones_like(rewards)), "there is no discount: multiply what comes later by it, once a "
                                                     "step."),
        (np.cumsum(rewards, axis=1), "this sums what came *before* a step; a return is what comes after it."),
        (_backwards(rewards[:, ::-1], full)[:, ::-1],
         "this discounts and sums what came *before* a step; a return is what comes after it. Go backwards in time."),
        (_backwards(rewards.T, np.full(rewards.T.shape, discount)).T,
         "you summed over the trials. Steps are the second axis."),
        (_backwards(rewards * weights, np.ones_like(rewards)),
         "the discount counts from the step itself, not from the trial's beginning: divide by discount**t, or go "
         "backwards."),
        (np.repeat(right[:, :1], t, axis=1), "every step got the return of the whole trial. An action cannot change "
                                             "what was earned before it."),
        (np.repeat(rewards.sum(axis=1, keepdims=True), t, axis=1),
         "every step got the return of the whole trial. An action cannot change what was earned before it."),
        (right[:, ::-1], "the steps come out in the wrong order: reverse them again at the end."),
        (rewards, "these are the rewards themselves. Add what comes later."),
    ):  # fmt: skip
        require(not same(values), message)
    require(False, "this is not r_t + discount * r_{t+1} + discount^2 * r_{t+2} + ... to the end of the trial.")


def ucb1(answer, *, quiet: bool = False, seconds: float = SECONDS) -> Result:
    """Check the bounds of UCB1.

    Args:
        answer: `answer(pulls, rewards)` with the number of pulls of each arm and the sum of its rewards,
            `[n_trials, n_arms]` each; returns every arm's upper bound, of the same shape. The arm with the highest one
            is pulled. An arm that was never pulled must come before all that were.
        quiet: print nothing, for a script that grades.
        seconds: how long the answer may take before it counts as endless.

    Returns:
        A `Result`. Rejected with words of their own: unpulled arms ignored or not a number, no mean, sums instead of
        means, no logarithm, no root, no 2, no division by the arm's pulls, one arm's pulls in the logarithm, pulls of
        all trials together, a bound from below, chosen arms instead of bounds.

    References:
        Auer et al. (2002), figure 1. https://doi.org/10.1023/A:1013689704352
    """
    return judge("ucb1", answer, in_either_precision(_examine_ucb1), TENSOR_HINTS, quiet=quiet, seconds=seconds)


def _examine_ucb1(call, dtype: str) -> str:
    rng = np.random.default_rng(0)
    for shape in ((4, 3), (2, 5)):
        pulls = rng.integers(1, 9, shape).astype(float)
        _compare_ucb1(_bounds(call, pulls, rng.uniform(0.1, 0.9, shape) * pulls, dtype), pulls, call.rewards)
    pulls = np.array([[3.0, 0.0, 5.0], [0.0, 0.0, 2.0], [1.0, 1.0, 1.0]])
    found = _bounds(call, pulls, 0.9 * pulls, dtype, finite=False)
    require(
        not np.any(np.isnan(found)),
        "an arm that was never pulled gets NaN, 0 divided by 0. argmax takes it for the highest here and for the "
        "lowest elsewhere: choose its bound yourself (tf.where), and divide by something harmless.",
    )
    never, pulled = pulls == 0, np.where(pulls > 0, found, -np.inf).max(axis=1, keepdims=True)
    require(
        not np.any(never & (found < np.maximum(pulled, 10.0))),
        "an arm that was never pulled must come first: its bound has to be above all others, such as infinity. Yours "
        "would never be tried, or late.",
    )
    nobody = _bounds(call, np.zeros((1, 4)), np.zeros((1, 4)), dtype, finite=False)
    require(
        not np.any(np.isnan(nobody)) and np.all(nobody >= 10.0),
        "before the first pull no arm has been tried: all bounds must be as high, such as infinity. Yours are "
        f"{nobody.ravel().tolist()}.",
    )
    return "mean + sqrt(2 ln n / n_a), and arms that were never pulled come first."


def _bounds(call, pulls: np.ndarray, rewards: np.ndarray, dtype: str, *, finite: bool = True) -> np.ndarray:
    call.rewards = rewards
    raw = call(tf.constant(pulls, dtype), tf.constant(rewards, dtype))
    found = as_array(raw) if finite else np.asarray(raw, np.float64)
    one = f"there must be a bound for every arm of every trial, shape {pulls.shape}; yours has {found.shape}."
    chosen = found.shape == (len(pulls),)
    require(not chosen, one + " Give the bounds; whoever plays takes the arm with the highest.")
    require(found.shape == pulls.shape, one)
    return found


def _compare_ucb1(found: np.ndarray, pulls: np.ndarray, rewards: np.ndarray) -> None:
    """Refuse wrong bounds of arms that were all pulled."""
    total, mean = pulls.sum(axis=1, keepdims=True), rewards / pulls
    log = np.log(total)

    def same(values):
        return np.allclose(found, values, rtol=1e-4, atol=1e-5)

    if same(mean + np.sqrt(2 * log / pulls)):
        return
    for values, message in (
        (mean, "these are the means alone. What is missing is the width, sqrt(2 ln n / n_a)."),
        (np.sqrt(2 * log / pulls), "this is the width alone. Add the arm's mean reward."),
        (mean - np.sqrt(2 * log / pulls), "this is the *lower* bound. The hopeful one adds the width."),
        (rewards + np.sqrt(2 * log / pulls), "you took the sum of an arm's rewards for its mean: divide by its pulls."),
        (mean + np.sqrt(2 * total / pulls), "the logarithm of n is missing: without it arms are explored for ever."),
        (mean + 2 * log / pulls, "the square root is missing."),
        (mean + np.sqrt(log / pulls), "the 2 under the root is missing."),
        (mean + 2 * np.sqrt(log / pulls), "the 2 belongs under the root."),
        (mean + np.sqrt(2) * log / np.sqrt(pulls), "the logarithm belongs under the root, too."),
        (mean + np.sqrt(2 * log), "the width must be divided by the arm's own pulls, under the root."),
        (mean + np.sqrt(2 * log / total), "the width is divided by the pulls of all arms; take the arm's own, n_a."),
        (mean + np.sqrt(2 * np.log(pulls) / pulls), "the logarithm is that of the pulls of *all* arms of the trial."),
        (mean + np.sqrt(2 * np.log(pulls.sum()) / pulls),
         "n counts the pulls of one trial; yours counts all trials together. Sum along the second axis."),
        (mean + np.sqrt(2 * np.log(pulls.sum(axis=0, keepdims=True)) / pulls),
         "you summed the pulls over the trials. Sum over the arms, the second axis."),
        (mean + np.sqrt(2 * np.log(total + 1) / pulls), "n is the number of pulls so far; yours is one more."),
        (mean + np.sqrt(2 * np.log10(total) / pulls), "the logarithm is natural; yours is to base 10."),
        (mean + np.sqrt(2 * np.log2(total) / pulls), "the logarithm is natural; yours is to base 2."),
        ((rewards + 1) / (pulls + 2) + np.sqrt(2 * log / pulls),
         "you gave the mean a prior. UCB1 takes the plain mean of what was seen."),
    ):  # fmt: skip
        require(not same(values), message)
    require(False, "this is not rewards / pulls + sqrt(2 ln n / pulls), with n the pulls of all arms of the trial.")
