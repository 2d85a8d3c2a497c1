"""Checks of tutorial 02: the gradient through an inner step."""

from __future__ import annotations

import keras
import numpy as np
import tensorflow as tf

from tfmeta import functional
from tfmeta.checks.report import Result, judge, require
from tfmeta.core.episode import Episode


def quadratic_meta_gradient(answer) -> Result:
    """Check the meta-gradient of one inner step on a quadratic loss, L(theta) = theta^T A theta / 2 - b^T theta.

    Args:
        answer: `answer(theta, A, b, inner_lr)` with `theta` `[d]`, symmetric `A` `[d, d]` and `b` `[d]` (NumPy arrays);
            returns the gradient `[d]` of L(theta - inner_lr * grad L(theta)) with respect to `theta`.

    Returns:
        A `Result`. Rejected with words of their own: the first-order gradient, the gradient without adaptation, the
        factor at the wrong place or with the wrong sign.

    References:
        Finn et al. (2017), equation 1 and section 2.2. https://arxiv.org/abs/1703.03400
    """
    return judge("quadratic_meta_gradient", answer, _examine_quadratic)


def _examine_quadratic(call) -> str:
    rng = np.random.default_rng(0)
    for dim in (2, 4):
        root = rng.normal(size=(dim, dim))
        A, b, theta, alpha = root @ root.T + np.eye(dim), rng.normal(size=dim), rng.normal(size=dim), 0.07
        before = theta.copy()
        found = np.asarray(call(theta, A, b, alpha), dtype=np.float64)
        require(np.array_equal(theta, before), "your function changed `theta` itself. Compute a new array instead.")
        require(found.shape == (dim,), f"the gradient must have theta's shape {(dim,)}; yours has {found.shape}.")
        gradient = A @ theta - b
        adapted = theta - alpha * gradient
        at_adapted = A @ adapted - b
        factor = np.eye(dim) - alpha * A
        wrong = (
            (at_adapted, "this is the first-order gradient, the gradient of L at theta'. The factor I - alpha A, which "
                         "says how theta' moves when theta moves, is missing. (On a quadratic, (I - alpha A) times the "
                         "gradient at theta is the same thing: the factor belongs before the gradient at theta'.)"),
            (gradient, "this is the gradient of L at theta: nothing has been adapted. Take it at theta' and multiply."),
            ((np.eye(dim) + alpha * A) @ at_adapted, "the sign inside the factor is wrong: theta' = theta *minus* "
                                                     "alpha times the gradient."),
            (factor @ adapted, "you multiplied theta' itself. Multiply the gradient of L at theta'."),
            (adapted, "this is theta', the adapted parameters, not a gradient."),
            (-factor @ at_adapted, "this is the descent direction. The gradient has the opposite sign."),
        )  # fmt: skip
        exact = factor @ at_adapted
        if not np.allclose(found, exact, rtol=1e-6, atol=1e-9):
            for value, message in wrong:
                require(not np.allclose(found, value, rtol=1e-6, atol=1e-9), message)
            require(False, f"the relative error is {_distance([found], [exact]):.1e}. Write theta' first, then "
                           "(I - alpha A) times the gradient at theta'.")  # fmt: skip
    return "it equals (I - alpha A) grad L(theta') in 2 and in 4 dimensions."


def detect_assign(answer) -> Result:
    """Check a meta-gradient of a Keras model for what `assign` and `set_weights` do to it.

    Args:
        answer: `answer(learner, episode, inner_lr)` with a built Keras model and one `Episode` of regression; one inner
            step on the mean squared error of the support set. Returns the gradient of the query loss at theta' with
            respect to theta, a list in the order of `learner.trainable_variables`.

    Returns:
        A `Result`. Rejected with words of their own: an inner loop that writes to variables (`assign`, `assign_sub`,
        `set_weights`) and so leaves the model adapted or yields the first-order gradient, no gradient at all, no
        adaptation, adaptation on the query set, judgement on the support set.

    References:
        Finn et al. (2017), section 2.2: the meta-gradient involves a gradient through a gradient.
        https://arxiv.org/abs/1703.03400
    """
    return judge("detect_assign", answer, _examine_assign)


def _examine_assign(call) -> str:
    learner, episode = small_regression(seed=0)
    alpha = 0.2
    start = [variable.numpy().copy() for variable in learner.trainable_variables]
    theta = functional.values(learner.trainable_variables)

    def gradients(support, query, inner_steps=1, first_order=False):
        task = Episode(*support, *query)
        found = functional.meta_gradient(
            learner, theta, task, inner_lr=alpha, inner_steps=inner_steps, loss=squared_error, first_order=first_order
        )
        return [gradient.numpy() for gradient in found.gradients]

    support, query = episode[:2], episode[2:]
    exact = gradients(support, query)
    first_order = gradients(support, query, first_order=True)
    unadapted = gradients(support, query, inner_steps=0)
    on_query = (gradients(query, query), gradients(query, query, first_order=True))
    on_support = (gradients(support, support), gradients(support, support, first_order=True))

    found = list(call(learner, episode, alpha))
    moved = max(np.abs(v.numpy() - s).max() for v, s in zip(learner.trainable_variables, start, strict=True))
    for variable, value in zip(learner.trainable_variables, start, strict=True):
        variable.assign(value)
    require(
        len(found) == len(start),
        f"return one gradient per trainable variable, {len(start)} in all; yours are {len(found)}.",
    )
    require(
        all(gradient is not None for gradient in found),
        "a gradient is None: the tape sees no path from theta to the query loss. Writing values into variables "
        "(assign, set_weights) hands over numbers and cuts the path; pass theta' as tensors through stateless_call.",
    )
    found = [np.asarray(gradient) for gradient in found]
    require(
        [gradient.shape for gradient in found] == [value.shape for value in start],
        "the gradients must have the shapes of `learner.trainable_variables`, in that order.",
    )
    cut = _distance(found, first_order) < 1e-6
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
        "this is the first-order gradient. Somewhere between theta and theta' the path is cut: the inner gradient was "
        "taken outside the outer tape, turned into NumPy, stopped, or written to variables (assign, set_weights) and "
        "the old values put back.",
    )
    require(_distance(found, unadapted) > 1e-6, "this is the gradient of the query loss at theta: nothing was adapted.")
    require(
        min(_distance(found, wrong) for wrong in on_query) > 1e-6,
        "the inner step was taken on the query set. Adapt on support_x, support_y; the queries are there to judge.",
    )
    require(
        min(_distance(found, wrong) for wrong in on_support) > 1e-6,
        "the outer loss was taken on the support set. Judge theta' on query_x, query_y.",
    )
    error = _distance(found, exact)
    require(
        error < 1e-5,
        f"the relative error against the exact gradient is {error:.1e}. Check the loss (the mean of squared errors in "
        "both loops) and the inner step, theta - inner_lr * gradient.",
    )
    return "the exact second-order gradient, and the learner is as it was."


def squared_error(targets, outputs):
    """Mean squared error of a batch.

    Args:
        targets: `[batch, n_outputs]`.
        outputs: `[batch, n_outputs]`.

    Returns:
        A scalar.
    """
    return tf.reduce_mean(tf.math.squared_difference(outputs, targets))


def small_regression(seed: int) -> tuple[keras.Model, Episode]:
    """A built float64 model with 13 parameters, and a task for it, the same for the same seed."""
    rng = np.random.default_rng(seed)
    inputs = keras.Input((2,), dtype="float64")
    hidden = keras.layers.Dense(3, activation="tanh", dtype="float64")(inputs)
    learner = keras.Model(inputs, keras.layers.Dense(1, dtype="float64")(hidden))
    for variable in learner.trainable_variables:
        variable.assign(rng.normal(size=variable.shape))
    parts = [rng.normal(size=shape) for shape in ((5, 2), (5, 1), (7, 2), (7, 1))]
    return learner, Episode(*(tf.constant(part) for part in parts))


def _distance(found, wanted) -> float:
    """Relative distance of two lists of arrays, taken as one long vector."""
    a, b = (np.concatenate([np.ravel(part) for part in parts]) for parts in (found, wanted))
    return float(np.linalg.norm(a - b) / max(np.linalg.norm(b), 1e-30))
