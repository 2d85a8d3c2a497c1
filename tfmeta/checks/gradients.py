"""Checks of tutorial 02: the gradient through an inner step."""

from __future__ import annotations

import numpy as np
import tensorflow as tf

from tfmeta import functional
from tfmeta.checks.first_order import why_first_order
from tfmeta.checks.problems import put_back, small_forward, small_regression, squared_error
from tfmeta.checks.report import SECONDS, Result, judge, require
from tfmeta.checks.stops import WATCH_HINTS
from tfmeta.checks.values import as_array, as_list, distance, in_either_precision, refuse_known
from tfmeta.core.episode import Episode


def quadratic_meta_gradient(answer, *, quiet: bool = False, seconds: float = SECONDS) -> Result:
    """Check the meta-gradient of one inner step on a quadratic loss, L(theta) = theta^T A theta / 2 - b^T theta.

    Args:
        answer: `answer(theta, A, b, inner_lr)` with `theta` `[d]`, symmetric `A` `[d, d]` and `b` `[d]` (NumPy arrays);
            returns the gradient `[d]` of L(theta - inner_lr * grad L(theta)) with respect to `theta`.
        quiet: print nothing, for a script that grades.
        seconds: how long the answer may take before it counts as endless.

    Returns:
        A `Result`. Rejected with words of their own: the first-order gradient, the gradient without adaptation, the
        factor at the wrong place, twice, alone or with the wrong sign, `1` for the identity matrix, a rate left out,
        `b` left out, theta' itself, the loss, the next theta, the descent direction, an input changed in place.

    References:
        Finn et al. (2017), equation 1 and section 2.2. https://arxiv.org/abs/1703.03400
    """
    return judge("quadratic_meta_gradient", answer, _examine_quadratic, WATCH_HINTS, quiet=quiet, seconds=seconds)


def _examine_quadratic(call) -> str:
    rng = np.random.default_rng(0)
    for dim in (2, 4):
        root = rng.normal(size=(dim, dim))
        A, b, theta, alpha = root @ root.T + np.eye(dim), rng.normal(size=dim), rng.normal(size=dim), 0.07
        given = theta.copy(), A.copy(), b.copy()
        found = as_array(call(*given, alpha))
        for name, after, before in zip(("theta", "A", "b"), given, (theta, A, b), strict=True):
            require(
                np.array_equal(after, before),
                f"your function changed `{name}` itself (`-=` and `[...] =` write into the array that was given). The "
                f"next task would start from this task's values: a leak. Compute a new array instead.",
            )
        adapted = theta - alpha * (A @ theta - b)
        require(
            found.shape != (), "this is one number, such as the loss. The gradient has one number for each parameter."
        )
        require(found.shape == (dim,), f"the gradient must have theta's shape {(dim,)}; yours has {found.shape}.")
        exact = (np.eye(dim) - alpha * A) @ (A @ adapted - b)
        if not np.allclose(found, exact, rtol=1e-4, atol=1e-6):
            refuse_known([found], [([v], m) for v, m in _wrong_quadratic(theta, A, b, alpha)], tolerance=1e-5)
            require(False, f"the relative error is {distance([found], [exact]):.1e}. Write theta' first, then "
                           "(I - alpha A) times the gradient at theta'.")  # fmt: skip
    return "it equals (I - alpha A) grad L(theta') in 2 and in 4 dimensions."


def _wrong_quadratic(theta, A, b, alpha) -> tuple:
    eye, gradient = np.eye(len(theta)), A @ theta - b
    adapted = theta - alpha * gradient
    at_adapted, factor = A @ adapted - b, eye - alpha * A
    return (
        (at_adapted, "this is the first-order gradient, the gradient of L at theta'. The factor I - alpha A, which "
                     "says how theta' moves when theta moves, is missing. (On a quadratic, (I - alpha A) times the "
                     "gradient at theta is the same thing: the factor belongs before the gradient at theta'.)"),
        (gradient, "this is the gradient of L at theta: nothing has been adapted. Take it at theta' and multiply."),
        ((eye + alpha * A) @ at_adapted, "the sign inside the factor is wrong, or the inner step climbs (both give the "
                                         "same on a quadratic): theta' = theta *minus* alpha times the gradient."),
        (factor @ factor @ at_adapted, "the factor I - alpha A was taken twice. One inner step gives one factor. (On "
                                       "a quadratic the gradient at theta' holds one already.)"),
        ((eye - A) @ at_adapted, "alpha is missing in the factor, I - alpha A, or in the inner step (on a quadratic "
                                 "both give the same)."),
        (alpha * A @ at_adapted, "the identity is missing in the factor: theta' moves with theta itself, too, so it is "
                                 "I - alpha A."),
        (-alpha * A @ at_adapted, "the identity is missing in the factor: theta' moves with theta itself, too, so it "
                                  "is I - alpha A."),
        ((1 - alpha * A) @ at_adapted, "1 - alpha * A subtracts from a matrix full of ones. The identity is "
                                       "np.eye(len(theta))."),
        (factor @ (A @ adapted), "b is missing in the gradient at theta': A theta' - b."),
        (factor @ (A @ (theta - alpha * A @ theta) - b), "b is missing in the inner step: theta - alpha (A theta - "
                                                         "b)."),
        (factor @ adapted, "you multiplied theta' itself. Multiply the gradient of L at theta'."),
        (adapted, "this is theta', the adapted parameters, not a gradient."),
        (theta - alpha * factor @ at_adapted, "this is theta after an outer step. Return the gradient itself."),
        (-factor @ at_adapted, "this is the descent direction. The gradient has the opposite sign."),
    )  # fmt: skip


def detect_assign(answer, *, quiet: bool = False, seconds: float = SECONDS) -> Result:
    """Check a meta-gradient of a Keras model for what `assign` and `set_weights` do to it.

    Args:
        answer: `answer(learner, episode, inner_lr)` with a built Keras model and one `Episode` of regression; one inner
            step on the mean squared error of the support set. Returns the gradient of the query loss at theta' with
            respect to theta, a list in the order of `learner.trainable_variables`.
        quiet: print nothing, for a script that grades.
        seconds: how long the answer may take before it counts as endless.

    Returns:
        A `Result`. Rejected with words of their own: an inner loop that writes to variables (`assign`, `assign_sub`,
        `set_weights`) and so leaves the model adapted or yields the first-order gradient, no gradient at all, a tape
        that does not watch, no adaptation, adaptation on the query set, judgement on the support set, the gradient with
        respect to theta', stopped gradients, ascent, theta' or a new theta in place of a gradient, sums of errors.

    References:
        Finn et al. (2017), section 2.2: the meta-gradient involves a gradient through a gradient.
        https://arxiv.org/abs/1703.03400
    """
    return judge(
        "detect_assign", answer, in_either_precision(_examine_assign), WATCH_HINTS, quiet=quiet, seconds=seconds
    )


def _examine_assign(call, dtype: str) -> str:
    learner, episode = small_regression(seed=0, dtype=dtype)
    alpha = 0.2
    variables = learner.trainable_variables
    start = [variable.numpy().copy() for variable in variables]
    with tf.GradientTape() as tape:  # how theta enters the answer tells one first-order gradient from another
        returned = call(learner, episode, alpha)
        found = as_list(
            returned, len(start), f"return one gradient per trainable variable, {len(start)} in all, in a list."
        )
        total = _weighted_sum(found, dtype)
    moved = put_back(variables, start)
    require(
        all(gradient is not None for gradient in found),
        "a gradient is None: the tape sees no path from theta to the query loss. Writing values into variables "
        "(assign, set_weights) hands over numbers and cuts the path; pass theta' as tensors through stateless_call. "
        "And where theta is a list of tensors, the outer tape must be told: outer.watch(params), before the inner "
        "step.",
    )
    found = [as_array(gradient) for gradient in found]
    require(
        [gradient.shape for gradient in found] == [value.shape for value in start],
        "the gradients must have the shapes of `learner.trainable_variables`, in that order.",
    )
    exact, first_order, wrong = _known([tf.constant(w) for w in start], episode, alpha)
    cut = distance(found, first_order) < 1e-4
    require(
        moved < 1e-12 or not cut,
        f"the model's weights have moved by up to {moved:.2g}, and this is the first-order gradient: the inner step "
        "writes theta' into the variables (assign_sub, assign or set_weights). The tape records that write as a new "
        "value without a history, so the factor I - alpha H is lost, with no error; and the next task starts from "
        "this task's weights. Keep theta' as tensors and call the model with stateless_call.",
    )
    require(
        moved < 1e-12,
        f"the model's weights have moved by up to {moved:.2g}: the next task would start from this task's weights. "
        "Keep theta' as tensors; nothing may be written to the learner.",
    )
    require(
        not cut,
        "this is the first-order gradient. Somewhere between theta and theta' the path is cut: "
        + why_first_order(start, episode, alpha, tape.gradient(total, variables)),
    )
    refuse_known(found, wrong)
    error = distance(found, exact)
    require(
        error < 1e-4,
        f"the relative error against the exact gradient is {error:.1e}. Check the loss (the mean of squared errors in "
        "both loops) and the inner step, theta - inner_lr * gradient.",
    )
    return "the exact second-order gradient, and the learner is as it was."


def _weighted_sum(found, dtype: str):
    """One number that depends on all gradients, so that its own gradient says where they came from."""
    if any(gradient is None for gradient in found):
        return tf.zeros((), dtype)
    return tf.add_n([tf.reduce_sum(tf.cast(tf.convert_to_tensor(gradient), dtype)) for gradient in found])


def _known(theta, episode: Episode, alpha: float):
    """The exact gradient, the first-order one, and what is wrong in other ways."""

    def gradients(support, query, inner_steps=1, first_order=False, rate=alpha):
        task = Episode(*support, *query)
        found = functional.meta_gradient(
            small_forward,
            theta,
            task,
            inner_lr=rate,
            inner_steps=inner_steps,
            loss=squared_error,
            first_order=first_order,
        )
        return [gradient.numpy() for gradient in found.gradients]

    support, query = episode[:2], episode[2:]
    fast = functional.adapt(small_forward, theta, *support, inner_lr=alpha, inner_steps=1, loss=squared_error)
    exact = gradients(support, query)
    on_query = (
        "the inner step was taken on the query set. Adapt on support_x, support_y; the queries are there to judge."
    )
    on_support = "the outer loss was taken on the support set. Judge theta' on query_x, query_y."
    wrong = (
        (gradients(support, query, inner_steps=0),
         "this is the gradient of the query loss at theta: nothing was adapted."),
        (gradients(support, support, inner_steps=0), "this is the gradient of the support loss at theta: the inner "
                                                     "gradient. Take the step, then judge it on the queries."),
        (gradients(query, support), "support and query set are exchanged: adapt on the support set, judge on the "
                                    "queries."),
        (gradients(query, query), on_query),
        (gradients(query, query, first_order=True), on_query),
        (gradients(support, support), on_support),
        (gradients(support, support, first_order=True), on_support),
        (gradients(support, query, rate=-alpha), "the inner step climbs: theta' = theta *minus* inner_lr * gradient."),
        (gradients(support, query, rate=1.0), "inner_lr is missing in the inner step."),
        (gradients(support, query, inner_steps=2), "two inner steps were taken. One is asked for."),
        ([-g for g in exact], "this is the descent direction. The gradient has the opposite sign."),
        (fast, "this is theta', the fast weights, not a gradient."),
        (theta, "these are the model's weights. Return the gradient."),
        ([w - alpha * g for w, g in zip(theta, exact, strict=True)],
         "this is a new theta. Return the gradient; the optimizer takes the step."),
        ([len(query[0]) * g for g in gradients(support, query, rate=len(support[0]) * alpha)],
         "both losses are sums of squared errors. Take the means, or the step depends on the size of the sets."),
        (gradients(support, query, rate=len(support[0]) * alpha), "the support loss is a sum. Take the mean."),
        ([len(query[0]) * g for g in exact], "the query loss is a sum of squared errors. Take the mean."),
    )  # fmt: skip
    return exact, gradients(support, query, first_order=True), wrong
