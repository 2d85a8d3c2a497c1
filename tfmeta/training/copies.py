"""Independent copies of Keras models, for learners that hand out an adapted model."""

from __future__ import annotations

import contextlib
from collections.abc import Iterator

import keras
import tensorflow as tf

from tfmeta.core.forward import Tensors, forward, forward_with_state, values
from tfmeta.core.noise import without_dropout


def batch_norm_layers(model: keras.Model) -> list[keras.layers.BatchNormalization]:
    """The model's batch-normalisation layers, nested ones included."""
    return [layer for layer in model._flatten_layers() if isinstance(layer, keras.layers.BatchNormalization)]


def inference_batch_norm(network: keras.Model | None) -> str:
    """In words: which statistics batch norm uses in a network that runs in inference mode, if there is one."""
    if network is None or not batch_norm_layers(network):
        return "none in the network"
    return "moving averages of training"


def copy_model(model: keras.Model, trainable_values: Tensors, example) -> keras.Model:
    """An independent Keras model of the same architecture with these trainable weights.

    Args:
        model: any built Keras model; a subclassed one must have `get_config`.
        trainable_values: tensors in the order of `model.trainable_variables`.
        example: inputs `[batch, ...]` to build a subclassed model with.

    Returns:
        The copy. Other variables (batch norm's moving averages) have the model's values.

    Raises:
        ValueError: if the model cannot be rebuilt from its configuration.

    References:
        Keras, `keras.models.clone_model`. https://keras.io/api/models/model/
    """
    if isinstance(model, keras.Sequential) or getattr(model, "inputs", None):
        copy = keras.models.clone_model(model)
    else:
        copy = type(model).from_config(model.get_config())
        copy(example)  # a subclassed model has its variables from the first call on
    if [variable.shape for variable in copy.variables] != [variable.shape for variable in model.variables]:
        raise ValueError(
            "the network cannot be rebuilt from its configuration: the copy has other variables. Make it a functional "
            f"Keras model or give it a full get_config(). Received: {model.name!r} of type {type(model).__name__}"
        )
    # By their order in `variables`: a frozen variable is trainable again in a copy made from a configuration.
    given = {id(v): value for v, value in zip(model.trainable_variables, trainable_values, strict=True)}
    for new, old in zip(copy.variables, model.variables, strict=True):
        new.assign(given.get(id(old), old))
        new.trainable = old.trainable
    return copy


def twin(network: keras.Model) -> keras.Model:
    """An independent copy of a network, with the same weights.

    Args:
        network: a built Sequential or functional Keras model.

    Returns:
        The copy.

    Raises:
        ValueError: if it is a model of another kind, which cannot be built without an example.

    References:
        Keras, `keras.models.clone_model`. https://keras.io/api/models/model/
    """
    _check_rebuildable(network)
    return copy_model(network, values(network.trainable_variables), None)


def fresh(network: keras.Model) -> keras.Model:
    """A network of the same architecture, with first weights of its own.

    Args:
        network: a built Sequential or functional Keras model.

    Returns:
        The network. Initializers that have a seed give the same weights again.

    Raises:
        ValueError: as `twin`.

    References:
        Keras, `keras.models.clone_model`. https://keras.io/api/models/model/
    """
    _check_rebuildable(network)
    return keras.models.clone_model(network)


def _check_rebuildable(network: keras.Model) -> None:
    if not (isinstance(network, keras.Sequential) or getattr(network, "inputs", None)):
        raise ValueError(
            "network must be a Sequential or functional Keras model, which can be copied without an example. "
            f"Received: {network.name!r} of type {type(network).__name__}"
        )


def with_linear_head(
    encoder: keras.Model, trainable_values: Tensors, kernel, bias, example, *, name: str = "head"
) -> keras.Sequential:
    """An independent classifier: a copy of an encoder, and a linear layer with these weights.

    Args:
        encoder: any built Keras model, `[batch, ...]` to embeddings `[batch, dim]`.
        trainable_values: as for `copy_model`.
        kernel: `[dim, n_way]`; the head computes in its type, which is not bfloat16 where the encoder's is.
        bias: `[n_way]`.
        example: as for `copy_model`.
        name: of the linear layer.

    Returns:
        A Keras model, `[batch, ...]` to logits `[batch, n_way]`.

    Raises:
        ValueError: as `copy_model`.

    References:
        Snell et al. (2017), equation 8, for prototypes as a linear layer. https://arxiv.org/abs/1703.05175
    """
    head = keras.layers.Dense(int(bias.shape[0]), dtype=bias.dtype.name, name=name)
    model = followed_by(head, copy_model(encoder, trainable_values, example), example)
    head.kernel.assign(kernel)
    head.bias.assign(bias)
    return model


def followed_by(head: keras.layers.Layer, body: keras.layers.Layer, example) -> keras.Model:
    """A model of two parts.

    Args:
        head: takes what the body gives.
        body: takes inputs `[batch, ...]`.
        example: inputs `[batch, ...]`, a tensor or a nest of them, of which only types and shapes are looked at.

    Returns:
        A Keras model that takes inputs nested like the example.

    References:
        Keras, "The functional API". https://keras.io/guides/functional_api/
    """
    if tf.is_tensor(example):
        return keras.Sequential([keras.Input(example.shape[1:]), body, head])
    if isinstance(example, dict):
        inputs = {name: keras.Input(x.shape[1:], dtype=x.dtype.name, name=name) for name, x in example.items()}
    else:
        inputs = tf.nest.map_structure(lambda x: keras.Input(x.shape[1:], dtype=x.dtype.name), example)
    return keras.Model(inputs, head(body(inputs)))


def set_batch_norm_statistics(model: keras.Model, x) -> None:
    """Replace batch norm's moving averages by the statistics of one batch.

    Args:
        model: the model; its batch-norm layers are changed.
        x: inputs `[batch, ...]`.

    References:
        Ioffe, Szegedy (2015), "Batch Normalization", section 3.1. https://arxiv.org/abs/1502.03167
    """
    with _remembering_one_batch(model), without_dropout(model):
        model(x, training=True)


@contextlib.contextmanager
def _remembering_one_batch(model: keras.Model) -> Iterator[None]:
    """Within the block, one pass in training mode stores exactly its batch's mean and variance in batch norm."""
    layers = batch_norm_layers(model)
    momenta = [layer.momentum for layer in layers]
    try:
        for layer in layers:
            layer.momentum = 0.0
        yield
    finally:
        for layer, momentum in zip(layers, momenta, strict=True):
            layer.momentum = momentum


def by_support_statistics(network: keras.Model, weights: Tensors, support_x, x) -> tf.Tensor:
    """Outputs of a network whose batch norm has the statistics of a support set, as an adapted model's has.

    Args:
        network: a built Keras model, which is not changed.
        weights: tensors in the order of `network.trainable_variables`.
        support_x: inputs `[n_way * k_shot, ...]`.
        x: inputs `[batch, ...]`, which do not see each other.

    Returns:
        Outputs `[batch, n_outputs]`.

    References:
        Ioffe, Szegedy (2015), "Batch Normalization", section 3.1. https://arxiv.org/abs/1502.03167
    """
    with _remembering_one_batch(network):
        _, state = forward_with_state(network, weights, values(network.non_trainable_variables), support_x)
    return forward(network, weights, x, non_trainable=state, training=False)
