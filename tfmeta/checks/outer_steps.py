"""Check of tutorial 03: MAML's outer step, the whole of algorithm 1 for one meta-batch."""

from __future__ import annotations

import functools

import numpy as np
import tensorflow as tf

from tfmeta.checks.first_order import why_first_order
from tfmeta.checks.outer_known import ALPHA, BETA, TASKS, mean_gradient, stepped, wrong_steps
from tfmeta.checks.problems import put_back, small_regression
from tfmeta.checks.report import SECONDS, Result, judge, require
from tfmeta.checks.stops import WATCH_HINTS
from tfmeta.checks.values import (
    LEAK,
    Remembered,
    as_array,
    as_list,
    distance,
    in_either_precision,
    refuse_known,
    same_objects,
)
from tfmeta.core.episode import Episode

BATCH_HINTS = (
    *WATCH_HINTS,
    ("incompatible", "(Every tensor of `episodes` has a leading axis, the tasks. Take one task after the other: "
                     "episodes.support_x[i].)"),
    ("rank", "(Every tensor of `episodes` has a leading axis, the tasks. Take one task after the other: "
             "episodes.support_x[i].)"),
    ("Matrix size", "(Every tensor of `episodes` has a leading axis, the tasks. Take one task after the other: "
                    "episodes.support_x[i].)"),
)  # fmt: skip


def outer_step(answer, *, quiet: bool = False, seconds: float = SECONDS) -> Result:
    """Check one outer step of MAML over a meta-batch of regression tasks.

    Args:
        answer: `answer(network, params, episodes, inner_lr, outer_lr)` with a built Keras model, theta as a list of
            tensors (not the model's own values), an `Episode` whose tensors have a leading axis `[meta_batch_size]`,
            and two numbers; for each task takes one inner step on the mean squared error of its support set, and
            returns the new theta, a list of tensors: theta minus `outer_lr` times the mean over tasks of the gradient
            of the query loss at theta' with respect to theta.
        quiet: print nothing, for a script that grades.
        seconds: how long the answer may take before it counts as endless.

    Returns:
        A `Result`. Rejected with words of their own: first order passed off as second, a gradient with respect to
        theta', the sum over tasks, the support loss in the outer loss, inner steps on the queries, fast weights shared
        by tasks, one inner step for all tasks together, a step from theta', ascent in either loop, one task only, theta
        moved after every task, no inner step, the network's own weights, the network or the list changed, a rate left
        out or exchanged, sums of squared errors, gradients in place of theta, tasks mixed up.

    References:
        Finn et al. (2017), algorithm 1. https://arxiv.org/abs/1703.03400
    """
    return judge("outer_step", answer, in_either_precision(_examine), BATCH_HINTS, quiet=quiet, seconds=seconds)


def _problem(dtype: str):
    """A network, a meta-batch for it, its weights, and other weights, which are theta."""
    network, episodes = small_regression(seed=4, dtype=dtype, tasks=(TASKS,))
    rng = np.random.default_rng(5)
    start = [variable.numpy().copy() for variable in network.trainable_variables]
    return network, episodes, start, [tf.constant(rng.normal(size=value.shape), dtype) for value in start]


@functools.cache
def _known(dtype: str) -> Remembered:
    _, episodes, start, params = _problem(dtype)
    return Remembered(wrong_steps(params, start, episodes))


def _examine(call, dtype: str) -> str:
    network, episodes, start, params = _problem(dtype)

    def answer(batch):
        given = list(params)
        with tf.GradientTape() as tape:
            tape.watch(params)
            found = call(network, given, batch, ALPHA, BETA)
            require(same_objects(given, params), LEAK.format(what="the list `params`"))
            found = as_list(found, len(start), f"return the new theta, {len(start)} tensors like `params`, in a list.")
            require(
                all(part is not None for part in found),
                "a tensor of the new theta is None: a gradient was. The outer tape must watch `params` before the "
                "first "
                "inner step.",
            )
            total = tf.add_n([tf.reduce_sum(tf.cast(tf.convert_to_tensor(part), dtype)) for part in found])
        arrays = [as_array(part) for part in found]
        require(
            [part.shape for part in arrays] == [value.shape for value in start],
            "the new theta must have the shapes of `params`, in that order, without an axis of tasks.",
        )
        return arrays, tape.gradient(total, params)

    found, slope = answer(episodes)
    moved = put_back(network.trainable_variables, start)
    require(
        moved < 1e-12,
        f"the network's own weights have moved by up to {moved:.2g}: theta' or theta was written to its variables "
        "(assign, set_weights). That cuts the path from theta to theta' and leaks into the next task. Keep theta' as "
        "tensors and call the network with stateless_call.",
    )
    theta = [np.asarray(w) for w in params]
    exact = stepped(theta, mean_gradient(params, episodes))
    if distance(found, exact) > 1e-5:
        _refuse(params, episodes, found, slope)
    one = Episode(*(part[:1] for part in episodes))
    require(
        distance(answer(one)[0], stepped(theta, mean_gradient(params, one))) < 1e-5,
        f"right for {TASKS} tasks, not for a meta-batch of one: is the number of tasks written into your function?",
    )
    require(
        distance(answer(episodes)[0], found) < 1e-6,
        "the same meta-batch gave another theta the second time: something leaks from step to step.",
    )
    return (
        f"theta - beta * mean of the exact gradients of {TASKS} tasks, each adapted from theta; the network is as it "
        "was."
    )


def _refuse(params, episodes: Episode, found, slope) -> None:
    """Stop with the words of the known wrong answer, or of the unknown one."""
    theta = [np.asarray(w) for w in params]
    first_order = stepped(theta, mean_gradient(params, episodes, first_order=True))
    if distance(found, first_order) < 1e-5:
        minus = [None if s is None else (1.0 - as_array(s)) / BETA for s in slope]  # of the gradient alone
        if all(s is None or np.allclose(s, 0, atol=1e-6) for s in minus):
            minus = [None for _ in minus]
        require(
            False,
            "this is the first-order step (FOMAML): the factor I - alpha H is lost. Somewhere between theta and theta' "
            f"the path is cut: {why_first_order(params, episodes, ALPHA, minus)}",
        )
    refuse_known(found, _known(params[0].dtype.name), tolerance=1e-5)
    exact = stepped(theta, mean_gradient(params, episodes))
    require(
        False,
        f"the relative error of the new theta is {distance(found, exact):.1e}. Check, in this order: the inner step "
        "(one task at a time), the query loss at theta', its gradient with respect to theta, the mean over tasks.",
    )
