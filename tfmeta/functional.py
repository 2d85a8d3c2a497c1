"""MAML on one task, as functions of plain tensors: adaptation and the exact meta-gradient of a Keras model.

The notebooks use these. They are the loop of `tfmeta.core.inner_loop` with gradient descent as its update rule, and the
outer gradient of the same file. `tfmeta.core.forward` says how a Keras model becomes the function
f(theta, x) that they differentiate.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import NamedTuple

import keras
import tensorflow as tf

from tfmeta.core import constant_memory, inner_loop
from tfmeta.core.episode import Episode
from tfmeta.core.forward import Predictor, Tensors, check_params, forward, values
from tfmeta.core.inner_loop import support_gradient
from tfmeta.core.losses import Loss, accuracy, check_same_shape, check_task, cross_entropy, default_loss, query_loss
from tfmeta.core.noise import without_dropout
from tfmeta.core.updates import Update, adam, clip_gradients, clipped, inner_rates, only, per_step, per_weight, sgd
from tfmeta.core.validation import check_flags, check_steps
from tfmeta.training.outputs import loss_named

__all__ = [
    "MetaGradient",
    "Tensors",
    "Update",
    "accuracy",
    "adam",
    "adapt",
    "clip_gradients",
    "clipped",
    "cross_entropy",
    "forward",
    "inner_rates",
    "meta_gradient",
    "only",
    "per_step",
    "per_weight",
    "query_loss",
    "sgd",
    "support_gradient",
    "values",
    "without_dropout",
]

_LOOPS = {"nested": inner_loop.adapt, "mixed": constant_memory.adapt_in_constant_memory}


def adapt(
    network: keras.Model | Predictor,
    params: Tensors,
    support_x: tf.Tensor,
    support_y: tf.Tensor,
    *,
    inner_lr: float | Tensors | Update,
    inner_steps: int,
    loss: Loss | str = default_loss,
    first_order: bool = False,
    adapted: Sequence[int] | None = None,
) -> list[tf.Tensor]:
    """Fast weights: `inner_steps` steps on the support set, differentiable in `params`.

    Args:
        network: a built Keras model, which is not changed; or a function of parameters and inputs.
        params: theta, tensors in the order of `network.trainable_variables`.
        support_x: `[n_way * k_shot, ...]`.
        support_y: `[n_way * k_shot]` labels, or targets.
        inner_lr: alpha, one number or one tensor for each adapted parameter tensor; or an `Update`, any other rule.
        inner_steps: M; 0 returns `params`.
        loss: function of (targets, outputs), a Keras loss or its name such as `"mse"`; by default cross-entropy of
            logits for integer labels and mean squared error otherwise.
        first_order: cut the second derivatives.
        adapted: positions in `params` of the tensors that change; all by default.

    Returns:
        theta', tensors like `params`.

    Raises:
        ValueError: if `inner_lr` is an array, or a list of another length than the adapted tensors.

    References:
        Finn et al. (2017), algorithm 1, lines 5 and 6. https://arxiv.org/abs/1703.03400
    """
    loss = _named(loss)
    check_task(network, Episode(support_x, support_y, support_x, support_y), loss)
    check_params(network, params)
    if not tf.is_tensor(inner_steps):  # which a graph may be given
        check_steps(inner_steps=inner_steps)
    if adapted is not None and max([-1, *only(sgd(0.0), adapted).moves]) >= len(params):
        raise ValueError(f"adapted must be positions in the {len(params)} params. Received: adapted={adapted!r}")
    rule = _rule(inner_lr, params, adapted)
    support_loss = _support_loss(network, support_x, support_y, loss)
    return inner_loop.adapt(support_loss, params, rule, inner_steps, first_order=first_order).params


class MetaGradient(NamedTuple):
    """What one task contributes to an outer step.

    Args:
        loss: query loss at the fast weights, a scalar.
        gradients: its gradient with respect to theta, tensors like `params`.
        rate_gradients: its gradient with respect to what the update rule learns, such as inner rates; else `()`.
        query_outputs: outputs on the query set at the fast weights `[n_way * n_query, n_outputs]`.

    References:
        Finn et al. (2017), equation 2. https://arxiv.org/abs/1703.03400
    """

    loss: tf.Tensor
    gradients: list[tf.Tensor]
    rate_gradients: Tensors
    query_outputs: tf.Tensor


def meta_gradient(
    network: keras.Model | Predictor,
    params: Tensors,
    episode: Episode,
    *,
    inner_lr: float | Tensors | Update,
    inner_steps: int,
    loss: Loss | str = default_loss,
    first_order: bool = False,
    gradient_mode: str = "nested",
) -> MetaGradient:
    """The exact gradient of one task's query loss through its adaptation.

    Args:
        network: a built Keras model, which is not changed; or a function of parameters and inputs.
        params: theta.
        episode: one task, without a meta-batch axis.
        inner_lr: alpha, one number or one tensor for each parameter tensor, whose gradient is returned, too; or an
            `Update`, any other rule.
        inner_steps: M.
        loss: function of (targets, outputs), a Keras loss or its name such as `"mse"`; by default cross-entropy of
            logits for integer labels and mean squared error otherwise.
        first_order: FOMAML, the gradient at the fast weights, instead.
        gradient_mode: `"nested"` (two tapes; memory grows with M) or `"mixed"` (`tfmeta.core.constant_memory`; it does
            not).

    Returns:
        A `MetaGradient`.

    Raises:
        ValueError: if `gradient_mode` is unknown, or `inner_lr` is a list of another length than the tensors.

    References:
        Finn et al. (2017), algorithm 2, line 10, and section 5.2 for the first-order approximation.
        https://arxiv.org/abs/1703.03400
    """
    if gradient_mode not in _LOOPS:
        raise ValueError(f"gradient_mode must be 'nested' or 'mixed'. Received: gradient_mode={gradient_mode!r}")
    loss = _named(loss)
    check_task(network, episode, loss)
    check_params(network, params)
    if not tf.is_tensor(inner_steps):  # which a graph may be given
        check_steps(inner_steps=inner_steps)
    check_flags(first_order=first_order)
    # A scalar tensor is one rate for all, which nobody asks the gradient of; a list is learned.
    rule = _rule(inner_lr, params, None)
    learned = list(rule.learned) if isinstance(inner_lr, list | tuple) else []
    support_loss = _support_loss(network, episode.support_x, episode.support_y, loss)

    def task_loss(both):
        theta, learned = both
        update = rule._replace(learned=tuple(learned)) if learned else rule
        fast = _LOOPS[gradient_mode](support_loss, theta, update, inner_steps, first_order=first_order).params
        return query_loss(network, fast, episode, loss=loss)

    # With the inner gradients held constant d theta' / d theta is the identity: this *is* FOMAML's gradient.
    (value, outputs), (gradients, of_rates) = inner_loop.meta_gradient(task_loss, (list(params), learned))
    return MetaGradient(value, gradients, of_rates, outputs)


def _rule(inner_lr: float | Tensors | Update, params: Tensors, adapted: Sequence[int] | None) -> Update:
    if isinstance(inner_lr, Update):
        rule = inner_lr
    elif isinstance(inner_lr, list | tuple):
        moving = params if adapted is None else [params[i] for i in adapted]
        rule = per_weight(inner_rates(inner_lr, moving))
    else:
        rule = sgd(inner_lr)
    return rule if adapted is None else only(rule, adapted)


def _named(loss: Loss | str) -> Loss:
    """A loss by its name, or itself. Only sparse ones compare targets with outputs of another shape."""
    if not isinstance(loss, str):
        return loss
    found = loss_named(loss)

    def checked(targets, outputs):
        if not getattr(found, "__name__", "").startswith("sparse"):
            check_same_shape(tf.convert_to_tensor(targets), outputs)
        return found(targets, outputs)

    return checked


def _support_loss(network, x, y, loss) -> inner_loop.SupportLoss:
    return lambda params, k: tf.reduce_mean(loss(y, forward(network, params, x)))
