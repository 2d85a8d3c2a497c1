"""The networks of the papers, as functions that return ordinary Keras models."""

from __future__ import annotations

from collections.abc import Sequence

import keras
import numpy as np
from keras import layers

from tfmeta.core.validation import check_sequence, check_sizes
from tfmeta.machine import threads


def conv4(
    n_way: int | None = None,
    *,
    filters: int = 64,
    input_shape: Sequence[int] = (28, 28, 1),
    downsample: str = "stride",
    name: str | None = None,
) -> keras.Model:
    """Four blocks of 3x3 convolution, batch normalisation and ReLU: the network of the Omniglot experiments.

    Args:
        n_way: width of the linear head, which follows the mean over space. `None` leaves the head out and flattens
            the feature map: an encoder for metric learners.
        filters: channels of every block.
        input_shape: `(height, width, channels)`, at least 16 pixels each way.
        downsample: `"stride"` (MAML's Omniglot network: stride 2, no pooling) or `"pool"` (stride 1 and 2x2
            max-pooling: ProtoNet's and matching nets' network, about five times the work).
        name: name of the Keras model.

    Returns:
        A functional Keras model: `[batch, height, width, channels]` to logits `[batch, n_way]`, or to embeddings
        `[batch, dim]`, dim = 256 (`"stride"`) or 64 (`"pool"`) for 28x28 images and 64 filters.

    Raises:
        ValueError: if a size is not positive, the image is smaller than 16 pixels or `downsample` is unknown.

    References:
        Vinyals et al. (2016), section 4.1.1 https://arxiv.org/abs/1606.04080; Finn et al. (2017), section 5.2
        https://arxiv.org/abs/1703.03400; Snell et al. (2017), section 3.1 https://arxiv.org/abs/1703.05175

    Note:
        Convolutions have no bias, since batch normalisation removes it. Batch norm's moving averages use momentum 0.9:
        Keras's 0.99 needs a thousand steps to forget its start, more than many short runs have.
    """
    check_sizes(filters=filters, **({} if n_way is None else {"n_way": n_way}))
    check_sequence("input_shape", input_shape)
    whole = all(isinstance(length, int | np.integer) for length in input_shape)
    if len(input_shape) != 3 or not whole or min(input_shape[:2]) < 16 or input_shape[2] < 1:
        raise ValueError(
            "input_shape must be (height, width, channels) with at least 16 pixels each way, since four blocks halve "
            f"the image four times. Received: input_shape={tuple(input_shape)}"
        )
    if downsample not in ("stride", "pool"):
        raise ValueError(f"downsample must be 'stride' or 'pool'. Received: downsample={downsample!r}")
    threads.prefer_tasks()
    strides = 2 if downsample == "stride" else 1
    x = inputs = keras.Input(tuple(input_shape))
    for _ in range(4):
        x = layers.Conv2D(filters, 3, strides=strides, padding="same", use_bias=False)(x)
        x = layers.BatchNormalization(momentum=0.9)(x)
        x = layers.ReLU()(x)
        if downsample == "pool":
            x = layers.MaxPooling2D(2)(x)
    if n_way is None:
        outputs = layers.Flatten()(x)
    else:
        outputs = layers.Dense(n_way, name="head")(layers.GlobalAveragePooling2D()(x))
    return keras.Model(inputs, outputs, name=name or "conv4")


def mlp(
    n_outputs: int = 1,
    *,
    hidden: Sequence[int] = (40, 40),
    input_shape: Sequence[int] = (1,),
    activation: str = "relu",
    name: str | None = None,
) -> keras.Model:
    """A fully connected network; the defaults are those of MAML's sinusoid experiment.

    Args:
        n_outputs: width of the linear output.
        hidden: widths of the hidden layers.
        input_shape: shape of one input; flattened first if it has more than one axis.
        activation: Keras name of the hidden activation.
        name: name of the Keras model.

    Returns:
        A functional Keras model: `[batch, *input_shape]` to `[batch, n_outputs]`.

    Raises:
        ValueError: if a width is not positive.

    References:
        Finn et al. (2017), section 5.1. https://arxiv.org/abs/1703.03400
    """
    check_sizes(n_outputs=n_outputs)
    check_sequence("hidden", hidden)
    check_sequence("input_shape", input_shape)
    check_sizes(**{f"hidden[{i}]": n for i, n in enumerate(hidden)})
    check_sizes(**{f"input_shape[{i}]": n for i, n in enumerate(input_shape)})
    try:
        keras.activations.get(activation)
    except (TypeError, ValueError) as error:
        raise ValueError(f"activation must be the Keras name of one. Received: activation={activation!r}") from error
    threads.prefer_tasks()
    x = inputs = keras.Input(tuple(input_shape))
    if len(input_shape) != 1:
        x = layers.Flatten()(x)
    for width in hidden:
        x = layers.Dense(width, activation=activation)(x)
    return keras.Model(inputs, layers.Dense(n_outputs, name="head")(x), name=name or "mlp")
