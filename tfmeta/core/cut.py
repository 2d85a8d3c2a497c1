"""A network cut in two before the first layer that adapts: what comes before is computed once per task."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import NamedTuple

import keras
import tensorflow as tf

from tfmeta.core.exact import exact_derivatives
from tfmeta.core.forward import Tensors, full_precision, values

# Of all parameters of the network, inputs, and values for its non-trainable variables or None for the present ones.
Part = Callable[[Tensors, tf.Tensor, Tensors | None], tf.Tensor]


class Cut(NamedTuple):
    """Two functions of the network's parameters; the second one on what the first one gives is the network.

    Args:
        body: of parameters, inputs `[batch, ...]` and non-trainable values; gives features `[batch, ...]`.
        head: of parameters, features and non-trainable values; gives outputs `[batch, n_outputs]`.

    References:
        Raghu et al. (2020), section 4: the body has no inner loop. https://arxiv.org/abs/1909.09157
    """

    body: Part
    head: Part


class _Graph(keras.layers.Layer):
    """A part of a model's graph as a layer, so that the layers in it learn from their caller that this is training."""

    def __init__(self, function: keras.Function):
        super().__init__(autocast=False)
        self.function = function

    def call(self, x, training=False):
        return self.function(x)


def cut_before(network: keras.Model, adapted: Sequence[int]) -> Cut | None:
    """Cut a network before the first layer that has an adapted variable.

    Args:
        network: a built Keras model.
        adapted: positions in `network.trainable_variables` of the tensors that the inner loop changes.

    Returns:
        The two parts, which share the network's layers. None where there is nothing to save (the first layer with
        weights adapts) or no cut can be found: a model whose `call` is not Keras's own, several inputs or outputs, a
        mask or a path that goes around the cut.

    References:
        Raghu et al. (2020), section 4. https://arxiv.org/abs/1909.09157
    """
    chosen = {id(network.trainable_variables[i]) for i in adapted}

    def adapts(layer):
        return any(id(variable) in chosen for variable in layer.trainable_variables)

    # A `call` of the user's own may do more than run the graph, which is all that the parts know of.
    if not type(network).call.__module__.startswith("keras."):
        return None
    if any(len(getattr(network, name, None) or ()) != 1 for name in ("inputs", "outputs")):
        return None
    first = next((layer for layer in network.layers if adapts(layer)), None)
    try:
        features = first.input
        body = keras.Model(network.inputs[0], features)
        head = _Graph(keras.Function(features, network.outputs[0]))
    except (AttributeError, ValueError):  # the graph has no such cut
        return None
    if not isinstance(features, keras.KerasTensor) or not body.layers[1:] or adapts(body):
        return None

    def call(part, params, x, non_trainable):
        if non_trainable is None:
            non_trainable = values(network.non_trainable_variables)
        mapping = [
            *zip(network.trainable_variables, params, strict=True),
            *zip(network.non_trainable_variables, non_trainable, strict=True),
        ]
        with exact_derivatives(), keras.StatelessScope(state_mapping=mapping):
            return full_precision(part(x, training=True))

    return Cut(
        lambda params, x, non_trainable=None: call(body, params, x, non_trainable),
        lambda params, x, non_trainable=None: call(head, params, x, non_trainable),
    )
