"""A Keras model as the function f(theta, x) of the papers.

Its variables are never assigned: `stateless_call` takes their values as tensors, so the network is unchanged, gradients
flow through every inner step, and batch-norm statistics are not disturbed. Assigning the adapted values to variables
(`assign_sub`, `set_weights`) instead cuts the graph and yields, with no error, the first-order gradient.
"""

from __future__ import annotations

import contextlib
from collections.abc import Callable, Iterator, Sequence

import keras
import tensorflow as tf

from tfmeta.core.moments import exact_moments

_HALF = (tf.float16, tf.bfloat16)
# Layers that do something at random in training, and the attributes that say how much.
_NOISE = (
    ((keras.layers.Dropout, keras.layers.GaussianDropout, keras.layers.AlphaDropout), ("rate",)),
    ((keras.layers.GaussianNoise,), ("stddev",)),
    ((keras.layers.Attention,), ("dropout",)),
)

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
        x: inputs `[batch, ...]`.
        non_trainable: values for `network.non_trainable_variables`; the present ones by default.
        training: `True` lets batch norm use the statistics of `x` itself. Its moving averages are not updated.

    Returns:
        Outputs `[batch, n_outputs]`.

    References:
        Finn et al. (2017), section 2.2, f_theta'. https://arxiv.org/abs/1703.03400
    """
    if not isinstance(network, keras.Model):
        return network(params, x)
    if non_trainable is None:
        non_trainable = values(network.non_trainable_variables)
    with exact_moments():
        outputs, _ = network.stateless_call(list(params), list(non_trainable), x, training=training)
    return full_precision(outputs)


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


def _noise_of(layer: keras.layers.Layer) -> list[str]:
    if hasattr(layer, "get_dropout_mask"):  # the cell of a recurrent layer
        return ["dropout", "recurrent_dropout"]
    return [name for kinds, names in _NOISE for name in names if isinstance(layer, kinds)]


@contextlib.contextmanager
def without_dropout(network: keras.Model) -> Iterator[None]:
    """Within the block, dropout and noise layers pass everything on although batch norm runs with `training=True`.

    Keras has one `training` flag for both. Judging an adapted model needs batch statistics without dropout's noise.
    The dropout inside of recurrent and attention layers is meant, too. Layers that turn or cut images at random are
    not: they belong to the data (`tfmeta.tasks.augmentation`), and stay active in a network judged in training mode.

    Args:
        network: the model; its rates are put back at the end of the block.

    Returns:
        A context.

    References:
        Srivastava et al. (2014), "Dropout", section 10. https://jmlr.org/papers/v15/srivastava14a.html
    """
    found = [(layer, name, getattr(layer, name)) for layer in network._flatten_layers() for name in _noise_of(layer)]
    try:
        for layer, name, _ in found:
            setattr(layer, name, 0.0)
        yield
    finally:
        for layer, name, rate in found:
            setattr(layer, name, rate)


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
