"""Check of tutorial 04: prototypes and distances."""

from __future__ import annotations

import numpy as np
import tensorflow as tf

from tfmeta.checks.report import Result, judge, require


def prototypical_logits(answer) -> Result:
    """Check the class scores of a prototypical network.

    Args:
        answer: `answer(support, labels, query, n_way)` with embeddings `[n_support, dim]`, integer labels
            `[n_support]` in any order, embeddings `[n_query, dim]`; returns logits `[n_query, n_way]`.

    Returns:
        A `Result`. Rejected with words of their own: unsquared distance, no minus sign, the mean over dimensions,
        probabilities, sums as prototypes, labels taken to be sorted, a transposed result.

    References:
        Snell et al. (2017), equations 1 and 2. https://arxiv.org/abs/1703.05175
    """
    return judge("prototypical_logits", answer, _examine)


def _examine(call) -> str:
    rng = np.random.default_rng(0)
    for n_way, k_shot, n_query, dim in ((3, 2, 5, 4), (4, 1, 4, 6)):
        labels = np.concatenate([rng.permutation(n_way) for _ in range(k_shot)])
        if np.array_equal(labels, np.sort(labels)):
            labels = labels[::-1].copy()
        support, query = rng.normal(size=(n_way * k_shot, dim)), rng.normal(size=(n_query, dim))
        tensors = tf.constant(support, tf.float32), tf.constant(labels, tf.int32), tf.constant(query, tf.float32)
        found = np.asarray(call(*tensors, n_way))
        squared, plain = _distances(support, labels, query, n_way)
        exact = -squared
        require(
            found.shape == exact.shape or found.shape != exact.T.shape,
            f"the result is transposed: one row per query, one column per class, {exact.shape}; an argmax over axis -1 "
            "must find a class.",
        )
        require(found.shape == exact.shape, f"the logits must have shape {exact.shape}; yours have {found.shape}.")
        if np.allclose(found, exact, rtol=1e-4, atol=1e-5):
            continue
        summed = {k: support[labels == k].sum(axis=0) for k in range(n_way)}
        as_sorted = support.reshape(n_way, k_shot, dim).mean(axis=1)
        as_sums = -np.stack([((query - summed[k]) ** 2).sum(axis=1) for k in range(n_way)], axis=1)
        unordered = -((query[:, None] - as_sorted[None]) ** 2).sum(axis=-1)
        softmax = np.exp(exact - exact.max(axis=1, keepdims=True))
        softmax /= softmax.sum(axis=1, keepdims=True)
        wrong = (
            (-plain, "this is minus the distance, not minus its square. The square makes the classifier linear in the "
                     "embedding and the class mean the best prototype (a Bregman divergence); without it neither "
                     "holds."),
            (plain, "this is the distance: neither squared nor with a minus sign. A near prototype must score high."),
            (squared, "the sign is missing: a near prototype must have a high score, so the logit is minus the squared "
                      "distance."),
            (-squared / dim, "you took the mean over the dimensions where the sum belongs: probabilities become "
                             f"flatter, as if divided by a temperature of {dim}."),
            (softmax, "these are probabilities. Return the logits; the loss takes the softmax."),
            (np.log(softmax + 1e-300), "these are log-probabilities. Return the logits; the loss takes the softmax."),
            (exact.T if exact.shape == exact.T.shape else found + 1,
             "the result is transposed: one row per query, one column per class."),
            (as_sums, "the prototypes are sums of a class's embeddings. Divide by the number of examples."),
            (unordered, "this is right only for labels in ascending order. Pick a class's embeddings by its label; "
                        "episodes are shuffled."),
        )  # fmt: skip
        for value, message in wrong:
            require(not np.allclose(found, value, rtol=1e-4, atol=1e-5), message)
        require(
            False,
            "the values are not minus the squared distances to the class means. Compute the prototypes first and "
            "compare them with `tfmeta.compute_prototypes`.",
        )
    return "minus the squared distance to each class mean, for shuffled labels, with n_query equal to n_way and not."


def _distances(support, labels, query, n_way):
    prototypes = np.stack([support[labels == k].mean(axis=0) for k in range(n_way)])
    squared = ((query[:, None] - prototypes[None]) ** 2).sum(axis=-1)
    return squared, np.sqrt(squared)
