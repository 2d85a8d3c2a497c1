"""The learners with an inner loop, small. A new one is a line in METHODS and has the whole contract to keep."""

from collections.abc import Callable
from typing import NamedTuple

import keras
import pytest

import tfmeta

SIZES = {"n_way": 3, "k_shot": 2, "n_query": 4, "meta_batch_size": 4}
SCORED = {"n_way": 3, "k_shot": 2, "n_query": 4, "episodes": 8}


def network(head=True):
    layers = [
        keras.Input((16, 16, 1)),
        keras.layers.Conv2D(4, 3, strides=4, use_bias=False),
        keras.layers.BatchNormalization(momentum=0.9),
        keras.layers.ReLU(),
        keras.layers.Flatten(),
    ]
    # Small embeddings: classes must not be told apart before anything is learned.
    small = keras.initializers.RandomNormal(stddev=0.02)
    last = keras.layers.Dense(3, name="head") if head else keras.layers.Dense(4, kernel_initializer=small)
    return keras.Sequential([*layers, last])


def wave_network():
    return tfmeta.networks.mlp(hidden=(20, 20))


class Method(NamedTuple):
    classify: Callable[[], keras.Model]
    regress: Callable[[], keras.Model] | None
    outer: Callable[[], keras.optimizers.Optimizer]


def adam():
    return keras.optimizers.Adam(1e-2)


METHODS = {
    "MAML": Method(
        lambda: tfmeta.MAML(network(), inner_lr=0.2, eval_inner_steps=3),
        lambda: tfmeta.MAML(wave_network(), inner_lr=0.01),
        adam,
    ),
    "MetaSGD": Method(
        lambda: tfmeta.MetaSGD(network(), initial_rates=(0.05, 0.3), eval_inner_steps=3),
        lambda: tfmeta.MetaSGD(wave_network(), initial_rates=0.01),
        adam,
    ),
    "MAMLPlusPlus": Method(
        lambda: tfmeta.MAMLPlusPlus(network(), inner_lr=0.2, inner_steps=2, eval_inner_steps=3),
        lambda: tfmeta.MAMLPlusPlus(wave_network(), inner_lr=0.01, inner_steps=2),
        adam,
    ),
    "ANIL": Method(
        lambda: tfmeta.ANIL(network(), inner_lr=0.2, inner_steps=2, eval_inner_steps=3),
        lambda: tfmeta.ANIL(wave_network(), inner_lr=0.01, inner_steps=2),
        adam,
    ),
    "ProtoMAML": Method(
        lambda: tfmeta.ProtoMAML(network(head=False), inner_lr=0.01, eval_inner_steps=3),
        None,  # a head made from classes
        adam,
    ),
    "Reptile": Method(
        lambda: tfmeta.Reptile(network(), inner_lr=0.01, eval_inner_steps=3),
        lambda: tfmeta.Reptile(wave_network(), inner_lr=0.01, inner_steps=10, inner_optimizer="sgd"),
        lambda: keras.optimizers.SGD(0.5),
    ),
}
every = pytest.mark.parametrize("name", METHODS)
every_regression = pytest.mark.parametrize("name", [name for name, method in METHODS.items() if method.regress])


def make(name, kind="classify", optimizer=None, **compiled):
    keras.utils.set_random_seed(0)
    learner = getattr(METHODS[name], kind)()
    learner.compile(optimizer=optimizer or METHODS[name].outer(), **compiled)
    return learner


def values(learner):
    """All that training changes or could change."""
    return [v.numpy() for v in [*learner.meta_variables, *learner.network.non_trainable_variables]]


def everything(learner):
    return values(learner) + [v.numpy() for v in learner.optimizer.variables]
