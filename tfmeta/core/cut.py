"""A learner cut in two before the first layer that adapts: what comes before is computed once per task."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import NamedTuple

import keras
import tensorflow as tf

from tfmeta.core.forward import Tensors, full_precision, values
from tfmeta.core.moments import exact_moments

# Of all parameters of the learner, inputs, and values for its non-trainable variables or None for the present ones.
Part = Callable[[Tensors, tf.Tensor, Tensors | None], tf.Tensor]


class Split(NamedTuple):
    """Two functions of the learner's parameters; the second one on what the first one gives is the learner.

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


def split_before(learner: keras.Model, adapted: Sequence[int]) -> Split | None:
    """Cut a learner before the first layer that has an adapted variable.

    Args:
        learner: a built Keras model.
        adapted: positions in `learner.trainable_variables` of the tensors that the inner loop changes.

    Returns:
        The two parts, which share the learner's layers. None where there is nothing to save (the first layer with
        weights adapts) or no cut can be found: a model whose `call` is not Keras's own, several inputs or outputs, a
        mask or a path that goes around the cut.

    References:
        Raghu et al. (2020), section 4. https://arxiv.org/abs/1909.09157
    """
    chosen = {id(learner.trainable_variables[i]) for i in adapted}

    def adapts(layer):
        return any(id(variable) in chosen for variable in layer.trainable_variables)

    # A `call` of the user's own may do more than run the graph, which is all that the parts know of.
    if not type(learner).call.__module__.startswith("keras."):
        return None
    if any(len(getattr(learner, name, None) or ()) != 1 for name in ("inputs", "outputs")):
        return None
    first = next((layer for layer in learner.layers if adapts(layer)), None)
    try:
        features = first.input
        body = keras.Model(learner.inputs[0], features)
        head = _Graph(keras.Function(features, learner.outputs[0]))
    except (AttributeError, ValueError):  # the graph has no such cut
        return None
    if not isinstance(features, keras.KerasTensor) or not body.layers[1:] or adapts(body):
        return None

    def call(part, params, x, non_trainable):
        if non_trainable is None:
            non_trainable = values(learner.non_trainable_variables)
        mapping = [
            *zip(learner.trainable_variables, params, strict=True),
            *zip(learner.non_trainable_variables, non_trainable, strict=True),
        ]
        with exact_moments(), keras.StatelessScope(state_mapping=mapping):
            return full_precision(part(x, training=True))

    return Split(
        lambda params, x, non_trainable=None: call(body, params, x, non_trainable),
        lambda params, x, non_trainable=None: call(head, params, x, non_trainable),
    )
