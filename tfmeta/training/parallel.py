"""Tasks of a meta-batch side by side, and the graphs in which they run."""

from __future__ import annotations

import contextlib
import logging
from collections.abc import Callable, Iterator
from typing import Any

import keras
import tensorflow as tf

from tfmeta.machine import threads

SCALAR = tf.TensorSpec([], tf.float32)


def map_tasks(function: Callable[[Any], Any], tasks: Any, signature: Any) -> Any:
    """Apply a function to every task of a meta-batch, tasks side by side on the CPU's cores.

    Args:
        function: takes one task, without a meta-batch axis.
        tasks: a nest of tensors with a leading axis `[meta_batch_size]`, such as an `Episode`.
        signature: `tf.TensorSpec`s of one result, nested as the function returns them.

    Returns:
        The results, each with a leading axis `[meta_batch_size]`.

    References:
        Finn et al. (2017), algorithm 2, line 4: "for all tasks". https://arxiv.org/abs/1703.03400
    """
    # There is no Python control flow to convert, and converting takes time.
    function = tf.autograph.experimental.do_not_convert(function)
    return tf.map_fn(function, tasks, parallel_iterations=threads.parallel_tasks(), fn_output_signature=signature)


@contextlib.contextmanager
def without_tracing_advice() -> Iterator[None]:
    """Keep TensorFlow from advising against retracing where every learner has a graph of its own.

    It counts the traces of one line of code, and takes a loop over learners for one function that is traced in vain.

    References:
        TensorFlow, "Controlling retracing". https://www.tensorflow.org/guide/function#controlling_retracing
    """
    logger = tf.get_logger()
    logger.addFilter(_no_advice)
    try:
        yield
    finally:
        logger.removeFilter(_no_advice)


def _no_advice(record: logging.LogRecord) -> bool:
    return "triggered tf.function retracing" not in record.getMessage()


class Graphs:
    """Graphs that are traced once for each setting, and kept.

    Keras does not look into this object; it would track and save a plain dictionary.
    """

    def __init__(self):
        self._compiled = {}

    def map(self, function: Callable[[Any], Any], tasks: Any, signature: Any, key: tuple) -> Any:
        """`map_tasks` as a graph.

        Args:
            function: takes one task; reads nothing that changes but weights and what `key` names.
            tasks: a nest of tensors with a leading axis `[meta_batch_size]`.
            signature: as for `map_tasks`.
            key: names the function and all else that it depends on.

        Returns:
            As `map_tasks`.
        """
        if key not in self._compiled:
            self._compiled[key] = tf.function(
                lambda meta_batch: map_tasks(function, meta_batch, signature),
                jit_compile=False,
                reduce_retracing=True,
                autograph=False,  # there is no Python control flow to convert, and converting takes time
            )
        with without_tracing_advice():
            return self._compiled[key](tasks)


def graph_settings(learner) -> tuple:
    """What a learner's graphs are traced with: a changed setting must not be answered by an old graph.

    Args:
        learner: a `Shell`.

    Returns:
        Something that can be compared and hashed.
    """
    settings = [(name, value) for name, value in learner.options().items() if not isinstance(value, keras.Model)]
    hashable = [(name, id(value) if callable(value) else repr(value)) for name, value in settings]
    return (*hashable, tuple(variable.trainable for variable in learner.variables))
