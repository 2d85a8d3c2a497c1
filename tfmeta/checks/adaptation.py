"""Check of tutorial 03: the inner loop."""

from __future__ import annotations

import numpy as np
import tensorflow as tf

from tfmeta import functional
from tfmeta.checks.gradients import _distance, small_regression, squared_error
from tfmeta.checks.report import Result, judge, require
from tfmeta.core.episode import Episode


def adapt(answer) -> Result:
    """Check an inner loop of several gradient steps.

    Args:
        answer: `answer(learner, params, episode, inner_lr, inner_steps)` with a built Keras model, theta as a list of
            tensors (not the model's own values), one `Episode` of regression; returns theta' as a list of tensors,
            differentiable in theta, from `inner_steps` steps on the mean squared error of the support set.

    Returns:
        A `Result`. Rejected with words of their own: adaptation on the query set, one step instead of many, steps that
        all start at theta, ascent, the model's own weights in place of `params`, weights that leak from task to task,
        first-order steps.

    References:
        Finn et al. (2017), algorithm 1, lines 5 and 6. https://arxiv.org/abs/1703.03400
    """
    return judge("adapt", answer, _examine)


def _examine(call) -> str:
    learner, episode = small_regression(seed=1)
    _, other = small_regression(seed=2)
    rng = np.random.default_rng(3)
    start = [variable.numpy().copy() for variable in learner.trainable_variables]
    params = [tf.constant(rng.normal(size=value.shape)) for value in start]
    alpha, steps = 0.1, 4

    def reference(weights, task, inner_steps=steps, inner_lr=alpha, first_order=False):
        return functional.adapt(
            learner, weights, task.support_x, task.support_y,
            inner_lr=inner_lr, inner_steps=inner_steps, loss=squared_error, first_order=first_order,
        )  # fmt: skip

    def tidy(found):
        found = list(found)
        require(len(found) == len(start), f"return theta', {len(start)} tensors like `params`; yours are {len(found)}.")
        require(
            [tuple(weight.shape) for weight in found] == [value.shape for value in start],
            "theta' must have the shapes of `params`, in that order.",
        )
        return [np.asarray(weight) for weight in found]

    first = tidy(call(learner, params, episode, alpha, steps))
    moved = max(np.abs(v.numpy() - s).max() for v, s in zip(learner.trainable_variables, start, strict=True))
    for variable, value in zip(learner.trainable_variables, start, strict=True):
        variable.assign(value)
    require(
        moved < 1e-12,
        f"the learner's own weights have moved by up to {moved:.2g}: they were written to (assign, set_weights), so "
        "they leak into the next task, and no gradient flows through the write. Keep theta' as tensors and call the "
        "learner with stateless_call.",
    )
    on_query = Episode(*episode[2:], *episode[:2])
    _, gradient = _loss_and_gradient(learner, params, episode)
    wrong = (
        (reference(params, on_query), "the steps were taken on the query set. Adapt on episode.support_x and "
                                      "support_y; whoever has seen the queries' answers cannot be judged on them."),
        (reference(params, episode, inner_steps=1), f"this is theta after one step of inner_steps={steps}. "
                                                    "Does your loop hand its result on, or return early?"),
        ([w - steps * alpha * g for w, g in zip(params, gradient, strict=True)],
         "every step took the gradient at theta. Each must take it at the weights that the step before it reached."),
        (reference(params, episode, inner_lr=-alpha), "the loss went up: subtract the gradient."),
        (reference([tf.constant(value) for value in start], episode), "the steps started at the learner's own weights. "
                                                                     "Start from `params`."),
        (params, "theta came back unchanged."),
    )  # fmt: skip
    exact = [np.asarray(weight) for weight in reference(params, episode)]
    if _distance(first, exact) > 1e-6:
        for value, message in wrong:
            require(_distance(first, [np.asarray(weight) for weight in value]) > 1e-6, message)
        require(False, f"the relative error of theta' is {_distance(first, exact):.1e}. Check the loss (mean squared "
                       "error) and the step, w - inner_lr * gradient.")  # fmt: skip
    require(
        len(tidy(call(learner, params, episode, alpha, 0))) and
        _distance(tidy(call(learner, params, episode, alpha, 0)), params) < 1e-12,
        "inner_steps=0 must give back theta.",
    )  # fmt: skip
    tidy(call(learner, params, other, alpha, steps))
    again = tidy(call(learner, params, episode, alpha, steps))
    require(
        _distance(again, first) < 1e-12,
        "the same task gave other weights after another task had been adapted to: something leaks between tasks.",
    )
    _examine_path(call, learner, params, episode, alpha, steps, reference)
    return f"{steps} steps on the support set, each from where the last one ended, exact in theta; nothing leaks."


def _examine_path(call, learner, params, episode, alpha, steps, reference) -> None:
    """The outer gradient must flow through every step."""

    def outer(adapted_from):
        with tf.GradientTape() as tape:
            tape.watch(params)
            fast = adapted_from(params)
            loss = squared_error(episode.query_y, functional.forward(learner, fast, episode.query_x))
        return tape.gradient(loss, params)

    found = outer(lambda theta: [tf.convert_to_tensor(w) for w in call(learner, theta, episode, alpha, steps)])
    require(
        all(gradient is not None for gradient in found),
        "theta' has the right value, but no gradient reaches theta: the outer loop could not learn. Stay with tensors "
        "all the way (no .numpy(), no assign).",
    )
    cut = outer(lambda theta: reference(theta, episode, first_order=True))
    require(
        _distance(found, cut) > 1e-6,
        "theta' has the right value, but its gradient is first order: the inner gradients reach the outer tape as "
        "constants. Remove tf.stop_gradient, and watch the weights with the inner tape at every step.",
    )
    require(
        _distance(found, outer(lambda theta: reference(theta, episode))) < 1e-5,
        "theta' has the right value, but the gradient of the query loss with respect to theta is not the exact one.",
    )


def _loss_and_gradient(learner, params, episode):
    with tf.GradientTape() as tape:
        tape.watch(params)
        loss = squared_error(episode.support_y, functional.forward(learner, params, episode.support_x))
    return loss, tape.gradient(loss, params)
