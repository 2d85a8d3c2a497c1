"""Episodes of one's own in every type: the same numbers, or one clear sentence."""

import keras
import numpy as np
import pytest
import tensorflow as tf

import tfmeta
from tfmeta.core import casting


class Frame:
    """What pandas objects are to NumPy: something with `__array__`."""

    def __init__(self, values):
        self.values = np.asarray(values)

    def __array__(self, dtype=None, copy=None):
        return self.values if dtype is None else self.values.astype(dtype)

    def __len__(self):
        return len(self.values)


@pytest.fixture(scope="module")
def learner():
    keras.utils.set_random_seed(0)
    made = tfmeta.MAML(keras.Sequential([keras.Input((4,)), keras.layers.Dense(3)]), inner_lr=0.1)
    made.compile("sgd")
    return made


@pytest.fixture(scope="module")
def task():
    rng = np.random.default_rng(0)
    y = np.array([0, 1, 2] * 2, np.int32)
    return tfmeta.Episode(rng.normal(size=(6, 4)).astype(np.float32), y, rng.normal(size=(6, 4)).astype(np.float32), y)


CASTS = {
    "int64": lambda y: y.astype(np.int64),
    "uint8": lambda y: y.astype(np.uint8),
    "a column": lambda y: y[:, None],
    "a list": lambda y: y.tolist(),
    "a frame": Frame,
    "an int64 tensor": lambda y: tf.constant(y, tf.int64),
    "a column of objects": lambda y: y.astype(object)[:, None],
}


@pytest.mark.parametrize("cast", CASTS.values(), ids=CASTS)
def test_labels_of_every_kind_are_the_same_labels(learner, task, cast):
    mine = task._replace(support_y=cast(task.support_y), query_y=cast(task.query_y), support_x=Frame(task.support_x))
    wanted = learner.query_outputs(tfmeta.Episode(*map(tf.constant, task)))
    np.testing.assert_array_equal(learner.query_outputs(mine), wanted)
    for a, b in zip(learner.fast_weights(mine), learner.fast_weights(task), strict=True):
        np.testing.assert_array_equal(a, b)
    adapted = learner.adapt(mine.support_x, mine.support_y)
    np.testing.assert_allclose(adapted(task.query_x), wanted, rtol=1e-6)


@pytest.mark.parametrize("cast", [CASTS["int64"], CASTS["uint8"], CASTS["a column"]], ids=["int64", "uint8", "column"])
def test_batches_and_datasets_too(learner, task, cast):
    plain = tfmeta.Episode(*(np.stack([part, part]) for part in task))
    mine = plain._replace(support_y=np.stack([cast(task.support_y)] * 2), query_y=np.stack([cast(task.query_y)] * 2))
    curves = [tfmeta.adaptation_curve(learner, episodes, 2) for episodes in (plain, mine)]
    np.testing.assert_array_equal(curves[0].mean["query_accuracy"], curves[1].mean["query_accuracy"])
    assert tfmeta.evaluate(learner, mine).accuracy == tfmeta.evaluate(learner, plain).accuracy
    reports = [
        learner.evaluate(tf.data.Dataset.from_tensors(e), verbose=0, return_dict=True) for e in (plain, mine)
    ]  # fmt: skip
    assert reports[0] == reports[1]
    weights = learner.get_weights()
    learner.fit(tf.data.Dataset.from_tensors(mine), verbose=0)
    trained = learner.get_weights()
    learner.set_weights(weights)
    learner.fit(tf.data.Dataset.from_tensors(plain), verbose=0)
    for a, b in zip(learner.get_weights(), trained, strict=True):
        np.testing.assert_array_equal(a, b)


BAD = {
    "words": ({"support_y": list("abcabc")}, r"support_y must be whole numbers.*return_inverse=True.*'a'"),
    "query words": ({"query_y": np.array(list("abcabc"))}, r"query_y must be whole numbers from 0 to n_way - 1"),
    "bytes": ({"support_x": np.zeros((6, 4), np.uint8)}, r"support_x must be scaled.*dtype=uint8"),
    "not a number": ({"query_x": np.full((6, 4), np.nan, np.float32)}, r"query_x must be finite.*24 NaN"),
    "text": ({"query_x": [["a"] * 4] * 6}, r"query_x must be numbers"),
    "from one": ({"support_y": [1, 2, 3] * 2, "query_y": [1, 2, 3] * 2}, r"labels must run from 0.*\[1, 2, 3\]"),
    "a gap": ({"support_y": [0, 1, 3] * 2, "query_y": [0, 1, 3] * 2}, r"labels must run from 0.*\[0, 1, 3\]"),
    "negative": ({"support_y": [-1, 0, 1] * 2}, r"labels must run from 0"),
}


@pytest.mark.parametrize(("parts", "message"), BAD.values(), ids=BAD)
def test_what_cannot_be_cast_is_said_by_every_way_in(learner, task, parts, message):
    one = task._replace(**parts)
    batch = tfmeta.Episode(*(np.asarray(part)[None] for part in one))
    metric = tfmeta.PrototypicalNetwork(keras.Sequential([keras.Input((4,)), keras.layers.Dense(2)]))
    for work in (
        lambda: tfmeta.adaptation_curve(learner, batch, 1),
        lambda: tfmeta.evaluate(learner, batch),
        lambda: tfmeta.evaluate(metric, batch),
        lambda: learner.check_episode(batch),
    ):
        with pytest.raises(ValueError, match=message):
            work()


@pytest.mark.parametrize(
    ("parts", "message"),
    [
        ({"support_x": np.zeros((6, 4), np.uint8)}, "support_x must be scaled as in training"),
        ({"query_y": np.array(list("abcabc"))}, "query_y must be whole numbers"),
        ({"query_x": np.full((6, 4), np.inf, np.float32)}, "query_x must be finite"),
    ],
)
def test_fit_and_evaluate_say_it_before_the_first_step(learner, task, parts, message):
    data = tf.data.Dataset.from_tensors(tfmeta.Episode(*(part[None] for part in task._replace(**parts))))
    for work in (learner.fit, learner.evaluate):
        with pytest.raises(ValueError, match=message):
            work(data, verbose=0)


def test_nothing_is_cast_that_fits():
    y = tf.constant([[0, 1]])
    episode = tfmeta.Episode(tf.zeros([1, 2, 3]), y, tf.zeros([1, 2, 3], tf.float64), y)
    for given, found in zip(episode, casting.as_episode(episode, 2), strict=True):
        assert found is given
    data = tf.data.Dataset.from_tensors(episode)
    assert casting.as_dataset(data) is data


def test_targets_keep_their_type_and_their_axes():
    assert casting.targets_of([[0.5], [1.0]], "y").shape == (2, 1)
    assert casting.targets_of([True, False], "y").dtype == tf.int32
    assert casting.targets_of([[0], [1]], "y", squeeze=False).shape == (2, 1)
    assert casting.targets_of([[0], [1]], "y", 2).shape == (2, 1)  # two tasks of one example
    assert casting.targets_of([[[0], [1]]], "y", 2).shape == (1, 2)
