"""A point that walks to a goal: by hand, its ends, its best return, and that it fits what plays."""

import keras
import numpy as np
import pytest
import tensorflow as tf

from tfmeta.core.trials import Agent, play
from tfmeta.tasks.navigation import Navigation2D
from tfmeta.tasks.task_streams import task_stream

KEY = tf.constant([0, 0], tf.int64)


def walk(goals, moves, horizon=100):
    """Moments of the same moves in every task."""
    env, goals = Navigation2D(horizon), tf.constant(goals, tf.float32)
    state, seen = env.reset(goals, KEY)
    np.testing.assert_array_equal(seen, np.zeros(goals.shape))
    found = []
    for move in moves:
        moment = env.step(goals, state, tf.repeat(tf.constant([move], tf.float32), len(goals), axis=0), KEY)
        found.append(moment)
        state = moment.state
    return found


def test_steps_by_hand():
    first, second = walk([[0.3, 0.0], [0.0, -0.1]], [(0.1, 0.0), (0.05, -0.1)])
    np.testing.assert_allclose(first.observation, [[0.1, 0.0]] * 2)
    np.testing.assert_allclose(first.reward, [-0.2, -np.sqrt(0.02)], rtol=1e-6)
    np.testing.assert_allclose(second.observation, [[0.15, -0.1]] * 2, rtol=1e-6)
    np.testing.assert_allclose(second.reward, [-np.sqrt(0.15**2 + 0.01), -0.15], rtol=1e-6)
    assert not np.any([first.done, second.done])


def test_moves_are_cut_at_a_tenth():
    (moment,) = walk([[0.5, 0.5]], [(7.0, -0.3)])
    np.testing.assert_allclose(moment.observation, [[0.1, -0.1]])


def test_an_episode_ends_at_the_goal_or_with_the_time():
    env = Navigation2D(3)
    found = walk([[0.105, 0.0], [0.12, 0.0], [0.309, 0.0]], [(0.1, 0.0)] * 3, horizon=3)
    np.testing.assert_array_equal([m.done for m in found], [[1, 0, 0], [0, 0, 0], [1, 1, 1]])
    goals = tf.constant([[0.105, 0.0], [0.12, 0.0], [0.309, 0.0]])
    np.testing.assert_array_equal(env.terminated(goals, found[0].state), [True, False, False])
    np.testing.assert_array_equal(env.terminated(goals, found[2].state), [False, False, True])


def test_goals_fill_the_square():
    goals = Navigation2D().sample_tasks(20000, KEY).numpy()
    assert goals.shape == (20000, 2)
    assert -0.5 <= goals.min() < -0.499
    assert 0.499 < goals.max() <= 0.5
    np.testing.assert_allclose(goals.mean(axis=0), 0, atol=0.01)
    np.testing.assert_allclose(goals.std(axis=0), 1 / np.sqrt(12), rtol=0.02)
    assert abs(np.corrcoef(goals.T)[0, 1]) < 0.03


def straight(goals):
    """Whoever knows the goal walks to it; the memory is the place."""

    def act(place, observation, key):
        return goals - observation, observation

    return Agent(lambda n: tf.zeros([n, 2]), act, lambda memory, *_: memory)


@pytest.mark.parametrize("horizon", [2, 100])
def test_the_best_return_is_that_of_the_straight_walk_and_nobody_has_more(horizon):
    env = Navigation2D(horizon)
    goals = tf.concat([env.sample_tasks(500, KEY), [[0.0, 0.005], [0.5, -0.5], [0.109, 0.0]]], axis=0)
    best = env.best_return(goals).numpy()

    def episode(agent):
        trial = play(agent, env, goals, horizon, KEY)
        dones = trial.dones.numpy().astype(int)
        first = np.cumsum(dones, axis=1) - dones == 0
        return np.sum(trial.rewards * first, axis=1)

    np.testing.assert_allclose(episode(straight(goals)), best, atol=1e-5)
    noisy = straight(goals)._replace(
        act=lambda m, seen, key: (goals - seen + 0.3 * tf.random.stateless_normal([503, 2], key), seen)
    )
    found = episode(noisy)
    assert (found <= best + 1e-5).all()
    assert (found < best - 0.01).mean() > 0.5
    tenths = {2: 4 + 3, 100: 4 + 3 + 2 + 1}[horizon]
    np.testing.assert_allclose(best[-3:], [0.0, -0.1 * np.sqrt(2) * tenths, -0.009], atol=1e-6)


def test_it_is_saved_and_streamed():
    env = keras.saving.deserialize_keras_object(keras.saving.serialize_keras_object(Navigation2D(7)))
    assert env == Navigation2D(7)
    assert (env.episode_length, env.observation_size, env.actions.n_outputs) == (7, 2, 4)
    assert next(iter(task_stream(env, meta_batch_size=3, seed=0))).shape == (3, 2)
    assert Navigation2D().horizon == 100


@pytest.mark.parametrize("horizon", [0, -1, 1.5, None, True])
def test_a_horizon_that_means_nothing_is_refused(horizon):
    with pytest.raises(ValueError, match=r"horizon must be a whole number of at least 1. Received: horizon="):
        Navigation2D(horizon)
