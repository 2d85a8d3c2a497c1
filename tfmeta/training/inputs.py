"""What a learner is given, checked before any work starts."""

from __future__ import annotations

import keras
import numpy as np
import tensorflow as tf

from tfmeta.core.episode import Episode, count_classes
from tfmeta.core.streams import stream_of
from tfmeta.core.validation import check_flags, check_steps
from tfmeta.training import casting, outputs, replicas, scale
from tfmeta.training.network_checks import check_gradients, known_shape
from tfmeta.training.outputs import Outputs


def is_classification(episode: Episode) -> bool:
    """Whether labels are class indices (integers) rather than targets to regress on."""
    return episode.support_y.dtype.is_integer


def check_labels(learner: keras.Model, episode: Episode) -> None:
    """Refuse targets that are not class indices.

    Args:
        learner: who needs them, for the message.
        episode: a task or a meta-batch.

    Raises:
        ValueError: naming the learner.
    """
    if not is_classification(episode):
        raise ValueError(
            f"{type(learner).__name__} classifies, and needs integer labels. "
            f"Received: support_y with dtype={episode.support_y.dtype.name}"
        )


def check_shape(network: keras.Model, episode: Episode) -> None:
    """Refuse a meta-batch whose inputs are not those of the network.

    Args:
        network: a Keras model.
        episode: a meta-batch.

    Raises:
        ValueError: naming both shapes.
    """
    wanted = known_shape(network, "input_shape")
    if wanted is None or not tf.is_tensor(episode.support_x):
        return
    received = tuple(episode.support_x.shape[2:])
    if len(wanted) != len(received) or any(w not in (None, r) for w, r in zip(wanted, received, strict=True)):
        raise ValueError(f"the learner takes inputs of shape {wanted}. Received: support_x with {received}")


def check_axes(episode: Episode) -> None:
    """Refuse a meta-batch whose four parts do not fit each other.

    Args:
        episode: a meta-batch.

    Raises:
        ValueError: naming the part.
    """
    for part, x, y in (("support", episode.support_x, episode.support_y), ("query", episode.query_x, episode.query_y)):
        for one in tf.nest.flatten(x):
            if len(one.shape) < 2 or len(y.shape) < 2 or one.shape[:2] != y.shape[:2] or 0 in one.shape[:2]:
                raise ValueError(
                    f"{part}_x and {part}_y must be [meta_batch_size, n, ...], with one label or target per example "
                    f"and at least one. Received: {part}_x with shape={tuple(one.shape)}, {part}_y with "
                    f"shape={tuple(y.shape)}"
                )
    same = tf.nest.map_structure(lambda x: (x.shape[0], *x.shape[2:]), episode)
    received = ", ".join(
        f"{name} with shape={tuple(t.shape)}" for name, t in episode._asdict().items() if hasattr(t, "shape")
    )
    if same.support_x != same.query_x or same.support_y != same.query_y:
        raise ValueError(f"support and query must be alike but for the number of examples. Received: {received}")
    if episode.support_y.dtype != episode.query_y.dtype:
        raise ValueError(
            "support_y and query_y must be of one type, labels or targets. Received: support_y with "
            f"dtype={episode.support_y.dtype.name}, query_y with dtype={episode.query_y.dtype.name}"
        )


def check_targets(network: keras.Model, loss, outputs: Outputs, episode: Episode) -> None:
    """Refuse a meta-batch whose labels or targets are not what the network's outputs can be compared with.

    Args:
        network: a Keras model.
        loss: the learner's loss function; None for its own.
        outputs: what the network gives.
        episode: a meta-batch.

    Raises:
        ValueError: naming both.
    """
    shape, targets = outputs.shape, tuple(episode.support_y.shape[2:])
    if loss is not None:
        # Keras's own losses bring [n] and [n, 1] together.
        if len(targets) != len(shape) and shape in ((1,), ()) and not type_module(loss).startswith("keras"):
            raise ValueError(
                f"targets must have the shape of the outputs, {shape} for each example, or the loss would compare each "
                f"with all. Received: support_y with {targets}, network={network.name!r}"
            )
        if is_classification(episode) and not targets and len(shape) == 1 and (shape[0] or 0) > 1:
            top, bottom = int(count_classes(episode)), int(tf.reduce_min(episode.support_y))
            if top > shape[0] or bottom < 0:
                raise ValueError(
                    f"labels must run from 0 to {shape[0] - 1}, the network's outputs. "
                    f"Received: labels from {bottom} to {top - 1}"
                )
    elif is_classification(episode):
        check_class_indices(episode)
        n_way = int(count_classes(episode))
        if len(shape) != 1 or shape[-1] not in (None, n_way):
            raise ValueError(
                f"the network's output must be n_way={n_way} wide, one logit per class of an episode. "
                f"Received: network={network.name!r} with outputs of shape {shape}"
            )
    # Targets [n] minus outputs [n, 1] would be a matrix [n, n], with no error.
    elif targets != shape:
        raise ValueError(
            f"targets must have the shape of the outputs, {shape} for each example, and labels must be integers. "
            f"Received: support_y with {targets}, dtype={episode.support_y.dtype.name}"
        )


def type_module(function) -> str:
    """The module in which a function, or an object's class, is defined."""
    return getattr(function, "__module__", None) or type(function).__module__


def check_class_indices(episode: Episode) -> None:
    """Refuse labels of a task that leave out a number: a class that is not there would be learned and counted.

    Args:
        episode: a meta-batch. A class may lack support, as under `label_noise`, but not be absent from both sets.

    Raises:
        ValueError: naming the task.
    """
    if len(episode.support_y.shape) != 2 or len(episode.query_y.shape) != 2:
        raise ValueError(
            "labels must be one whole number an example. "
            f"Received: support_y with shape={tuple(episode.support_y.shape)}, query_y with "
            f"shape={tuple(episode.query_y.shape)}"
        )
    both = np.concatenate([np.asarray(episode.support_y), np.asarray(episode.query_y)], axis=1)
    for i, labels in enumerate(both):
        present = np.unique(labels)
        if not np.array_equal(present, np.arange(len(present))):
            raise ValueError(
                "labels must run from 0 to n_way - 1 with every class present. "
                f"Received: labels {present.tolist()} in task {i}"
            )


def check_finite(episode: Episode) -> None:
    """Refuse a meta-batch with values that are no numbers.

    Args:
        episode: a meta-batch.

    Raises:
        ValueError: naming the tensor.
    """
    for name, nest in zip(Episode._fields, episode, strict=True):
        for tensor in tf.nest.flatten(nest):
            if tensor.dtype.is_floating and not bool(tf.reduce_all(tf.math.is_finite(tensor))):
                bad = int(tf.reduce_sum(tf.cast(~tf.math.is_finite(tensor), tf.int64)))
                raise ValueError(f"{name} must be finite. Received: {name} with {bad} NaN or infinite values")


def check_episode(learner, episode: Episode, training: bool) -> None:
    """Refuse a meta-batch that does not fit a learner; in training remember the range of its images.

    Args:
        learner: an `EpisodicLearner`.
        episode: a meta-batch of tensors.
        training: whether the learner is trained on it.

    Raises:
        ValueError: saying what does not fit.
    """
    method, network, loss = learner.method, learner.network, learner.loss_function
    check_axes(episode)
    check_shape(network, episode)
    check_finite(episode)
    if method.makes_head:
        check_labels(learner, episode)
        check_class_indices(episode)
    else:
        first = tf.nest.map_structure(lambda x: x[0], episode.support_x)
        ends = learner.ends(first)
        check_targets(network, loss, ends, episode)
        outputs.check_loss(network, loss, ends, first, is_classification(episode))
    if training:
        learner.input_scale = scale.scale_of_images(episode.support_x)
    else:
        scale.check_scale(learner.input_scale, episode.support_x)
    if method.check is not None:
        method.check(episode, training)


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
    check_steps(inner_steps=inner_steps)
    check_flags(transductive=transductive)
    episode = learner.cast(episode)
    if tf.executing_eagerly():
        looked_at = episode if queries else episode._replace(query_x=episode.support_x, query_y=episode.support_y)
        learner.check_episode(tf.nest.map_structure(lambda tensor: tensor[None], looked_at))
    return episode


def check_dataset(learner, dataset, name: str, training: bool = False):
    """Refuse anything but a dataset of meta-batches, and one whose first meta-batch does not fit.

    Args:
        learner: an `EpisodicLearner`.
        dataset: what was given.
        name: the argument's name, for the message.
        training: whether the learner is trained on it.

    Returns:
        The dataset, in the types that learners take.

    Raises:
        TypeError: if it is not a dataset of episodes.
        ValueError: if the first meta-batch does not fit the learner or the replicas.
    """
    spec = getattr(dataset, "element_spec", None)
    if not isinstance(dataset, tf.data.Dataset | tf.distribute.DistributedDataset) or not isinstance(spec, Episode):
        raise TypeError(
            f"{name} must be a tf.data.Dataset of Episode, such as episode_dataset(...). "
            f"Received: {name} of type {type(dataset).__name__}, elements {spec}"
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
