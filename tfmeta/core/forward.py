"""A Keras model as the function f(theta, x) of the papers.

Its variables are never assigned: within a `keras.StatelessScope` they have other values, which are tensors. So the
network is unchanged, gradients flow through every inner step, and batch-norm statistics are not disturbed. Assigning
the adapted values to variables (`assign_sub`, `set_weights`) instead cuts the graph and yields, with no error, the
first-order gradient.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence

import keras
import tensorflow as tf

from tfmeta.core.exact import exact_derivatives
from tfmeta.core.validation import check_sequence

_HALF = (tf.float16, tf.bfloat16)

Tensors = Sequence[tf.Tensor]
Predictor = Callable[[Tensors, tf.Tensor], tf.Tensor]


def values(variables: Sequence[keras.Variable]) -> list[tf.Tensor]:
    """The variables' present values as plain tensors: the theta to start from.

    Args:
        variables: Keras variables.

    Returns:
        Tensors of the same shapes.

    References:
        Finn et al. (2017), algorithm 1, theta. https://arxiv.org/abs/1703.03400
    """
    check_sequence("variables", variables)
    return [tf.convert_to_tensor(variable.value) for variable in variables]


def forward(
    network: keras.Model | Predictor,
    params: Tensors,
    x: tf.Tensor,
    *,
    non_trainable: Tensors | None = None,
    training: bool = True,
) -> tf.Tensor:
    """The network's output under other parameters than its own, f(theta', x).

    Args:
        network: a built Keras model, or a function of `params` and `x`, which is called as it is.
        params: tensors in the order and shapes of `network.trainable_variables`.
        x: inputs `[batch, ...]`; for a network with several inputs a dictionary or tuple of them.
        non_trainable: values for `network.non_trainable_variables`; the present ones by default.
        training: `True` lets batch norm use the statistics of `x` itself. Its moving averages are not updated.

    Returns:
        Outputs `[batch, n_outputs]`.

    Raises:
        TypeError: if the network is neither a model nor a function.
        ValueError: if there are more or fewer tensors than trainable variables, or one has another shape.

    References:
        Finn et al. (2017), section 2.2, f_theta'. https://arxiv.org/abs/1703.03400
    """
    check_params(network, params)
    if not isinstance(network, keras.Model):
        return network(params, x)
    if non_trainable is None:
        non_trainable = values(network.non_trainable_variables)
    with exact_derivatives():
        return forward_with_state(network, params, non_trainable, x, training=training)[0]


def check_params(network: keras.Model | Predictor, params: Tensors) -> None:
    """Refuse parameters that are not those of the network.

    Args:
        network: a built Keras model, or a function, whose parameters are its own affair.
        params: tensors.

    Raises:
        TypeError: if the network is neither.
        ValueError: if there are more or fewer tensors than trainable variables, or one has another shape.
    """
    if not callable(network) or isinstance(network, type):
        raise TypeError(
            f"network must be a keras.Model or a function. Received: network of type {type(network).__name__}"
        )
    check_sequence("params", params)
    if isinstance(network, keras.Model):
        wanted = [tuple(variable.shape) for variable in network.trainable_variables]
        shapes = [tf.TensorShape(getattr(tensor, "shape", ())) for tensor in params]
        if len(shapes) != len(wanted) or not all(s.is_compatible_with(w) for s, w in zip(shapes, wanted, strict=True)):
            raise ValueError(
                f"params must be tensors like the trainable variables of {network.name!r}, of shapes {wanted}. "
                f"Received: params of shapes {[tuple(shape) if shape.rank is not None else None for shape in shapes]}"
            )


def forward_with_state(
    network: keras.layers.Layer, params: Tensors, non_trainable: Tensors, *inputs, training: bool = True
) -> tuple[tf.Tensor, list[tf.Tensor]]:
    """The output under other values of all variables, and what the call would write into the non-trainable ones.

    Args:
        network: a built Keras model or layer.
        params: tensors in the order and shapes of `network.trainable_variables`.
        non_trainable: tensors in the order and shapes of `network.non_trainable_variables`.
        inputs: `[batch, ...]`.
        training: as for `forward`.

    Returns:
        Outputs, at least in float32, and tensors like `non_trainable`.

    Raises:
        ValueError: if a value has another shape than its variable.

    References:
        Keras, `StatelessScope`. https://keras.io/api/layers/base_layer/

    Note:
        The model is *called*. `Layer.stateless_call` runs its method `call` instead, and then a model of one's own
        whose `call` leaves `training` to Keras would run its batch norm and dropout in inference mode.
    """
    fixed = network.non_trainable_variables
    mapping = [
        *zip(network.trainable_variables, params, strict=True),
        *zip(fixed, non_trainable, strict=True),
    ]
    with keras.StatelessScope(state_mapping=mapping) as scope:
        outputs = network(*inputs, training=training)
    return full_precision(outputs), [scope.get_current_value(variable) for variable in fixed]


def full_precision(outputs: tf.Tensor) -> tf.Tensor:
    """Half-precision outputs of a mixed-precision network as float32, in which losses and distances are computed.

    Args:
        outputs: of a network, a tensor or a nest of them.

    Returns:
        The same numbers; float32 and float64 as they are.

    References:
        Micikevicius et al. (2018), "Mixed Precision Training", section 3.3. https://arxiv.org/abs/1710.03740
    """
    return tf.nest.map_structure(lambda t: tf.cast(t, tf.float32) if t.dtype in _HALF else t, outputs)


def gradient(tape: tf.GradientTape, value: tf.Tensor, params: Tensors) -> list[tf.Tensor]:
    """The tape's gradient of a scalar as dense tensors, zeros where `value` does not depend on a parameter.

    Args:
        tape: has recorded `value`.
        value: a scalar.
        params: tensors that the tape watched.

    Returns:
        Tensors like `params`.

    References:
        TensorFlow, `tf.GradientTape.gradient`. https://www.tensorflow.org/api_docs/python/tf/GradientTape
    """
    gradients = tape.gradient(value, params, unconnected_gradients=tf.UnconnectedGradients.ZERO)
    return [tf.convert_to_tensor(gradient) for gradient in gradients]
