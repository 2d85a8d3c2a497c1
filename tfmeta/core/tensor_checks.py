"""Types and shapes of tensors that a caller gives, checked before any work starts."""

from __future__ import annotations

import numpy as np
import tensorflow as tf

from tfmeta.core.validation import check_sizes


def check_labels_of(labels: tf.Tensor, logits: tf.Tensor) -> None:
    """Refuse labels and logits of a batch that do not fit each other, by their types and shapes alone.

    Args:
        labels: integers `[batch]`.
        logits: `[batch, n_way]`.

    Raises:
        ValueError: naming both.
    """
    try:
        labels, logits = tf.convert_to_tensor(labels), tf.convert_to_tensor(logits)
        fits = labels.dtype.is_integer and logits.dtype.is_floating
    except (TypeError, ValueError) as error:
        raise ValueError(f"labels and logits must be arrays. Received: labels={labels!r}, logits={logits!r}") from error
    if not fits or not (logits.shape.rank in (2, None) and labels.shape.is_compatible_with(logits.shape[:1])):
        raise ValueError(
            "labels must be integers [batch] and logits floats [batch, n_way]. "
            f"Received: labels with shape={tuple(labels.shape)}, dtype={labels.dtype.name}, logits with "
            f"shape={tuple(logits.shape)}, dtype={logits.dtype.name}"
        )


def as_floats(**one) -> tf.Tensor:
    """A tensor of floating-point numbers, of one argument by its name.

    Args:
        one: an array of any shape.

    Returns:
        The tensor; float16 and wider types as they are.

    Raises:
        ValueError: naming the argument, if it holds no floating-point numbers.
    """
    ((name, given),) = one.items()
    try:
        found = tf.convert_to_tensor(given)
    except (TypeError, ValueError) as error:
        raise ValueError(f"{name} must be floating-point numbers. Received: {name}={given!r}") from error
    if not found.dtype.is_floating:
        raise ValueError(f"{name} must be floating-point numbers. Received: {name} with dtype={found.dtype.name}")
    return found


def check_rows(**matrices: tf.Tensor) -> list[tf.Tensor]:
    """Refuse anything but matrices of floats with rows of one length, by types and shapes alone.

    Args:
        matrices: `[n, dim]` each, by name.

    Returns:
        The matrices as tensors.

    Raises:
        ValueError: naming them.
    """
    received = ", ".join(f"{name} with shape={getattr(x, 'shape', None)}" for name, x in matrices.items())
    try:
        found = [tf.convert_to_tensor(matrix) for matrix in matrices.values()]
    except (TypeError, ValueError) as error:
        raise ValueError(f"{' and '.join(matrices)} must be float matrices [n, dim]. Received: {received}") from error
    widths = [matrix.shape[-1] for matrix in found if matrix.shape.rank == 2 and matrix.dtype.is_floating]
    if len(widths) < len(found) or len({width for width in widths if width is not None}) > 1:
        raise ValueError(f"{' and '.join(matrices)} must be float matrices [n, dim] of one dim. Received: {received}")
    return found


def check_members(labels: tf.Tensor, rows: tf.Tensor, n_way: int | tf.Tensor) -> None:
    """Refuse labels that are not one whole number a row, by types and shapes alone, and a number of ways that is none.

    Args:
        labels: integers `[n]`.
        rows: `[n, ...]`.
        n_way: number of classes.

    Raises:
        ValueError: naming them.
    """
    if not tf.is_tensor(n_way):
        check_sizes(n_way=n_way)
    labels = labels if hasattr(labels, "shape") else np.asarray(labels)
    dtype, shape = labels.dtype, tf.TensorShape(labels.shape)
    whole = str(dtype) != "object" and tf.as_dtype(dtype).is_integer
    if not whole or not shape.is_compatible_with(rows.shape[:1]):
        raise ValueError(
            f"labels must be integers, one for each of the {rows.shape[0]} examples. "
            f"Received: labels with shape={shape}, dtype={dtype}"
        )
