"""One outer step over several devices or machines: each replica has its share of the tasks, and all take the same step.

On one device every function here gives back what it was given. Under a `tf.distribute` strategy Keras's optimizer adds
up the replicas' gradients, so each contributes its mean divided by their number.
"""

from __future__ import annotations

import keras
import tensorflow as tf


def number() -> int:
    """Replicas that take an outer step together; 1 without a strategy."""
    return tf.distribute.get_strategy().num_replicas_in_sync


def across_workers() -> bool:
    """Whether the replicas are in several processes."""
    return isinstance(tf.distribute.get_strategy(), tf.distribute.MultiWorkerMirroredStrategy)


def check_even(name: str, size: int, strategy: tf.distribute.Strategy) -> None:
    """Refuse a meta-batch that replicas cannot share out evenly.

    Args:
        name: of the setting.
        size: tasks in a meta-batch, or images in a batch.
        strategy: the strategy that the learner was made under.

    Raises:
        ValueError: if the number of replicas does not divide the size.
    """
    if size % strategy.num_replicas_in_sync:
        raise ValueError(
            f"{name} must be a multiple of the {strategy.num_replicas_in_sync} replicas of the strategy, so that each "
            f"has as many. Received: {name}={size}"
        )


def first_task(n_tasks: tf.Tensor) -> tf.Tensor:
    """Where this replica's tasks begin in the whole meta-batch.

    Args:
        n_tasks: tasks of this replica, the same number on each.

    Returns:
        An integer of the type of `n_tasks`.

    References:
        TensorFlow, "Distributed training". https://www.tensorflow.org/guide/distributed_training
    """
    if number() == 1:
        return tf.zeros_like(n_tasks)
    return n_tasks * tf.cast(tf.distribute.get_replica_context().replica_id_in_sync_group, n_tasks.dtype)


def share(gradients: list[tf.Tensor]) -> list[tf.Tensor]:
    """This replica's part of the meta-gradient.

    Args:
        gradients: means over this replica's tasks.

    Returns:
        What adds up to the mean over all tasks when the optimizer sums over replicas.

    References:
        TensorFlow, "Distributed training". https://www.tensorflow.org/guide/distributed_training
    """
    n = number()
    return gradients if n == 1 else [gradient / n for gradient in gradients]


def mean_over_tasks(values: list[tf.Tensor], seen: list[tf.Tensor]) -> list[tf.Tensor]:
    """What this replica's tasks make of some values.

    Args:
        values: before the step, `[...]` each.
        seen: what each task made of them, `[n_tasks, ...]` each; whole numbers are the same for all tasks.

    Returns:
        Means over tasks `[...]`, computed as differences, so that what does not change stays exact.
    """
    return [
        old + tf.reduce_mean(new - old, axis=0) if old.dtype.is_floating else new[0]
        for old, new in zip(values, seen, strict=True)
    ]


def assign(variables: list[keras.Variable], values: list[tf.Tensor]) -> None:
    """Give variables the mean of the replicas' values, on every replica.

    Args:
        variables: what the optimizer does not learn, such as batch norm's moving averages.
        values: this replica's values; those of whole numbers must be the same on each.

    References:
        TensorFlow, "Distributed training". https://www.tensorflow.org/guide/distributed_training
    """
    if number() == 1:
        for variable, value in zip(variables, values, strict=True):
            variable.assign(value)
        return
    context = tf.distribute.get_replica_context()
    means = [context.all_reduce(tf.distribute.ReduceOp.MEAN, v) if v.dtype.is_floating else v for v in values]

    def update(strategy, *means):
        for variable, mean in zip(variables, means, strict=True):
            strategy.extended.update(variable.value, lambda v, new: v.assign(new), args=(mean,), group=False)

    if means:
        # As Keras's optimizer does: where every replica may update a variable by itself, it need not wait for others.
        tf.__internal__.distribute.interim.maybe_merge_call(update, context.strategy, *means)
