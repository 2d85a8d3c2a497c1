"""MAML on one task, as functions of plain tensors: fast weights, adaptation, the exact meta-gradient.

A Keras model is used as the function f(theta, x) through `stateless_call`: its variables are never assigned, so the
learner is unchanged, gradients flow through every inner step, and batch-norm statistics are not disturbed. Assigning
the adapted values to variables (`assign_sub`, `set_weights`) instead cuts the graph and yields, with no error, the
first-order gradient.
"""

from __future__ import annotations

import contextlib
from collections.abc import Callable, Iterator, Sequence
from typing import NamedTuple

import keras
import tensorflow as tf

from tfmeta.episodes import Episode
from tfmeta.moments import exact_moments

Tensors = Sequence[tf.Tensor]
Loss = Callable[[tf.Tensor, tf.Tensor], tf.Tensor]

# The loop over inner steps never runs side by side with itself, so one iteration at a time keeps memory lowest.
_IN_ORDER = {"parallel_iterations": 1}


def cross_entropy(labels: tf.Tensor, logits: tf.Tensor) -> tf.Tensor:
    """Mean cross-entropy of integer labels `[batch]` and logits `[batch, n_way]`; a scalar.

    References:
        Finn et al. (2017), equation 3. https://arxiv.org/abs/1703.03400

    Note:
        The paper's code sums over the classes of a task where this takes the mean over examples, so its inner step
        sizes are `n_way` times smaller for the same update.
    """
    return tf.reduce_mean(tf.nn.sparse_softmax_cross_entropy_with_logits(labels, logits))


def accuracy(labels: tf.Tensor, logits: tf.Tensor) -> tf.Tensor:
    """Fraction of rows of logits `[batch, n_way]` whose largest entry is at the label `[batch]`; a scalar in [0, 1].

    References:
        Vinyals et al. (2016), section 4. https://arxiv.org/abs/1606.04080
    """
    hits = tf.argmax(logits, axis=-1, output_type=tf.int32) == tf.cast(labels, tf.int32)
    return tf.reduce_mean(tf.cast(hits, tf.float32))


def values(variables: Sequence[keras.Variable]) -> list[tf.Tensor]:
    """The variables' present values as plain tensors: the theta to start from.

    Args:
        variables: Keras variables.

    Returns:
        Tensors of the same shapes.

    References:
        Finn et al. (2017), algorithm 1, theta. https://arxiv.org/abs/1703.03400
    """
    return [tf.convert_to_tensor(variable.value) for variable in variables]


def forward(
    learner: keras.Model, params: Tensors, x: tf.Tensor, *, non_trainable: Tensors | None = None, training: bool = True
) -> tf.Tensor:
    """The learner's output under other parameters than its own, f(theta', x).

    Args:
        learner: a built Keras model.
        params: tensors in the order and shapes of `learner.trainable_variables`.
        x: inputs `[batch, ...]`.
        non_trainable: values for `learner.non_trainable_variables`; the present ones by default.
        training: `True` lets batch norm use the statistics of `x` itself. Its moving averages are not updated.

    Returns:
        Outputs `[batch, n_outputs]`.

    References:
        Finn et al. (2017), section 2.2, f_theta'. https://arxiv.org/abs/1703.03400
    """
    if non_trainable is None:
        non_trainable = values(learner.non_trainable_variables)
    with exact_moments():
        outputs, _ = learner.stateless_call(list(params), list(non_trainable), x, training=training)
    return outputs


@contextlib.contextmanager
def without_dropout(learner: keras.Model) -> Iterator[None]:
    """Within the block, dropout layers pass everything on although batch norm runs with `training=True`.

    Keras has one `training` flag for both. Judging an adapted model needs batch statistics without dropout's noise.

    Args:
        learner: the model; its dropout rates are put back at the end of the block.

    References:
        Srivastava et al. (2014), "Dropout", section 10. https://jmlr.org/papers/v15/srivastava14a.html
    """
    dropping = [
        layer
        for layer in learner._flatten_layers()
        if isinstance(layer, keras.layers.Dropout | keras.layers.GaussianDropout | keras.layers.AlphaDropout)
    ]
    rates = [layer.rate for layer in dropping]
    try:
        for layer in dropping:
            layer.rate = 0.0
        yield
    finally:
        for layer, rate in zip(dropping, rates, strict=True):
            layer.rate = rate


def _gradient(tape: tf.GradientTape, value: tf.Tensor, params: Tensors) -> list[tf.Tensor]:
    gradients = tape.gradient(value, params, unconnected_gradients=tf.UnconnectedGradients.ZERO)
    return [tf.convert_to_tensor(gradient) for gradient in gradients]


def _rates(inner_lr: float | tf.Tensor | Tensors, params: Tensors) -> list[tf.Tensor]:
    """One rate a parameter tensor: the scalar alpha, or Meta-SGD's rates, each a scalar or of its tensor's shape."""
    if isinstance(inner_lr, list | tuple):
        if len(inner_lr) != len(params):
            raise ValueError(
                f"inner_lr must have one rate for each of the {len(params)} parameter tensors. "
                f"Received: inner_lr with {len(inner_lr)} entries"
            )
        return [_number(rate, weight.dtype) for rate, weight in zip(inner_lr, params, strict=True)]
    return [_number(inner_lr, weight.dtype) for weight in params]


def _number(rate: float | tf.Tensor, dtype: tf.DType) -> tf.Tensor:
    # tf.cast alone would round a Python number to float32 on its way to float64.
    return tf.cast(rate, dtype) if tf.is_tensor(rate) else tf.convert_to_tensor(rate, dtype)


def inner_update(
    learner: keras.Model,
    params: Tensors,
    x: tf.Tensor,
    y: tf.Tensor,
    *,
    inner_lr: float | Tensors,
    loss: Loss = cross_entropy,
    first_order: bool = False,
    non_trainable: Tensors | None = None,
) -> tuple[list[tf.Tensor], tf.Tensor, tf.Tensor]:
    """One inner step, theta' = theta - alpha * gradient of the support loss.

    Args:
        learner: a built Keras model.
        params: theta, as for `forward`.
        x: support inputs `[batch, ...]`.
        y: support labels or targets `[batch, ...]`.
        inner_lr: alpha, one number or one tensor per parameter tensor.
        loss: function of (targets, outputs).
        first_order: treat the gradient as a constant, so that no second derivative flows.
        non_trainable: as for `forward`.

    Returns:
        theta', the support loss at theta (a scalar) and the outputs at theta `[batch, n_outputs]`.

    Raises:
        ValueError: if `inner_lr` is a list of another length than `params`.

    References:
        Finn et al. (2017), equation 1. https://arxiv.org/abs/1703.03400
    """
    rates = _rates(inner_lr, params)
    with tf.GradientTape() as tape:
        tape.watch(params)
        outputs = forward(learner, params, x, non_trainable=non_trainable)
        value = tf.reduce_mean(loss(y, outputs))
    gradients = _gradient(tape, value, params)
    if first_order:
        gradients = [tf.stop_gradient(gradient) for gradient in gradients]
    return [w - a * g for w, a, g in zip(params, rates, gradients, strict=True)], value, outputs


def adapt(
    learner: keras.Model,
    params: Tensors,
    support_x: tf.Tensor,
    support_y: tf.Tensor,
    *,
    inner_lr: float | Tensors,
    inner_steps: int,
    loss: Loss = cross_entropy,
    first_order: bool = False,
    non_trainable: Tensors | None = None,
) -> list[tf.Tensor]:
    """Fast weights: `inner_steps` gradient steps on the support set, differentiable in `params`.

    Args:
        learner: a built Keras model; it is not changed.
        params: theta, tensors in the order of `learner.trainable_variables`.
        support_x: `[n_way * k_shot, ...]`.
        support_y: `[n_way * k_shot]` labels, or targets.
        inner_lr: alpha, one number or one tensor per parameter tensor.
        inner_steps: M; 0 returns `params`.
        loss: function of (targets, outputs).
        first_order: cut the second derivatives.
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
            inner_lr=inner_lr, loss=loss, first_order=first_order, non_trainable=non_trainable,
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

    References:
        Finn et al. (2017), equation 2. https://arxiv.org/abs/1703.03400
    """

    loss: tf.Tensor
    gradients: list[tf.Tensor]
    rate_gradients: Tensors
    query_outputs: tf.Tensor


def meta_gradient(
    learner: keras.Model,
    params: Tensors,
    episode: Episode,
    *,
    inner_lr: float | Tensors,
    inner_steps: int,
    loss: Loss = cross_entropy,
    first_order: bool = False,
    gradient_mode: str = "nested",
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
        non_trainable: as for `forward`.

    Returns:
        A `MetaGradient`.

    Raises:
        ValueError: if `gradient_mode` is unknown, or `inner_lr` is a list of another length than `params`.

    References:
        Finn et al. (2017), algorithm 2, line 10, and section 5.2 for the first-order approximation.
        https://arxiv.org/abs/1703.03400
    """
    if gradient_mode not in ("nested", "mixed"):
        raise ValueError(f"gradient_mode must be 'nested' or 'mixed'. Received: gradient_mode={gradient_mode!r}")
    if gradient_mode == "mixed" and not first_order and inner_steps:
        from tfmeta import mixed_mode  # it is built from the functions of this file

        return mixed_mode.meta_gradient(
            learner, params, episode,
            inner_lr=inner_lr, inner_steps=inner_steps, loss=loss, non_trainable=non_trainable,
        )  # fmt: skip
    params = [tf.identity(weight) for weight in params]
    rates = [tf.identity(rate) for rate in _rates(inner_lr, params)] if isinstance(inner_lr, list | tuple) else ()
    with tf.GradientTape() as outer:
        outer.watch([params, rates])
        fast = adapt(
            learner, params, episode.support_x, episode.support_y,
            inner_lr=rates or inner_lr, inner_steps=inner_steps, loss=loss, first_order=first_order,
            non_trainable=non_trainable,
        )  # fmt: skip
        outputs = forward(learner, fast, episode.query_x, non_trainable=non_trainable)
        value = tf.reduce_mean(loss(episode.query_y, outputs))
    # With the inner gradients held constant d theta' / d theta is the identity: this *is* FOMAML's gradient.
    gradients = _gradient(outer, value, [*params, *rates])
    return MetaGradient(value, gradients[: len(params)], gradients[len(params) :], outputs)
