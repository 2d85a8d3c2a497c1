"""Which operations of a network have no second derivative, found before training rather than lost in it.

TensorFlow knows the derivative of some derivatives as "not differentiable": a gradient of a gradient then misses all
that passed there, with no error. Others have none and fail deep inside a traced step. Both are named here.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from typing import Any

import keras
import tensorflow as tf

from tfmeta.core.forward import forward, values

# Operations of real numbers that TensorFlow's registry of gradients declares not differentiable although their
# derivative is not zero. (Of some 200 entries the others are whole numbers, strings, shapes, tables, random numbers.)
_SILENT = frozenset({
    "ExtractGlimpse", "FakeQuantWithMinMaxArgsGradient", "FakeQuantWithMinMaxVarsGradient",
    "FakeQuantWithMinMaxVarsPerChannelGradient", "HSVToRGB", "PyFunc", "PyFuncStateless", "ResizeBilinearGrad",
    "SparseAddGrad", "XlaVariadicReduce",
})  # fmt: skip


def check_twice_differentiable(network: keras.Model, x: Any) -> None:
    """Refuse a network through which second-order meta-gradients would be wrong or impossible.

    Args:
        network: a built Keras model.
        x: inputs `[batch, ...]`, a tensor or a nest of them, of which only types and shapes are looked at.

    Raises:
        ValueError: naming the operation and, where it is known, the layer.

    References:
        TensorFlow, `tf.no_gradient`. https://www.tensorflow.org/api_docs/python/tf/no_gradient
    """
    kind = _fault(network, x)
    if kind is None:
        return
    layer = _where(network, x)
    raise ValueError(
        "a network that is trained with second-order gradients must be twice differentiable; use another operation "
        f"there, or first_order=True. Received: network={network.name!r}, in which "
        + ("" if layer is None else f"layer {layer!r} uses ")
        + f"{kind}, whose derivative TensorFlow does not know"
    )


def _fault(network: keras.Model, x: Any) -> str | None:
    """The first operation that lacks a derivative, None where all have one."""
    params = values(network.trainable_variables)

    def twice(params, x):
        with tf.GradientTape() as outer:
            outer.watch(params)
            with tf.GradientTape() as inner:
                inner.watch(params)
                value = _sum_of_squares(forward(network, params, x))
            slope = _sum_of_squares(inner.gradient(value, params))
        return outer.gradient(slope, params)

    like = tf.nest.map_structure(lambda tensor: tf.TensorSpec(tensor.shape, tensor.dtype), (params, x))
    try:
        graph = tf.function(twice, autograph=False).get_concrete_function(*like).graph
    except LookupError as error:  # "gradient registry has no entry for: SoftsignGrad"
        return re.findall(r"\w+", str(error))[-1]
    kinds = (kind for name, kind in _on_the_way(graph, len(params)) if "exact_resize" not in name)
    return next((kind for kind in kinds if kind in _SILENT), None)


def _where(network: keras.Model, x: Any) -> str | None:
    """The layer that is at fault: the first after which the network has the fault."""
    if not getattr(network, "inputs", None):
        return None
    for layer in network.layers:
        try:
            part = keras.Model(network.inputs, layer.output)
        except (AttributeError, ValueError):  # used twice, or not on the way from the inputs
            continue
        if part.trainable_variables and _fault(part, x) is not None:
            return layer.name
    return None


def _sum_of_squares(nest: Any) -> tf.Tensor:
    tensors = [tf.convert_to_tensor(t) for t in tf.nest.flatten(nest) if t is not None]
    return tf.add_n([tf.zeros([]), *(tf.reduce_sum(tf.cast(tf.square(tensor), tf.float32)) for tensor in tensors)])


def _on_the_way(graph: tf.Graph, n_params: int) -> Iterator[tuple[str, str]]:
    """Name and type of every operation that depends on the parameters, those inside of loops and branches included."""
    reached = {tensor.ref() for tensor in graph.inputs[:n_params]}
    for operation in graph.get_operations():
        if any(tensor.ref() in reached for tensor in operation.inputs):
            reached |= {tensor.ref() for tensor in operation.outputs}
            yield operation.name, operation.type
    for function in graph.as_graph_def().library.function:
        for node in function.node_def:
            yield node.name, node.op
