"""Returns, advantages and surrogates: by hand, against closed forms, and against each other."""

import itertools

import numpy as np
import pytest
import tensorflow as tf

from tfmeta.core.policy_gradients import (
    clipped_surrogate,
    dice,
    discounted_returns,
    generalised_advantages,
    policy_gradient_surrogate,
)

REWARDS = np.array([[1.0, 0.0, 2.0], [0.0, 3.0, -1.0]])
VALUES = np.array([[0.5, 1.0, 1.5], [1.0, 2.0, 0.0]])


def test_three_steps_by_hand():
    # gamma 1/2, lambda 1/2. First trial: deltas 1 + 1/2 - 1/2 = 1, 0 + 3/4 - 1 = -1/4, 2 - 3/2 = 1/2.
    found = generalised_advantages(tf.constant(REWARDS), tf.constant(VALUES), discount=0.5, decay=0.5)
    np.testing.assert_allclose(found[0], [1 + (-0.25 + 0.5 / 4) / 4, -0.25 + 0.5 / 4, 0.5], atol=1e-12)
    # Second: 0 + 1 - 1 = 0, 3 + 0 - 2 = 1, -1 - 0 = -1.
    np.testing.assert_allclose(found[1], [(1 - 1 / 4) / 4, 1 - 1 / 4, -1], atol=1e-12)


def test_with_gamma_and_lambda_1_it_is_the_reward_to_go_minus_the_value():
    found = generalised_advantages(tf.constant(REWARDS), tf.constant(VALUES), discount=1.0, decay=1.0)
    np.testing.assert_allclose(found, [[3 - 0.5, 2 - 1, 2 - 1.5], [2 - 1, 2 - 2, -1]], atol=1e-12)


def test_with_lambda_0_it_is_the_error_of_one_step():
    found = generalised_advantages(tf.constant(REWARDS), tf.constant(VALUES), discount=0.9, decay=0.0)
    after = np.concatenate([VALUES[:, 1:], np.zeros((2, 1))], axis=1)
    np.testing.assert_allclose(found, REWARDS + 0.9 * after - VALUES, atol=1e-12)


def test_returns_by_hand_and_by_a_loop():
    np.testing.assert_allclose(discounted_returns(tf.constant(REWARDS), 0.5), [[1.5, 1, 2], [1.25, 2.5, -1]])
    rewards = np.random.default_rng(0).normal(size=(4, 9))
    found, slow = discounted_returns(tf.constant(rewards), 0.8).numpy(), np.zeros((4, 9))
    for t in range(9):
        slow[:, t] = sum(0.8 ** (k - t) * rewards[:, k] for k in range(t, 9))
    np.testing.assert_allclose(found, slow, atol=1e-12)


def test_one_step_and_a_graph_of_unknown_size():
    one = generalised_advantages(tf.constant([[2.0]]), tf.constant([[0.5]]))
    np.testing.assert_allclose(one, [[1.5]])
    function = tf.function(generalised_advantages, input_signature=[tf.TensorSpec([None, None], tf.float64)] * 2)
    eager = generalised_advantages(tf.constant(REWARDS), tf.constant(VALUES))
    np.testing.assert_allclose(function(REWARDS, VALUES), eager, atol=1e-12)


def gradient_of(surrogate, logits, actions, *arguments):
    logits = tf.constant(logits)
    with tf.GradientTape() as tape:
        tape.watch(logits)
        log_probs = tf.gather(tf.nn.log_softmax(logits), actions, batch_dims=1)
        value = tf.reduce_sum(surrogate(log_probs, *arguments))
    return tape.gradient(value, logits).numpy()


def test_where_the_ratio_is_1_the_gradient_is_the_policy_gradient():
    rng = np.random.default_rng(1)
    logits, actions, advantages = rng.normal(size=(6, 3)), rng.integers(0, 3, 6), tf.constant(rng.normal(size=6))
    log_probs = tf.gather(tf.nn.log_softmax(logits), actions, batch_dims=1)
    ppo = gradient_of(clipped_surrogate, logits, actions, log_probs, advantages)
    plain = gradient_of(policy_gradient_surrogate, logits, actions, advantages)
    np.testing.assert_allclose(ppo, plain, atol=1e-12)
    assert np.abs(plain).min() > 1e-3


@pytest.mark.parametrize(
    ("ratio", "advantage", "value", "moves"),
    [(1.5, 2.0, 2.4, False), (1.5, -2.0, -3.0, True), (0.5, 2.0, 1.0, True), (0.5, -2.0, -1.6, False)],
)
def test_the_clip_takes_gain_and_leaves_loss(ratio, advantage, value, moves):
    log_probs = tf.constant([np.log(ratio)])
    with tf.GradientTape() as tape:
        tape.watch(log_probs)
        found = clipped_surrogate(log_probs, tf.constant([0.0], tf.float64), tf.constant([advantage], tf.float64), 0.2)
    assert found.numpy()[0] == pytest.approx(value)
    assert (tape.gradient(found, log_probs).numpy()[0] != 0) == moves


def test_the_gradient_of_a_two_arm_softmax_is_that_of_its_closed_form():
    # The expected reward is p m1 + (1 - p) m0 with p = sigmoid(z); its derivative p (1 - p) (m1 - m0).
    z, means = 0.7, np.array([0.2, 0.9])
    p = 1 / (1 + np.exp(-z))
    logits = np.array([[0.0, z]])
    chances = np.array([1 - p, p])
    for baseline in (0.0, 5.0):  # which changes nothing in expectation
        expected = sum(
            chances[a] * gradient_of(policy_gradient_surrogate, logits, [a], tf.constant([means[a] - baseline]))[0, 1]
            for a in (0, 1)
        )
        assert expected == pytest.approx(p * (1 - p) * (means[1] - means[0]), abs=1e-12)


def test_dice_has_all_derivatives_of_the_expected_return_and_the_plain_surrogate_has_one():
    # Two pulls of two arms, all outcomes written out: E = sum over trials of probability times DiCE's objective.
    means = np.array([0.2, 0.9])

    def exact(z):
        p = tf.sigmoid(z)
        return 2 * (p * means[1] + (1 - p) * means[0])

    def derivatives(function):
        z = tf.constant(0.7, tf.float64)
        with tf.GradientTape() as second:
            second.watch(z)
            with tf.GradientTape() as first:
                first.watch(z)
                value = function(z)
            slope = first.gradient(value, z)
        return slope.numpy(), second.gradient(slope, z).numpy()

    def expected(objective):
        def function(z):
            log_probs = tf.nn.log_softmax(tf.stack([tf.zeros_like(z), z]))
            total = 0.0
            for arms in itertools.product((0, 1), repeat=2):
                mine = tf.gather(log_probs, arms)
                chance = tf.stop_gradient(tf.exp(tf.reduce_sum(mine)))
                total += chance * objective(mine, tf.constant(means[list(arms)]))
            return total

        return function

    right = derivatives(exact)
    boxed = derivatives(expected(lambda log_probs, rewards: tf.reduce_sum(dice(log_probs) * rewards)))
    np.testing.assert_allclose(boxed, right, atol=1e-12)

    def plain(log_probs, rewards):
        return tf.reduce_sum(policy_gradient_surrogate(log_probs, discounted_returns(rewards[None])[0]))

    naive = derivatives(expected(plain))
    assert naive[0] == pytest.approx(right[0], abs=1e-12)
    assert abs(naive[1] - right[1]) > 0.1


def test_dice_is_1_in_value():
    np.testing.assert_allclose(dice(tf.constant([[-0.3, -2.0, -1.0]])), np.ones((1, 3)))


@pytest.mark.parametrize("wrong", [-0.1, 1.1, "1", None, True, float("nan")])
@pytest.mark.parametrize("name", ["discount", "decay"])
def test_discount_and_decay_are_fractions(name, wrong):
    with pytest.raises(ValueError, match=rf"{name} must be a number from 0 to 1. Received: {name}="):
        generalised_advantages(tf.constant(REWARDS), tf.constant(VALUES), **{name: wrong})


@pytest.mark.parametrize("wrong", [0, -1.0, "0.2", None])
def test_the_clip_is_positive(wrong):
    with pytest.raises(ValueError, match="clip must be a number above 0"):
        clipped_surrogate(tf.constant([0.0]), tf.constant([0.0]), tf.constant([1.0]), wrong)
