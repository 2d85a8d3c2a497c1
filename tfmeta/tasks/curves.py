"""What streams of random curves share: ranges of their settings, and meta-batches made from the numbers of tasks."""

from __future__ import annotations

import math
from collections.abc import Callable

import numpy as np
import tensorflow as tf

from tfmeta.core.episode import Episode
from tfmeta.machine import threads

# Settings of Finn et al. (2017), section 5.1.
AMPLITUDES = (0.1, 5.0)
PHASES = (0.0, math.pi)
INPUTS = (-5.0, 5.0)

Limits = tuple[float, float]


def check_limits(**ranges: Limits) -> None:
    """Refuse anything but pairs (lowest, highest) of finite numbers.

    Raises:
        ValueError: naming the argument.
    """
    for name, limits in ranges.items():
        pair = isinstance(limits, tuple | list | np.ndarray) and len(limits) == 2
        if (
            not pair
            or not all(isinstance(end, int | float | np.number) for end in limits)
            or not -math.inf < limits[0] <= limits[1] < math.inf
        ):
            raise ValueError(f"{name} must be (lowest, highest), finite. Received: {name}={limits!r}")


def between(numbers, limits: Limits):
    """Stretch numbers.

    Args:
        numbers: in [0, 1), of any shape.
        limits: lowest and highest.

    Returns:
        Numbers from the lowest to the highest, of the same shape.
    """
    return limits[0] + (limits[1] - limits[0]) * numbers


def tasks_from(
    numbers: Callable[[tf.Tensor], tf.Tensor],
    curves: Callable[[tf.Tensor], Episode],
    *,
    meta_batch_size: int,
    seed: int,
    start: int,
) -> tf.data.Dataset:
    """Make an endless stream of meta-batches of tasks, each from random numbers of its own.

    Args:
        numbers: of a task's key, integers `[2]`, to its random numbers, float32 `[n]`.
        curves: of the numbers of all tasks, `[meta_batch_size, n, 1]`, to a meta-batch.
        meta_batch_size: tasks in a meta-batch.
        seed: whole number. The key of a task is made of it and of the task's number in the stream alone, so that one
            seed gives the same tasks in meta-batches of any size.
        start: number of meta-batches to pass over.

    Returns:
        A dataset of `Episode`.
    """
    threads.prefer_tasks()
    base = tf.constant([seed % 2**31, seed // 2**31], tf.int64)

    def draw(counter: tf.Tensor) -> Episode:
        tasks = counter * meta_batch_size + tf.range(meta_batch_size, dtype=tf.int64)
        drawn = tf.map_fn(
            lambda task: numbers(tf.random.experimental.stateless_fold_in(base, task)),
            tasks,
            fn_output_signature=tf.float32,
        )
        return curves(drawn[..., None])

    return threads.without_autotuning(tf.data.Dataset.counter(start=start, dtype=tf.int64).map(draw).prefetch(2))
