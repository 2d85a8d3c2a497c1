"""Every method, small: one line each. A new method is a line here and has the whole contract to keep.

The contract is in test_contract_training.py, test_contract_tasks.py and test_contract_refusals.py. What a learner
promises follows from its `method`: whether it has an inner loop, learns anything, or is trained on episodes.

Nearly all time of these tests goes into tracing graphs. So each learner is made once, `borrow` hands it out as if it
had just been made, and its graphs stay.
"""

from collections.abc import Callable
from typing import NamedTuple

import keras
import pytest

import tfmeta
from tests.algorithms.momentum_maml import MomentumMAML
from tests.conftest import make_classes
from tfmeta.datasets import labelled_batches
from tfmeta.training import copies

SIZES = {"n_way": 3, "k_shot": 2, "n_query": 4, "meta_batch_size": 4}
# Of the contract: three tasks are the fewest that show how they are permuted.
THREE = SIZES | {"meta_batch_size": 3}


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


def sgd():
    """Steps in proportion to the gradient, which Adam's first ones are not, and a state to be saved."""
    return keras.optimizers.SGD(0.2, momentum=0.5)


class Row(NamedTuple):
    """How to make a method's learner for images and, where it can, for regression; and the outer loop for images."""

    classify: Callable[[], keras.Model] | None
    regress: Callable[[], keras.Model] | None = None
    outer: Callable[[], keras.optimizers.Optimizer] = sgd


def on(kind, **options):
    """Makes this kind of learner of a network with a head."""
    return lambda: kind(network(), **({"eval_inner_steps": 3} | options))


def embedding(kind, **options):
    """Makes this kind of learner of an encoder."""
    return lambda: kind(network(head=False), **options)


def waves(kind, **options):
    """Makes this kind of learner of a network for sine waves."""
    return lambda: kind(wave_network(), **options)


METHODS = {
    "MAML": Row(on(tfmeta.MAML, inner_lr=0.2), waves(tfmeta.MAML, inner_lr=0.01)),
    "FOMAML": Row(on(tfmeta.MAML, inner_lr=0.2, first_order=True)),
    "MetaSGD": Row(on(tfmeta.MetaSGD, initial_rates=(0.05, 0.3)), waves(tfmeta.MetaSGD, initial_rates=0.01)),
    "ANIL": Row(on(tfmeta.ANIL, inner_lr=0.2, inner_steps=2), waves(tfmeta.ANIL, inner_lr=0.01, inner_steps=2)),
    "BOIL": Row(on(tfmeta.BOIL, inner_lr=0.2), waves(tfmeta.BOIL, inner_lr=0.01)),
    "MAMLPlusPlus": Row(
        on(tfmeta.MAMLPlusPlus, inner_lr=0.2, inner_steps=2), waves(tfmeta.MAMLPlusPlus, inner_lr=0.01, inner_steps=2)
    ),
    "PLATIPUS": Row(
        on(tfmeta.PLATIPUS, inner_lr=0.2, samples=3, kl_weight=0.01),
        waves(tfmeta.PLATIPUS, inner_lr=0.01, noise=0.3, samples=3),
        lambda: keras.optimizers.Adam(2e-2),  # divided by a small variance, the divergence is steep
    ),
    "MAMLEnsemble": Row(
        on(tfmeta.MAMLEnsemble, inner_lr=0.2, n_members=3), waves(tfmeta.MAMLEnsemble, inner_lr=0.01, n_members=3)
    ),
    "ProtoMAML": Row(embedding(tfmeta.ProtoMAML, inner_lr=0.01, eval_inner_steps=3)),
    "Reptile": Row(
        on(tfmeta.Reptile, inner_lr=0.01),
        waves(tfmeta.Reptile, inner_lr=0.01, inner_steps=10, inner_optimizer="sgd"),
        lambda: keras.optimizers.SGD(0.5, momentum=0.5),
    ),
    "LSTMMetaLearner": Row(
        on(tfmeta.LSTMMetaLearner, units=4, inner_steps=2, initial_gain=-1.0, initial_forget=5.0),
        waves(tfmeta.LSTMMetaLearner, units=4, inner_steps=2),
    ),
    "MomentumMAML": Row(
        lambda: MomentumMAML(network(), inner_lr=0.1, inner_steps=2),
        waves(MomentumMAML, inner_lr=0.01, decay=0.1, inner_steps=2),
    ),
    "PrototypicalNetwork": Row(embedding(tfmeta.PrototypicalNetwork)),
    "RidgeClassifier": Row(embedding(tfmeta.RidgeClassifier)),
    "BayesianLinearRegressor": Row(
        None, lambda: tfmeta.BayesianLinearRegressor(tfmeta.networks.mlp(8, hidden=(20,)), fewest_points=1)
    ),
    "MatchingNetwork": Row(embedding(tfmeta.MatchingNetwork)),
    "full context": Row(embedding(tfmeta.MatchingNetwork, full_context=True, processing_steps=2)),
    "FineTunedClassifier": Row(embedding(tfmeta.FineTunedClassifier, n_classes=12, inner_lr=0.5, eval_inner_steps=3)),
    "NearestNeighbour": Row(embedding(tfmeta.NearestNeighbour)),
}
CLASSIFIERS = [name for name, row in METHODS.items() if row.classify]
every = pytest.mark.parametrize("name", CLASSIFIERS)
every_regression = pytest.mark.parametrize("name", [name for name, row in METHODS.items() if row.regress])


# -- learners ----------------------------------------------------------------------------------------------------------
def make(name, kind="classify", optimizer=None, **compiled):
    """A compiled learner of its own for a test, always with the same first weights."""
    keras.utils.set_random_seed(0)
    learner = getattr(METHODS[name], kind)()
    if kind == "classify":
        # Moving averages that fit the images: else embeddings would all but coincide before training.
        copies.set_batch_norm_statistics(learner.network, images())
    if optimizer is None:
        optimizer = METHODS[name].outer() if kind == "classify" or name == "Reptile" else keras.optimizers.Adam(1e-2)
    learner.compile(optimizer=optimizer, **compiled)
    return learner


def images():
    return make_classes([20] * 12).images[::5].astype("float32") / 255.0


class Shared(NamedTuple):
    learner: keras.Model
    start: list
    traces: list


_shared = {}


def borrow(name, kind="classify"):
    """The learner that all tests share, as if just made; its graphs stay. Not to be compiled or set otherwise."""
    return shared(name, kind).learner


def shared(name, kind="classify"):
    """As `borrow`, with a list that grows by one whenever its training step is traced."""
    if (name, kind) not in _shared:
        learner, traces = make(name, kind), []
        step = learner.train_step
        learner.train_step = lambda data: (traces.append(1), step(data))[1]
        _shared[name, kind] = Shared(learner, everything(learner), traces)
    found = _shared[name, kind]
    for variable, value in zip(variables(found.learner), found.start, strict=True):
        variable.assign(value)
    return found


def variables(learner):
    """All that training changes or could change, and the outer loop's state."""
    optimizers = [learner.optimizer, *learner.group_optimizers.values()]
    return [*learner.variables, *(v for one in optimizers for v in one.variables)]


def everything(learner):
    return [v.numpy() for v in variables(learner)]


def values(learner):
    """All that training changes or could change."""
    return [v.numpy() for v in learner.variables]


# -- what it promises --------------------------------------------------------------------------------------------------
def has_inner_loop(learner):
    return learner.method.update is not None


def learns(learner):
    return bool(learner.meta_variables)


def learns_from_episodes(learner):
    return learns(learner) and learner.method.learn is None


def draws(learner):
    """Whether the weights of a task are drawn at random."""
    return any("log_variance" in variable.path for variable in learner.meta_variables)


def training_data(learner, tiny, seed=0, **sizes):
    """What its `fit` takes."""
    if learner.method.check_data is not None:
        return labelled_batches(tiny, batch_size=16, seed=seed)
    return tfmeta.episode_dataset(tiny, **(THREE | sizes), seed=seed)
