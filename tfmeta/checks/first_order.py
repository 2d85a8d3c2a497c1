"""Why a gradient is first order: two ways to lose the same factor, told apart by one more derivative."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import tensorflow as tf

from tfmeta import functional
from tfmeta.checks.problems import small_forward, squared_error
from tfmeta.checks.values import as_array, distance
from tfmeta.core.episode import Episode

CONSTANT = (
    "theta' is a constant for the outer tape. It came out of tf.stop_gradient or .numpy(), or was written to variables "
    "(assign, set_weights) and the old values put back."
)
OTHER = (
    "it is taken with respect to theta' instead of theta, or the inner step lies outside the outer tape. Let the outer "
    "tape watch theta before the inner step begins, and ask it for the gradient with respect to theta."
)


def why_first_order(theta: Sequence, episode: Episode, inner_lr: float, slope: Sequence) -> str:
    """What has cut the path from theta to theta' where the result is grad L_Q(theta') alone.

    The sum of that gradient's entries has a derivative of its own with respect to theta: the Hessian of the query loss
    times ones where the inner gradient was a constant, and (I - alpha H_S) times that where theta' depends on theta as
    it should and only the wrong gradient was asked for.

    Args:
        theta: parameters of `small_forward`.
        episode: one task, or a meta-batch whose mean was taken.
        inner_lr: alpha.
        slope: that derivative of the answer, as a tape around it found it.

    Returns:
        A sentence.
    """
    if all(part is None for part in slope):
        return f"{CONSTANT} Or {OTHER}"
    theta = [tf.convert_to_tensor(part) for part in theta]
    slope = [np.zeros(w.shape) if part is None else as_array(part) for part, w in zip(slope, theta, strict=True)]
    with tf.GradientTape(persistent=True) as tape:
        tape.watch(theta)
        totals = []
        for task in _tasks(episode):
            fast = functional.adapt(
                small_forward, theta, *task[:2], inner_lr=inner_lr, inner_steps=1, loss=squared_error, first_order=True
            )
            with tf.GradientTape() as judge:
                judge.watch(fast)
                loss = squared_error(task[3], small_forward(fast, task[2]))
            totals.append(tf.add_n([tf.reduce_sum(g) for g in judge.gradient(loss, fast)]))
        total = tf.reduce_mean(tf.stack(totals))
    stopped = tape.gradient(total, theta, unconnected_gradients=tf.UnconnectedGradients.ZERO)
    return CONSTANT if distance(slope, stopped) < 1e-3 else OTHER


def _tasks(episode: Episode) -> list:
    batched = len(episode.support_x.shape) == 3
    return list(zip(*episode, strict=True)) if batched else [tuple(episode)]
