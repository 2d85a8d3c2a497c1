"""The checks of tutorial 12 accept every right way and reject the known wrong ones in words of their own."""

import numpy as np
import pytest
import tensorflow as tf

from tests.checks.table import assert_right, assert_wrong, rows
from tfmeta import checks
from tfmeta.core.policy_gradients import discounted_returns

LN = tf.math.log


def backwards(rewards, dones, discount):
    found, later = [], tf.zeros_like(rewards[:, 0])
    for t in reversed(range(rewards.shape[1])):
        later = rewards[:, t] + discount * later
        found.append(later)
    return tf.stack(found[::-1], axis=1)


def by_a_matrix(rewards, dones, discount):
    t = np.arange(rewards.shape[1])
    return rewards.numpy() @ np.tril(discount ** np.maximum(t[:, None] - t[None], 0).astype(float))


def one_by_one(rewards, dones, discount):
    return [
        [sum(discount ** (k - t) * float(row[k]) for k in range(t, len(row))) for t in range(len(row))]
        for row in rewards.numpy()
    ]


def cut(rewards, dones, discount):
    found, later = [], tf.zeros_like(rewards[:, 0])
    for t in reversed(range(rewards.shape[1])):
        later = rewards[:, t] + discount * (1 - dones[:, t]) * later
        found.append(later)
    return tf.stack(found[::-1], axis=1)


def reversed_in_time(rewards, dones, discount):
    return backwards(rewards[:, ::-1], dones, discount)[:, ::-1]


def chained(rewards, dones, discount):
    return tf.reshape(backwards(tf.reshape(rewards, [1, -1]), dones, discount), rewards.shape)


def later(rewards, dones, discount):
    found = backwards(rewards, dones, discount)
    return tf.concat([found[:, 1:], tf.zeros_like(found[:, :1])], axis=1)


def from_the_beginning(rewards, dones, discount):
    weights = tf.cast(discount, rewards.dtype) ** tf.range(rewards.shape[1], dtype=rewards.dtype)
    return backwards(rewards * weights, dones, 1.0)


RIGHT_RETURNS = [
    ("backwards", backwards),
    ("a matrix", by_a_matrix),
    ("lists", one_by_one),
    ("the library", lambda rewards, dones, discount: discounted_returns(rewards, discount)),
    ("a graph", tf.function(backwards)),
]
WRONG_RETURNS = [
    ("never look at dones", cut),
    ("flow only where an episode ends", lambda r, d, g: cut(r, 1 - d, g)),
    ("leak from one trial", chained),
    ("off by one", later),
    ("Yours begins with the next one", lambda r, d, g: g * later(r, d, g)),
    ("add `discount` times", lambda r, d, g: r + later(r, d, g)),
    ("there is no discount", lambda r, d, g: backwards(r, d, 1.0)),
    ("sums what came *before*", lambda r, d, g: tf.cumsum(r, axis=1)),
    ("Go backwards in time", reversed_in_time),
    ("summed over the trials", lambda r, d, g: tf.transpose(backwards(tf.transpose(r), d, g))),
    ("not from the trial's beginning", from_the_beginning),
    ("cannot change what was earned", lambda r, d, g: tf.repeat(backwards(r, d, g)[:, :1], r.shape[1], axis=1)),
    ("return of the whole trial", lambda r, d, g: tf.repeat(tf.reduce_sum(r, 1, keepdims=True), r.shape[1], axis=1)),
    ("wrong order", lambda r, d, g: backwards(r, d, g)[:, ::-1]),
    ("the rewards themselves", lambda r, d, g: r),
    ("You gave one for each trial", lambda r, d, g: backwards(r, d, g)[:, 0]),
    ("a return for every step", lambda r, d, g: backwards(r, d, g)[:, 1:]),
    ("this is not r_t", lambda r, d, g: 2 * backwards(r, d, g)),
]


def bound(pulls, rewards):
    n = tf.reduce_sum(pulls, axis=1, keepdims=True)
    at_least_one = tf.maximum(pulls, 1)
    width = tf.sqrt(2 * LN(tf.maximum(n, 1)) / at_least_one)
    return tf.where(pulls > 0, rewards / at_least_one + width, np.inf)


def in_numpy(pulls, rewards):
    pulls, rewards = pulls.numpy(), rewards.numpy()
    found = np.full(pulls.shape, 1e6)
    for i, row in enumerate(pulls):
        for a in np.flatnonzero(row):
            found[i, a] = rewards[i, a] / row[a] + np.sqrt(2 * np.log(row.sum()) / row[a])
    return found


def of(formula):
    """Bounds by another formula of (mean, ln n, pulls, n, rewards), unpulled arms first."""

    def answer(pulls, rewards):
        n = tf.reduce_sum(pulls, axis=1, keepdims=True)
        safe = tf.maximum(pulls, 1)
        return tf.where(pulls > 0, formula(rewards / safe, LN(tf.maximum(n, 1)), safe, n, rewards), np.inf)

    return answer


def without_guard(pulls, rewards):
    return rewards / pulls + tf.sqrt(2 * LN(tf.reduce_sum(pulls, axis=1, keepdims=True)) / pulls)


def ignored(pulls, rewards):
    return tf.where(pulls > 0, bound(pulls, rewards), 0)


RIGHT_UCB1 = [
    ("in tensors", bound),
    ("in NumPy, a large number", in_numpy),
    ("a graph", tf.function(bound)),
    ("by parts", of(lambda m, log, p, n, r: m + np.sqrt(2) * tf.sqrt(log) / tf.sqrt(p))),
]
WRONG_UCB1 = [
    ("these are the means alone", of(lambda m, log, p, n, r: m)),
    ("the width alone", of(lambda m, log, p, n, r: tf.sqrt(2 * log / p))),
    ("*lower* bound", of(lambda m, log, p, n, r: m - tf.sqrt(2 * log / p))),
    ("for its mean", of(lambda m, log, p, n, r: r + tf.sqrt(2 * log / p))),
    ("logarithm of n is missing", of(lambda m, log, p, n, r: m + tf.sqrt(2 * n / p))),
    ("square root is missing", of(lambda m, log, p, n, r: m + 2 * log / p)),
    ("the 2 under the root is missing", of(lambda m, log, p, n, r: m + tf.sqrt(log / p))),
    ("the 2 belongs under", of(lambda m, log, p, n, r: m + 2 * tf.sqrt(log / p))),
    ("the logarithm belongs under", of(lambda m, log, p, n, r: m + np.sqrt(2) * log / tf.sqrt(p))),
    ("divided by the arm's own pulls", of(lambda m, log, p, n, r: m + tf.sqrt(2 * log))),
    ("take the arm's own", of(lambda m, log, p, n, r: m + tf.sqrt(2 * log / n))),
    ("pulls of *all* arms", of(lambda m, log, p, n, r: m + tf.sqrt(2 * LN(p) / p))),
    ("all trials together", of(lambda m, log, p, n, r: m + tf.sqrt(2 * LN(tf.reduce_sum(p)) / p))),
    ("the pulls over the trials", of(lambda m, log, p, n, r: m + tf.sqrt(2 * LN(tf.reduce_sum(p, 0)) / p))),
    ("yours is one more", of(lambda m, log, p, n, r: m + tf.sqrt(2 * LN(n + 1) / p))),
    ("to base 10", of(lambda m, log, p, n, r: m + tf.sqrt(2 * log / np.log(10) / p))),
    ("to base 2", of(lambda m, log, p, n, r: m + tf.sqrt(2 * log / np.log(2) / p))),
    ("gave the mean a prior", of(lambda m, log, p, n, r: (r + 1) / (p + 2) + tf.sqrt(2 * log / p))),
    ("this is not rewards / pulls", of(lambda m, log, p, n, r: 2 * m + tf.sqrt(2 * log / p))),
    ("gets NaN", without_guard),
    ("must come first", ignored),
    ("takes the arm with the highest", lambda p, r: tf.argmax(bound(p, r), axis=1)),
    ("a bound for every arm", lambda p, r: bound(p, r)[:, 1:]),
]


def play(act, pull, n_trials, n_pulls, *, states="trial", told="trial", parts=(1, 1, 1), order=(0, 1, 2), lag=0):
    """The right loop, and its wrong ways: when states and what is told begin anew, which parts, in which order."""
    found, h, x, log = [], np.zeros(4), np.zeros(5), []
    for _ in range(n_trials):
        if states == "trial":
            h = np.zeros(4)
        if told == "trial":
            x, log = np.zeros(5), []
        row = []
        for _ in range(n_pulls):
            if states == "pull":
                h = np.zeros(4)
            arm, h_new = act(x, h)
            h = h if states == "old" else h_new
            reward = pull(arm)
            log.append((arm, reward))
            of_action, of_reward = (log[-1 - min(lag, len(log) - 1)] if i == lag_of else log[-1] for i, lag_of in
                                    ((0, 0 if lag else -1), (1, -1)))  # fmt: skip
            pieces = [parts[0] * np.eye(3)[of_action[0]], [parts[1] * of_reward[1]], [parts[2]]]
            x = np.concatenate([pieces[i] for i in order])
            row.append(reward)
        found.append(row)
    return found


def wrong(**options):
    return lambda *arguments: play(*arguments, **options)


def late_reward(act, pull, n_trials, n_pulls):
    found = []
    for _ in range(n_trials):
        h, x, before = np.zeros(4), np.zeros(5), 0.0
        for _ in range(n_pulls):
            arm, h = act(x, h)
            reward = pull(arm)
            x, before = np.array([*np.eye(3)[arm], before, 1.0]), reward
            found.append(reward)
    return np.reshape(found, (n_trials, n_pulls))


def current_action(act, pull, n_trials, n_pulls):
    """Asks twice: once for the arm, once with it."""
    found = []
    for _ in range(n_trials):
        h, x = np.zeros(4), np.zeros(5)
        for _ in range(n_pulls):
            arm, _ = act(x, h)
            arm, h = act(np.array([*np.eye(3)[arm], *x[3:]]), h)
            reward = pull(arm)
            x = np.array([*np.eye(3)[arm], reward, 1.0])
            found.append(reward)
    return np.reshape(found, (n_trials, n_pulls))


def peeking(act, pull, n_trials, n_pulls):
    """Knows the arms beforehand, from the list behind `act`."""
    world, found = act.__self__, []
    for _ in range(n_trials):
        h, reward = np.zeros(4), 0.0
        for t in range(n_pulls):
            arm, h = act(np.array([*np.eye(3)[world.arms[len(world.told)]], reward, float(t > 0)]), h)
            reward = pull(arm)
            found.append(reward)
    return np.reshape(found, (n_trials, n_pulls))


RIGHT_ROLLOUT = [
    ("as on the page", play),
    ("tensors", lambda act, pull, n, m: tf.constant(
        play(lambda x, h: act(tf.constant(x), tf.constant(h)), pull, n, m)
    )),
    ("batches of one", lambda act, pull, n, m: np.array(play(lambda x, h: act(x[None], h[None]), pull, n, m))),
]  # fmt: skip
WRONG_ROLLOUT = [
    ("reset with every *episode*", wrong(states="pull")),
    ("the state of the one before", wrong(states="never")),
    ("zero at every pull", wrong(states="old")),
    ("what the last trial told", wrong(told="never")),
    ("the reward is missing", wrong(parts=(1, 0, 1))),
    ("the last action is missing", wrong(parts=(0, 1, 1))),
    ("the mark of the end is missing", wrong(parts=(1, 1, 0))),
    ("in another order", wrong(order=(1, 0, 2))),
    ("the agent is told nothing", wrong(parts=(0, 0, 0))),
    ("the action comes a pull too late", wrong(lag=1)),
    ("the reward comes a pull too late", late_reward),
    ("asked 30 times", current_action),
    ("about to choose", peeking),
    ("act was never called", lambda act, pull, n, m: np.zeros((n, m))),
    ("Give the rewards as [n_trials, n_pulls]", lambda *arguments: np.ravel(play(*arguments))),
    ("these are not the rewards", lambda *arguments: 2 * np.array(play(*arguments))),
    ("the rewards have shape", lambda *arguments: np.array(play(*arguments))[:, 1:]),
    ("are not those that act chose", lambda act, pull, n, m: play(act, lambda arm: pull(0), n, m)),
    ("every choice is pulled once", lambda act, pull, n, m: play(act, lambda arm: pull(arm) + 0 * pull(arm), n, m)),
    ("act takes 5 numbers", lambda act, pull, n, m: play(lambda x, h: act(x[:4], h), pull, n, m)),
    ("the state has 4 numbers", lambda act, pull, n, m: play(lambda x, h: act(x, h[:2]), pull, n, m)),
]


@rows(RIGHT_RETURNS)
def test_right_returns(words, answer):
    assert_right(checks.returns, answer, words)


@rows(WRONG_RETURNS)
def test_wrong_returns(words, answer):
    assert_wrong(checks.returns, answer, words)


@rows(RIGHT_UCB1)
def test_right_bounds(words, answer):
    assert_right(checks.ucb1, answer, words)


@rows(WRONG_UCB1)
def test_wrong_bounds(words, answer):
    assert_wrong(checks.ucb1, answer, words)


@rows(RIGHT_ROLLOUT)
def test_right_rollouts(words, answer):
    assert_right(checks.rollout, answer, words)


@rows(WRONG_ROLLOUT)
def test_wrong_rollouts(words, answer):
    assert_wrong(checks.rollout, answer, words)


@pytest.mark.parametrize("check", [checks.returns, checks.ucb1, checks.rollout])
def test_a_stub_is_not_filled_in_yet(check):
    assert check(lambda *_: ...).status == "not filled in yet"
