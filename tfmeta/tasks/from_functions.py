"""Tasks of one's own: a Python function that makes them, or a list of those that there are."""

from __future__ import annotations

from collections.abc import Callable, Sequence

import numpy as np
import tensorflow as tf

from tfmeta.core import task_lists
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
        return task_lists.as_arrays(made, f"what the function returns for task {number}")

    first = task(0)
    specs = tf.nest.map_structure(lambda a: tf.TensorSpec([meta_batch_size, *a.shape], tf.as_dtype(a.dtype)), first)
    flat = tf.nest.flatten(specs)

    def make(counter: np.ndarray) -> list[np.ndarray]:
        numbers = range(int(counter) * meta_batch_size, (int(counter) + 1) * meta_batch_size)
        return [np.stack(parts) for parts in zip(*(task_lists.same(task(n), first, n) for n in numbers), strict=True)]

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
    return tf.data.Dataset.from_tensor_slices(task_lists.stacked(tasks, "source")).batch(meta_batch_size)
