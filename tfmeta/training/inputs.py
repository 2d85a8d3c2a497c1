"""What a learner is given, checked before any work starts."""

from __future__ import annotations

from collections.abc import Callable

import keras
import numpy as np
import tensorflow as tf

from tfmeta.core.episode import Episode, count_classes
from tfmeta.training import replicas


def known_shape(network: keras.Model, which: str) -> tuple | None:
    """Shape of one input or output of a network, `None` where a subclassed model does not say.

    Args:
        network: a Keras model.
        which: `"input_shape"` or `"output_shape"`.

    Returns:
        The shape without the batch axis.

    References:
        Keras, `Layer.input`. https://keras.io/api/layers/base_layer/
    """
    try:
        shape = getattr(network, which)
    except AttributeError:
        return None
    return tuple(shape[1:]) if isinstance(shape, tuple) else None


def is_classification(episode: Episode) -> bool:
    """Whether labels are class indices (integers) rather than targets to regress on."""
    return episode.support_y.dtype.is_integer


def check_network(network: keras.Model, role: str, *, trainable: bool = True) -> None:
    """Refuse anything but a built Keras model with something to train.

    Args:
        network: what was given.
        role: the argument's name, for the message.
        trainable: whether there must be something to train.

    Raises:
        TypeError: if it is not a Keras model.
        ValueError: if it has not been built, or has no trainable variables.
    """
    if not isinstance(network, keras.Model):
        raise TypeError(f"{role} must be a keras.Model. Received: {role} of type {type(network).__name__}")
    if not network.built or not network.variables:
        raise ValueError(
            f"{role} must be built: give it an Input layer or call {role}.build(input_shape) first. "
            f"Received: {role}={network.name!r}, which has no variables yet"
        )
    if trainable and not network.trainable_variables:
        raise ValueError(f"{role} must have trainable variables. Received: {role}={network.name!r} with none")


def check_embedding(encoder: keras.Model) -> None:
    """Refuse an encoder that does not return one vector an input, or returns probabilities.

    Raises:
        ValueError: naming the encoder.
    """
    shape = known_shape(encoder, "output_shape")
    if shape is not None and len(shape) != 1:
        raise ValueError(
            "encoder must return embeddings [batch, dim]. "
            f"Received: encoder={encoder.name!r} with outputs of shape {shape}"
        )
    last = encoder
    while isinstance(last, keras.Model) and last.layers:  # the last layer may itself be a model
        last = last.layers[-1]
    if getattr(last, "activation", None) is keras.activations.softmax or isinstance(last, keras.layers.Softmax):
        raise ValueError(
            "encoder must return embeddings, which a linear head follows, not probabilities. "
            f"Received: encoder={encoder.name!r}, which ends in a softmax"
        )


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
    wanted, received = known_shape(network, "input_shape"), tuple(episode.support_x.shape[2:])
    if wanted is None:
        return
    if len(wanted) != len(received) or any(w not in (None, r) for w, r in zip(wanted, received, strict=True)):
        raise ValueError(f"the learner takes inputs of shape {wanted}. Received: support_x with {received}")


def check_outputs(network: keras.Model, episode: Episode) -> None:
    """Refuse a meta-batch whose number of classes or targets is not the width of the network's outputs.

    Args:
        network: a Keras model.
        episode: a meta-batch.

    Raises:
        ValueError: naming both.
    """
    shape = known_shape(network, "output_shape")
    if shape is None:
        shape = tuple(network(episode.support_x[0, :1]).shape[1:])
    if is_classification(episode):
        n_way = int(count_classes(episode))
        if shape[-1] != n_way:
            raise ValueError(
                f"the network's output must be n_way={n_way} wide, one logit per class of an episode. "
                f"Received: network={network.name!r} with outputs of shape {shape}"
            )
    # Targets [n] minus outputs [n, 1] would be a matrix [n, n], with no error.
    elif (targets := tuple(episode.support_y.shape[2:])) != shape:
        raise ValueError(
            f"targets must have the shape of the outputs, {shape} for each example, and labels must be integers. "
            f"Received: support_y with {targets}, dtype={episode.support_y.dtype.name}"
        )


def check_dataset(dataset, name: str, check: Callable[[Episode], None], strategy: tf.distribute.Strategy) -> None:
    """Refuse anything but a dataset of meta-batches, and one whose first meta-batch does not fit.

    Args:
        dataset: what was given.
        name: the argument's name, for the message.
        check: refuses a meta-batch.
        strategy: the strategy that the learner was made under, whose replicas share a meta-batch.

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
    if isinstance(dataset, tf.data.Dataset):
        for episode in dataset.take(1):
            check(episode)
            replicas.check_even("meta_batch_size", episode.support_y.shape[0], strategy)


def check_support(support_x, support_y) -> tuple[tf.Tensor, tf.Tensor]:
    """Turn a support set into tensors, refusing what cannot be one.

    Args:
        support_x: `[n, ...]` numbers.
        support_y: `[n, ...]` integer labels or float targets.

    Returns:
        float `support_x` and int32 or float `support_y`.

    Raises:
        ValueError: if lengths differ, there is no example, values are not finite, or labels leave out a class.
    """
    support_x, support_y = np.asarray(support_x), np.asarray(support_y)
    if support_x.ndim < 1 or support_y.ndim < 1 or len(support_x) != len(support_y) or len(support_x) == 0:
        raise ValueError(
            "support_x and support_y must have the same number of examples, at least one. "
            f"Received: support_x with shape={support_x.shape}, support_y with shape={support_y.shape}"
        )
    if support_x.dtype == np.uint8:
        raise ValueError(
            "support_x must be scaled as in training, floats in [0, 1]. Received: support_x with dtype=uint8"
        )
    for name, values in (("support_x", support_x), ("support_y", support_y)):
        if not np.all(np.isfinite(values)):
            raise ValueError(
                f"{name} must be finite. Received: {name} with {np.sum(~np.isfinite(values))} NaN or infinite values"
            )
    if np.issubdtype(support_y.dtype, np.integer):
        present = np.unique(support_y)
        if support_y.ndim != 1 or not np.array_equal(present, np.arange(len(present))):
            raise ValueError(
                "labels must run from 0 to n_way - 1 with every class present. "
                f"Received: support_y={support_y.tolist()}"
            )
        support_y = support_y.astype(np.int32)
    return tf.convert_to_tensor(support_x.astype(np.float32)), tf.convert_to_tensor(support_y)


def support_task(learner, support_x, support_y) -> Episode:
    """Make a support set a task of its own, whose queries are the support set.

    Args:
        learner: an `EpisodicLearner`, whom it must fit.
        support_x: `[n, ...]` numbers.
        support_y: `[n, ...]` integer labels or float targets.

    Returns:
        An `Episode` without a meta-batch axis.

    Raises:
        ValueError: if inputs and labels do not fit each other or the learner.
    """
    support_x, support_y = check_support(support_x, support_y)
    task = Episode(support_x, support_y, support_x, support_y)
    learner.check_episode(Episode(*(tensor[None] for tensor in task)))
    return task
