"""Random MDPs: their distributions, their steps, and the best that can be done in them."""

import itertools

import numpy as np
import pytest
import tensorflow as tf

from tfmeta.core.trials import Agent, play
from tfmeta.tasks import TabularMDPs
from tfmeta.tasks.tabular_mdps import MDP, best_values

KEY = tf.constant([1, 2])


def test_transitions_are_flat_dirichlet_and_mean_rewards_normal_around_1():
    tasks = TabularMDPs(4, 2, 5).sample_tasks(2000, KEY)
    assert tasks.transitions.shape == (2000, 4, 2, 4)
    np.testing.assert_allclose(tf.reduce_sum(tasks.transitions, axis=-1), np.ones((2000, 4, 2)), atol=1e-5)
    # Of four parts of a flat Dirichlet: mean 1/4, variance (1/4)(3/4)/5.
    assert tasks.transitions.numpy().mean() == pytest.approx(0.25, abs=1e-3)
    assert tasks.transitions.numpy().var() == pytest.approx(0.25 * 0.75 / 5, rel=0.03)
    assert tasks.rewards.numpy().mean() == pytest.approx(1.0, abs=0.04)
    assert tasks.rewards.numpy().std() == pytest.approx(1.0, rel=0.03)


def test_a_step_goes_where_the_transitions_say_and_an_episode_has_the_horizon():
    environment = TabularMDPs(3, 2, 4)
    transitions = np.zeros((1, 3, 2, 3), np.float32)
    transitions[0, :, 0] = np.roll(np.eye(3), 1, axis=1)  # action 0 goes on by one
    transitions[0, :, 1] = np.eye(3)  # action 1 stays
    tasks = MDP(tf.repeat(transitions, 500, axis=0), tf.constant(np.arange(6.0, dtype=np.float32).reshape(1, 3, 2)))
    tasks = tasks._replace(rewards=tf.repeat(tasks.rewards, 500, axis=0))
    plan = tf.constant([0, 1, 0, 0] * 2)  # of two episodes

    def act(memory, seen, key):
        return tf.gather(plan, memory[0]), (memory[0], tf.argmax(seen, axis=1, output_type=tf.int32))

    agent = Agent(lambda n: (tf.zeros([n], tf.int32), tf.zeros([n], tf.int32)), act, lambda m, *_: (m[0] + 1, m[1]))
    trial = play(agent, environment, tasks, 8, KEY, keep=lambda memory: memory[1])
    np.testing.assert_array_equal(trial.kept, [[0, 1, 1, 2] * 2] * 500)
    np.testing.assert_array_equal(trial.dones, [[False, False, False, True] * 2] * 500)
    means = np.arange(6).reshape(3, 2)[[0, 1, 1, 2] * 2, [0, 1, 0, 0] * 2]
    assert np.abs(trial.rewards.numpy().mean(axis=0) - means).max() < 5 / np.sqrt(500)
    assert np.abs(trial.rewards.numpy().std(axis=0) - 1).max() < 0.2


def test_the_best_policy_is_that_of_trying_them_all():
    tasks = TabularMDPs(2, 2, 2).sample_tasks(20, KEY)
    transitions, rewards = tasks.transitions.numpy().astype(float), tasks.rewards.numpy().astype(float)
    best = np.full(20, -np.inf)
    for first, *second in itertools.product((0, 1), repeat=3):  # the action at the start, then one for each state
        later = np.stack([rewards[:, s, second[s]] for s in (0, 1)], axis=1)
        best = np.maximum(best, rewards[:, 0, first] + (transitions[:, 0, first] * later).sum(axis=1))
    np.testing.assert_allclose(TabularMDPs(2, 2, 2).best_return(tasks), best, rtol=1e-5)
    values, policy = best_values(tasks, 1)
    np.testing.assert_allclose(values, rewards.max(axis=2), rtol=1e-6)
    np.testing.assert_array_equal(policy[0], rewards.argmax(axis=2))


@pytest.mark.parametrize("name", ["n_states", "n_actions", "horizon"])
@pytest.mark.parametrize("wrong", [0, -3, 1.5, None])
def test_sizes_are_counted(name, wrong):
    with pytest.raises(ValueError, match=f"{name} must be a whole number of at least 1"):
        TabularMDPs(**{name: wrong})
