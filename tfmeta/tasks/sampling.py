"""How episodes are sampled from labelled classes.

Everything is drawn inside the TensorFlow graph from a counter and a seed (stateless random numbers), so a stream of
episodes is reproducible, needs no Python per episode and can start anywhere: `start=1000` continues a run after 1000
meta-batches with exactly the episodes that it would have seen.
"""

from __future__ import annotations

import numpy as np
import tensorflow as tf

from tfmeta.core.episode import Episode
from tfmeta.core.streams import as_stream
from tfmeta.core.validation import check_seed, check_sizes
from tfmeta.datasets.classes import ImageClasses
from tfmeta.datasets.fingerprint import fingerprint
from tfmeta.machine import threads


def _check_supply(data: ImageClasses, n_way: int, k_shot: int, n_query: int) -> None:
    if not isinstance(data, ImageClasses):
        raise TypeError(
            "data must be an ImageClasses, such as load_omniglot().train or from_arrays(images, labels). "
            f"Received: data of type {type(data).__name__}"
        )
    if n_way > data.n_classes:
        raise ValueError(
            f"n_way must be at most the number of classes, and {data.name!r} has {data.n_classes}. "
            f"Received: n_way={n_way}"
        )
    poorest = int(np.argmin(data.counts))
    if data.counts[poorest] < k_shot + n_query:
        short = int(np.sum(data.counts < k_shot + n_query))
        raise ValueError(
            f"class {data.class_names[poorest]!r} has {data.counts[poorest]} images, but k_shot={k_shot} + "
            f"n_query={n_query} need {k_shot + n_query} ({short} of {data.n_classes} classes are too small). "
            f"Received: k_shot={k_shot}, n_query={n_query}"
        )


def queries_left(data: ImageClasses, k_shot: int, at_most: int = 15) -> int:
    """Count the queries that the smallest class leaves beside its support images.

    Args:
        data: the classes.
        k_shot: support images per class.
        at_most: the number that is wanted; the papers judge with 15.

    Returns:
        Queries per class, at least 1: where there is not even one, `episode_dataset` says which class is too small.
    """
    return max(1, min(at_most, int(data.counts.min()) - k_shot))


class _Sampler:
    """Draws meta-batches of episodes from arrays that stay on the CPU."""

    def __init__(self, data: ImageClasses, n_way: int, k_shot: int, n_query: int, seed: int):
        self.sizes = (n_way, k_shot, n_query)
        self.n_classes = data.n_classes
        counts = data.counts
        with tf.device("CPU:0"):
            self.images = tf.constant(data.images)
            self.counts = tf.constant(counts, tf.int32)
            self.first = tf.constant(np.cumsum(counts) - counts, tf.int32)
            # Both halves of a 64-bit seed matter, and the counter is folded in per meta-batch.
            self.seed = tf.constant([seed % 2**31, seed // 2**31], tf.int64)
        self.largest = int(counts.max())

    def __call__(self, counter: tf.Tensor, meta_batch_size: int) -> Episode:
        """Draw the meta-batch with this number. Shapes in the comments: B tasks, N ways, K shots, Q queries."""
        n_way, k_shot, n_query = self.sizes
        key = tf.random.experimental.stateless_fold_in(self.seed, counter)
        for_classes, for_images, for_support, for_query = tf.unstack(tf.random.split(key, 4))

        # The k largest of n uniform numbers are k distinct items in random order.
        keys = tf.random.stateless_uniform([meta_batch_size, self.n_classes], for_classes)
        classes = tf.math.top_k(keys, n_way).indices  # [B, N]: position in this list is the label
        keys = tf.random.stateless_uniform([meta_batch_size, n_way, self.largest], for_images)
        exists = tf.sequence_mask(tf.gather(self.counts, classes), self.largest)  # [B, N, largest class]
        within = tf.math.top_k(tf.where(exists, keys, -1.0), k_shot + n_query).indices
        rows = tf.gather(self.first, classes)[..., None] + within  # [B, N, K + Q] rows of images

        support_x, support_y = self._shuffled(rows[..., :k_shot], for_support)
        query_x, query_y = self._shuffled(rows[..., k_shot:], for_query)
        return Episode(support_x, support_y, query_x, query_y)

    def _shuffled(self, rows: tf.Tensor, key: tf.Tensor) -> tuple[tf.Tensor, tf.Tensor]:
        """Images and labels of `rows` `[B, N, per_class]` in an order that says nothing about the label."""
        batch, n_way, per_class = rows.shape
        labels = tf.repeat(tf.range(n_way, dtype=tf.int32), per_class)
        order = tf.argsort(tf.random.stateless_uniform([batch, n_way * per_class], key), axis=1)
        rows = tf.gather(tf.reshape(rows, [batch, n_way * per_class]), order, batch_dims=1)
        images = tf.cast(tf.gather(self.images, rows), tf.float32) * (1.0 / 255.0)
        return images, tf.gather(labels, order)


def sample_episode(data: ImageClasses, *, n_way: int, k_shot: int, n_query: int, seed: int) -> Episode:
    """Draw one episode.

    Args:
        data: the labelled classes.
        n_way: classes in the episode.
        k_shot: support images per class.
        n_query: query images per class.
        seed: whole number; the same seed gives the same episode.

    Returns:
        An `Episode`: images float32 in [0, 1], `support_x` `[n_way * k_shot, height, width, channels]`, `query_x`
        `[n_way * n_query, ...]`, labels int32. Classes are distinct, their labels are dealt at random, no image is in
        both sets, and the order of the images is random.

    Raises:
        ValueError: if a size is not positive, `n_way` exceeds the classes, or a class has too few images.

    References:
        Vinyals et al. (2016), section 3; Snell et al. (2017), algorithm 1. https://arxiv.org/abs/1703.05175
    """
    check_sizes(n_way=n_way, k_shot=k_shot, n_query=n_query)
    check_seed(seed)
    _check_supply(data, n_way, k_shot, n_query)
    threads.prefer_tasks()
    sampler = _Sampler(data, n_way, k_shot, n_query, seed)
    return Episode(*(tensor[0] for tensor in sampler(tf.constant(0, tf.int64), 1)))


def episode_dataset(
    data: ImageClasses, *, n_way: int, k_shot: int, n_query: int, meta_batch_size: int, seed: int, start: int = 0
) -> tf.data.Dataset:
    """An endless `tf.data` stream of meta-batches of episodes.

    `fit(..., steps_per_epoch=n)` keeps reading on, so every epoch sees new episodes. A fixed set, to validate on the
    same episodes each time, is `episode_dataset(...).take(n)`.

    Args:
        data: the labelled classes.
        n_way: classes in an episode.
        k_shot: support images per class.
        n_query: query images per class.
        meta_batch_size: episodes in a meta-batch.
        seed: whole number; the same seed gives the same stream.
        start: number of meta-batches to pass over, without drawing them, so that a run can be resumed.

    Returns:
        A dataset of `Episode`, each tensor with a leading axis `meta_batch_size`; otherwise as in `sample_episode`.

    Raises:
        ValueError: if a size is not positive, `start` is negative, `n_way` exceeds the classes, or a class has too few
            images.

    References:
        Finn et al. (2017), algorithm 2, lines 3 to 8. https://arxiv.org/abs/1703.03400
    """
    check_sizes(n_way=n_way, k_shot=k_shot, n_query=n_query, meta_batch_size=meta_batch_size)
    check_seed(seed)
    if not isinstance(start, int | np.integer) or start < 0:
        raise ValueError(f"start must be a whole number of at least 0. Received: start={start!r}")
    _check_supply(data, n_way, k_shot, n_query)
    threads.prefer_tasks()
    sampler = _Sampler(data, n_way, k_shot, n_query, seed)
    counters = tf.data.Dataset.counter(start=start, dtype=tf.int64)
    dataset = threads.without_autotuning(counters.map(lambda counter: sampler(counter, meta_batch_size)).prefetch(2))
    sizes = {"n_way": n_way, "k_shot": k_shot, "n_query": n_query, "meta_batch_size": meta_batch_size, "seed": seed}
    return as_stream(
        dataset,
        ("episode_dataset", fingerprint(data), *sizes.values(), start),
        lambda n: episode_dataset(data, **sizes, start=start + n),
    )
