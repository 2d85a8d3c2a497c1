"""Tasks in a list, as one meta-batch."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np
import tensorflow as tf

from tfmeta.core import casting
from tfmeta.core.episode import Episode


def stacked(tasks: Sequence[Any], name: str, *, squeeze: bool = True) -> Episode:
    """Tasks of one size as one meta-batch.

    Args:
        tasks: `Episode`s or four arrays each, without a meta-batch axis.
        name: what the list is called, for the message.
        squeeze: as for `casting.targets_of`.

    Returns:
        An `Episode` of arrays `[meta_batch_size, ...]`, labels int32 and all other numbers float32.

    Raises:
        TypeError: if a task is something else.
        ValueError: if there is none, or tasks differ in shape or type.
    """
    if not tasks:
        raise ValueError(f"{name} must hold at least one episode. Received: an empty list")
    found = [as_arrays(task, f"task {i}", squeeze=squeeze) for i, task in enumerate(tasks)]
    for i, task in enumerate(found):
        same(task, found[0], i)
    return tf.nest.map_structure(lambda *arrays: np.stack(arrays), *found)


def as_arrays(task: Any, what: str, *, squeeze: bool = True) -> Episode:
    """One task as NumPy arrays, labels int32 and all other numbers float32.

    Args:
        task: an `Episode` or four arrays, lists or tensors, without a meta-batch axis.
        what: for the message.
        squeeze: as for `casting.targets_of`.

    Returns:
        An `Episode` of arrays.

    Raises:
        TypeError: if it is something else.
        ValueError: if a part holds no numbers, or examples and labels are not as many.
    """
    if not isinstance(task, tuple | list) or len(task) != 4:
        raise TypeError(
            f"{what} must be an Episode, four arrays support_x, support_y, query_x, query_y. "
            f"Received: {type(task).__name__}" + (f" of {len(task)}" if isinstance(task, tuple | list) else "")
        )
    episode = tf.nest.map_structure(lambda tensor: tensor.numpy(), casting.as_episode(task, 1, squeeze=squeeze))
    episode = tf.nest.map_structure(lambda a: a.astype(np.float32) if a.dtype.kind == "f" else a, episode)
    for part, x, y in (("support", *episode[:2]), ("query", *episode[2:])):
        sizes = {len(a) if a.ndim else 0 for a in tf.nest.flatten((x, y))}
        if len(sizes) != 1 or 0 in sizes:
            shapes = tf.nest.map_structure(lambda a: a.shape, x)
            raise ValueError(
                f"{what}: {part}_x and {part}_y must have the same number of examples, at least one. "
                f"Received: {part}_x with shape={shapes}, {part}_y with shape={y.shape}"
            )
    return episode


def same(task: Episode, first: Episode, number: int) -> list[np.ndarray]:
    """Refuse a task that is not like the first: they are to be stacked.

    Args:
        task: as `as_arrays` gives it.
        first: the first task, likewise.
        number: the task's, for the message.

    Returns:
        The arrays of the task in one list.

    Raises:
        ValueError: naming the shapes and types of both.
    """
    shapes = [[(a.shape, a.dtype.name) for a in tf.nest.flatten(one)] for one in (task, first)]
    if shapes[0] != shapes[1]:
        raise ValueError(
            f"all tasks must have the shapes and types of the first, {shapes[1]}. Received: task {number} with "
            f"{shapes[0]}"
        )
    return tf.nest.flatten(task)
