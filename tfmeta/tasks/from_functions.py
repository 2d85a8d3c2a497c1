"""Tasks of one's own: a Python function that makes them, or a list of those that there are."""

from __future__ import annotations

from collections.abc import Callable, Sequence

import numpy as np
import tensorflow as tf

from tfmeta.core import casting
from tfmeta.core.episode import Episode
from tfmeta.core.streams import as_stream
from tfmeta.core.validation import check_seed, check_sizes, check_steps
from tfmeta.machine import threads

Maker = Callable[[np.random.Generator], Episode]


def episodes_from(
    source: Maker | Sequence[Episode], *, meta_batch_size: int, seed: int = 0, start: int = 0
) -> tf.data.Dataset:
    """Meta-batches of tasks that a function makes, or of tasks in a list.

    Args:
        source: a function of a NumPy random generator to one task, an `Episode` or four arrays (`support_x`,
            `support_y`, `query_x`, `query_y`) without a meta-batch axis; then the stream is endless. Or a list of such
            tasks; then the dataset ends after them. All tasks have the same shapes.
        meta_batch_size: tasks in a meta-batch; the last one of a list may have fewer.
        seed: of the generators; task number i has a generator of its own, so that it is the same task in meta-batches
            of any size.
        start: number of meta-batches to pass over, so that a run can be resumed.

    Returns:
        A dataset of `Episode` with a leading axis `[meta_batch_size, ...]`; labels are int32, all other numbers
        float32.

    Raises:
        TypeError: if `source` is neither of the two, or a task is not four arrays.
        ValueError: if a size is not positive, there is no task, or tasks differ in shape or type. Of a function later
            tasks are only looked at when they are made, and are then refused by a `tf.errors.InvalidArgumentError`.

    References:
        Finn et al. (2017), section 2.1, for a distribution over tasks. https://arxiv.org/abs/1703.03400

    Note:
        The function runs in Python, one task after the other, while the learner takes its steps. A function that takes
        longer than a step holds training up.
    """
    check_sizes(meta_batch_size=meta_batch_size)
    check_seed(seed)
    check_steps(start=start)
    threads.prefer_tasks()
    if callable(source) and not isinstance(source, type):
        return _stream(source, meta_batch_size, seed, start)
    return _listed(source, meta_batch_size).skip(start)


def _stream(function: Maker, meta_batch_size: int, seed: int, start: int) -> tf.data.Dataset:
    def task(number: int) -> Episode:
        made = function(np.random.default_rng([seed, number]))
        return as_arrays(made, f"what the function returns for task {number}")

    first = task(0)
    specs = tf.nest.map_structure(lambda a: tf.TensorSpec([meta_batch_size, *a.shape], tf.as_dtype(a.dtype)), first)
    flat = tf.nest.flatten(specs)

    def make(counter: np.ndarray) -> list[np.ndarray]:
        numbers = range(int(counter) * meta_batch_size, (int(counter) + 1) * meta_batch_size)
        return [np.stack(parts) for parts in zip(*(_same(task(n), first, n) for n in numbers), strict=True)]

    def draw(counter: tf.Tensor) -> Episode:
        parts = tf.numpy_function(make, [counter], [spec.dtype for spec in flat], stateful=False)
        for part, spec in zip(parts, flat, strict=True):
            part.set_shape(spec.shape)
        return tf.nest.pack_sequence_as(specs, parts)

    numbers = tf.data.Dataset.counter(start=start, dtype=tf.int64)
    # Without a key: two functions of one name are two streams, and only this very dataset is read on.
    return as_stream(
        threads.without_autotuning(numbers.map(draw).prefetch(2)), None,
        lambda n: _stream(function, meta_batch_size, seed, start + n),
    )  # fmt: skip


def _listed(tasks: Sequence[Episode], meta_batch_size: int) -> tf.data.Dataset:
    if isinstance(tasks, Episode) or not isinstance(tasks, list | tuple):
        raise TypeError(
            "source must be a function of a random generator, or a list of episodes without a meta-batch axis. "
            f"Received: source of type {type(tasks).__name__}"
        )
    if not tasks:
        raise ValueError("source must hold at least one episode. Received: an empty list")
    found = [as_arrays(task, f"task {i}") for i, task in enumerate(tasks)]
    for i, task in enumerate(found):
        _same(task, found[0], i)
    return tf.data.Dataset.from_tensor_slices(tf.nest.map_structure(lambda *arrays: np.stack(arrays), *found)).batch(
        meta_batch_size
    )


def as_arrays(task, what: str) -> Episode:
    """One task as NumPy arrays, labels int32 and all other numbers float32.

    Args:
        task: an `Episode` or four arrays, lists or tensors, without a meta-batch axis.
        what: for the message.

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
    episode = tf.nest.map_structure(lambda tensor: tensor.numpy(), casting.as_episode(task, 1))
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


def _same(task: Episode, first: Episode, number: int) -> list[np.ndarray]:
    shapes = [[(a.shape, a.dtype.name) for a in tf.nest.flatten(one)] for one in (task, first)]
    if shapes[0] != shapes[1]:
        raise ValueError(
            f"all tasks must have the shapes and types of the first, {shapes[1]}. Received: task {number} with "
            f"{shapes[0]}"
        )
    return tf.nest.flatten(task)
