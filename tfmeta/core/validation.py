"""What a caller gives, numbers and the types and shapes of tensors, checked before any work starts."""

from __future__ import annotations

import numpy as np
import tensorflow as tf


def check_sizes(**sizes: int) -> None:
    """Refuse sizes that are not positive whole numbers.

    Raises:
        ValueError: naming the first argument that is zero, negative or no integer.
    """
    for name, value in sizes.items():
        if isinstance(value, bool) or not isinstance(value, int | np.integer) or value < 1:
            raise ValueError(f"{name} must be a whole number of at least 1. Received: {name}={value!r}")


def check_seed(seed: int) -> None:
    """Refuse a seed that is not a non-negative whole number below 2**63.

    Raises:
        ValueError: naming the seed.
    """
    if isinstance(seed, bool) or not isinstance(seed, int | np.integer) or not 0 <= seed < 2**63:
        raise ValueError(f"seed must be a whole number from 0 to 2**63 - 1. Received: seed={seed!r}")


def check_steps(**steps: int) -> None:
    """Refuse anything but whole numbers of at least 0 as numbers of inner steps.

    Raises:
        ValueError: naming the argument.
    """
    for name, value in steps.items():
        if isinstance(value, bool) or not isinstance(value, int | np.integer) or value < 0:
            raise ValueError(f"{name} must be a whole number of at least 0. Received: {name}={value!r}")


def check_number(name: str, value: float, *, above: bool = False) -> None:
    """Refuse anything but a finite number of at least 0 (or above 0).

    Args:
        name: the argument's name, for the message.
        value: what was given.
        above: whether 0 itself is refused.

    Raises:
        ValueError: naming the argument.
    """
    fits = (
        isinstance(value, int | float | np.integer | np.floating)
        and not isinstance(value, bool)
        and 0 <= value < float("inf")
    )
    if not fits or (above and value == 0):
        wanted = "above 0" if above else "of at least 0"
        raise ValueError(f"{name} must be a number {wanted}. Received: {name}={value!r}")


def check_rate(name: str, rate: float, *, above: bool = False) -> None:
    """Refuse a Python number that is no finite number of at least 0; tensors are taken as they are.

    Args:
        name: the argument's name, for the message.
        rate: a number, or a tensor, of which a graph may not know the value yet.
        above: whether 0 itself is refused.

    Raises:
        ValueError: naming the argument.
    """
    if isinstance(rate, np.generic) or not hasattr(rate, "shape"):
        check_number(name, rate, above=above)


def check_flags(**flags: bool) -> None:
    """Refuse anything but True and False, since "no" counts as true.

    Raises:
        ValueError: naming the argument.
    """
    for name, value in flags.items():
        if not isinstance(value, bool | np.bool_):
            raise ValueError(f"{name} must be True or False. Received: {name}={value!r}")


def check_sequence(name: str, value) -> None:
    """Refuse what has no entries, and strings, whose entries are letters.

    Args:
        name: the argument's name, for the message.
        value: what was given.

    Raises:
        TypeError: naming the argument.
    """
    if isinstance(value, str | bytes) or not hasattr(value, "__iter__"):
        raise TypeError(f"{name} must be a sequence. Received: {name}={value!r}")


def check_gradient_mode(gradient_mode: str) -> None:
    """Refuse an unknown way to a meta-gradient.

    Raises:
        ValueError: naming the ways there are.
    """
    if gradient_mode not in ("nested", "mixed"):
        raise ValueError(f"gradient_mode must be 'nested' or 'mixed'. Received: gradient_mode={gradient_mode!r}")


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
