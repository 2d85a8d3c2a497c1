"""The check of `prototypical_logits` rejects the unsquared distance and its relatives."""

import pytest
import tensorflow as tf

import tfmeta
from tfmeta import checks


def means(support, labels, n_way):
    return tfmeta.compute_prototypes(support, labels, n_way)


def squared(query, prototypes):
    return tf.reduce_sum((query[:, None] - prototypes[None]) ** 2, axis=-1)


def naive(support, labels, query, n_way):
    rows = []
    for q in query:
        row = []
        for k in range(n_way):
            prototype = tf.reduce_mean(support[labels == k], axis=0)
            row.append(-float(tf.reduce_sum((q - prototype) ** 2)))
        rows.append(row)
    return rows


@pytest.mark.parametrize("answer", [tfmeta.prototypical_logits, naive])
def test_right(answer):
    assert checks.prototypical_logits(answer).passed


@pytest.mark.parametrize(
    ("answer", "words"),
    [
        (lambda s, y, q, n: -tf.sqrt(squared(q, means(s, y, n))), "minus the distance, not minus its square"),
        (lambda s, y, q, n: tf.sqrt(squared(q, means(s, y, n))), "neither squared nor"),
        (lambda s, y, q, n: squared(q, means(s, y, n)), "the sign is missing"),
        (
            lambda s, y, q, n: -tf.reduce_mean((q[:, None] - means(s, y, n)[None]) ** 2, -1),
            "the mean over the dimensions",
        ),
        (lambda s, y, q, n: tf.nn.softmax(-squared(q, means(s, y, n))), "these are probabilities"),
        (lambda s, y, q, n: tf.nn.log_softmax(-squared(q, means(s, y, n))), "log-probabilities"),
        (lambda s, y, q, n: -tf.transpose(squared(q, means(s, y, n))), "the result is transposed"),
        (lambda s, y, q, n: -squared(q, tf.math.unsorted_segment_sum(s, y, n)), "sums of a class"),
        (
            lambda s, y, q, n: -squared(q, tf.reduce_mean(tf.reshape(s, (n, -1, s.shape[-1])), axis=1)),
            "labels in ascending order",
        ),
        (lambda s, y, q, n: -squared(q, means(s, y, n) + 1.0), "not minus the squared distances"),
        (lambda s, y, q, n: tf.argmax(-squared(q, means(s, y, n)), axis=-1), "must have shape"),
    ],
)
def test_wrong(answer, words):
    result = checks.prototypical_logits(answer)
    assert result.status == "not right yet"
    assert words in result.message


def test_a_transposed_square_matrix_is_found():
    """Four queries of four classes: here no shape gives the error away."""

    def answer(support, labels, query, n_way):
        logits = tfmeta.prototypical_logits(support, labels, query, n_way)
        return tf.transpose(logits) if logits.shape[0] == logits.shape[1] else logits

    assert "transposed" in checks.prototypical_logits(answer).message
