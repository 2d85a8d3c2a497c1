"""How episodes are sampled from labelled classes.

Everything is drawn inside the TensorFlow graph from a counter and a seed (stateless random numbers), so a stream of
episodes is reproducible, needs no Python per episode and can start anywhere: `start=1000` continues a run after 1000
meta-batches with exactly the episodes that it would have seen.
"""

from __future__ import annotations

from typing import NamedTuple

import numpy as np
import tensorflow as tf

from tfmeta.core.episode import Episode
from tfmeta.core.streams import as_stream
from tfmeta.core.validation import check_flags, check_seed, check_sizes, check_steps
from tfmeta.core.words import counted
from tfmeta.datasets.classes import ImageClasses
from tfmeta.datasets.fingerprint import fingerprint
from tfmeta.machine import threads
from tfmeta.tasks.sizes import Size, checked_sizes, draw_sizes, largest


class EpisodeIds(NamedTuple):
    """Where an episode comes from, or a meta-batch of them with a leading axis `[meta_batch_size, ...]`.

    Args:
        classes: class of the data that each label of the episode stands for, int32 `[n_way]`.
        support: rows of `data.images` in the order of `support_x`, int32 `[n_way * k_shot]`.
        query: rows in the order of `query_x`, int32 `[n_way * n_query]`.

    References:
        Vinyals et al. (2016), section 3: an episode is drawn from labelled classes. https://arxiv.org/abs/1606.04080
    """

    classes: tf.Tensor
    support: tf.Tensor
    query: tf.Tensor

    def names(self, data: ImageClasses) -> list[str]:
        """What the labels of one episode are called.

        Args:
            data: the classes that the episode was drawn from.

        Returns:
            Names of labels 0, 1, ..., `[n_way]`.

        References:
            Vinyals et al. (2016), section 3. https://arxiv.org/abs/1606.04080
        """
        return [data.class_names[k] for k in np.asarray(self.classes)]


def _check_supply(data: ImageClasses, n_way: Size, k_shot: Size, n_query: Size) -> None:
    if not isinstance(data, ImageClasses):
        raise TypeError(
            "data must be an ImageClasses, such as load_omniglot().train or from_arrays(images, labels). "
            f"Received: data of type {type(data).__name__}"
        )
    if largest(n_way) > data.n_classes:
        raise ValueError(
            f"n_way must be at most the number of classes, and {data.name!r} has {data.n_classes}. "
            f"Received: n_way={n_way}"
        )
    poorest, needed = int(np.argmin(data.counts)), largest(k_shot) + largest(n_query)
    if data.counts[poorest] < needed:
        short = int(np.sum(data.counts < needed))
        left = int(data.counts[poorest]) - largest(k_shot)
        most = (
            f"n_query can be at most {left} with this k_shot"
            if left > 0
            else f"k_shot can be at most {max(1, data.counts[poorest] - 1)}, of classes with an image more"
        )
        raise ValueError(
            f"class {data.class_names[poorest]!r} has {counted(data.counts[poorest], 'image')}, but "
            f"k_shot={largest(k_shot)} + n_query={largest(n_query)} need {needed} "
            f"({short} of {data.n_classes} classes are too small); {most}. "
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

    def __init__(self, data: ImageClasses, n_way: Size, k_shot: Size, n_query: Size, seed: int):
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

    def __call__(self, counter: tf.Tensor, meta_batch_size: int) -> tuple[Episode, EpisodeIds]:
        """Draw the meta-batch with this number. Shapes in the comments: B tasks, N ways, K shots, Q queries.

        Each episode is drawn with its own number in the stream as the key, so that the hundredth episode of a seed is
        the same one in batches of any size.
        """
        sizes = draw_sizes(self.sizes, tf.random.experimental.stateless_fold_in(self.seed, counter))
        first = counter * meta_batch_size
        if meta_batch_size == 1:
            drawn = [part[None] for part in self._rows(first, sizes)]
        else:
            numbers = first + tf.range(meta_batch_size, dtype=tf.int64)
            drawn = tf.map_fn(lambda number: self._rows(number, sizes), numbers, fn_output_signature=(tf.int32,) * 5)
        classes, support, support_y, query, query_y = drawn  # [B, N], [B, N * K] twice, [B, N * Q] twice
        episode = Episode(self._pixels(support), support_y, self._pixels(query), query_y)
        return episode, EpisodeIds(classes, support, query)

    def _rows(self, number: tf.Tensor, sizes) -> tuple[tf.Tensor, ...]:
        """Classes, and rows and labels of the support and of the query set, of the episode with this number."""
        n_way, k_shot, n_query = sizes
        key = tf.random.experimental.stateless_fold_in(self.seed, number)
        for_classes, for_images, for_support, for_query = tf.unstack(tf.random.split(key, 4))

        # The k largest of n uniform numbers are k distinct items in random order.
        keys = tf.random.stateless_uniform([self.n_classes], for_classes)
        classes = tf.math.top_k(keys, n_way).indices  # [N]: position in this list is the label
        keys = tf.random.stateless_uniform([n_way, self.largest], for_images)
        exists = tf.sequence_mask(tf.gather(self.counts, classes), self.largest)  # [N, largest class]
        within = tf.math.top_k(tf.where(exists, keys, -1.0), k_shot + n_query).indices
        rows = tf.gather(self.first, classes)[:, None] + within  # [N, K + Q] rows of images

        support, support_y = _shuffled(rows[:, :k_shot], n_way, k_shot, for_support)
        query, query_y = _shuffled(rows[:, k_shot:], n_way, n_query, for_query)
        return classes, support, support_y, query, query_y

    def _pixels(self, rows: tf.Tensor) -> tf.Tensor:
        return tf.cast(tf.gather(self.images, rows), tf.float32) * (1.0 / 255.0)


def _shuffled(rows: tf.Tensor, n_way, per_class, key: tf.Tensor) -> tuple[tf.Tensor, tf.Tensor]:
    """Rows `[N, per_class]` and their labels, in an order `[N * per_class]` that says nothing about the label."""
    n = n_way * per_class
    labels = tf.repeat(tf.range(n_way, dtype=tf.int32), per_class)
    order = tf.argsort(tf.random.stateless_uniform([n], key))
    return tf.gather(tf.reshape(rows, [n]), order), tf.gather(labels, order)


def sample_episode(
    data: ImageClasses, *, n_way: Size, k_shot: Size, n_query: Size, seed: int, with_ids: bool = False
) -> Episode | tuple[Episode, EpisodeIds]:
    """Draw one episode.

    Args:
        data: the labelled classes.
        n_way: classes in the episode; or a range (lowest, highest), from which it is drawn.
        k_shot: support images per class, likewise.
        n_query: query images per class, likewise.
        seed: whole number; the same seed gives the same episode.
        with_ids: say beside the episode which classes and images it holds.

    Returns:
        An `Episode`: images float32 in [0, 1], `support_x` `[n_way * k_shot, height, width, channels]`, `query_x`
        `[n_way * n_query, ...]`, labels int32. Classes are distinct, their labels are dealt at random, no image is in
        both sets, and the order of the images is random. With ids a pair of it and its `EpisodeIds`.

    Raises:
        TypeError: if `data` is no `ImageClasses`.
        ValueError: if a size is not positive, a range is empty, `n_way` exceeds the classes, or a class has too few
            images.

    References:
        Vinyals et al. (2016), section 3; Snell et al. (2017), algorithm 1. https://arxiv.org/abs/1703.05175
    """
    sizes = checked_sizes(n_way=n_way, k_shot=k_shot, n_query=n_query)
    check_seed(seed)
    check_flags(with_ids=with_ids)
    _check_supply(data, **sizes)
    threads.prefer_tasks()
    drawn = _Sampler(data, **sizes, seed=seed)(tf.constant(0, tf.int64), 1)
    episode, ids = (type(part)(*(tensor[0] for tensor in part)) for part in drawn)
    return (episode, ids) if with_ids else episode


def episode_dataset(
    data: ImageClasses, *, n_way: Size, k_shot: Size, n_query: Size, meta_batch_size: int, seed: int, start: int = 0,
    with_ids: bool = False,
) -> tf.data.Dataset:  # fmt: skip
    """An endless `tf.data` stream of meta-batches of episodes.

    `fit(..., steps_per_epoch=n)` keeps reading on, so every epoch sees new episodes. A fixed set, to validate on the
    same episodes each time, is `episode_dataset(...).take(n)`.

    Args:
        data: the labelled classes.
        n_way: classes in an episode; or a range (lowest, highest), from which each meta-batch draws one number for all
            its episodes, every number equally likely.
        k_shot: support images per class, likewise.
        n_query: query images per class, likewise.
        meta_batch_size: episodes in a meta-batch.
        seed: whole number; the same seed gives the same episodes in the same order, whatever the size of the
            meta-batches is (where sizes are ranges, each meta-batch draws its own).
        start: number of meta-batches to pass over, without drawing them, so that a run can be resumed.
        with_ids: say beside each meta-batch which classes and images it holds.

    Returns:
        A dataset of `Episode`, each tensor with a leading axis `meta_batch_size`; otherwise as in `sample_episode`. The
        static length of an axis that varies is `None`. With ids a dataset of pairs of `Episode` and `EpisodeIds`.

    Raises:
        TypeError: if `data` is no `ImageClasses`.
        ValueError: if a size is not positive, a range is empty, `start` is negative, `n_way` exceeds the classes, or a
            class has too few images.

    References:
        Finn et al. (2017), algorithm 2, lines 3 to 8 https://arxiv.org/abs/1703.03400; Triantafillou et al. (2020),
        "Meta-Dataset", section 3.2, for episodes of varying ways and shots https://arxiv.org/abs/1903.03096
    """
    sizes = checked_sizes(n_way=n_way, k_shot=k_shot, n_query=n_query)
    check_sizes(meta_batch_size=meta_batch_size)
    check_seed(seed)
    check_steps(start=start)
    check_flags(with_ids=with_ids)
    _check_supply(data, **sizes)
    threads.prefer_tasks()
    sampler = _Sampler(data, **sizes, seed=seed)

    def draw(counter: tf.Tensor):
        episode, ids = sampler(counter, meta_batch_size)
        return (episode, ids) if with_ids else episode

    counters = tf.data.Dataset.counter(start=start, dtype=tf.int64)
    options = {**sizes, "meta_batch_size": meta_batch_size, "seed": seed, "with_ids": with_ids}
    return as_stream(
        threads.without_autotuning(counters.map(draw).prefetch(2)),
        ("episode_dataset", fingerprint(data), *options.values(), start),
        lambda n: episode_dataset(data, **options, start=start + n),
        n_way=sizes["n_way"],
    )
