"""The check of `cosine_attention` rejects the known wrong ways."""

import pytest
import tensorflow as tf

import tfmeta
from tfmeta import checks


def cosines(support, query):
    return tf.matmul(tf.math.l2_normalize(query, axis=-1), tf.math.l2_normalize(support, axis=-1), transpose_b=True)


def summed(attention, labels, n_way):
    return tf.matmul(attention, tf.one_hot(labels, n_way))


def right(s, y, q, n, scale):
    return summed(tf.nn.softmax(scale * cosines(s, q)), y, n)


def of_the_library(s, y, q, n, scale):
    return tf.exp(tfmeta.cosine_attention(s, y, q, n, scale))


@pytest.mark.parametrize("answer", [right, of_the_library])
def test_right(answer):
    assert checks.cosine_attention(answer).passed


@pytest.mark.parametrize(
    ("answer", "words"),
    [
        (lambda s, y, q, n, a: summed(tf.nn.softmax(a * tf.matmul(q, s, transpose_b=True)), y, n), "inner products"),
        (lambda s, y, q, n, a: summed(tf.nn.softmax(a * cosines(s, q), axis=0), y, n), "runs over the queries"),
        (
            lambda s, y, q, n, a: right(s, y, q, n, a) / tf.reduce_sum(tf.one_hot(y, n), axis=0),
            "the mean of a class's attention",
        ),
        (lambda s, y, q, n, a: tf.nn.softmax(summed(a * cosines(s, q), y, n)), "runs over classes"),
        (lambda s, y, q, n, a: right(s, y, q, n, 1.0), "the scale is missing"),
        (lambda s, y, q, n, a: right(s, y, q, n, 1 / a), "divided by the scale"),
        (lambda s, y, q, n, a: tf.math.log(right(s, y, q, n, a)), "log-probabilities"),
        (lambda s, y, q, n, a: tf.transpose(right(s, y, q, n, a)), "transposed"),
        (lambda s, y, q, n, a: right(s, tf.sort(y), q, n, a), "ascending order"),
        (lambda s, y, q, n, a: right(s, y, q, n, a)[:, :1], "must have shape"),
        (lambda s, y, q, n, a: 0.5 * right(s, y, q, n, a), "not the summed attention"),
        (lambda s, y, q, n, a: 1 / 0, "ZeroDivisionError"),
    ],
)
def test_wrong(answer, words):
    found = checks.cosine_attention(answer)
    assert found.status == "not right yet"
    assert words in found.message


@pytest.mark.parametrize("answer", [None, ..., lambda *_: ...])
def test_unfilled(answer):
    assert checks.cosine_attention(answer).status == "not filled in yet"
