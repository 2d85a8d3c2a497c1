"""Sine waves of random amplitude and phase: MAML's regression tasks."""

from __future__ import annotations

import tensorflow as tf

from tfmeta.core.episode import Episode
from tfmeta.core.streams import as_stream
from tfmeta.core.validation import check_seed, check_sizes, check_steps
from tfmeta.tasks.curves import AMPLITUDES, INPUTS, PHASES, between, check_limits, tasks_from


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
        seed: whole number; the same seed gives the same tasks in the same order, whatever the size of the
            meta-batches is.
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
    check_limits(amplitudes=amplitudes, phases=phases)

    def numbers(key: tf.Tensor) -> tf.Tensor:
        # Amplitude, phase and points of one task, uniform in [0, 1).
        return tf.random.stateless_uniform([2 + k_shot + n_query], key)

    def curves(drawn: tf.Tensor) -> Episode:
        amplitude, phase = between(drawn[:, :1], amplitudes), between(drawn[:, 1:2], phases)
        x = between(drawn[:, 2:], INPUTS)
        y = amplitude * tf.sin(x - phase)
        return Episode(x[:, :k_shot], y[:, :k_shot], x[:, k_shot:], y[:, k_shot:])

    options = {
        "k_shot": k_shot, "n_query": n_query, "meta_batch_size": meta_batch_size, "seed": seed,
        "amplitudes": tuple(amplitudes), "phases": tuple(phases),
    }  # fmt: skip
    return as_stream(
        tasks_from(numbers, curves, meta_batch_size=meta_batch_size, seed=seed, start=start),
        ("sinusoid_episodes", *options.values(), start),
        lambda n: sinusoid_episodes(**options, start=start + n),
    )
