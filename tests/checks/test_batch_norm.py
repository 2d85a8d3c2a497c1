"""The check of the one-query evaluation tells every other batch from the right one."""

import numpy as np
import pytest
import tensorflow as tf

from tests.checks.table import assert_right, assert_wrong, rows
from tfmeta import checks, functional
from tfmeta.core.episode import Episode

pytestmark = pytest.mark.slow


def labels(logits, axis=-1):
    return tf.argmax(logits, axis=axis, output_type=tf.int32)


def one_by_one(maml, episode, fast, batch_of, row=-1):
    rows = [functional.forward(maml.network, fast, batch_of(query[None]))[row] for query in episode.query_x]
    return tf.stack(rows)


def beside_support(episode):
    return lambda query: tf.concat([episode.support_x, query], axis=0)


def right(maml, episode):
    return labels(one_by_one(maml, episode, maml.fast_weights(episode), beside_support(episode)))


def theta(maml):
    return functional.values(maml.network.trainable_variables)


def logits(maml, episode):
    return one_by_one(maml, episode, maml.fast_weights(episode), beside_support(episode))


def on_queries(maml, episode):
    fast = maml.fast_weights(Episode(*episode[2:], *episode[:2]))
    return labels(one_by_one(maml, episode, fast, beside_support(episode)))


def leaking(maml, episode):
    fast = maml.fast_weights(episode)
    for variable, value in zip(maml.network.trainable_variables, fast, strict=True):
        variable.assign(value)
    return right(maml, episode)


def updating_averages(maml, episode):
    maml.network(episode.query_x, training=True)
    return right(maml, episode)


def remembering():
    seen = []

    def answer(maml, episode):
        seen.append(0)
        return (right(maml, episode) + len(seen) // 3) % 3

    return answer


GRAPHS = {}


@pytest.fixture
def compiled(monkeypatch):
    """Hundreds of passes with one query each, by a graph for each batch size instead of layer by layer.

    All networks of the check are alike, so one graph serves for all; their weights and averages are its arguments.
    """
    forward = functional.forward

    def compiled_forward(network, params, x, *, training=True):
        if (key := (training, len(x))) not in GRAPHS:
            GRAPHS[key] = tf.function(
                lambda params, averages, x: forward(network, params, x, non_trainable=averages, training=training),
                autograph=False,
            )
        return GRAPHS[key](list(params), functional.values(network.non_trainable_variables), x)

    monkeypatch.setattr(functional, "forward", compiled_forward)


def with_keras(maml, episode):
    """Several queries' batches at once are no help; one batch each through stateless_call, the query first."""
    fast, found = maml.fast_weights(episode), []
    for i in range(len(episode.query_x)):
        batch = tf.concat([episode.query_x[i : i + 1], episode.support_x], axis=0)
        outputs, _ = maml.network.stateless_call(fast, maml.network.non_trainable_variables, batch, training=True)
        found.append(int(np.argmax(outputs[0])))
    return found


RIGHT = [
    ("as on the page", right),
    ("the library", lambda m, e: labels(m.query_outputs(e, transductive=False)).numpy()),
    ("a list, the query first", with_keras),
    ("long integers", lambda m, e: tf.cast(right(m, e), tf.int64)),
    ("whole numbers in floats", lambda m, e: right(m, e).numpy().astype(float)),
    ("a list of tensors", lambda m, e: tf.unstack(right(m, e))),
    ("a tuple", lambda m, e: tuple(right(m, e).numpy().tolist())),
]


@rows(RIGHT)
@pytest.mark.usefixtures("compiled")
def test_right(words, answer):
    assert_right(checks.one_query_evaluation, answer)


def hits_of(answer, kind):
    return lambda m, e: (answer(m, e).numpy() == e.query_y.numpy()).astype(kind)


def as_one_batch(maml, episode):
    return labels(functional.forward(maml.network, maml.fast_weights(episode), episode.query_x))


def without_a_batch(maml, episode):
    fast = maml.fast_weights(episode)
    return labels(tf.stack([functional.forward(maml.network, fast, tf.concat([episode.support_x, q], 0))[-1]
                            for q in episode.query_x]))  # fmt: skip


WRONG = [
    ("let them see each other", lambda m, e: labels(m.query_outputs(e))),
    ("alone in its batch", lambda m, e: labels(one_by_one(m, e, m.fast_weights(e), lambda q: q))),
    ("averages", lambda m, e: labels(functional.forward(m.network, m.fast_weights(e), e.query_x, training=False))),
    ("nothing was adapted", lambda m, e: labels(one_by_one(m, e, theta(m), beside_support(e)))),
    ("nothing was adapted, and all", lambda m, e: labels(functional.forward(m.network, theta(m), e.query_x))),
    ("adapted on the query set", on_queries),
    ("a support image", lambda m, e: labels(one_by_one(m, e, m.fast_weights(e), beside_support(e), row=0))),
    ("the argmax went over the queries", lambda m, e: labels(logits(m, e), axis=0)),
    ("these are logits", logits),
    ("logits or probabilities", lambda m, e: tf.nn.softmax(logits(m, e))),
    ("36 of 36 predictions differ", lambda m, e: (right(m, e) + 1) % 3),
    ("labels run from 0 to 2", lambda m, e: right(m, e) + 1),
    ("36 integer labels", lambda m, e: tf.reduce_max(tf.nn.softmax(logits(m, e)), axis=-1)),
    ("these are hits: True where", hits_of(right, bool)),
    ("these are hits, 1 where", hits_of(right, int)),
    ("whoever calls you compares them", hits_of(right, float)),
    ("And all queries went through the network in one batch", hits_of(as_one_batch, int)),
    ("one number, such as the share of hits", lambda m, e: np.mean(right(m, e) == e.query_y)),
    ("the true labels", lambda m, e: e.query_y),
    ("the labels stand in a column", lambda m, e: right(m, e)[:, None]),
    ("make a batch of it with query[None]", without_a_batch),
    ("the learner has changed", leaking),
    ("its moving averages were written to", updating_averages),
    ("something leaks between tasks", remembering()),
]


@rows(WRONG)
@pytest.mark.usefixtures("compiled")
def test_wrong(words, answer):
    assert_wrong(checks.one_query_evaluation, answer, words)


@pytest.mark.usefixtures("compiled")
def test_every_wrong_way_predicts_otherwise():
    """Otherwise a wrong answer could pass by luck."""
    from tfmeta.checks.batch_norm import _small_classification

    maml, episodes = _small_classification()
    for episode in episodes:
        fast = maml.fast_weights(episode)
        ways = [
            right(maml, episode),
            labels(maml.query_outputs(episode)),
            labels(one_by_one(maml, episode, fast, lambda q: q)),
            labels(functional.forward(maml.network, fast, episode.query_x, training=False)),
            labels(one_by_one(maml, episode, theta(maml), beside_support(episode))),
            on_queries(maml, episode),
            labels(one_by_one(maml, episode, fast, beside_support(episode), row=0)),
        ]
        for i, one in enumerate(ways):
            for other in ways[:i]:
                assert np.sum(one.numpy() != other.numpy()) >= 3
