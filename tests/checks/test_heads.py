"""The check of `prototypical_head` rejects the known wrong ways."""

import pytest
import tensorflow as tf

from tfmeta import checks
from tfmeta.algorithms.proto_maml import prototypical_head


def squares(c):
    return tf.reduce_sum(c**2, axis=1)


def test_right():
    assert checks.prototypical_head(prototypical_head).passed
    assert checks.prototypical_head(lambda c: (2 * tf.transpose(c), -squares(c))).passed


@pytest.mark.parametrize(
    ("answer", "words"),
    [
        (lambda c: (tf.transpose(c), -squares(c)), "factor 2 is missing"),
        (lambda c: (tf.transpose(c), -squares(c) / 2), "half of it"),
        (lambda c: (2 * tf.transpose(c), squares(c)), "wrong sign"),
        (lambda c: (2 * tf.transpose(c), 0 * squares(c)), "bias is missing"),
        (lambda c: (2 * tf.transpose(c), -tf.sqrt(squares(c))), "squared lengths"),
        (lambda c: (2 * c, -squares(c)), "transposed"),
        (lambda c: 2 * tf.transpose(c), "return two things"),
        (lambda c: (2 * tf.transpose(c), c), "one number for each class"),
        (lambda c: (3 * tf.transpose(c), -squares(c)), "multiply out"),
    ],
)
def test_wrong(answer, words):
    found = checks.prototypical_head(answer)
    assert found.status == "not right yet"
    assert words in found.message


def test_unfilled():
    assert checks.prototypical_head(None).status == "not filled in yet"
