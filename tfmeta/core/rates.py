"""What an inner step multiplies its gradient by: rates, and the factor that clips it."""

from __future__ import annotations

from collections.abc import Sequence

import keras
import tensorflow as tf

from tfmeta.core.forward import Tensors, full_precision


def inner_rates(inner_lr: float | tf.Tensor | Tensors, params: Tensors) -> list[tf.Tensor]:
    """One rate a parameter tensor.

    Args:
        inner_lr: the scalar alpha, or a list of Meta-SGD's rates, each a scalar or of its tensor's shape.
        params: the tensors that are adapted.

    Returns:
        Tensors, as many as `params` and of their types.

    Raises:
        ValueError: if `inner_lr` is a list of another length than `params` or an array, or a rate has another shape.

    References:
        Li et al. (2017), algorithm 1. https://arxiv.org/abs/1707.09835
    """
    if isinstance(inner_lr, list | tuple):
        if len(inner_lr) != len(params):
            raise ValueError(
                f"inner_lr must have one rate for each of the {len(params)} adapted parameter tensors. "
                f"Received: inner_lr with {len(inner_lr)} entries"
            )
        rates = [_number(rate, weight.dtype) for rate, weight in zip(inner_lr, params, strict=True)]
        for i, (rate, weight) in enumerate(zip(rates, params, strict=True)):
            if rate.shape.rank and not rate.shape.is_compatible_with(weight.shape):
                raise ValueError(
                    f"a rate must be one number or have the shape of its parameter tensor, {tuple(weight.shape)}. "
                    f"Received: inner_lr[{i}] with shape={tuple(rate.shape)}"
                )
        return rates
    shape = tf.TensorShape(getattr(inner_lr, "shape", []))
    if shape.rank:
        raise ValueError(
            f"inner_lr must be one number, or a list with one rate for each of the {len(params)} adapted parameter "
            f"tensors. Received: inner_lr of type {type(inner_lr).__name__} with shape={tuple(shape)}"
        )
    return [_number(inner_lr, weight.dtype) for weight in params]


def _number(rate: float | tf.Tensor, dtype: tf.DType) -> tf.Tensor:
    # tf.cast alone would round a Python number to float32 on its way to float64.
    return tf.cast(rate, dtype) if tf.is_tensor(rate) else tf.convert_to_tensor(rate, dtype)


def watchable(rates: Tensors, params: Tensors, adapted: Sequence[int] | None) -> list[tf.Tensor]:
    """Rates as tensors for a tape to watch.

    Args:
        rates: tensors, variables or plain numbers; `inner_rates` checks that there are enough of them.
        params: theta.
        adapted: positions in `params` of the tensors that they are for; all by default.

    Returns:
        Tensors, of plain numbers in the type of their parameter.

    References:
        Li et al. (2017), algorithm 1. https://arxiv.org/abs/1707.09835
    """
    positions = list(range(len(params)) if adapted is None else adapted)
    # A start may have appended parameters, whose types are not known here.
    types = [params[i].dtype for i in positions if i < len(params)] + [params[0].dtype] * len(rates)
    typed = [tf.is_tensor(rate) or isinstance(rate, keras.Variable) for rate in rates]
    return [
        tf.convert_to_tensor(rate, None if has else dtype)
        for rate, has, dtype in zip(rates, typed, types[: len(rates)], strict=True)
    ]


def clipped(gradients: Tensors, norm: float) -> list[tf.Tensor]:
    """Gradients scaled down together to a global norm where theirs is larger.

    Args:
        gradients: tensors.
        norm: the largest root of the sum of all squares.

    Returns:
        Tensors like `gradients`. Unlike `tf.clip_by_global_norm`, whose derivative is not a number where all gradients
        are 0, differentiable wherever the norm is not just `norm`.

    References:
        Pascanu, Mikolov, Bengio (2013), algorithm 1. https://arxiv.org/abs/1211.5063
    """
    wide = [full_precision(g) for g in gradients]
    dtype = wide[0].dtype
    norm = _number(norm, dtype)
    # In units of the largest entry, so that no square overflows.
    unit = tf.stop_gradient(tf.reduce_max([norm, *(tf.cast(tf.reduce_max(tf.abs(g)), dtype) for g in wide)]))
    squared = tf.add_n([tf.reduce_sum((tf.cast(g, dtype) / unit) ** 2) for g in wide])
    limit = norm / unit
    scale = limit / tf.sqrt(tf.maximum(squared, limit**2))
    return [tf.cast(w * tf.cast(scale, w.dtype), g.dtype) for w, g in zip(wide, gradients, strict=True)]
