"""MAML on one task, as functions of plain tensors: adaptation and the exact meta-gradient.

`tfmeta.stateless` says how a Keras model becomes the function f(theta, x) that these differentiate.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from functools import partial
from typing import NamedTuple

import keras
import tensorflow as tf

from tfmeta.core.cut import Split
from tfmeta.core.episode import Episode
from tfmeta.core.forward import Predictor, Tensors, forward, gradient, values, without_dropout
from tfmeta.core.losses import Loss, accuracy, cross_entropy, query_loss
from tfmeta.core.rates import clipped, inner_rates, watchable

__all__ = [
    "MetaGradient",
    "Tensors",
    "accuracy",
    "adapt",
    "clipped",
    "cross_entropy",
    "forward",
    "inner_rates",
    "inner_update",
    "meta_gradient",
    "query_loss",
    "values",
    "without_dropout",
]

# The loop over inner steps never runs side by side with itself, so one iteration at a time keeps memory lowest.
_IN_ORDER = {"parallel_iterations": 1}


def inner_update(
    learner: keras.Model | Predictor,
    params: Tensors,
    x: tf.Tensor,
    y: tf.Tensor,
    *,
    inner_lr: float | Tensors,
    loss: Loss = cross_entropy,
    first_order: bool = False,
    adapted: Sequence[int] | None = None,
    clip_norm: float | None = None,
    non_trainable: Tensors | None = None,
) -> tuple[list[tf.Tensor], tf.Tensor, tf.Tensor]:
    """One inner step, theta' = theta - alpha * gradient of the support loss.

    Args:
        learner: a built Keras model, or a function of `params` and `x`.
        params: theta, as for `forward`.
        x: support inputs `[batch, ...]`.
        y: support labels or targets `[batch, ...]`.
        inner_lr: alpha, one number or one tensor per adapted parameter tensor.
        loss: function of (targets, outputs).
        first_order: treat the gradient as a constant, so that no second derivative flows.
        adapted: positions in `params` of the tensors that change; all by default. No gradient of others is computed.
        clip_norm: scale the step's gradient down to this global norm where it is longer.
        non_trainable: as for `forward`.

    Returns:
        theta', the support loss at theta (a scalar) and the outputs at theta `[batch, n_outputs]`.

    Raises:
        ValueError: if `inner_lr` is a list of another length than `params`.

    References:
        Finn et al. (2017), equation 1. https://arxiv.org/abs/1703.03400
    """
    positions = range(len(params)) if adapted is None else adapted
    moving = [params[i] for i in positions]
    rates = inner_rates(inner_lr, moving)
    with tf.GradientTape() as tape:
        tape.watch(moving)
        outputs = forward(learner, params, x, non_trainable=non_trainable)
        value = tf.reduce_mean(loss(y, outputs))
    gradients = gradient(tape, value, moving)
    if clip_norm is not None:
        gradients = clipped(gradients, clip_norm)
    if first_order:
        gradients = [tf.stop_gradient(g) for g in gradients]
    new = list(params)
    for i, w, a, g in zip(positions, moving, rates, gradients, strict=True):
        new[i] = w - a * g
    return new, value, outputs


def adapt(
    learner: keras.Model | Predictor,
    params: Tensors,
    support_x: tf.Tensor,
    support_y: tf.Tensor,
    *,
    inner_lr: float | Tensors,
    inner_steps: int,
    loss: Loss = cross_entropy,
    first_order: bool = False,
    adapted: Sequence[int] | None = None,
    clip_norm: float | None = None,
    non_trainable: Tensors | None = None,
) -> list[tf.Tensor]:
    """Fast weights: `inner_steps` gradient steps on the support set, differentiable in `params`.

    Args:
        learner: a built Keras model; it is not changed.
        params: theta, tensors in the order of `learner.trainable_variables`.
        support_x: `[n_way * k_shot, ...]`.
        support_y: `[n_way * k_shot]` labels, or targets.
        inner_lr: alpha, one number or one tensor per adapted parameter tensor.
        inner_steps: M; 0 returns `params`.
        loss: function of (targets, outputs).
        first_order: cut the second derivatives.
        adapted: positions in `params` of the tensors that change; all by default.
        clip_norm: as for `inner_update`.
        non_trainable: as for `forward`.

    Returns:
        theta', tensors like `params`.

    Raises:
        ValueError: if `inner_lr` is a list of another length than `params`.

    References:
        Finn et al. (2017), algorithm 1, lines 5 and 6. https://arxiv.org/abs/1703.03400
    """

    def step(i, fast):
        fast, _, _ = inner_update(
            learner, fast, support_x, support_y,
            inner_lr=inner_lr, loss=loss, first_order=first_order, adapted=adapted, clip_norm=clip_norm,
            non_trainable=non_trainable,
        )  # fmt: skip
        return i + 1, fast

    fast = [tf.identity(weight) for weight in params]
    if inner_steps == 1:  # without the loop's bookkeeping
        return step(0, fast)[1]
    # A loop in the graph keeps the time to trace it the same for any number of steps; in eager code it is Python's.
    return tf.while_loop(
        lambda i, fast: i < inner_steps, step, (tf.constant(0), fast), maximum_iterations=inner_steps, **_IN_ORDER
    )[1]


class MetaGradient(NamedTuple):
    """What one task contributes to an outer step.

    Args:
        loss: query loss at the fast weights, a scalar.
        gradients: its gradient with respect to theta, tensors like `params`.
        rate_gradients: its gradient with respect to the inner rates where these are a list, else `()`.
        query_outputs: outputs on the query set at the fast weights `[n_way * n_query, n_outputs]`.
        statistics: new values of what is averaged over tasks rather than learned, such as batch norm's moving averages
            in MAML++.

    References:
        Finn et al. (2017), equation 2. https://arxiv.org/abs/1703.03400
    """

    loss: tf.Tensor
    gradients: list[tf.Tensor]
    rate_gradients: Tensors
    query_outputs: tf.Tensor
    statistics: Tensors = ()


def meta_gradient(
    learner: keras.Model | Predictor,
    params: Tensors,
    episode: Episode,
    *,
    inner_lr: float | Tensors,
    inner_steps: int,
    loss: Loss = cross_entropy,
    first_order: bool = False,
    gradient_mode: str = "nested",
    adapted: Sequence[int] | None = None,
    clip_norm: float | None = None,
    start: Callable[[Tensors], Tensors] | None = None,
    split: Split | None = None,
    adversarial_epsilon: float = 0.0,
    non_trainable: Tensors | None = None,
) -> MetaGradient:
    """The exact gradient of one task's query loss through its adaptation.

    Args:
        learner: a built Keras model; it is not changed.
        params: theta.
        episode: one task, without a meta-batch axis.
        inner_lr: alpha, one number or one tensor per parameter tensor (then its gradient is returned, too).
        inner_steps: M.
        loss: function of (targets, outputs).
        first_order: FOMAML, the gradient at the fast weights, instead.
        gradient_mode: `"nested"` (two tapes; memory grows with M) or `"mixed"` (`tfmeta.mixed_mode`; memory does not).
        adapted: positions of the tensors that the inner loop changes; all by default. All of theta has a gradient.
        clip_norm: as for `inner_update`; nested tapes only.
        start: the parameters that the inner loop begins with, as a function of theta; theta itself by default. It may
            append tensors, such as Proto-MAML's head.
        split: the learner in two parts (`tfmeta.split`), no tensor of the first one adapting: the support set then
            passes through that part once instead of once per step, to the same result. Nested tapes only.
        adversarial_epsilon: as for `query_loss`.
        non_trainable: as for `forward`.

    Returns:
        A `MetaGradient`.

    Raises:
        ValueError: if `gradient_mode` is unknown or mixed with `clip_norm` or `split`, or `inner_lr` is a list of
            another length than the adapted tensors.

    References:
        Finn et al. (2017), algorithm 2, line 10, and section 5.2 for the first-order approximation.
        https://arxiv.org/abs/1703.03400
    """
    if gradient_mode not in ("nested", "mixed"):
        raise ValueError(f"gradient_mode must be 'nested' or 'mixed'. Received: gradient_mode={gradient_mode!r}")
    for name, value in (("clip_norm", clip_norm), ("split", split)):
        if gradient_mode == "mixed" and value is not None:
            raise ValueError(f"{name} needs gradient_mode='nested'. Received: {name}={value!r} with 'mixed'")
    inner = {"inner_lr": inner_lr, "inner_steps": inner_steps, "loss": loss, "adapted": adapted}
    if gradient_mode == "mixed" and not first_order and inner_steps:
        from tfmeta.core import mixed_mode  # it is built from the functions of this file

        return mixed_mode.meta_gradient(
            learner, params, episode, **inner,
            start=start, adversarial_epsilon=adversarial_epsilon, non_trainable=non_trainable,
        )  # fmt: skip
    params = [tf.identity(weight) for weight in params]
    rates = watchable(inner_lr, params, adapted) if isinstance(inner_lr, list | tuple) else []
    with tf.GradientTape() as outer:
        outer.watch([params, rates])
        adapting, support_x = learner, episode.support_x
        if split is not None:
            support_x = split.body(params, support_x, non_trainable)
            adapting = partial(split.head, non_trainable=non_trainable)
        fast = adapt(
            adapting, params if start is None else start(params), support_x, episode.support_y,
            **(inner | {"inner_lr": rates or inner_lr}),
            first_order=first_order, clip_norm=clip_norm, non_trainable=non_trainable,
        )  # fmt: skip
        value, outputs = query_loss(
            learner, fast, episode, loss=loss, adversarial_epsilon=adversarial_epsilon, non_trainable=non_trainable
        )
    # With the inner gradients held constant d theta' / d theta is the identity: this *is* FOMAML's gradient.
    gradients = gradient(outer, value, [*params, *rates])
    return MetaGradient(value, gradients[: len(params)], gradients[len(params) :], outputs)
