"""The check of `prototypical_logits` rejects the unsquared distance and its relatives, and accepts equation 8."""

import functools

import keras
import numpy as np
import tensorflow as tf

import tfmeta
from tests.checks.table import assert_right, assert_wrong, rows
from tfmeta import checks

means = tfmeta.compute_prototypes


def squared(query, prototypes):
    return tf.reduce_sum((query[:, None] - prototypes[None]) ** 2, axis=-1)


def by(logits, prototypes=means):
    """An answer from prototypes `(support, labels, n_way)` and logits `(query, prototypes)`."""
    return lambda s, y, q, n: logits(q, prototypes(s, y, n))


def minus_squared(q, c):
    return -squared(q, c)


def linear(q, c):
    return q @ tf.transpose(2 * c) - tf.reduce_sum(c**2, axis=1)


def loop(support, labels, query, n_way):
    table = []
    for q in query:
        row = []
        for k in range(n_way):
            prototype = tf.reduce_mean(support[labels == k], axis=0)
            row.append(-tf.reduce_sum((q - prototype) ** 2))
        table.append(row)
    return tf.stack([tf.stack(row) for row in table])


def with_keras(support, labels, query, n_way):
    members = keras.ops.one_hot(labels, n_way)
    c = keras.ops.transpose(members) @ support / keras.ops.sum(members, axis=0)[:, None]
    return -keras.ops.sum(keras.ops.square(query[:, None] - c), axis=-1)


def vectorised(support, labels, query, n_way):
    c = tf.math.unsorted_segment_mean(support, labels, n_way)
    return tf.vectorized_map(lambda q: -tf.reduce_sum((q - c) ** 2, axis=-1), query)


def by_einsum(support, labels, query, n_way):
    c = tf.stack([tf.reduce_mean(tf.gather(support, tf.where(labels == k)[:, 0]), axis=0) for k in range(n_way)])
    difference = query[:, None] - c
    return -tf.einsum("qkd,qkd->qk", difference, difference)


def expanded(support, labels, query, n_way):
    c = means(support, labels, n_way)
    return linear(query, c) - tf.reduce_sum(query**2, axis=1, keepdims=True)


class Callable:
    def __call__(self, support, labels, query, n_way):
        return -(tf.norm(query[:, None] - means(support, labels, n_way), axis=-1) ** 2)


def in_double(support, labels, query, n_way):
    return tfmeta.prototypical_logits(tf.cast(support, tf.float64), labels, tf.cast(query, tf.float64), n_way)


def with_option(support, labels, query, n_way, sign):
    return sign * squared(query, means(support, labels, n_way))


RIGHT = [
    ("the library", tfmeta.prototypical_logits),
    ("loops", loop),
    ("keras", with_keras),
    ("vectorized map", vectorised),
    ("einsum", by_einsum),
    ("multiplied out", expanded),
    ("a callable object", Callable()),
    ("a partial", functools.partial(with_option, sign=-1.0)),
    ("a graph", tf.function(by(minus_squared))),
    ("double precision", in_double),
    ("a list of rows", lambda *args: list(tf.unstack(loop(*args)))),
    ("(Well seen", by(linear)),
    ("(same for every class", by(lambda q, c: minus_squared(q, c) + 7.0)),
    ("(log-probabilities", by(lambda q, c: tf.nn.log_softmax(minus_squared(q, c)))),
]


@rows(RIGHT)
def test_right(words, answer):
    assert_right(checks.prototypical_logits, answer, words)


def median(s, y, n):
    def of_class(k):
        ordered = tf.sort(s[y == k], axis=0)
        return (ordered[(len(ordered) - 1) // 2] + ordered[len(ordered) // 2]) / 2

    return tf.stack([of_class(k) for k in range(n)])


def sorted_and_reshaped(s, y, n):
    return tf.reduce_mean(tf.reshape(tf.gather(s, tf.argsort(y, stable=True)), (n, -1, s.shape[-1])), axis=1)


def one_shot_for_all(s, y, n):
    return tf.math.unsorted_segment_sum(s, y, n) / (len(y) / n)


def one_count(s, y, n):  # the number of examples of class 0, for every class
    return tf.reshape(tf.stack([tf.reduce_sum(s[y == k], axis=0) / len(s[y == 0]) for k in range(n)]), (n, -1))


def rows_of_equal_length(s, y, n):
    return tf.reduce_mean(tf.stack([s[y == k] for k in range(n)]), axis=1)


def of_all_examples(s, y, q, n):
    return -tf.stack([tf.reduce_mean(squared(q, s[y == k]), axis=1) for k in range(n)], axis=1)


def in_numpy(s, y, q, n):
    s, y, q = s.numpy(), y.numpy(), q.numpy()
    c = np.stack([s[y == k].mean(axis=0) for k in range(n)])
    return -((q[:, None] - c) ** 2).sum(axis=-1)


WRONG = [
    ("minus the distance, not minus its square", by(lambda q, c: -tf.sqrt(squared(q, c)))),
    ("neither squared nor", by(lambda q, c: tf.sqrt(squared(q, c)))),
    ("the sign is missing", by(squared)),
    ("the mean over the dimensions", by(lambda q, c: -tf.reduce_mean((q[:, None] - c[None]) ** 2, -1))),
    ("half of it", by(lambda q, c: -squared(q, c) / 2)),
    ("these are probabilities", by(lambda q, c: tf.nn.softmax(-squared(q, c)))),
    ("exp(-squared distance)", by(lambda q, c: tf.exp(-squared(q, c)))),
    ("the result is transposed", by(lambda q, c: -tf.transpose(squared(q, c)))),
    ("sums of a class", by(minus_squared, tf.math.unsorted_segment_sum)),
    ("the prototypes are medians", by(minus_squared, median)),
    ("a class's first example", by(minus_squared, lambda s, y, n: tf.stack([s[y == k][0] for k in range(n)]))),
    ("a class's last example", by(minus_squared, lambda s, y, n: tf.stack([s[y == k][-1] for k in range(n)]))),
    ("the mean squared distance to a class's examples", of_all_examples),
    ("absolute differences", by(lambda q, c: -tf.reduce_sum(tf.abs(q[:, None] - c), axis=-1))),
    ("inner products", by(lambda q, c: q @ tf.transpose(c))),
    ("the bias -|c|^2 is missing", by(lambda q, c: 2 * q @ tf.transpose(c))),
    (
        "these are cosines",
        by(lambda q, c: tf.math.l2_normalize(q, axis=1) @ tf.transpose(tf.math.l2_normalize(c, axis=1))),
    ),
    (
        "labels in ascending order",
        by(minus_squared, lambda s, y, n: tf.reduce_mean(tf.reshape(s, (n, -1, s.shape[-1])), axis=1)),
    ),
    ("right only where all classes have equally", by(minus_squared, sorted_and_reshaped)),
    ("divided by one k_shot for all", by(minus_squared, one_shot_for_all)),
    ("classes have equally many examples", by(minus_squared, one_count)),
    ("Here: your function stopped with InvalidArgumentError", by(minus_squared, rows_of_equal_length)),
    ("or the query embeddings: the encoder could not learn", in_numpy),
    ("NumPy and variables cut the path", lambda *args: in_numpy(*args).tolist()),
    ("no gradient reaches the support embeddings", by(minus_squared, lambda *args: tf.stop_gradient(means(*args)))),
    ("no gradient reaches the query embeddings", by(lambda q, c: -squared(tf.stop_gradient(q), c))),
    ("a part of the way is cut", by(lambda q, c: linear(q, c) + 0 * q[:, :1] - linear(tf.stop_gradient(q), c) / 2
                                    + tf.stop_gradient(linear(q, c)) / 2)),
    ("not minus the squared distances", by(lambda q, c: -squared(q, c + tf.range(c.shape[0] * 1.0)[:, None]))),
    ("must have shape", by(lambda q, c: tf.argmax(-squared(q, c), axis=-1))),
    ("a NaN or an infinity", by(lambda q, c: tf.sqrt(-squared(q, c)))),
]  # fmt: skip


@rows(WRONG)
def test_wrong(words, answer):
    assert_wrong(checks.prototypical_logits, answer, words)


def test_a_transposed_square_matrix_is_found():
    """Four queries of four classes: here no shape gives the error away."""

    def answer(support, labels, query, n_way):
        logits = tfmeta.prototypical_logits(support, labels, query, n_way)
        return tf.transpose(logits) if logits.shape[0] == logits.shape[1] else logits

    assert "transposed" in checks.prototypical_logits(answer).message
