"""Bandits: what arms pay, who is good, and streams of them."""

import math

import keras
import numpy as np
import pytest
import tensorflow as tf

from tfmeta.tasks import BernoulliBandits, InformativeBandits, task_stream

KEY = tf.constant([1, 2])


def pull(environment, tasks, arms, key=KEY):
    state, seen = environment.reset(tasks, key)
    assert seen.shape == (len(arms), environment.observation_size)
    moment = environment.step(tasks, state, tf.constant(arms, tf.int32), key)
    assert moment.done.numpy().all()
    assert moment.observation.shape == seen.shape
    return moment.reward.numpy()


def test_arms_are_uniform_and_pay_with_their_probability():
    environment = BernoulliBandits(3)
    tasks = environment.sample_tasks(5000, KEY)
    assert (tasks.shape, tasks.dtype) == ((5000, 3), tf.float32)
    assert abs(tasks.numpy().mean() - 0.5) < 5 / math.sqrt(12 * 15_000)
    assert tasks.numpy().std() == pytest.approx(1 / math.sqrt(12), rel=0.05)
    same = tf.repeat(tf.constant([[0.1, 0.5, 0.9]]), 6000, axis=0)
    for arm, p in enumerate((0.1, 0.5, 0.9)):
        paid = pull(environment, same, [arm] * 6000)
        assert set(paid) == {0.0, 1.0}
        assert abs(paid.mean() - p) < 5 * math.sqrt(p * (1 - p) / 6000)
    np.testing.assert_array_equal(environment.best_return(tasks), tasks.numpy().max(axis=1))


def test_arms_that_are_sure():
    tasks = tf.constant([[0.0, 1.0]] * 100)
    assert pull(BernoulliBandits(2), tasks, [0] * 100).sum() == 0
    assert pull(BernoulliBandits(2), tasks, [1] * 100).sum() == 100


def test_the_last_arm_tells_which_one_is_good():
    environment = InformativeBandits(6)
    tasks = environment.sample_tasks(2000, KEY)
    assert set(tasks.numpy()) == {0, 1, 2, 3, 4}
    told = pull(environment, tasks, [5] * 2000)
    np.testing.assert_array_equal(np.rint(told / environment.scale * 5).astype(int) - 1, tasks)
    assert told.max() <= environment.rest + 1e-6  # nobody returns to it for its pay
    good = pull(environment, tasks, tasks.numpy())
    np.testing.assert_array_equal(good, np.ones(2000))
    others = pull(environment, tasks, (tasks.numpy() + 1) % 5)
    np.testing.assert_allclose(others, np.full(2000, 0.2))
    np.testing.assert_array_equal(environment.best_return(tasks), np.ones(2000))


@pytest.mark.parametrize("environment", [BernoulliBandits(4), InformativeBandits(5, rest=0.1)])
def test_streams_of_tasks_begin_where_one_says_and_environments_are_saved(environment):
    stream = task_stream(environment, meta_batch_size=7, seed=3)
    assert stream.cardinality() == tf.data.INFINITE_CARDINALITY
    first = [tasks.numpy() for tasks in stream.take(4)]
    again = [tasks.numpy() for tasks in task_stream(environment, meta_batch_size=7, seed=3, start=2).take(2)]
    np.testing.assert_array_equal(first[2:], again)
    assert (first[0] != first[1]).any()
    other = next(iter(task_stream(environment, meta_batch_size=7, seed=2**40 + 3))).numpy()
    assert (first[0] != other).any()
    config = keras.saving.serialize_keras_object(environment)
    assert keras.saving.deserialize_keras_object(config) == environment


@pytest.mark.parametrize("wrong", [0, -1, 2.5, "5", True])
def test_arms_are_counted(wrong):
    for kind in (BernoulliBandits, InformativeBandits):
        with pytest.raises(ValueError, match="n_arms must be a whole number of at least 1"):
            kind(wrong)


def test_bad_streams_and_informative_arms():
    with pytest.raises(ValueError, match="n_arms must be at least 3"):
        InformativeBandits(2)
    with pytest.raises(ValueError, match=r"rest must be below 1, the good arm's pay. Received: rest=1.5"):
        InformativeBandits(5, rest=1.5)
    with pytest.raises(ValueError, match="scale must be a number of at least 0"):
        InformativeBandits(5, scale=-0.1)
    with pytest.raises(TypeError, match="environment must be an Environment"):
        task_stream("bandits", meta_batch_size=2, seed=0)
    with pytest.raises(ValueError, match="meta_batch_size"):
        task_stream(BernoulliBandits(), meta_batch_size=0, seed=0)
    with pytest.raises(ValueError, match="seed"):
        task_stream(BernoulliBandits(), meta_batch_size=1, seed=-1)
