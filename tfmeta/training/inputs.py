"""What a learner is given, checked before any work starts."""

from __future__ import annotations

import tensorflow as tf

from tfmeta.core import casting, task_lists
from tfmeta.core.episode import Episode
from tfmeta.core.streams import stream_of
from tfmeta.core.validation import check_flags, check_steps
from tfmeta.training import episode_checks, replicas
from tfmeta.training.network_checks import check_gradients


def check_varying(learner, dataset: tf.data.Dataset) -> None:
    """Refuse episodes of varying sizes where a learner, or XLA, needs one size.

    Args:
        learner: an `EpisodicLearner`.
        dataset: of meta-batches.

    Raises:
        ValueError: naming what varies.
    """
    n_way = stream_of(dataset).n_way
    if isinstance(n_way, tuple) and not learner.sizes_depend_on_data:
        raise ValueError(
            f"n_way must be one number for {type(learner).__name__}, whose network has a fixed number of outputs; "
            f"learners that make a head for each task take a range. Received: n_way={n_way}"
        )
    sizes = [tuple(spec.shape) for spec in tf.nest.flatten(dataset.element_spec)]
    if getattr(learner, "jit_compile", False) and any(None in size for size in sizes):
        raise ValueError(
            "jit_compile must be False for episodes of varying sizes: XLA wants sizes beforehand. "
            f"Received: jit_compile=True, elements of shapes {sizes}"
        )


def check_task(
    learner, episode: Episode, inner_steps: int = 0, transductive: bool = True, *, queries: bool = False
) -> Episode:
    """Refuse a task that does not fit a learner. Within a graph it is only cast: its meta-batch was checked before.

    Args:
        learner: an `EpisodicLearner`.
        episode: one task, without a meta-batch axis.
        inner_steps: asked for.
        transductive: asked for.
        queries: whether the query set is looked at, too: outputs are asked for of queries without labels as well.

    Returns:
        The task as tensors.

    Raises:
        TypeError: if it is no episode.
        ValueError: saying what does not fit.
    """
    if not tf.is_tensor(inner_steps):  # which a graph may be given
        check_steps(inner_steps=inner_steps)
    check_flags(transductive=transductive)
    episode = learner.cast(episode)
    if tf.executing_eagerly():
        looked_at = episode if queries else episode._replace(query_x=episode.support_x, query_y=episode.support_y)
        learner.check_episode(tf.nest.map_structure(lambda tensor: tensor[None], looked_at))
    return episode


def as_dataset(learner, data, name: str):
    """Episodes in memory as the dataset of one meta-batch that they are.

    Args:
        learner: an `EpisodicLearner`.
        data: a meta-batch, or a list of episodes of one size without a meta-batch axis; or anything else.
        name: the argument's name, for the message.

    Returns:
        The dataset; what was given where it is something else.

    Raises:
        ValueError: if an `Episode` has no meta-batch axis, or a list is empty or holds episodes of several sizes.
    """
    squeeze = learner.loss_function is None
    if casting.is_list(data):
        return tf.data.Dataset.from_tensors(task_lists.stacked(data, name, squeeze=squeeze))
    if not isinstance(data, Episode):
        return data
    episodes = casting.as_episode(data, 2, squeeze=squeeze)
    episode_checks.check_meta_batch_axis(learner.network, episodes, name)
    return tf.data.Dataset.from_tensors(episodes)


def check_dataset(learner, dataset, name: str, training: bool = False):
    """Refuse anything but meta-batches, and those whose first one does not fit.

    Args:
        learner: an `EpisodicLearner`.
        dataset: what was given, a dataset or what `as_dataset` makes one of.
        name: the argument's name, for the message.
        training: whether the learner is trained on it.

    Returns:
        The dataset, in the types that learners take.

    Raises:
        TypeError: if it is not a dataset of episodes.
        ValueError: as `as_dataset`, or if the first meta-batch does not fit the learner or the replicas.
    """
    dataset = as_dataset(learner, dataset, name)
    spec = getattr(dataset, "element_spec", None)
    if not isinstance(dataset, tf.data.Dataset | tf.distribute.DistributedDataset) or not isinstance(spec, Episode):
        raise TypeError(
            f"{name} must be a tf.data.Dataset of Episode, such as episode_dataset(...), a meta-batch, or a list of "
            f"single episodes. Received: {name} of type {type(dataset).__name__}, elements {spec}"
        )
    if not isinstance(dataset, tf.data.Dataset):
        return dataset
    check_varying(learner, dataset)
    dataset = casting.as_dataset(dataset, squeeze=learner.loss_function is None)
    for episode in dataset.take(1):
        learner.check_episode(episode, training=training)
        replicas.check_even("meta_batch_size", episode.support_y.shape[0], learner.distribute_strategy)
        if training:
            first = tf.nest.map_structure(lambda x: x[0], episode.support_x)
            learner.check_once(check_gradients, learner.network, learner.method, first)
    return dataset


def check_support(support_x, support_y, *, squeeze: bool = True) -> tuple[tf.Tensor, tf.Tensor]:
    """Turn a support set into tensors, refusing what cannot be one.

    Args:
        support_x: `[n, ...]` numbers; for a network with several inputs a dictionary or tuple of them.
        support_y: `[n, ...]` integer labels or float targets.
        squeeze: as for `casting.targets_of`.

    Returns:
        float `support_x` and int32 or float `support_y`.

    Raises:
        ValueError: if lengths differ, there is no example, or they are no numbers.
    """
    support_x, support_y = (
        casting.tensors_of(support_x, "support_x"),
        casting.targets_of(support_y, "support_y", squeeze=squeeze),
    )
    sizes = {len(tensor) if tensor.shape.rank else 0 for tensor in tf.nest.flatten((support_x, support_y))}
    if len(sizes) != 1 or 0 in sizes:
        shapes = tf.nest.map_structure(lambda tensor: tuple(tensor.shape), support_x)
        raise ValueError(
            "support_x and support_y must have the same number of examples, at least one. "
            f"Received: support_x with shape={shapes}, support_y with shape={tuple(support_y.shape)}"
        )
    return tf.nest.map_structure(lambda x: tf.cast(x, tf.float32), support_x), support_y


def support_task(learner, support_x, support_y, inner_steps: int | None = None) -> Episode:
    """Make a support set a task of its own, whose queries are the support set.

    Args:
        learner: an `EpisodicLearner`, whom it must fit.
        support_x: `[n, ...]` numbers; for a network with several inputs a dictionary or tuple of them.
        support_y: `[n, ...]` integer labels or float targets.
        inner_steps: asked for, or None.

    Returns:
        An `Episode` without a meta-batch axis.

    Raises:
        ValueError: if inputs and labels do not fit each other or the learner, or the steps are no number of steps or
            are asked of a learner without an inner loop.
    """
    support_x, support_y = check_support(support_x, support_y, squeeze=learner.loss_function is None)
    task = Episode(support_x, support_y, support_x, support_y)
    learner.check_episode(tf.nest.map_structure(lambda tensor: tensor[None], task))
    if inner_steps is not None:
        check_steps(inner_steps=inner_steps)
        if not learner.has_inner_loop:
            raise ValueError(f"{type(learner).__name__} has no inner loop. Received: inner_steps={inner_steps}")
    return task
