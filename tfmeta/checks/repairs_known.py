"""MAML steps of a body and a head that are nearly right, and what to say about each."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
import tensorflow as tf

from tfmeta.checks.problems import not_from_logits
from tfmeta.core.episode import Episode
from tfmeta.core.losses import cross_entropy

ALPHA, BETA = 0.7, 0.5
ONLY_BODY = (
    "fault 5 is still there: only the body is updated by the outer step. The head's starting point is a part of theta, "
    "too: give the optimizer the gradients and variables of body *and* head."
)
REBUILT = (
    "fault 3 is still there: the head was rebuilt from its configuration, which holds shapes and names, no weights. "
    "The "
    "outer loss must use the *adapted* head: call the head that you have with theta', by stateless_call."
)
FAULT_1 = (
    "fault 1 is still there: the inner step is taken on the query set. The learner adapts to the very answers on which "
    "it is judged. Take it on support_x, support_y."
)
FAULT_4 = (
    "fault 4 is still there: the softmax is taken twice, or a loss of probabilities gets logits. The head gives "
    "logits: "
    "use a loss that says `logits` (from_logits=True), and no softmax of your own."
)
UNADAPTED_HEAD = (
    "the outer loss uses the head as it was before the inner step: only the body was adapted (that is BOIL). Adapt the "
    "head, too, and use the adapted one."
)


def moved(start, gradients, rate=BETA):
    """Weights after a step down the gradients.

    Args:
        start: the weights before the step, a list of arrays.
        gradients: tensors of the same shapes.
        rate: step size.

    Returns:
        A list of arrays.
    """
    return [w - rate * np.asarray(g) for w, g in zip(start, gradients, strict=True)]


def logits_of(params, x):
    """Body and head as one function of their weights.

    Args:
        params: parameters, a list of tensors.
        x: inputs `[batch, ...]`.

    Returns:
        `[batch, n_way]`.
    """
    kernel, bias, head, head_bias = params
    return tf.matmul(tf.tanh(tf.matmul(x, kernel) + bias), head) + head_bias


def twice(labels, logits):
    """A softmax before a loss that takes one.

    Args:
        labels: integers `[batch]`.
        logits: `[batch, n_way]`.

    Returns:
        A scalar.
    """
    return cross_entropy(labels, tf.nn.softmax(logits))


def _task_loss(theta, episode: Episode, alpha=ALPHA, inner=cross_entropy, outer=cross_entropy, moves=(1, 1, 1, 1),
               first_order=False, head_of=None):  # fmt: skip
    with tf.GradientTape() as tape:
        tape.watch(theta)
        loss = inner(episode.support_y, logits_of(theta, episode.support_x))
    gradients = tape.gradient(loss, theta)
    if first_order:
        gradients = [tf.stop_gradient(g) for g in gradients]
    fast = [w - alpha * on * g for w, g, on in zip(theta, gradients, moves, strict=True)]
    if head_of is not None:
        fast = [*fast[:2], *head_of(theta)]
    return fast, outer(episode.query_y, logits_of(fast, episode.query_x))


def gradient_of(start, episode: Episode, **how):
    """The gradient of the query loss with respect to theta.

    Args:
        start: the weights before the step, a list of arrays.
        episode: one task.
        **how: options of one task's gradient.

    Returns:
        A list of tensors.
    """
    theta = [tf.constant(w) for w in start]
    with tf.GradientTape() as tape:
        tape.watch(theta)
        _, loss = _task_loss(theta, episode, **how)
    return tape.gradient(loss, theta, unconnected_gradients=tf.UnconnectedGradients.ZERO)


def loss_of(start, episode: Episode, **how) -> float:
    """The query loss at theta'.

    Args:
        start: the weights before the step, a list of arrays.
        episode: one task.
        **how: options of one task's gradient.

    Returns:
        A scalar.
    """
    return float(_task_loss([tf.constant(w) for w in start], episode, **how)[1])


def zeros_for_head(theta):
    """The weights of a head rebuilt from the configuration of the one that the check gives."""
    return [tf.zeros_like(w) for w in theta[2:]]


def _own(theta):
    return theta[2:]


def on_queries(episode: Episode) -> Episode:
    """The query set in the support set's place."""
    return Episode(*episode[2:], *episode[2:])


def wrong_steps(start, episode: Episode, exact):
    """Known wrong answers, one by one: new weights, and what to say.

    Args:
        start: the weights before the step, a list of arrays.
        episode: one task.
        exact: the exact gradient.

    Returns:
        Pairs of new parameters and what to say, one by one.
    """

    def first(**how):
        return gradient_of(start, episode, first_order=True, **how)

    first_order = first()
    fast = _task_loss([tf.constant(w) for w in start], episode)[0]
    body_only: Callable = lambda gradients: moved(start, [*gradients[:2], *zeros_for_head(gradients)])  # noqa: E731
    head_only: Callable = lambda gradients: moved(start, [0 * g for g in gradients[:2]] + gradients[2:])  # noqa: E731
    yield start, "no outer step was taken: body and head are as they were. Let the optimizer apply the gradients."
    assigned = (
        "fault 2 is still there: theta' was written into the variables (set_weights, assign). The outer gradient is "
        "then "
        "first order, and the optimizer moves theta' instead of theta: the next task starts from this task's weights. "
        "Keep theta' as tensors."
    )
    written = (
        "the optimizer was applied to theta', or theta' was written into the variables. The outer step moves theta."
    )
    yield moved(fast, first_order), assigned
    yield [w - BETA * (g if i < 2 else 0) for i, (w, g) in enumerate(zip(fast, first_order, strict=True))], assigned
    yield moved(fast, exact), f"the gradient is exact, but {written}"
    yield fast, f"body and head hold theta': {written}"
    yield body_only(exact), ONLY_BODY
    yield body_only(first_order), f"{ONLY_BODY} And the gradient is first order."
    yield head_only(exact), "only the head is updated by the outer step. Theta is body *and* head."
    cut = (
        "this is the first-order step: from theta to theta' the path is cut (stop_gradient, .numpy(), set_weights and "
        "the old values put back, an inner step outside the outer tape, or the gradient with respect to theta'). The "
        "factor I - alpha H is lost."
    )
    yield moved(start, first_order), cut
    yield moved(start, exact, -BETA), "this climbs: give the optimizer the gradients, not minus the gradients."
    yield moved(start, exact, 2 * BETA), "the optimizer was applied twice."
    for order in (False, True):
        for losses in ({"inner": twice, "outer": twice}, {"outer": twice}, {"inner": twice},
                       {"inner": not_from_logits, "outer": not_from_logits}, {"outer": not_from_logits},
                       {"inner": not_from_logits}):  # fmt: skip
            yield moved(start, gradient_of(start, episode, first_order=order, **losses)), FAULT_4
        yield moved(start, gradient_of(start, on_queries(episode), first_order=order)), FAULT_1
        zeros, own = (gradient_of(start, episode, first_order=order, head_of=head) for head in (zeros_for_head, _own))
        yield moved(start, zeros), REBUILT
        yield body_only(zeros), REBUILT
        yield moved(start, own), UNADAPTED_HEAD
        support = Episode(*episode[:2], *episode[:2])
        yield (
            moved(start, gradient_of(start, support, first_order=order)),
            ("the outer loss was taken on the support set. Judge theta' on query_x, query_y."),
        )
        head_moves = gradient_of(start, episode, first_order=order, moves=(0, 0, 1, 1))
        yield moved(start, head_moves), "only the head took the inner step (that is ANIL). MAML adapts the body, too."
    yield moved(start, gradient_of(start, episode, alpha=0.0)), "nothing was adapted: this is joint training."
    yield moved(start, gradient_of(start, episode, alpha=-ALPHA)), "the inner step climbs: subtract its gradient."
    yield moved(start, gradient_of(start, episode, alpha=1.0)), "inner_lr is missing in the inner step."
    n, m = len(episode.support_y), len(episode.query_y)
    yield moved(start, exact, m * BETA), "the query losses are added up. Take their mean."
    yield (
        moved(start, gradient_of(start, episode, alpha=n * ALPHA)),
        "the support losses are added up. Take their mean.",
    )
    yield moved(start, gradient_of(start, episode, alpha=n * ALPHA), m * BETA), "losses are added up. Take their means."
