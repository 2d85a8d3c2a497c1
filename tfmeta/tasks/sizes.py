"""Sizes of episodes: a number, or a range from which one is drawn for each meta-batch."""

from __future__ import annotations

import numpy as np
import tensorflow as tf

from tfmeta.core.validation import check_sizes

Size = int | tuple[int, int]


def checked_sizes(**sizes: Size) -> dict[str, Size]:
    """Refuse sizes that are neither positive whole numbers nor ranges of them.

    Args:
        sizes: numbers, or pairs (lowest, highest).

    Returns:
        The sizes by name; a range that holds one number alone is that number.

    Raises:
        ValueError: naming the first argument that does not fit.
    """
    checked = {}
    for name, value in sizes.items():
        if not isinstance(value, tuple | list | np.ndarray):
            check_sizes(**{name: value})
            checked[name] = int(value)
            continue
        whole = all(isinstance(end, int | np.integer) and not isinstance(end, bool) for end in value)
        if len(value) != 2 or not whole or not 1 <= value[0] <= value[1]:
            raise ValueError(
                f"{name} must be a whole number of at least 1, or a range of them, (lowest, highest). "
                f"Received: {name}={value!r}"
            )
        checked[name] = int(value[0]) if value[0] == value[1] else (int(value[0]), int(value[1]))
    return checked


def largest(size: Size) -> int:
    """The highest number that a size can be."""
    return size if isinstance(size, int) else size[1]


def draw_sizes(sizes: tuple[Size, ...], key: tf.Tensor) -> list[int | tf.Tensor]:
    """Draw a number from each range, all numbers of a range equally likely.

    Args:
        sizes: numbers and ranges.
        key: random key, integers `[2]`; fixed sizes leave it unused.

    Returns:
        For each size itself or an int32 scalar.
    """
    # A key derived from the meta-batch's own: the draws of fixed sizes stay what they are without ranges.
    keys = tf.random.split(tf.random.experimental.stateless_fold_in(key, 2**31 - 1), len(sizes))
    return [
        size if isinstance(size, int) else tf.random.stateless_uniform([], keys[i], size[0], size[1] + 1, tf.int32)
        for i, size in enumerate(sizes)
    ]
