"""Sine waves of random amplitude and phase: MAML's regression tasks."""

from __future__ import annotations

import math

import numpy as np
import tensorflow as tf

from tfmeta.core.episode import Episode
from tfmeta.core.streams import as_stream
from tfmeta.core.validation import check_seed, check_sizes, check_steps
from tfmeta.machine import threads

AMPLITUDES = (0.1, 5.0)
PHASES = (0.0, math.pi)
INPUTS = (-5.0, 5.0)


def sinusoid_episodes(
    *,
    k_shot: int,
    n_query: int,
    meta_batch_size: int,
    seed: int,
    amplitudes: tuple[float, float] = AMPLITUDES,
    phases: tuple[float, float] = PHASES,
    start: int = 0,
) -> tf.data.Dataset:
    """An endless stream of meta-batches of regression tasks y = A sin(x - phase).

    Args:
        k_shot: labelled points of a task.
        n_query: points to be judged on.
        meta_batch_size: tasks in a meta-batch.
        seed: whole number; the same seed gives the same stream.
        amplitudes: lowest and highest A; uniform between.
        phases: lowest and highest phase in radians; uniform between.
        start: number of meta-batches to pass over, so that a run can be resumed.

    Returns:
        A dataset of `Episode` with float32 tensors: `support_x` and `support_y` `[meta_batch_size, k_shot, 1]`,
        `query_x` and `query_y` `[meta_batch_size, n_query, 1]`; x is uniform in [-5, 5].

    Raises:
        ValueError: if a size is not positive or a range is empty.

    References:
        Finn et al. (2017), section 5.1. https://arxiv.org/abs/1703.03400
    """
    check_sizes(k_shot=k_shot, n_query=n_query, meta_batch_size=meta_batch_size)
    check_seed(seed)
    check_steps(start=start)
    for name, limits in (("amplitudes", amplitudes), ("phases", phases)):
        pair = isinstance(limits, tuple | list | np.ndarray) and len(limits) == 2
        if (
            not pair
            or not all(isinstance(end, int | float | np.number) for end in limits)
            or not -math.inf < limits[0] <= limits[1] < math.inf
        ):
            raise ValueError(f"{name} must be (lowest, highest), finite. Received: {name}={limits!r}")
    threads.prefer_tasks()
    key = tf.constant([seed % 2**31, seed // 2**31], tf.int64)

    def draw(counter: tf.Tensor) -> Episode:
        keys = tf.unstack(tf.random.split(tf.random.experimental.stateless_fold_in(key, counter), 3))

        def uniform(shape, key, limits):
            # maxval is exclusive and must exceed minval, hence the explicit scaling: limits may be equal.
            return limits[0] + (limits[1] - limits[0]) * tf.random.stateless_uniform(shape, key)

        amplitude = uniform([meta_batch_size, 1, 1], keys[0], amplitudes)
        phase = uniform([meta_batch_size, 1, 1], keys[1], phases)
        x = uniform([meta_batch_size, k_shot + n_query, 1], keys[2], INPUTS)
        y = amplitude * tf.sin(x - phase)
        return Episode(x[:, :k_shot], y[:, :k_shot], x[:, k_shot:], y[:, k_shot:])

    options = {
        "k_shot": k_shot, "n_query": n_query, "meta_batch_size": meta_batch_size, "seed": seed,
        "amplitudes": tuple(amplitudes), "phases": tuple(phases),
    }  # fmt: skip
    return as_stream(
        threads.without_autotuning(tf.data.Dataset.counter(start=start, dtype=tf.int64).map(draw).prefetch(2)),
        ("sinusoid_episodes", *options.values(), start),
        lambda n: sinusoid_episodes(**options, start=start + n),
    )
