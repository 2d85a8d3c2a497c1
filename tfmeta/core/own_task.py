"""A task of one's own for an environment, as tensors."""

from __future__ import annotations

from typing import Any

import numpy as np
import tensorflow as tf

from tfmeta.core.trials import Environment


def task_like(environment: Environment) -> Any:
    """Shapes and types of one task of an environment.

    Args:
        environment: is asked for a task, which is drawn in a graph that never runs.

    Returns:
        A nest of `tf.TensorSpec` without a leading axis.
    """
    draw = tf.function(lambda key: environment.sample_tasks(1, key), autograph=False)
    drawn = draw.get_concrete_function(tf.TensorSpec([2], tf.int64)).structured_outputs
    return tf.nest.map_structure(lambda tensor: tf.TensorSpec(tensor.shape[1:], tensor.dtype), drawn)


def as_task(environment: Environment, task: Any) -> Any:
    """A task of one's own as tensors.

    Args:
        environment: whose task it is to be.
        task: numbers, lists, arrays or tensors, nested like one of `environment.sample_tasks` without the leading axis;
            a list or a tuple stands for any tuple.

    Returns:
        A nest of tensors like the environment's.

    Raises:
        ValueError: if it has another structure, shapes or kinds of numbers, or a number is not finite.
    """
    like = task_like(environment)
    wanted = tf.nest.flatten(like)
    try:
        parts = [np.asarray(part) for part in _flat(like, task)]
        fits = all(_is_like(part, spec) for part, spec in zip(parts, wanted, strict=True))
    except (TypeError, ValueError):  # of another structure, or ragged
        fits = False
    if not fits:
        shapes = [f"{spec.dtype.name} {list(spec.shape)}" for spec in wanted]
        raise ValueError(f"task must be finite numbers like {', '.join(shapes)}. Received: task={task!r}")
    found = [tf.constant(part, spec.dtype) for part, spec in zip(parts, wanted, strict=True)]
    return tf.nest.pack_sequence_as(like, found)


def _flat(like: Any, task: Any) -> list[Any]:
    """The parts of a task that has the structure of `like`, in the order of `tf.nest.flatten`."""
    if isinstance(like, tf.TensorSpec):
        return [task]
    kinds = dict if isinstance(like, dict) else (tuple, list)
    if not isinstance(task, kinds) or len(task) != len(like) or (kinds is dict and set(task) != set(like)):
        raise TypeError
    places = sorted(like) if kinds is dict else range(len(like))
    return [part for place in places for part in _flat(like[place], task[place])]


def _is_like(part: np.ndarray, spec: tf.TensorSpec) -> bool:
    """Whether an array has the shape and the kind of numbers of a task, all finite; whole numbers pass as others."""
    kinds = {"f": "fiu", "i": "iu", "u": "iu", "b": "b"}[np.dtype(spec.dtype.as_numpy_dtype).kind]
    return part.shape == tuple(spec.shape) and part.dtype.kind in kinds and bool(np.isfinite(part).all())
