"""What is judged on must end, and be meta-batches of episodes."""

import itertools

import numpy as np
import pytest
import tensorflow as tf

import tfmeta
from tests.algorithms.pieces import first, once, task
from tfmeta.evaluation import streams
from tfmeta.evaluation.streams import Sizes, meta_batches

TASKS = {"n_way": 3, "k_shot": 2, "n_query": 4, "meta_batch_size": 5}


@pytest.fixture(scope="module")
def stream(tiny):
    return tfmeta.episode_dataset(tiny, **TASKS, seed=0)


@pytest.mark.parametrize(
    "change",
    [
        lambda s: s,
        lambda s: s.prefetch(1),
        lambda s: s.map(lambda episode: episode),
        lambda s: s.skip(3),
        lambda s: s.take(2).repeat(),
        lambda s: once(first(s)).repeat(),
        lambda s: tfmeta.augmentation.augment(s, tfmeta.augmentation.rotate_classes, seed=0),
    ],
)
def test_of_endless_streams_as_many_episodes_are_read_as_asked(stream, change):
    learner = tfmeta.NearestNeighbour()
    score = tfmeta.evaluate(learner, change(stream), episodes=8, details=True)
    assert score.episodes == 8
    whole = tfmeta.evaluate(learner, change(stream).take(2), details=True)
    np.testing.assert_array_equal(score.details.accuracies, whole.details.accuracies[:8])


def generated(stream, n):
    """A dataset of a generator, whose length nobody knows."""
    spec = stream.element_spec
    found = tf.data.Dataset.from_generator(lambda: itertools.islice(iter(stream), n), output_signature=spec)
    assert found.cardinality() == tf.data.UNKNOWN_CARDINALITY
    return found


def test_a_dataset_of_unknown_length_is_read_to_its_end(stream):
    learner = tfmeta.NearestNeighbour()
    known = tfmeta.evaluate(learner, stream.take(3))
    assert tfmeta.evaluate(learner, generated(stream, 3)) == known
    assert known.episodes == 15
    kept = stream.enumerate().filter(lambda i, _: i % 2 == 0).map(lambda _, episode: episode).take(2)
    assert kept.cardinality() == tf.data.UNKNOWN_CARDINALITY
    assert tfmeta.evaluate(learner, kept).episodes == 10


def test_one_that_may_never_end_is_warned_of_once(stream, monkeypatch):
    monkeypatch.setattr(streams, "MANY_EPISODES", 10)
    with pytest.warns(UserWarning, match=r"10 episodes of a dataset of unknown length.*give its take\(n\)") as caught:
        assert len(list(meta_batches(generated(stream, 4)))) == 4
    assert len(caught) == 1
    list(meta_batches(generated(stream, 2)))  # ends there: no warning
    list(meta_batches(stream.take(4)))  # known to end


@pytest.mark.parametrize(
    ("change", "message"),
    [
        (
            lambda e: task(e),
            r"support_x and support_y must be \[meta_batch_size, n, ...\].*support_y with shape=\(6,\)",
        ),
        (
            lambda e: e._replace(query_y=e.query_y[:, :-1]),
            r"query_x and query_y must be .*query_y with shape=\(5, 11\)",
        ),
        (
            lambda e: e._replace(support_y=tf.stack([e.support_y] * 2, -1)),
            r"one label or target per example.*shape=\(5, 6, 2\)",
        ),
        (
            lambda e: e._replace(query_x=tf.cast(e.query_x * 255, tf.uint8)),
            r"floats in \[0, 1\].*query_x with dtype=uint8",
        ),
        (lambda e: e._replace(query_y=e.query_y - 1), r"from 0 to n_way - 1. Received: query_y with -1"),
    ],
)
@pytest.mark.parametrize("learner", ["learner", "object"])
def test_what_is_no_meta_batch_is_named(stream, change, message, learner):
    class Adapts:
        def adapt(self, support_x, support_y):
            pytest.fail("work was started")

    with pytest.raises(ValueError, match=message):
        tfmeta.evaluate(tfmeta.NearestNeighbour() if learner == "learner" else Adapts(), change(first(stream)))


def test_every_meta_batch_is_looked_at_not_the_first_alone(stream):
    bad = first(stream)._replace(query_y=first(stream).query_y - 1)
    with pytest.raises(ValueError, match=r"Received: query_y with -1"):
        tfmeta.evaluate(tfmeta.NearestNeighbour(), stream.take(2).concatenate(once(bad)))


def test_unequal_sizes_are_reported_as_ranges(tiny, stream):
    other = tfmeta.episode_dataset(tiny, n_way=5, k_shot=1, n_query=4, meta_batch_size=2, seed=0).take(1)

    def batches():
        yield from stream.take(1)
        yield from other

    spec = tfmeta.Episode(*(tf.TensorSpec([None, None, *s.shape[2:]], s.dtype) for s in stream.element_spec))
    score = tfmeta.evaluate(tfmeta.NearestNeighbour(), tf.data.Dataset.from_generator(batches, output_signature=spec))
    assert (score.n_way, score.k_shot, score.n_query, score.episodes) == ((3, 5), (1, 2), 4, 7)
    sizes = Sizes()
    sizes.add({"k_shot": 7 / 5, "n_way": 5.0})
    assert sizes.met == {"k_shot": (1, 2), "n_way": 5}
