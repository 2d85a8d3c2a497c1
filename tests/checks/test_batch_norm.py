"""The check of the one-query evaluation tells every other batch from the right one."""

import numpy as np
import pytest
import tensorflow as tf

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


@pytest.fixture
def compiled(monkeypatch):
    """Hundreds of passes with one query each, by a graph for each network and batch size instead of layer by layer."""
    graphs, forward = {}, functional.forward

    def compiled_forward(network, params, x, *, training=True):
        if (key := (network, training, len(x))) not in graphs:
            graphs[key] = tf.function(lambda params, x: forward(network, params, x, training=training), autograph=False)
        return graphs[key](list(params), x)

    monkeypatch.setattr(functional, "forward", compiled_forward)


def test_right():
    assert checks.one_query_evaluation(right).passed
    assert checks.one_query_evaluation(lambda m, e: labels(m.query_outputs(e, transductive=False)).numpy()).passed


@pytest.mark.parametrize(
    ("answer", "words"),
    [
        (lambda m, e: labels(m.query_outputs(e)), "let them see each other"),
        (lambda m, e: labels(one_by_one(m, e, m.fast_weights(e), lambda q: q)), "alone in its batch"),
        (lambda m, e: labels(functional.forward(m.network, m.fast_weights(e), e.query_x, training=False)), "averages"),
        (lambda m, e: labels(one_by_one(m, e, theta(m), beside_support(e))), "nothing was adapted"),
        (lambda m, e: labels(functional.forward(m.network, theta(m), e.query_x)), "nothing was adapted, and all"),
        (on_queries, "adapted on the query set"),
        (lambda m, e: labels(one_by_one(m, e, m.fast_weights(e), beside_support(e), row=0)), "a support image"),
        (lambda m, e: labels(logits(m, e), axis=0), "the argmax went over the queries"),
        (logits, "these are logits"),
        (lambda m, e: (right(m, e) + 1) % 3, "36 of 36 predictions differ"),
        (lambda m, e: tf.cast(right(m, e), tf.float32), "integer labels"),
        (leaking, "the learner has changed"),
        (updating_averages, "the learner has changed"),
        (remembering(), "something leaks between tasks"),
    ],
)
@pytest.mark.usefixtures("compiled")
def test_wrong(answer, words):
    result = checks.one_query_evaluation(answer)
    assert result.status == "not right yet"
    assert words in result.message


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
