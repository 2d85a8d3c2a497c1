"""Batches of labelled images of all classes: what an ordinary classifier is trained on."""

from __future__ import annotations

import numpy as np
import tensorflow as tf

from tfmeta.core.streams import as_stream
from tfmeta.core.validation import check_seed, check_sizes
from tfmeta.datasets.classes import ImageClasses
from tfmeta.datasets.fingerprint import fingerprint
from tfmeta.machine import threads


def labelled_batches(data: ImageClasses, *, batch_size: int, seed: int, start: int = 0) -> tf.data.Dataset:
    """An endless `tf.data` stream of batches for ordinary classification.

    Args:
        data: the labelled classes.
        batch_size: images in a batch, at most as many as there are.
        seed: whole number; the same seed gives the same stream.
        start: number of batches to pass over, without drawing them, so that a run can be resumed.

    Returns:
        A dataset of pairs: images float32 `[batch_size, height, width, channels]` in [0, 1] and labels int32
        `[batch_size]` from 0 to `data.n_classes - 1`. Every image comes once before any comes again, in an order that
        is new for each pass.

    Raises:
        TypeError: if `data` is no `ImageClasses`.
        ValueError: if a size is not positive, `start` is negative, or there are fewer than `batch_size` images.

    References:
        Chen et al. (2019), "A Closer Look at Few-shot Classification", section 3, training stage.
        https://arxiv.org/abs/1904.04232
    """
    if not isinstance(data, ImageClasses):
        raise TypeError(
            "data must be an ImageClasses, such as load_omniglot().train or from_arrays(images, labels). "
            f"Received: data of type {type(data).__name__}"
        )
    check_sizes(batch_size=batch_size)
    check_seed(seed)
    if isinstance(start, bool) or not isinstance(start, int | np.integer) or start < 0:
        raise ValueError(f"start must be a whole number of at least 0. Received: start={start!r}")
    n = len(data.images)
    if batch_size > n:
        raise ValueError(
            f"batch_size must be at most the number of images, and {data.name!r} has {n}. "
            f"Received: batch_size={batch_size}"
        )
    threads.prefer_tasks()
    with tf.device("CPU:0"):
        images, labels = tf.constant(data.images), tf.constant(data.labels, tf.int32)
        key = tf.constant([seed % 2**31, seed // 2**31], tf.int64)

    def draw(counter: tf.Tensor) -> tuple[tf.Tensor, tf.Tensor]:
        places = counter * batch_size + tf.range(batch_size, dtype=tf.int64)
        first_pass = places[0] // n
        # index_shuffle looks up one place in a random permutation without making the permutation.
        fold_in, last = tf.random.experimental.stateless_fold_in, tf.constant(n - 1, tf.int64)
        rows = [
            tf.random.experimental.index_shuffle(places % n, fold_in(key, first_pass + later), last) for later in (0, 1)
        ]
        rows = tf.where(places // n == first_pass, *rows)  # a batch touches two passes at most
        return tf.cast(tf.gather(images, rows), tf.float32) * (1.0 / 255.0), tf.gather(labels, rows)

    return as_stream(
        threads.without_autotuning(tf.data.Dataset.counter(start=start, dtype=tf.int64).map(draw).prefetch(2)),
        ("labelled_batches", fingerprint(data), batch_size, seed, start),
        lambda n: labelled_batches(data, batch_size=batch_size, seed=seed, start=start + n),
    )
