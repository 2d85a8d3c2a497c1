"""A task's randomness: a key of its own, and what dropout makes of it."""

from __future__ import annotations

import keras
import tensorflow as tf

from tfmeta.training import replicas


def is_random_state(variable: keras.Variable) -> bool:
    """Whether the variable is the state of a layer's random numbers, such as dropout's."""
    return variable.path.endswith("seed_generator_state")


def batches_seen(optimizer: keras.optimizers.Optimizer) -> tf.Tensor:
    """Meta-batches that an optimizer was given; under `gradient_accumulation_steps` more than the steps it took.

    Args:
        optimizer: built.

    Returns:
        int64 scalar.
    """
    counter = getattr(optimizer, "_iterations", optimizer.iterations)  # `iterations` counts steps
    return tf.cast(tf.convert_to_tensor(counter), tf.int64)


def task_keys(optimizer: keras.optimizers.Optimizer, n_tasks: tf.Tensor) -> tf.Tensor:
    """A number of its own for every task of every outer step.

    Args:
        optimizer: counts the meta-batches.
        n_tasks: tasks of this replica.

    Returns:
        int64 `[n_tasks]`.
    """
    size = tf.cast(n_tasks, tf.int64)
    first = batches_seen(optimizer) * size * replicas.number() + replicas.first_task(size)
    return first + tf.range(size)


def state_of_task(network: keras.Model, key: tf.Tensor) -> list[tf.Tensor]:
    """Non-trainable values of a network for one task, with a random state of its own where there is dropout.

    Args:
        network: a Keras model.
        key: the task's randomness.

    Returns:
        Tensors in the order of `network.non_trainable_variables`.
    """
    return [
        variable.value + tf.cast(tf.stack([tf.zeros_like(key), key]), variable.dtype)
        if is_random_state(variable)
        else tf.convert_to_tensor(variable.value)
        for variable in network.non_trainable_variables
    ]
