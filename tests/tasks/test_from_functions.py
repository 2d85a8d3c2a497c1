"""Tasks that a function makes, or that there are: the same whatever the meta-batches are, and checked."""

import keras
import numpy as np
import pytest
import tensorflow as tf

import tfmeta
from tfmeta import Episode


def line(rng):
    slope = rng.uniform(-1, 1)
    x = rng.uniform(-1, 1, (7, 1))
    return x[:3], slope * x[:3], x[3:], slope * x[3:]


def rows(rng):
    centres = rng.normal(size=(3, 4))
    labels = np.tile(np.arange(3), 2)
    return Episode(centres[labels], labels, centres[labels] + 0.1, labels)


def two_inputs(rng):
    x = {"a": rng.normal(size=(4, 2)), "b": rng.normal(size=(4, 3))}
    return x, np.arange(4) % 2, x, np.arange(4) % 2


def listed(dataset, n):
    return [tf.nest.map_structure(lambda t, i=i: t[i].numpy(), batch) for batch in dataset.take(n)
            for i in range(len(batch.support_y))]  # fmt: skip


def assert_same(a, b):
    assert len(a) == len(b) > 0
    for one, other in zip(a, b, strict=True):
        tf.nest.map_structure(np.testing.assert_array_equal, one, other)


@pytest.mark.parametrize("function", [line, rows, two_inputs])
def test_a_seed_gives_the_same_tasks_in_meta_batches_of_any_size(function):
    six = listed(tfmeta.episodes_from(function, meta_batch_size=6, seed=3), 1)
    assert_same(six, listed(tfmeta.episodes_from(function, meta_batch_size=2, seed=3), 3))
    assert_same(six[2:], listed(tfmeta.episodes_from(function, meta_batch_size=2, seed=3, start=1), 2))
    other = listed(tfmeta.episodes_from(function, meta_batch_size=6, seed=4), 1)
    assert not np.array_equal(tf.nest.flatten(six[0])[0], tf.nest.flatten(other[0])[0])
    assert not np.array_equal(tf.nest.flatten(six[0])[0], tf.nest.flatten(six[1])[0])


def test_each_task_is_what_the_function_makes_of_its_own_generator():
    found = listed(tfmeta.episodes_from(line, meta_batch_size=2, seed=5), 2)
    for number, task in enumerate(found):
        expected = Episode(*line(np.random.default_rng([5, number])))
        tf.nest.map_structure(lambda a, b: np.testing.assert_array_equal(a, np.float32(b)), task, expected)
        assert task.support_x.dtype == task.support_y.dtype == np.float32


def test_labels_are_int32_and_shapes_are_known():
    spec = tfmeta.episodes_from(rows, meta_batch_size=2).element_spec
    assert spec.support_y == tf.TensorSpec([2, 6], tf.int32)
    assert spec.query_x == tf.TensorSpec([2, 6, 4], tf.float32)


def test_a_list_ends_and_its_last_meta_batch_may_be_smaller():
    tasks = [line(np.random.default_rng(i)) for i in range(5)]
    batches = list(tfmeta.episodes_from(tasks, meta_batch_size=2))
    assert [len(batch.support_x) for batch in batches] == [2, 2, 1]
    np.testing.assert_array_equal(batches[2].query_y[0], np.float32(tasks[4][3]))


def test_a_learner_trains_on_them_and_reads_on():
    keras.utils.set_random_seed(0)
    learner = tfmeta.MAML(tfmeta.networks.mlp(hidden=(8,)), inner_lr=0.1)
    learner.compile("adam")
    before = tfmeta.evaluate(learner, tfmeta.episodes_from(line, meta_batch_size=4, seed=9), episodes=10)
    learner.fit(tfmeta.episodes_from(line, meta_batch_size=4), steps_per_epoch=40, epochs=2, verbose=0)
    after = tfmeta.evaluate(learner, tfmeta.episodes_from(line, meta_batch_size=4, seed=9), episodes=10)
    assert (before.episodes, after.episodes) == (10, 10)
    assert after.loss < before.loss
    assert np.isfinite(after.interval)


@pytest.mark.parametrize(
    ("source", "error", "message"),
    [
        (lambda rng: 3, TypeError, r"task 0 must be an Episode, four arrays.*Received: int"),
        (lambda rng: (1, 2), TypeError, r"four arrays.*Received: tuple of 2"),
        (lambda rng: (np.zeros((2, 1)), [0], np.zeros((2, 1)), [0, 1]), ValueError, r"task 0: support_x and support_y"),
        (lambda rng: (np.zeros((2, 1)), ["a", "b"], np.zeros((2, 1)), [0, 1]), ValueError, "support_y must be whole"),
        ([], ValueError, r"at least one episode. Received: an empty list"),
        (np.zeros(3), TypeError, r"a function of a random generator, or a list.*Received: source of type ndarray"),
        ([line(np.random.default_rng(0)), rows(np.random.default_rng(0))], ValueError, r"Received: task 1 with"),
    ],
)
def test_bad_sources_are_named(source, error, message):
    with pytest.raises(error, match=message):
        tfmeta.episodes_from(source, meta_batch_size=2)


def test_a_later_task_of_another_shape_is_named():
    def growing(rng):
        n = int(rng.integers(1, 9))
        return np.zeros((n, 1)), np.zeros((n, 1)), np.zeros((1, 1)), np.zeros((1, 1))

    with pytest.raises(tf.errors.InvalidArgumentError, match="all tasks must have the shapes"):
        list(tfmeta.episodes_from(growing, meta_batch_size=4).take(4))


@pytest.mark.parametrize("bad", [{"meta_batch_size": 0}, {"meta_batch_size": 2, "seed": -1},
                                 {"meta_batch_size": 2, "start": -1}])  # fmt: skip
def test_bad_sizes_are_named(bad):
    with pytest.raises(ValueError, match="Received: "):
        tfmeta.episodes_from(line, **bad)


@pytest.mark.parametrize("function", [line, rows])
def test_scores_and_curves_take_lists_and_endless_streams(function):
    network = (
        tfmeta.networks.mlp(hidden=(8,)) if function is line else tfmeta.networks.mlp(3, hidden=(8,), input_shape=(4,))
    )
    learner = tfmeta.MAML(network, inner_lr=0.1)
    stream = tfmeta.episodes_from(function, meta_batch_size=2, seed=1)
    tasks = [Episode(*task) for task in listed(stream, 3)]
    number = (lambda score: score.loss) if function is line else (lambda score: score.accuracy)
    scores = [tfmeta.evaluate(learner, data, episodes=5) for data in (tasks[:5], stream)]
    assert [score.episodes for score in scores] == [5, 5]
    assert number(scores[0]) == pytest.approx(number(scores[1]), rel=1e-5)
    assert scores[0].interval == pytest.approx(scores[1].interval, rel=1e-5)
    curves = [tfmeta.adaptation_curve(learner, data, 2, at_most=5) for data in (tasks[:5], stream)]
    assert [curve.episodes for curve in curves] == [5, 5]
    np.testing.assert_allclose(curves[0].mean["query_loss"], curves[1].mean["query_loss"], rtol=1e-5)
