"""`play`: who is told what and when, where episodes end, and what randomness depends on."""

import dataclasses

import numpy as np
import pytest
import tensorflow as tf

from tfmeta.core.actions import Discrete
from tfmeta.core.trials import Agent, Environment, Moment, play

KEY = tf.constant([1, 2])


@dataclasses.dataclass(frozen=True)
class Corridor(Environment):
    """Every step goes on by 1; a task is the length after which the episode ends. The reward is the place times a."""

    reward: float = 1.0
    actions = Discrete(3)
    observation_size = 1
    episode_length = 4

    def sample_tasks(self, n_tasks, key):
        return tf.range(n_tasks) % 3 + 2

    def reset(self, tasks, key):
        place = tf.zeros_like(tasks)
        return place, tf.cast(place, tf.float32)[:, None]

    def step(self, tasks, state, actions, key):
        place = state + 1
        reward = self.reward * tf.cast(place * actions, tf.float32)
        return Moment(place, tf.cast(place, tf.float32)[:, None], reward, place >= tasks)


def counting():
    """Plays the number of the step modulo 3; its memory is that number and a record of what it was told."""

    def act(memory, observation, key):
        step, told = memory
        return step % 3, (step, tf.concat([told[:, 1:], observation], axis=1))

    def learn(memory, actions, rewards, dones):
        step, told = memory
        return step + 1, told

    return Agent(lambda n: (tf.zeros([n], tf.int32), tf.zeros([n, 3])), act, learn)


def test_episodes_follow_each_other_and_the_memory_goes_on():
    environment = Corridor()
    tasks = environment.sample_tasks(3, KEY)  # episodes of 2, 3 and 4 steps
    trial = play(counting(), environment, tasks, 6, KEY, keep=lambda memory: memory)
    np.testing.assert_array_equal(trial.actions, [[0, 1, 2, 0, 1, 2]] * 3)
    places = np.array([[1, 2, 1, 2, 1, 2], [1, 2, 3, 1, 2, 3], [1, 2, 3, 4, 1, 2]])
    np.testing.assert_array_equal(trial.rewards, places * [0, 1, 2, 0, 1, 2])
    np.testing.assert_array_equal(trial.dones, places == np.array([[2], [3], [4]]))
    steps, told = trial.kept
    np.testing.assert_array_equal(steps, [[0, 1, 2, 3, 4, 5]] * 3)
    # Observations are those before the action; after an end that of the new episode.
    np.testing.assert_array_equal(told[..., -1], places - 1)
    assert trial.actions.dtype == tf.int32
    assert trial.dones.dtype == tf.bool


def test_eager_and_graph_and_sizes_that_a_graph_does_not_know():
    environment = Corridor()
    tasks = environment.sample_tasks(4, KEY)
    eager = play(counting(), environment, tasks, 5, KEY)
    graph = tf.function(
        lambda tasks: play(counting(), environment, tasks, 5, KEY), input_signature=[tf.TensorSpec([None], tf.int32)]
    )(tasks)
    for one, other in zip(eager[:3], graph[:3], strict=True):
        np.testing.assert_array_equal(one, other)


def test_chance_is_the_keys_alone_and_new_at_every_step():
    def at_random():
        return Agent(
            lambda n: (),
            lambda memory, seen, key: (
                tf.random.stateless_uniform([tf.shape(seen)[0]], key, maxval=3, dtype=tf.int32), memory,
            ),
            lambda memory, *_: memory,
        )  # fmt: skip

    tasks = Corridor().sample_tasks(50, KEY)
    first, again, other = (play(at_random(), Corridor(), tasks, 8, key).actions for key in (KEY, KEY, KEY + 1))
    np.testing.assert_array_equal(first, again)
    assert (first.numpy() != other.numpy()).any()
    for t in range(1, 8):
        assert (first[:, t].numpy() != first[:, t - 1].numpy()).any()


@pytest.mark.parametrize("reward", [float("nan"), float("inf")])
def test_rewards_that_are_not_finite_are_refused(reward):
    tasks = Corridor().sample_tasks(2, KEY)
    with pytest.raises(tf.errors.InvalidArgumentError, match="rewards must be finite"):
        play(counting(), Corridor(reward), tasks, 3, KEY)


@pytest.mark.parametrize("arm", [-1, 3])
def test_actions_that_there_are_not_are_refused(arm):
    outside = Agent(lambda n: (), lambda m, seen, k: (tf.fill([tf.shape(seen)[0]], arm), m), lambda m, *_: m)
    tasks = Corridor().sample_tasks(2, KEY)
    for run in (play, tf.function(play, autograph=False)):
        with pytest.raises(tf.errors.InvalidArgumentError, match="actions must be whole numbers from 0 to 2"):
            run(outside, Corridor(), tasks, 3, KEY)


@pytest.mark.parametrize("n_steps", [0, -1, 2.0, None, True])
def test_a_trial_has_steps(n_steps):
    with pytest.raises(ValueError, match="n_steps must be a whole number of at least 1"):
        play(counting(), Corridor(), Corridor().sample_tasks(2, KEY), n_steps, KEY)
