"""How near embeddings are to each other."""

from __future__ import annotations

import tensorflow as tf

from tfmeta.core.tensor_checks import check_rows

DISTANCES = ("cosine", "euclidean")


def check_distance(distance: str) -> None:
    """Refuse an unknown distance.

    Raises:
        ValueError: naming the distances there are.
    """
    if distance not in DISTANCES:
        raise ValueError(f"distance must be 'cosine' or 'euclidean'. Received: distance={distance!r}")


def squared_euclidean(a: tf.Tensor, b: tf.Tensor) -> tf.Tensor:
    """Squared distances between all rows of two matrices.

    Args:
        a: `[n, dim]`.
        b: `[m, dim]`.

    Returns:
        `[n, m]`, at least 0. Exact to rounding where rows are as far from the mean of `b` as from each other.

    References:
        Snell et al. (2017), section 2.3: a Bregman divergence, for which the class mean is the best prototype.
        https://arxiv.org/abs/1703.05175
    """
    a, b = check_rows(a=a, b=b)
    # Distances do not change when all rows move. Far from the origin the squares would be large, and what is left of
    # their difference in float32 mostly rounding: 8 on a distance of 12 near 1000.
    middle = tf.stop_gradient(tf.reduce_mean(b, axis=0))
    a, b = a - middle, b - middle
    squares = tf.reduce_sum(a**2, axis=1)[:, None] + tf.reduce_sum(b**2, axis=1)[None, :]
    # Rounding can leave a small negative number where a row meets itself.
    return tf.maximum(squares - 2.0 * tf.matmul(a, b, transpose_b=True), 0.0)


def cosine_similarity(a: tf.Tensor, b: tf.Tensor) -> tf.Tensor:
    """Cosines of the angles between all rows of two matrices.

    Args:
        a: `[n, dim]`.
        b: `[m, dim]`.

    Returns:
        `[n, m]` from -1 to 1; 0 where a row is zero.

    References:
        Vinyals et al. (2016), section 2.1.1, c(., .). https://arxiv.org/abs/1606.04080
    """
    return tf.matmul(tf.math.l2_normalize(a, axis=-1), tf.math.l2_normalize(b, axis=-1), transpose_b=True)


def similarity(query: tf.Tensor, support: tf.Tensor, distance: str) -> tf.Tensor:
    """How near every query is to every support item.

    Args:
        query: embeddings `[n_query, dim]`.
        support: embeddings `[n_support, dim]`.
        distance: `"cosine"` or `"euclidean"`.

    Returns:
        `[n_query, n_support]`: the cosine, or minus the squared Euclidean distance.

    References:
        Vinyals et al. (2016), section 2.1.1. https://arxiv.org/abs/1606.04080
    """
    return cosine_similarity(query, support) if distance == "cosine" else -squared_euclidean(query, support)
