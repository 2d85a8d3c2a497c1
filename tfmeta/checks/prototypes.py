"""Check of tutorial 04: prototypes and distances."""

from __future__ import annotations

import numpy as np
import tensorflow as tf

from tfmeta.checks.report import SECONDS, Result, WrongAnswerError, judge, require
from tfmeta.checks.slopes import examine_slopes, softmax
from tfmeta.checks.values import as_array, constant_by_row

SORTED_SIZES = (
    "this is right only where all classes have equally many examples (sorted by label and reshaped, or divided by one "
    "k_shot for all). Nothing promises that: pick a class's embeddings by its label, and divide by their number."
)


def prototypical_logits(answer, *, quiet: bool = False, seconds: float = SECONDS) -> Result:
    """Check the class scores of a prototypical network.

    Args:
        answer: `answer(support, labels, query, n_way)` with embeddings `[n_support, dim]`, integer labels
            `[n_support]` in any order, embeddings `[n_query, dim]`; returns logits `[n_query, n_way]`, through which a
            gradient reaches both embeddings. What is the same for every class of a query may differ: equation 8's
            linear layer and log-probabilities are right, too.
        quiet: print nothing, for a script that grades.
        seconds: how long the answer may take before it counts as endless.

    Returns:
        A `Result`. Rejected with words of their own: unsquared distance, no minus sign, the mean over dimensions,
        half of it, absolute differences, inner products, cosines, probabilities, kernels, sums and medians as
        prototypes, the mean distance to examples, labels taken to be sorted, classes taken to be of equal size, a
        transposed result, results through which no gradient flows to support or query.

    References:
        Snell et al. (2017), equations 1, 2 and 8. https://arxiv.org/abs/1703.05175
    """
    return judge("prototypical_logits", answer, _examine, quiet=quiet, seconds=seconds)


# Classes of equal size with three examples, where median and mean differ; one example each, with as many queries as
# classes, where no shape tells a transposed result; and classes of unequal size, which no reshape can sort out.
CASES = (([1, 0, 2, 2, 0, 1, 0, 2, 1], 3, 5, 4), ([2, 0, 3, 1], 4, 4, 6), ([1, 2, 1, 0, 1, 2], 3, 5, 4))


def _examine(call) -> str:
    rng = np.random.default_rng(0)
    praise = ""
    for labels, n_way, n_query, dim in CASES:
        labels = np.array(labels)
        support, query = rng.normal(size=(len(labels), dim)), rng.normal(size=(n_query, dim))
        unequal = len(set(np.bincount(labels))) > 1
        try:
            praise = _one_case(call, support, labels, query, n_way)
        except WrongAnswerError as wrong:
            message = str(wrong)
            require(not unequal or message.startswith(SORTED_SIZES[:30]), f"{SORTED_SIZES} (Here: {message})")
            raise
    return (
        "minus the squared distance to each class mean, for shuffled labels and unequal classes, with n_query equal to "
        f"n_way and not; gradients reach support and query.{praise}"
    )


def _one_case(call, support, labels, query, n_way: int) -> str:
    tensors = tf.constant(support, tf.float32), tf.constant(query, tf.float32)
    with tf.GradientTape(persistent=True) as tape:
        tape.watch(tensors)
        given = call(tensors[0], tf.constant(labels, tf.int32), tensors[1], n_way)
        found = as_array(given)
        squared, _ = _distances(support, labels, query, n_way)
        exact = -squared
        require(
            found.shape == exact.shape or found.shape != exact.T.shape,
            f"the result is transposed: one row per query, one column per class, {exact.shape}; an argmax over axis -1 "
            "must find a class.",
        )
        require(found.shape == exact.shape, f"the logits must have shape {exact.shape}; yours have {found.shape}.")
        if not constant_by_row(found - exact, np.abs(exact).max()):
            _refuse(found, support, labels, query, n_way)
        # The cross-entropy does not see what all classes share, and neither does its gradient.
        loss = -tf.reduce_mean(tf.nn.log_softmax(tf.cast(tf.convert_to_tensor(given), tf.float32))[:, 0])
        members = tf.one_hot(labels, n_way)
        means = tf.matmul(members, tensors[0], transpose_a=True) / tf.reduce_sum(members, axis=0)[:, None]
        logits = -tf.reduce_sum((tensors[1][:, None] - means) ** 2, axis=-1)
        right = -tf.reduce_mean(tf.nn.log_softmax(logits)[:, 0])
    names = ("support embeddings", "query embeddings")
    examine_slopes(tape.gradient(loss, tensors), tape.gradient(right, tensors), names, "the encoder")
    if np.allclose(found, exact, rtol=1e-3, atol=1e-4):
        return ""
    if np.allclose(np.exp(found).sum(axis=1), 1, atol=1e-3):
        return " (These are log-probabilities: as logits they serve as well, for the loss's softmax gives them back.)"
    return (
        " (Yours differ from equation 2 by a number for each query that is the same for every class, as in equation "
        "8's "
        "linear layer, which leaves out the square of the query. The softmax does not see it. Well seen.)"
    )


def _refuse(found, support, labels, query, n_way: int) -> None:
    """Stop with the words of the known wrong answer, or of the unknown one."""
    squared, plain = _distances(support, labels, query, n_way)
    exact, dim = -squared, support.shape[1]
    members = [support[labels == k] for k in range(n_way)]
    means = np.stack([rows.mean(axis=0) for rows in members])

    def to(prototypes):
        return -((query[:, None] - np.asarray(prototypes)[None]) ** 2).sum(axis=-1)

    p = softmax(exact)
    by_example = np.stack([((query[:, None] - rows) ** 2).sum(axis=-1).mean(axis=1) for rows in members], axis=1)
    sums = np.stack([rows.sum(axis=0) for rows in members])
    products = query @ means.T
    lengths = np.linalg.norm(query, axis=1)[:, None] * np.linalg.norm(means, axis=1)
    in_blocks = support.reshape(n_way, -1, dim).mean(axis=1)
    by_size = support[np.argsort(labels, kind="stable")].reshape(n_way, -1, dim).mean(axis=1)
    k_shot = len(labels) / n_way
    wrong = (
        (-plain, "this is minus the distance, not minus its square. The square makes the logits linear in the "
                 "embedding and the class mean the best prototype (a Bregman divergence); without it neither holds."),
        (plain, "this is the distance: neither squared nor with a minus sign. A near prototype must score high."),
        (squared, "the sign is missing: a near prototype must have a high score, so the logit is minus the squared "
                  "distance."),
        (-squared / dim, "you took the mean over the dimensions where the sum belongs: probabilities become "
                         f"flatter, as if divided by a temperature of {dim}."),
        (-squared / 2, "this is half of it. The same class wins, but probabilities and gradients are those of twice "
                       "the temperature; equation 2 has no factor 1/2."),
        (p, "these are probabilities. Return the logits; the loss takes the softmax."),
        (np.exp(exact), "these are exp(-squared distance). Return the logits; the loss takes the exponential."),
        (exact.T if exact.shape == exact.T.shape else found + np.arange(n_way),
         "the result is transposed: one row per query, one column per class."),
        (to(sums), "the prototypes are sums of a class's embeddings. Divide by the number of examples."),
        (to([np.median(rows, axis=0) for rows in members]),
         "the prototypes are medians. The squared distance belongs to the mean: it is the point with the least sum of "
         "squared distances to a class's examples."),
        (to([rows[0] for rows in members]), "the prototype is a class's first example. Take the mean of all of them."),
        (to([rows[-1] for rows in members]), "the prototype is a class's last example. Take the mean of all of them."),
        (-by_example, "this is the mean squared distance to a class's examples. It is larger than the distance to "
                      "their mean by the class's spread; average first, then take the distance."),
        (-np.abs(query[:, None] - means).sum(axis=-1), "these are absolute differences. Square them."),
        (products, "these are inner products with the prototypes. Equation 8 has twice that, minus the prototype's "
                   "squared length: without it a long prototype wins."),
        (2 * products, "the bias -|c|^2 is missing: 2 x c alone lets a long prototype win."),
        (products / lengths, "these are cosines. A prototypical network takes the squared Euclidean distance."),
        (to(in_blocks), "this is right only for labels in ascending order. Pick a class's embeddings by its label; "
                        "episodes are shuffled."),
        (to(by_size), SORTED_SIZES),
        (to(sums / k_shot), SORTED_SIZES),
    )  # fmt: skip
    for value, message in wrong:
        require(not constant_by_row(found - value, np.abs(value).max()), message)
    require(
        False,
        "the values are not minus the squared distances to the class means. Compute the prototypes first and compare "
        "them with `tfmeta.compute_prototypes`.",
    )


def _distances(support, labels, query, n_way):
    prototypes = np.stack([support[labels == k].mean(axis=0) for k in range(n_way)])
    squared = ((query[:, None] - prototypes[None]) ** 2).sum(axis=-1)
    return squared, np.sqrt(squared)
