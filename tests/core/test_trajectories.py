"""Objectives of trajectories: first derivatives by hand, second ones by listing all that can happen; what is played."""

import itertools

import keras
import numpy as np
import pytest
import tensorflow as tf

from tfmeta.core.forward import values
from tfmeta.core.trajectories import (
    action_log_probs,
    mean_of_others,
    policy_inputs,
    return_objective,
    sample_trajectories,
    up_to_end,
)
from tfmeta.tasks.bandits import BernoulliBandits
from tfmeta.tasks.navigation import Navigation2D
from tfmeta.tasks.tabular_mdps import TabularMDPs

KEY = tf.constant([3, 4], tf.int64)
PAY = np.array([0.3, 1.1])
THETA = np.array([0.4, -0.3])
ALPHA = 0.7


def value(theta):
    """The expected pay of a softmax over two arms, in closed form."""
    return tf.reduce_sum(tf.nn.softmax(theta) * PAY)


def twice(function, theta):
    """Value, gradient and second derivative."""
    theta = tf.constant(theta)
    with tf.GradientTape(persistent=True) as outer:
        outer.watch(theta)
        with tf.GradientTape() as inner:
            inner.watch(theta)
            found = function(theta)
        gradient = inner.gradient(found, theta)
        parts = tf.unstack(gradient)
    rows = [outer.gradient(part, theta, unconnected_gradients="zero") for part in parts]
    return found.numpy(), gradient.numpy(), np.array(rows)


def test_the_closed_form_is_right():
    """p (1 - p) (r_1 - r_2) and p (1 - p) (1 - 2 p) (r_1 - r_2), for the difference of the logits."""
    p = 1 / (1 + np.exp(THETA[1] - THETA[0]))
    _, first, second = twice(value, THETA)
    slope = p * (1 - p) * (PAY[0] - PAY[1])
    np.testing.assert_allclose(first, [slope, -slope], rtol=1e-12)
    np.testing.assert_allclose(second, slope * (1 - 2 * p) * np.array([[1, -1], [-1, 1]]), rtol=1e-12)


def pulls(theta, arms, surrogate):
    """The mean objective of several pulls, each a trajectory of one step."""
    arms = tf.constant(arms)[:, None]
    log_probs = tf.gather(tf.nn.log_softmax(theta), arms)
    rewards = tf.gather(tf.constant(PAY), arms)
    return tf.reduce_mean(return_objective(log_probs, rewards, tf.ones_like(rewards), surrogate=surrogate))


def expected(function, n):
    """Mean of a function of the arms that are pulled, over all that can be pulled, by their probabilities."""
    p = tf.nn.softmax(THETA).numpy()
    return sum(np.prod(p[list(arms)]) * np.array(function(arms)) for arms in itertools.product((0, 1), repeat=n))


def mean_of_all(objective, outcomes, chances):
    """A function of theta: the objective's mean over all that can be played, by the probabilities at one theta.

    They are constants, so that its derivatives are the means of the objective's derivatives.
    """
    return lambda theta: tf.add_n([p * objective(theta, list(one)) for one, p in zip(outcomes, chances, strict=True)])


@pytest.mark.parametrize("surrogate", ["dice", "naive"])
@pytest.mark.parametrize("n", [1, 2, 3])
def test_dice_has_the_second_derivative_in_the_mean_and_the_naive_surrogate_has_not(n, surrogate):
    """Also with the baseline, and for any number of pulls; the first derivative is right in both."""
    wanted, p = twice(value, THETA), tf.nn.softmax(THETA).numpy()
    outcomes = list(itertools.product((0, 1), repeat=n))
    chances = [np.prod(p[list(arms)]) for arms in outcomes]
    found = twice(mean_of_all(lambda theta, arms: pulls(theta, arms, surrogate), outcomes, chances), THETA)
    np.testing.assert_allclose(found[0], wanted[0], rtol=1e-12)
    np.testing.assert_allclose(found[1], wanted[1], rtol=1e-12, atol=1e-15)
    if surrogate == "dice":
        np.testing.assert_allclose(found[2], wanted[2], rtol=1e-10, atol=1e-15)
        return
    assert np.abs(found[2] - wanted[2]).max() > 0.01
    # The log of a softmax has the same second derivative for every arm, minus the policy's variance. What is left is
    # that times the mean advantage: the mean pay, or nothing where there are others to be the baseline.
    variance = p[0] * p[1] * np.array([[1, -1], [-1, 1]])
    np.testing.assert_allclose(found[2], -variance * (wanted[0] if n == 1 else 0.0), atol=1e-12)


def meta_gradient(surrogate):
    """Of the exact value after one inner step on all pulls in their exact proportions."""
    p = tf.nn.softmax(THETA)
    theta = tf.constant(THETA)
    with tf.GradientTape() as outer:
        outer.watch(theta)
        with tf.GradientTape() as inner:
            inner.watch(theta)
            objective = tf.add_n([p[arm] * pulls(theta, [arm], surrogate) for arm in (0, 1)])
        after = value(theta + ALPHA * inner.gradient(objective, theta))
    return outer.gradient(after, theta).numpy()


def test_the_expected_meta_gradient_of_dice_is_that_of_the_closed_form():
    def adapted(theta):
        with tf.GradientTape() as tape:
            tape.watch(theta)
            before = value(theta)
        return value(theta + ALPHA * tape.gradient(before, theta))

    wanted = twice(adapted, THETA)[1]
    np.testing.assert_allclose(meta_gradient("dice"), wanted, atol=1e-12)
    _, first, second = twice(value, THETA)
    after = twice(value, THETA + ALPHA * first)[1]
    np.testing.assert_allclose(wanted, after + ALPHA * second @ after, rtol=1e-12)
    # The naive one multiplies by minus the variance of the policy times its mean pay, whatever the arms' difference.
    p = tf.nn.softmax(THETA).numpy()
    lacking = -p[0] * p[1] * np.array([[1, -1], [-1, 1]]) * value(THETA).numpy() - second
    naive = meta_gradient("naive")
    np.testing.assert_allclose(naive - wanted, ALPHA * lacking @ after, rtol=1e-9)
    assert np.abs(naive - wanted).max() > 0.02


FIRST, SECOND = np.array([0.2, 1.0]), np.array([[0.5, -1.0], [2.0, 0.1]])


def two_steps(theta, arms, surrogate, discount):
    """Trajectories of two pulls each: the policy knows the step, and the second pay depends on both pulls."""
    arms = np.array(arms)
    log_probs = tf.stack([tf.gather(tf.nn.log_softmax(theta[2 * t : 2 * t + 2]), arms[:, t]) for t in (0, 1)], axis=1)
    rewards = np.stack([FIRST[arms[:, 0]], SECOND[arms[:, 0], arms[:, 1]]], axis=1)
    return tf.reduce_mean(
        return_objective(log_probs, rewards, np.ones(arms.shape), discount=discount, surrogate=surrogate)
    )


@pytest.mark.parametrize("surrogate", ["dice", "naive"])
@pytest.mark.parametrize("n", [1, 2])
def test_in_two_steps_dice_is_right_too(n, surrogate):
    """The second pull's pay depends on the first: derivatives of products of probabilities are needed."""
    theta, discount = np.array([0.3, -0.2, 0.1, 0.6]), 0.8

    def exact(theta):
        p, q = tf.nn.softmax(theta[:2]), tf.nn.softmax(theta[2:])
        return tf.einsum("a,b,ab->", p, q, tf.constant(FIRST[:, None] + discount * SECOND))

    wanted = twice(exact, theta)
    p, q = tf.nn.softmax(theta[:2]).numpy(), tf.nn.softmax(theta[2:]).numpy()
    outcomes = list(itertools.product(itertools.product((0, 1), repeat=2), repeat=n))
    chances = [np.prod([p[a] * q[b] for a, b in arms]) for arms in outcomes]
    found = twice(
        mean_of_all(lambda theta, arms: two_steps(theta, arms, surrogate, discount), outcomes, chances), theta
    )
    np.testing.assert_allclose(found[0], wanted[0], rtol=1e-12)
    np.testing.assert_allclose(found[1], wanted[1], rtol=1e-10, atol=1e-14)
    error = np.abs(found[2] - wanted[2]).max()
    assert error < 1e-12 if surrogate == "dice" else error > 0.05


def test_steps_after_the_end_do_not_count_and_the_baseline_is_that_of_the_others():
    """Three trajectories by hand."""
    log_probs = tf.Variable(np.log([[0.5, 0.4, 0.9], [0.2, 0.7, 0.3], [0.6, 0.1, 0.5]]))
    rewards = np.array([[1.0, 2.0, 9.0], [0.0, 4.0, 3.0], [5.0, 9.0, 9.0]])
    alive = np.array([[1, 1, 0], [1, 1, 1], [1, 0, 0]])
    to_go = np.array([[1 + 1.0, 1.0, 0.0], [2 + 0.75, 2 + 0.75, 0.75], [5.0, 0.0, 0.0]])  # discounted by 0.5 a step
    advantages = alive * (to_go - (to_go.sum(axis=0) - to_go) / 2)
    for surrogate in ("dice", "naive"):
        with tf.GradientTape() as tape:
            found = return_objective(log_probs, rewards, alive, discount=0.5, surrogate=surrogate)
        np.testing.assert_allclose(found, to_go[:, 0], rtol=1e-12)
        np.testing.assert_allclose(tape.gradient(found, log_probs), advantages, rtol=1e-12)


def test_the_mean_of_others():
    np.testing.assert_array_equal(mean_of_others(tf.constant([[1.0, 2.0], [3.0, 4.0], [8.0, 0.0]])),
                                  [[5.5, 2.0], [4.5, 1.0], [2.0, 3.0]])  # fmt: skip
    np.testing.assert_array_equal(mean_of_others(tf.constant([[7.0, 7.0]])), [[0.0, 0.0]])


def test_the_first_episode_with_its_last_step():
    dones = tf.constant([[False, True, False, True], [True, True, False, False], [False] * 4])
    np.testing.assert_array_equal(up_to_end(dones), [[1, 1, 0, 0], [1, 0, 0, 0], [1, 1, 1, 1]])


# ---- what is played ------------------------------------------------------------------------------------------------
def policy(inputs, outputs):
    keras.utils.set_random_seed(1)
    return keras.Sequential([keras.Input((inputs,)), keras.layers.Dense(outputs, bias_initializer="random_normal")])


@pytest.mark.parametrize("env", [BernoulliBandits(3), TabularMDPs(4, 3, 5), Navigation2D(6)])
def test_trajectories_are_episodes_of_the_policy(env):
    net = policy(max(1, env.observation_size), env.actions.n_outputs)
    task = tf.nest.map_structure(lambda t: t[0], env.sample_tasks(1, KEY))
    params = values(net.trainable_variables)
    found = sample_trajectories(net, params, env, task, 7, KEY)
    shape = (7, env.episode_length)
    assert found.observations.shape == (*shape, env.observation_size)
    assert found.actions.shape == (*shape, *env.actions.shape)
    assert found.rewards.shape == found.alive.shape == shape
    again = sample_trajectories(net, params, env, task, 7, KEY)
    for a, b in zip(found, again, strict=True):
        np.testing.assert_array_equal(a, b)
    log_probs = action_log_probs(net, params, env.actions, found)
    for i, t in ((0, 0), (6, env.episode_length - 1)):
        outputs = net(policy_inputs(found.observations[i, t][None]))
        np.testing.assert_allclose(
            log_probs[i, t], env.actions.log_prob(outputs, found.actions[i, t][None])[0], rtol=1e-5
        )


def test_what_is_played_follows_the_parameters_that_are_given():
    net, env = policy(1, 2), BernoulliBandits(2)
    task = tf.constant([0.0, 1.0])
    for arm in (0, 1):
        params = [tf.zeros([1, 2]), 20.0 * tf.one_hot(arm, 2)]
        found = sample_trajectories(net, params, env, task, 30, KEY)
        np.testing.assert_array_equal(found.actions, np.full((30, 1), arm))
        np.testing.assert_array_equal(found.rewards, np.full((30, 1), float(arm)))


def test_no_gradient_flows_into_what_is_played():
    """A Gaussian's draw could be differentiated; the policy gradient must not."""
    net, env = policy(2, 4), Navigation2D(3)
    params = values(net.trainable_variables)
    with tf.GradientTape() as tape:
        tape.watch(params)
        found = sample_trajectories(net, params, env, tf.constant([0.2, 0.1]), 4, KEY)
        total = tf.reduce_sum(found.rewards) + tf.reduce_sum(found.actions) + tf.reduce_sum(found.observations)
    assert tape.gradient(total, params) == [None, None]


def test_what_comes_after_the_end_pays_nothing():
    net, env = policy(2, 4), Navigation2D(30)
    found = sample_trajectories(net, values(net.trainable_variables), env, tf.constant([0.0, 0.0]), 50, KEY)
    alive = found.alive.numpy()
    assert 0 < alive.mean() < 1
    np.testing.assert_array_equal(found.rewards.numpy()[alive == 0], 0)
    assert (np.diff(alive, axis=1) <= 0).all()
    near = np.linalg.norm(found.observations, axis=2)
    ended = alive.sum(axis=1).astype(int)
    assert all(np.all(near[i, 1:n] > 0.01) for i, n in enumerate(ended))


def test_an_unknown_surrogate_and_a_discount_above_1_are_refused():
    rows = tf.zeros([2, 3])
    with pytest.raises(ValueError, match=r"surrogate must be one of dice, naive. Received: surrogate='dise'"):
        return_objective(rows, rows, rows, surrogate="dise")
    with pytest.raises(ValueError, match=r"discount must be .* Received: discount=1.5"):
        return_objective(rows, rows, rows, discount=1.5)
