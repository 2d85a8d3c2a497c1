"""Episodes of one's own, in whatever types they come, as the tensors that a learner takes."""

from __future__ import annotations

from typing import Any

import numpy as np
import tensorflow as tf

from tfmeta.core.episode import Episode


def tensors_of(x: Any, name: str) -> Any:
    """Inputs as float tensors.

    Args:
        x: an array, a list, a pandas object or a tensor `[..., n, ...]`; or a dictionary or tuple of them, for a
            network with several inputs.
        name: for the message.

    Returns:
        The same nest of tensors: floats as they are, other whole numbers than bytes as float32.

    Raises:
        ValueError: if they are no numbers, or bytes, which nobody has scaled.
    """
    if isinstance(x, dict):
        return {key: tensors_of(value, f"{name}[{key!r}]") for key, value in x.items()}
    if isinstance(x, tuple):
        return tuple(tensors_of(value, f"{name}[{i}]") for i, value in enumerate(x))
    if not tf.is_tensor(x):
        x = _numbers(x, name)
    if x.dtype in (tf.uint8, np.uint8):
        raise ValueError(f"{name} must be scaled as in training, floats in [0, 1]. Received: {name} with dtype=uint8")
    x = tf.convert_to_tensor(x)
    return x if x.dtype.is_floating else tf.cast(x, tf.float32)


def _numbers(x: Any, name: str) -> np.ndarray:
    try:
        found = np.asarray(x)
    except ValueError as error:  # rows of different lengths
        raise ValueError(f"{name} must be an array of numbers. Received: {name} that is none ({error})") from error
    if found.dtype == object:
        try:
            found = np.array(found.tolist())  # of the type that its numbers have
            found = found.astype(np.float64) if found.dtype == object else found
        except (TypeError, ValueError) as error:
            raise ValueError(f"{name} must be numbers. Received: {name} with {error}") from error
    if found.dtype.kind not in "biuf":
        raise ValueError(f"{name} must be numbers. Received: {name} with dtype={found.dtype}")
    return found


def targets_of(y: Any, name: str, axes: int = 1, *, squeeze: bool = True) -> tf.Tensor:
    """Labels as int32, other targets as floats.

    Args:
        y: an array, a list, a pandas object or a tensor.
        name: for the message.
        axes: 1 for the labels of a task `[n]`, 2 for those of a meta-batch `[meta_batch_size, n]`.
        squeeze: whether whole numbers with one axis more, of length 1, are labels in a column.

    Returns:
        A tensor.

    Raises:
        ValueError: if they are words, or no numbers.
    """
    if not tf.is_tensor(y):
        found = np.asarray(y)
        if found.dtype.kind in "OUS":
            first = next(iter(found.ravel()), None)
            if isinstance(first, str | bytes):
                raise ValueError(
                    f"{name} must be whole numbers from 0 to n_way - 1; numpy.unique({name}, return_inverse=True) "
                    f"turns names into them. Received: {name} with {str(first)!r}"
                )
        y = _numbers(y, name)
    elif y.dtype == tf.string:
        raise ValueError(f"{name} must be whole numbers from 0 to n_way - 1. Received: {name} with dtype=string")
    if isinstance(y, np.ndarray) and y.dtype.kind in "iu" and y.size and np.abs(y).max() > np.iinfo(np.int32).max:
        raise ValueError(f"{name} must be below 2**31. Received: {name} with {y.ravel()[np.abs(y).argmax()]}")
    y = tf.convert_to_tensor(y)
    if y.dtype.is_floating:
        return y
    y = tf.cast(y, tf.int32)
    return tf.squeeze(y, -1) if squeeze and y.shape.rank == axes + 1 and y.shape[-1] == 1 else y


def as_episode(episode: Any, axes: int, *, squeeze: bool = True) -> Episode:
    """An episode, or a meta-batch of them, as the tensors that a learner takes.

    Args:
        episode: four arrays, lists, pandas objects or tensors; inputs may be dictionaries or tuples of them.
        axes: as for `targets_of`.
        squeeze: as for `targets_of`.

    Returns:
        An `Episode`.

    Raises:
        TypeError: if it is something else.
        ValueError: as `tensors_of` and `targets_of`.
    """
    if not isinstance(episode, tuple | list) or len(episode) != 4:
        raise TypeError(f"episode must be an Episode, four arrays. Received: episode of type {type(episode).__name__}")
    return Episode(
        tensors_of(episode[0], "support_x"), targets_of(episode[1], "support_y", axes, squeeze=squeeze),
        tensors_of(episode[2], "query_x"), targets_of(episode[3], "query_y", axes, squeeze=squeeze),
    )  # fmt: skip


def is_list(episodes: Any) -> bool:
    """Whether data are a list of episodes without a meta-batch axis; an `Episode` is none, though it is a tuple."""
    several = isinstance(episodes, list | tuple) and not isinstance(episodes, Episode)
    return several and all(isinstance(one, Episode) for one in episodes)


def as_given(episodes: Any, *, squeeze: bool = True) -> Any:
    """A meta-batch, a list of episodes or a dataset of meta-batches as the tensors that a learner takes.

    Args:
        episodes: an `Episode` in whatever types, a list of them without a meta-batch axis, or a dataset of
            meta-batches; anything else is given back.
        squeeze: as for `targets_of`.

    Returns:
        The same, cast.

    Raises:
        ValueError: as `as_episode`.
    """
    if isinstance(episodes, Episode):
        return as_episode(episodes, 2, squeeze=squeeze)
    if is_list(episodes):
        return [as_episode(one, 1, squeeze=squeeze) for one in episodes]
    known = isinstance(episodes, tf.data.Dataset) and isinstance(episodes.element_spec, Episode)
    return as_dataset(episodes, squeeze=squeeze) if known else episodes


def as_dataset(dataset: tf.data.Dataset, *, squeeze: bool = True) -> tf.data.Dataset:
    """A dataset of episodes as the tensors that a learner takes.

    Args:
        dataset: of `Episode`s in whatever types.
        squeeze: as for `targets_of`.

    Returns:
        The dataset itself where nothing has to be cast.

    Raises:
        ValueError: as `as_episode`.
    """
    spec = dataset.element_spec
    for name, part in zip(Episode._fields, spec, strict=True):
        for one in tf.nest.flatten(part):
            if one.dtype == tf.string or (one.dtype == tf.uint8 and name.endswith("x")):
                wanted = "scaled as in training, floats in [0, 1]" if name.endswith("x") else "whole numbers"
                raise ValueError(f"{name} must be {wanted}. Received: {name} with dtype={one.dtype.name}")
    fits = all(one.dtype in (tf.float32, tf.float64, tf.int32) for one in tf.nest.flatten(spec))
    if fits and not (squeeze and (_column(spec.support_y) or _column(spec.query_y))):
        return dataset

    @tf.autograph.experimental.do_not_convert
    def cast(*parts):
        return as_episode(parts[0] if len(parts) == 1 else parts, 2, squeeze=squeeze)

    return dataset.map(cast)


def _column(spec: tf.TensorSpec) -> bool:
    return spec.dtype.is_integer and spec.shape.rank == 3 and spec.shape[-1] == 1
