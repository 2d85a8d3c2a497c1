"""What a learner is given, checked before any work starts."""

from __future__ import annotations

import keras
import numpy as np
import tensorflow as tf

from tfmeta.core.episode import Episode


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
    """Refuse what is no built Keras model with something to train.

    Args:
        network: what was given.
        role: the argument's name, for the message.
        trainable: whether there must be something to train.

    Raises:
        TypeError: if it is no Keras model.
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


def check_steps(**steps: int) -> None:
    """Refuse numbers of inner steps that are no whole number of at least 0.

    Raises:
        ValueError: naming the argument.
    """
    for name, value in steps.items():
        if isinstance(value, bool) or not isinstance(value, int | np.integer) or value < 0:
            raise ValueError(f"{name} must be a whole number of at least 0. Received: {name}={value!r}")


def check_number(name: str, value: float, *, above: bool = False) -> None:
    """Refuse what is no finite number of at least 0 (or above 0).

    Args:
        name: the argument's name, for the message.
        value: what was given.
        above: whether 0 itself is refused.

    Raises:
        ValueError: naming the argument.
    """
    fits = (
        isinstance(value, int | float | np.integer | np.floating)
        and not isinstance(value, bool)
        and 0 <= value < float("inf")
    )
    if not fits or (above and value == 0):
        wanted = "above 0" if above else "of at least 0"
        raise ValueError(f"{name} must be a number {wanted}. Received: {name}={value!r}")


def check_gradient_mode(gradient_mode: str) -> None:
    """Refuse what is no way to a meta-gradient.

    Raises:
        ValueError: naming the ways there are.
    """
    if gradient_mode not in ("nested", "mixed"):
        raise ValueError(f"gradient_mode must be 'nested' or 'mixed'. Received: gradient_mode={gradient_mode!r}")


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
    """Refuse targets that are no class indices.

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
