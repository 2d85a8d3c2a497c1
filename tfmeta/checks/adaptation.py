"""Check of tutorial 03: the inner loop."""

from __future__ import annotations

import numpy as np
import tensorflow as tf

from tfmeta import functional
from tfmeta.checks.problems import put_back, small_forward, small_regression, squared_error
from tfmeta.checks.report import SECONDS, Result, judge, require
from tfmeta.checks.stops import WATCH_HINTS
from tfmeta.checks.values import LEAK, as_array, as_list, distance, in_either_precision, refuse_known, same_objects
from tfmeta.core.episode import Episode


def adapt(answer, *, quiet: bool = False, seconds: float = SECONDS) -> Result:
    """Check an inner loop of several gradient steps.

    Args:
        answer: `answer(learner, params, episode, inner_lr, inner_steps)` with a built Keras model, theta as a list of
            tensors (not the model's own values), one `Episode` of regression; returns theta' as a list of tensors,
            differentiable in theta, from `inner_steps` steps on the mean squared error of the support set.
        quiet: print nothing, for a script that grades.
        seconds: how long the answer may take before it counts as endless.

    Returns:
        A `Result`. Rejected with words of their own: adaptation on the query set, one step or one step too many or too
        few, steps that all start at theta, ascent, the model's own weights in place of `params`, a list changed in
        place, weights that leak from task to task, a tape that does not watch, sums and halves of squared errors, a
        rate that is left out or decays, gradients in place of weights, first-order steps, a path cut at the start or
        before the last step.

    References:
        Finn et al. (2017), algorithm 1, lines 5 and 6. https://arxiv.org/abs/1703.03400
    """
    return judge("adapt", answer, in_either_precision(_examine), WATCH_HINTS, quiet=quiet, seconds=seconds)


ALPHA, STEPS = 0.1, 4


def _reference(weights, task, inner_steps=STEPS, inner_lr=ALPHA, first_order=False):
    return functional.adapt(
        small_forward, weights, task.support_x, task.support_y,
        inner_lr=inner_lr, inner_steps=inner_steps, loss=squared_error, first_order=first_order,
    )  # fmt: skip


def _examine(call, dtype: str) -> str:
    learner, episode = small_regression(seed=1, dtype=dtype)
    _, other = small_regression(seed=2, dtype=dtype)
    rng = np.random.default_rng(3)
    start = [variable.numpy().copy() for variable in learner.trainable_variables]
    params = [tf.constant(rng.normal(size=value.shape), dtype) for value in start]

    def answer(task, steps=STEPS):
        given = list(params)
        found = call(learner, given, task, ALPHA, steps)
        require(same_objects(given, params), LEAK.format(what="the list `params`"))
        found = as_list(found, len(start), f"return theta', {len(start)} tensors like `params`, in a list.")
        require(all(w is not None for w in found), "a tensor of theta' is None. Was a gradient taken without watching?")
        arrays = [as_array(weight) for weight in found]
        require(
            [weight.shape for weight in arrays] == [value.shape for value in start],
            "theta' must have the shapes of `params`, in that order.",
        )
        return arrays

    first = answer(episode)
    moved = put_back(learner.trainable_variables, start)
    require(
        moved < 1e-12,
        f"the learner's own weights have moved by up to {moved:.2g}: they were written to (assign, set_weights), so "
        "they leak into the next task, and no gradient flows through the write. Keep theta' as tensors and call the "
        "learner with stateless_call.",
    )
    exact = [np.asarray(weight) for weight in _reference(params, episode)]
    if distance(first, exact) > 1e-5:
        refuse_known(first, _wrong(params, start, episode), tolerance=1e-5)
        require(False, f"the relative error of theta' is {distance(first, exact):.1e}. Check the loss (mean squared "
                       "error) and the step, w - inner_lr * gradient.")  # fmt: skip
    require(distance(answer(episode, 0), params) < 1e-6, "inner_steps=0 must give back theta.")
    answer(other)
    require(
        distance(answer(episode), first) < 1e-6,
        "the same task gave other weights after another task had been adapted to: something leaks between tasks.",
    )
    require(
        distance(answer(episode, 1), _reference(params, episode, inner_steps=1)) < 1e-5,
        f"right for inner_steps={STEPS}, not for 1: is the number of steps written into your loop?",
    )
    _examine_path(call, learner, params, episode)
    return f"{STEPS} steps on the support set, each from where the last one ended, exact in theta; nothing leaks."


def _wrong(params, start, episode) -> tuple:
    on_query = Episode(*episode[2:], *episode[:2])
    gradient = _loss_gradient(params, episode)
    n = len(episode.support_x)
    decayed = params
    for k in range(STEPS):
        decayed = _reference(decayed, episode, inner_steps=1, inner_lr=ALPHA / (k + 1))
    halfway = _reference(params, episode, inner_steps=STEPS - 1)
    momentum, velocity = params, [tf.zeros_like(w) for w in params]
    for _ in range(STEPS):
        velocity = [0.9 * v + g for v, g in zip(velocity, _loss_gradient(momentum, episode), strict=True)]
        momentum = [w - ALPHA * v for w, v in zip(momentum, velocity, strict=True)]
    return (
        (_reference(params, on_query),
         "the steps were taken on the query set. Adapt on episode.support_x and support_y; whoever has seen the "
         "queries' answers cannot be judged on them."),
        (_reference(params, episode, inner_steps=1),
         f"this is theta after one step of inner_steps={STEPS}. Does your loop hand its result on, or return early?"),
        (halfway, "one step is missing: range(inner_steps) counts from 0 to inner_steps - 1."),
        (_reference(params, episode, inner_steps=STEPS + 1), "one step too many was taken."),
        ([w - STEPS * ALPHA * g for w, g in zip(params, gradient, strict=True)],
         "every step took the gradient at theta. Each must take it at the weights that the step before it reached."),
        ([w - ALPHA * g for w, g in zip(params, _loss_gradient(halfway, episode), strict=True)],
         "the last gradient was subtracted from theta. Subtract it from the weights at which it was taken."),
        (_reference(params, episode, inner_lr=-ALPHA), "the loss went up: subtract the gradient."),
        (_reference(params, episode, inner_lr=1.0), "inner_lr is missing in the step."),
        (_reference(params, episode, inner_lr=n * ALPHA),
         "the loss is the sum of squared errors. Take their mean, or the step grows with the support set."),
        (_reference(params, episode, inner_lr=ALPHA / 2), "the squared error was halved. The loss is the "
                                                                    "mean squared error itself."),
        (decayed, "the rate shrinks from step to step. Every step takes inner_lr."),
        (momentum, "the steps have momentum. MAML's inner loop is plain gradient descent."),
        (_reference([tf.convert_to_tensor(value) for value in start], episode),
         "the steps started at the learner's own weights. Start from `params`."),
        ([w - STEPS * ALPHA * g for w, g in
          zip(params, _loss_gradient([tf.convert_to_tensor(v) for v in start], episode), strict=True)],
         "the gradient was taken at the learner's own weights: learner(x) uses those. Call it with stateless_call."),
        (gradient, "these are gradients. Return theta'."),
        ([w - v for w, v in zip(_reference(params, episode), params, strict=True)],
         "this is the change. Return theta', the weights after it."),
        (params, "theta came back unchanged."),
    )  # fmt: skip


def _examine_path(call, learner, params, episode) -> None:
    """The outer gradient must flow through every step."""

    def outer(adapted_from):
        with tf.GradientTape() as tape:
            tape.watch(params)
            fast = adapted_from(list(params))
            loss = squared_error(episode.query_y, small_forward(fast, episode.query_x))
        return tape.gradient(loss, params)

    found = outer(lambda p: [tf.convert_to_tensor(w) for w in call(learner, p, episode, ALPHA, STEPS)])
    require(
        all(gradient is not None for gradient in found),
        "theta' has the right value, but no gradient reaches theta: the outer loop could not learn. Stay with tensors "
        "all the way (no .numpy(), no assign, no stop_gradient of theta).",
    )
    exact = outer(lambda p: _reference(p, episode))
    if distance(found, exact) < 1e-4:
        return

    def last_only(theta):  # the steps before the last one add up to a constant
        moved = _reference(theta, episode, inner_steps=STEPS - 1)
        shifted = [w + tf.stop_gradient(m - w) for w, m in zip(theta, moved, strict=True)]
        return _reference(shifted, episode, inner_steps=1)

    refuse_known(found, (
        (outer(lambda p: _reference(p, episode, first_order=True)),
         "theta' has the right value, but its gradient is first order: the inner gradients reach the outer tape as "
         "constants. Remove tf.stop_gradient, and watch the weights with the inner tape at every step."),
        (outer(last_only),
         "theta' has the right value, but only the last step is differentiated through: those before it are cut off."),
    ))  # fmt: skip
    require(
        False,
        "theta' has the right value, but the gradient of the query loss with respect to theta is not the exact one.",
    )


def _loss_gradient(params, episode):
    with tf.GradientTape() as tape:
        tape.watch(params)
        loss = squared_error(episode.support_y, small_forward(params, episode.support_x))
    return tape.gradient(loss, params)
