"""The range of the inputs that a learner was trained on, and inputs in another one."""

from __future__ import annotations

import math
import warnings
from typing import Any, NamedTuple

import tensorflow as tf


class Scale(NamedTuple):
    """Smallest, largest and mean number of inputs.

    Args:
        low: smallest.
        high: largest.
        mean: mean; not-a-number where it is not known.
    """

    low: float
    high: float
    mean: float


def scale_of(x: tf.Tensor) -> Scale:
    """Measure inputs.

    Args:
        x: numbers of any shape.

    Returns:
        Their `Scale`.
    """
    x = tf.cast(x, tf.float32)
    return Scale(*(float(of(x)) for of in (tf.reduce_min, tf.reduce_max, tf.reduce_mean)))


def scale_of_images(x: Any) -> Scale | None:
    """The scale of a meta-batch of images.

    Args:
        x: inputs `[meta_batch_size, n, ...]`.

    Returns:
        Their `Scale`, None where they are no images: other numbers have no range that a new task must keep to.
    """
    images = isinstance(x, tf.Tensor) and x.dtype.is_floating and x.shape.rank == 5 and x.shape[-1] in (1, 3, 4)
    return scale_of(x) if images else None


def limits(seen: Scale) -> tuple[float, float]:
    """How far images may go beyond those of training.

    Args:
        seen: the scale of the images of training.

    Returns:
        The lowest and the highest number that is let through.
    """
    room = 0.5 * (seen.high - min(seen.low, 0.0))
    return seen.low - room / 5, seen.high + room


def between(low: float, high: float) -> str:
    """The message to those whose images lie elsewhere, up to the numbers that were received.

    Args:
        low: the smallest number that is let through.
        high: the largest one.

    Returns:
        Text that ends in "Received: images from".
    """
    words = "images must be scaled as in training (tfmeta.datasets.load_images does), and lie between"
    return f"{words} {low:.3g} and {high:.3g}. Received: images from"


def check_range(seen: Scale | None, x: Any) -> None:
    """Refuse what an adapted model refuses, images in another range than those of training; says nothing in a graph.

    Args:
        seen: the scale of the images of training; None where none were seen.
        x: inputs `[batch, ...]`.

    Raises:
        ValueError: naming the range and what was received.
    """
    if seen is None or seen.high <= 0 or not tf.executing_eagerly():
        return
    low, high = limits(seen)
    now = scale_of(tf.convert_to_tensor(x))
    if not (low <= now.low and now.high <= high):
        raise ValueError(f"{between(low, high)} {now.low:.3g} to {now.high:.3g}")


def check_scale(seen: Scale | None, x: Any) -> None:
    """Refuse images in another range than those of training, and warn where black and white are swapped.

    Args:
        seen: the scale of the images of training; None where none were seen.
        x: inputs `[meta_batch_size, n, ...]`.

    Raises:
        ValueError: naming both ranges.
    """
    now = None if seen is None else scale_of_images(x)
    if now is None or seen.high <= 0:
        return
    low, high = limits(seen)
    too_dark = 0 < now.high < seen.high / 16
    if now.high > high or now.low < low or too_dark:
        raise ValueError(
            f"images must be scaled as in training, from {seen.low:.3g} to {seen.high:.3g}. "
            f"Received: support_x from {now.low:.3g} to {now.high:.3g}"
            + (" (divided by 255 once too often?)" if too_dark else "")
        )
    mirrored = seen.low + seen.high - seen.mean
    if not math.isnan(seen.mean) and abs(now.mean - mirrored) < abs(now.mean - seen.mean) - 0.3 * (
        seen.high - seen.low
    ):
        warnings.warn(
            f"the images look inverted: their mean is {now.mean:.2f}, in training it was {seen.mean:.2f}. Omniglot has "
            "white ink on black; for dark ink on white give 1 - images",
            stacklevel=4,
        )
