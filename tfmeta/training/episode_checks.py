"""A meta-batch that a learner is given, checked before any work starts."""

from __future__ import annotations

import keras
import numpy as np
import tensorflow as tf

from tfmeta.core.episode import Episode, count_classes
from tfmeta.core.words import counted
from tfmeta.training import outputs, scale
from tfmeta.training.network_checks import known_shape
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


def check_meta_batch_axis(network: keras.Model, episode: Episode, name: str) -> None:
    """Refuse a single episode where a meta-batch is wanted, and say how it becomes one.

    Args:
        network: a Keras model, whose inputs tell one axis from another where the labels do not.
        episode: what was given, as tensors.
        name: the argument's name, for the message.

    Raises:
        ValueError: if there is no meta-batch axis.
    """
    shapes = [tuple(x.shape) for x in tf.nest.flatten(episode.support_x)]
    wanted = known_shape(network, "input_shape")
    fits = wanted is not None and len(shapes) == 1 and len(shapes[0]) == len(wanted) + 1
    if len(episode.support_y.shape) < 2 or fits:
        raise ValueError(
            f"{name} must have a meta-batch axis, [meta_batch_size, n, ...], in all four parts: a single episode goes "
            f"into a list, [episode], or gets the axis by tf.nest.map_structure(lambda part: part[None], episode). "
            f"Received: support_x with shape={shapes[0] if len(shapes) == 1 else shapes}, support_y with "
            f"shape={tuple(episode.support_y.shape)}"
        )


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
                raise ValueError(
                    f"{name} must be finite. Received: {name} with {counted(bad, 'NaN or infinite value')}"
                )


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
