"""Trains small learners on one and on two logical CPUs; prints what differs as JSON. A process of its own: devices are
divided before TensorFlow starts."""

import json
import os

os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "3")

import keras
import numpy as np
import tensorflow as tf

import tfmeta
from tests.algorithms.methods import SIZES
from tests.conftest import make_classes
from tfmeta.datasets import labelled_batches


def network(n_outputs=3, dropout=0.0):
    """Batch norm, and if wanted dropout, whose result depends on each task's own random numbers.

    No convolution: devices share tasks out, whatever a network computes with them.
    """
    layers = [keras.layers.Flatten(), keras.layers.Dense(4, use_bias=False), keras.layers.BatchNormalization()]
    layers += [keras.layers.Dropout(dropout, seed=1)] if dropout else []
    return keras.Sequential([keras.Input((16, 16, 1)), *layers, keras.layers.ReLU(), keras.layers.Dense(n_outputs)])


# What replicas do, each done by one of five:
LEARNERS = {
    # their meta-gradients are added up; a task's dropout depends on its place in the whole meta-batch
    "MAML": lambda: tfmeta.MAML(network(dropout=0.5), inner_lr=0.1),
    # learned rates and statistics with a row a step, which take the replicas' mean; the count of outer steps is shared
    "MAML++": lambda: tfmeta.MAMLPlusPlus(network(), inner_lr=0.2, inner_steps=2, first_order_steps=2),
    # an outer step that is no gradient; mini-batches depend on the task's place; moving averages of an inner loop
    "Reptile": lambda: tfmeta.Reptile(network(), inner_lr=0.01, inner_batch_size=3),
    # the metric learners' step: batch norm's moving averages, and variables beside the network's (scale and LSTMs)
    "MatchingNetwork": lambda: tfmeta.MatchingNetwork(network(4), full_context=True, processing_steps=2),
    # batches of labelled images. Without batch norm, whose statistics are of each replica's share of the images, as
    # everywhere in Keras
    "FineTunedClassifier": lambda: tfmeta.FineTunedClassifier(plain(), 12),
}


def plain():
    return keras.Sequential([keras.Input((16, 16, 1)), keras.layers.Flatten(), keras.layers.Dense(4)])


def fit(strategy, name, steps=3):
    """Losses of `steps` epochs of one step each, and all values before and after."""
    classes = make_classes([20] * 12)
    with strategy.scope():
        keras.utils.set_random_seed(0)
        learner = LEARNERS[name]()
        learner.compile(optimizer=keras.optimizers.SGD(0.1))
    if name == "FineTunedClassifier":
        data = labelled_batches(classes, batch_size=8, seed=0)
    else:
        data = tfmeta.episode_dataset(classes, **SIZES, seed=0)
    before = learner.get_weights()
    history = learner.fit(data, steps_per_epoch=1, epochs=steps, verbose=0)
    return history.history, before, learner.get_weights()


def main():
    """Compare them all."""
    cpu = tf.config.list_physical_devices("CPU")[0]
    tf.config.set_logical_device_configuration(cpu, [tf.config.LogicalDeviceConfiguration()] * 2)
    results = {}
    # One for all: a second strategy's collective operations would be taken for those of the first.
    mirrored = tf.distribute.MirroredStrategy(["CPU:0", "CPU:1"])
    for name in LEARNERS:
        one, before, after = fit(tf.distribute.get_strategy(), name)
        two, _, shared = fit(mirrored, name)
        floats = [i for i, w in enumerate(before) if w.dtype.kind == "f"]
        results[name] = {
            "one": one, "two": two,
            "moved": max(float(np.abs(after[i] - before[i]).max()) for i in floats),
            "apart": max(float(np.abs(after[i] - shared[i]).max()) for i in floats),
        }  # fmt: skip
    print(json.dumps(results))


if __name__ == "__main__":
    main()
