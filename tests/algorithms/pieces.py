"""What the tests of all learners do with episodes and models."""

import keras
import tensorflow as tf

from tfmeta.core.episode import Episode


def first(dataset):
    """The first meta-batch."""
    return next(iter(dataset))


def task(episodes, i=0):
    """One task of a meta-batch."""
    return Episode(*(tensor[i] for tensor in episodes))


def once(episodes):
    """A dataset of this one meta-batch."""
    return tf.data.Dataset.from_tensors(episodes)


def weights(model):
    """All variables' values."""
    return [v.numpy() for v in model.variables]


def two_blocks(n_way=None, *, filters=4, input_shape=(16, 16, 1), downsample="stride", n_blocks=2):
    """The first blocks of conv4, with a head or, without `n_way`, as an encoder.

    Two are enough for what conv4 computes: a convolution's gradients by its kernel and by its input, batch norm
    behind batch norm. Traced twice over by an inner loop, four take twice the time.
    """
    layers = [keras.Input(input_shape)]
    for _ in range(n_blocks):
        strides = 2 if downsample == "stride" else 1
        layers.append(keras.layers.Conv2D(filters, 3, strides=strides, padding="same", use_bias=False))
        layers += [keras.layers.BatchNormalization(momentum=0.9), keras.layers.ReLU()]
        layers += [keras.layers.MaxPooling2D(2)] if downsample == "pool" else []
    if n_way is None:
        return keras.Sequential([*layers, keras.layers.Flatten()])
    return keras.Sequential([*layers, keras.layers.GlobalAveragePooling2D(), keras.layers.Dense(n_way, name="head")])
