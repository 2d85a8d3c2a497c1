"""The network that a learner is given, checked when the learner is made and before it is trained."""

from __future__ import annotations

import warnings
from collections.abc import Sequence
from typing import Any

import keras
import tensorflow as tf

from tfmeta.core.second_derivatives import check_twice_differentiable
from tfmeta.training.method import Method


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


def check_network(network: keras.Model, role: str, *, trainable: bool = True) -> None:
    """Refuse anything but a built Keras model with something to train, that can be copied and shared by replicas.

    Args:
        network: what was given.
        role: the argument's name, for the message.
        trainable: whether there must be something to train.

    Raises:
        TypeError: if it is not a Keras model.
        ValueError: if it has not been built, has no trainable variables, cannot be rebuilt from its configuration, or
            synchronises batch norm between replicas.
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
    if len(getattr(network, "outputs", None) or ()) > 1:
        raise ValueError(
            f"{role} must have one output, on which the loss is taken; keras.Model(x.inputs, x.outputs[0]) has one. "
            f"Received: {role}={network.name!r} with {len(network.outputs)}"
        )
    _check_copies(network, role)
    _check_replicas(network, role)


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


def _check_copies(network: keras.Model, role: str) -> None:
    """Neither `adapt` nor `save` could give back a model of one's own that cannot be rebuilt."""
    try:
        network.get_config()
    except NotImplementedError as error:
        raise ValueError(
            f"{role} must have a get_config(), from which adapt() and save() rebuild it: make it a functional model, "
            "or return the constructor's arguments there. "
            f"Received: {role}={network.name!r} of type {type(network).__name__} without one"
        ) from error


def _check_replicas(network: keras.Model, role: str) -> None:
    """A task's statistics are its own."""
    for layer in network._flatten_layers():
        if getattr(layer, "synchronized", False) and tf.distribute.get_strategy().num_replicas_in_sync > 1:
            raise ValueError(
                "batch norm must not be synchronised between replicas, since a task's statistics are its own. "
                f"Received: {role}={network.name!r}, in which layer {layer.name!r} has synchronized=True"
            )


def check_precision(networks: Sequence[keras.Model]) -> None:
    """Refuse networks that compute in float16, in which gradients of gradients vanish.

    Args:
        networks: Keras models.

    Raises:
        ValueError: naming the layer.
    """
    layers = [layer for network in networks for layer in network._flatten_layers()]
    if half := [layer.name for layer in layers if layer.compute_dtype == "float16"]:
        raise ValueError(
            "a network in mixed precision must be made under the policy mixed_bfloat16: gradients of gradients are "
            f"too small for float16, and scaling the loss does not reach them. Received: float16 in {half[0]!r}"
        )


def warn_of_penalties(network: keras.Model) -> None:
    """Warn of losses that layers carry themselves, which neither loop adds.

    Args:
        network: a Keras model.
    """
    layers = list(network._flatten_layers())
    found = [v.path for v in network.trainable_variables if getattr(v, "regularizer", None) is not None]
    found += [layer.name for layer in layers if getattr(layer, "activity_regularizer", None) is not None]
    found += [layer.name for layer in layers if layer._get_own_losses()]
    if found:
        warnings.warn(
            "regularizers and add_loss of a network's layers are not added to the loss; for weight decay say "
            f"compile(Adam(weight_decay=...)). Received: network={network.name!r} with {', '.join(found[:3])}",
            stacklevel=4,
        )


def check_gradients(network: keras.Model, method: Method, x: Any) -> None:
    """Refuse a network through which the method's outer gradient cannot flow.

    Args:
        network: a Keras model.
        method: what the learner says of one task.
        x: inputs `[batch, ...]`, of which only types and shapes are looked at.

    Raises:
        ValueError: naming the layer and the operation.
    """
    if method.update is None or method.first_order or method.learn is not None:
        return
    if method.gradient_mode == "mixed":
        for layer in network._flatten_layers():
            if isinstance(layer, keras.layers.RNN) and not layer.unroll:
                raise ValueError(
                    "gradient_mode='mixed' has no derivative through a recurrent layer's loop: say "
                    "gradient_mode='nested', or make the layer with unroll=True. "
                    f"Received: network={network.name!r}, in which layer {layer.name!r} is recurrent"
                )
    check_twice_differentiable(network, x)
