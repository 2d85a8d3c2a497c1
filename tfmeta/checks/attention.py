"""Check of tutorial 05: attention over the support set."""

from __future__ import annotations

import numpy as np
import tensorflow as tf

from tfmeta.checks.report import Result, judge, require


def cosine_attention(answer) -> Result:
    """Check the class probabilities of a matching network.

    Args:
        answer: `answer(support, labels, query, n_way, scale)` with embeddings `[n_support, dim]`, integer labels
            `[n_support]` in any order, embeddings `[n_query, dim]` and a number; returns probabilities
            `[n_query, n_way]`.

    Returns:
        A `Result`. Rejected with words of their own: inner products without normalisation, a softmax over the queries,
        a mean over a class's attention, a softmax over classes, a scale left out, logarithms, labels taken to be
        sorted, a transposed result.

    References:
        Vinyals et al. (2016), equation 1 and section 2.1.1. https://arxiv.org/abs/1606.04080
    """
    return judge("cosine_attention", answer, _examine)


def _softmax(x, axis):
    e = np.exp(x - x.max(axis=axis, keepdims=True))
    return e / e.sum(axis=axis, keepdims=True)


def _examine(call) -> str:
    rng = np.random.default_rng(0)
    # Classes of different size, so that sums and means of attention differ; as many queries as classes, and not.
    for labels, n_query, scale in (([1, 0, 2, 1, 1, 0], 5, 4.0), ([2, 0, 1, 0], 3, 10.0)):
        labels, n_way = np.array(labels), 3
        support, query = rng.normal(size=(len(labels), 4)), rng.normal(size=(n_query, 4))
        tensors = tf.constant(support, tf.float32), tf.constant(labels, tf.int32), tf.constant(query, tf.float32)
        found = np.asarray(call(*tensors, n_way, scale))
        members = np.eye(n_way)[labels]
        products = query @ support.T
        cosines = products / np.linalg.norm(query, axis=1)[:, None] / np.linalg.norm(support, axis=1)
        attention = _softmax(scale * cosines, axis=1)
        exact = attention @ members
        require(
            found.shape == exact.shape or found.shape != exact.T.shape,
            f"the result is transposed: one row per query, one column per class, {exact.shape}.",
        )
        require(found.shape == exact.shape, f"probabilities must have shape {exact.shape}; yours have {found.shape}.")
        if np.allclose(found, exact, rtol=1e-3, atol=1e-5):
            continue
        means = attention @ members / members.sum(axis=0)
        wrong = (
            (_softmax(scale * products, axis=1) @ members,
             "these are inner products. A cosine divides by the length of both vectors; a long embedding must not win "
             "by its length."),
            (_softmax(scale * cosines, axis=0) @ members,
             "the softmax runs over the queries. Each query divides *its* attention among the support items, axis -1."),
            (means, "you took the mean of a class's attention where the sum belongs: rows then do not add up to 1."),
            (_softmax(scale * cosines @ members, axis=1),
             "the softmax runs over classes. Attention is a softmax over the support *items*; only then are those of a "
             "class added up."),
            (_softmax(cosines, axis=1) @ members, "the scale is missing: attention is softmax(scale * cosine)."),
            (_softmax(cosines / scale, axis=1) @ members,
             "you divided by the scale. A large scale makes attention sharp; a temperature would be its inverse."),
            (np.log(exact + 1e-30), "these are log-probabilities. Return the probabilities."),
            (exact.T if exact.shape == exact.T.shape else found + 1,
             "the result is transposed: one row per query, one column per class."),
            (attention @ np.eye(n_way)[np.sort(labels)],
             "this is right only for labels in ascending order. Pick a class's items by their label."),
        )  # fmt: skip
        for value, message in wrong:
            require(not np.allclose(found, value, rtol=1e-3, atol=1e-5), message)
        require(
            False,
            "the values are not the summed attention of each class. Compare the cosines first, then the softmax over "
            "support items, then the sum by label.",
        )
    return "softmax of scaled cosines over the support items, summed by label, for classes of unequal size."
