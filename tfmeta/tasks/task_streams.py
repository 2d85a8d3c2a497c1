"""Endless streams of tasks of an environment, for `fit`."""

from __future__ import annotations

import tensorflow as tf

from tfmeta.core.streams import as_stream
from tfmeta.core.trials import Environment
from tfmeta.core.validation import check_seed, check_sizes, check_steps
from tfmeta.machine import threads


def task_stream(environment: Environment, *, meta_batch_size: int, seed: int, start: int = 0) -> tf.data.Dataset:
    """An endless stream of meta-batches of tasks, in each of which an agent plays a trial.

    Args:
        environment: the distribution of tasks.
        meta_batch_size: tasks in a meta-batch.
        seed: whole number; the same seed and size give the same tasks in the same order.
        start: number of meta-batches to pass over, so that a run can be resumed.

    Returns:
        A dataset of nests of tensors `[meta_batch_size, ...]`, as `environment.sample_tasks` draws them.

    Raises:
        ValueError: if a size is not positive.

    References:
        Duan et al. (2016), section 2.2. https://arxiv.org/abs/1611.02779
    """
    if not isinstance(environment, Environment):
        raise TypeError(f"environment must be an Environment. Received: environment={environment!r}")
    check_sizes(meta_batch_size=meta_batch_size)
    check_seed(seed)
    check_steps(start=start)
    threads.prefer_tasks()
    base = tf.constant([seed % 2**31, seed // 2**31], tf.int64)

    def draw(counter: tf.Tensor):
        return environment.sample_tasks(meta_batch_size, tf.random.experimental.stateless_fold_in(base, counter))

    sizes = {"meta_batch_size": meta_batch_size, "seed": seed}
    return as_stream(
        threads.without_autotuning(tf.data.Dataset.counter(start=start, dtype=tf.int64).map(draw).prefetch(2)),
        ("task_stream", repr(environment), *sizes.values(), start),
        lambda n: task_stream(environment, **sizes, start=start + n),
    )
