"""The episode: the one data type of few-shot learning."""

from __future__ import annotations

from typing import Any, NamedTuple

import tensorflow as tf


class Episode(NamedTuple):
    """One few-shot problem, or a meta-batch of them with a leading axis `[meta_batch_size, ...]` on every tensor.

    Args:
        support_x: labelled examples to adapt on, `[n_way * k_shot, height, width, channels]` (any input shape works);
            for a network with several inputs a dictionary or tuple of tensors.
        support_y: their labels, int32 `[n_way * k_shot]` with values 0 to `n_way - 1`; or float targets
            `[k_shot, n_outputs]` for regression.
        query_x: examples to be judged on, `[n_way * n_query, height, width, channels]`.
        query_y: their labels or targets, as `support_y`.

    References:
        Vinyals et al. (2016), "Matching Networks for One Shot Learning", section 3.
        https://arxiv.org/abs/1606.04080
    """

    support_x: tf.Tensor
    support_y: tf.Tensor
    query_x: tf.Tensor
    query_y: tf.Tensor


def count_classes(episode: Episode) -> tf.Tensor:
    """`n_way` of a task or a meta-batch, also where wrong labels (`label_noise`) have left a class without support."""
    return 1 + tf.maximum(tf.reduce_max(episode.support_y), tf.reduce_max(episode.query_y))


def together(first: Any, second: Any) -> Any:
    """Inputs of two sets in one batch.

    Args:
        first: inputs `[n, ...]`, a tensor or a nest of them.
        second: inputs `[m, ...]`, nested alike.

    Returns:
        Inputs `[n + m, ...]`.
    """
    return tf.nest.map_structure(lambda a, b: tf.concat([a, b], axis=0), first, second)


def task_spec(episodes: Episode) -> Episode:
    """Types and shapes of one task of a meta-batch."""
    return tf.nest.map_structure(lambda tensor: tf.TensorSpec(tensor.shape[1:], tensor.dtype), episodes)
