"""Update rules as values: how a task's weights move, given the gradient of its support loss.

A rule is an `Update`, as optimizers are in optax: a function that makes its first state, a function that takes one
step, and the tensors that the outer loop may learn. `tfmeta.core.inner_loop.adapt` applies it. Rules are combined by
`only` and `clipped`; a rule of your own is the same three things.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any, NamedTuple

import keras
import tensorflow as tf

from tfmeta.core.forward import Tensors, full_precision
from tfmeta.core.validation import check_rate, check_sequence, check_steps
from tfmeta.core.words import counted

# Adam's second-moment decay and its guard against division by zero, TensorFlow's values.
_BETA_2, _EPSILON = 0.999, 1e-8


class Update(NamedTuple):
    """How the weights of a task move.

    Args:
        init: takes the tensors that move and gives the rule's state before the first step, a nest of tensors.
        step: takes the step's number k from 0, the tensors that move, their gradients, the state and `learned`; gives
            the moved tensors and the new state. Differentiable in all but k. A rule that reads the loss gets it last.
        learned: tensors that the outer loop may learn, such as rates. `step` gets them as an argument, so that their
            gradient is known also where memory is constant.
        moves: positions of the parameter tensors that move; all by default.
        reads_loss: whether `step` also takes the value of the support loss, a scalar.

    References:
        Finn et al. (2017), algorithm 1, line 6, for the simplest. https://arxiv.org/abs/1703.03400
    """

    init: Callable[[Tensors], Any]
    step: Callable[..., tuple[list[tf.Tensor], Any]]
    learned: Tensors = ()
    moves: tuple[int, ...] | None = None
    reads_loss: bool = False

    def positions(self, params: Tensors) -> list[int]:
        """Positions in `params` of the tensors that move."""
        return list(range(len(params)) if self.moves is None else self.moves)


def _stateless(params: Tensors) -> tuple:
    return ()


def sgd(rate: float | tf.Tensor) -> Update:
    """Gradient descent, theta' = theta - alpha * gradient.

    Args:
        rate: alpha, a number or a scalar tensor, which may be learned.

    Returns:
        The update rule.

    Raises:
        ValueError: if the rate is an array, which does not say which parameter tensor each entry is for.

    References:
        Finn et al. (2017), equation 1. https://arxiv.org/abs/1703.03400
    """
    if tf.TensorShape(getattr(rate, "shape", [])).rank:
        raise ValueError(
            "the rate of sgd must be one number; per_weight takes one rate for each parameter tensor. "
            f"Received: rate of type {type(rate).__name__} with shape={tuple(rate.shape)}"
        )

    check_rate("rate", rate)

    def step(k, params, gradients, state, learned):
        alpha = learned[0] if learned else rate
        return [w - number(alpha, w.dtype) * g for w, g in zip(params, gradients, strict=True)], state

    return Update(_stateless, step, (rate,) if tf.is_tensor(rate) else ())


def per_weight(rates: Tensors) -> Update:
    """Gradient descent with a rate of its own for each parameter tensor, or for each of its entries.

    Args:
        rates: one for each tensor that moves, a scalar or of its shape.

    Returns:
        The update rule; the outer loop may learn the rates.

    References:
        Li et al. (2017), algorithm 1. https://arxiv.org/abs/1707.09835
    """
    check_sequence("rates", rates)

    def step(k, params, gradients, state, learned):
        alphas = inner_rates(list(learned), params)
        return [w - a * g for w, a, g in zip(params, alphas, gradients, strict=True)], state

    return Update(_stateless, step, tuple(rates))


def per_step(rates: Tensors) -> Update:
    """Gradient descent with a rate for each parameter tensor and each step.

    Args:
        rates: one `[inner_steps]` for each tensor that moves; steps beyond use the last entry.

    Returns:
        The update rule; the outer loop may learn the rates.

    References:
        Antoniou et al. (2019), section 4, "LSLR". https://arxiv.org/abs/1810.09502
    """
    check_sequence("rates", rates)

    def step(k, params, gradients, state, learned):
        now = [tf.gather(rate, tf.minimum(k, rate.shape[0] - 1)) for rate in learned]
        return [w - a * g for w, a, g in zip(params, now, gradients, strict=True)], state

    return Update(_stateless, step, tuple(rates))


def adam(rate: float, *, moments: Tensors | None = None, count: float | tf.Tensor = 0.0) -> Update:
    """Adam with beta1 = 0: a gradient divided by the root of a running mean of its squares.

    Args:
        rate: step size.
        moments: running means of squared gradients to start from, tensors like those that move; zeros by default.
        count: number of steps that the moments have seen.

    Returns:
        The update rule. Its state is the moments.

    References:
        Kingma, Ba (2015), section 2. https://arxiv.org/abs/1412.6980; Nichol et al. (2018), section 6.1, for
        beta1 = 0. https://arxiv.org/abs/1803.02999
    """
    check_rate("rate", rate)

    def init(params):
        return [tf.zeros_like(w) for w in params] if moments is None else list(moments)

    def step(k, params, gradients, state, learned):
        seen = count + tf.cast(k + 1, tf.float32)
        return adam_update(params, gradients, state, count=seen, learning_rate=rate)

    return Update(init, step)


def adam_update(
    params: Tensors, gradients: Tensors, moments: Tensors, *, count: int | tf.Tensor, learning_rate: float
) -> tuple[list[tf.Tensor], list[tf.Tensor]]:
    """One step of Adam with beta1 = 0.

    Args:
        params: theta, tensors.
        gradients: of the loss, tensors like `params`.
        moments: running means of squared gradients, tensors like `params`; zeros at first.
        count: number of steps that the moments have seen, this one included, from 1.
        learning_rate: step size.

    Returns:
        The new theta, and the new moments.

    References:
        Kingma, Ba (2015), section 2, the rate with both corrections. https://arxiv.org/abs/1412.6980
    """
    count = tf.cast(count, params[0].dtype)
    # tf.cast would round 0.999 to float32 on its way to float64.
    rate = learning_rate * tf.sqrt(1.0 - tf.convert_to_tensor(_BETA_2, count.dtype) ** count)
    moments = [_BETA_2 * v + (1.0 - _BETA_2) * g**2 for v, g in zip(moments, gradients, strict=True)]
    moved = [
        w - tf.cast(rate, w.dtype) * g / (tf.sqrt(v) + _EPSILON)
        for w, g, v in zip(params, gradients, moments, strict=True)
    ]
    return moved, moments


def only(update: Update, positions: Sequence[int]) -> Update:
    """The same rule for some of the parameter tensors; the others stay as they are, and the outer loop learns all.

    Args:
        update: the rule.
        positions: of the tensors that move.

    Returns:
        The update rule.

    References:
        Raghu et al. (2020), section 4. https://arxiv.org/abs/1909.09157
    """
    check_sequence("positions", positions)
    check_steps(**{f"positions[{i}]": position for i, position in enumerate(positions)})
    return update._replace(moves=tuple(positions))


def clipped(update: Update, norm: float) -> Update:
    """The same rule on gradients that are scaled down together where their global norm is larger.

    Args:
        update: the rule.
        norm: the largest global norm, the root of the sum of all squares.

    Returns:
        The update rule.

    References:
        Pascanu, Mikolov, Bengio (2013), algorithm 1. https://arxiv.org/abs/1211.5063
    """
    check_rate("norm", norm, above=True)

    def step(k, params, gradients, state, learned, *loss):
        return update.step(k, params, clip_gradients(gradients, norm), state, learned, *loss)

    return update._replace(step=step)


def clip_gradients(gradients: Tensors, norm: float) -> list[tf.Tensor]:
    """Scale gradients down together to a global norm where theirs is larger.

    Args:
        gradients: tensors.
        norm: the largest root of the sum of all squares.

    Returns:
        Tensors like `gradients`. `tf.clip_by_global_norm` has a derivative that is not a number where all gradients
        are 0; this is differentiable wherever the norm is not exactly `norm`.

    References:
        Pascanu, Mikolov, Bengio (2013), algorithm 1. https://arxiv.org/abs/1211.5063
    """
    check_sequence("gradients", gradients)
    check_rate("norm", norm, above=True)
    if not len(gradients):
        return []
    wide = [full_precision(g) for g in gradients]
    dtype = wide[0].dtype
    norm = number(norm, dtype)
    # In units of the largest entry, so that no square overflows.
    unit = tf.stop_gradient(tf.reduce_max([norm, *(tf.cast(tf.reduce_max(tf.abs(g)), dtype) for g in wide)]))
    squared = tf.add_n([tf.reduce_sum((tf.cast(g, dtype) / unit) ** 2) for g in wide])
    limit = norm / unit
    scale = limit / tf.sqrt(tf.maximum(squared, limit**2))
    return [tf.cast(w * tf.cast(scale, w.dtype), g.dtype) for w, g in zip(wide, gradients, strict=True)]


def inner_rates(rates: Tensors, params: Tensors) -> list[tf.Tensor]:
    """Rates as tensors, one for each parameter tensor, checked.

    Args:
        rates: numbers or tensors, each a scalar or of its parameter tensor's shape.
        params: the tensors that move.

    Returns:
        Tensors, as many as `params` and of their types.

    Raises:
        ValueError: if there are more or fewer rates than tensors, or a rate has another shape.

    References:
        Li et al. (2017), algorithm 1. https://arxiv.org/abs/1707.09835
    """
    check_sequence("inner_lr", rates)
    check_sequence("params", params)
    if len(rates) != len(params):
        raise ValueError(
            f"inner_lr must have one rate for each of the {len(params)} adapted parameter tensors. "
            f"Received: inner_lr with {counted(len(rates), 'entry', 'entries')}"
        )
    rates = [number(rate, weight.dtype) for rate, weight in zip(rates, params, strict=True)]
    for i, (rate, weight) in enumerate(zip(rates, params, strict=True)):
        if rate.shape.rank and not rate.shape.is_compatible_with(weight.shape):
            raise ValueError(
                f"a rate must be one number or have the shape of its parameter tensor, {tuple(weight.shape)}. "
                f"Received: inner_lr[{i}] with shape={tuple(rate.shape)}"
            )
    return rates


def number(value: float | tf.Tensor, dtype: tf.DType) -> tf.Tensor:
    """A number in a tensor's type; `tf.cast` alone would round it to float32 on its way to float64.

    Args:
        value: a Python number, a tensor or a variable.
        dtype: the type.

    Returns:
        A tensor.
    """
    known = tf.is_tensor(value) or isinstance(value, keras.Variable)
    return tf.cast(value, dtype) if known else tf.convert_to_tensor(value, dtype)
