"""Check of tutorial 05: attention over the support set."""

from __future__ import annotations

import numpy as np
import tensorflow as tf

from tfmeta.checks.report import SECONDS, Result, judge, require
from tfmeta.checks.slopes import examine_slopes, softmax
from tfmeta.checks.values import as_array


def cosine_attention(answer, *, quiet: bool = False, seconds: float = SECONDS) -> Result:
    """Check the class probabilities of a matching network.

    Args:
        answer: `answer(support, labels, query, n_way, scale)` with embeddings `[n_support, dim]`, integer labels
            `[n_support]` in any order, embeddings `[n_query, dim]` and a number; returns probabilities
            `[n_query, n_way]`, through which a gradient reaches both embeddings.
        quiet: print nothing, for a script that grades.
        seconds: how long the answer may take before it counts as endless.

    Returns:
        A `Result`. Rejected with words of their own: inner products without normalisation, one side normalised, minus
        the cosine, distances, a softmax over the queries, a softmax twice, attention without a softmax, a mean or a
        maximum over a class's attention, a softmax over classes, a scale left out, divided by or squared, logarithms,
        cosines themselves, labels taken to be sorted, a transposed result, results through which no gradient flows.

    References:
        Vinyals et al. (2016), equation 1 and section 2.1.1. https://arxiv.org/abs/1606.04080
    """
    return judge("cosine_attention", answer, _examine, quiet=quiet, seconds=seconds)


def _examine(call) -> str:
    rng = np.random.default_rng(0)
    # Classes of different size, so that sums and means of attention differ; as many queries as classes, and not.
    for labels, n_query, scale in (([1, 0, 2, 1, 1, 0], 5, 4.0), ([2, 0, 1, 0], 3, 10.0)):
        labels, n_way = np.array(labels), 3
        support, query = rng.normal(size=(len(labels), 4)), rng.normal(size=(n_query, 4))
        inputs = tf.constant(support, tf.float32), tf.constant(query, tf.float32)
        with tf.GradientTape(persistent=True) as tape:
            tape.watch(inputs)
            given = call(inputs[0], tf.constant(labels, tf.int32), inputs[1], n_way, scale)
            _examine_values(as_array(given), support, labels, query, n_way, scale)
            unit = [tf.math.l2_normalize(x, axis=-1) for x in inputs]
            attention = tf.nn.softmax(scale * tf.matmul(unit[1], unit[0], transpose_b=True))
            right = tf.reduce_sum(tf.matmul(attention, tf.one_hot(labels, n_way))[:, 0])
            loss = tf.reduce_sum(tf.cast(tf.convert_to_tensor(given), tf.float32)[:, 0])
        names = ("support embeddings", "query embeddings")
        examine_slopes(tape.gradient(loss, inputs), tape.gradient(right, inputs), names, "the encoder")
    return (
        "softmax of scaled cosines over the support items, summed by label, for classes of unequal size; gradients "
        "reach support and query."
    )


def _examine_values(found, support, labels, query, n_way: int, scale: float) -> None:
    members = np.eye(n_way)[labels]
    products = query @ support.T
    of_query, of_support = np.linalg.norm(query, axis=1)[:, None], np.linalg.norm(support, axis=1)
    cosines = products / of_query / of_support
    attention = softmax(scale * cosines)
    exact = attention @ members
    require(
        found.shape == exact.shape or found.shape != exact.T.shape,
        f"the result is transposed: one row per query, one column per class, {exact.shape}.",
    )
    require(
        found.shape != attention.shape or found.shape == exact.shape,
        "this has one column per support item: it is the attention itself, or the cosines. Add up the attention of a "
        "class's items, for example by a product with the labels' one-hot matrix.",
    )
    require(found.shape == exact.shape, f"probabilities must have shape {exact.shape}; yours have {found.shape}.")

    def close(value):
        return np.allclose(found, value, rtol=1e-3, atol=1e-5)

    if close(exact):
        return
    largest = np.stack([attention[:, labels == k].max(axis=1) for k in range(n_way)], axis=1)
    distances = np.linalg.norm(query[:, None] - support, axis=-1)
    means = attention @ members / members.sum(axis=0)
    one_side = "the {} is normalised and the {} is not. A cosine divides by the length of *both* vectors."
    wrong = (
        (softmax(scale * products) @ members,
         "these are inner products. A cosine divides by the length of both vectors; a long embedding must not win "
         "by its length."),
        (softmax(scale * products / of_query) @ members, one_side.format("query", "support set")),
        (softmax(scale * products / of_support) @ members, one_side.format("support set", "query")),
        (softmax(-scale * cosines) @ members,
         "the sign is wrong: the *least* similar support item gets the most attention. A cosine is a similarity, so "
         "neither minus it nor the distance 1 - cosine. (keras.losses.cosine_similarity returns minus the cosine.)"),
        (softmax(-scale * distances) @ members, "these are Euclidean distances. Equation 1 has the cosine."),
        (softmax(-scale * distances**2) @ members, "these are squared distances. Equation 1 has the cosine."),
        (softmax(scale * cosines, axis=0) @ members,
         "the softmax runs over the queries. Each query divides *its* attention among the support items, axis -1."),
        (softmax(exact),
         "the softmax was taken twice: attention adds up to 1 already, so the sums by label are the probabilities."),
        (softmax(attention) @ members,
         "the softmax was taken twice over the support items. Once is what makes attention add up to 1."),
        (means, "you took the mean of a class's attention where the sum belongs: rows then do not add up to 1."),
        (means / means.sum(axis=1, keepdims=True),
         "you took the mean of a class's attention where the sum belongs. Making rows add up to 1 does not mend it."),
        (largest, "you took the largest attention of a class where the sum belongs."),
        (softmax(scale * cosines @ members),
         "the softmax runs over classes. Attention is a softmax over the support *items*; only then are those of a "
         "class added up."),
        (softmax(scale * cosines @ members / members.sum(axis=0)),
         "the softmax runs over classes, of mean cosines. Attention is a softmax over the support *items*; only then "
         "are those of a class added up."),
        (scale * cosines @ members, "these are sums of cosines: the softmax over the support items is missing."),
        (cosines @ members, "these are sums of cosines: the softmax over the support items is missing."),
        (softmax(cosines) @ members, "the scale is missing: attention is softmax(scale * cosine)."),
        (scale * softmax(cosines) @ members, "the scale belongs inside the softmax: softmax(scale * cosine)."),
        (softmax(cosines / scale) @ members,
         "you divided by the scale. A large scale makes attention sharp; a temperature would be its inverse."),
        (softmax(scale**2 * cosines) @ members, "the scale was multiplied in twice, once for each side."),
        (np.log(exact + 1e-30), "these are log-probabilities. Return the probabilities."),
        (exact.T if exact.shape == exact.T.shape else found + 1,
         "the result is transposed: one row per query, one column per class."),
        (attention @ np.eye(n_way)[np.sort(labels)],
         "this is right only for labels in ascending order. Pick a class's items by their label."),
    )  # fmt: skip
    for value, message in wrong:
        require(not close(value), message)
    require(
        False,
        "the values are not the summed attention of each class. Compare the cosines first, then the softmax over "
        "support items, then the sum by label.",
    )
