"""A Keras model under other weights gives what Keras gives, whatever its `call` says of `training`."""

import keras
import numpy as np
import pytest
import tensorflow as tf

import tfmeta
from tests.algorithms.pieces import task as one
from tfmeta import functional
from tfmeta.core.forward import forward_with_state


class LeavesItToKeras(keras.Model):
    """`training` has a default, as in Keras's guides."""

    def __init__(self, width=3, dtype="float64", **options):
        super().__init__(dtype=dtype, **options)
        self.width = width
        self.a = keras.layers.Dense(8, dtype=dtype)
        self.bn = keras.layers.BatchNormalization(dtype=dtype)
        self.b = keras.layers.Dense(width, dtype=dtype)

    def call(self, x, training=False):
        return self.b(tf.tanh(self.bn(self.a(x))))


class SaysNothing(LeavesItToKeras):
    """`call` has no `training`."""

    def call(self, x):
        return self.b(tf.tanh(self.bn(self.a(x))))


def built(cls, x, **options):
    keras.utils.set_random_seed(0)
    network = cls(**options)
    network(x)
    return network


def functional_twin(network, x):
    """The same layers in a functional model."""
    inputs = keras.Input(x.shape[1:], dtype=x.dtype)
    hidden = keras.layers.Activation("tanh", dtype=x.dtype)(network.bn(network.a(inputs)))
    return keras.Model(inputs, network.b(hidden))


BOTH = pytest.mark.parametrize("cls", [LeavesItToKeras, SaysNothing])


@BOTH
def test_forward_is_the_model_called_in_training_mode(cls, random_episodes):
    x = 3 * one(random_episodes()).support_x + 1
    network = built(cls, x)
    before = network.get_weights()
    found = functional.forward(network, functional.values(network.trainable_variables), x)
    assert network.get_weights()[-1] == pytest.approx(before[-1], abs=0)
    np.testing.assert_allclose(found, functional_twin(network, x)(x, training=True), rtol=1e-12)
    quiet = functional.forward(network, functional.values(network.trainable_variables), x, training=False)
    assert np.abs(found - quiet).max() > 0.1


@BOTH
def test_the_meta_gradient_is_that_of_the_functional_twin(cls, random_episodes):
    episode = one(random_episodes())
    network = built(cls, episode.support_x)
    twin = functional_twin(network, episode.support_x)

    def gradient(network):
        params = functional.values(network.trainable_variables)
        return functional.meta_gradient(network, params, episode, inner_lr=0.3, inner_steps=2).gradients

    for found, wanted in zip(gradient(network), gradient(twin), strict=True):
        np.testing.assert_allclose(found, wanted, rtol=1e-10, atol=1e-14)


@BOTH
def test_what_the_call_would_write_comes_back(cls, random_episodes):
    x = 3 * one(random_episodes()).support_x + 1
    network = built(cls, x)
    weights, fixed = (functional.values(v) for v in (network.trainable_variables, network.non_trainable_variables))
    _, new = forward_with_state(network, weights, fixed, x)
    mean = np.mean(network.a(x), axis=0)
    np.testing.assert_allclose(new[0], 0.99 * fixed[0] + 0.01 * mean, rtol=1e-6)


@BOTH
def test_moving_averages_of_a_prototypical_network_move(cls, random_episodes):
    episodes = random_episodes(dtype=np.float32)
    network = built(cls, episodes.support_x[0], dtype="float32")
    learner = tfmeta.PrototypicalNetwork(network)
    learner.compile("sgd")
    before = network.bn.moving_mean.numpy()
    learner.fit(tf.data.Dataset.from_tensors(episodes), verbose=0)
    assert np.abs(network.bn.moving_mean.numpy() - before).min() > 1e-6


@BOTH
def test_maml_plus_plus_normalises_by_the_batch(cls, random_episodes):
    episodes = random_episodes(dtype=np.float32)
    learner = tfmeta.MAMLPlusPlus(built(cls, episodes.support_x[0], dtype="float32"), inner_steps=1)
    twin = tfmeta.MAMLPlusPlus(functional_twin(learner.network, episodes.support_x[0]), inner_steps=1)
    found, wanted = (m.query_outputs(one(episodes)) for m in (learner, twin))
    np.testing.assert_allclose(found, wanted, rtol=1e-5, atol=1e-6)
