"""The check of `cosine_attention` rejects the known wrong ways."""

import functools

import keras
import numpy as np
import pytest
import tensorflow as tf

import tfmeta
from tests.checks.table import assert_right, assert_wrong, rows
from tfmeta import checks


def unit(x):
    return tf.math.l2_normalize(x, axis=-1)


def cosines(support, query):
    return tf.matmul(unit(query), unit(support), transpose_b=True)


def summed(attention, labels, n_way):
    return tf.matmul(attention, tf.one_hot(labels, n_way))


def right(s, y, q, n, scale):
    return summed(tf.nn.softmax(scale * cosines(s, q)), y, n)


def of(scores, axis=-1):
    """An answer with other scores `(support, query, scale)` in the softmax over the support items."""
    return lambda s, y, q, n, scale: summed(tf.nn.softmax(scores(s, q, scale), axis=axis), y, n)


def after(change):
    """The right probabilities, changed by `change(p, labels, n_way)`."""
    return lambda s, y, q, n, scale: change(right(s, y, q, n, scale), y, n)


def one_by_one(s, y, q, n, scale):
    table = []
    for one in q:
        cosine = tf.stack([tf.tensordot(one, other, 1) / tf.norm(one) / tf.norm(other) for other in s])
        attention = tf.exp(scale * cosine) / tf.reduce_sum(tf.exp(scale * cosine))
        table.append([tf.reduce_sum(attention[y == k]) for k in range(n)])
    return tf.convert_to_tensor(table)


def with_keras(s, y, q, n, scale):
    cosine = -keras.losses.cosine_similarity(s[None], q[:, None], axis=-1)
    return keras.ops.softmax(scale * cosine) @ keras.ops.one_hot(y, n)


def by_segments(s, y, q, n, scale):
    attention = tf.nn.softmax(scale * tf.einsum("qd,sd->qs", unit(q), unit(s)))
    return tf.transpose(tf.math.unsorted_segment_sum(tf.transpose(attention), y, n))


def turned(s, y, q, n, scale, sign):
    return right(s, y, q, n, sign * scale)


RIGHT = [
    ("as on the page", right),
    ("the library", lambda s, y, q, n, scale: tf.exp(tfmeta.cosine_attention(s, y, q, n, scale))),
    ("loops", one_by_one),
    ("keras", with_keras),
    ("segments", by_segments),
    ("a partial", functools.partial(turned, sign=1.0)),
    ("a graph", tf.function(right)),
    ("double precision", lambda *args: tf.cast(right(*args), tf.float64)),
    ("a list of rows", lambda *args: list(tf.unstack(right(*args)))),
]


@rows(RIGHT)
def test_right(words, answer):
    assert_right(checks.cosine_attention, answer)


def largest(s, y, q, n, scale):
    attention = tf.nn.softmax(scale * cosines(s, q))
    return tf.transpose(tf.math.unsorted_segment_max(tf.transpose(attention), y, n))


def over_classes(s, y, q, n, scale):
    return tf.nn.softmax(summed(scale * cosines(s, q), y, n))


def over_mean_cosines(s, y, q, n, scale):
    return tf.nn.softmax(summed(scale * cosines(s, q), y, n) / tf.reduce_sum(tf.one_hot(y, n), axis=0))


def mean_and_rows_to_one(p, y, n):
    means = p / tf.reduce_sum(tf.one_hot(y, n), axis=0)
    return means / tf.reduce_sum(means, axis=1, keepdims=True)


def far(s, q, scale):
    return -scale * tf.norm(q[:, None] - s, axis=-1)


WRONG = [
    ("inner products", of(lambda s, q, a: a * q @ tf.transpose(s))),
    ("the query is normalised and the support set is not", of(lambda s, q, a: a * unit(q) @ tf.transpose(s))),
    ("the support set is normalised and the query is not", of(lambda s, q, a: a * q @ tf.transpose(unit(s)))),
    ("the sign is wrong", of(lambda s, q, a: -a * cosines(s, q))),
    ("returns minus the cosine", of(lambda s, q, a: a * keras.losses.cosine_similarity(s[None], q[:, None]))),
    ("the distance 1 - cosine", of(lambda s, q, a: a * (1 - cosines(s, q)))),
    ("these are Euclidean distances", of(far)),
    ("these are squared distances", of(lambda s, q, a: -(far(s, q, 1.0) ** 2) * a)),
    ("runs over the queries", of(lambda s, q, a: a * cosines(s, q), axis=0)),
    ("the softmax was taken twice: attention", after(lambda p, y, n: tf.nn.softmax(p))),
    ("twice over the support items", of(lambda s, q, a: tf.nn.softmax(a * cosines(s, q)))),
    ("the mean of a class's attention", after(lambda p, y, n: p / tf.reduce_sum(tf.one_hot(y, n), axis=0))),
    ("does not mend it", after(mean_and_rows_to_one)),
    ("the largest attention", largest),
    ("the softmax runs over classes. Attention", over_classes),
    ("over classes, of mean cosines", over_mean_cosines),
    ("the softmax over the support items is missing", lambda s, y, q, n, a: summed(a * cosines(s, q), y, n)),
    ("sums of cosines", lambda s, y, q, n, a: summed(cosines(s, q), y, n)),
    ("the scale is missing", lambda s, y, q, n, a: right(s, y, q, n, 1.0)),
    ("the scale belongs inside", lambda s, y, q, n, a: a * right(s, y, q, n, 1.0)),
    ("divided by the scale", lambda s, y, q, n, a: right(s, y, q, n, 1 / a)),
    ("multiplied in twice", lambda s, y, q, n, a: right(s, y, q, n, a * a)),
    ("log-probabilities", after(lambda p, y, n: tf.math.log(p))),
    ("transposed", after(lambda p, y, n: tf.transpose(p))),
    ("ascending order", lambda s, y, q, n, a: right(s, tf.sort(y), q, n, a)),
    ("one column per support item", lambda s, y, q, n, a: tf.nn.softmax(a * cosines(s, q))),
    ("must have shape", after(lambda p, y, n: p[:, :1])),
    ("not the summed attention", after(lambda p, y, n: 0.5 * p)),
    ("the encoder could not learn", after(lambda p, y, n: p.numpy())),
    ("no gradient reaches the support embeddings", lambda s, *rest: right(tf.stop_gradient(s), *rest)),
    ("no gradient reaches the query", lambda s, y, q, n, a: right(s, y, tf.constant(q.numpy()), n, a)),
    ("ZeroDivisionError", lambda s, y, q, n, a: 1 / 0),
]


@rows(WRONG)
def test_wrong(words, answer):
    assert_wrong(checks.cosine_attention, answer, words)


def test_a_transposed_square_matrix_is_found():
    def answer(*args):
        p = right(*args)
        return tf.transpose(p) if p.shape[0] == p.shape[1] else p

    assert "transposed" in checks.cosine_attention(answer).message


@pytest.mark.parametrize("answer", [None, ..., lambda *_: ...], ids=["None", "dots", "a stub"])
def test_unfilled(answer):
    assert checks.cosine_attention(answer).status == "not filled in yet"


def test_numbers_alone_do_not_pass():
    """Right in NumPy: the check names what is missing, not the numbers."""

    def answer(s, y, q, n, scale):
        s, q = (x.numpy() / np.linalg.norm(x, axis=1, keepdims=True) for x in (s, q))
        attention = np.exp(scale * q @ s.T)
        return attention / attention.sum(axis=1, keepdims=True) @ np.eye(n)[y]

    assert "the numbers are right, but no gradient" in checks.cosine_attention(answer).message
