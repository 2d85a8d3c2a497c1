"""The check of `prototypical_head` rejects the known wrong ways."""

import functools

import keras
import numpy as np
import tensorflow as tf

from tests.checks.table import assert_right, assert_wrong, rows
from tfmeta import checks
from tfmeta.algorithms.proto_maml import prototypical_head


def squares(c):
    return tf.reduce_sum(c**2, axis=1)


def head(kernel=lambda c: 2 * tf.transpose(c), bias=lambda c: -squares(c)):
    return lambda c: (kernel(c), bias(c))


def scaled(c, factor):
    return factor * tf.transpose(c), -squares(c)


def row_by_row(c):
    return tf.stack([2 * row for row in c], axis=1), tf.stack([-tf.tensordot(row, row, 1) for row in c])


class Callable:
    def __call__(self, c):
        return keras.ops.transpose(2 * c), -keras.ops.sum(keras.ops.square(c), axis=-1)


RIGHT = [
    ("as on the page", head()),
    ("the library", prototypical_head),
    ("a list", lambda c: list(head()(c))),
    ("row by row", row_by_row),
    ("keras", Callable()),
    ("einsum", lambda c: (tf.einsum("kd->dk", 2 * c), -tf.einsum("kd,kd->k", c, c))),
    ("a partial", functools.partial(scaled, factor=2)),
    ("a graph", tf.function(head())),
    ("double precision", lambda c: head()(tf.cast(c, tf.float64))),
    ("by the norm", head(bias=lambda c: -(tf.norm(c, axis=1) ** 2))),
    ("a row for the bias", head(bias=lambda c: -squares(c)[None])),
    ("(adds the same to every class", head(bias=lambda c: 3.0 - squares(c))),
    ("(which the softmax does not see", head(bias=lambda c: tf.reduce_mean(squares(c)) - squares(c))),
    ("(same to every class", head(kernel=lambda c: 2 * tf.transpose(c - tf.reduce_mean(c, axis=0)))),
]


@rows(RIGHT)
def test_right(words, answer):
    assert_right(checks.prototypical_head, answer, words)


def stopped(c):
    return head()(tf.stop_gradient(c))


def half_stopped(c):
    return head()(c)[0], head()(tf.stop_gradient(c))[1]


WRONG = [
    ("factor 2 is missing", head(kernel=tf.transpose)),
    ("half of it", head(tf.transpose, lambda c: -squares(c) / 2)),
    ("wrong sign", head(bias=squares)),
    ("lacks its factor 2", head(tf.transpose, squares)),
    ("the bias is missing: without", head(bias=lambda c: 0 * squares(c))),
    ("these are the prototypes themselves", head(tf.transpose, lambda c: 0 * squares(c))),
    ("squared lengths", head(bias=lambda c: -tf.sqrt(squares(c)))),
    ("the mean of squares", head(bias=lambda c: -tf.reduce_mean(c**2, axis=1))),
    ("belongs to the kernel alone", head(bias=lambda c: -2 * squares(c))),
    ("the bias was halved", head(bias=lambda c: -squares(c) / 2)),
    ("the farthest prototype wins", head(lambda c: -2 * tf.transpose(c), squares)),
    ("the kernel has the wrong sign", head(kernel=lambda c: -2 * tf.transpose(c))),
    ("the prototypes were normalised", lambda c: head()(tf.math.l2_normalize(c, axis=1))),
    ("the kernel's prototypes were normalised", head(lambda c: 2 * tf.transpose(tf.math.l2_normalize(c, axis=1)))),
    ("transposed", head(kernel=lambda c: 2 * c)),
    ("the kernel must have shape", head(kernel=lambda c: 2 * tf.transpose(c)[:2])),
    ("exchanged", lambda c: head()(c)[::-1]),
    ("return two things", lambda c: 2 * tf.transpose(c)[:3]),
    ("return two things: the kernel", lambda c: {"kernel": 1, "bias": 2}),
    ("one number for each class", head(bias=lambda c: c)),
    ("multiply out", lambda c: scaled(c, 3)),
    ("a NaN or an infinity", head(bias=lambda c: tf.math.log(-squares(c)))),
    ("could not learn", stopped),
    ("no gradient reaches the prototypes", lambda c: [part.numpy() for part in head()(c)]),
    ("Proto-MAML's outer loop learns through this start", lambda c: (2 * c.numpy().T, -np.sum(c.numpy() ** 2, axis=1))),
    ("a part of the way is cut", half_stopped),
]


@rows(WRONG)
def test_wrong(words, answer):
    assert_wrong(checks.prototypical_head, answer, words)


def test_a_transposed_square_kernel_is_found():
    """Four prototypes of four dimensions: here no shape gives the error away."""

    def answer(c):
        kernel, bias = prototypical_head(c)
        return (tf.transpose(kernel), bias) if c.shape[0] == c.shape[1] else (kernel, bias)

    assert "transposed" in checks.prototypical_head(answer).message


def test_unfilled():
    assert checks.prototypical_head(lambda c: (..., ...)).status == "not filled in yet"
